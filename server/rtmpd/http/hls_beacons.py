"""Beacons: by them a page tells that somebody watches, and how well, where a CDN has all the rest."""

from __future__ import annotations

import json
import re
from http import HTTPStatus
from typing import Any, Final

from rtmpd.engine.sources import Life
from rtmpd.engine.stats import count
from rtmpd.exceptions import Refused
from rtmpd.http.answers import plain, refused, unpublished
from rtmpd.http.asking import Asked
from rtmpd.http.bodies import read_body
from rtmpd.http.hls import Hls
from rtmpd.http.hls_viewer import Viewer
from rtmpd.http.hls_viewers import ENTRY_COST
from rtmpd.http.lane import CDN_HEADER
from rtmpd.net.http import web
from rtmpd.serving.access import Action, name_stream

BEACON: Final = "/beacon"
"""Ends the path of a stream's."""
_MOST_BYTES: Final = 2048
_ID: Final = re.compile(r"[A-Za-z0-9_-]{16,64}")
_LONGEST_MS: Final = 60_000
"""One beacon tells of no more, and no more stalls than:"""
_MOST_STALLS: Final = 60


class HlsBeacons:
    """Answers them: ``{"viewer": "16 to 64 letters and digits", "watched_ms": 10000, "stalls": 0}``, or with
    the ``token`` of a playlist instead of a ``viewer``; with ``"left": true`` it is the last.
    """

    def __init__(self, hls: Hls) -> None:
        self._hls = hls

    async def answer(self, asked: Asked) -> web.StreamResponse | None:
        """What is said to a POST at the path of a stream's beacons."""
        if asked.request.method != "POST":
            return None
        try:
            body = await read_body(asked.request, _MOST_BYTES)
            told = _read(body)
        except ValueError as error:
            return plain(HTTPStatus.BAD_REQUEST, f"This is no beacon: {error}.")
        try:
            viewer = await self._viewer(asked, told)
        except Refused as refusal:
            return refused(refusal)
        if viewer is None:
            return unpublished()
        counts, now = self._hls.counts, self._hls.context().clock()
        count(counts.requests, "beacon")
        counts.player_stalls += _number(told, "stalls", _MOST_STALLS)
        counts.player_watched_ms += _number(told, "watched_ms", _LONGEST_MS)
        viewer.touch(now, len(body))
        if told.get("left") is True:
            viewer.leave()
        elif not viewer.begun:
            viewer.begin(now)
        return web.Response(status=HTTPStatus.NO_CONTENT, headers={"Cache-Control": "no-store"})

    async def _viewer(self, asked: Asked, told: dict[str, Any]) -> Viewer | None:
        """Who sends it. Raises ``Refused``; None where nobody publishes the stream."""
        asked = asked.of(asked.path.removesuffix(BEACON))
        hls, wish, connection = self._hls, asked.wish, asked.connection
        context = hls.context()
        key = name_stream(wish.connect.app, wish.name, Action.PLAY, context.apps, context.limits)
        token = told.get("token")
        if isinstance(token, str):
            token = token.partition(" ")[0]  # Who has no token is known by a name that has a space.
            return hls.viewers.find(token, key) or await hls.viewers.enter_again(connection, token, key)
        name = f"{key} {told['viewer']}"
        viewer = hls.viewers.find(name, key)
        stream = context.registry.streams.get(key)
        # Nothing is packaged before somebody has been let in.
        if viewer is not None or (hls.known(key) is None and (stream is None or stream.life is Life.IDLE)):
            return viewer
        is_cdn = hls.terms(key).is_cdn(asked.request.headers.get(CDN_HEADER, ""))
        if not is_cdn:
            await connection.pay(ENTRY_COST)
        return await hls.viewers.enter_as(connection, wish, name, key if is_cdn else None)


def _read(body: bytes) -> dict[str, Any]:
    """What it says. Raises ValueError with what is wrong with it."""
    try:
        told = dict(json.loads(body))
    except (ValueError, TypeError, RecursionError):
        raise ValueError("it is no object of JSON") from None
    token, viewer = told.get("token"), told.get("viewer")
    if not isinstance(token, str) and not (isinstance(viewer, str) and _ID.fullmatch(viewer)):
        raise ValueError("it names neither its viewer, by 16 to 64 letters and digits, nor its token")
    return told


def _number(told: dict[str, Any], name: str, most: int) -> int:
    value = told.get(name)
    return min(max(value, 0), most) if type(value) is int else 0
