"""The same answers as of ``hls_answers``, on the fast way: what is known already, or comes next."""

from __future__ import annotations

from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from rtmpd.exceptions import Refused
from rtmpd.http.answers import UNPUBLISHED
from rtmpd.http.hls import Hls
from rtmpd.http.hls_place import MASTER, MEDIA, PLAYLIST, Place
from rtmpd.http.hls_query import BadDirective, Directives, read_directives
from rtmpd.http.hls_viewer import Viewer
from rtmpd.http.hls_viewers import cdn_name, watched_no_more
from rtmpd.http.lane import Known, Lane

if TYPE_CHECKING:
    from rtmpd.packaging.rendition import Rendition


_LONGEST: Final = 2048
"""Characters of a target, as of a query elsewhere."""


class QuickHls:
    """As the ``Answerer`` of lanes. Whatever is not as usual is left to aiohttp, which says what is wrong."""

    def __init__(self, hls: Hls) -> None:
        self._hls = hls

    def answer(self, lane: Lane, target: str, known: Known, size: int) -> bool:
        """Answer a request for ``target``, now or when there is something; False is none of it."""
        if len(target) > _LONGEST:
            return False
        path, _, query = target.partition("?")
        folder, _, name = path.rpartition("/")
        place = self._hls.remembered(folder)
        if place is None or (place.terms.cdn_secret and not place.terms.is_cdn(known.secret)):
            return False
        try:
            if name.endswith(MEDIA):
                return self._file(lane, place, name, query, known)
            if name.endswith(PLAYLIST) and name != MASTER:
                return self._playlist(lane, place, name, query, known, size)
        except (Refused, BadDirective):
            pass
        return False

    # Inside

    def _file(self, lane: Lane, place: Place, name: str, query: str, known: Known) -> bool:
        terms = place.terms
        if terms.protect and not terms.cdn_secret:
            token = read_directives(query).token
            if self._hls.viewers.find(token, place.key) is None:
                return False
        if place.package.file(name) is not None:
            self._send_file(lane, place, name, known, in_time=True)
            return True
        owner = place.package.owner(name) if place.holds_back(name) else None
        if owner is None:
            return False

        def done(in_time: bool) -> None:
            self._send_file(lane, place, name, known, in_time=in_time)

        waits = self._hls.waits
        lane.wait(waits.begin(owner, known.origin.network, lambda: not place.holds_back(name), done))
        return True

    def _send_file(self, lane: Lane, place: Place, name: str, known: Known, *, in_time: bool) -> None:
        piece = place.file(name)
        if piece is None:
            text = "This part of the stream has not come." if in_time else "This part does not come in time."
            lane.refuse(HTTPStatus.NOT_FOUND, text, known)
            return
        self._hls.note_file(place, len(piece.body))
        lane.write(piece, known)

    def _playlist(self, lane: Lane, place: Place, name: str, query: str, known: Known, size: int) -> bool:
        wanted = read_directives(query)
        rendition = place.package.rendition(name)
        token = cdn_name(place.key) if place.terms.cdn_secret else wanted.token
        viewer = self._hls.viewers.find(token, place.key)
        if rendition is None:
            return False
        if viewer is None and (not place.terms.cdn_secret or place.terms.pull_patience):
            return False
        send = partial(self._send_playlist, lane, place, rendition, wanted, viewer, known, size)
        if place.has(rendition, wanted):
            send(in_time=True)
            return True

        def done(in_time: bool) -> None:
            send(in_time=in_time)

        waits, ready = self._hls.waits, partial(place.has, rendition, wanted)
        lane.wait(waits.begin(rendition, known.origin.network, ready, done))
        return True

    def _send_playlist(
        self,
        lane: Lane,
        place: Place,
        rendition: Rendition,
        wanted: Directives,
        viewer: Viewer | None,
        known: Known,
        size: int,
        *,
        in_time: bool,
    ) -> None:
        if viewer is not None and viewer.dismissed:
            lane.refuse(HTTPStatus.FORBIDDEN, watched_no_more().description, known)
            return
        if place.package.over:
            lane.refuse(HTTPStatus.NOT_FOUND, UNPUBLISHED, known)
            return
        piece = place.playlist(rendition, wanted, viewer, gzip=known.gzip, in_time=in_time)
        self._hls.note_playlist(place, rendition, viewer, size, len(piece.body))
        lane.write(piece, known)
