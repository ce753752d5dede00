"""What there is of a packaged stream, and who may have it: the same for every way that a request comes by."""

from __future__ import annotations

import hmac
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from rtmpd.engine.key import StreamKey
from rtmpd.http.hls_query import SHOWN_AS, Directives, check_ahead, is_there
from rtmpd.http.hls_viewer import Viewer
from rtmpd.http.pieces import Kind, Piece
from rtmpd.packaging.rules import RUN

if TYPE_CHECKING:
    from rtmpd.packaging.package import Package
    from rtmpd.packaging.rendered import Rendered
    from rtmpd.packaging.rendition import Rendition

PATIENCE: Final = 20.0
"""Of a place, at least: players ask for a playlist once a target duration."""
MASTER: Final = "index.m3u8"
"""Of every stream, the playlist that names the others."""
PLAYLIST: Final = ".m3u8"
MEDIA: Final = ".mp4"
MEDIA_NAME: Final = re.compile(rf".+_{RUN}_(?:init_)?[0-9]+(?:_[0-9]+)?\.mp4")
"""Of every file of media; what is called otherwise is none of HLS."""


@dataclass(frozen=True, slots=True)
class HlsTerms:
    """What the settings say of a stream."""

    enabled: bool = True
    """Whoever comes may have it by HLS; those who watch go on without."""
    protect: bool = False
    """Media is for viewers alone, too: every request carries a token."""
    cdn_secret: str = ""
    """Whoever shows it in ``CDN_HEADER`` is the CDN, which everybody else asks; empty is none."""
    pull_patience: float = 0.0
    """Seconds for which a publisher is waited for, who may come because somebody wants to watch."""

    def is_cdn(self, secret: str) -> bool:
        """Whether who shows that is the CDN."""
        shown = secret.encode(errors="surrogateescape")
        return bool(self.cdn_secret) and hmac.compare_digest(shown, self.cdn_secret.encode())


_PLAYLIST: Final = {"Content-Type": "application/vnd.apple.mpegurl", "Vary": "Accept-Encoding"}
_MEDIA: Final = {"Content-Type": "video/mp4", "Accept-Ranges": "bytes"}
_MONTH: Final = 2_592_000
MASTER_OWN: Final = Kind({**_PLAYLIST, "Cache-Control": "no-store"})
"""It is somebody's own: there is a token in it."""
MASTER_SHARED: Final = Kind({**_PLAYLIST, "Cache-Control": "max-age=1"})
AS_IT_IS: Final = Kind({**_PLAYLIST, "Cache-Control": "max-age=1"})
WANTED: Final = Kind({**_PLAYLIST, "Cache-Control": "max-age=6"})
"""Whoever asks for the same segment and part may have it: it has both."""
TOO_LATE: Final = Kind({**_PLAYLIST, "Cache-Control": "no-store"})
"""What was waited for has not come."""
FILE: Final = Kind({**_MEDIA, "Cache-Control": f"public, max-age={_MONTH}, immutable"})
OWN_FILE: Final = Kind({**_MEDIA, "Cache-Control": f"private, max-age={_MONTH}, immutable"})


class Place:
    """One stream that is packaged now."""

    __slots__ = ("package", "patience", "terms")

    def __init__(self, package: Package, terms: HlsTerms) -> None:
        self.package = package
        self.terms = terms
        """As they are now."""
        self.patience = PATIENCE
        """Seconds without a request for a playlist, or a beacon, after which a viewer has left."""

    @property
    def key(self) -> StreamKey:
        return self.package.key

    def holds_back(self, name: str) -> bool:
        """Whether a file of that name is the part that comes next, and has not come."""
        package = self.package
        return not package.over and package.file(name) is None and package.expects(name)

    def has(self, rendition: Rendition, wanted: Directives) -> bool:
        """Whether the playlist has what is wanted, or nothing comes any more. Raises ``BadDirective``."""
        if wanted.msn is None or rendition.ended or self.package.over:
            return True
        position = rendition.position()
        check_ahead(wanted, position, rendition.part_target or rendition.target_duration)
        return is_there(wanted, position, rendition.parts_of(wanted.msn))

    def playlist(
        self,
        rendition: Rendition,
        wanted: Directives,
        viewer: Viewer | None,
        *,
        gzip: bool,
        in_time: bool = True,
    ) -> Piece:
        """As it is now."""
        rendered = rendition.playlist(wanted.skip)
        self.patience = max(PATIENCE, 3 * rendition.target_duration)
        kind = TOO_LATE if not in_time else AS_IT_IS if wanted.msn is None else WANTED
        if self.terms.protect and viewer is not None and not self.terms.cdn_secret:
            return Piece(kind, rendered.plain.replace(b".mp4", f".mp4?{SHOWN_AS}={viewer.token}".encode()))
        return piece_of(rendered, kind, gzip=gzip)

    def file(self, name: str) -> Piece | None:
        """Media of that name, if it is held."""
        data = self.package.file(name)
        return None if data is None else self.file_of(name, data)

    def file_of(self, name: str, data: bytes) -> Piece:
        """That is in it."""
        return Piece(OWN_FILE if self.terms.protect else FILE, data, tag=name)


def piece_of(rendered: Rendered, kind: Kind, *, gzip: bool) -> Piece:
    """A playlist as it is told to whoever takes it so."""
    return Piece(kind, rendered.gzipped, gzipped=True) if gzip else Piece(kind, rendered.plain)
