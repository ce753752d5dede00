"""One client's connection to the HTTP listener: aiohttp reads requests, and who plays takes it over."""

from __future__ import annotations

import asyncio
import math
from dataclasses import replace
from http import HTTPStatus
from typing import Any, Final, Protocol, cast

from rtmpd.engine.origin import NOBODY, Origin
from rtmpd.engine.outlet import Outlet
from rtmpd.engine.sink import CloseReason
from rtmpd.exceptions import DeadlineExceeded, ProtocolError, Refused
from rtmpd.http.dialogue import Dialogue
from rtmpd.http.player import HttpRequests
from rtmpd.http.visit import HttpVisit
from rtmpd.http.waiting import Tail, Waiting
from rtmpd.http.websocket import GOING_AWAY, NOT_ALLOWED, FrameReader
from rtmpd.net.closing import close_our_side
from rtmpd.net.http import StreamReader
from rtmpd.net.socket_options import discard_unsent
from rtmpd.reasons import Refusal, SessionFailure, Word
from rtmpd.rtmp.commands import ConnectParams
from rtmpd.rtmp.events import ConnectRequested, Request
from rtmpd.rtmp.rates import TokenBucket
from rtmpd.serving import accounts
from rtmpd.serving import connection_log as log
from rtmpd.serving.access import Action
from rtmpd.serving.accounts import End
from rtmpd.serving.guest import UNHEARD, Gate, Guest
from rtmpd.serving.identity import completed, unnamed_behind
from rtmpd.serving.peer import ServerContext

PROTOCOL: Final = "http"
"""Of whom nobody knows what they will do."""
KEEPALIVE: Final = 75.0
"""Seconds from one request of a connection to the next: longer than proxies wait that keep theirs."""
_LINGER: Final = 2.0
"""Seconds that a peer has to read our last words and close its side."""
_TAKE_TIME: Final = 30.0
"""The same for the end of an answer that has a length. How much of it TLS still has nobody can tell."""
_REQUEST_COST: Final = 12
"""Of one request, in the units of ``Limits.max_command_cost``."""
_CHATTER: Final = 1024.0
"""Bytes a second that a player may say, who has nothing to say but pongs; and this at once:"""
_CHATTER_AT_ONCE: Final = 16 * 1024.0


class House(Protocol):
    """Who answers requests."""

    def receive(self, connection: HttpConnection) -> HttpVisit:
        """Read what somebody asks for, and answer."""
        ...


