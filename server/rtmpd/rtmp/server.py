"""The server's side of an RTMP connection: connect, createStream, publish, play and the calls around them.

Every request that needs a decision (connect, publish, play) becomes an event; nothing further from the peer
is processed until ``accept_*`` or ``reject_*`` answers it. So every check comes before
``NetStream.Publish.Start``: OBS shows an error to its user only then, and reconnects for ever when it is
turned away later.

Reasons of ``SessionFailed`` made here: ``command_before_connect``, ``connect_twice``, ``too_many_calls``,
``too_many_streams``, ``publish_twice``, ``play_on_publish``, ``unknown_stream``, ``publisher_idle``,
``request_timeout``, ``connect_timeout``, ``handshake_timeout``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from rtmpd.exceptions import DeadlineExceeded, ProtocolError, UsageError
from rtmpd.rtmp import commands
from rtmpd.rtmp import messages as control
from rtmpd.rtmp.amf import UNDEFINED, AmfValue, encode_values
from rtmpd.rtmp.commands import Command, ConnectParams
from rtmpd.rtmp.constants import (
    CSID_DATA,
    DEFAULT_WINDOW_SIZE,
    BandwidthLimit,
    MessageType,
    StatusCode,
    StatusLevel,
)
from rtmpd.rtmp.events import (
    CommandReceived,
    ConnectRequested,
    PauseRequested,
    PlayEnded,
    PlayRequested,
    PublishEnded,
    PublishRequested,
    ReceiveAudio,
    ReceiveVideo,
    SeekRequested,
)
from rtmpd.rtmp.handshake import ServerHandshake
from rtmpd.rtmp.limits import Limits
from rtmpd.rtmp.messages import Message
from rtmpd.rtmp.session import Session
from rtmpd.rtmp.url import split_query

_PUBLISH_MODES = ("live", "record", "append", "appendWithGap")


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """What the server tells its peers."""

    chunk_size: int = 65536
    """Bytes; our direction, and the value that ffmpeg copies for its own."""
    window_ack_size: int = DEFAULT_WINDOW_SIZE
    """Bytes; sent as WindowAckSize and as SetPeerBandwidth."""


class _Phase(Enum):
    CONNECT = "waiting for connect"
    REQUEST = "waiting for publish or play"
    SERVING = "has published or played"


class _Use(Enum):
    """What a message stream is used for."""

    IDLE = 0
    PUBLISH_ASKED = 1
    PUBLISHING = 2
    PLAY_ASKED = 3
    PLAYING = 4


@dataclass(slots=True)
class _MessageStream:
    use: _Use = _Use.IDLE
    name: str = ""


class ServerSession(Session):
    """One client's connection as the server sees it. See ``Session`` for the way in and out.

    ``random_bytes(n)`` gives the handshake its dice.
    """

    def __init__(
        self,
        *,
        random_bytes: Callable[[int], bytes],
        now: float,
        limits: Limits | None = None,
        settings: ServerSettings | None = None,
    ) -> None:
        super().__init__(ServerHandshake(random_bytes), limits=limits or Limits(), now=now)
        self.settings = settings or ServerSettings()
        self._phase = _Phase.CONNECT
        self._streams: dict[int, _MessageStream] = {}
        self._calls = 0
        self._connect_asked: tuple[float, ConnectParams] | None = None
        self._opened_at = now
        self._phase_since = now
        self._publish_on_zero: int | None = None

    # Answers

    def accept_connect(self, now: float) -> None:
        """Answer connect: window, bandwidth, chunk size, then ``_result`` (section 7.2.1.1)."""
        transaction_id, params = self._take_connect()
        self._send_window_ack_size(self.settings.window_ack_size)
        bandwidth = control.set_peer_bandwidth(self.settings.window_ack_size, BandwidthLimit.DYNAMIC)
        self._send_control(bandwidth)
        self._send_control(control.set_chunk_size(self.settings.chunk_size))
        self.send_command(commands.connect_result(transaction_id, params.object_encoding))
        self._enter(_Phase.REQUEST, now)
        self._answered(now)

    def reject_connect(self, code: str, description: str, now: float) -> None:
        """Refuse connect with ``_error``; the connection ends when this has been sent."""
        transaction_id, _ = self._take_connect()
        self.send_command(commands.error(transaction_id, code, description))
        self._refuse(now)

    def accept_publish(self, stream_id: int, now: float) -> None:
        """Let the publish begin: StreamBegin, onFCPublish, ``NetStream.Publish.Start``."""
        stream = self._asked(stream_id, _Use.PUBLISH_ASKED)
        stream.use = _Use.PUBLISHING
        self._media_streams.add(stream_id)
        self.send_user_control(control.StreamBegin(stream_id))
        started = f"{stream.name} is now published."
        status = commands.status_object(StatusLevel.STATUS, StatusCode.PUBLISH_START, started)
        self.send_command(Command("onFCPublish", 0, None, (status,)), stream_id)
        self._send_status(stream_id, StatusLevel.STATUS, StatusCode.PUBLISH_START, started)
        self._enter(_Phase.SERVING, now)
        self._answered(now)

    def reject_publish(self, stream_id: int, code: str, description: str, now: float) -> None:
        """Refuse the publish with onStatus; the connection ends when this has been sent."""
        self._asked(stream_id, _Use.PUBLISH_ASKED).use = _Use.IDLE
        self._send_status(stream_id, StatusLevel.ERROR, code, description)
        self._refuse(now)

    def accept_play(self, stream_id: int, now: float) -> None:
        """Let the play begin: StreamBegin, Play.Reset, Play.Start, |RtmpSampleAccess; media may follow."""
        stream = self._asked(stream_id, _Use.PLAY_ASKED)
        stream.use = _Use.PLAYING
        self.send_user_control(control.StreamBegin(stream_id))
        self._send_status(
            stream_id, StatusLevel.STATUS, StatusCode.PLAY_RESET, f"Playing and resetting {stream.name}."
        )
        self._send_status(
            stream_id, StatusLevel.STATUS, StatusCode.PLAY_START, f"Started playing {stream.name}."
        )
        access = encode_values("|RtmpSampleAccess", True, True)
        self.send_message(Message(int(MessageType.DATA_AMF0), 0, stream_id, access), CSID_DATA)
        self._enter(_Phase.SERVING, now)
        self._answered(now)

    def reject_play(self, stream_id: int, code: str, description: str, now: float) -> None:
        """Refuse the play with onStatus; the connection ends when this has been sent."""
        self._asked(stream_id, _Use.PLAY_ASKED).use = _Use.IDLE
        self._send_status(stream_id, StatusLevel.ERROR, code, description)
        self._refuse(now)

    # What the server says unasked

    def notify_unpublished(self, stream_id: int) -> None:
        """Tell a player that the publisher left: StreamEOF (GStreamer), UnpublishNotify (ffmpeg, librtmp)."""
        stream = self._playing(stream_id)
        self.send_user_control(control.StreamEof(stream_id))
        self._send_status(
            stream_id,
            StatusLevel.STATUS,
            StatusCode.PLAY_UNPUBLISH_NOTIFY,
            f"{stream.name} is now unpublished.",
        )

    def notify_published(self, stream_id: int) -> None:
        """Tell a player that stayed that a publisher is back."""
        stream = self._playing(stream_id)
        self.send_user_control(control.StreamBegin(stream_id))
        self._send_status(
            stream_id, StatusLevel.STATUS, StatusCode.PLAY_PUBLISH_NOTIFY, f"{stream.name} is now published."
        )

    def end_publish(self, stream_id: int, code: str, description: str) -> None:
        """End a publish from our side; the connection ends when this has been sent.

        OBS reads nothing while it streams, so only the close of the connection stops it.
        """
        self._send_status(stream_id, StatusLevel.ERROR, code, description)
        self.closing = True

    def end_play(self, stream_id: int, code: str, description: str) -> None:
        """End a play from our side; the connection ends when this has been sent."""
        self._send_status(stream_id, StatusLevel.ERROR, code, description)
        self.closing = True

    # Commands

    def _handle_command(self, message: Message) -> None:
        command = commands.parse_command(message, self.limits)
        if self._phase is _Phase.CONNECT and command.name != "connect":
            raise ProtocolError("command_before_connect", f"{command.name!r} came before connect")
        if self._phase is not _Phase.SERVING:
            self._calls += 1
            if self._calls > self.limits.max_calls:
                raise ProtocolError("too_many_calls", f"{self._calls} calls and still no publish or play")
        handler = _COMMANDS.get(command.name)
        if handler is not None:
            handler(self, command, message.stream_id)
            return
        self._events.append(CommandReceived(message.stream_id, command))
        if command.transaction_id:
            text = f"The method {command.name[:64]!r} is not known here."
            self.send_command(commands.error(command.transaction_id, StatusCode.CALL_FAILED, text))

    def _on_connect(self, command: Command, _stream_id: int) -> None:
        if self._phase is not _Phase.CONNECT:
            text = "This connection is connected already."
            self.send_command(commands.error(command.transaction_id, StatusCode.CONNECT_REJECTED, text))
            raise ProtocolError("connect_twice", "a second connect on the same connection")
        params = ConnectParams.from_command(command, self.limits)
        self._connect_asked = (command.transaction_id, params)
        self._events.append(ConnectRequested(params))
        self._hold()

    def _on_create_stream(self, command: Command, _stream_id: int) -> None:
        if len(self._streams) >= self.limits.max_message_streams:
            raise ProtocolError(
                "too_many_streams", f"more than {self.limits.max_message_streams} message streams"
            )
        stream_id = self._free_stream_id()
        self._streams[stream_id] = _MessageStream()
        self.send_command(commands.result(command.transaction_id, stream_id))

    def _on_delete_stream(self, command: Command, _stream_id: int) -> None:
        target = command.args[0] if command.args else None
        if isinstance(target, (int, float)):
            targets = [int(target)] if target in self._streams else []
        else:
            # quirk(gstreamer<=1.22): the argument is the stream's name, not its id.
            targets = list(self._streams)
        for stream_id in targets:
            self._end(stream_id)
            del self._streams[stream_id]

    def _on_close_stream(self, _command: Command, stream_id: int) -> None:
        if stream_id in self._streams:
            self._end(stream_id)

    def _on_release_stream(self, command: Command, _stream_id: int) -> None:
        self._reply_undefined(command)

    def _on_fc_publish(self, command: Command, _stream_id: int) -> None:
        self._reply_undefined(command)

    def _on_fc_unpublish(self, command: Command, _stream_id: int) -> None:
        name, _ = split_query(_text(command.args, 0))
        for stream_id, stream in self._streams.items():
            if stream.use is _Use.PUBLISHING and stream.name == name:
                text = f"{name} is now unpublished."
                status = commands.status_object(StatusLevel.STATUS, StatusCode.UNPUBLISH_SUCCESS, text)
                self.send_command(Command("onFCUnpublish", 0, None, (status,)), stream_id)
                self._send_status(stream_id, StatusLevel.STATUS, StatusCode.UNPUBLISH_SUCCESS, text)
                self._end(stream_id)
        self._reply_undefined(command)

    def _on_publish(self, command: Command, stream_id: int) -> None:
        stream_id, stream = self._stream_of(stream_id)
        name, query = split_query(_text(command.args, 0))
        if stream.use is not _Use.IDLE:
            text = f"Message stream {stream_id} is in use already; create another one."
            self._send_status(stream_id, StatusLevel.ERROR, StatusCode.PUBLISH_BAD_NAME, text)
            raise ProtocolError("publish_twice", f"publish on message stream {stream_id}, which is in use")
        mode = _text(command.args, 1)
        stream.use = _Use.PUBLISH_ASKED
        stream.name = name
        mode = mode if mode in _PUBLISH_MODES else _PUBLISH_MODES[0]
        self._events.append(PublishRequested(stream_id, name, query, mode))
        self._hold()

    def _on_play(self, command: Command, stream_id: int) -> None:
        args = command.args
        self._ask_play(stream_id, _text(args, 0), _number(args, 1, -2), _number(args, 2, -1), _flag(args, 3))

    def _on_play2(self, command: Command, stream_id: int) -> None:
        options = command.args[0] if command.args else None
        if not isinstance(options, dict):
            text = "play2 needs an object with streamName."
            self.send_command(commands.error(command.transaction_id, StatusCode.CALL_FAILED, text))
            return
        values = (options.get("streamName"), options.get("start", -2.0), options.get("len", -1.0))
        self._ask_play(
            stream_id, _text(values, 0), _number(values, 1, -2), _number(values, 2, -1), reset=True
        )

    def _ask_play(self, stream_id: int, name: str, start: float, duration: float, reset: bool) -> None:
        stream_id, stream = self._stream_of(stream_id)
        if stream.use is _Use.PLAYING:
            self._end(stream_id)
        if stream.use is not _Use.IDLE:
            text = f"Message stream {stream_id} is in use already; create another one."
            self._send_status(stream_id, StatusLevel.ERROR, StatusCode.PLAY_FAILED, text)
            raise ProtocolError("play_on_publish", f"play on message stream {stream_id}, which publishes")
        stream.use = _Use.PLAY_ASKED
        stream.name, query = split_query(name)
        if start <= -1000:
            start /= 1000  # quirk(ffmpeg, librtmp): -2000 and -1000 where the specification says -2 and -1.
        self._events.append(PlayRequested(stream_id, stream.name, query, start, duration, reset))
        self._hold()

    def _on_pause(self, command: Command, stream_id: int) -> None:
        stream = self._streams.get(stream_id)
        if stream is None or stream.use is not _Use.PLAYING:
            return
        if _flag(command.args, 0):
            self._send_status(
                stream_id, StatusLevel.STATUS, StatusCode.PAUSE_NOTIFY, f"Paused {stream.name}."
            )
            self.send_user_control(control.StreamEof(stream_id))
            self._events.append(PauseRequested(stream_id, True))
        else:
            self.send_user_control(control.StreamBegin(stream_id))
            self._send_status(
                stream_id, StatusLevel.STATUS, StatusCode.UNPAUSE_NOTIFY, f"Unpaused {stream.name}."
            )
            self._events.append(PauseRequested(stream_id, False))

    def _on_seek(self, command: Command, stream_id: int) -> None:
        stream = self._streams.get(stream_id)
        if stream is None or stream.use is not _Use.PLAYING:
            return
        # A live stream has one position. ffmpeg discards all media from its seek to this notice.
        self._notify_resumed(stream_id, stream)
        self._events.append(SeekRequested(stream_id, int(_number(command.args, 0, 0))))

    def _on_receive_audio(self, command: Command, stream_id: int) -> None:
        stream = self._streams.get(stream_id)
        if stream is not None and stream.use is _Use.PLAYING:
            enabled = _flag(command.args, 0)
            if enabled:
                self._notify_resumed(stream_id, stream)
            self._events.append(ReceiveAudio(stream_id, enabled))

    def _on_receive_video(self, command: Command, stream_id: int) -> None:
        stream = self._streams.get(stream_id)
        if stream is not None and stream.use is _Use.PLAYING:
            enabled = _flag(command.args, 0)
            if enabled:
                self._notify_resumed(stream_id, stream)
            self._events.append(ReceiveVideo(stream_id, enabled))

    def _on_fc_subscribe(self, command: Command, stream_id: int) -> None:
        text = f"Subscribed to {split_query(_text(command.args, 0))[0]}."
        status = commands.status_object(StatusLevel.STATUS, StatusCode.PLAY_START, text)
        self.send_command(Command("onFCSubscribe", 0, None, (status,)), stream_id)

    def _on_get_stream_length(self, command: Command, _stream_id: int) -> None:
        if command.transaction_id:
            self.send_command(commands.result(command.transaction_id, 0))

    def _on_check_bandwidth(self, command: Command, _stream_id: int) -> None:
        # Never answered with onBWDone: ffmpeg answers every one of those with another _checkbw.
        self._reply_undefined(command)

    def _on_ignored(self, _command: Command, _stream_id: int) -> None:
        """A notice that wants no answer."""

    # Inside

    def _handle_other_media(self, message: Message) -> bool:
        if message.stream_id == 0 and self._publish_on_zero in self._media_streams:
            message.stream_id = self._publish_on_zero
            self._events.append(message)
            return True
        return False

    def _deadlines(self) -> list[tuple[float, DeadlineExceeded]]:
        limits = self.limits
        deadlines = super()._deadlines()
        if self._phase is _Phase.CONNECT:
            word = "handshake" if self._handshake is not None else "connect"
            error = DeadlineExceeded(f"{word}_timeout", f"no {word} within {limits.handshake_timeout:g} s")
            deadlines.append((self._opened_at + limits.handshake_timeout, error))
        elif self._phase is _Phase.REQUEST:
            text = f"neither publish nor play within {limits.request_timeout:g} s of connect"
            deadlines.append(
                (self._phase_since + limits.request_timeout, DeadlineExceeded("request_timeout", text))
            )
        if self._media_streams:
            silence = limits.idle_publisher_timeout
            error = DeadlineExceeded("publisher_idle", f"the publisher sent nothing for {silence:g} s")
            deadlines.append((self._last_received + silence, error))
        return deadlines

    def _enter(self, phase: _Phase, now: float) -> None:
        self._phase = phase
        self._phase_since = now

    def _take_connect(self) -> tuple[float, ConnectParams]:
        request = self._connect_asked
        if request is None or self._phase is not _Phase.CONNECT:
            raise UsageError("no connect is waiting for an answer")
        self._connect_asked = None
        return request

    def _asked(self, stream_id: int, use: _Use) -> _MessageStream:
        stream = self._streams.get(stream_id)
        if stream is None or stream.use is not use:
            raise UsageError(f"message stream {stream_id} has no such request waiting")
        return stream

    def _playing(self, stream_id: int) -> _MessageStream:
        stream = self._streams.get(stream_id)
        if stream is None or stream.use is not _Use.PLAYING:
            raise UsageError(f"message stream {stream_id} does not play")
        return stream

    def _refuse(self, now: float) -> None:
        self.closing = True
        self._answered(now)

    def _stream_of(self, stream_id: int) -> tuple[int, _MessageStream]:
        """The message stream that a publish or play on ``stream_id`` means."""
        stream = self._streams.get(stream_id)
        if stream is not None:
            return stream_id, stream
        if stream_id != 0:
            raise ProtocolError("unknown_stream", f"message stream {stream_id} was never created")
        # Sloppy clients say publish and play on message stream 0, some without createStream.
        idle = [i for i, candidate in self._streams.items() if candidate.use is _Use.IDLE]
        chosen = idle[-1] if idle else self._free_stream_id()
        self._publish_on_zero = chosen
        return chosen, self._streams.setdefault(chosen, _MessageStream())

    def _free_stream_id(self) -> int:
        # The first is 1: GStreamer refuses 0 and takes the end of stream 1 for the end of its own.
        return next(i for i in range(1, len(self._streams) + 2) if i not in self._streams)

    def _end(self, stream_id: int) -> None:
        """Report the end of whatever a message stream does; it is idle afterwards."""
        stream = self._streams[stream_id]
        if stream.use is _Use.PUBLISHING:
            self._media_streams.discard(stream_id)
            self._events.append(PublishEnded(stream_id))
        elif stream.use is _Use.PLAYING:
            self._events.append(PlayEnded(stream_id))
        stream.use = _Use.IDLE

    def _notify_resumed(self, stream_id: int, stream: _MessageStream) -> None:
        self._send_status(stream_id, StatusLevel.STATUS, StatusCode.SEEK_NOTIFY, f"{stream.name} is live.")
        self._send_status(
            stream_id, StatusLevel.STATUS, StatusCode.PLAY_START, f"Started playing {stream.name}."
        )

    def _send_status(self, stream_id: int, level: str, code: str, description: str) -> None:
        self.send_command(commands.on_status(level, code, description), stream_id)

    def _reply_undefined(self, command: Command) -> None:
        if command.transaction_id:
            self.send_command(commands.result(command.transaction_id, UNDEFINED))


def _text(args: tuple[AmfValue, ...], index: int) -> str:
    value = args[index] if index < len(args) else None
    return value if isinstance(value, str) else ""


def _number(args: tuple[AmfValue, ...], index: int, default: float) -> float:
    value = args[index] if index < len(args) else None
    return float(value) if isinstance(value, (int, float)) and -1e15 < value < 1e15 else default


def _flag(args: tuple[AmfValue, ...], index: int) -> bool:
    return bool(args[index]) if index < len(args) else False


_COMMANDS: dict[str, Callable[[ServerSession, Command, int], None]] = {
    "connect": ServerSession._on_connect,
    "createStream": ServerSession._on_create_stream,
    "deleteStream": ServerSession._on_delete_stream,
    "closeStream": ServerSession._on_close_stream,
    "releaseStream": ServerSession._on_release_stream,
    "FCPublish": ServerSession._on_fc_publish,
    "FCUnpublish": ServerSession._on_fc_unpublish,
    "publish": ServerSession._on_publish,
    "play": ServerSession._on_play,
    "play2": ServerSession._on_play2,
    "pause": ServerSession._on_pause,
    "pauseRaw": ServerSession._on_pause,
    "pauseraw": ServerSession._on_pause,
    "seek": ServerSession._on_seek,
    "receiveAudio": ServerSession._on_receive_audio,
    "receiveVideo": ServerSession._on_receive_video,
    "FCSubscribe": ServerSession._on_fc_subscribe,
    "FCUnsubscribe": ServerSession._on_ignored,
    "getStreamLength": ServerSession._on_get_stream_length,
    "_checkbw": ServerSession._on_check_bandwidth,
    "_result": ServerSession._on_ignored,
    "_error": ServerSession._on_ignored,
    "onStatus": ServerSession._on_ignored,
}
