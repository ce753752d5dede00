"""The pulls of this process, as they begin anew."""

from __future__ import annotations

from typing import Protocol

from rtmpd.control import relay_views
from rtmpd.control.actor import Actor
from rtmpd.control.audit import Audit, Change
from rtmpd.control.relay_answers import Relay
from rtmpd.engine.key import StreamKey
from rtmpd.exceptions import NotFound
from rtmpd.reasons import Problem
from rtmpd.relay.status import RelayStatus


class PullRestarter(Protocol):
    """Fetches streams; ``rtmpd.relay.pull.relays.PullRelays`` is one."""

    def restart(self, key: StreamKey) -> RelayStatus | None:
        """None if it is not fetched now."""


class LocalPulls:
    """``control.Pulls`` of this process."""

    def __init__(self, pulls: PullRestarter, audit: Audit) -> None:
        self._pulls = pulls
        self._audit = audit

    async def restart(self, key: StreamKey, by: Actor) -> Relay:
        with self._audit.attempt(by, Change.RESTART_PULL, key):
            status = self._pulls.restart(key) if by.sees(key) else None
            if status is None:
                raise NotFound(Problem.PULL_NOT_FOUND, f"{key} is not fetched from another server now")
            return relay_views.relay(status)
