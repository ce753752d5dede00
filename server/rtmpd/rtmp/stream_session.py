"""The server's side of message streams: createStream, publish, play, and the calls around them.

Every request that needs a decision (publish, play) becomes an event; nothing further from the peer is
processed until ``accept_*`` or ``reject_*`` answers it. So every check comes before
``NetStream.Publish.Start``: OBS shows an error to its user only then, and reconnects for ever when it is
turned away later.
"""

from __future__ import annotations

from typing import Final, assert_never

from rtmpd.exceptions import ProtocolError, UsageError
from rtmpd.reasons import SessionFailure
from rtmpd.rtmp import commands
from rtmpd.rtmp.amf import UNDEFINED, AmfValue
from rtmpd.rtmp.command_scan import data_of_command, parse_head
from rtmpd.rtmp.commands import Command
from rtmpd.rtmp.constants import MessageType, StatusCode
from rtmpd.rtmp.events import (
    BufferLengthSet,
    PauseRequested,
    PlayEnded,
    PlayRequested,
    PublishEnded,
    PublishRequested,
    ReceiveAudio,
    ReceiveVideo,
    SeekRequested,
    ServerEvent,
)
from rtmpd.rtmp.handshake import ServerHandshake
from rtmpd.rtmp.inlet import MediaReceiver
from rtmpd.rtmp.limits import Limits
from rtmpd.rtmp.message_stream import MessageStream, MessageStreams
from rtmpd.rtmp.messages import Message
from rtmpd.rtmp.quirks import Quirk
from rtmpd.rtmp.session import Session
from rtmpd.rtmp.states import Phase, Step, StreamCall, Use
from rtmpd.rtmp.url import split_query

_PUBLISH_MODES = ("live", "record", "append", "appendWithGap")

_EARLY_TURN: Final = 128
"""Messages that are taken in one turn from whoever has published nothing."""


