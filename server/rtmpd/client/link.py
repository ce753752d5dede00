"""A client's TCP connection: an asyncio protocol around a ClientSession."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final, Protocol, TypeVar, cast

from rtmpd.exceptions import ClientError, ConnectionClosed, ConnectionLost, RequestTimeout
from rtmpd.net.closing import close_our_side
from rtmpd.net.socket_options import limit_unsent, set_keepalive
from rtmpd.net.wire_tap import WireTap
from rtmpd.rtmp.client import ClientSession
from rtmpd.rtmp.events import ClientEvent, SessionFailed

T = TypeVar("T")

_RECHECK: Final = 5.0
"""Seconds between looks at the session's deadlines."""
_YIELD_BYTES: Final = 256 * 1024
"""Bytes after which a sender that never has to wait lets others run."""
_MAX_UNREAD_ANSWERS: Final = 64 * 1024
"""Bytes of answers to a server that reads nothing: one that asks on without reading is after our memory."""
_PACE: Final = 0
"""Holds reading while the server sends more than it may; streams have numbers from 1 on."""


class DirectWriter(Protocol):
    """Writes encoded media to the link's transport by itself, and follows its flow control."""

    def pause_writing(self) -> None:
        """``send_buffer_bytes`` are unsent."""

    def resume_writing(self) -> None:
        """A quarter of that is left."""

    def connection_lost(self) -> None:
        """Nothing can be written any more."""


