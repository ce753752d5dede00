"""A made-up client and the ServerSession that it talks to, so that a test reads as their dialogue."""

from __future__ import annotations

from rtmpd.rtmp.amf import UNDEFINED, AmfValue, encode_values
from rtmpd.rtmp.chunk_writer import ChunkWriter
from rtmpd.rtmp.chunks import ChunkReader
from rtmpd.rtmp.command_scan import parse_command, parse_data
from rtmpd.rtmp.commands import Command, serialize_command
from rtmpd.rtmp.constants import CSID_COMMAND, CSID_CONTROL, CSID_DATA, BandwidthLimit, MessageType
from rtmpd.rtmp.control import parse_u32, parse_user_control
from rtmpd.rtmp.events import (
    ConnectRequested,
    LengthRequested,
    PlayRequested,
    PublishRequested,
    ServerEvent,
    SessionFailed,
)
from rtmpd.rtmp.limits import Limits
from rtmpd.rtmp.messages import Message
from rtmpd.rtmp.rates import TokenBucket
from rtmpd.rtmp.server import ServerSession, ServerSettings

HANDSHAKE = b"\x03" + bytes(1536 + 1536)
"""C0 C1 C2 of the plain handshake."""
AUDIO_HEADER = b"\xaf\x00\x12\x10"
LIMITS = Limits()
_CONTROL = {
    MessageType.SET_CHUNK_SIZE: "SetChunkSize",
    MessageType.ACKNOWLEDGEMENT: "Acknowledgement",
    MessageType.WINDOW_ACK_SIZE: "WindowAckSize",
}


def command(name: str, transaction_id: float = 0, *args: AmfValue, on: int = 0) -> Message:
    return command_message(Command(name, transaction_id, None, args), on=on)


def command_message(body: Command, *, on: int = 0) -> Message:
    return Message(MessageType.COMMAND_AMF0, 0, on, serialize_command(body))


def connect(app: str = "live", transaction_id: float = 1, **properties: AmfValue) -> Message:
    return command_message(Command("connect", transaction_id, {"app": app, **properties}))


def audio(payload: bytes = AUDIO_HEADER, *, on: int = 1, timestamp: int = 0) -> Message:
    return Message(MessageType.AUDIO, timestamp, on, payload)


def video(payload: bytes = b"\x17\x01\0\0\0", *, on: int = 1, timestamp: int = 0) -> Message:
    return Message(MessageType.VIDEO, timestamp, on, payload)


def metadata(*, on: int = 1) -> Message:
    return Message(MessageType.DATA_AMF0, 0, on, encode_values("@setDataFrame", "onMetaData", {}))


def aggregate(*parts: Message, on: int = 1) -> Message:
    body = b""
    for part in parts:
        size = len(part.payload).to_bytes(3, "big")
        time = (part.timestamp & 0xFFFFFF).to_bytes(3, "big") + bytes([part.timestamp >> 24])
        back_pointer = (len(part.payload) + 11).to_bytes(4, "big")
        body += bytes([part.type]) + size + time + bytes(3) + part.payload + back_pointer
    return Message(MessageType.AGGREGATE, parts[0].timestamp, on, body)


