"""The state machines of a session, as tables: who may say what when, and what comes of it.

A connection goes through phases, a message stream through uses, the same on both sides; a step that a state
does not allow is a bug of ours and raises ``UsageError``. A message is looked up by its type in
``MESSAGES``, a command by phase and name, in ``CALLS`` by a server and in ``REPLIES`` by a client: every
pair has a row, because each phase has one for all names that have none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final, Generic, Literal, TypeVar

from rtmpd.exceptions import UsageError
from rtmpd.rtmp.constants import MessageType, StatusCode

H = TypeVar("H", bound=Enum)
S = TypeVar("S", bound=Enum)


# What a session, a connection and a message stream can be in


class State(Enum):
    """What tables are looked up by: each is what it is, and no other is equal."""

    __hash__ = object.__hash__  # That of enums is one of their names, in Python, at every lookup.


class Halt(Enum):
    """Why a session processes nothing of what it receives."""

    ANSWER = "a request waits for its answer"
    TURN = "the rest is for later"
    END = "it has ended"


class Step(State):
    """What happens to a connection or a message stream."""

    CONNECT = "connect"
    PUBLISH = "publish"
    PLAY = "play"
    ACCEPT = "accept"
    REFUSE = "refuse"
    SERVE = "serve"
    END = "end"
    """By whoever asked for it, or in order."""
    FAIL = "fail"
    """By the server, before its time."""


class Phase(State):
    """How far a connection has come."""

    IDLE = "has not asked to connect"
    CONNECTING = "waits for the answer to connect"
    CONNECTED = "is connected"
    SERVING = "has published or played"
    """Only a server makes a difference."""

    def after(self, step: Step) -> Phase:
        """The phase that ``step`` leads to. Raises UsageError when it comes out of turn."""
        return _after(_PHASES, "connection", self, step)


class Use(State):
    """What a message stream is used for."""

    IDLE = "neither publishes nor plays"
    PUBLISH_ASKED = "waits for the answer to publish"
    PUBLISHING = "publishes"
    PLAY_ASKED = "waits for the answer to play"
    PLAYING = "plays"

    def after(self, step: Step) -> Use:
        """The use that ``step`` leads to. Raises UsageError when it comes out of turn."""
        return _after(_USES, "message stream", self, step)


_PHASES: Final[Mapping[tuple[Phase, Step], Phase]] = {
    (Phase.IDLE, Step.CONNECT): Phase.CONNECTING,
    (Phase.CONNECTING, Step.ACCEPT): Phase.CONNECTED,
    (Phase.CONNECTING, Step.REFUSE): Phase.IDLE,
    (Phase.CONNECTED, Step.SERVE): Phase.SERVING,
    (Phase.SERVING, Step.SERVE): Phase.SERVING,
}
_USES: Final[Mapping[tuple[Use, Step], Use]] = {
    (Use.IDLE, Step.PUBLISH): Use.PUBLISH_ASKED,
    (Use.PUBLISH_ASKED, Step.ACCEPT): Use.PUBLISHING,
    (Use.PUBLISH_ASKED, Step.REFUSE): Use.IDLE,
    (Use.PUBLISHING, Step.END): Use.IDLE,
    (Use.PUBLISHING, Step.FAIL): Use.IDLE,
    (Use.IDLE, Step.PLAY): Use.PLAY_ASKED,
    (Use.PLAYING, Step.PLAY): Use.PLAY_ASKED,
    (Use.PLAY_ASKED, Step.ACCEPT): Use.PLAYING,
    (Use.PLAY_ASKED, Step.REFUSE): Use.IDLE,
    (Use.PLAYING, Step.END): Use.IDLE,
    (Use.PLAYING, Step.FAIL): Use.IDLE,
}


def _after(table: Mapping[tuple[S, Step], S], what: str, state: S, step: Step) -> S:
    after = table.get((state, step))
    if after is None:
        raise UsageError(f"no {step.value} now: this {what} {state.value}")
    return after


# What a status means for a message stream (section 7.2.2). All other pairs mean nothing.

Verdict = Literal[Step.ACCEPT, Step.REFUSE, Step.END, Step.FAIL]
"""What a server may make of a message stream."""
STATUSES: Final[Mapping[tuple[Use, str], Verdict]] = {
    (Use.PUBLISH_ASKED, StatusCode.PUBLISH_START): Step.ACCEPT,
    (Use.PUBLISHING, StatusCode.UNPUBLISH_SUCCESS): Step.FAIL,
    (Use.PLAY_ASKED, StatusCode.PLAY_START): Step.ACCEPT,
    (Use.PLAY_ASKED, StatusCode.PLAY_PUBLISH_NOTIFY): Step.ACCEPT,
    (Use.PLAYING, StatusCode.PLAY_STOP): Step.END,
    (Use.PLAYING, StatusCode.PLAY_COMPLETE): Step.END,
    (Use.PLAYING, StatusCode.PLAY_UNPUBLISH_NOTIFY): Step.END,
}
ERRORS: Final[Mapping[Use, Verdict]] = {
    Use.PUBLISH_ASKED: Step.REFUSE,
    Use.PUBLISHING: Step.FAIL,
    Use.PLAY_ASKED: Step.REFUSE,
    Use.PLAYING: Step.FAIL,
}
"""A status of level error, whatever its code."""


# What messages are, by their types, on either side and in every phase


class Handling(Enum):
    """What becomes of a message; a session has a branch for each."""

    MEDIA = "goes to who receives its message stream, or is stray"
    COMMAND = "is looked up by its name, below"
    DATA_AMF3 = "is media, once it is put plainly"
    AGGREGATE = "is taken apart"
    ACKNOWLEDGEMENT = "is believed or not, and changes nothing"
    USER_CONTROL = "is an event"
    WINDOW = "says how often to acknowledge"
    READ = "asks nothing of a session: what it says, if anything, is for the chunk reader"
    IGNORED = "means nothing here; closing on it breaks real encoders"


@dataclass(frozen=True, slots=True)
class Kind:
    """Messages of one type."""

    handling: Handling
    section: str = ""
    """Of RTMP 1.0; empty for what is in no specification."""
    needs: int = 0
    """Bytes of payload without which it means nothing; encoders send shorter ones."""
    counts: bool = False
    """It is small and makes us work: ``Limits.max_control_messages`` is for it."""


MESSAGES: Final[Mapping[int, Kind]] = {
    0: Kind(Handling.READ, counts=True),
    MessageType.SET_CHUNK_SIZE: Kind(Handling.READ, "5.4.1", counts=True),
    MessageType.ABORT: Kind(Handling.READ, "5.4.2", needs=4, counts=True),
    MessageType.ACKNOWLEDGEMENT: Kind(Handling.ACKNOWLEDGEMENT, "5.4.3"),
    MessageType.USER_CONTROL: Kind(Handling.USER_CONTROL, "7.1.7", needs=2, counts=True),
    MessageType.WINDOW_ACK_SIZE: Kind(Handling.WINDOW, "5.4.4", needs=4, counts=True),
    MessageType.SET_PEER_BANDWIDTH: Kind(Handling.WINDOW, "5.4.5", needs=4, counts=True),
    7: Kind(Handling.READ, counts=True),
    MessageType.AUDIO: Kind(Handling.MEDIA, "7.1.4"),
    MessageType.VIDEO: Kind(Handling.MEDIA, "7.1.5"),
    MessageType.DATA_AMF3: Kind(Handling.DATA_AMF3, "7.1.2"),
    MessageType.SHARED_OBJECT_AMF3: Kind(Handling.IGNORED, "7.1.3"),
    MessageType.COMMAND_AMF3: Kind(Handling.COMMAND, "7.1.1"),
    MessageType.DATA_AMF0: Kind(Handling.MEDIA, "7.1.2"),
    MessageType.SHARED_OBJECT_AMF0: Kind(Handling.IGNORED, "7.1.3"),
    MessageType.COMMAND_AMF0: Kind(Handling.COMMAND, "7.1.1"),
    MessageType.AGGREGATE: Kind(Handling.AGGREGATE, "7.1.6"),
}
OTHER_MESSAGES: Final = Kind(Handling.IGNORED)
"""Of any type that ``MESSAGES`` has not."""


# What peers say in commands


class ConnectionCall(Enum):
    """What a client asks of the connection (section 7.2.1); its session has a branch for each."""

    CONNECT = "connect"
    CONNECT_AGAIN = "a second connect"
    CREATE_STREAM = "createStream"
    GET_STREAM_LENGTH = "getStreamLength"
    FC_SUBSCRIBE = "FCSubscribe"
    NOTICE = "changes nothing, but its sender may wait for a result"
    IGNORED = "an answer to what was never asked, or a notice that wants none"
    UNKNOWN = "no method of ours"
    TOO_EARLY = "comes before connect"


class StreamCall(Enum):
    """What a client asks of a message stream (section 7.2.2); its session has a method for each."""

    PUBLISH = "publish"
    FC_UNPUBLISH = "FCUnpublish"
    PLAY = "play"
    PLAY2 = "play2"
    PAUSE = "pause"
    SEEK = "seek"
    RECEIVE_AUDIO = "receiveAudio"
    RECEIVE_VIDEO = "receiveVideo"
    CLOSE_STREAM = "closeStream"
    DELETE_STREAM = "deleteStream"
    DATA = "a data message, said as a command"


class Reply(Enum):
    """What a server says; the client's session has a branch for each."""

    RESULT = "_result"
    ERROR = "_error"
    STATUS = "onStatus"
    CONNECT_STATUS = "onStatus for an answer to connect"
    NOTICE = "wants no answer"
    UNKNOWN = "no method of ours"