class StreamSession(Session):
    """A ``ServerSession`` as far as message streams go; it adds the connection itself."""

    __slots__ = ("_idle_since", "_phase", "_streams")

    def __init__(self, handshake: ServerHandshake, *, limits: Limits, now: float) -> None:
        super().__init__(handshake, limits=limits, now=now)
        self._reader.expect_media(False)
        self._turn = min(self._turn, _EARLY_TURN)
        self._phase = Phase.IDLE
        self._idle_since = now
        """When the last message stream in use ended; before the first, when the connection was accepted."""
        self._streams = MessageStreams(limits.max_message_streams)

    def events_received(self) -> list[ServerEvent]:
        """Everything that happened since the last call, in order."""
        events, self._events = self._events, None
        return events or []

    # Answers

    def accept_publish(self, stream_id: int, now: float, receive: MediaReceiver | None = None) -> None:
        """Let the publish begin; what the encoder sent behind its request is processed now.

        ``receive`` takes every media and data message of the stream as it is parsed; None has each reported
        as an event of its own.
        """
        if self.closing:
            return
        self._asked(stream_id, Use.PUBLISH_ASKED).accept_publish(self)
        self._reader.expect_media(True)
        self._turn = self.limits.max_messages_per_turn
        self._open_media(stream_id, receive or self._report_media)
        self._phase = self._phase.after(Step.SERVE)
        self._answered(now)

    def reject_publish(self, stream_id: int, code: str, description: str, now: float) -> None:
        """Refuse the publish with onStatus; the connection ends when this has been sent."""
        if self.closing:
            return
        self._asked(stream_id, Use.PUBLISH_ASKED).refuse(self, code, description)
        self._now = now
        self.close()

    def accept_play(self, stream_id: int, now: float, *, recorded: bool = False) -> None:
        """Let the play begin; media may follow, which ffmpeg and librtmp discard before this."""
        if self.closing:
            return
        stream = self._asked(stream_id, Use.PLAY_ASKED)
        stream.accept_play(self, recorded=recorded)
        if recorded and stream.buffer_ms:
            self._tell(BufferLengthSet(stream_id, stream.buffer_ms))
        if not stream.receive_audio:
            self._tell(ReceiveAudio(stream_id, False))
        if not stream.receive_video:
            self._tell(ReceiveVideo(stream_id, False))
        self._phase = self._phase.after(Step.SERVE)
        self._answered(now)

    def reject_play(self, stream_id: int, code: str, description: str, now: float) -> None:
        """Refuse the play with onStatus; the connection ends when this has been sent."""
        if self.closing:
            return
        self._asked(stream_id, Use.PLAY_ASKED).refuse(self, code, description)
        self._now = now
        self.close()

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

    def switch_play(self, stream_id: int, name: str) -> None:
        """Tell a player that it is played stream ``name`` from now on."""
        if not self.closing:
            self._asked(stream_id, Use.PLAYING).switch_play(self, name)

    def end_publish(self, stream_id: int, code: str, description: str) -> None:
        """End a publish from our side; the connection ends when this has been sent.

        OBS reads nothing while it streams, so only the close of the connection stops it.
        """
        if (stream := self._streams.find(stream_id, Use.PUBLISHING)) is not None:
            stream.fail(self, code, description)
        self.close()

    def end_play(self, stream_id: int, code: str, description: str) -> None:
        """End a play from our side; the connection ends when this has been sent."""
        if (stream := self._streams.find(stream_id, Use.PLAYING)) is not None:
            stream.fail(self, code, description)
        self.close()

    # Commands (section 7.2.2, and those of the connection that concern streams)

    def _on_stream_call(self, call: StreamCall, command: Command, message: Message) -> None:
        stream_id = message.stream_id
        match call:
            case StreamCall.PUBLISH:
                self._on_publish(command, stream_id)
            case StreamCall.FC_UNPUBLISH:
                self._on_fc_unpublish(command)
            case StreamCall.PLAY:
                self._on_play(command, stream_id)
            case StreamCall.PLAY2:
                self._on_play2(command, stream_id)
            case StreamCall.PAUSE:
                self._on_pause(command, stream_id)
            case StreamCall.SEEK:
                self._on_seek(command, stream_id)
            case StreamCall.RECEIVE_AUDIO:
                self._on_receive_audio(command, stream_id)
            case StreamCall.RECEIVE_VIDEO:
                self._on_receive_video(command, stream_id)
            case StreamCall.CLOSE_STREAM:
                self._on_close_stream(stream_id)
            case StreamCall.DELETE_STREAM:
                self._on_delete_stream(command)
            case StreamCall.DATA:
                self._on_data(message)
            case _:
                assert_never(call)

    def _on_create_stream(self, command: Command) -> None:
        self._reply(commands.result(command.transaction_id, self._streams.create().id))

    def _on_delete_stream(self, command: Command) -> None:
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

    def _on_fc_unpublish(self, command: Command) -> None:
        # Encoders whose key carries a query repeat it here, or leave it out.
        name, _ = split_query(text_of(command.args, 0))
        ended = [stream for stream in self._streams if stream.use is Use.PUBLISHING and stream.name == name]
        for stream in ended:
            stream.say_unpublishing(self)
        self._on_notice(command)
        for stream in ended:
            stream.say_unpublished(self)
            self._end(stream)

    def _on_notice(self, command: Command) -> None:
        """A call that changes nothing, but whose sender may wait for a result.

        ``_checkbw`` is never answered with onBWDone: ffmpeg answers every one of those with another _checkbw.
        """
        self._reply(commands.result(command.transaction_id, UNDEFINED))

    def _on_close_stream(self, stream_id: int) -> None:
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
        name, query = self._name_and_query(text_of(command.args, 0))
        if stream.use is Use.PUBLISHING and stream.name == name:
            self._tolerate(Quirk.PUBLISH_AGAIN)
            stream.say_published(self)
            return
        if stream.use is not Use.IDLE:
            raise self._refused(stream, StatusCode.PUBLISH_BAD_NAME, SessionFailure.PUBLISH_TWICE, _IN_USE)
        stream.ask(Step.PUBLISH, name)
        mode = text_of(command.args, 1)
        mode = mode if mode in _PUBLISH_MODES else _PUBLISH_MODES[0]
        self._tell(PublishRequested(stream.id, stream.name, query, mode))
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
            raise self._refused(stream, StatusCode.PLAY_FAILED, SessionFailure.PLAY_ON_PUBLISH, _IN_USE)
        stream.ask(Step.PLAY, text)
        seconds = _number(start, -2)
        if seconds <= -1000:
            seconds /= 1000  # quirk(ffmpeg, librtmp): -2000 and -1000 where the specification says -2 and -1.
        length = max(_number(duration, -1), -1)
        self._tell(PlayRequested(stream.id, stream.name, query, seconds, length, reset))
        self._hold()

    def _on_data(self, message: Message) -> None:
        self._tolerate(Quirk.DATA_AS_COMMAND)
        body = data_of_command(message, parse_head(message))
        self._process([Message(int(MessageType.DATA_AMF0), message.timestamp, message.stream_id, body)])

    def _on_pause(self, command: Command, stream_id: int) -> None:
        if (stream := self._streams.find(stream_id, Use.PLAYING)) is not None:
            paused = _flag(command)
            if paused:
                stream.pause(self)
            else:
                stream.unpause(self)
            self._tell(PauseRequested(stream.id, paused))

    def _on_seek(self, command: Command, stream_id: int) -> None:
        if (stream := self._streams.find(stream_id, Use.PLAYING)) is not None:
            if not stream.recorded:
                stream.resume(self)
            position = _number(command.args[0] if command.args else None, 0)
            self._tell(SeekRequested(stream.id, int(position)))

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
            self._tell(event)

    # Inside

    def _tell(self, event: ServerEvent) -> None:
        self._add_event(event)

    def _asked(self, stream_id: int, use: Use) -> MessageStream:
        stream = self._streams.find(stream_id, use)
        if stream is None:
            raise UsageError(f"message stream {stream_id} has no such request waiting")
        return stream

    def _end(self, stream: MessageStream) -> None:
        """Report the end of whatever a message stream does; it is idle afterwards."""
        if stream.use is Use.PUBLISHING:
            self._end_media(stream.id)
            self._tell(PublishEnded(stream.id))
        elif stream.use is Use.PLAYING:
            self._tell(PlayEnded(stream.id))
        else:
            return  # What has ended already puts no deadline off.
        stream.end()
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
            raise ProtocolError(SessionFailure.QUERY_TOO_LONG, text, code=StatusCode.CALL_FAILED)
        return name, query

    def _refused(self, stream: MessageStream, code: str, reason: SessionFailure, text: str) -> ProtocolError:
        """Tell the client why its request on ``stream`` ends the session; returns the error to raise."""
        stream.fail(self, code, text)
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
        if self._phase is Phase.IDLE:
            text = f"a message of type {message.type} came before connect"
            raise ProtocolError(SessionFailure.MESSAGE_BEFORE_CONNECT, text)

    def _reply(self, reply: Command) -> None:
        """Send a ``_result`` or ``_error``, unless the call asked for none."""
        if reply.transaction_id:
            self.send_command(reply)


_IN_USE = "This message stream is in use already; create another one."


def text_of(args: tuple[AmfValue, ...], index: int) -> str:
    value = args[index] if index < len(args) else None
    return value if isinstance(value, str) else ""


def _number(value: AmfValue, default: float) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return default
    return float(value) if -1e15 < value < 1e15 else default


def _flag(command: Command) -> bool:
    return bool(command.args[0]) if command.args else False
