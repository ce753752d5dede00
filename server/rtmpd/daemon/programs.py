"""The programs that the server starts: processes of streams, and hooks, each once there are any."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from rtmpd.daemon.config import Config
from rtmpd.engine.key import StreamKey
from rtmpd.engine.registry import Registry
from rtmpd.net.addresses import Address

if TYPE_CHECKING:
    from rtmpd.events.feed import EventListener
    from rtmpd.events.hook_rules import HookRule
    from rtmpd.events.hooks import ExecHooks
    from rtmpd.processes.rules import RunRule
    from rtmpd.processes.streams import StreamProcesses, Tokens
    from rtmpd.processes.words import HookCounts, ProcessCounts, ProcessStatus


class Programs:
    """Both, by the settings of now. A server without any observes no stream for them, and imports nothing."""

    def __init__(
        self,
        registry: Registry,
        tokens: Tokens,
        clock: Callable[[], float],
        address: Callable[[], Address | None],
        listen: Callable[[EventListener], None],
    ) -> None:
        """``address`` is as for ``StreamProcesses``; ``listen`` tells events from then on."""
        self._config = Config()
        self._registry = registry
        self._tokens = tokens
        self._clock = clock
        self._address = address
        self._listen = listen
        self._processes: StreamProcesses | None = None
        self._hooks: ExecHooks | None = None

    @property
    def running(self) -> int:
        """How many programs there are now."""
        processes = 0 if self._processes is None else self._processes.running
        return processes + (0 if self._hooks is None else self.hook_counts.running)

    def statuses(self) -> Sequence[ProcessStatus]:
        """Every process of every stream."""
        return () if self._processes is None else self._processes.statuses()

    @cached_property
    def process_counts(self) -> ProcessCounts:
        """What processes have come to."""
        from rtmpd.processes.words import ProcessCounts

        return ProcessCounts()

    @cached_property
    def hook_counts(self) -> HookCounts:
        """What hooks have come to."""
        from rtmpd.processes.words import HookCounts

        return HookCounts()

    def apply(self, config: Config) -> None:
        """Follow other settings."""
        self._config = config
        if self._processes is None and any(app.run for app in config.apps.values()):
            self._processes = self._build_processes()
            self._registry.observe(self._processes)
        if self._processes is not None:
            self._processes.apply(config.run.to_limits())
        if self._hooks is None and any(app.exec for app in config.apps.values()):
            from rtmpd.events.hooks import ExecHooks

            self._hooks = ExecHooks(self._clock, self._hooks_of, os.environ, self.hook_counts)
            self._listen(self._hooks)
        if self._hooks is not None:
            self._hooks.apply(config.run.to_hook_limits())

    async def close_processes(self, grace: float) -> None:
        """See ``StreamProcesses.close``."""
        if self._processes is not None:
            await self._processes.close(grace)

    async def close_hooks(self, grace: float) -> None:
        """Run what waits within ``grace`` seconds, and end the rest."""
        if self._hooks is not None:
            await self._hooks.close(grace)

    def _build_processes(self) -> StreamProcesses:
        from rtmpd.processes.streams import StreamProcesses

        return StreamProcesses(
            self._registry,
            self._tokens,
            self._clock,
            self._processes_of,
            self._address,
            os.environ,
            self.process_counts,
        )

    def _processes_of(self, key: StreamKey) -> Mapping[str, RunRule]:
        return self._config.at(str(key)).processes(key.name)

    def _hooks_of(self, key: StreamKey) -> Mapping[str, HookRule]:
        return self._config.at(str(key)).commands(key.name)
