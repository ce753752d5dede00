"""Every exception of rtmpd, in one tree.

RtmpdError
├── ConfigError              a configuration that cannot be used; lists every mistake
├── ProtocolError            the peer broke the protocol or a limit; ends its connection
│   ├── HandshakeError       not RTMP, or a handshake we refuse
│   ├── ChunkError           chunk stream violation (RTMP 1.0 section 5.3)
│   ├── AmfError             AMF that cannot or must not be decoded
│   ├── FlvError             not an FLV file, or one we refuse to read
│   └── DeadlineExceeded     the peer did not do in time what it had to do
├── HttpFailed               an HTTP request of ours got no answer that can be used
├── OriginMapUnavailable     nobody can be asked now which server has a stream
├── StateUnusable            what should outlive the process can be neither read nor written
├── UsageError               our own code (or the library's user) called something out of turn
├── HandoverFailed           another process of this server does not take over, or does not answer
├── Refused                  a request that is well formed but not granted; carries the status to send
│   ├── StreamBusy           the name has a publisher already
│   └── ResourceExhausted    a configured ceiling is reached
├── ProofFailed              what somebody presented does not prove what it should
├── NotForMp4                a codec, or a header of one, that MP4 cannot hold
├── ControlError             the server does not do what somebody in charge of it asked
│   ├── NotFound             there is nothing of that name
│   ├── Conflict             not in the state that it is in
│   └── NotPossible          never, as it was asked
│       └── TryLater         not yet
├── AdminRequestFailed       a server's admin port did not do what a command asked of it
└── ClientError              a server did not do what we asked of it; carries its status
    ├── ConnectFailed        no TCP or TLS connection came about
    ├── RequestTimeout       no answer in time; also a TimeoutError
    ├── ConnectionClosed     the connection is over
    │   └── ConnectionLost   it broke: a reset, a protocol violation
    ├── StreamFailed         the server ended what it had let us publish or play
    ├── ProbeFailed          what was published did not come back as it went
    └── RequestRejected      the server said no
        ├── ConnectRejected
        │   └── AuthenticationFailed
        ├── PublishRejected
        ├── PlayRejected
        └── CallFailed       a call, a pause or a seek

Each can be copied and pickled: what it was made with is in its ``args`` or has a default.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Self

from rtmpd.reasons import Failure, HttpFailure, Problem, Refusal, Word


class RtmpdError(Exception):
    """Root of the tree."""

    def again(self) -> Self:
        """The same failure, for one more who waits for it.

        An exception that was raised holds the frames that it passed, and with them all that those held: what
        keeps it must not be among them.
        """
        other = copy.copy(self)
        other.__cause__ = self.__cause__
        return other


class ConfigError(RtmpdError):
    """A configuration that cannot be used.

    ``problems`` holds one line per mistake, each with the key's path and what to do.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__(self.problems)

    def __str__(self) -> str:
        return "\n".join(self.problems)


class ProtocolError(RtmpdError):
    """The peer violated the protocol or one of our limits.

    ``reason`` is for metrics and logs; the message is for people and never holds a secret. ``code`` is the
    status code that the peer should see before its connection ends (see ``rtmp.constants.StatusCode``): that
    of the class unless one is given, empty where there is nobody to tell or no way to.
    """

    code = ""

    def __init__(self, reason: Failure, message: str, *, code: str = "") -> None:
        super().__init__(reason, message)
        self.reason = reason
        self.message = message
        if code:
            self.code = code

    def __str__(self) -> str:
        return self.message


class HandshakeError(ProtocolError):
    """The first bytes are not an RTMP handshake that we accept."""


class ChunkError(ProtocolError):
    """The chunk stream is broken: nothing after this point can be parsed."""


class AmfError(ProtocolError):
    """An AMF body is truncated, too deep, too large, or of a type never accepted from the wire."""

    code = "NetConnection.Call.Failed"


class FlvError(ProtocolError):
    """An FLV file (or HTTP-FLV body) is broken: nothing after this point can be parsed."""


class DeadlineExceeded(ProtocolError):
    """The peer missed a deadline; ``reason`` names which one."""


class HttpFailed(RtmpdError):
    """Whom we asked over HTTP gave no answer that can be used.

    ``reason`` is for metrics and logs; the message is for people, and holds no secret.
    """

    def __init__(self, reason: HttpFailure, message: str) -> None:
        super().__init__(reason, message)
        self.reason = reason
        self.message = message

    def __str__(self) -> str:
        return self.message


