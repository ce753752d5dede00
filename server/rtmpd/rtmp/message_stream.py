"""A client's message streams (NetStreams) as the server sees them: their use, and what is said on them.

Everything goes out on the stream's own id: GStreamer takes an onStatus on no other. The order of the replies
is one that OBS, ffmpeg, VLC, librtmp, GStreamer and FMLE all accept.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Protocol

from rtmpd.exceptions import ProtocolError
from rtmpd.reasons import SessionFailure
from rtmpd.rtmp import commands, control
from rtmpd.rtmp.amf import AmfValue, encode_values
from rtmpd.rtmp.commands import Command
from rtmpd.rtmp.constants import CSID_DATA, MessageType, StatusCode, StatusLevel
from rtmpd.rtmp.control import UserControl
from rtmpd.rtmp.messages import Message
from rtmpd.rtmp.states import Step, Use

_SAMPLE_ACCESS: Final = encode_values("|RtmpSampleAccess", True, True)


class Sender(Protocol):
    """The session, as far as a message stream needs it: its way out."""

    def send_message(self, message: Message, csid: int) -> None: ...
    def send_command(self, command: Command, stream_id: int = 0) -> None: ...
    def send_payload(self, payload: bytes, stream_id: int = 0) -> None: ...
    def send_user_control(self, event: UserControl) -> None: ...


class MessageStream:
    """One message stream. The session decides what may happen; this keeps the state and does the talking."""

    __slots__ = ("buffer_ms", "id", "name", "receive_audio", "receive_video", "recorded", "use")

    def __init__(self, stream_id: int) -> None:
        self.id = stream_id
        """1 or more."""
        self.use = Use.IDLE
        self.name = ""
        """Of the last publish or play, without its query."""
        self.receive_audio = True
        """What the client said last, before its play or in it (section 7.2.2.4)."""
        self.receive_video = True
        self.buffer_ms = 0
        """How much the client says that it keeps ahead (section 7.1.7); 0 while it has not said."""
        self.recorded = False
        """What is played is a file and no live stream."""

    def ask(self, step: Step, name: str) -> None:
        """The client has asked to ``PUBLISH`` or to ``PLAY``; nothing is said until the answer."""
        self.use = self.use.after(step)
        self.name = name

    # Publish (section 7.2.2.6)

    def accept_publish(self, out: Sender) -> None:
        """StreamBegin, onFCPublish (FMLE waits for it), ``NetStream.Publish.Start``."""
        self.use = self.use.after(Step.ACCEPT)
        text = f"{self.name} is now published."
        out.send_user_control(control.StreamBegin(self.id))
        self._say(out, "onFCPublish", {"code": StatusCode.PUBLISH_START.value, "description": text})
        self.say_published(out)

    def say_published(self, out: Sender) -> None:
        """``NetStream.Publish.Start``."""
        self._status(out, StatusCode.PUBLISH_START, f"{self.name} is now published.")

    def say_unpublishing(self, out: Sender) -> None:
        """onFCUnpublish, the first answer to FCUnpublish; its result and ``say_unpublished`` follow."""
        text = f"{self.name} is now unpublished."
        self._say(out, "onFCUnpublish", {"code": StatusCode.UNPUBLISH_SUCCESS.value, "description": text})

    def say_unpublished(self, out: Sender) -> None:
        """``NetStream.Unpublish.Success``."""
        self._status(out, StatusCode.UNPUBLISH_SUCCESS, f"{self.name} is now unpublished.")

    # Play (section 7.2.2.1)

    def accept_play(self, out: Sender, *, recorded: bool = False) -> None:
        """StreamBegin, ``NetStream.Play.Reset``, ``NetStream.Play.Start``, |RtmpSampleAccess.

        What is recorded is called so first, with StreamIsRecorded.
        """
        self.use = self.use.after(Step.ACCEPT)
        self.recorded = recorded
        if recorded:
            out.send_user_control(control.StreamIsRecorded(self.id))
        out.send_user_control(control.StreamBegin(self.id))
        self._status(out, StatusCode.PLAY_RESET, f"Playing and resetting {self.name}.")
        self._status(out, StatusCode.PLAY_START, f"Started playing {self.name}.")
        out.send_message(Message(int(MessageType.DATA_AMF0), 0, self.id, _SAMPLE_ACCESS), CSID_DATA)

    def switch_play(self, out: Sender, name: str) -> None:
        """The play goes on with another stream: as its begin is told, which all clients take once more.

        No end is told of the one before. ffmpeg and librtmp leave at ``NetStream.Play.UnpublishNotify`` and
        ``Play.Stop``, GStreamer at StreamEOF.
        """
        self.name = name
        out.send_user_control(control.StreamBegin(self.id))
        self._status(out, StatusCode.PLAY_RESET, f"Playing and resetting {name}.")
        self._status(out, StatusCode.PLAY_START, f"Started playing {name}.")

    def say_stopped(self, out: Sender) -> None:
        """``NetStream.Play.Stop``."""
        self._status(out, StatusCode.PLAY_STOP, f"Stopped playing {self.name}.")

    def pause(self, out: Sender) -> None:
        self._status(out, StatusCode.PAUSE_NOTIFY, f"Paused {self.name}.")
        out.send_user_control(control.StreamEof(self.id))

    def unpause(self, out: Sender) -> None:
        self._status(out, StatusCode.UNPAUSE_NOTIFY, f"Unpaused {self.name}.")
        out.send_user_control(control.StreamBegin(self.id))

    def resume(self, out: Sender) -> None:
        """The answer to seek, receiveAudio(true) and receiveVideo(true).

        ffmpeg discards all media from its seek to ``NetStream.Play.Start``.
        """
        self._status(out, StatusCode.SEEK_NOTIFY, f"{self.name} is live.")
        self._status(out, StatusCode.PLAY_START, f"Started playing {self.name}.")

    def seeked(self, out: Sender, position_ms: int) -> None:
        """The answer to a seek in what is recorded; media from ``position_ms`` on follows."""
        out.send_user_control(control.StreamIsRecorded(self.id))
        out.send_user_control(control.StreamBegin(self.id))
        self._status(out, StatusCode.SEEK_NOTIFY, f"Seeking {position_ms} ({self.name}).")
        self._status(out, StatusCode.PLAY_START, f"Started playing {self.name}.")

    def completed(self, out: Sender, duration: float, size: int) -> None:
        """All that was asked for has been sent: ``Play.Stop``, ``NetStream.Play.Complete``, StreamEOF.

        The second is data, as Flash has it (onPlayStatus). ffmpeg and librtmp leave at the first, and so do
        not write it into their files; GStreamer leaves at the third.
        """
        self.say_stopped(out)
        told: dict[str, AmfValue] = {
            "level": StatusLevel.STATUS.value,
            "code": StatusCode.PLAY_COMPLETE.value,
            "description": f"Completed playing {self.name}.",
            "duration": duration,
            "bytes": size,
        }
        payload = encode_values("onPlayStatus", told)
        out.send_message(Message(int(MessageType.DATA_AMF0), 0, self.id, payload), CSID_DATA)
        out.send_user_control(control.StreamEof(self.id))

    def publisher_left(self, out: Sender) -> None:
        """Tell a player: StreamEOF is for GStreamer, UnpublishNotify for ffmpeg and librtmp."""
        out.send_user_control(control.StreamEof(self.id))
        self._status(out, StatusCode.PLAY_UNPUBLISH_NOTIFY, f"{self.name} is now unpublished.")

    def publisher_came(self, out: Sender) -> None:
        """Tell a player that waited."""
        out.send_user_control(control.StreamBegin(self.id))
        self._status(out, StatusCode.PLAY_PUBLISH_NOTIFY, f"{self.name} is now published.")

    # Either

    def refuse(self, out: Sender, code: str, description: str) -> None:
        """An onStatus of level error: the end of what was asked for."""
        self._end_with_error(out, Step.REFUSE, code, description)

    def fail(self, out: Sender, code: str, description: str) -> None:
        """An onStatus of level error: the end of what is under way."""
        self._end_with_error(out, Step.FAIL, code, description)

    def end(self) -> None:
        """The client has ended what it did."""
        self.use = self.use.after(Step.END)

    def _end_with_error(self, out: Sender, step: Step, code: str, description: str) -> None:
        self.use = self.use.after(step)
        out.send_command(commands.on_status(StatusLevel.ERROR, code, description), self.id)

    def _status(self, out: Sender, code: StatusCode, description: str) -> None:
        out.send_payload(commands.status_payload(code, description), self.id)

    def _say(self, out: Sender, name: str, info: dict[str, AmfValue]) -> None:
        out.send_command(Command(name, 0, None, (info,)), self.id)


class MessageStreams:
    """The message streams of one connection, by id: at most ``limit``, the first of them 1."""

    __slots__ = ("_limit", "_streams", "for_zero")

    def __init__(self, limit: int) -> None:
        self.for_zero = 0
        """The stream that message stream id 0 stands for; 0 while it stands for none."""
        self._limit = limit
        self._streams: tuple[MessageStream, ...] = ()

    def __iter__(self) -> Iterator[MessageStream]:
        return iter(self._streams)

    def create(self) -> MessageStream:
        """A new idle stream with the lowest free id. Raises ProtocolError at the limit."""
        if len(self._streams) >= self._limit:
            text = f"more than {self._limit} message streams"
            raise ProtocolError(SessionFailure.TOO_MANY_STREAMS, text, code=StatusCode.CALL_FAILED)
        # Not from 0: GStreamer refuses that, and takes the end of stream 1 for the end of its own.
        return self._add(next(i for i in range(1, self._limit + 1) if self._get(i) is None))

    def delete(self, stream: MessageStream) -> None:
        self._streams = tuple([each for each in self._streams if each is not stream])
        if self.for_zero == stream.id:
            self.for_zero = 0

    def find(self, stream_id: int, use: Use | None = None) -> MessageStream | None:
        """The stream that ``stream_id`` means, if there is one and it is in ``use``."""
        stream = self._get(stream_id or self.for_zero)
        return stream if stream is not None and use in (None, stream.use) else None

    def for_request(self, stream_id: int) -> MessageStream:
        """The stream that a publish or play on ``stream_id`` means. Raises ProtocolError.

        Sloppy clients say publish and play on message stream 0, some of them without createStream: 0 then
        stands for an idle stream, or for a new one, from here on. Others are sure of the id that they would
        get, and do not ask for it.
        """
        stream = self.find(stream_id)
        if stream is None:
            if 0 < stream_id <= self._limit:
                return self._add(stream_id)
            if stream_id != 0:
                text = f"message stream {stream_id} was never created"
                raise ProtocolError(SessionFailure.UNKNOWN_STREAM, text, code=StatusCode.CALL_FAILED)
            idle = [candidate for candidate in self if candidate.use is Use.IDLE]
            stream = idle[-1] if idle else self.create()
            self.for_zero = stream.id
        return stream

    def _add(self, stream_id: int) -> MessageStream:
        stream = MessageStream(stream_id)
        self._streams = (*self._streams, stream)
        return stream

    def _get(self, stream_id: int) -> MessageStream | None:
        for stream in self._streams:
            if stream.id == stream_id:
                return stream
        return None
