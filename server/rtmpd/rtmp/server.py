"""The server's side of an RTMP connection: connect, and who answers which command.

Message streams are ``StreamSession``'s. A call with transaction id 0 gets no reply (section 7.1.1); a connect
always gets one. A call that fails is answered with its status; it ends the session unless something is
published or played, which goes on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, assert_never

from rtmpd.exceptions import AmfError, DeadlineExceeded, HandshakeError, ProtocolError
from rtmpd.reasons import Failure, HandshakeFailure, SessionFailure
from rtmpd.rtmp import commands, control
from rtmpd.rtmp.amf import AmfValue
from rtmpd.rtmp.command_scan import CommandHead, ScannedCommand, parse_head, scan_request
from rtmpd.rtmp.commands import Command, ConnectParams
from rtmpd.rtmp.constants import (
    DEFAULT_WINDOW_SIZE,
    BandwidthLimit,
    CapsEx,
    StatusCode,
    StatusLevel,
)
from rtmpd.rtmp.events import (
    BufferLengthSet,
    CommandReceived,
    ConnectRequested,
    LengthRequested,
)
from rtmpd.rtmp.handshake import ServerHandshake
from rtmpd.rtmp.limits import Limits
from rtmpd.rtmp.messages import Message
from rtmpd.rtmp.quirks import Quirk
from rtmpd.rtmp.rates import TokenBucket
from rtmpd.rtmp.states import CALLS, ConnectionCall, Cost, Phase, Row, Step, StreamCall, Use
from rtmpd.rtmp.stream_session import StreamSession, text_of
from rtmpd.rtmp.url import split_query

_Row = Row[ConnectionCall | StreamCall]
_NO_PARAMS: Final = ConnectParams()
_MAX_SHOWN_NAME = 64
"""Characters of what a peer names that are quoted back or logged before the name is known to be one."""


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """What the server tells its peers."""

    chunk_size: int = 65536
    """Bytes; our direction, and the value that ffmpeg copies for its own."""
    window_ack_size: int = DEFAULT_WINDOW_SIZE
    """Bytes; sent as WindowAckSize and as SetPeerBandwidth."""


class ServerSession(StreamSession):
    """One client's connection as the server sees it. See ``Session`` for the way in and out.

    ``random_bytes(n)`` gives the handshake its dice. ``shared_cost`` is what the commands of all connections
    from one place may cost together (see ``Limits.max_command_cost``): while it is overdrawn, they wait. An
    ``accept_*`` or ``reject_*`` without its request raises ``UsageError``; one that comes after the session
    has ended for another reason changes nothing.
    """

    __slots__ = ("_calls", "_connect_id", "_params", "_shared_cost", "last_command", "settings")

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
        self._shared_cost = shared_cost
        self.settings = settings or ServerSettings()
        self._params = _NO_PARAMS
        """Of the connect."""
        self._connect_id = 1.0
        """Its transaction id, as it came."""
        self._calls = 0
        self.last_command = ""
        """The name of the last that came, ``other`` for one that is not known."""

    # Answers

    def accept_connect(self, now: float, /, **extra: AmfValue) -> None:
        """Answer connect: window, bandwidth, chunk size, then ``_result`` (section 7.2.1.1).

        The chunk size comes before the result, which is the first message that needs it; ffmpeg copies it.
        ``extra`` joins the result's information object.
        """
        if self.closing:
            return
        self._phase = self._phase.after(Step.ACCEPT)
        self._send_window_ack_size(self.settings.window_ack_size)
        bandwidth = control.set_peer_bandwidth(self.settings.window_ack_size, BandwidthLimit.DYNAMIC)
        self._send_control(bandwidth)
        self._send_control(control.set_chunk_size(self.settings.chunk_size))
        # Whatever its transaction id is: nobody goes on without the answer.
        self.send_payload(commands.connect_payload(self._connect_id, self._params.object_encoding, **extra))
        self._idle_since = now
        self._answered(now)

    def reject_connect(self, code: str, description: str, now: float) -> None:
        """Refuse connect with ``_error``; the connection ends when this has been sent."""
        if self.closing:
            return
        self._phase = self._phase.after(Step.REFUSE)
        self.send_command(commands.error(self._connect_id, code, description))
        self._now = now
        self.close()

    def request_reconnect(self, tc_url: str = "", description: str = "") -> bool:
        """Ask the client to move to ``tc_url``, or to connect here again (Enhanced RTMP v2).

        Only those that said in connect that they know how are asked; False for the others. The client is
        served until it leaves.
        """
        connected = self._phase in (Phase.CONNECTED, Phase.SERVING)
        if self.closing or not connected or not self._params.caps_ex & CapsEx.RECONNECT:
            return False
        where: dict[str, AmfValue] = {"tcUrl": tc_url} if tc_url else {}
        code, text = StatusCode.CONNECT_RECONNECT_REQUEST, description or "The server asks you to reconnect."
        self.send_command(commands.on_status(StatusLevel.STATUS, code, text, **where))
        return True

    def answer_length(self, transaction_id: float, seconds: float, now: float) -> None:
        """How long what was asked for is; 0 for what is live, or not there."""
        if self.closing:
            return
        self._reply(commands.result(transaction_id, seconds))
        self._answered(now)

    def reject_length(self, transaction_id: float, code: str, description: str, now: float) -> None:
        """Refuse to say it, as the play would be; the connection ends when this has been sent."""
        if self.closing:
            return
        self._reply(commands.error(transaction_id, code, description))
        self._now = now
        self.close()

    def seeked(self, stream_id: int, position_ms: int) -> None:
        """A play of something recorded goes on at ``position_ms``, as its client wants it to."""
        if (stream := self._streams.find(stream_id, Use.PLAYING)) is not None:
            stream.seeked(self, position_ms)

    def complete_play(self, stream_id: int, duration: float, size: int) -> None:
        """A play of something recorded has been sent all of it: ``duration`` seconds, ``size`` bytes.

        It may be played again, by a seek.
        """
        if (stream := self._streams.find(stream_id, Use.PLAYING)) is not None:
            stream.completed(self, duration, size)

    # Commands (section 7.2.1)

    def _handle_command(self, message: Message) -> None:
        try:
            head = parse_head(message)
        except AmfError as error:
            self._count_call()
            self._survive(error)
            return
        row = CALLS.find(self._phase, head.name)
        self.last_command = head.name if row.names else "other"
        if row.cost is Cost.VALUES and (delay := self._shared_debt()) > 0:
            self._wait_for(message, delay)
            return
        self._count_call()
        try:
            self._call(row, head, message)
        except ProtocolError as error:
            # Who sent it is told why, and goes on with what it does beside it.
            if error.code:
                self._answer_failed(row, head, message.stream_id, error)
            self._survive(error)

    def _shared_debt(self) -> float:
        """Seconds that commands wait for what others from the same place have spent."""
        return 0.0 if self._shared_cost is None else self._shared_cost.debt(self._now)

    def _call(self, row: _Row, head: CommandHead, message: Message) -> None:
        if row.cost is Cost.VALUES:
            command = self._decode_command(message)
        else:
            command = Command(head.name, head.transaction_id)
        if isinstance(row.handler, StreamCall):
            self._on_stream_call(row.handler, command, message)
        else:
            self._on_connection_call(row.handler, command, head, message.stream_id)

    def _on_connection_call(
        self, call: ConnectionCall, command: Command, head: CommandHead, stream_id: int
    ) -> None:
        match call:
            case ConnectionCall.CONNECT:
                self._on_connect(command, head)
            case ConnectionCall.CONNECT_AGAIN:
                self._on_connect_again(head)
            case ConnectionCall.CREATE_STREAM:
                self._on_create_stream(command)
            case ConnectionCall.GET_STREAM_LENGTH:
                self._on_get_stream_length(command)
            case ConnectionCall.FC_SUBSCRIBE:
                self._on_fc_subscribe(command, stream_id)
            case ConnectionCall.NOTICE:
                self._on_notice(command)
            case ConnectionCall.IGNORED:
                pass
            case ConnectionCall.UNKNOWN:
                self._on_unknown(command, stream_id)
            case ConnectionCall.TOO_EARLY:
                text = f"{head.name[:_MAX_SHOWN_NAME]!r} came before connect"
                raise ProtocolError(SessionFailure.COMMAND_BEFORE_CONNECT, text)
            case _:
                assert_never(call)

    def _answer_failed(self, row: _Row, head: CommandHead, stream_id: int, error: ProtocolError) -> None:
        """``_error``, or onStatus where the client looks for nothing else."""
        code, text = row.failure, str(error)
        stream = self._streams.find(stream_id)
        if code is not None and isinstance(row.handler, ConnectionCall):
            self.send_command(commands.error(head.given_id, code, text))
        elif code is not None and (stream is None or stream.use is Use.IDLE):
            self.send_command(commands.on_status(StatusLevel.ERROR, code, text), stream_id)
        else:
            self._reply(commands.error(head.transaction_id, error.code, text))

    def _survive(self, error: ProtocolError) -> None:
        """Raise ``error``, unless the peer could be told of it and something live would end with it."""
        if not error.code or all(stream.use not in _LIVE for stream in self._streams):
            raise error
        self._tolerate(Quirk.REFUSED_CALL)

    def _scan_command(self, message: Message) -> ScannedCommand:
        return scan_request(message, self.limits)

    def _charge(self, cost: int) -> None:
        if self._shared_cost is not None:
            self._shared_cost.take(cost, self._now)
        super()._charge(cost)

    def _count_call(self) -> None:
        if self._phase is Phase.SERVING:
            self._count_control()
            return
        self._calls += 1
        if self._calls > self.limits.max_calls:
            raise ProtocolError(
                SessionFailure.TOO_MANY_CALLS, f"{self._calls} calls and still no publish or play"
            )

    def _on_connect(self, command: Command, head: CommandHead) -> None:
        self._connect_id = head.given_id
        if not head.transaction_id:
            self._tolerate(Quirk.CONNECT_ID)
        params = command.connect_params(self.limits)
        named = params.connect_object.get("app")
        if params.app and not (isinstance(named, str) and named):
            self._tolerate(Quirk.APP_IN_TC_URL)
        self._params = params
        self._phase = self._phase.after(Step.CONNECT)
        self._tell(ConnectRequested(params))
        self._hold()

    def _on_connect_again(self, head: CommandHead) -> None:
        text = "This connection is connected already."
        self.send_command(commands.error(head.given_id, StatusCode.CONNECT_REJECTED, text))
        raise ProtocolError(SessionFailure.CONNECT_TWICE, "a second connect on the same connection")

    def _on_get_stream_length(self, command: Command) -> None:
        name, query = self._name_and_query(text_of(command.args, 0))
        self._tell(LengthRequested(command.transaction_id, name, query))
        self._hold()

    def _handle_user_control(self, event: control.UserControl) -> None:
        if not isinstance(event, control.SetBufferLength):
            return
        stream = self._streams.find(event.stream_id)
        if stream is not None:
            stream.buffer_ms = event.length_ms
            if stream.use is Use.PLAYING and stream.recorded:
                self._tell(BufferLengthSet(stream.id, event.length_ms))

    def _on_unknown(self, command: Command, stream_id: int) -> None:
        self._tell(CommandReceived(stream_id, command))
        text = f"The method {command.name[:_MAX_SHOWN_NAME]!r} is not known here."
        self._reply(commands.error(command.transaction_id, StatusCode.CALL_FAILED, text))

    def _on_fc_subscribe(self, command: Command, stream_id: int) -> None:
        text = f"Subscribed to {split_query(text_of(command.args, 0))[0][:_MAX_SHOWN_NAME]}."
        status = commands.status_object(StatusLevel.STATUS, StatusCode.PLAY_START, text)
        self.send_command(Command("onFCSubscribe", 0, None, (status,)), stream_id)

    # Inside

    def _deadlines(self) -> list[tuple[float, Failure]]:
        limits = self.limits
        deadlines = super()._deadlines()
        if self._phase is Phase.IDLE:
            shaken = self._handshake is None
            reason = SessionFailure.CONNECT_TIMEOUT if shaken else HandshakeFailure.TIMEOUT
            deadlines.append((self._idle_since + limits.handshake_timeout, reason))
        elif all(stream.use is Use.IDLE for stream in self._streams):
            deadlines.append((self._idle_since + limits.request_timeout, SessionFailure.REQUEST_TIMEOUT))
        return deadlines

    def _missed(self, reason: Failure) -> ProtocolError:
        limits = self.limits
        match reason:
            case HandshakeFailure.TIMEOUT:
                return HandshakeError(reason, f"no handshake within {limits.handshake_timeout:g} s")
            case SessionFailure.CONNECT_TIMEOUT:
                return DeadlineExceeded(reason, f"no connect within {limits.handshake_timeout:g} s")
            case SessionFailure.REQUEST_TIMEOUT:
                text = f"neither a publish nor a play for {limits.request_timeout:g} s"
                return DeadlineExceeded(reason, text)
            case _:
                return super()._missed(reason)


_LIVE = frozenset({Use.PUBLISHING, Use.PLAYING})
