"""What is played that is not live: the joint to whoever keeps it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from rtmpd.engine.key import StreamKey
from rtmpd.engine.packet import Packet
from rtmpd.engine.vod import Block, Place


class VodFile(Protocol):
    """A file that one player plays. Nothing here blocks; whoever has it closes it."""

    @property
    def patience(self) -> float:
        """Seconds for which its player may be paused, at the end, or read nothing."""

    @property
    def duration(self) -> int:
        """How long it is (ms); 0 where nobody knows."""

    @property
    def codecs(self) -> str:
        """For a log line, such as ``avc1+mp4a``."""

    @property
    def opening(self) -> list[Packet]:
        """Metadata and headers, as they stand at its beginning."""

    @property
    def start(self) -> Place:
        """Its beginning."""

    def locate(self, position: int, done: Callable[[Place | Exception], None]) -> None:
        """Find where to begin so that a player can show what is at ``position`` (ms): a key frame before it.

        ``done`` is called with that, at once or later.
        """

    def read(self, cursor: int, until: int, done: Callable[[Block | Exception], None]) -> None:
        """Read a piece: what is not later than ``until`` (ms), and not too much at once.

        ``done`` is called with it, later. One read at a time.
        """

    @property
    def size(self) -> int:
        """Bytes of the file."""

    @property
    def changed(self) -> float:
        """When it was (Unix time)."""

    @property
    def tag(self) -> str:
        """Another one if there is anything else in it."""

    def read_bytes(self, offset: int, size: int, done: Callable[[bytes | Exception], None]) -> None:
        """Read what is in the file; less at its end. ``done`` is called with it, later; one at a time."""

    def close(self) -> None:
        """It is played no more."""


class Library(Protocol):
    """Whoever has the files."""

    def offers(self, key: StreamKey) -> bool:
        """Whether anything of that app may be there; says so at once."""

    async def open(self, key: StreamKey) -> VodFile | None:
        """The file of that name, if there is one. Raises ``Refused`` where it cannot be played."""


class NoVod:
    """The library of who keeps nothing."""

    def offers(self, _key: StreamKey) -> bool:
        """Never."""
        return False

    async def open(self, _key: StreamKey) -> VodFile | None:
        """Never."""
        return None
