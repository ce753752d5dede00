"""What a Session reports. Frozen values, one per thing that happened on the wire.

A media or data message of a stream that the peer publishes (server side) or that we play (client side) is
reported as the ``Message`` itself, so that the hot path builds nothing more.
"""

from __future__ import annotations

from dataclasses import dataclass

from rtmpd.exceptions import ProtocolError
from rtmpd.rtmp.commands import Command, ConnectParams
from rtmpd.rtmp.messages import Message


@dataclass(frozen=True, slots=True)
class HandshakeCompleted:
    digest: bool
    """True when the peer used the digest handshake."""


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
    """Seconds, or -2 (live or recorded) or -1 (live only), as normalised from what clients send."""
    duration: float
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
    """The session has answered already; a live stream resumes at a keyframe."""

    stream_id: int
    position_ms: int


@dataclass(frozen=True, slots=True)
class ReceiveAudio:
    stream_id: int
    enabled: bool


@dataclass(frozen=True, slots=True)
class ReceiveVideo:
    stream_id: int
    enabled: bool


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


Event = (
    Message
    | HandshakeCompleted
    | ConnectRequested
    | PublishRequested
    | PlayRequested
    | PublishEnded
    | PlayEnded
    | PauseRequested
    | SeekRequested
    | ReceiveAudio
    | ReceiveVideo
    | CommandReceived
    | SessionFailed
    | SessionClosed
)
