"""What HLS has of a stream: playlists and files by their names, whatever is behind them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

from rtmpd.engine.key import StreamKey
from rtmpd.packaging.rendered import Rendered
from rtmpd.packaging.rendition import Rendition


class Package(ABC):
    """Of one stream, or of several that are variants of one."""

    def __init__(self, key: StreamKey) -> None:
        self.key = key
        self.over = False
        """Nothing is here any more: who asks for the stream finds another one."""
        self.problem = ""
        """Why there is nothing, a sentence for people; empty where the stream can be packaged."""

    @abstractmethod
    def wanted(self, now: float) -> None:
        """Somebody asks: it goes on."""

    @abstractmethod
    def multivariant(self, query: str = "") -> Rendered | None:
        """The playlist of all renditions, with ``query`` behind each URI; None until there is one."""

    @abstractmethod
    def on_ready(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Have ``callback`` called once there is a multivariant playlist, or will be none; call what is
        returned to hear nothing.
        """

    @abstractmethod
    def rendition(self, playlist: str) -> Rendition | None:
        """A rendition by the name of its playlist, without a query."""

    @abstractmethod
    def owner(self, name: str) -> Rendition | None:
        """The rendition to which media of that name belong."""

    @abstractmethod
    def drop(self) -> None:
        """Nobody has it any more."""

    def file(self, name: str) -> bytes | None:
        """An init segment, a segment or a part by its name, if it is in memory."""
        owner = self.owner(name)
        return None if owner is None else owner.file(name)

    def expects(self, name: str) -> bool:
        """Whether that file is the part that comes next."""
        owner = self.owner(name)
        return owner is not None and owner.expects(name)

    def read(self, name: str, done: Callable[[bytes | None], None]) -> bool:
        """Have ``done`` called with a segment that is on the drive, or None if it cannot be read; False if
        there is none of that name.
        """
        owner = self.owner(name)
        return owner is not None and owner.read(name, done)


class Waiting:
    """Callbacks that are called once."""

    __slots__ = ("_callbacks", "_number")

    def __init__(self) -> None:
        self._callbacks: dict[int, Callable[[], None]] = {}
        self._number = 0

    def add(self, callback: Callable[[], None]) -> Callable[[], None]:
        """One more; call what is returned to take it away."""
        self._number += 1
        number = self._number
        self._callbacks[number] = callback

        def cancel() -> None:
            self._callbacks.pop(number, None)

        return cancel

    def call(self) -> None:
        """Call all of them, and forget them."""
        callbacks, self._callbacks = self._callbacks, {}
        for callback in callbacks.values():
            callback()
