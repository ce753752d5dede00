"""One client's TCP connection: an asyncio protocol around a ServerSession."""

from __future__ import annotations

import asyncio
import math
from typing import Final, cast

from rtmpd.engine.origin import NOBODY, Origin
from rtmpd.engine.outlet import Outlet
from rtmpd.engine.sink import CloseReason
from rtmpd.exceptions import DeadlineExceeded, ProtocolError
from rtmpd.net.closing import close_our_side
from rtmpd.net.socket_options import acknowledge_quickly, discard_unsent
from rtmpd.reasons import Word
from rtmpd.rtmp.events import (
    CommandReceived,
    HandshakeCompleted,
    ServerEvent,
    SessionClosed,
    SessionFailed,
)
from rtmpd.rtmp.messages import Message
from rtmpd.rtmp.server import ServerSession
from rtmpd.serving import accounts
from rtmpd.serving import connection_log as log
from rtmpd.serving.accounts import End
from rtmpd.serving.guest import UNHEARD, Gate, Guest
from rtmpd.serving.identity import completed
from rtmpd.serving.listening import listen_in
from rtmpd.serving.peer import ServerContext
from rtmpd.serving.reading import SocketReader
from rtmpd.serving.requests import Requests

_LINGER: Final = 2.0
"""Seconds that a peer has to read our last words and close its side."""


