"""The way into a session: bytes to messages, in turns, and not while a request waits for its answer.

What the same bytes mean does not depend on how they are cut: a message is processed before a later one is
looked at, and an error counts when everything before it has been processed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from rtmpd.exceptions import ProtocolError, UsageError
from rtmpd.rtmp.chunks import ChunkReader
from rtmpd.rtmp.constants import DEFAULT_WINDOW_SIZE
from rtmpd.rtmp.handshake import ClientHandshake, ServerHandshake
from rtmpd.rtmp.held_input import HeldInput
from rtmpd.rtmp.limits import Limits
from rtmpd.rtmp.messages import Message
from rtmpd.rtmp.states import MESSAGES, Halt, Handling

MediaReceiver = Callable[[Message, float], object]
"""Takes one audio, video or data message of a stream, and the clock reading."""

MEDIA: Final = frozenset(int(each) for each, kind in MESSAGES.items() if kind.handling is Handling.MEDIA)
"""Types of the messages that a stream is made of."""
_END: Final = Halt.END
_NO_MEDIA: Final[dict[int, MediaReceiver]] = {}


class Inlet:
    """What of a ``Session`` takes bytes. Its subclasses say what a message is and what an error means.

    Attributes for the caller: ``since`` (the clock of ``now``), ``bytes_received`` and ``bytes_sent``
    (handshake included), ``messages_received``. When ``take_throttle`` gives a delay, stop reading, and go on
    with ``resume`` when it is over.
    """

    # With more than thirty attributes in a dictionary CPython finds each of them more slowly.
    __slots__ = (
        "__weakref__",
        "_ack_window",
        "_acknowledged",
        "_halt",
        "_handshake",
        "_held",
        "_last_received",
        "_media_streams",
        "_messages_paid_at",
        "_now",
        "_ping_sent_at",
        "_reader",
        "_throttle",
        "_turn",
        "_waits_since",
        "bytes_received",
        "bytes_sent",
        "limits",
        "messages_received",
        "since",
    )

    def __init__(self, handshake: ServerHandshake | ClientHandshake, *, limits: Limits, now: float) -> None:
        self.limits = limits
        self.since = now
        self.bytes_received = 0
        self.bytes_sent = 0
        self.messages_received = 0
        self._halt: Halt | None = None
        """Why nothing is processed; None while everything is."""
        self._handshake: ServerHandshake | ClientHandshake | None = handshake
        self._reader = ChunkReader(limits)
        # Made when there is something to hold: most connections hold nothing most of the time.
        self._held: HeldInput | None = None
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
        self._ack_window = DEFAULT_WINDOW_SIZE
        self._acknowledged = 0
        """Of the bytes received."""
        self._messages_paid_at = now
        """When what it has spent of the rate of messages is saved up again."""

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

    def reading_resumed(self, now: float) -> None:
        """Nothing was read for a while: the peer is not late with what it sent in the meantime."""
        self._now = now
        self._reader.postpone(now - self._last_received)
        self._last_received = now

    @property
    def closing(self) -> bool:
        """Nothing more is processed: send what ``data_to_send`` gives, then close."""
        return self._halt is Halt.END

    @property
    def awaiting_answer(self) -> bool:
        """A request event is unanswered: stop reading from the socket until it is."""
        return self._halt is Halt.ANSWER

    def take_throttle(self) -> float | None:
        """Seconds to stop reading for, then ``resume``; None unless a delay has begun since the last call.

        The peer sends more than it may; or, with 0, its next messages wait for the next turn of the loop.
        """
        delay, self._throttle = self._throttle, None
        return delay

    @property
    def partial_bytes(self) -> int:
        """Bytes held of unfinished messages, and of all that waits for an answer or for ``resume``."""
        reader = self._reader
        size = reader.partial_bytes + reader.buffered
        return size if self._held is None else size + self._held.size

    @property
    def unfinished_since(self) -> float:
        """When the oldest message that is not whole began (the clock of ``now``); ``inf`` if all are."""
        return self._reader.oldest()

    def close(self) -> None:
        """Process nothing from here on, and let go of what is held; what is queued may still be sent."""
        self._halt = Halt.END
        self._media_streams = _NO_MEDIA
        self._held = None
        self._reader.clear()

    # For the session

    def fail(self, error: ProtocolError) -> None:
        """End, because of what the peer did."""
        raise NotImplementedError

    def _continue_handshake(self, handshake: ServerHandshake | ClientHandshake, data: bytes) -> bytes:
        """Feed the handshake; return the bytes that follow it."""
        raise NotImplementedError

    def _acknowledge(self) -> None:
        """Half a window has been received."""
        raise NotImplementedError

    def _dispatch(self, message: Message) -> None:
        """Act on a message that no ``MediaReceiver`` takes."""
        raise NotImplementedError

    def _open_media(self, stream_id: int, receive: MediaReceiver) -> None:
        """Give what comes on this message stream to ``receive``."""
        self._media_streams = {**self._media_streams, stream_id: receive}

    def _end_media(self, stream_id: int) -> None:
        """Nobody takes what comes there any more."""
        left = {number: receive for number, receive in self._media_streams.items() if number != stream_id}
        self._media_streams = left or _NO_MEDIA

    def _wait_for(self, message: Message, seconds: float) -> None:
        """Process ``message``, and what follows it, when ``resume`` is called; not before ``seconds``."""
        self._put_by().messages.append(message)
        self._slow_down(seconds)
        self._halt = Halt.TURN

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
            held = self._held
            if held is not None:
                messages, held.messages = held.messages, []
                if len(messages) < self._turn:
                    self._process(messages)
                else:
                    self._take_turn(messages)
                if self._halt is not None:
                    return
                self._held = None
                data = b"".join(held.data)
            if data or self._reader.more:
                self._read_on(data)
        except ProtocolError as error:
            self.fail(error)

    def _process(self, messages: list[Message]) -> None:
        """THE hot loop of a connection: media of an open stream goes straight to whoever takes it."""
        now = self._now
        for index, message in enumerate(messages):
            receive = self._media_streams.get(message.stream_id)
            if receive is not None and message.type in MEDIA:
                receive(message, now)
                continue
            if self._halt is None:  # What took the last message may have ended the session.
                self._dispatch(message)
            if self._halt is not None:
                self._put_off(messages[index + 1 :])
                return

    def _put_off(self, messages: list[Message]) -> None:
        """Keep ``messages`` for later, if there is one."""
        if messages and self._halt is not Halt.END:
            self._put_by().messages += messages

    def _put_by(self) -> HeldInput:
        if self._held is None:
            self._held = HeldInput()
        return self._held

    def _charge_messages(self, count: int) -> None:
        rate = self.limits.message_rate
        self._messages_paid_at = rate.spend(self._messages_paid_at, count, self._now)
        if delay := rate.debt(self._messages_paid_at, self._now):
            self._slow_down(delay)

    def _slow_down(self, seconds: float) -> None:
        self._throttle = seconds if self._throttle is None else max(seconds, self._throttle)
        self._last_received = max(self._last_received, self._now + seconds)  # It cannot be heard until then.
