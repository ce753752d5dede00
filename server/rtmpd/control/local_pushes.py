"""The push targets of this process, as they come and go."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from typing import Protocol

from rtmpd.control import relay_views
from rtmpd.control.actor import Actor
from rtmpd.control.audit import Audit, Change
from rtmpd.control.relay_answers import PushRequest, Relay
from rtmpd.engine.key import StreamKey
from rtmpd.exceptions import NotFound, NotPossible, UsageError
from rtmpd.reasons import Problem
from rtmpd.relay.status import RelayStatus


class PushTargets(Protocol):
    """Has targets, and takes and gives up others; ``rtmpd.relay.push.relays.PushRelays`` is one."""

    def add(self, key: StreamKey, url: str, track: object = None) -> RelayStatus:
        """Raises UsageError, whose text holds no secret."""

    def remove(self, key: StreamKey, relay_id: str) -> bool:
        """False when there is no such target."""


class LocalPushes:
    """``control.Pushes`` of this process; ``apps`` are as ``StreamKey.of_path`` wants them, now."""

    def __init__(
        self,
        targets: PushTargets,
        relays: Callable[[], Sequence[RelayStatus]],
        apps: Callable[[], Container[str]],
        audit: Audit,
    ) -> None:
        self._targets = targets
        self._relays = relays
        self._apps = apps
        self._audit = audit

    async def add(self, key: StreamKey, request: PushRequest, by: Actor) -> Relay:
        key = StreamKey.of_path(str(key), self._apps())
        with self._audit.attempt(by, Change.ADD_PUSH, key) as attempt:
            if not by.sees(key):
                raise NotFound(Problem.STREAM_NOT_FOUND, f"you have nothing to do with {key}")
            try:
                status = self._targets.add(key, request.url, request.track)
            except UsageError as problem:
                raise NotPossible(Problem.TARGET_REFUSED, str(problem)) from None
            attempt.target, attempt.after = f"{key} {status.id}", status.remote
        return relay_views.relay(status)

    async def remove(self, key: StreamKey, relay_id: str, by: Actor) -> None:
        with self._audit.attempt(by, Change.REMOVE_PUSH, f"{key} {relay_id}") as attempt:
            attempt.key = key
            same = [each for each in self._relays() if (each.key, each.id) == (key, relay_id)]
            attempt.before = next((each.remote for each in same if each.kind == "push"), None)
            if not by.sees(key) or not self._targets.remove(key, relay_id):
                raise NotFound(Problem.TARGET_NOT_FOUND, f"{key} is pushed to no target {relay_id}")
