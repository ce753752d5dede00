"""What settings say of the page of a stream."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from rtmpd.engine.key import StreamKey
from rtmpd.net.static_files import StaticFile


class Told(StrEnum):
    """Who is told something of a stream."""

    NOBODY = "nobody"
    PLAYERS = "players"
    """Who may play it."""
    ANYONE = "anyone"


@dataclass(frozen=True, slots=True)
class PageRules:
    """Those of one stream."""

    enabled: bool = True
    """There is a page."""
    title: str = ""
    """Empty is the name of the stream."""
    text: str = ""
    """Below the player."""
    logo: StaticFile | None = None
    frame_ancestors: tuple[str, ...] = ()
    """Pages that may show it within theirs, as origins; ``*`` is all."""
    status: Told = Told.PLAYERS
    """Who hears whether it is live."""
    viewers: bool = False
    """They hear how many watch, too."""
    picture: Told = Told.NOBODY
    """Who gets the newest picture."""
    rewind: float = 0.0
    """Seconds that players may go back."""
    dvr: float = 0.0
    """Seconds that playlists of HLS go back."""
    variants: tuple[str, ...] = ()
    """Streams that are variants of this one by HLS, which the page prefers then: names, as ``variants_of``
    takes them."""
    ways: tuple[str, ...] = ("mp4", "hls")
    """How browsers may play it: fragments by WebSocket, and HLS."""
    cdn: bool = False
    """HLS comes through a CDN, which the page prefers then and tells who watches."""


class PictureMaker(Protocol):
    """Makes pictures of streams; ``outputs.clips.Clips`` is one."""

    def picture(self, key: StreamKey) -> Awaitable[bytes | None]:
        """The newest key frame as a JPEG, None if there is none. Raises ControlError where it cannot be made,
        or not now.
        """
        ...
