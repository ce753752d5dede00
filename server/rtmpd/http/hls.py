"""Streams by HLS: what is packaged, who watches, and what is counted of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Protocol

from rtmpd.engine.key import StreamKey
from rtmpd.engine.stats import count
from rtmpd.http.hls_counts import HlsCounts
from rtmpd.http.hls_place import PATIENCE, HlsTerms, Place
from rtmpd.http.hls_tokens import TokenMint
from rtmpd.http.hls_viewer import Viewer
from rtmpd.http.hls_viewers import Viewers
from rtmpd.http.hls_waits import Waits
from rtmpd.serving.peer import ServerContext

if TYPE_CHECKING:
    from rtmpd.packaging.package import Package
    from rtmpd.packaging.rendition import Rendition

_MOST_FOLDERS: Final = 10_000
_LONGEST_FOLDER: Final = 1024
"""Bytes; what is spelled longer is asked for by aiohttp each time."""
_FOLDER_BYTES: Final = 128
"""What one costs besides."""


class Packages(Protocol):
    """Whoever packages streams."""

    def find(self, key: StreamKey, now: float, /) -> Package | None:
        """That of a stream, begun if there is none; None where nobody publishes it, or it may not be."""


class Hls:
    """All of it, of one server."""

    def __init__(
        self,
        context: Callable[[], ServerContext],
        packages: Packages,
        terms: Callable[[StreamKey], HlsTerms],
        mint: TokenMint,
    ) -> None:
        """``context()`` and ``terms(key)`` are what holds now."""
        there = context()
        self.context = context
        self.terms = terms
        self.counts = HlsCounts()
        self.viewers = Viewers(context, mint)
        self.waits = Waits(there.registry.budget, self.counts, there.clock)
        self._packages = packages
        self._places: dict[StreamKey, Place] = {}
        self._folders: dict[str, Place] = {}
        """The same by the paths that requests have for them, as they come, ``http.prefix`` included."""

    def look(self) -> None:
        """Once a second: end what is over, follow other settings."""
        now = self.context().clock()
        self.waits.look(now)
        self.viewers.look(now, self._patience)
        places = self._places.items()
        self._places = {key: place for key, place in places if not place.package.over}
        for key, place in self._places.items():
            place.terms = self.terms(key)
        for path in [path for path, place in self._folders.items() if place.package.over]:
            self._forget(path)

    def close(self) -> None:
        """The server ends: so do all who watch."""
        self.viewers.end_all()
        self._places.clear()
        for path in list(self._folders):
            self._forget(path)

    def find(self, key: StreamKey) -> Place | None:
        """That stream as it is live now, packaged from now on if it can be."""
        package = self._packages.find(key, self.context().clock())
        if package is None:
            return None
        place = self.known(key)
        if place is None or place.package is not package:
            place = self._places[key] = Place(package, self.terms(key))
        return place

    def known(self, key: StreamKey) -> Place | None:
        """That stream, if it is packaged already: it may have ended, and be live anew."""
        place = self._places.get(key)
        return None if place is None or place.package.over else place

    def remember(self, folder: str, place: Place) -> None:
        """Requests call it so; there are many ways to, of which the last are known."""
        if folder in self._folders:
            self._folders[folder] = place
        elif len(folder) <= _LONGEST_FOLDER:
            if len(self._folders) >= _MOST_FOLDERS:
                self._forget(next(iter(self._folders)))
            self._folders[folder] = place
            self._charge(len(folder) + _FOLDER_BYTES)

    def remembered(self, folder: str) -> Place | None:
        """What they have called so before."""
        place = self._folders.get(folder)
        return None if place is None or place.package.over else place

    def note_file(self, place: Place, size: int) -> None:
        """So many bytes of media are sent, to one of those who watch."""
        counts = self.counts
        counts.bytes_out += size
        count(counts.requests, "media")
        context = self.context()
        place.package.wanted(context.clock())
        context.stats.bytes_out += size
        stream = context.registry.streams.get(place.key)
        if stream is not None:
            stream.stats.totals.bytes_out += size

    def note_playlist(
        self, place: Place, rendition: Rendition, viewer: Viewer | None, asked: int, size: int
    ) -> None:
        """The playlist of a rendition, of so many bytes, is sent for a request of ``asked``."""
        counts, context = self.counts, self.context()
        counts.bytes_out += size
        count(counts.requests, "playlist")
        now = context.clock()
        place.package.wanted(now)
        context.stats.bytes_out += size
        if viewer is not None and not viewer.over:
            viewer.touch(now, asked)
            viewer.offer(rendition.name, rendition.shelf.made_bytes)
            if not viewer.begun:
                viewer.begin(now)

    def _forget(self, folder: str) -> None:
        del self._folders[folder]
        self._charge(-len(folder) - _FOLDER_BYTES)

    def _charge(self, size: int) -> None:
        self.context().registry.budget.charge_partials(size)

    def _patience(self, key: StreamKey) -> float:
        place = self._places.get(key)
        return PATIENCE if place is None else place.patience