class ServerConnection(Guest):
    """Moves bytes between a transport and a ``ServerSession``, and acts on the session's events."""

    __slots__ = ("__weakref__", "_messages_in", "_reader")
    session: ServerSession

    def __init__(self, context: ServerContext, gate: Gate, known: Origin = NOBODY) -> None:
        super().__init__(context, gate, known)
        self._reader: SocketReader | None = None
        """None while the transport reads and nobody has had it stop."""
        self._messages_in = 0
        """Of the session's messages, those that the statistics have."""

    # Asyncio

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self._socket = transport.get_extra_info("socket")
        context = self.context
        origin = completed(self.known, transport, context.new_session(), context.mask)
        self.known = NOBODY  # The requests have it from now on.
        self.requests = Requests(origin)
        refusal = self._gate.enter(self, self._socket.fileno())
        if refusal is not None:
            log.turned_away(origin, refusal)
            self.transport.set_protocol(UNHEARD)
            self.transport.abort()
            return
        now = context.clock()
        self.session = ServerSession(
            random_bytes=context.random_bytes,
            now=now,
            limits=context.limits,
            settings=context.settings,
            shared_cost=self._gate.shared_cost(self),
        )
        listen_in(self, origin, context.tracer, context.input_keeper)
        self.transport.set_write_buffer_limits(context.high_water_bytes, context.high_water_bytes // 4)
        self.outlet = Outlet(context.registry.outlets, self, private=origin.tls)
        self.look_at = self._gate.regular_look(now + context.limits.shortest_timeout)

    def data_received(self, data: bytes) -> None:
        if self.ended is not None:
            return
        session = self.session
        said = session.bytes_sent
        stats = self.context.stats
        session.receive_data(data, self.context.clock())
        stats.bytes_in += len(data)
        stats.messages_in += session.messages_received - self._messages_in
        self._messages_in = session.messages_received
        if not session.quiet:
            self.advance()
        if session.partial_bytes != self.partial_bytes:
            self._charge_partials(self.session.partial_bytes)
        # What we have said now takes the acknowledgement along.
        if self.state == "pending" and session.bytes_sent == said and self.ended is None:
            acknowledge_quickly(self._socket)

    def eof_received(self) -> bool:
        self.session.receive_eof()
        self.advance()
        return False

    def resume_writing(self) -> None:
        super().resume_writing()
        if not self.over:
            self._steer_reading()

    def connection_lost(self, _exc: Exception | None) -> None:
        ended = self.ended = self.ended or End(CloseReason.CONNECTION_LOST)
        accounts.count_tolerated(self.context.stats, self.session)
        self.session.close()
        self.outlet.close()
        try:
            self._release(ended)
        finally:
            self._gate.leave(self)
            accounts.record(self, self.requests, ended)
            log.closed(self, self.requests.bytes_out, ended.detail or ended.reason, ended.by)

    # For the reader

    @property
    def watched(self) -> bool:
        return any(publisher.watched for publisher in self.requests.publishers)

    def resume(self) -> None:
        self.session.resume(self.context.clock())
        self.advance()
        self._charge_partials(self.session.partial_bytes)

    def reading_failed(self, error: Exception) -> None:
        log.reading_failed(self, error)
        self.abort(CloseReason.INTERNAL_ERROR)

    # For the server

    def request_reconnect(self, server: str = "", description: str = "", /) -> bool:
        where = self.connect_params.at(server) if server else ""
        asked = not self.over and self.session.request_reconnect(where, description)
        self.flush()
        return asked

    def look(self, now: float) -> None:
        if self.over:
            self.look_at = math.inf
            self.transport.abort()  # Enough time to read our last words.
            return
        if self._reader is not None:
            self._reader.read_now()  # What waits for the next round is not late.
        self.session.handle_timeout(now)
        self.advance()
        self.requests.look(now)
        if self.requests.valid_until <= now:
            self.dismiss(CloseReason.EXPIRED)
        accounts.count_tolerated(self.context.stats, self.session)
        if not self.over:
            self._plan_look(now)

    # For the requests, the publishes and the plays

    @property
    def reader(self) -> SocketReader:
        if self._reader is None:
            self._reader = SocketReader(self, self.transport, self.context.sweeper)
        return self._reader

    def read_in_rounds(self, wanted: bool) -> None:
        if wanted:
            self.reader.join_rounds()
        elif self._reader is not None:
            self._reader.leave_rounds()

    def answered(self) -> None:
        self.advance()
        self._charge_partials(self.session.partial_bytes)

    def flush(self) -> None:
        if not self.over:
            self._write_output()

    def advance(self) -> None:
        session = self.session
        while events := session.events_received():
            for event in events:
                if self.ended is None:  # What one leads to, or the engine, may end us.
                    self._handle(event)
        if self.ended is not None:
            return
        self._write_output()
        reading = self._reader is None or self._reader.reading
        if self.outlet.congestion is not None or not (session.quiet and reading):
            self._steer_reading()

    def shutdown(self, patience: float = math.inf) -> None:
        if not self.over:
            self.requests.announce_shutdown(self.session)
            self._stop(End(CloseReason.SHUTDOWN))
            self._write_output()
            self._linger(patience if self.transport.get_write_buffer_size() else _LINGER)

    def abort(self, reason: CloseReason, detail: Word | None = None) -> None:
        if not self.over:
            self._stop(End(reason, detail))
        self.look_at = math.inf
        discard_unsent(self._socket)
        self.transport.abort()

    # Events

    def _handle(self, event: ServerEvent) -> None:
        match event:
            case SessionFailed():
                self._fail(event.error)
            case SessionClosed():
                # The kernel of a crashed encoder says goodbye as politely as an encoder that is done.
                self.end(CloseReason.CONNECTION_LOST if self.publishes else CloseReason.FINISHED)
            case HandshakeCompleted() | CommandReceived() | Message():
                pass  # The session has answered; media goes to its publisher directly.
            case _:
                self.requests.handle(self, event)

    def _fail(self, error: ProtocolError) -> None:
        accounts.count_failure(self.context.stats, error)
        log.failed(self, error)
        idle = isinstance(error, DeadlineExceeded)
        self.end(CloseReason.IDLE if idle else CloseReason.PROTOCOL_ERROR, error.reason)

    # Inside

    def _write_output(self) -> None:
        output = self.session.data_to_send()
        if output:
            data = output[0] if len(output) == 1 else b"".join(output)
            stats = self.context.stats
            stats.bytes_out += len(data)
            stats.messages_out += len(output)
            self.transport.write(data)

    def _finish(self, end: End) -> None:
        self._stop(end)
        self._write_output()
        self._linger(_LINGER)

    def _stop(self, end: End) -> None:
        """Process nothing more, and say nothing but what is queued."""
        self.ended = end
        self.session.close()
        self._release(end)

    def _linger(self, patience: float) -> None:
        """Say that we are done, and read on until the peer is too; cut it after ``patience`` seconds."""
        self.transport.resume_reading()
        close_our_side(self.transport)
        self.look_at = self.context.clock() + patience
        self._gate.look_by(self.look_at)

    def _release(self, end: End) -> None:
        """Take everything this connection publishes and plays out of the engine, and let go of it."""
        if self._reader is not None:
            self._reader.close()
        self._charge_partials(self.session.partial_bytes)
        self.requests.release(end.reason, end.detail)

    def _steer_reading(self) -> None:
        """Read, unless a request is open, the peer sends too much, or it does not read our answers itself."""
        session = self.session
        # What a player leaves unread is up to the slow-player policy.
        answers_unread = self.outlet.congestion is not None and not self.requests.players
        wanted = not (session.awaiting_answer or answers_unread)
        if self._reader is not None or not wanted:
            self.reader.want(wanted)
        delay = session.take_throttle()
        if delay is not None:
            self.reader.hold(delay)

    def _plan_look(self, now: float) -> None:
        """Not done anew whenever a deadline moves: a later one is found out when the old one is reached, and
        one that begins meanwhile is at least the shortest timeout away, by when we look again.
        """
        soonest = now + self.context.limits.shortest_timeout
        deadline = self.session.next_deadline()
        regular = self._gate.regular_look(soonest if deadline is None else min(soonest, deadline))
        self.look_at = min(regular, self.requests.next_deadline())