class Awaited(Enum):
    """What a ``_result`` or ``_error`` answers (section 7.2.1.2); the session has a method for each."""

    CONNECT = "connect"
    STREAM = "createStream"
    CALL = "any other method"


class Cost(Enum):
    """What a command costs its sender, beside counting as one."""

    NAME = "nothing: only its name is read"
    VALUES = "what it takes to decode it, by its size and the values in it"


@dataclass(frozen=True, slots=True)
class Row(Generic[H]):
    """Some names, in some phases."""

    phases: tuple[Phase, ...]
    names: tuple[str, ...]
    """None for all names that have no row in these phases."""
    handler: H
    section: str = ""
    """Of RTMP 1.0; empty for what is in no specification."""
    cost: Cost = Cost.VALUES
    failure: StatusCode | None = None
    """What the sender of one that fails is told; None is the code of the failure."""


class Commands(Generic[H]):
    """Rows by phase and name."""

    def __init__(self, *rows: Row[H]) -> None:
        self.rows = rows
        self._named = {
            phase: {name: row for row in rows if phase in row.phases for name in row.names} for phase in Phase
        }
        self._others = {phase: row for row in rows if not row.names for phase in row.phases}

    def find(self, phase: Phase, name: str) -> Row[H]:
        """The row of what is called ``name`` and said in ``phase``."""
        return self._named[phase].get(name) or self._others[phase]


