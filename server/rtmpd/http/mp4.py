"""Streams as MP4: endless files by GET, and fragments for a page's MediaSource by WebSocket."""

from __future__ import annotations

from dataclasses import replace
from http import HTTPStatus
from typing import Final

from rtmpd.engine.mp4_wire import Mp4Wish
from rtmpd.http.answers import plain
from rtmpd.http.asking import Asked
from rtmpd.http.live import ask, last, look_for_stream, prepare
from rtmpd.http.making import Maker, Order
from rtmpd.net.http import web
from rtmpd.packaging.fragment_rules import Cut, FragmentRules
from rtmpd.rtmp.constants import MessageType
from rtmpd.rtmp.url import clean_path, parse_query

ENDING: Final = ".mp4"
_METHODS: Final = "GET, HEAD, OPTIONS"
_PLAY_COST: Final = 8
"""Of one player more, beside what any request costs: what is cut for it begins with all of the cache."""
_LIVE: Final = -1.0
"""``PlayRequested.start``."""


class Mp4Answers:
    """For paths that end so."""

    def __init__(self, maker: Maker) -> None:
        self._maker = maker

    async def answer(self, asked: Asked) -> web.StreamResponse | None:
        """Who plays gets theirs by the player itself. None where there is no MP4."""
        request, wish = asked.request, asked.wish
        rules = self._maker.rules(clean_path(wish.connect.app, wish.name))
        if rules is None:
            return None
        if request.method == "POST":
            text = "MP4 is played here and not published: POST FLV, to the same path with .flv."
            return plain(HTTPStatus.METHOD_NOT_ALLOWED, text, {"Allow": _METHODS})
        media_type = "audio/mp4" if wish.only == MessageType.AUDIO else "video/mp4"
        if request.method == "HEAD":
            return await look_for_stream(asked, media_type)
        part = _part(parse_query(wish.query).get("fragment", rules.cut), rules)
        if part is None:
            text = "Write fragment=frame or fragment=part, or leave it out."
            return plain(HTTPStatus.BAD_REQUEST, text)
        await asked.connection.pay(_PLAY_COST)
        refusal = prepare(asked, media_type)
        if refusal is not None:
            return refusal
        asked.connection.session.mp4 = Order(Mp4Wish(only=wish.only, part=part), self._maker)
        event = replace(wish.play, start=_LIVE)
        return last(await ask(asked, "ws-mp4" if wish.framed else "http-mp4", event))


def _part(fragment: str, rules: FragmentRules) -> float | None:
    """Seconds of a fragment, 0 for one of each frame; None if it is neither."""
    match fragment:
        case Cut.FRAME:
            return 0.0
        case Cut.PART:
            return rules.part
        case _:
            return None
