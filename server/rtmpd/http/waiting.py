"""What a client has sent that waits: to be a whole request, or for its answer. So much of it and no more."""

from __future__ import annotations

from typing import Final

from rtmpd.net.http import StreamReader

MOST_BYTES: Final = 64 * 1024
"""Of requests without their bodies, which are read no faster than they are wanted."""


class Waiting:
    """Counts them, of one connection."""

    __slots__ = ("_answered", "_answering", "_body", "_heads", "held")

    def __init__(self) -> None:
        self.held = 0
        """Bytes, those of bodies included."""
        self._heads = 0
        """The same without them."""
        self._answered = 0
        """Requests."""
        self._answering = False
        self._body: StreamReader | None = None
        """Of the request that is answered just now."""

    def come(self, size: int) -> None:
        """So many bytes more, or less: they are seen to."""
        self.held += size
        if not self._reads_body:
            self._heads += size

    def begin(self, body: StreamReader) -> None:
        """A request is answered from now on, and what comes next is of its ``body``, if that is not whole."""
        self._answering, self._body = True, body
        if self._reads_body:
            self._heads = 0

    def end(self, whole: int) -> None:
        """It has its answer, of so many that were ``whole`` since the connection began."""
        self._answered += 1
        self._answering, self._body = False, None
        if self._answered >= whole:
            self.held = self._heads = 0

    def is_too_much(self, whole: int) -> bool:
        """Whether the next request is too long, or too many wait behind one that is answered."""
        next_is_here = not self._answering and self._answered < whole
        return self._heads > MOST_BYTES and not (next_is_here or self._reads_body)

    @property
    def _reads_body(self) -> bool:
        return self._body is not None and not self._body.is_eof()


class Tail:
    """Takes what had come behind the request."""

    def __init__(self) -> None:
        self.data = b""

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        self.data += data
        return False, b""

    def feed_eof(self) -> None:
        """The connection is not over."""