class HttpConnection(Guest):
    """Counted by the server from its first byte on, as RTMP clients are."""

    __slots__ = (
        "__weakref__",
        "_awaited",
        "_chatter",
        "_cost",
        "_frames",
        "_house",
        "_late",
        "_refusal",
        "_visit",
        "_waiting",
        "_waits_until",
        "body",
        "is_answered",
        "proxy",
        "reading",
    )
    session: Dialogue

    def __init__(self, context: ServerContext, gate: Gate, known: Origin, house: House) -> None:
        super().__init__(context, gate, known)
        self._house = house
        self._visit: HttpVisit | None = None
        """Who reads and writes; None where this does."""
        self._waits_until = math.inf
        """When the next request has to be there."""
        self._waiting = Waiting()
        self._late: Word | None = SessionFailure.CONNECT_TIMEOUT
        """What is said if it is not."""
        self._cost: TokenBucket | None = None
        self._awaited: asyncio.Future[None] | None = None
        """By who answers a request: a decision, or its turn. It comes with the end, too."""
        self._refusal: Refused | None = None
        self.reading: asyncio.Timeout | None = None
        """Of what somebody publishes, while it is read; and that:"""
        self.body: StreamReader | None = None
        self.proxy: Origin | None = None
        """Who asks for whoever it says, each time anew."""
        self.is_answered = False
        """A request is answered just now, and gets its answer however this ends."""
        self._frames: FrameReader | None = None
        self._chatter: TokenBucket | None = None

    # Asyncio, before a request and behind a granted play

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self._socket = transport.get_extra_info("socket")
        context = self.context
        origin = completed(self.known, transport, context.new_session(), context.mask)
        self.known = NOBODY
        origin = replace(origin, protocol=PROTOCOL)
        is_proxy = origin.address in context.proxies
        if is_proxy:
            self.proxy, origin = origin, unnamed_behind(origin)
        self.requests = HttpRequests(origin)
        refusal = self._gate.enter(self, self._socket.fileno(), named=not is_proxy)
        if refusal is not None:
            log.turned_away(origin, refusal)
            self.transport.set_protocol(UNHEARD)
            self.transport.abort()
            return
        now = context.clock()
        self.session = Dialogue(now)
        self.outlet = Outlet(context.registry.outlets, self, private=origin.tls)
        self._waits_until = now + context.limits.handshake_timeout
        self.look_at = self._gate.regular_look(self._waits_until)
        visit = self._visit = self._house.receive(self)
        self.transport.set_protocol(visit)
        visit.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        if self.over:
            return
        self.count_in(len(data))
        try:
            self._hear(data)
        except ProtocolError as error:
            self.session.fail(error)
            self.advance()

    def eof_received(self) -> bool:
        self.end(CloseReason.FINISHED)
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost(exc)

    # For aiohttp's side, and who answers requests

    def rename(self, origin: Origin) -> Refusal | None:
        """A proxy has said whom it asks for: why that one may not come in."""
        before = self.origin.network
        if origin.network != before:
            refusal = self._gate.rename(self, before, origin.network)
            if refusal is not None:
                return refusal
            self._cost = None
        self.requests.origin = origin
        return None

    async def pay(self, cost: int = _REQUEST_COST) -> None:
        """Wait until the network of the client may ask once more."""
        self._waits_until = math.inf
        if delay := self._spend(cost):
            await self.wait_for(None, delay)

    async def wait_for(self, coming: asyncio.Future[Any] | None, patience: float | None = None) -> None:
        """Until ``coming`` is there, so many seconds have passed, or the connection has ended."""
        if not self.over:
            self._awaited = asyncio.get_running_loop().create_future()
            awaited = [self._awaited] if coming is None else [self._awaited, coming]
            await asyncio.wait(awaited, timeout=patience, return_when=asyncio.FIRST_COMPLETED)

    def hold(self, size: int) -> None:
        """So much has come that aiohttp holds until it is wanted."""
        self._waiting.come(size)
        if self.reading is None and not self.over:
            self._charge_partials(self._waiting.held)

    def check_waiting(self) -> None:
        """Let nobody have us hold more than requests have."""
        if self._visit is not None and not self.over and self._waiting.is_too_much(self._visit.whole):
            text = "requests of more than 64 KiB that are not whole, or wait for their answers"
            self.session.fail(ProtocolError(SessionFailure.REQUESTS_TOO_LONG, text))
            self.advance()
            self.abort(CloseReason.PROTOCOL_ERROR)

    def begin_answer(self, body: StreamReader) -> None:
        """A request is answered from now on; its ``body`` may go on."""
        self.is_answered = True
        self._waiting.begin(body)
        self.check_waiting()

    def expect_next(self) -> None:
        """A request has its answer: it is to be read, and another to come, in time."""
        self.is_answered = False
        if self._visit is not None and not self.over:
            self._waiting.end(self._visit.whole)
            self._charge_partials(self._waiting.held)
            self._waits_until, self._late = self.context.clock() + KEEPALIVE, None

    def may_ask(self, origin: Origin, cost: int) -> bool:
        """Whether ``origin`` may ask now, at that cost, which is taken."""
        named = origin is self.origin or self.proxy is None or self.rename(origin) is None
        return named and not self._spend(cost)

    def begin_waiting(self) -> None:
        """A request gets its answer later."""
        self._waits_until = math.inf

    def note_answered(self) -> None:
        """It is written, to somebody who is no stranger any more."""
        self._waits_until, self._late = self.context.clock() + KEEPALIVE, None
        self.identified("playing")

    async def ask(self, event: Request) -> Refused | None:
        """Put it to whoever decides, as a request of RTMP is: why it is not granted. None if it is, or if the
        connection has ended meanwhile; then it is ``over``.
        """
        if self.over:
            return None
        self.session.settled = False
        self._awaited = asyncio.get_running_loop().create_future()
        self.requests.handle(self, event)
        if not (self.session.settled or self.over):
            await self._awaited
        return self._refusal

    async def introduce(self, params: ConnectParams, protocol: str) -> Refused | None:
        """The same of the connection itself, which speaks ``protocol`` from now on."""
        self.requests.origin = replace(self.origin, protocol=protocol)
        return await self.ask(ConnectRequested(params))

    def lost(self, exc: BaseException | None) -> None:
        """The connection is gone."""
        left = exc is None or isinstance(exc, ConnectionResetError | BrokenPipeError)
        fair = left and not self.publishes
        ended = self.ended = self.ended or End(CloseReason.FINISHED if fair else CloseReason.CONNECTION_LOST)
        self._visit = None
        self.look_at = math.inf
        self.outlet.close()
        try:
            self._stop(ended)
        finally:
            self._gate.leave(self)
            accounts.record(self, self.requests, ended)
            log.closed(self, self.requests.bytes_out, ended.detail or ended.reason, ended.by)

    # The guest

    def look(self, now: float) -> None:
        if self.over:
            self.look_at = math.inf
            self.transport.abort()
            return
        if self._waits_until <= now:
            self.end(CloseReason.IDLE, self._late)
            return
        self.requests.look(now)
        if self.requests.valid_until <= now:
            self.dismiss(CloseReason.EXPIRED)
        if not self.over:
            soonest = now + self.context.limits.shortest_timeout
            regular = self._gate.regular_look(min(soonest, self._waits_until))
            self.look_at = min(regular, self.requests.next_deadline())

    def shutdown(self, patience: float = math.inf) -> None:
        if not self.over:
            self.requests.announce_shutdown(self.session)
            owed = self.session.plays
            self.session.finish("The server is shutting down.", HTTPStatus.SERVICE_UNAVAILABLE, GOING_AWAY)
            self._stop(End(CloseReason.SHUTDOWN))
            unsent = owed and self.transport.get_write_buffer_size()
            self._linger(patience if unsent else _LINGER)

    def abort(self, reason: CloseReason, detail: Word | None = None) -> None:
        if not self.over:
            self._stop(End(reason, detail))
        self.look_at = math.inf
        discard_unsent(self._socket)
        self.transport.abort()

    def refused(self, action: Action, refusal: Refused) -> None:
        self._refusal = refusal
        super().refused(action, refusal)

    def flush(self) -> None:
        if self.over:
            return
        if self.session.plays and self._visit is not None:
            self._take_over(self._visit)
        self._write_output()

    def advance(self) -> None:
        error = self.session.error
        if error is not None and not self.over:
            accounts.count_failure(self.context.stats, error)
            log.failed(self, error)
            late = isinstance(error, DeadlineExceeded)
            self.end(CloseReason.IDLE if late else CloseReason.PROTOCOL_ERROR, error.reason)

    def answered(self) -> None:
        self._wake()

    def read_in_rounds(self, wanted: bool) -> None:
        """aiohttp reads."""

    def read_body_on(self, wanted: bool) -> None:
        """Read more of what is published, or let it wait, and the end of the connection behind it."""
        transport = self.transport
        if not transport.is_closing():
            (transport.resume_reading if wanted else transport.pause_reading)()

    def charge(self, held: int, now: float) -> None:
        """Of what is published ``held`` bytes are no whole message yet."""
        if bool(held) is not (self.session.unfinished_since < math.inf):
            self.session.unfinished_since = now if held else math.inf
        if held != self.partial_bytes:
            self._charge_partials(held)

    def count_in(self, size: int, messages: int = 0) -> None:
        """So much has come."""
        stats = self.context.stats
        self.session.bytes_received += size
        stats.bytes_in += size
        stats.messages_in += messages

    # Inside

    def _hear(self, data: bytes) -> None:
        """What a player says."""
        if self._chatter is not None and self._chatter.take(len(data), self.context.clock()):
            text = "a player that says more than any has to say"
            raise ProtocolError(SessionFailure.CHATTER, text, code=str(NOT_ALLOWED))
        if self._frames is not None:
            heard = self._frames.receive_data(data)
            self.session.say(heard.answer)
            if heard.closed:
                self.session.finished = True
                self.end(CloseReason.FINISHED)
            else:
                self._write_output()

    def _spend(self, cost: int) -> float:
        """Seconds until the network of the client has so much, which is taken."""
        self._cost = self._cost or self._gate.shared_cost(self)
        return 0.0 if self._cost is None else self._cost.take(cost, self.context.clock())

    def _take_over(self, visit: HttpVisit) -> None:
        """The bytes of the connection are the player's from now on."""
        self._visit = None
        self._charge_partials(0)
        tail = Tail()
        visit.set_parser(cast("Any", tail))
        self.transport.set_protocol(self)
        visit.let_go()
        high_water = self.context.high_water_bytes
        self.transport.set_write_buffer_limits(high_water, high_water // 4)
        self.transport.resume_reading()
        self._chatter = TokenBucket(_CHATTER, _CHATTER_AT_ONCE, self.context.clock())
        if self.session.framed:
            self._frames = FrameReader()
            if tail.data:
                asyncio.get_running_loop().call_soon(self.data_received, tail.data)

    def _write_output(self) -> None:
        data = self.session.data_to_send()
        if data:
            stats = self.context.stats
            stats.bytes_out += len(data)
            self.transport.write(data)

    def _finish(self, end: End) -> None:
        if self.session.plays:
            self.session.finish()
        self._stop(end)
        self._linger(_TAKE_TIME if self.session.sent_whole else _LINGER)

    def _stop(self, end: End) -> None:
        """Process nothing more, and say nothing but what is queued."""
        self.ended = end
        if self._visit is not None:
            self._visit.lane.close()
        self.session.close()
        self._charge_partials(0)
        self.requests.release(end.reason, end.detail)
        self._wake()
        if self.reading is not None and not self.reading.expired():
            self.reading.reschedule(asyncio.get_running_loop().time())

    def _wake(self) -> None:
        if self._awaited is not None and not self._awaited.done():
            self._awaited.set_result(None)

    def _linger(self, patience: float) -> None:
        """Write what is left, say that we are done, and read on until the peer is too."""
        if self._visit is None:
            self._write_output()
            self.transport.resume_reading()
            # TLS would be cut short; who knows how long an answer is closes by itself.
            if self.transport.can_write_eof() or not self.session.sent_whole:
                close_our_side(self.transport)
        elif self._waits_until < math.inf or not self.is_answered:
            self.transport.close()
        self.look_at = self.context.clock() + patience
        self._gate.look_by(self.look_at)
