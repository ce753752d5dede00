"""The push targets of this process, as they come and go."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from rtmpd.control import relay_views
from rtmpd.control.actor import Actor
from rtmpd.control.audit import Attempt, Audit, Change
from rtmpd.control.relay_answers import NewRelay, PushRequest, Relay
from rtmpd.control.stored import Stored
from rtmpd.engine.key import StreamKey
from rtmpd.exceptions import Conflict, NotFound, NotPossible, UsageError
from rtmpd.reasons import Problem
from rtmpd.relay.status import RelayStatus


class PushTargets(Protocol):
    """Has targets, and takes and gives up others; ``rtmpd.relay.push.relays.PushRelays`` is one."""

    def add(self, key: StreamKey, url: str, track: object = None) -> RelayStatus:
        """Raises UsageError, whose text holds no secret."""

    def remove(self, key: StreamKey, relay_id: str) -> bool:
        """False when there is no such target. Raises UsageError for one that can only be switched on."""

    def switch_off(self, key: StreamKey, relay_id: str) -> RelayStatus | None:
        """None when there is no such target. Raises UsageError when too many are off."""

    def switch_on(self, key: StreamKey, relay_id: str) -> RelayStatus | None:
        """None when there is no such target."""

    def restart(self, key: StreamKey, relay_id: str) -> RelayStatus | None:
        """None when it does not run. Raises UsageError when it is off."""


class LocalPushes:
    """``control.Pushes`` of this process; ``apps`` are as ``StreamKey.of_path`` wants them, now."""

    def __init__(
        self,
        targets: PushTargets,
        relays: Callable[[], Sequence[RelayStatus]],
        apps: Callable[[], Container[str]],
        stored: Stored,
        audit: Audit,
    ) -> None:
        self._targets = targets
        self._stored = stored
        self._relays = relays
        self._apps = apps
        self._audit = audit

    async def add(self, key: StreamKey, request: PushRequest, by: Actor) -> NewRelay:
        key = StreamKey.of_path(str(key), self._apps())
        with self._audit.attempt(by, Change.ADD_PUSH, key) as attempt:
            if not by.sees(key):
                raise NotFound(Problem.STREAM_NOT_FOUND, f"you have nothing to do with {key}")
            try:
                status = self._targets.add(key, request.url, request.track)
            except UsageError as problem:
                raise NotPossible(Problem.TARGET_REFUSED, str(problem)) from None
            attempt.target, attempt.after = f"{key} {status.id}", status.remote
        kept = bool(await self._stored.settled())
        return NewRelay(**dict(relay_views.relay(status)), kept=kept)

    async def remove(self, key: StreamKey, relay_id: str, by: Actor) -> None:
        with self._attempt(by, Change.REMOVE_PUSH, key, relay_id) as attempt:
            same = [each for each in self._relays() if (each.key, each.id) == (key, relay_id)]
            attempt.before = next((each.remote for each in same if each.kind == "push"), None)
            try:
                known = self._targets.remove(key, relay_id)
            except UsageError as problem:
                raise Conflict(Problem.TARGET_OFF, str(problem)) from None
            if not known:
                raise _unknown(key, relay_id)

    async def switch_off(self, key: StreamKey, relay_id: str, by: Actor) -> Relay:
        key = StreamKey.of_path(str(key), self._apps())
        with self._attempt(by, Change.PUSH_OFF, key, relay_id):
            try:
                status = self._targets.switch_off(key, relay_id)
            except UsageError as problem:
                raise NotPossible(Problem.TARGET_REFUSED, str(problem)) from None
            return _told(key, relay_id, status)

    async def switch_on(self, key: StreamKey, relay_id: str, by: Actor) -> Relay:
        key = StreamKey.of_path(str(key), self._apps())
        with self._attempt(by, Change.PUSH_ON, key, relay_id):
            return _told(key, relay_id, self._targets.switch_on(key, relay_id))

    async def restart(self, key: StreamKey, relay_id: str, by: Actor) -> Relay:
        with self._attempt(by, Change.RESTART_PUSH, key, relay_id):
            try:
                status = self._targets.restart(key, relay_id)
            except UsageError as problem:
                raise Conflict(Problem.TARGET_OFF, str(problem)) from None
            return _told(key, relay_id, status)

    @contextmanager
    def _attempt(self, by: Actor, change: Change, key: StreamKey, relay_id: str) -> Iterator[Attempt]:
        with self._audit.attempt(by, change, f"{key} {relay_id}") as attempt:
            attempt.key = key
            if not by.sees(key):
                raise _unknown(key, relay_id)
            yield attempt


def _told(key: StreamKey, relay_id: str, status: RelayStatus | None) -> Relay:
    if status is None:
        raise _unknown(key, relay_id)
    return relay_views.relay(status)


def _unknown(key: StreamKey, relay_id: str) -> NotFound:
    return NotFound(Problem.TARGET_NOT_FOUND, f"{key} is pushed to no target {relay_id}")