class OriginMapUnavailable(RtmpdError):
    """Nobody can be asked now which server has a stream: a store that is down, a network that is cut.

    The message is for people, and holds no secret.
    """


class StateUnusable(RtmpdError):
    """What should outlive the process can be neither read nor written; the text says what to do."""

    def __init__(self, reason: Word, text: str) -> None:
        super().__init__(reason, text)
        self.reason = reason
        self.text = text

    def __str__(self) -> str:
        return self.text


class UsageError(RtmpdError):
    """A method was called in a state that does not allow it: a bug on our side of the wire."""


class HandoverFailed(RtmpdError):
    """Another process of this server does not take over, or does not do what it is asked for meanwhile."""


class Refused(RtmpdError):
    """A request that is not granted.

    ``code`` is the status code to send (see ``rtmp.constants.StatusCode``), ``description`` the sentence the
    person at the encoder reads, ``reason`` is for metrics and logs.
    """

    def __init__(self, code: str, description: str, reason: Refusal) -> None:
        super().__init__(code, description, reason)
        self.code = code
        self.description = description
        self.reason = reason

    def __str__(self) -> str:
        return self.description


class StreamBusy(Refused):
    """The name has a live publisher already."""


class ResourceExhausted(Refused):
    """A configured ceiling (streams, players, memory, waiting names) is reached."""


class NotForMp4(RtmpdError):
    """A track cannot be shown as MP4; the message is a sentence for people, without a full stop."""


class ProofFailed(RtmpdError):
    """A key, password, signature or token was presented and does not prove what it should.

    ``reason`` is for metrics and logs, ``description`` the sentence the person at the encoder reads; it holds
    no secret.
    """

    def __init__(self, reason: Refusal, description: str) -> None:
        super().__init__(reason, description)
        self.reason = reason
        self.description = description

    def __str__(self) -> str:
        return self.description


class ControlError(RtmpdError):
    """The server does not do what somebody in charge of it asked.

    ``problem`` is for programs, ``detail`` a sentence for whoever asked; it holds no secret.
    """

    def __init__(self, problem: Problem, detail: str) -> None:
        super().__init__(problem, detail)
        self.problem = problem
        self.detail = detail

    def __str__(self) -> str:
        return self.detail


class NotFound(ControlError):
    """There is nothing of the name that was given."""


class Conflict(ControlError):
    """It cannot be done in the state that things are in."""


class NotPossible(ControlError):
    """It is understood and cannot be done, whatever state things are in."""


class TryLater(NotPossible):
    """It is not done now; ``after`` so many seconds it may be."""

    def __init__(self, problem: Problem, detail: str, after: float = 0.0) -> None:
        super().__init__(problem, detail)
        self.after = after


class AdminRequestFailed(RtmpdError):
    """The admin port of a server did not do what a command asked of it; the message is for people.

    ``status`` is that of HTTP which it answered with, 0 where there was no answer.
    """

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class ClientError(RtmpdError):
    """A server did not do what we, as its client, asked of it.

    ``code`` and ``description`` are the server's own words, empty when it gave none; ``info`` is the whole
    information object they came in. The message never holds a secret of ours.
    """

    def __init__(
        self, message: str, *, code: str = "", description: str = "", info: Mapping[str, object] | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.description = description
        self.info = info or {}


class ConnectFailed(ClientError):
    """No connection came about: unknown host, nobody listening, or TLS that cannot be trusted."""


class RequestTimeout(ClientError, TimeoutError):
    """The server did not answer in time."""


class ConnectionClosed(ClientError):
    """The connection is over: we closed it, or the server did so in order."""


class ConnectionLost(ConnectionClosed):
    """The connection broke; ``__cause__`` tells how."""


class StreamFailed(ClientError):
    """The server ended a stream that it had let us publish or play."""


class ProbeFailed(ClientError):
    """What was published did not come back as it went."""


class RequestRejected(ClientError):
    """The server said no."""


class ConnectRejected(RequestRejected):
    """The server refused the connect command."""


class AuthenticationFailed(ConnectRejected):
    """The server wants a user and password, other ones, or by a scheme that is not supported."""


class PublishRejected(RequestRejected):
    """The server refused the publish."""


class PlayRejected(RequestRejected):
    """The server refused the play."""


class CallFailed(RequestRejected):
    """The server answered a call, a pause or a seek with an error."""
