"""Who reads a connection's socket: its transport as bytes come, the sweeper in rounds, or for now nobody."""

from __future__ import annotations

import asyncio
import os
import socket
from typing import Final, Protocol

from rtmpd.serving.sweeper import Sweeper

_READ_SIZE: Final = 64 * 1024
_MAX_READS: Final = 16
"""Of one connection before the sweeper goes on to others, so that a fast one does not hold them up."""


class Source(Protocol):
    """The connection that a socket belongs to."""

    @property
    def watched(self) -> bool:
        """Somebody waits for what it sends."""

    def data_received(self, data: bytes) -> None:
        """What was read in a round."""

    def resume(self) -> None:
        """The time that ``SocketReader.hold`` was given is over."""

    def reading_failed(self, error: Exception) -> None:
        """A bug of ours: log it and close."""


class SocketReader:
    """Reads for a connection, and stops while it is told to. One of the sweeper's members."""

    __slots__ = ("_holding", "_source", "_sweeper", "_transport", "_wanted", "fileno", "reading", "swept")

    def __init__(self, source: Source, transport: asyncio.Transport, sweeper: Sweeper) -> None:
        self.fileno = -1
        """What the sweeper reads from, once it may."""
        self.reading = True
        """We want what the peer sends; whether it is the transport that reads is for ``swept`` to say."""
        self.swept = False
        """The sweeper reads the socket, the transport does not."""
        self._source: Source | None = source
        self._transport = transport
        self._sweeper = sweeper
        self._wanted = True
        self._holding: asyncio.TimerHandle | None = None

    # For the connection

    @property
    def held(self) -> bool:
        """Nothing is read because the peer has sent too much; it cannot be late with more."""
        return self._holding is not None

    def want(self, wanted: bool) -> None:
        """Read from now on, or do not; ``hold`` has the last word."""
        self._wanted = wanted
        self._steer()

    def hold(self, delay: float) -> None:
        """Read nothing for ``delay`` seconds, or for what is left of a longer delay."""
        loop = asyncio.get_running_loop()
        if self._holding is not None:
            if self._holding.when() >= loop.time() + delay:
                return
            self._holding.cancel()
        self._holding = loop.call_later(delay, self._go_on)
        self._steer()

    def join_rounds(self) -> None:
        """Be read in rounds, once enough are; but for TLS, which only the transport can make sense of."""
        if self._transport.get_extra_info("sslcontext") is None:
            sock: socket.socket = self._transport.get_extra_info("socket")
            self.fileno = sock.fileno()
            self._sweeper.add(self)

    def leave_rounds(self) -> None:
        """Be read by the transport again."""
        self._sweeper.remove(self)

    def read_now(self) -> None:
        """Read what waits for the next round."""
        self._sweeper.read_now(self)

    def close(self) -> None:
        """Read nothing more for the connection, which is let go of; the transport is left to its owner."""
        self.leave_rounds()  # The file descriptor may become another connection's.
        if self._holding is not None:
            self._holding.cancel()
            self._holding = None
        self._source = None

    # For the sweeper

    @property
    def watched(self) -> bool:
        return self._source is not None and self._source.watched

    def begin_sweeping(self) -> None:
        self.swept = True
        if self.reading:
            self._transport.pause_reading()

    def end_sweeping(self) -> None:
        self.swept = False
        if self.reading:
            self._transport.resume_reading()

    def sweep(self) -> bool:
        for _ in range(_MAX_READS):
            # What was read last may have ended the publish, asked for something, or been too much.
            source = self._source
            if source is None or not (self.swept and self.reading):
                return False
            try:
                data = os.read(self.fileno, _READ_SIZE)
            except BlockingIOError:
                return False
            except OSError:
                # The kernel says it once: the transport would hear of an orderly end.
                self.leave_rounds()
                self._transport.abort()
                return False
            if not data:
                self.leave_rounds()  # The transport meets the end of the stream as well.
                return False
            source.data_received(data)
            if len(data) < _READ_SIZE:
                return False
        return self.swept and self.reading

    def sweep_failed(self, error: Exception) -> None:
        if self._source is not None:
            self._source.reading_failed(error)

    # Inside

    def _steer(self) -> None:
        reading = self._wanted and self._holding is None
        if reading != self.reading:
            self.reading = reading
            if self.swept:
                return
            if reading:
                self._transport.resume_reading()
            else:
                self._transport.pause_reading()

    def _go_on(self) -> None:
        self._holding = None
        self._steer()
        if self._source is not None:
            self._source.resume()
