"""The server's side of an RTMP connection: connect, createStream, publish, play and the calls around them.

Every request that needs a decision (connect, publish, play) becomes an event; nothing further from the peer
is processed until ``accept_*`` or ``reject_*`` answers it. So every check comes before
``NetStream.Publish.Start``: OBS shows an error to its user only then, and reconnects for ever when it is
turned away later. A call with transaction id 0 gets no reply (section 7.1.1).

Reasons of ``SessionFailed`` made here: ``command_before_connect``, ``connect_twice``, ``too_many_calls``,
``publish_twice``, ``play_on_publish``, ``query_too_long``, ``request_timeout``, ``connect_timeout``,
``handshake_timeout``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from rtmpd.exceptions import AmfError, DeadlineExceeded, HandshakeError, ProtocolError, UsageError
from rtmpd.rtmp import commands
from rtmpd.rtmp import messages as control
from rtmpd.rtmp.amf import UNDEFINED, AmfValue
from rtmpd.rtmp.commands import Command, CommandHead, ConnectParams
from rtmpd.rtmp.constants import (
    DEFAULT_WINDOW_SIZE,
    BandwidthLimit,
    CapsEx,
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
from rtmpd.rtmp.message_stream import MessageStream, MessageStreams, Use
from rtmpd.rtmp.messages import Message
from rtmpd.rtmp.quirks import Quirk
from rtmpd.rtmp.rates import TokenBucket
from rtmpd.rtmp.session import MediaReceiver, Session
from rtmpd.rtmp.url import split_query

_PUBLISH_MODES = ("live", "record", "append", "appendWithGap")
_MAX_SHOWN_NAME = 64
"""Characters of what a peer names that are quoted back or logged before the name is known to be one."""


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


class ServerSession(Session):
    """One client's connection as the server sees it. See ``Session`` for the way in and out.

    ``random_bytes(n)`` gives the handshake its dice. ``shared_cost`` is what the commands of all connections
    from one place may cost together (see ``Limits.max_command_cost``): while it is overdrawn, they wait. An
    ``accept_*`` or ``reject_*`` without its request raises ``UsageError``; one that comes after the session
    has ended for another reason changes nothing.
    """

    __slots__ = (
        "_accepted_at",
        "_calls",
        "_caps_ex",
        "_connect_asked",
        "_connect_id",
        "_idle_since",
        "_phase",
        "_shared_cost",
        "_streams",
        "settings",
    )

    def __init__(
        self,
        *,
        random_bytes: Callable[[int], bytes],
        now: float,
        limits: Limits | None = None,
        settings: ServerSettings | None = None,
        shared_cost: TokenBucket | None = None,
    ) -> None:
        super().__init__(ServerHandshake(random_bytes), limits=limits or Limits(), now=now)
        self._turn = self.limits.max_messages_per_turn
        self._reader.expect_media(False)
        self._shared_cost = shared_cost
        self.settings = settings or ServerSettings()
        self._phase = _Phase.CONNECT
        self._accepted_at = now  # The connection itself; then the latest connect, publish or play.
        self._connect_asked: ConnectParams | None = None
        self._connect_id = 1.0
        """Transaction id of the latest connect, as it came."""
        self._caps_ex = 0
        self._idle_since = now
        """When the last message stream in use ended."""
        self._streams = MessageStreams(self.limits.max_message_streams)
        self._calls = 0

    # Answers

    def accept_connect(self, now: float, **extra: AmfValue) -> None:
        """Answer connect: window, bandwidth, chunk size, then ``_result`` (section 7.2.1.1).

        The chunk size comes before the result, which is the first message that needs it; ffmpeg copies it.
        ``extra`` joins the result's information object.
        """
        if self.closing:
            return
        params = self._take_connect()
        self._caps_ex = params.caps_ex
        self._send_window_ack_size(self.settings.window_ack_size)
        bandwidth = control.set_peer_bandwidth(self.settings.window_ack_size, BandwidthLimit.DYNAMIC)
        self._send_control(bandwidth)
        self._send_control(control.set_chunk_size(self.settings.chunk_size))
        # Whatever its transaction id is: nobody goes on without the answer.
        self.send_command(commands.connect_result(self._connect_id, params.object_encoding, **extra))
        self._phase = _Phase.REQUEST
        self._accept(now)

    def reject_connect(self, code: str, description: str, now: float) -> None:
        """Refuse connect with ``_error``; the connection ends when this has been sent."""
        if self.closing:
            return
        self._take_connect()
        self.send_command(commands.error(self._connect_id, code, description))
        self._refuse(now)

    def accept_publish(self, stream_id: int, now: float, receive: MediaReceiver | None = None) -> None:
        """Let the publish begin; what the encoder sent behind its request is processed now.

        ``receive`` takes every media and data message of the stream as it is parsed; None has each reported
        as an event of its own.
        """
        if self.closing:
            return
        self._asked(stream_id, Use.PUBLISH_ASKED).begin_publish(self)
        self._reader.expect_media(True)
        self._media_streams[stream_id] = receive or self._report_media
        self._phase = _Phase.SERVING
        self._accept(now)

    def reject_publish(self, stream_id: int, code: str, description: str, now: float) -> None:
        """Refuse the publish with onStatus; the connection ends when this has been sent."""
        if self.closing:
            return
        self._asked(stream_id, Use.PUBLISH_ASKED).refuse(self, code, description)
        self._refuse(now)

    def accept_play(self, stream_id: int, now: float) -> None:
        """Let the play begin; media may follow, which ffmpeg and librtmp discard before this."""
        if self.closing:
            return
        stream = self._asked(stream_id, Use.PLAY_ASKED)
        stream.begin_play(self)
        if not stream.receive_audio:
            self._events.append(ReceiveAudio(stream_id, False))
        if not stream.receive_video:
            self._events.append(ReceiveVideo(stream_id, False))
        self._phase = _Phase.SERVING
        self._accept(now)

    def reject_play(self, stream_id: int, code: str, description: str, now: float) -> None:
        """Refuse the play with onStatus; the connection ends when this has been sent."""
        if self.closing:
            return
        self._asked(stream_id, Use.PLAY_ASKED).refuse(self, code, description)
        self._refuse(now)

    # What the server says unasked. The peer may have ended the stream in bytes that are processed but whose
    # events are still to be read: then there is nobody left to tell.

    def notify_unpublished(self, stream_id: int) -> None:
        """Tell a player that the publisher left."""
        if (stream := self._streams.find(stream_id, Use.PLAYING)) is not None:
            stream.publisher_left(self)

    def notify_published(self, stream_id: int) -> None:
        """Tell a player that stayed that a publisher is there."""
        if (stream := self._streams.find(stream_id, Use.PLAYING)) is not None:
            stream.publisher_came(self)

    def end_publish(self, stream_id: int, code: str, description: str) -> None:
        """End a publish from our side; the connection ends when this has been sent.

        OBS reads nothing while it streams, so only the close of the connection stops it.
        """
        if (stream := self._streams.find(stream_id, Use.PUBLISHING)) is not None:
            stream.refuse(self, code, description)
        self.close()

    def end_play(self, stream_id: int, code: str, description: str) -> None:
        """End a play from our side; the connection ends when this has been sent."""
        if (stream := self._streams.find(stream_id, Use.PLAYING)) is not None:
            stream.refuse(self, code, description)
        self.close()

    def request_reconnect(self, tc_url: str = "", description: str = "") -> bool:
        """Ask the client to move to ``tc_url``, or to connect here again (Enhanced RTMP v2).

        Only those that said in connect that they know how are asked; False for the others. The client is
        served until it leaves.
        """
        if self.closing or not self._caps_ex & CapsEx.RECONNECT:
            return False
        where: dict[str, AmfValue] = {"tcUrl": tc_url} if tc_url else {}
        code, text = StatusCode.CONNECT_RECONNECT_REQUEST, description or "The server asks you to reconnect."
        self.send_command(commands.on_status(StatusLevel.STATUS, code, text, **where))
        return True

    # Commands of the connection (section 7.2.1)

    def _handle_command(self, message: Message) -> None:
        try:
            head = commands.parse_head(message)
        except AmfError as error:
            self._count_call()
            self._survive(error)
            return
        shown_name = head.name[:_MAX_SHOWN_NAME]
        if self._phase is _Phase.CONNECT and head.name != "connect":
            raise ProtocolError("command_before_connect", f"{shown_name!r} came before connect")
        handler = _COMMANDS.get(head.name)
        if handler is not None:
            if self._shared_cost is not None and (delay := self._shared_cost.debt(self._now)) > 0:
                self._wait_for(message, delay)
                return
            self._count_call()
            self._call(handler, head, message)
            return
        self._count_call()
        if head.name in _DATA_COMMANDS:
            self._tolerate(Quirk.DATA_AS_COMMAND)
            body = commands.data_of_command(message, head)
            self._process([Message(int(MessageType.DATA_AMF0), message.timestamp, message.stream_id, body)])
        elif head.name not in _IGNORED_COMMANDS:
            self._events.append(CommandReceived(message.stream_id, Command(head.name, head.transaction_id)))
            text = f"The method {shown_name!r} is not known here."
            self._reply(commands.error(head.transaction_id, StatusCode.CALL_FAILED, text))

    def _call(self, handler: _Handler, head: CommandHead, message: Message) -> None:
        """Run a command; who sent one that fails is told why, and goes on with what it does beside it."""
        if head.name == "connect":
            self._connect_id = head.given_id
            if not head.transaction_id:
                self._tolerate(Quirk.CONNECT_ID)
        try:
            handler(self, self._decode_command(message), message.stream_id)
        except ProtocolError as error:
            if error.code:
                self._answer_failed(head, message.stream_id, error)
            self._survive(error)

    def _answer_failed(self, head: CommandHead, stream_id: int, error: ProtocolError) -> None:
        """``_error``, or onStatus where the client looks for nothing else."""
        stream = self._streams.find(stream_id)
        code = _REQUESTS.get(head.name)
        if code is not None and (stream is None or stream.use is Use.IDLE):
            self.send_command(commands.on_status(StatusLevel.ERROR, code, str(error)), stream_id)
        elif head.name == "connect":
            self.send_command(commands.error(self._connect_id, StatusCode.CONNECT_REJECTED, str(error)))
        else:
            self._reply(commands.error(head.transaction_id, error.code, str(error)))

    def _survive(self, error: ProtocolError) -> None:
        """Raise ``error``, unless the peer could be told of it and something live would end with it."""
        if not error.code or all(stream.use not in _LIVE for stream in self._streams):
            raise error
        self._tolerate(Quirk.REFUSED_CALL)

    def _scan_command(self, message: Message) -> commands.ScannedCommand:
        return commands.scan_request(message, self.limits)

    def _charge(self, cost: int) -> None:
        if self._shared_cost is not None:
            self._shared_cost.take(cost, self._now)
        super()._charge(cost)

    def _count_call(self) -> None:
        if self._phase is _Phase.SERVING:
            self._count_control()
            return
        self._calls += 1
        if self._calls > self.limits.max_calls:
            raise ProtocolError("too_many_calls", f"{self._calls} calls and still no publish or play")

    def _on_connect(self, command: Command, _stream_id: int) -> None:
        if self._phase is not _Phase.CONNECT:
            text = "This connection is connected already."
            self.send_command(commands.error(self._connect_id, StatusCode.CONNECT_REJECTED, text))
            raise ProtocolError("connect_twice", "a second connect on the same connection")
        params = ConnectParams.from_command(command, self.limits)
        named = params.connect_object.get("app")
        if params.app and not (isinstance(named, str) and named):
            self._tolerate(Quirk.APP_IN_TC_URL)
        self._connect_asked = params
        self._events.append(ConnectRequested(params))
        self._hold()

    def _on_create_stream(self, command: Command, _stream_id: int) -> None:
        self._reply(commands.result(command.transaction_id, self._streams.create().id))

    def _on_delete_stream(self, command: Command, _stream_id: int) -> None:
        target = command.args[0] if command.args else None
        if isinstance(target, bool):
            ended = []
        elif isinstance(target, (int, float)):
            ended = [stream for stream in self._streams if stream.id == target]
        else:
            # quirk(gstreamer<=1.22): the argument is the stream's name, not its id.
            ended = list(self._streams)
        for stream in ended:
            self._end(stream)
            self._streams.delete(stream)

    def _on_fc_unpublish(self, command: Command, _stream_id: int) -> None:
        # Encoders whose key carries a query repeat it here, or leave it out.
        name, _ = split_query(_text(command.args, 0))
        ended = [stream for stream in self._streams if stream.use is Use.PUBLISHING and stream.name == name]
        for stream in ended:
            stream.say_unpublishing(self)
        self._on_notice(command, 0)
        for stream in ended:
            stream.say_unpublished(self)
            self._end(stream)

    def _on_fc_subscribe(self, command: Command, stream_id: int) -> None:
        text = f"Subscribed to {split_query(_text(command.args, 0))[0][:_MAX_SHOWN_NAME]}."
        status = commands.status_object(StatusLevel.STATUS, StatusCode.PLAY_START, text)
        self.send_command(Command("onFCSubscribe", 0, None, (status,)), stream_id)

    def _on_get_stream_length(self, command: Command, _stream_id: int) -> None:
        self._reply(commands.result(command.transaction_id, 0))

    def _on_notice(self, command: Command, _stream_id: int) -> None:
        """A call that changes nothing, but whose sender may wait for a result.

        ``_checkbw`` is never answered with onBWDone: ffmpeg answers every one of those with another _checkbw.
        """
        self._reply(commands.result(command.transaction_id, UNDEFINED))

    # Commands of a message stream (section 7.2.2)

    def _on_close_stream(self, _command: Command, stream_id: int) -> None:
        if (stream := self._streams.find(stream_id)) is not None:
            self._end(stream)

    def _on_publish(self, command: Command, stream_id: int) -> None:
        if command.args and command.args[0] is False:
            self._tolerate(Quirk.STOPPED_BY_FALSE)
            if (ended := self._streams.find(stream_id, Use.PUBLISHING)) is not None:
                ended.say_unpublished(self)
                self._end(ended)
            return
        stream = self._stream_for_request(stream_id)
        name, query = self._name_and_query(_text(command.args, 0))
        if stream.use is Use.PUBLISHING and stream.name == name:
            self._tolerate(Quirk.PUBLISH_AGAIN)
            stream.say_published(self)
            return
        if stream.use is not Use.IDLE:
            raise self._refused(stream, StatusCode.PUBLISH_BAD_NAME, "publish_twice", _IN_USE)
        stream.name = name
        mode = _text(command.args, 1)
        stream.use = Use.PUBLISH_ASKED
        mode = mode if mode in _PUBLISH_MODES else _PUBLISH_MODES[0]
        self._events.append(PublishRequested(stream.id, stream.name, query, mode))
        self._hold()

    def _on_play(self, command: Command, stream_id: int) -> None:
        name, start, duration, reset = (*command.args, None, None, None, None)[:4]
        if name is False:
            self._tolerate(Quirk.STOPPED_BY_FALSE)
            if (ended := self._streams.find(stream_id, Use.PLAYING)) is not None:
                ended.say_stopped(self)
                self._end(ended)
            return
        self._ask_to_play(stream_id, name, start, duration, bool(reset))

    def _on_play2(self, command: Command, stream_id: int) -> None:
        options = command.args[0] if command.args else None
        if isinstance(options, dict) and isinstance(options.get("streamName"), str):
            self._ask_to_play(
                stream_id, options["streamName"], options.get("start"), options.get("len"), reset=True
            )
        else:
            text = "play2 needs an object with streamName."
            self._reply(commands.error(command.transaction_id, StatusCode.CALL_FAILED, text))

    def _ask_to_play(
        self, stream_id: int, name: AmfValue, start: AmfValue, duration: AmfValue, reset: bool
    ) -> None:
        stream = self._stream_for_request(stream_id)
        text, query = self._name_and_query(name if isinstance(name, str) else "")
        if stream.use is Use.PLAYING:
            self._end(stream)
        if stream.use is not Use.IDLE:
            raise self._refused(stream, StatusCode.PLAY_FAILED, "play_on_publish", _IN_USE)
        stream.name = text
        stream.use = Use.PLAY_ASKED
        seconds = _number(start, -2)
        if seconds <= -1000:
            seconds /= 1000  # quirk(ffmpeg, librtmp): -2000 and -1000 where the specification says -2 and -1.
        length = max(_number(duration, -1), -1)
        self._events.append(PlayRequested(stream.id, stream.name, query, seconds, length, reset))
        self._hold()

    def _on_pause(self, command: Command, stream_id: int) -> None:
        if (stream := self._streams.find(stream_id, Use.PLAYING)) is not None:
            paused = _flag(command)
            if paused:
                stream.pause(self)
            else:
                stream.unpause(self)
            self._events.append(PauseRequested(stream.id, paused))

    def _on_seek(self, command: Command, stream_id: int) -> None:
        if (stream := self._streams.find(stream_id, Use.PLAYING)) is not None:
            stream.resume(self)
            position = _number(command.args[0] if command.args else None, 0)
            self._events.append(SeekRequested(stream.id, int(position)))

    def _on_receive_audio(self, command: Command, stream_id: int) -> None:
        if (stream := self._streams.find(stream_id)) is not None:
            stream.receive_audio = _flag(command)
            self._receive(stream, ReceiveAudio(stream.id, stream.receive_audio))

    def _on_receive_video(self, command: Command, stream_id: int) -> None:
        if (stream := self._streams.find(stream_id)) is not None:
            stream.receive_video = _flag(command)
            self._receive(stream, ReceiveVideo(stream.id, stream.receive_video))

    def _receive(self, stream: MessageStream, event: ReceiveAudio | ReceiveVideo) -> None:
        if stream.use is Use.PLAYING:
            if event.enabled:
                stream.resume(self)
            self._events.append(event)

    # Inside

    def _asked(self, stream_id: int, use: Use) -> MessageStream:
        stream = self._streams.find(stream_id, use)
        if stream is None:
            raise UsageError(f"message stream {stream_id} has no such request waiting")
        return stream

    def _end(self, stream: MessageStream) -> None:
        """Report the end of whatever a message stream does; it is idle afterwards."""
        if stream.use is Use.PUBLISHING:
            self._media_streams.pop(stream.id, None)
            self._events.append(PublishEnded(stream.id))
        elif stream.use is Use.PLAYING:
            self._events.append(PlayEnded(stream.id))
        stream.use = Use.IDLE
        self._idle_since = self._now

    def _stream_for_request(self, stream_id: int) -> MessageStream:
        if self._streams.find(stream_id) is None:
            self._tolerate(Quirk.NO_CREATE_STREAM)
        return self._streams.for_request(stream_id)

    def _name_and_query(self, text: str) -> tuple[str, str]:
        """Split what a publish or play names; whether the name may be used is for who answers to say."""
        name, query = split_query(text)
        limit = self.limits.max_query_bytes
        if len(query.encode(errors="replace")) > limit:
            text = f"The query is longer than {limit} bytes."
            raise ProtocolError("query_too_long", text, code=StatusCode.CALL_FAILED)
        return name, query

    def _refused(self, stream: MessageStream, code: str, reason: str, text: str) -> ProtocolError:
        """Tell the client why its request on ``stream`` ends the session; returns the error to raise."""
        stream.refuse(self, code, text)
        return ProtocolError(reason, f"on message stream {stream.id}: {text}")

    def _handle_other_media(self, message: Message) -> bool:
        self._check_connected(message)
        streams = self._media_streams
        target = message.stream_id or self._streams.for_zero
        if target not in streams:
            # quirk(encoders that count on their own, that open a chunk stream with fmt 1): the id is none
            # that we gave, and there is but one publish that can be meant.
            if len(streams) != 1 or (message.stream_id and self._streams.find(message.stream_id) is not None):
                return False
            self._tolerate(Quirk.MEDIA_STREAM_ID)
            target = next(iter(streams))
        message.stream_id = target
        streams[target](message, self._now)
        return True

    def _handle_ignored(self, message: Message) -> None:
        self._check_connected(message)
        if not self._media_streams:
            self._count_stray_media()

    def _check_connected(self, message: Message) -> None:
        if self._phase is _Phase.CONNECT:
            text = f"a message of type {message.type} came before connect"
            raise ProtocolError("message_before_connect", text)

    def _deadlines(self) -> list[tuple[float, str]]:
        limits = self.limits
        deadlines = super()._deadlines()
        if self._phase is _Phase.CONNECT:
            reason = "connect_timeout" if self._handshake is None else "handshake_timeout"
            deadlines.append((self._accepted_at + limits.handshake_timeout, reason))
        elif self._phase is _Phase.REQUEST:
            deadlines.append((self._accepted_at + limits.request_timeout, "request_timeout"))
        elif all(stream.use is Use.IDLE for stream in self._streams):
            deadlines.append((self._idle_since + limits.request_timeout, "request_timeout"))
        return deadlines

    def _missed(self, reason: str) -> ProtocolError:
        limits = self.limits
        match reason:
            case "handshake_timeout":
                return HandshakeError(reason, f"no handshake within {limits.handshake_timeout:g} s")
            case "connect_timeout":
                return DeadlineExceeded(reason, f"no connect within {limits.handshake_timeout:g} s")
            case "request_timeout":
                text = f"neither publish nor play within {limits.request_timeout:g} s of connect"
                return DeadlineExceeded(reason, text)
            case _:
                return super()._missed(reason)

    def _take_connect(self) -> ConnectParams:
        request = self._connect_asked
        if request is None:
            raise UsageError("no connect is waiting for an answer")
        self._connect_asked = None
        return request

    def _accept(self, now: float) -> None:
        self._accepted_at = now
        self._answered(now)

    def _refuse(self, now: float) -> None:
        self.close()
        self._answered(now)

    def _reply(self, reply: Command) -> None:
        """Send a ``_result`` or ``_error``, unless the call asked for none."""
        if reply.transaction_id:
            self.send_command(reply)


_IN_USE = "This message stream is in use already; create another one."


def _text(args: tuple[AmfValue, ...], index: int) -> str:
    value = args[index] if index < len(args) else None
    return value if isinstance(value, str) else ""


def _number(value: AmfValue, default: float) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return default
    return float(value) if -1e15 < value < 1e15 else default


def _flag(command: Command) -> bool:
    return bool(command.args[0]) if command.args else False


_LIVE = frozenset({Use.PUBLISHING, Use.PLAYING})
_REQUESTS = {
    "publish": StatusCode.PUBLISH_BAD_NAME,
    "play": StatusCode.PLAY_FAILED,
    "play2": StatusCode.PLAY_FAILED,
}
"""What fails on a message stream, and the status that says so."""
_DATA_COMMANDS = frozenset({"@setDataFrame", "@clearDataFrame"})
"""quirk(haishinkit): data messages, said as commands."""
_Handler = Callable[[ServerSession, Command, int], None]
_COMMANDS: dict[str, _Handler] = {
    "connect": ServerSession._on_connect,
    "createStream": ServerSession._on_create_stream,
    "deleteStream": ServerSession._on_delete_stream,
    "closeStream": ServerSession._on_close_stream,
    "releaseStream": ServerSession._on_notice,
    "FCPublish": ServerSession._on_notice,
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
    "getStreamLength": ServerSession._on_get_stream_length,
    "_checkbw": ServerSession._on_notice,
}
_IGNORED_COMMANDS = frozenset(
    {"_result", "_error", "onStatus", "FCUnsubscribe", "close", "ping", "onTimeCoordInfo"}
)
"""Answers to what we never asked, and notices that want no answer."""
