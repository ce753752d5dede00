"""What both sides of an RTMP connection share: handshake, chunk stream, protocol control, liveness.

A Session owns no clock, socket or dice. Bytes and a clock reading go in with ``receive_data``; events come
out of ``events_received`` and bytes of ``data_to_send``. Peer input never raises: a violation ends the
session with a ``SessionFailed`` event. Calling a method out of turn is our own bug and raises ``UsageError``.

What the same bytes mean does not depend on how they are cut: a message is processed before a later one is
looked at, and an error counts when everything before it has been processed.

Reasons of ``SessionFailed`` made here (others come from the parsers): ``control_rate`` too many control
messages or commands a second, ``command_rate`` commands that cost too much to decode, ``stray_media`` media
outside any stream, ``idle`` no answer to a ping, ``partial_message_timeout`` a message begun and never
finished, ``eof_in_handshake`` the peer left before it spoke RTMP.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Generic, TypeVar

from rtmpd.exceptions import DeadlineExceeded, HandshakeError, ProtocolError, UsageError
from rtmpd.rtmp import control
from rtmpd.rtmp.backlog import Backlog
from rtmpd.rtmp.chunk_writer import ChunkWriter
from rtmpd.rtmp.chunks import ChunkReader
from rtmpd.rtmp.commands import Command, ScannedCommand, scan_command, serialize_command
from rtmpd.rtmp.constants import CSID_COMMAND, CSID_CONTROL, CSID_DATA, DEFAULT_WINDOW_SIZE, MessageType
from rtmpd.rtmp.events import HandshakeCompleted, SessionClosed, SessionEvent, SessionFailed
from rtmpd.rtmp.handshake import ClientHandshake, ServerHandshake
from rtmpd.rtmp.limits import Limits
from rtmpd.rtmp.messages import Message, split_aggregate
from rtmpd.rtmp.quirks import Quirk
from rtmpd.rtmp.states import Halt

E = TypeVar("E")

MediaReceiver = Callable[[Message, float], object]
"""Takes one audio, video or data message of a stream, and the clock reading."""

_AUDIO = int(MessageType.AUDIO)
_DATA = int(MessageType.DATA_AMF0)
_MEDIA = frozenset({_AUDIO, int(MessageType.VIDEO), _DATA})
_CONTROL_BYTES = {
    int(MessageType.ABORT): 4,
    int(MessageType.USER_CONTROL): 2,
    int(MessageType.WINDOW_ACK_SIZE): 4,
    int(MessageType.SET_PEER_BANDWIDTH): 4,
}
"""What a control message must have to mean anything; encoders send shorter ones."""
_END: Final = Halt.END
_NO_MEDIA: Final[dict[int, MediaReceiver]] = {}
_BYTES_A_TOKEN = 512
_VALUES_A_TOKEN = 8


class Session(Generic[E]):
    """One side of one RTMP connection, without I/O. Subclasses answer commands, and report ``E`` besides.

    Attributes for the caller: ``bytes_received`` (handshake included), ``messages_received``. When
    ``take_throttle`` gives a delay, stop reading, and go on with ``resume`` when it is over.
    """

    # With more than thirty attributes in a dictionary CPython finds each of them more slowly.
    __slots__ = (
        "__weakref__",
        "_ack_window",
        "_acknowledged",
        "_backlog",
        "_commands_paid_at",
        "_controls_paid_at",
        "_events",
        "_halt",
        "_handshake",
        "_last_received",
        "_media_streams",
        "_messages_paid_at",
        "_now",
        "_output",
        "_ping_sent_at",
        "_pings_paid_at",
        "_reader",
        "_stray_media",
        "_throttle",
        "_tolerated",
        "_turn",
        "_waits_since",
        "_window_sent",
        "_writer",
        "bytes_received",
        "limits",
        "messages_received",
    )

    def __init__(self, handshake: ServerHandshake | ClientHandshake, *, limits: Limits, now: float) -> None:
        self.limits = limits
        self.bytes_received = 0
        self.messages_received = 0
        self._halt: Halt | None = None
        """Why nothing is processed; None while everything is."""
        self._handshake: ServerHandshake | ClientHandshake | None = handshake
        self._reader = ChunkReader(limits)
        self._writer = ChunkWriter()
        # Made when there is something to hold: most connections hold nothing most of the time.
        self._tolerated: dict[Quirk, int] | None = None
        self._events: list[SessionEvent | E] | None = None
        self._output: list[bytes] | None = None
        self._backlog: Backlog | None = None
        """What is put off until a request is answered or ``resume`` is called."""
        self._throttle: float | None = None
        self._turn = limits.max_messages_per_turn
        """How many messages are taken in one turn."""
        self._waits_since = now
        self._media_streams: dict[int, MediaReceiver] = _NO_MEDIA
        """Never changed but replaced: those who publish nothing share one."""
        self._now = now
        self._last_received = now
        self._ping_sent_at: float | None = None
        self._stray_media = 0
        self._ack_window = DEFAULT_WINDOW_SIZE
        self._acknowledged = 0
        self._window_sent = 0
        # When what it has spent of each rate is saved up again.
        self._messages_paid_at = now
        self._controls_paid_at = now
        self._commands_paid_at = now
        self._pings_paid_at = now

    # In

    def receive_data(self, data: bytes, now: float) -> None:
        """Take bytes from the peer; never raises on what they hold."""
        halt = self._halt
        if halt is _END:
            return
        self._now = now
        self._last_received = now
        self._ping_sent_at = None
        self.bytes_received += len(data)
        try:
            if halt is None:
                if self._handshake is not None:
                    data = self._continue_handshake(self._handshake, data)
                reader = self._reader
                messages = reader.receive_data(data, now, self._turn)
                if messages:
                    self._take(messages)
                if reader.more:
                    self._read_on()
            else:
                self._put_by().data.append(data)
            # Also in the middle of a message: one may be longer than the window its sender waits for.
            if self.bytes_received - self._acknowledged >= self._ack_window // 2:
                self._acknowledge()
        except ProtocolError as error:
            self.fail(error)

    def resume(self, now: float) -> None:
        """Go on with what was put off; when the delay that ``take_throttle`` gave is over."""
        if self._halt is Halt.TURN:
            self._now = now
            self._halt = None
            self._go_on()

    def receive_eof(self) -> None:
        """The peer closed its side; one that never sent a byte (a health check) has done nothing wrong."""
        if self.closing:
            return
        if self._handshake is not None and self.bytes_received:
            error = HandshakeError("eof_in_handshake", "the peer left before the handshake was complete")
            self.fail(error)
            return
        self.close()
        self._tell(SessionClosed())

    def reading_resumed(self, now: float) -> None:
        """Nothing was read for a while: the peer is not late with what it sent in the meantime."""
        self._now = now
        self._reader.postpone(now - self._last_received)
        self._last_received = now

    def handle_timeout(self, now: float) -> None:
        """Act on every deadline that has passed; call it at ``next_deadline`` or later."""
        if self._timeless:
            return
        self._now = now
        for deadline, reason in self._deadlines():
            if deadline <= now:
                self.fail(self._missed(reason))
                return
        ping_at = self._ping_at()
        if ping_at is not None and ping_at <= now:
            self._ping_sent_at = now
            self._send_control(control.user_control(control.PingRequest(int(now * 1000) & 0xFFFFFFFF)))

    # Out

    @property
    def closing(self) -> bool:
        """Nothing more is processed: send what ``data_to_send`` gives, then close."""
        return self._halt is Halt.END

    @property
    def awaiting_answer(self) -> bool:
        """A request event is unanswered: stop reading from the socket until it is."""
        return self._halt is Halt.ANSWER

    @property
    def quiet(self) -> bool:
        """Nothing to act on: no event, nothing to send, nobody to make wait."""
        return self._halt is None and not (self._events or self._output or self._throttle is not None)

    def take_throttle(self) -> float | None:
        """Seconds to stop reading for, then ``resume``; None unless a delay has begun since the last call.

        The peer sends more than it may; or, with 0, its next messages wait for the next turn of the loop.
        """
        delay, self._throttle = self._throttle, None
        return delay

    def take_tolerated(self) -> dict[Quirk, int]:
        """What the peer did against the specification and was served all the same, since the last call."""
        tolerated, self._tolerated = self._tolerated, None
        return tolerated or {}

    @property
    def partial_bytes(self) -> int:
        """Bytes held of unfinished messages, and of all that waits for an answer or for ``resume``."""
        reader = self._reader
        size = reader.partial_bytes + reader.buffered
        return size if self._backlog is None else size + self._backlog.size

    @property
    def unfinished_since(self) -> float:
        """When the oldest message that is not whole began (the clock of ``now``); ``inf`` if all are."""
        return self._reader.oldest()

    def events_received(self) -> list[SessionEvent | E]:
        """Everything that happened since the last call, in order."""
        events, self._events = self._events, None
        return events or []

    def data_to_send(self) -> list[bytes]:
        """Everything to write since the last call, in order."""
        output, self._output = self._output, None
        return output or []

    def next_deadline(self) -> float | None:
        """When ``handle_timeout`` wants to be called (same clock as ``now``); it may move later."""
        if self._timeless:
            return None
        candidates = [deadline for deadline, _ in self._deadlines()]
        ping_at = self._ping_at()
        if ping_at is not None:
            candidates.append(ping_at)
        return min(candidates, default=None)

    def send_message(self, message: Message, csid: int) -> None:
        """Queue one message; a Set Chunk Size takes effect for what follows it."""
        self._queue(self._writer.write(message, csid))

    def send_command(self, command: Command, stream_id: int = 0) -> None:
        """Queue an AMF0 command (type 20) on chunk stream 3 (connection) or 5 (stream)."""
        self.send_payload(serialize_command(command), stream_id)

    def send_payload(self, payload: bytes, stream_id: int = 0) -> None:
        """Queue an AMF0 command that is encoded already."""
        message = Message(int(MessageType.COMMAND_AMF0), 0, stream_id, payload)
        self.send_message(message, CSID_COMMAND if stream_id == 0 else CSID_DATA)

    def send_user_control(self, event: control.UserControl) -> None:
        """Queue a User Control message (section 7.1.7)."""
        self._send_control(control.user_control(event))

    def fail(self, error: ProtocolError) -> None:
        """End the session; ``SessionFailed`` is the last event."""
        if not self.closing:
            self.close()
            # The frames that it passed hold the session, and so itself; nobody shows them of a peer's error.
            self._tell(SessionFailed(error.with_traceback(None)))

    def close(self) -> None:
        """Process nothing from here on, and let go of what is held; what is queued may still be sent."""
        self._halt = Halt.END
        self._media_streams = _NO_MEDIA
        self._backlog = None
        self._reader.clear()

    # For the two sides

    def _tell(self, event: SessionEvent | E) -> None:
        if self._events is None:
            self._events = []
        self._events.append(event)

    def _queue(self, data: bytes) -> None:
        if self._output is None:
            self._output = []
        self._output.append(data)

    def _open_media(self, stream_id: int, receive: MediaReceiver) -> None:
        """Give what comes on this message stream to ``receive``."""
        self._media_streams = {**self._media_streams, stream_id: receive}

    def _end_media(self, stream_id: int) -> None:
        """Nobody takes what comes there any more."""
        left = {number: receive for number, receive in self._media_streams.items() if number != stream_id}
        self._media_streams = left or _NO_MEDIA

    def _handle_command(self, message: Message) -> None:
        raise NotImplementedError

    def _handle_other_media(self, message: Message) -> bool:
        """Take a media message that is not of a stream in ``_media_streams``; False counts it as stray."""
        raise NotImplementedError

    def _report_media(self, message: Message, _now: float) -> None:
        """The receiver of streams that have no other: media becomes its own event."""
        self._tell(message)

    def _handle_ignored(self, message: Message) -> None:
        """A message of a type that means nothing here, or an empty one."""

    def _decode_command(self, message: Message) -> Command:
        """Decode a command message when its sender has paid for that. Raises ProtocolError."""
        self._charge(1 + len(message.payload) // _BYTES_A_TOKEN)
        scanned = self._scan_command(message)
        self._charge(scanned.values // _VALUES_A_TOKEN)
        if scanned.trailing:
            self._tolerate(Quirk.TRAILING_BYTES)
        if scanned.repaired:
            self._tolerate(Quirk.OBJECT_END)
        return scanned.decode()

    def _scan_command(self, message: Message) -> ScannedCommand:
        return scan_command(message, self.limits)

    def _charge(self, cost: int) -> None:
        """Take ``cost`` from what the peer's commands may cost in a second."""
        rate = self.limits.command_rate
        self._commands_paid_at = rate.spend(self._commands_paid_at, cost, self._now)
        if rate.debt(self._commands_paid_at, self._now):
            limit = self.limits.max_command_cost
            raise ProtocolError("command_rate", f"commands that cost more than {limit} to decode in a second")

    def _tolerate(self, quirk: Quirk) -> None:
        if self._tolerated is None:
            self._tolerated = {}
        self._tolerated[quirk] = self._tolerated.get(quirk, 0) + 1

    def _put_off(self, messages: list[Message]) -> None:
        """Keep ``messages`` for later, if there is one."""
        if messages and self._halt is not Halt.END:
            self._put_by().messages += messages

    def _put_by(self) -> Backlog:
        if self._backlog is None:
            self._backlog = Backlog()
        return self._backlog

    def _wait_for(self, message: Message, seconds: float) -> None:
        """Process ``message``, and what follows it, when ``resume`` is called; not before ``seconds``."""
        self._put_by().messages.append(message)
        self._slow_down(seconds)
        self._halt = Halt.TURN

    def _handle_user_control(self, event: control.UserControl) -> None:
        """Act on an event that is not a ping."""

    @property
    def _timeless(self) -> bool:
        """No deadline runs: it has ended, or it is we who let the peer wait."""
        return self._halt is Halt.END or self._halt is Halt.ANSWER

    def _deadlines(self) -> list[tuple[float, str]]:
        """Each running deadline, and the reason of the failure to meet it."""
        deadlines: list[tuple[float, str]] = []
        if self._ping_sent_at is not None:
            deadlines.append((self._ping_sent_at + self.limits.ping_timeout, "idle"))
        if self._reader.partial_bytes or self._reader.buffered:
            began = self._reader.oldest()
            deadlines.append((began + self.limits.partial_message_timeout, "partial_message_timeout"))
        return deadlines

    def _missed(self, reason: str) -> ProtocolError:
        """The error for a deadline of ``_deadlines``."""
        if reason == "idle":
            return DeadlineExceeded(reason, f"no answer to a ping for {self.limits.ping_timeout:g} s")
        return DeadlineExceeded(reason, "a message was begun and never finished")

    def _hold(self) -> None:
        """Stop processing until the request just reported is answered."""
        self._halt = Halt.ANSWER
        self._waits_since = self._now

    def _answered(self, now: float) -> None:
        """Go on with what arrived while a request waited for its answer."""
        if self._halt is not Halt.ANSWER:
            raise UsageError("no request is waiting for an answer")
        self._halt = None
        self._now = now
        self._last_received = now  # The peer could not be heard while we made it wait.
        self._reader.postpone(now - self._waits_since)
        self._go_on()

    # Inside

    def _continue_handshake(self, handshake: ServerHandshake | ClientHandshake, data: bytes) -> bytes:
        """Feed the handshake; return the bytes that follow it."""
        reply = handshake.receive_data(data)
        if reply:
            self._queue(reply)
        if not handshake.done:
            return b""
        self._handshake = None
        self._tell(HandshakeCompleted(handshake.digest))
        return handshake.leftover()

    def _take(self, messages: list[Message]) -> None:
        """Process what one read has completed, or as much of it as is taken in one turn."""
        count = len(messages)
        self.messages_received += count
        # As in _charge_messages: a call would be a fiftieth of what a message costs here.
        rate = self.limits.message_rate
        paid_at = self._messages_paid_at = rate.spend(self._messages_paid_at, count, self._now)
        if paid_at - self._now > rate.leeway:
            self._slow_down(rate.debt(paid_at, self._now))
        if count < self._turn:
            self._process(messages)
        else:
            self._take_turn(messages)

    def _take_turn(self, messages: list[Message]) -> None:
        """Process as many of ``messages`` as are taken in one turn, and leave the others for the next."""
        self._process(messages[: self._turn])
        self._put_off(messages[self._turn :])
        if self._halt is None:
            self._halt = Halt.TURN
            self._slow_down(0.0)

    def _read_on(self, data: bytes = b"") -> None:
        """Parse and process until a request waits for its answer, or it is another connection's turn."""
        reader = self._reader
        while self._halt is None:
            messages = reader.receive_data(data, self._now, self._turn)
            if messages:
                self._take(messages)
            if not reader.more:
                return
            data = b""

    def _go_on(self) -> None:
        """Process what was put off, then what was received meanwhile."""
        data = b""
        try:
            backlog = self._backlog
            if backlog is not None:
                messages, backlog.messages = backlog.messages, []
                if len(messages) < self._turn:
                    self._process(messages)
                else:
                    self._take_turn(messages)
                if self._halt is not None:
                    return
                self._backlog = None
                data = b"".join(backlog.data)
            if data or self._reader.more:
                self._read_on(data)
        except ProtocolError as error:
            self.fail(error)

    def _process(self, messages: list[Message]) -> None:
        """THE hot loop of a connection: media of an open stream goes straight to whoever takes it."""
        now = self._now
        for index, message in enumerate(messages):
            receive = self._media_streams.get(message.stream_id)
            if receive is not None and message.type in _MEDIA:
                receive(message, now)
                continue
            if self._halt is None:  # What took the last message may have ended the session.
                self._dispatch(message)
            if self._halt is not None:
                self._put_off(messages[index + 1 :])
                return

    def _dispatch(self, message: Message) -> None:
        type_ = message.type
        if type_ == MessageType.COMMAND_AMF0 or type_ == MessageType.COMMAND_AMF3:
            self._handle_command(message)
        elif type_ in _MEDIA:
            if not self._handle_other_media(message):
                self._count_stray_media()
        elif type_ == MessageType.DATA_AMF3:
            # A format selector byte, 0 in practice, then AMF0: players are sent the plain form.
            payload = message.payload[1:] if message.payload[:1] == b"\0" else message.payload
            self._process([Message(_DATA, message.timestamp, message.stream_id, payload)])
        elif type_ == MessageType.AGGREGATE:
            parts, whole = split_aggregate(message, self.limits.max_aggregate_parts)
            if not whole:
                self._tolerate(Quirk.AGGREGATE_REST)
            if not parts:
                self._handle_ignored(message)
            self._charge_messages(len(parts))
            self._process(parts)
        elif type_ == MessageType.ACKNOWLEDGEMENT:
            # Nobody may stall our output by not acknowledging, nor speed it up by doing so.
            if not message.payload:
                self._handle_ignored(message)
        elif type_ < _AUDIO:
            self._handle_control(message)
        else:  # Shared objects and unknown types: closing on them breaks real encoders.
            self._handle_ignored(message)

    def _handle_control(self, message: Message) -> None:
        self._count_control()
        type_ = message.type
        needed = _CONTROL_BYTES.get(type_, 0)
        if len(message.payload) < needed:
            self._tolerate(Quirk.SHORT_CONTROL)
        elif type_ == MessageType.USER_CONTROL:
            event = control.parse_user_control(message.payload)
            if not isinstance(event, control.PingRequest):
                self._handle_user_control(event)
            elif self._may_ping():
                self._send_control(control.user_control(control.PingResponse(event.timestamp)))
        elif type_ == MessageType.WINDOW_ACK_SIZE or type_ == MessageType.SET_PEER_BANDWIDTH:
            self._handle_window(type_, control.parse_u32(message.payload))

    def _may_ping(self) -> bool:
        """Whether one Ping Request more is answered."""
        rate = self.limits.ping_rate
        paid_at = rate.spend(self._pings_paid_at, 1, self._now)
        if rate.debt(paid_at, self._now):
            return False
        self._pings_paid_at = paid_at
        return True

    def _handle_window(self, message_type: int, window: int) -> None:
        """A window of 0 bytes asks for nothing that could be meant; small ones are raised to the limit."""
        if window == 0:
            return
        window = max(window, self.limits.min_window_bytes)
        if message_type == MessageType.WINDOW_ACK_SIZE:
            self._ack_window = window
        elif window != self._window_sent:
            self._send_window_ack_size(window)

    def _charge_messages(self, count: int) -> None:
        rate = self.limits.message_rate
        self._messages_paid_at = rate.spend(self._messages_paid_at, count, self._now)
        if delay := rate.debt(self._messages_paid_at, self._now):
            self._slow_down(delay)

    def _slow_down(self, seconds: float) -> None:
        self._throttle = seconds if self._throttle is None else max(seconds, self._throttle)
        self._last_received = max(self._last_received, self._now + seconds)  # It cannot be heard until then.

    def _count_control(self) -> None:
        """Charge one message that makes us work out of proportion to its size."""
        rate = self.limits.control_rate
        self._controls_paid_at = rate.spend(self._controls_paid_at, 1, self._now)
        if rate.debt(self._controls_paid_at, self._now):
            limit = self.limits.max_control_messages
            raise ProtocolError("control_rate", f"more than {limit} control messages a second")

    def _send_control(self, message: Message) -> None:
        self.send_message(message, CSID_CONTROL)

    def _send_window_ack_size(self, window: int) -> None:
        self._window_sent = window
        self._send_control(control.window_ack_size(window))

    def _acknowledge(self) -> None:
        """At most one Acknowledgement per call, every half window: some encoders stall after a whole one."""
        if self._halt is not Halt.END:
            self._acknowledged = self.bytes_received
            self._send_control(control.acknowledgement(self.bytes_received))

    def _count_stray_media(self) -> None:
        self._stray_media += 1
        if self._stray_media > self.limits.max_stray_media:
            raise ProtocolError("stray_media", "media messages outside any stream this connection publishes")

    def _ping_at(self) -> float | None:
        if not self.limits.ping_interval or self._handshake is not None or self._ping_sent_at is not None:
            return None
        return self._last_received + self.limits.ping_interval
