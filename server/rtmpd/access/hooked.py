"""The backend's say in who may connect, publish and play, behind that of our own rules."""

from __future__ import annotations

from collections.abc import Callable, Container, Coroutine, Generator
from dataclasses import replace
from typing import Any, Final

from rtmpd.access.backend import Backend
from rtmpd.access.policy import AccessPolicy
from rtmpd.access.visits import FollowedVisit
from rtmpd.engine.key import StreamKey
from rtmpd.engine.media_limits import MediaLimits
from rtmpd.engine.origin import Origin
from rtmpd.exceptions import Refused
from rtmpd.hooks.model import Verdict, Visit
from rtmpd.hooks.rules import Moment
from rtmpd.reasons import Refusal
from rtmpd.rtmp.constants import StatusCode
from rtmpd.rtmp.limits import Limits
from rtmpd.rtmp.url import validate_name
from rtmpd.serving.access import AccessRequest, Action, Grant

_MOMENTS: Final = {
    Action.CONNECT: Moment.CONNECT,
    Action.PUBLISH: Moment.PUBLISH,
    Action.PLAY: Moment.PLAY,
}
# quirk(obs): shows Rejected to its user and does not connect again.
_CODES: Final = {
    Action.CONNECT: StatusCode.CONNECT_REJECTED,
    Action.PUBLISH: StatusCode.PUBLISH_REJECTED,
    Action.PLAY: StatusCode.PLAY_FAILED,
}
_REFUSED: Final = {
    Action.CONNECT: "This server does not let you connect.",
    Action.PUBLISH: "This stream key is not accepted here; copy it again, the whole of it.",
    Action.PLAY: "This stream may not be played by you.",
}
_FAILED: Final = {
    Action.CONNECT: "The server could not find out whether you may connect; try again later.",
    Action.PUBLISH: "The server could not find out whether you may publish this stream; try again later.",
    Action.PLAY: "The server could not find out whether you may play this stream; try again later.",
}
_MISSING: Final = frozenset({Refusal.NOT_PROVEN, Refusal.NOT_LOCAL})
"""A proof is missing, and none was wrong: what a backend that decides may stand in for."""


class _Both(Coroutine[Any, Any, Grant]):
    """Where our own rules have to ask somebody, too: what they find, and then ``behind`` it.

    Closed before it has begun it closes what is to be found as well, which nobody would ever await.
    """

    def __init__(
        self,
        found: Coroutine[Any, Any, Grant],
        behind: Callable[[Grant | Refused], Grant | Coroutine[Any, Any, Grant]],
    ) -> None:
        self._found = found
        self._whole = self._run(behind)

    async def _run(self, behind: Callable[[Grant | Refused], Grant | Coroutine[Any, Any, Grant]]) -> Grant:
        try:
            found: Grant | Refused = await self._found
        except Refused as refusal:
            found = refusal
        outcome = behind(found)
        return outcome if isinstance(outcome, Grant) else await outcome

    def __await__(self) -> Generator[Any, Any, Grant]:
        return self._whole.__await__()

    def send(self, value: Any, /) -> Any:
        return self._whole.send(value)

    def throw(self, *error: Any) -> Any:
        return self._whole.throw(*error)

    def close(self) -> None:
        self._whole.close()
        self._found.close()


