"""All targets of notifications: one listener of the feed, which sorts what it hears."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from rtmpd.engine.key import StreamKey
from rtmpd.events.delivery import NotifyLoss, NotifyStatus
from rtmpd.events.model import Event, EventKind
from rtmpd.events.settings import TargetSettings
from rtmpd.events.target import Surroundings, Target
from rtmpd.net.tasks import TaskSet


class Notifications:
    """Targets by their names in the settings; they come, go and change while the server runs."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self._targets: dict[str, Target] = {}
        self._running: dict[str, asyncio.Task[None]] = {}
        self._tasks = TaskSet()

    def apply(self, targets: Mapping[str, TargetSettings]) -> None:
        """Have these targets, in the running event loop. One whose settings are others keeps its queue."""
        for name in self._targets.keys() - targets.keys():
            self._remove(name)
        for name, settings in targets.items():
            target = self._targets.get(name)
            if target is not None:
                target.apply(settings)
            else:
                target = self._targets[name] = Target(name, settings, self._around)
                self._running[name] = self._tasks.start(target.run(), name=f"notify-{name}")

    # Of the feed

    def wants(self, kind: EventKind, key: StreamKey) -> bool:
        return any(target.settings.wants(kind, key) for target in self._targets.values())

    def hear(self, event: Event) -> None:
        for target in self._targets.values():
            if target.settings.wants(event.kind, event.key):
                target.hear(event)

    def statuses(self) -> Sequence[NotifyStatus]:
        """Every target, in the order of their coming."""
        return [target.status for target in self._targets.values()]

    async def close(self, grace: float) -> None:
        """Send what waits within ``grace`` seconds; what is left then is lost."""
        for target in self._targets.values():
            target.close()
        await self._tasks.drain(grace)
        await self._tasks.wait_closed()
        for target in self._targets.values():
            target.abandon(NotifyLoss.SHUTDOWN)

    def _remove(self, name: str) -> None:
        self._running.pop(name).cancel()
        self._targets.pop(name).abandon(NotifyLoss.REMOVED)
