"""Streams and files by HTTP: played by GET and WebSocket, looked for by HEAD, published by POST."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from rtmpd.engine.key import StreamKey
from rtmpd.engine.sink import CloseReason
from rtmpd.engine.sources import Life
from rtmpd.exceptions import Refused
from rtmpd.http.answers import plain, refused, unpublished
from rtmpd.http.asking import Asked
from rtmpd.http.dialogue import answer_head
from rtmpd.http.parts import MEDIA_TYPE, part_of, read_part_wish
from rtmpd.http.permission import may_play
from rtmpd.http.publishing import read_body
from rtmpd.http.websocket import accept_key
from rtmpd.net.http import web
from rtmpd.rtmp.events import Request

_VERSION: Final = "13"
"""Of WebSockets."""


async def answer_live(asked: Asked) -> web.StreamResponse:
    """Who plays gets theirs by the player itself."""
    match asked.request.method:
        case "POST":
            return await _publish(asked)
        case "HEAD":
            return await _look(asked)
        case _:
            return await _play(asked)


async def _play(asked: Asked) -> web.StreamResponse:
    refusal = prepare(asked, MEDIA_TYPE)
    if refusal is not None:
        return refusal
    wish = asked.wish
    return last(await ask(asked, "ws-flv" if wish.framed else "http-flv", wish.play))


def prepare(asked: Asked, media_type: str) -> web.Response | None:
    """Have the head of an answer at hand that is played; why there is none, if it is no proper request."""
    request, wish, dialogue = asked.request, asked.wish, asked.connection.session
    if wish.framed:
        key = accept_key(request.headers.get("Sec-WebSocket-Key", ""))
        if key is None or request.headers.get("Sec-WebSocket-Version") != _VERSION:
            text = f"This is no WebSocket of version {_VERSION}."
            return plain(HTTPStatus.UPGRADE_REQUIRED, text, {"Sec-WebSocket-Version": _VERSION})
        headers = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Accept": key}
        dialogue.head = answer_head(HTTPStatus.SWITCHING_PROTOCOLS, headers | dialogue.shared)
    else:
        # The end of the connection is that of the stream: so its bytes are the same for everybody.
        headers = {"Content-Type": media_type, "Cache-Control": "no-store", "Connection": "close"}
        dialogue.head = answer_head(HTTPStatus.OK, headers | dialogue.shared)
    dialogue.framed, dialogue.only = wish.framed, wish.only
    dialogue.part = read_part_wish(request)
    return None


async def look_for_stream(asked: Asked, media_type: str) -> web.StreamResponse:
    """Whether somebody publishes it, for who may play it."""
    try:
        key = await may_play(asked.connection, asked.wish)
    except Refused as refusal:
        return refused(refusal)
    return _live(asked, key, media_type) or unpublished()


async def _look(asked: Asked) -> web.StreamResponse:
    try:
        key = await may_play(asked.connection, asked.wish)
        found = _live(asked, key, MEDIA_TYPE)
        if found is not None:
            return found
        file = await asked.connection.context.library.open(key)
    except Refused as refusal:
        return refused(refusal)
    if file is None:
        return unpublished()
    file.close()
    part = part_of(file, read_part_wish(asked.request))
    return web.Response(status=part.status, headers=part.headers)


def _live(asked: Asked, key: StreamKey, media_type: str) -> web.Response | None:
    stream = asked.connection.context.registry.streams.get(key)
    if stream is None or stream.life is Life.IDLE:
        return None
    return web.Response(headers={"Content-Type": media_type, "Cache-Control": "no-store"})


async def _publish(asked: Asked) -> web.StreamResponse:
    connection = asked.connection
    refusal = await ask(asked, "http-flv", asked.wish.publish)
    if refusal is not None or connection.over:
        return last(refusal)
    await read_body(asked.request, connection)
    failure = connection.session.failure
    connection.end(CloseReason.FINISHED)
    answer = plain(*(failure or (HTTPStatus.OK, "The stream has ended.")))
    answer.force_close()
    return answer


async def ask(asked: Asked, protocol: str, event: Request) -> Refused | None:
    """As RTMP clients ask, who connect before."""
    connection = asked.connection
    refusal = await connection.introduce(asked.wish.connect, protocol)
    return refusal if refusal is not None or connection.over else await connection.ask(event)


def last(refusal: Refused | None) -> web.Response:
    """Why it was not granted. Without a refusal nobody reads it: the connection is a player's, or lost."""
    answer = web.Response() if refusal is None else refused(refusal)
    answer.force_close()
    return answer