class HookedPolicy:
    """Asks our own rules first, and then the backend of the path, if there is one.

    ``backend_at(path)`` is it, and ``tables`` the apps with settings of their own.
    """

    def __init__(
        self,
        policy: AccessPolicy,
        backend_at: Callable[[str], Backend | None],
        tables: Callable[[], Container[str]],
    ) -> None:
        self._policy = policy
        self._backend_at = backend_at
        self._tables = tables

    def authorize(self, request: AccessRequest) -> Grant | Coroutine[Any, Any, Grant]:
        """Raises ``Refused``, also what the coroutine does."""
        backend = self._backend_at(str(request.key))
        if backend is None:
            return self._policy.authorize(request)
        try:
            found: Grant | Refused | Coroutine[Any, Any, Grant] = self._policy.authorize(request)
        except Refused as refusal:
            found = refusal
        if isinstance(found, Grant | Refused):
            return self._go_on(backend, request, found)
        return _Both(found, lambda outcome: self._go_on(backend, request, outcome))

    def withdrawn(self, action: Action, key: StreamKey, origin: Origin) -> Refusal | None:
        """As the rules say, but that the yes of a backend may have stood in for a proof."""
        reason = self._policy.withdrawn(action, key, origin)
        backend = self._backend_at(str(key))
        return None if backend is not None and _stands_in(backend, reason) else reason

    def as_public(self, action: Action, key: StreamKey) -> StreamKey:
        """As the rules say, but for a publish whose name may be a secret of the backend."""
        shown, name = self._policy.as_public(action, key), key.name.rpartition("/")[2]
        if action is not Action.PLAY and name:
            backend = self._backend_at(str(key))
            if backend is not None and backend.asks(Moment.PUBLISH):
                return StreamKey(shown.app, self._policy.hidden(name))
        return shown

    # Inside

    def _go_on(
        self, backend: Backend, request: AccessRequest, found: Grant | Refused
    ) -> Grant | Coroutine[Any, Any, Grant]:
        """Behind what our own rules have found."""
        grant = found if isinstance(found, Grant) else Grant(request.key)
        if isinstance(found, Refused) and not _stands_in(backend, found.reason):
            raise found
        if backend.asks(_MOMENTS[request.action]):
            return self._ask(backend, request, grant)
        if isinstance(found, Refused):
            raise found
        return self._followed(backend, request, grant, _visit(request, grant), ())

    async def _ask(self, backend: Backend, request: AccessRequest, grant: Grant) -> Grant:
        action, visit = request.action, _visit(request, grant)
        moment = _MOMENTS[action]
        verdict = await backend.decide(moment, visit)
        if verdict is None:
            raise Refused(_CODES[action], _FAILED[action], Refusal.BACKEND_FAILED)
        if not verdict.allow:
            raise Refused(_CODES[action], verdict.reason or _REFUSED[action], Refusal.BACKEND_REFUSED)
        try:
            granted = self._led(request, grant, verdict)
        except Refused:
            backend.tell_ended(visit)
            raise
        if action is Action.PUBLISH:
            granted = _limited(granted, verdict, backend)
        return self._followed(backend, request, granted, visit, verdict.push)

    def _led(self, request: AccessRequest, grant: Grant, verdict: Verdict) -> Grant:
        """Where the backend wants it. Raises ``Refused`` if that can be no stream, or may not be had."""
        if not verdict.name:
            return grant
        tables, limits, app = self._tables(), Limits(), grant.key.app
        name = verdict.name.strip("/")
        if validate_name(name, limits.max_name_bytes) is not None:
            raise Refused(_CODES[request.action], _FAILED[request.action], Refusal.BACKEND_FAILED)
        key = StreamKey.of_path(name if request.action is Action.CONNECT else f"{app}/{name}", tables)
        if request.action is not Action.CONNECT:
            self._policy.check_led(request, key)
        return replace(grant, key=key)

    def _followed(
        self, backend: Backend, request: AccessRequest, grant: Grant, visit: Visit, push: tuple[str, ...]
    ) -> Grant:
        session = request.origin.session
        return replace(grant, follower=FollowedVisit(backend, visit, grant.key, session, push))


def _stands_in(backend: Backend, reason: Refusal | None) -> bool:
    """Whether its yes is as good as what is missing."""
    return backend.rules.decides and reason in _MISSING


def _limited(grant: Grant, verdict: Verdict, backend: Backend) -> Grant:
    """The grant of a publish with what the backend says of it."""
    claim = grant.claim if verdict.takeover is None else backend.around.claim(verdict.takeover)
    players = grant.max_players if verdict.max_players is None else verdict.max_players
    media = grant.media
    if verdict.max_kbps is not None:
        media = (media or MediaLimits()).under(MediaLimits(max_kbps=verdict.max_kbps))
    return replace(grant, claim=claim, max_players=players, media=media, record=verdict.record)


def _visit(request: AccessRequest, grant: Grant) -> Visit:
    """What the backend is asked about: what was granted so far, else what was asked for.

    So a stream key that our own rules have taken for its stream's name stays here.
    """
    connect = request.connect
    return Visit(
        action=request.action,
        app=grant.key.app,
        name=grant.key.name,
        query=request.query,
        mode=request.mode or "live",
        start=request.start,
        duration=request.duration,
        reset=request.reset,
        origin=request.origin.found_to_be(grant.account, grant.identity),
        tc_url=connect.tc_url,
        page_url=connect.page_url,
        swf_url=connect.swf_url,
        connect_query=connect.app_query,
    )
