"""What both sides of an RTMP connection share: handshake, chunk stream, protocol control, liveness.

A Session owns no clock, socket or dice. Bytes and a clock reading go in with ``receive_data``; events come
out of ``events_received`` and bytes of ``data_to_send``. Peer input never raises: a violation ends the
session with a ``SessionFailed`` event. Calling a method out of turn is our own bug and raises ``UsageError``.
"""

from __future__ import annotations

from typing import Any, Final, assert_never

from rtmpd.exceptions import DeadlineExceeded, HandshakeError, ProtocolError
from rtmpd.reasons import Failure, HandshakeFailure, SessionFailure
from rtmpd.rtmp import control
from rtmpd.rtmp.chunk_writer import ChunkWriter
from rtmpd.rtmp.command_scan import ScannedCommand, scan_command
from rtmpd.rtmp.commands import Command, serialize_command
from rtmpd.rtmp.constants import CSID_COMMAND, CSID_CONTROL, CSID_DATA, MessageType
from rtmpd.rtmp.events import HandshakeCompleted, SessionClosed, SessionEvent, SessionFailed
from rtmpd.rtmp.handshake import ClientHandshake, ServerHandshake
from rtmpd.rtmp.inlet import Inlet
from rtmpd.rtmp.limits import Limits
from rtmpd.rtmp.messages import Message, amf0_payload, split_aggregate
from rtmpd.rtmp.quirks import Quirk
from rtmpd.rtmp.states import MESSAGES, OTHER_MESSAGES, Halt, Handling

_DATA: Final = int(MessageType.DATA_AMF0)
_BYTES_A_TOKEN: Final = 512
_VALUES_A_TOKEN: Final = 8