class Link(asyncio.Protocol):
    """Moves bytes between a transport and a ``ClientSession``, and hands on what the session reports.

    ``on_lost(error)`` is called once, after the last event, also when we closed the connection ourselves.
    """

    transport: asyncio.Transport

    def __init__(
        self,
        session: ClientSession,
        *,
        send_buffer_bytes: int,
        on_event: Callable[[ClientEvent], None],
        on_lost: Callable[[ClientError], None],
        tap: WireTap | None = None,
    ) -> None:
        self.session = session if tap is None else tap.on_session(session)
        self.error: ClientError | None = None
        """Why nothing can be sent any more."""
        self.writer: DirectWriter | None = None
        self._tap = tap
        self._loop = asyncio.get_running_loop()
        self._send_buffer_bytes = send_buffer_bytes
        self._on_event = on_event
        self._on_lost = on_lost
        self._writable = asyncio.Event()
        self._writable.set()
        self._holders: set[int] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._pause: asyncio.TimerHandle | None = None
        self._unyielded = 0
        self._unread_answers = 0
        self._finishing = False
        self._lost = False

    # Asyncio

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        if self._tap is not None:
            self.transport = self._tap.on_transport(self.transport)
        self.transport.set_write_buffer_limits(self._send_buffer_bytes)
        sock = transport.get_extra_info("socket")
        set_keepalive(sock)
        limit_unsent(sock)
        self._set_timer(_RECHECK, self._on_timer)
        self.flush()

    def data_received(self, data: bytes) -> None:
        if not self._finishing:
            self.session.receive_data(data, self._loop.time())
            self._advance()

    def eof_received(self) -> bool:
        if not self._finishing:
            self.session.receive_eof()
            self._advance()
        return False

    def pause_writing(self) -> None:
        self._writable.clear()
        if self.writer is not None:
            self.writer.pause_writing()

    def resume_writing(self) -> None:
        self._writable.set()
        self._unread_answers = 0
        if self.writer is not None:
            self.writer.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = True
        if self.writer is not None:
            self.writer.connection_lost()
        for timer in (self._timer, self._pause):
            if timer is not None:
                timer.cancel()
        if self.error is None:
            if exc is None:
                self.error = ConnectionClosed("the server closed the connection")
            else:
                self.error = ConnectionLost(f"the connection broke: {getattr(exc, 'strerror', None) or exc}")
                self.error.__cause__ = exc.with_traceback(None)
        self._writable.set()
        self._on_lost(self.error)
        # What we hold holds us, and would do so until somebody collects cycles.
        self._on_event = self._on_lost = _tell_nobody
        self.session.close()

    # For the connection and its streams

    def check(self) -> None:
        """Raise what the connection ended with, if it has."""
        if self.error is not None:
            raise self.error.again()

    def flush(self) -> int:
        """Write what the session has to say; how many bytes that were."""
        output = self.session.data_to_send()
        if not output or self._finishing or self._lost:
            return 0
        data = output[0] if len(output) == 1 else b"".join(output)
        self._unyielded += len(data)
        self.transport.write(data)
        return len(data)

    async def writable(self) -> None:
        """Wait until what was sent is under its bound; raises what the connection ended with."""
        self.check()
        while True:
            while not self._writable.is_set():
                await self._writable.wait()
                self.check()
            if self._unyielded < _YIELD_BYTES:
                return
            self._unyielded = 0
            await asyncio.sleep(0)
            self.check()

    async def say(self, ask: Callable[[ClientSession], T]) -> T:
        """Have ``ask`` make the session say something as soon as there is room for it, and send that."""
        await self.writable()
        said = ask(self.session)
        self.flush()
        return said

    def hold(self, owner: int) -> None:
        """Stop reading for the sake of ``owner``."""
        if not self._holders and not self._lost:
            self.transport.pause_reading()
        self._holders.add(owner)

    def release(self, owner: int) -> None:
        """Read on, unless somebody else wants us to wait."""
        if owner in self._holders:
            self._holders.remove(owner)
            if not self._holders and not self._lost:
                self.session.reading_resumed(self._loop.time())
                self.transport.resume_reading()

    async def finish(self, patience: float, linger: float) -> None:
        """Send what is left for up to ``patience`` seconds, give the server ``linger`` to read it, close."""
        try:
            if not self._lost and not self._finishing:
                self.flush()
                self._finishing = True
                self.error = self.error or ConnectionClosed("the connection is closed")
                await self._drain(patience)
                self._say_goodbye(linger)
        except BaseException:
            self.abort()
            raise

    def abort(self, error: ClientError | None = None) -> None:
        """Close at once; unsent bytes are lost."""
        self.error = self.error or error or ConnectionClosed("the connection is closed")
        self._finishing = True
        if not self._lost and hasattr(self, "transport"):
            self.transport.abort()

    # Inside

    async def _drain(self, patience: float) -> None:
        self.transport.set_write_buffer_limits(high=1, low=0)
        try:
            async with asyncio.timeout(patience):
                while not self._writable.is_set() and not self._lost:
                    await self._writable.wait()
        except TimeoutError:
            self.abort()

    def _say_goodbye(self, linger: float) -> None:
        """Close our side only, if there are sides; then wait ``linger`` seconds for the server's."""
        if self._lost:
            return
        if self._holders:
            self._holders.clear()
            self.transport.resume_reading()
        if close_our_side(self.transport):
            self._set_timer(linger, self.transport.abort)

    def _advance(self) -> None:
        session = self.session
        for event in session.events_received():
            if isinstance(event, SessionFailed):
                self.error = ConnectionLost(f"the server broke the protocol: {event.error}")
                self.error.__cause__ = event.error
            self._on_event(event)
        self._answer()
        if self.error is not None:
            self.abort()
        elif (delay := session.take_throttle()) is not None:
            self._slow_down(delay)

    def _answer(self) -> None:
        written = self.flush()
        if not self._writable.is_set():
            self._unread_answers += written
            if self._unread_answers > _MAX_UNREAD_ANSWERS and self.error is None:
                self.error = ConnectionLost("the server does not read the answers that it asks for")

    def _slow_down(self, delay: float) -> None:
        """Read nothing for ``delay`` seconds: what a server sends costs us, and all whom we pass it on to."""
        if self._pause is not None:
            self._pause.cancel()
        self.hold(_PACE)
        self._pause = self._loop.call_later(delay, self._go_on)

    def _go_on(self) -> None:
        self._pause = None
        if not self._finishing:
            self.release(_PACE)
            self.session.resume(self._loop.time())
            self._advance()

    def _set_timer(self, delay: float, callback: Callable[[], None]) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(delay, callback)

    def _on_timer(self) -> None:
        self._set_timer(_RECHECK, self._on_timer)
        if not self._holders and not self._finishing:  # Whoever we do not listen to cannot be late.
            self.session.handle_timeout(self._loop.time())
            self._advance()


async def answer_of(future: asyncio.Future[T], patience: float, request: str) -> T:
    """The future's result; raises RequestTimeout, which names the ``request``, after ``patience`` seconds."""
    try:
        async with asyncio.timeout(patience):
            return await future
    except TimeoutError:
        raise RequestTimeout(f"the server did not answer {request} within {patience:g} s") from None
    finally:
        # An exception of its own would hold this frame, and so itself.
        del future


def settle(future: asyncio.Future[Any] | None, outcome: object) -> bool:
    """Give a waiting request its result or exception; False when nobody waits any more."""
    if future is None or future.done():
        return False
    if isinstance(outcome, ClientError):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)
    return True


def _tell_nobody(_what: object) -> None:
    """Who was told is gone."""