_READY: Final = (Phase.CONNECTED, Phase.SERVING)
_ALWAYS: Final = tuple(Phase)

CALLS: Final[Commands[ConnectionCall | StreamCall]] = Commands(
    Row((Phase.IDLE,), ("connect",), ConnectionCall.CONNECT, "7.2.1.1", failure=StatusCode.CONNECT_REJECTED),
    Row((Phase.IDLE, Phase.CONNECTING), (), ConnectionCall.TOO_EARLY, cost=Cost.NAME),
    Row(_READY, ("connect",), ConnectionCall.CONNECT_AGAIN, failure=StatusCode.CONNECT_REJECTED),
    Row(_READY, ("createStream",), ConnectionCall.CREATE_STREAM, "7.2.1.3"),
    Row(_READY, ("getStreamLength",), ConnectionCall.GET_STREAM_LENGTH),
    Row(_READY, ("FCSubscribe",), ConnectionCall.FC_SUBSCRIBE),
    Row(_READY, ("releaseStream", "FCPublish", "_checkbw"), ConnectionCall.NOTICE),
    Row(_READY, ("publish",), StreamCall.PUBLISH, "7.2.2.6", failure=StatusCode.PUBLISH_BAD_NAME),
    Row(_READY, ("FCUnpublish",), StreamCall.FC_UNPUBLISH),
    Row(_READY, ("play",), StreamCall.PLAY, "7.2.2.1", failure=StatusCode.PLAY_FAILED),
    Row(_READY, ("play2",), StreamCall.PLAY2, "7.2.2.2", failure=StatusCode.PLAY_FAILED),
    Row(_READY, ("pause", "pauseRaw", "pauseraw"), StreamCall.PAUSE, "7.2.2.8"),
    Row(_READY, ("seek",), StreamCall.SEEK, "7.2.2.7"),
    Row(_READY, ("receiveAudio",), StreamCall.RECEIVE_AUDIO, "7.2.2.4"),
    Row(_READY, ("receiveVideo",), StreamCall.RECEIVE_VIDEO, "7.2.2.5"),
    Row(_READY, ("closeStream",), StreamCall.CLOSE_STREAM, "7.2.2.3"),
    Row(_READY, ("deleteStream",), StreamCall.DELETE_STREAM, "7.2.2.3"),
    # quirk(haishinkit): data messages, said as commands.
    Row(_READY, ("@setDataFrame", "@clearDataFrame"), StreamCall.DATA, "7.1.2", cost=Cost.NAME),
    Row(
        _READY,
        ("_result", "_error", "onStatus", "FCUnsubscribe", "close", "ping", "onTimeCoordInfo"),
        ConnectionCall.IGNORED,
        cost=Cost.NAME,
    ),
    Row(_READY, (), ConnectionCall.UNKNOWN, "7.2.1.2", cost=Cost.NAME),
)
"""What a client may call."""

REPLIES: Final[Commands[Reply]] = Commands(
    Row(_ALWAYS, ("_result",), Reply.RESULT, "7.2.1.2"),
    Row(_ALWAYS, ("_error",), Reply.ERROR, "7.2.1.2"),
    # quirk(srs): refuses connect with onStatus.
    Row((Phase.CONNECTING,), ("onStatus",), Reply.CONNECT_STATUS),
    Row((Phase.IDLE, *_READY), ("onStatus",), Reply.STATUS, "7.2.2"),
    Row(
        _ALWAYS,
        ("onBWDone", "onFCPublish", "onFCUnpublish", "onFCSubscribe", "onFCUnsubscribe"),
        Reply.NOTICE,
    ),
    Row(_ALWAYS, (), Reply.UNKNOWN, "7.2.1.2"),
)
"""What a server may say. A client decodes all of it, whatever it is."""
