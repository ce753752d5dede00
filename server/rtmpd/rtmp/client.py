"""The client's side of an RTMP connection: connect, createStream, publish, play and the calls around them.

The mirror image of ``ServerSession``: methods ask, events tell what the server answered. What is asked for
on a stream begins with ``StreamStarted``, or is refused with ``StreamRefused``; it ends with ``StreamEnded``
when the server ends it, and silently when we do. Media of a playing stream is reported as the ``Message``
itself; media of any other stream is dropped, because it may still be on its way when a play ends.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, assert_never

from rtmpd.exceptions import UsageError
from rtmpd.rtmp import commands, control
from rtmpd.rtmp.amf import AmfValue
from rtmpd.rtmp.chunk_writer import encode_message
from rtmpd.rtmp.commands import Command, ConnectParams, ConnectResult, Status
from rtmpd.rtmp.constants import (
    DEFAULT_WINDOW_SIZE,
    MEDIA_CSIDS,
    BandwidthLimit,
    CapsEx,
    FourCcMask,
    MessageType,
    StatusCode,
    VideoFunction,
)
from rtmpd.rtmp.events import (
    CallRefused,
    CallSucceeded,
    ClientEvent,
    CommandReceived,
    ConnectAccepted,
    ConnectRefused,
    ReconnectRequested,
    StatusReceived,
    StreamCreated,
    StreamEnded,
    StreamRefused,
    StreamStarted,
    UserControlReceived,
)
from rtmpd.rtmp.handshake import ClientHandshake
from rtmpd.rtmp.limits import Limits
from rtmpd.rtmp.messages import Message
from rtmpd.rtmp.session import Session
from rtmpd.rtmp.states import REPLIES, Awaited, Phase, Reply, Step, Use, Verdict
from rtmpd.rtmp.stream_state import StreamStates
from rtmpd.rtmp.transactions import Transactions
from rtmpd.rtmp.url import resolve

FLASH_VER: Final = "FMLE/3.0 (compatible; rtmpd)"
"""Some servers publish only for what calls itself FMLE."""
VIDEO_FOUR_CCS: Final = ("avc1", "hvc1", "vvc1", "av01", "vp09", "vp08")
AUDIO_FOUR_CCS: Final = ("mp4a", ".mp3", "Opus", "fLaC", "ac-3", "ec-3")
"""Written out, because some servers look for each one and know no ``*``."""
CLIENT_CAPS_EX: Final = int(CapsEx.MULTITRACK | CapsEx.MODEX | CapsEx.TIMESTAMP_NANO_OFFSET)
"""Who acts on ``ReconnectRequested`` offers ``CapsEx.RECONNECT``, too."""
CLIENT_VIDEO_FUNCTION: Final = int(
    VideoFunction.CLIENT_SEEK | VideoFunction.CLIENT_HDR | VideoFunction.CLIENT_PACKET_TYPE_METADATA
)

_CONNECT_OBJECT: Final[dict[str, AmfValue]] = {
    "app": "",  # First, as every client has it.
    "type": "nonprivate",
    "fpad": False,
    "capabilities": 15,
    "audioCodecs": 4071,
    "videoCodecs": 252,
}
_FORWARD: Final = int(FourCcMask.CAN_FORWARD)
_NO_PINGS: Final = Limits(ping_interval=0)
"""Not every server answers a ping, so silence proves nothing."""
_TO_THE_END: Final = -1
"""A duration of no length, in seconds and in milliseconds."""


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """How the client speaks."""

    digest: bool = False
    """Offer the digest handshake: real FMS wants it before it plays H.264."""
    verify: bool = False
    """Check what the server answers in the handshake, at the cost of servers that answer carelessly."""
    chunk_size: int = 65536
    """Bytes; our direction."""
    window_ack_size: int = DEFAULT_WINDOW_SIZE
    """Bytes; how often the server is to acknowledge, unless it asks for another window."""


class ClientSession(Session):
    """Our connection to a server. See ``Session`` for the way in and out.

    ``random_bytes(n)`` gives the handshake its dice. ``connect`` may follow ``HandshakeCompleted``,
    everything else ``ConnectAccepted``; calls out of turn raise ``UsageError``.
    """

    def __init__(
        self,
        *,
        random_bytes: Callable[[int], bytes],
        now: float,
        limits: Limits | None = None,
        settings: ClientSettings | None = None,
    ) -> None:
        self.settings = settings or ClientSettings()
        handshake = ClientHandshake(random_bytes, digest=self.settings.digest, verify=self.settings.verify)
        super().__init__(handshake, limits=limits or _NO_PINGS, now=now)
        self._queue(handshake.initial())
        self._phase = Phase.IDLE
        self._tc_url = ""
        self._streams = StreamStates()
        self._transactions = Transactions()

    def events_received(self) -> list[ClientEvent]:
        """Everything that happened since the last call, in order."""
        events, self._events = self._events, None
        return events or []

    # Connection

    def connect(self, params: ConnectParams) -> int:
        """Announce our chunk size and send connect; ``ConnectAccepted`` or ``ConnectRefused`` answers.

        What ``params`` leaves open is filled in: who we are and what of Enhanced RTMP we can pass on.
        """
        if self._handshake is not None:
            raise UsageError("connect comes after the handshake")
        self._phase = self._phase.after(Step.CONNECT)
        params = replace(
            params,
            flash_ver=params.flash_ver or FLASH_VER,
            four_cc_list=params.four_cc_list or VIDEO_FOUR_CCS + AUDIO_FOUR_CCS,
            video_four_cc_info_map=params.video_four_cc_info_map or dict.fromkeys(VIDEO_FOUR_CCS, _FORWARD),
            audio_four_cc_info_map=params.audio_four_cc_info_map or dict.fromkeys(AUDIO_FOUR_CCS, _FORWARD),
            caps_ex=params.caps_ex or CLIENT_CAPS_EX,
            video_function=params.video_function or CLIENT_VIDEO_FUNCTION,
            connect_object={**_CONNECT_OBJECT, **params.connect_object},
        )
        self._tc_url = params.tc_url
        self.set_chunk_size(self.settings.chunk_size)
        transaction_id = self._transactions.open(Awaited.CONNECT)
        self.send_command(params.to_command(transaction_id))
        return transaction_id

    def call(self, name: str, *args: AmfValue, stream_id: int = 0) -> int:
        """Call a method of the server's; ``CallSucceeded`` or ``CallRefused`` answers the returned id.

        At most ``MAX_TRANSACTIONS`` calls wait at once: ``forget`` those that no answer comes to.
        """
        self._check_connected()
        transaction_id = self._transactions.open(Awaited.CALL)
        self.send_command(Command(name, transaction_id, None, args), stream_id)
        return transaction_id

    def forget(self, transaction_id: int) -> None:
        """Ignore the answer to a call that nobody waits for any more."""
        self._transactions.take(transaction_id)

    def notify(self, name: str, *args: AmfValue, stream_id: int = 0) -> None:
        """Call a method of the server's that is not to answer (transaction id 0)."""
        self._check_connected()
        self.send_command(Command(name, 0, None, args), stream_id)

    def set_chunk_size(self, chunk_size: int) -> None:
        """Send in chunks of up to ``chunk_size`` bytes from now on, 1..2**31-1."""
        self._send_control(control.set_chunk_size(chunk_size))

    def set_window_ack_size(self, window: int) -> None:
        """Ask for an Acknowledgement every ``window`` bytes that we send."""
        self._send_window_ack_size(window)

    def set_peer_bandwidth(self, window: int, limit: BandwidthLimit = BandwidthLimit.DYNAMIC) -> None:
        """Ask the server to limit what it sends without an Acknowledgement to ``window`` bytes."""
        self._send_control(control.set_peer_bandwidth(window, limit))

    def set_buffer_length(self, stream_id: int, length_ms: int) -> None:
        """Tell the server how much we buffer when we play; 0 is the stream id of the connection."""
        self.send_user_control(control.SetBufferLength(stream_id, length_ms))

    # Streams

    def create_stream(self, publish_name: str = "") -> int:
        """Ask for a message stream; ``StreamCreated`` or ``CallRefused`` answers the returned id.

        With the name it is to publish, releaseStream and FCPublish go first, in the order of OBS and ffmpeg.
        """
        self._check_connected()
        if publish_name:
            self._announce_publish(publish_name)
        transaction_id = self._transactions.open(Awaited.STREAM)
        self.send_command(Command("createStream", transaction_id))
        return transaction_id

    def publish(self, stream_id: int, name: str, mode: str = "live", *, announce: bool = True) -> None:
        """Publish; ``name`` may end in ``?query``. ``announce`` sends releaseStream and FCPublish first.

        ``mode`` is ``live``, ``record``, ``append`` or ``appendWithGap``.
        """
        stream = self._streams.that_may(Step.PUBLISH, stream_id)
        if announce:
            self._announce_publish(name)
        request_id = self._transactions.number()
        stream.ask(Step.PUBLISH, name, request_id)
        self.send_command(Command("publish", request_id, None, (name, mode)), stream_id)

    def play(
        self,
        stream_id: int,
        name: str,
        start: float = -2,
        duration: float = -1,
        reset: bool = True,
        buffer_ms: int = 3000,
    ) -> None:
        """Play; again on a stream that plays already, to follow (``reset`` False) or replace what it plays.

        ``start`` in seconds: -2 live or else recorded, -1 live only, from 0 on a place in a recording.
        ``duration`` in seconds, below 0 to the end.
        """
        stream = self._streams.that_may(Step.PLAY, stream_id)
        request_id = self._transactions.number()
        stream.ask(Step.PLAY, name, request_id)
        self._end_media(stream_id)
        # Milliseconds on the wire, whatever the specification says: Flash, ffmpeg and librtmp send them.
        args: tuple[AmfValue, ...] = (name, round(start * 1000))
        if duration >= 0:
            args += (round(duration * 1000), reset)
        elif not reset:
            args += (_TO_THE_END, reset)
        self.send_command(Command("play", request_id, None, args), stream_id)
        self.set_buffer_length(stream_id, buffer_ms)

    def pause(self, stream_id: int, paused: bool, position_ms: int = 0) -> None:
        """Pause or resume; the status ``PAUSE_NOTIFY`` or ``UNPAUSE_NOTIFY`` answers."""
        self._streams.playing(stream_id).pause(paused)
        self.notify("pause", paused, position_ms, stream_id=stream_id)

    def seek(self, stream_id: int, position_ms: int) -> None:
        """Go to another place; the status ``SEEK_NOTIFY`` answers. Live streams have but one place."""
        self._streams.playing(stream_id).seek()
        self.notify("seek", position_ms, stream_id=stream_id)

    def receive_audio(self, stream_id: int, enabled: bool) -> None:
        """Ask for audio, or for none."""
        self._streams.playing(stream_id)
        self.notify("receiveAudio", enabled, stream_id=stream_id)

    def receive_video(self, stream_id: int, enabled: bool) -> None:
        """Ask for video, or for none; it comes back at a keyframe."""
        self._streams.playing(stream_id)
        self.notify("receiveVideo", enabled, stream_id=stream_id)

    def send_media(self, message_type: int, stream_id: int, timestamp: int, payload: bytes) -> None:
        """Send audio (8), video (9) or data (18) of a publish; ``timestamp`` in ms is taken mod 2**32."""
        stream = self._streams.find(stream_id)
        csid = MEDIA_CSIDS.get(message_type)
        if stream is None or stream.use is not Use.PUBLISHING or csid is None:
            raise UsageError(f"no publish on message stream {stream_id} to send type {message_type} to")
        chunk_size = self._writer.chunk_size
        self._queue(encode_message(message_type, timestamp, stream_id, payload, csid, chunk_size))

    def delete_stream(self, stream_id: int) -> None:
        """End whatever the stream does (FCUnpublish) and give it back (deleteStream). Nothing answers."""
        stream = self._streams.remove(stream_id)
        self._end_media(stream_id)
        if stream.use in (Use.PUBLISHING, Use.PUBLISH_ASKED):
            self.send_command(Command("FCUnpublish", self._transactions.number(), None, (stream.name,)))
        self.send_command(Command("deleteStream", self._transactions.number(), None, (stream_id,)))

    # Answers

    def _connect_answered(self, command: Command, succeeded: bool) -> None:
        result = ConnectResult.from_command(command)
        if not succeeded or result.status.is_error:
            self._refuse_connect(result.status)
            return
        self._phase = self._phase.after(Step.ACCEPT)
        if not self._window_sent:  # Otherwise the server has asked for another one already.
            self._send_window_ack_size(self.settings.window_ack_size)
        self._tell(ConnectAccepted(result))

    def _refuse_connect(self, status: Status) -> None:
        self.close()
        self._tell(ConnectRefused(status))

    def _stream_created(self, command: Command, succeeded: bool) -> None:
        transaction_id = int(command.transaction_id)
        stream_id = command.whole(0)
        if not succeeded:
            self._tell(CallRefused(transaction_id, Status.from_command(command)))
        elif self._streams.add(stream_id):
            self._tell(StreamCreated(transaction_id, stream_id))
        else:
            # quirk(srs, nginx-rtmp<=1.2): every createStream is answered with 1.
            given = command.args[0] if command.args else None
            text = f"The server answered createStream with {given!r:.40}, which cannot be used"
            text += ": a stream has it already. Use a connection for each stream." if stream_id else "."
            self._tell(CallRefused(transaction_id, Status(description=text)))

    def _call_answered(self, command: Command, succeeded: bool) -> None:
        transaction_id = int(command.transaction_id)
        if succeeded:
            event = CallSucceeded(transaction_id, command.args, command.command_object)
            self._tell(event)
        else:
            self._tell(CallRefused(transaction_id, Status.from_command(command)))

    # Commands

    def _handle_command(self, message: Message) -> None:
        command = self._decode_command(message)
        reply = REPLIES.find(self._phase, command.name).handler
        match reply:
            case Reply.RESULT:
                self._answer(command, succeeded=True)
            case Reply.ERROR:
                self._answer(command, succeeded=False)
            case Reply.STATUS:
                self._on_status(Status.from_command(command), message.stream_id)
            case Reply.CONNECT_STATUS:
                self._on_connect_status(Status.from_command(command))
            case Reply.NOTICE:
                pass
            case Reply.UNKNOWN:
                self._on_unknown(command, message.stream_id)
            case _:
                assert_never(reply)

    def _answer(self, command: Command, *, succeeded: bool) -> None:
        awaited = self._transactions.take(command.transaction_id)
        if awaited is None:
            if not succeeded:
                self._refuse_request(command)
            return
        match awaited:
            case Awaited.CONNECT:
                self._connect_answered(command, succeeded)
            case Awaited.STREAM:
                self._stream_created(command, succeeded)
            case Awaited.CALL:
                self._call_answered(command, succeeded)
            case _:
                assert_never(awaited)

    def _refuse_request(self, command: Command) -> None:
        """Publish and play are answered by onStatus; a refusal by ``_error`` counts all the same."""
        asked = self._streams.asked_by(command.transaction_id)
        if asked is not None:
            stream_id, stream = asked
            self._report(stream_id, stream.refuse(), Status.from_command(command))

    def _on_connect_status(self, status: Status) -> None:
        if status.is_error:
            self._refuse_connect(status)

    def _on_status(self, status: Status, stream_id: int) -> None:
        if status.code == StatusCode.CONNECT_RECONNECT_REQUEST:
            target = status.info.get("tcUrl")
            tc_url = resolve(self._tc_url, target) if isinstance(target, str) else self._tc_url
            self._tell(ReconnectRequested(tc_url, status.description))
            return
        stream_id = self._streams.meant(stream_id)
        self._tell(StatusReceived(stream_id, status))
        stream = self._streams.find(stream_id)
        if stream is not None:
            self._report(stream_id, stream.follow(status), status)

    def _on_unknown(self, command: Command, stream_id: int) -> None:
        self._tell(CommandReceived(stream_id, command))
        if command.transaction_id:
            text = f"The method {command.name[:64]!r} is not known here."
            self.send_command(commands.error(command.transaction_id, StatusCode.CALL_FAILED, text))

    # Inside

    def _tell(self, event: ClientEvent) -> None:
        self._add_event(event)

    def _handle_user_control(self, event: control.UserControl) -> None:
        self._tell(UserControlReceived(event))
        if not isinstance(event, control.StreamBegin | control.StreamEof):
            return
        stream = self._streams.find(event.stream_id)
        if stream is None:
            return
        if isinstance(event, control.StreamBegin):
            stream.stream_begin()
        else:
            self._report(event.stream_id, stream.stream_eof(), Status())

    def _handle_other_media(self, message: Message) -> bool:
        if message.stream_id == 0:
            stream_id = self._streams.meant(0)
            if stream_id in self._media_streams:
                message.stream_id = stream_id
                self._tell(message)
            elif message.type == MessageType.DATA_AMF0:
                self._tell(message)
        return True

    def _announce_publish(self, name: str) -> None:
        # Nobody waits for these answers: nginx-rtmp and others send none.
        for command in ("releaseStream", "FCPublish"):
            self.send_command(Command(command, self._transactions.number(), None, (name,)))

    def _report(self, stream_id: int, verdict: Verdict | None, status: Status) -> None:
        match verdict:
            case None:
                pass
            case Step.ACCEPT:
                stream = self._streams.find(stream_id)
                if stream is not None and stream.use is Use.PLAYING:
                    self._open_media(stream_id, self._report_media)
                self._tell(StreamStarted(stream_id, status))
            case Step.REFUSE:
                self._tell(StreamRefused(stream_id, status))
            case Step.END | Step.FAIL:
                self._end_media(stream_id)
                self._tell(StreamEnded(stream_id, status, verdict is Step.FAIL))
            case _:
                assert_never(verdict)

    def _check_connected(self) -> None:
        if self._phase is not Phase.CONNECTED:
            raise UsageError(f"this session {self._phase.value}")
