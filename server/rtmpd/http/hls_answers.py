"""Who may have which playlist and which file of HLS, and when: the answers to aiohttp's requests."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from rtmpd.engine.key import StreamKey
from rtmpd.engine.sink import CloseReason
from rtmpd.engine.sources import Life
from rtmpd.engine.stats import count
from rtmpd.exceptions import Refused
from rtmpd.http.answers import plain, refused, takes_gzip, unpublished
from rtmpd.http.asking import Asked
from rtmpd.http.hls import Hls
from rtmpd.http.hls_place import (
    MASTER,
    MASTER_OWN,
    MASTER_SHARED,
    MEDIA,
    MEDIA_NAME,
    HlsTerms,
    Place,
    piece_of,
)
from rtmpd.http.hls_query import SHOWN_AS, BadDirective, read_directives
from rtmpd.http.hls_viewer import Viewer
from rtmpd.http.hls_viewers import ENTRY_COST, watched_no_more
from rtmpd.http.lane import CDN_HEADER
from rtmpd.http.parts import range_of, read_part_wish
from rtmpd.http.permission import may_play
from rtmpd.http.pieces import Piece
from rtmpd.net.http import web
from rtmpd.reasons import Refusal
from rtmpd.rtmp.constants import StatusCode
from rtmpd.serving.access import Action, name_stream

if TYPE_CHECKING:
    from rtmpd.packaging.rendered import Rendered
    from rtmpd.packaging.rendition import Rendition

_READY: Final = 10.0
"""Seconds for which the first segment of a stream is waited for, and one from a drive."""

_TAKE_TIME: Final = 30.0
"""Seconds that a viewer has to take a segment from the drive."""


class HlsAnswers:
    """Each takes what is at its endings of paths."""

    def __init__(self, hls: Hls) -> None:
        self._hls = hls

    async def playlist(self, asked: Asked) -> web.StreamResponse | None:
        """What is at a path that ends in ``.m3u8``."""
        folder, _, name = asked.path.rpartition("/")
        if asked.request.method == "POST":
            return None
        if name != MASTER and "/" not in folder.strip("/"):  # NAME.m3u8, as other servers have it.
            return plain(HTTPStatus.NOT_FOUND, f"HLS of a stream is at /APP/NAME/{MASTER}.")
        of = self._master if name == MASTER else partial(self._media, name=name)
        return await _told(of(asked, folder))

    async def file(self, asked: Asked) -> web.StreamResponse | None:
        """The same of ``.mp4``, where that is a file of a playlist."""
        folder, _, name = asked.path.rpartition("/")
        if asked.request.method == "POST" or not MEDIA_NAME.fullmatch(name):
            return None
        try:
            place = self._hls.known(self._key(asked, folder))
            if place is None and self._is_published(self._key(asked, asked.path.removesuffix(MEDIA))):
                return None  # It is a stream that is called so.
        except Refused:
            return None
        return _gone() if place is None else await _told(self._file(asked, place, name))

    # Inside

    async def _master(self, asked: Asked, folder: str) -> web.StreamResponse | None:
        hls, wanted = self._hls, read_directives(_query(asked))
        key = self._key(asked, folder)
        terms = hls.terms(key)
        if not terms.enabled:
            return None
        viewer: Viewer | None = None
        if terms.cdn_secret:
            viewer = await self._cdn(asked, folder, terms)
        elif wanted.token:
            viewer = await self._viewer(asked, wanted.token, key)
        elif asked.request.method == "HEAD":
            return await self._look_for(asked, folder)
        else:
            await asked.connection.pay(ENTRY_COST)
            viewer = await hls.viewers.enter(asked.connection, asked.of(folder).wish, self._may_come)
            if viewer is None:
                return unpublished()
            if viewer.key != key:
                return _elsewhere(folder, viewer)
            await _started(asked, viewer, terms.pull_patience)
        place = hls.find(key)
        if place is None:
            if viewer is not None:
                viewer.leave(CloseReason.NOT_FOUND)
            return unpublished()
        known = viewer is not None and not terms.cdn_secret
        rendered = await _ready(asked, place, f"?{SHOWN_AS}={viewer.token}" if viewer and known else "")
        if rendered is None:
            text = place.package.problem or "Nothing of this stream has come that could be shown."
            return plain(HTTPStatus.SERVICE_UNAVAILABLE, text, {"Retry-After": "1"})
        count(hls.counts.requests, "multivariant")
        self._remember(asked, place)
        if viewer is not None and terms.cdn_secret:
            viewer.touch(hls.context().clock(), 0)
        kind = MASTER_OWN if known else MASTER_SHARED
        return _answer(asked, piece_of(rendered, kind, gzip=takes_gzip(asked.request)))

    async def _media(self, asked: Asked, folder: str, name: str) -> web.StreamResponse:
        hls, wanted = self._hls, read_directives(_query(asked))
        key = self._key(asked, folder)
        terms = hls.terms(key)
        viewer: Viewer | None = None
        if terms.cdn_secret:
            viewer = await self._cdn(asked, folder, terms)
        else:
            viewer = await self._viewer(asked, wanted.token, key)
        place = hls.known(key) or hls.find(key)
        if place is None:
            return unpublished()
        rendition = place.package.rendition(name)
        if rendition is None:
            return plain(HTTPStatus.NOT_FOUND, f"There is no such playlist: they are in {MASTER}.")
        in_time = place.has(rendition, wanted)
        if not in_time:
            in_time = await self._wait(asked, rendition, partial(place.has, rendition, wanted))
            if viewer is not None and viewer.dismissed:
                raise watched_no_more()
            if place.package.over:
                return unpublished()
        self._remember(asked, place)
        piece = place.playlist(rendition, wanted, viewer, gzip=takes_gzip(asked.request), in_time=in_time)
        hls.note_playlist(place, rendition, viewer, len(asked.request.raw_path), len(piece.body))
        return _answer(asked, piece)

    async def _file(self, asked: Asked, place: Place, name: str) -> web.StreamResponse:
        if place.terms.cdn_secret:
            _check_cdn(asked, place.terms)
        elif place.terms.protect:
            await self._viewer(asked, read_directives(_query(asked)).token, place.key)
        if place.holds_back(name) and (owner := place.package.owner(name)) is not None:
            await self._wait(asked, owner, lambda: not place.holds_back(name))
        piece = place.file(name)
        if piece is None:
            return await self._from_drive(asked, place, name)
        self._remember(asked, place)
        self._hls.note_file(place, len(piece.body))
        return _answer(asked, piece)

    async def _from_drive(self, asked: Asked, place: Place, name: str) -> web.StreamResponse:
        piece = await _stored(asked, place, name)
        if piece is None:
            return _gone()
        size = len(piece.body)
        self._hls.note_file(place, size)
        answer = _answer(asked, piece)
        answer.headers.update(asked.connection.session.shared)
        budget = self._hls.context().registry.budget
        # Unlike what is in memory, this is held for one viewer alone.
        budget.charge_queues(size)
        try:
            async with asyncio.timeout(_TAKE_TIME):
                await answer.prepare(asked.request)
                await answer.write_eof()
        except TimeoutError:
            asked.connection.abort(CloseReason.SLOW)
        finally:
            budget.charge_queues(-size)
        return answer

    async def _wait(self, asked: Asked, rendition: Rendition, ready: Callable[[], bool]) -> bool:
        """Whether it is there in time. Raises ``Refused``."""
        waiting: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

        def done(in_time: bool) -> None:
            if not waiting.done():
                waiting.set_result(in_time)

        wait = self._hls.waits.begin(rendition, asked.connection.origin.network, ready, done)
        try:
            await asked.connection.wait_for(waiting)
        finally:
            wait.cancel()
        return waiting.done() and waiting.result()

    async def _look_for(self, asked: Asked, folder: str) -> web.StreamResponse:
        key = await may_play(asked.connection, asked.of(folder).wish)
        return web.Response(headers=MASTER_OWN.headers) if self._is_live(key) else unpublished()

    async def _cdn(self, asked: Asked, folder: str, terms: HlsTerms) -> Viewer | None:
        """It is a CDN, which is a viewer where a stream is fetched for those. Raises ``Refused``."""
        _check_cdn(asked, terms)
        if not terms.pull_patience:
            return None
        viewers, key = self._hls.viewers, self._key(asked, folder)
        viewer = await viewers.enter_cdn(asked.connection, asked.of(folder).wish, key)
        await _started(asked, viewer, terms.pull_patience)
        return viewer

    async def _viewer(self, asked: Asked, token: str, key: StreamKey) -> Viewer:
        """Who shows ``token``. Raises ``Refused``."""
        viewer = self._hls.viewers.find(token, key)
        return viewer or await self._hls.viewers.enter_again(asked.connection, token, key)

    def _may_come(self, key: StreamKey) -> bool:
        return self._is_live(key) or self._hls.terms(key).pull_patience > 0

    def _is_live(self, key: StreamKey) -> bool:
        """Somebody publishes it, or a variant of it."""
        return self._is_published(key) or self._hls.find(key) is not None

    def _is_published(self, key: StreamKey) -> bool:
        stream = self._hls.context().registry.streams.get(key)
        return stream is not None and stream.life is not Life.IDLE

    def _key(self, asked: Asked, folder: str) -> StreamKey:
        context, wish = self._hls.context(), asked.of(folder).wish
        return name_stream(wish.connect.app, wish.name, Action.PLAY, context.apps, context.limits)

    def _remember(self, asked: Asked, place: Place) -> None:
        """Who asks is no stranger, and asks again: then without aiohttp."""
        request, connection = asked.request, asked.connection
        connection.identified("playing")
        self._hls.remember(request.raw_path.partition("?")[0].rpartition("/")[0], place)
        asked.lane.learn(request, connection.origin, connection.session.shared)


async def _told(answer: Awaitable[web.StreamResponse | None]) -> web.StreamResponse | None:
    try:
        return await answer
    except Refused as refusal:
        return refused(refusal)
    except BadDirective as error:
        return plain(HTTPStatus.BAD_REQUEST, str(error))


async def _started(asked: Asked, viewer: Viewer, patience: float) -> None:
    """Who comes for a stream that is fetched has it fetched."""
    if not patience or viewer.is_live:
        return
    coming: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    viewer.on_start = lambda: None if coming.done() else coming.set_result(None)
    await asked.connection.wait_for(coming, patience)


async def _ready(asked: Asked, place: Place, query: str) -> Rendered | None:
    """The playlist of playlists, once it is there."""
    package = place.package
    rendered = package.multivariant(query)
    if rendered is not None:
        return rendered
    coming: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    cancel = package.on_ready(lambda: None if coming.done() else coming.set_result(None))
    try:
        await asked.connection.wait_for(coming, _READY)
    finally:
        cancel()
    return package.multivariant(query)


async def _stored(asked: Asked, place: Place, name: str) -> Piece | None:
    """A segment from a drive."""
    coming: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()

    def done(data: bytes | None) -> None:
        if not coming.done():
            coming.set_result(data)

    if not place.package.read(name, done):
        return None
    await asked.connection.wait_for(coming, _READY)
    data = coming.result() if coming.done() else None
    return None if data is None else place.file_of(name, data)


def _answer(asked: Asked, piece: Piece) -> web.StreamResponse:
    headers = dict(piece.kind.headers)
    if piece.gzipped:
        headers["Content-Encoding"] = "gzip"
    if not piece.tag:
        return web.Response(body=piece.body, headers=headers)
    tag = headers["ETag"] = f'"{piece.tag}"'
    wish, size = read_part_wish(asked.request), len(piece.body)
    if wish.if_none_match == tag:
        return web.Response(status=HTTPStatus.NOT_MODIFIED, headers=headers)
    first, last = range_of(wish, size, {tag})
    if (first, last) == (0, size - 1):
        return web.Response(body=piece.body, headers=headers)
    if first > last:
        headers["Content-Range"] = f"bytes */{size}"
        return web.Response(status=HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, headers=headers)
    headers["Content-Range"] = f"bytes {first}-{last}/{size}"
    body = piece.body[first : last + 1]
    return web.Response(status=HTTPStatus.PARTIAL_CONTENT, body=body, headers=headers)


def _elsewhere(folder: str, viewer: Viewer) -> web.StreamResponse:
    """It was led to another stream."""
    up = "../" * folder.strip("/").count("/") + "../"
    where = f"{up}{quote(str(viewer.key))}/{MASTER}?{SHOWN_AS}={viewer.token}"
    return plain(HTTPStatus.FOUND, "This stream is another one here.", {"Location": where})


def _gone() -> web.StreamResponse:
    return plain(HTTPStatus.NOT_FOUND, "This part of the stream is kept no more, or never was.")


def _check_cdn(asked: Asked, terms: HlsTerms) -> None:
    if not terms.is_cdn(asked.request.headers.get(CDN_HEADER, "")):
        text = "This server has this stream for its CDN alone."
        raise Refused(StatusCode.PLAY_FAILED, text, Refusal.NOT_THE_CDN)


def _query(asked: Asked) -> str:
    return asked.request.raw_path.partition("?")[2]
