"""The programs that the server starts: processes of streams, and hooks once there are any."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from rtmpd.daemon.config import Config
from rtmpd.engine.key import StreamKey
from rtmpd.engine.registry import Registry
from rtmpd.events.hook_rules import HookLimits, HookRule
from rtmpd.net.addresses import Address
from rtmpd.processes.rules import RunRule
from rtmpd.processes.streams import StreamProcesses, Tokens
from rtmpd.processes.words import HookCounts

if TYPE_CHECKING:
    from rtmpd.events.feed import EventListener
    from rtmpd.events.hooks import ExecHooks


class Programs:
    """Both, by the settings of now. A server without hooks listens to no events for them."""

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
        self._clock = clock
        self._listen = listen
        self._hooks: ExecHooks | None = None
        self._hook_limits = HookLimits()
        self.processes = StreamProcesses(registry, tokens, clock, self._processes_of, address, os.environ)
        registry.observe(self.processes)
        self.hook_counts = HookCounts()

    @property
    def running(self) -> int:
        """How many programs there are now."""
        return self.processes.running + self.hook_counts.running

    def apply(self, config: Config) -> None:
        """Follow other settings."""
        self._config = config
        self.processes.apply(config.run.to_limits())
        self._hook_limits = config.run.to_hook_limits()
        if self._hooks is None and any(app.exec for app in config.apps.values()):
            from rtmpd.events.hooks import ExecHooks

            self._hooks = ExecHooks(self._clock, self._hooks_of, os.environ, self.hook_counts)
            self._listen(self._hooks)
        if self._hooks is not None:
            self._hooks.apply(self._hook_limits)

    async def close_hooks(self, grace: float) -> None:
        """Run what waits within ``grace`` seconds, and end the rest."""
        if self._hooks is not None:
            await self._hooks.close(grace)

    def _processes_of(self, key: StreamKey) -> Mapping[str, RunRule]:
        return self._config.at(str(key)).processes(key.name)

    def _hooks_of(self, key: StreamKey) -> Mapping[str, HookRule]:
        return self._config.at(str(key)).commands(key.name)
