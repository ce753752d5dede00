"""The pulls of this process, as they are switched off and on, and begin anew."""

from __future__ import annotations

from collections.abc import Callable, Container
from typing import Protocol

from rtmpd.control import relay_views
from rtmpd.control.actor import Actor
from rtmpd.control.audit import Audit, Change
from rtmpd.control.relay_answers import Relay
from rtmpd.engine.key import StreamKey
from rtmpd.exceptions import Conflict, NotFound, NotPossible, UsageError
from rtmpd.reasons import Problem
from rtmpd.relay.status import RelayStatus


class PullSwitch(Protocol):
    """Fetches streams; ``rtmpd.relay.pull.relays.PullRelays`` is one."""

    def switch_off(self, key: StreamKey) -> RelayStatus | None:
        """None if nothing says that it is fetched. Raises UsageError when too many are off."""

    def switch_on(self, key: StreamKey) -> RelayStatus | None:
        """None if it is not off."""

    def restart(self, key: StreamKey) -> RelayStatus | None:
        """None if it is not fetched now. Raises UsageError when it is off."""


class LocalPulls:
    """``control.Pulls`` of this process; ``apps`` are as ``StreamKey.of_path`` wants them, now."""

    def __init__(self, pulls: PullSwitch, apps: Callable[[], Container[str]], audit: Audit) -> None:
        self._pulls = pulls
        self._apps = apps
        self._audit = audit

    async def switch_off(self, key: StreamKey, by: Actor) -> Relay:
        return self._change(
            by, Change.PULL_OFF, key, self._pulls.switch_off, "is fetched from no other server"
        )

    async def switch_on(self, key: StreamKey, by: Actor) -> Relay:
        return self._change(by, Change.PULL_ON, key, self._pulls.switch_on, "is not switched off")

    async def restart(self, key: StreamKey, by: Actor) -> Relay:
        unknown = "is not fetched from another server now"
        return self._change(by, Change.RESTART_PULL, key, self._pulls.restart, unknown)

    def _change(
        self,
        by: Actor,
        change: Change,
        key: StreamKey,
        act: Callable[[StreamKey], RelayStatus | None],
        unknown: str,
    ) -> Relay:
        """``unknown``: what is told where there is no such pull, or none that ``by`` has to do with."""
        key = StreamKey.of_path(str(key), self._apps())
        with self._audit.attempt(by, change, key):
            try:
                status = act(key) if by.sees(key) else None
            except UsageError as problem:
                if change is Change.RESTART_PULL:
                    raise Conflict(Problem.TARGET_OFF, str(problem)) from None
                raise NotPossible(Problem.TARGET_REFUSED, str(problem)) from None
            if status is None:
                raise NotFound(Problem.PULL_NOT_FOUND, f"{key} {unknown}")
            return relay_views.relay(status)
