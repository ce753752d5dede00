"""What a Session reports. Frozen values, one per thing that happened on the wire.

A media or data message of a stream that the peer publishes (server side) or that we play (client side) is
reported as the ``Message`` itself, unless ``accept_publish`` was given a receiver, which takes it directly.
"""

from __future__ import annotations

from dataclasses import dataclass

from rtmpd.exceptions import ProtocolError
from rtmpd.rtmp.amf import AmfValue
from rtmpd.rtmp.commands import Command, ConnectParams, ConnectResult, Status
from rtmpd.rtmp.control import UserControl
from rtmpd.rtmp.messages import Message

# Of both


@dataclass(frozen=True, slots=True)
class HandshakeCompleted:
    digest: bool
    """True when the peer used the digest handshake."""


@dataclass(frozen=True, slots=True)
class CommandReceived:
    """A command that nothing in the session answered."""

    stream_id: int
    command: Command


@dataclass(frozen=True, slots=True)
class SessionFailed:
    """The last event: send what is queued, then close the connection."""

    error: ProtocolError


@dataclass(frozen=True, slots=True)
class SessionClosed:
    """The last event after the peer closed its side in order."""


# Of a server's session


@dataclass(frozen=True, slots=True)
class ConnectRequested:
    """Answer with ``accept_connect`` or ``reject_connect``; nothing further is parsed until then."""

    params: ConnectParams


@dataclass(frozen=True, slots=True)
class PublishRequested:
    """Answer with ``accept_publish`` or ``reject_publish``; nothing further is parsed until then."""

    stream_id: int
    name: str
    query: str
    """What followed the first ``?`` of the name, without it; may hold secrets."""
    mode: str
    """``live``, ``record``, ``append`` or ``appendWithGap``."""


@dataclass(frozen=True, slots=True)
class PlayRequested:
    """Answer with ``accept_play`` or ``reject_play``; nothing further is parsed until then."""

    stream_id: int
    name: str
    query: str
    start: float
    """-2 (live or recorded) or -1 (live only), also for the -2000 and -1000 of ffmpeg and librtmp; from 0 on
    a position as the client sent it: seconds by the specification, milliseconds from most clients."""
    duration: float
    """-1 is to the end, whatever length below 0 was sent; else as the client sent it, like ``start``."""
    reset: bool


@dataclass(frozen=True, slots=True)
class PublishEnded:
    """The peer ended its publish (FCUnpublish, closeStream, deleteStream); the connection goes on."""

    stream_id: int


@dataclass(frozen=True, slots=True)
class PlayEnded:
    stream_id: int


@dataclass(frozen=True, slots=True)
class PauseRequested:
    """The session has answered already; stop or resume media."""

    stream_id: int
    paused: bool


@dataclass(frozen=True, slots=True)
class SeekRequested:
    """Of a live stream the session has answered already, and it resumes at a keyframe; of a recorded one
    ``ServerSession.seeked`` answers.
    """

    stream_id: int
    position_ms: int


@dataclass(frozen=True, slots=True)
class BufferLengthSet:
    """How far ahead of its own playback the client takes media."""

    stream_id: int
    length_ms: int


@dataclass(frozen=True, slots=True)
class LengthRequested:
    """Answer with ``answer_length``; nothing further is parsed until then."""

    transaction_id: float
    name: str
    query: str
    """As in ``PlayRequested``."""


@dataclass(frozen=True, slots=True)
class ReceiveAudio:
    stream_id: int
    enabled: bool


@dataclass(frozen=True, slots=True)
class ReceiveVideo:
    stream_id: int
    enabled: bool


# Of a client's session


@dataclass(frozen=True, slots=True)
class ConnectAccepted:
    """Streams may be created from now on."""

    result: ConnectResult


@dataclass(frozen=True, slots=True)
class ConnectRefused:
    """The server closes the connection, or leaves that to us."""

    status: Status


@dataclass(frozen=True, slots=True)
class StreamCreated:
    """The answer to ``create_stream``."""

    transaction_id: int
    stream_id: int


@dataclass(frozen=True, slots=True)
class CallSucceeded:
    """``_result`` of a call."""

    transaction_id: int
    values: tuple[AmfValue, ...]
    """What followed the command object."""
    command_object: AmfValue = None


@dataclass(frozen=True, slots=True)
class CallRefused:
    """``_error`` of a call or of ``create_stream``."""

    transaction_id: int
    status: Status


@dataclass(frozen=True, slots=True)
class StreamStarted:
    """What was asked for on this stream, publish or play, begins."""

    stream_id: int
    status: Status


@dataclass(frozen=True, slots=True)
class StreamRefused:
    """The publish or play is refused; the stream is idle again."""

    stream_id: int
    status: Status


@dataclass(frozen=True, slots=True)
class StreamEnded:
    """The server ended what the stream did; it is idle again."""

    stream_id: int
    status: Status
    failed: bool
    """False when a play came to its end or its publisher left."""


@dataclass(frozen=True, slots=True)
class StatusReceived:
    """Every onStatus, also those that other events are made of."""

    stream_id: int
    status: Status


@dataclass(frozen=True, slots=True)
class UserControlReceived:
    """StreamBegin, StreamEof and their like; pings have been answered already."""

    event: UserControl


@dataclass(frozen=True, slots=True)
class ReconnectRequested:
    """The server asks us to move (Enhanced RTMP v2); it goes on serving until we leave."""

    tc_url: str
    """Absolute; the one in use when the server names none. A hostile server could name any host."""
    description: str


SessionEvent = Message | HandshakeCompleted | CommandReceived | SessionFailed | SessionClosed
"""What either side reports."""

Request = ConnectRequested | PublishRequested | PlayRequested
"""What has to be granted; it waits for its answer."""

PlayControl = PauseRequested | SeekRequested | ReceiveAudio | ReceiveVideo | BufferLengthSet
"""What a player says of a play that is under way."""

ClientWish = Request | LengthRequested | PublishEnded | PlayEnded | PlayControl
"""What a client wants."""

ServerEvent = SessionEvent | ClientWish
"""What a ``ServerSession`` reports."""

ClientEvent = (
    SessionEvent
    | ConnectAccepted
    | ConnectRefused
    | StreamCreated
    | CallSucceeded
    | CallRefused
    | StreamStarted
    | StreamRefused
    | StreamEnded
    | StatusReceived
    | UserControlReceived
    | ReconnectRequested
)
"""What a ``ClientSession`` reports."""