class Session(Inlet):
    """One side of one RTMP connection, without I/O. Subclasses answer commands, and have events of their own.

    They are no parameter of a generic class: compiled, its sessions would each have a dictionary, and weak
    references that nobody clears.
    """

    __slots__ = (
        "_commands_paid_at",
        "_controls_paid_at",
        "_events",
        "_output",
        "_pings_paid_at",
        "_stray_media",
        "_tolerated",
        "_window_sent",
        "_writer",
    )

    def __init__(self, handshake: ServerHandshake | ClientHandshake, *, limits: Limits, now: float) -> None:
        super().__init__(handshake, limits=limits, now=now)
        self._writer = ChunkWriter()
        # Made when there is something to hold, as held input is.
        self._tolerated: dict[Quirk, int] | None = None
        self._events: list[Any] | None = None
        self._output: list[bytes] | None = None
        self._stray_media = 0
        self._window_sent = 0
        # When what it has spent of each rate is saved up again.
        self._controls_paid_at = now
        self._commands_paid_at = now
        self._pings_paid_at = now

    # In

    def receive_eof(self) -> None:
        """The peer closed its side; one that never sent a byte (a health check) has done nothing wrong."""
        if self.closing:
            return
        if self._handshake is not None and self.bytes_received:
            error = HandshakeError(HandshakeFailure.EOF, "the peer left before the handshake was complete")
            self.fail(error)
            return
        self.close()
        self._tell(SessionClosed())

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
    def quiet(self) -> bool:
        """Nothing to act on: no event, nothing to send, nobody to make wait."""
        return self._halt is None and not (self._events or self._output or self._throttle is not None)

    def take_tolerated(self) -> dict[Quirk, int]:
        """What the peer did against the specification and was served all the same, since the last call."""
        tolerated, self._tolerated = self._tolerated, None
        return tolerated or {}

    def events_received(self) -> list[Any]:
        """Everything that happened since the last call, in order; each side says of what union they are."""
        raise NotImplementedError

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

    # For the two sides

    def _tell(self, event: SessionEvent) -> None:
        raise NotImplementedError

    def _add_event(self, event: object) -> None:
        if self._events is None:
            self._events = []
        self._events.append(event)

    def _queue(self, data: bytes) -> None:
        if self._output is None:
            self._output = []
        self._output.append(data)
        self.bytes_sent += len(data)

    def _handle_command(self, message: Message) -> None:
        raise NotImplementedError

    def _handle_other_media(self, message: Message) -> bool:
        """Take a media message that is not of a stream in ``_media_streams``; False counts it as stray."""
        raise NotImplementedError

    def _report_media(self, message: Message, _now: float) -> None:
        """The receiver of streams that have no other: media becomes its own event."""
        self._add_event(message)

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
            raise ProtocolError(
                SessionFailure.COMMAND_RATE, f"commands that cost more than {limit} to decode in a second"
            )

    def _tolerate(self, quirk: Quirk) -> None:
        if self._tolerated is None:
            self._tolerated = {}
        self._tolerated[quirk] = self._tolerated.get(quirk, 0) + 1

    def _handle_user_control(self, event: control.UserControl) -> None:
        """Act on an event that is not a ping."""

    @property
    def _timeless(self) -> bool:
        """No deadline runs: it has ended, or it is we who let the peer wait."""
        return self._halt is Halt.END or self._halt is Halt.ANSWER

    def _deadlines(self) -> list[tuple[float, Failure]]:
        """Each running deadline, and the reason of the failure to meet it."""
        deadlines: list[tuple[float, Failure]] = []
        if self._ping_sent_at is not None:
            deadlines.append((self._ping_sent_at + self.limits.ping_timeout, SessionFailure.IDLE))
        if self._reader.partial_bytes or self._reader.buffered:
            began = self._reader.oldest()
            deadlines.append(
                (began + self.limits.partial_message_timeout, SessionFailure.PARTIAL_MESSAGE_TIMEOUT)
            )
        return deadlines

    def _missed(self, reason: Failure) -> ProtocolError:
        """The error for a deadline of ``_deadlines``."""
        if reason is SessionFailure.IDLE:
            return DeadlineExceeded(reason, f"no answer to a ping for {self.limits.ping_timeout:g} s")
        return DeadlineExceeded(reason, "a message was begun and never finished")

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

    def _dispatch(self, message: Message) -> None:
        kind = MESSAGES.get(message.type, OTHER_MESSAGES)
        if kind.counts:
            self._count_control()
        if len(message.payload) < kind.needs:
            self._tolerate(Quirk.SHORT_CONTROL)
            return
        handling = kind.handling
        match handling:
            case Handling.COMMAND:
                self._handle_command(message)
            case Handling.MEDIA:
                if not self._handle_other_media(message):
                    self._count_stray_media()
            case Handling.DATA_AMF3:
                # Players are sent the plain form.
                payload = amf0_payload(message)
                self._process([Message(_DATA, message.timestamp, message.stream_id, payload)])
            case Handling.AGGREGATE:
                self._take_apart(message)
            case Handling.ACKNOWLEDGEMENT:
                # Nobody may stall our output by not acknowledging, nor speed it up by doing so.
                if not message.payload:
                    self._handle_ignored(message)
            case Handling.USER_CONTROL:
                self._on_user_control(control.parse_user_control(message.payload))
            case Handling.WINDOW:
                self._on_window(message.type, control.parse_u32(message.payload))
            case Handling.READ:
                pass
            case Handling.IGNORED:
                self._handle_ignored(message)
            case _:
                assert_never(handling)

    def _take_apart(self, message: Message) -> None:
        parts, whole = split_aggregate(message, self.limits.max_aggregate_parts)
        if not whole:
            self._tolerate(Quirk.AGGREGATE_REST)
        if not parts:
            self._handle_ignored(message)
        self._charge_messages(len(parts))
        self._process(parts)

    def _on_user_control(self, event: control.UserControl) -> None:
        if not isinstance(event, control.PingRequest):
            self._handle_user_control(event)
        elif self._may_ping():
            self._send_control(control.user_control(control.PingResponse(event.timestamp)))

    def _may_ping(self) -> bool:
        """Whether one Ping Request more is answered."""
        rate = self.limits.ping_rate
        paid_at = rate.spend(self._pings_paid_at, 1, self._now)
        if rate.debt(paid_at, self._now):
            return False
        self._pings_paid_at = paid_at
        return True

    def _on_window(self, message_type: int, window: int) -> None:
        """A window of 0 bytes asks for nothing that could be meant; small ones are raised to the limit."""
        if window == 0:
            return
        window = max(window, self.limits.min_window_bytes)
        if message_type == MessageType.WINDOW_ACK_SIZE:
            self._ack_window = window
        elif window != self._window_sent:
            self._send_window_ack_size(window)

    def _count_control(self) -> None:
        """Charge one message that makes us work out of proportion to its size."""
        rate = self.limits.control_rate
        self._controls_paid_at = rate.spend(self._controls_paid_at, 1, self._now)
        if rate.debt(self._controls_paid_at, self._now):
            limit = self.limits.max_control_messages
            raise ProtocolError(SessionFailure.CONTROL_RATE, f"more than {limit} control messages a second")

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
            raise ProtocolError(
                SessionFailure.STRAY_MEDIA, "media messages outside any stream this connection publishes"
            )

    def _ping_at(self) -> float | None:
        if not self.limits.ping_interval or self._handshake is not None or self._ping_sent_at is not None:
            return None
        return self._last_received + self.limits.ping_interval
