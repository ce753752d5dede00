"""Tokens for our own processes: they open a stream or two to clients of this machine, and nothing else."""

from __future__ import annotations

import ipaddress
from collections import deque
from collections.abc import Callable, Collection, Coroutine
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from rtmpd.access.keys import digest_of, new_key
from rtmpd.engine.key import StreamKey
from rtmpd.engine.origin import Origin
from rtmpd.exceptions import Refused
from rtmpd.net.addresses import UNIX
from rtmpd.reasons import Refusal
from rtmpd.rtmp.constants import StatusCode
from rtmpd.rtmp.url import parse_query
from rtmpd.serving.access import AccessRequest, Action, Authorizer, Grant

MARK: Final = "rtmpd-"
"""Begins every token, and no stream key that ``rtmpd key new`` makes."""
_IDENTITY: Final = "process:"
"""Begins the identity of whoever has shown one."""
_SESSIONS: Final = 64
"""The last connections of one process that are remembered: it may connect as often as it likes."""
_CODES: Final = {Action.PUBLISH: StatusCode.PUBLISH_REJECTED, Action.PLAY: StatusCode.PLAY_FAILED}


class Reviewer(Authorizer, Protocol):
    """Decides, and knows afterwards whom it would not let in any more."""

    def withdrawn(self, action: Action, key: StreamKey, origin: Origin, /) -> Refusal | None: ...


@dataclass(frozen=True, slots=True)
class _Holder:
    """Whom a token was issued for."""

    name: str
    streams: dict[Action, frozenset[StreamKey]]
    host: str
    """Where it was told to connect to: from there it comes, if that is no loopback address."""
    sessions: deque[int] = field(default_factory=lambda: deque(maxlen=_SESSIONS))


class LocalTokens:
    """Lets in who shows a token that is good, and asks ``inner`` about everybody else.

    A token is good while its process lives, as often as that connects: one that broke off and comes back, or
    has two inputs, is no stranger, and whoever could read the token could as well have been first. It opens
    its streams alone, to clients of this machine alone, and goes with the process. It comes as ``?key=``.
    """

    def __init__(self, inner: Reviewer, random_bytes: Callable[[int], bytes]) -> None:
        self._inner = inner
        self._random_bytes = random_bytes
        self._holders: dict[bytes, _Holder] = {}

    def authorize(self, request: AccessRequest) -> Grant | Coroutine[Any, Any, Grant]:
        """Grant what a token opens; raises ``Refused`` for what it does not open."""
        if request.origin.is_borrowed:  # Its connection was made within this server.
            return Grant(request.key)
        if MARK in request.query and request.action is not Action.CONNECT:
            text = parse_query(request.query).get("key", "")
            if text.startswith(MARK):
                return self._admit(request, self._holders.get(digest_of(text)))
        return self._inner.authorize(request)

    def withdrawn(self, action: Action, key: StreamKey, origin: Origin) -> Refusal | None:
        """Why somebody who publishes or plays would not be let in now; None if nothing speaks against it."""
        if origin.identity.startswith(_IDENTITY):
            return None
        return self._inner.withdrawn(action, key, origin)

    def issue(
        self, holder: str, plays: Collection[StreamKey], publishes: Collection[StreamKey], host: str
    ) -> str:
        """A new token, which opens these streams until it is revoked."""
        token = MARK + new_key(self._random_bytes)
        streams = {Action.PLAY: frozenset(plays), Action.PUBLISH: frozenset(publishes)}
        self._holders[digest_of(token)] = _Holder(holder, streams, host)
        return token

    def revoke(self, token: str) -> None:
        """It opens nothing any more."""
        self._holders.pop(digest_of(token), None)

    def came_by_token(self, session: int) -> bool:
        """Whether the client with that session has shown a token that is good."""
        return any(session in holder.sessions for holder in self._holders.values())

    def _admit(self, request: AccessRequest, holder: _Holder | None) -> Grant:
        code = _CODES[request.action]
        if holder is None or request.key not in holder.streams[request.action]:
            text = "This token is for another stream, or for a process that has ended."
            raise Refused(code, text, Refusal.KEY_WRONG)
        if not _is_here(request.origin.address, holder.host):
            text = "This token is for processes of the server's own machine."
            raise Refused(code, text, Refusal.ADDRESS_REFUSED)
        holder.sessions.append(request.origin.session)
        identity = f"{_IDENTITY}{holder.name}:{request.key}"
        return Grant(request.key, account=f"process {holder.name}", identity=identity)


def _is_here(address: str, host: str) -> bool:
    if address in (UNIX, host):
        return True
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