class Client:
    """Says messages to a session of its own; hears the replies as lines. Time passes only in ``wait``."""

    def __init__(
        self,
        *,
        limits: Limits = LIMITS,
        settings: ServerSettings | None = None,
        handshake: bool = True,
        shared_cost: TokenBucket | None = None,
    ) -> None:
        self.now = 1000.0
        self.session = ServerSession(
            random_bytes=bytes, now=self.now, limits=limits, settings=settings, shared_cost=shared_cost
        )
        self._writer = ChunkWriter()
        self._reader = ChunkReader(Limits(min_chunk_size=1))
        if handshake:
            self.write(HANDSHAKE)
            self.session.data_to_send()

    def write(self, data: bytes) -> list[ServerEvent]:
        """Send raw bytes; what the session reports of them."""
        self.session.receive_data(data, self.now)
        return self.session.events_received()

    def say(self, *messages: Message) -> list[ServerEvent]:
        """Send messages in one piece; what the session reports of them."""
        return self.write(self.encode(*messages))

    def call_connect(self, properties: dict[str, AmfValue]) -> list[ServerEvent]:
        return self.say(command_message(Command("connect", 1, {"app": "live", **properties})))

    def encode(self, *messages: Message) -> bytes:
        return b"".join(self._writer.write(message, csid=4) for message in messages)

    def call(self, name: str, transaction_id: float = 0, *args: AmfValue, on: int = 0) -> list[ServerEvent]:
        return self.say(command(name, transaction_id, *args, on=on))

    def wait(self, seconds: float) -> list[ServerEvent]:
        """Let time pass, with a call of ``handle_timeout`` at every deadline on the way."""
        end = self.now + seconds
        while (deadline := self.session.next_deadline()) is not None and deadline <= end:
            self.now = max(self.now, deadline)
            self.session.handle_timeout(self.now)
        self.now = end
        return self.session.events_received()

    def hear(self) -> list[str]:
        """The replies since the last call, one line each, led by the message stream id unless it is 0."""
        lines = []
        for data in self.session.data_to_send():
            (message,) = self._reader.receive_data(data)
            check_envelope(data, message)
            lines.append((f"{message.stream_id}: " if message.stream_id else "") + describe(message))
        return lines

    def grant_everything(self) -> list[ServerEvent]:
        """Accept each request until no more come; all that the session reported."""
        seen: list[ServerEvent] = []
        while events := self.session.events_received():
            seen += events
            for event in events:
                grant(self.session, event, self.now)
        return seen

    # Shortcuts to where most tests begin

    def connected(self) -> Client:
        self.say(connect())
        self.session.accept_connect(self.now)
        self.call("createStream", 2)
        self.hear()
        return self

    def publishing(self, name: str = "cam") -> Client:
        self.connected().call("publish", 3, name, "live", on=1)
        self.session.accept_publish(1, self.now)
        self.hear()
        return self

    def playing(self, name: str = "cam") -> Client:
        self.connected().call("play", 3, name, on=1)
        self.session.accept_play(1, self.now)
        self.hear()
        return self


def grant(session: ServerSession, event: ServerEvent, now: float) -> None:
    match event:
        case ConnectRequested():
            session.accept_connect(now)
        case PublishRequested(stream_id=stream_id):
            session.accept_publish(stream_id, now)
        case PlayRequested(stream_id=stream_id):
            session.accept_play(stream_id, now)
        case LengthRequested(transaction_id=transaction_id):
            session.answer_length(transaction_id, 0.0, now)
        case _:
            pass


def check_envelope(data: bytes, message: Message) -> None:
    """Every reply is a fmt 0 message on the chunk stream that convention has for it; commands are AMF0."""
    csid = CSID_CONTROL if message.type < MessageType.AUDIO else CSID_DATA
    if message.type == MessageType.COMMAND_AMF0 and not message.stream_id:
        csid = CSID_COMMAND
    assert data[0] == csid
    assert message.type not in (MessageType.COMMAND_AMF3, MessageType.DATA_AMF3)
    assert message.type >= MessageType.AUDIO or message.stream_id == 0


def describe(message: Message) -> str:
    match message.type:
        case MessageType.COMMAND_AMF0:
            reply = parse_command(message, LIMITS)
            words = [reply.name, f"{reply.transaction_id:g}", *map(describe_value, reply.args)]
            return " ".join(words)
        case MessageType.DATA_AMF0:
            name, values = parse_data(message)
            return " ".join([name, *map(describe_value, values)])
        case MessageType.USER_CONTROL:
            event = parse_user_control(message.payload)
            fields = [getattr(event, name) for name in type(event).__dataclass_fields__]
            return " ".join([type(event).__name__, *map(str, fields)])
        case MessageType.SET_PEER_BANDWIDTH:
            limit = BandwidthLimit(message.payload[4]).name.lower()
            return f"SetPeerBandwidth {parse_u32(message.payload)} {limit}"
        case _:
            return f"{_CONTROL[MessageType(message.type)]} {parse_u32(message.payload)}"


def describe_value(value: AmfValue) -> str:
    """Of an information object, level and code; it must have a description: ffmpeg ignores errors without."""
    if isinstance(value, dict):
        assert value["description"]
        return " ".join(str(value[key]) for key in ("level", "code") if key in value)
    if value is UNDEFINED:
        return "undefined"
    return f"{value:g}" if isinstance(value, float) else str(value)


def failure(events: list[ServerEvent]) -> str:
    """The reason of the SessionFailed that ends ``events``."""
    last = events[-1]
    assert isinstance(last, SessionFailed)
    return last.error.reason
