"""Streams that are shown later, once the settings want some to be."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from rtmpd.daemon.config import Config
from rtmpd.engine.key import StreamKey
from rtmpd.engine.registry import Registry

if TYPE_CHECKING:
    from rtmpd.outputs.delays import Delays


class DelaySide:
    """What waits, by the settings of now. Without a delay nothing is observed, and nothing imported."""

    def __init__(self, registry: Registry, clock: Callable[[], float]) -> None:
        self._registry = registry
        self._clock = clock
        self._config = Config()
        self._limits = (0, 0)
        self.delays: Delays | None = None
        """None as long as no setting wants any."""

    def apply(self, config: Config) -> None:
        """Follow other settings, in the running event loop."""
        self._config, spool = config, config.spool
        self._limits = (spool.delay_memory_bytes, spool.delay_disk_bytes)
        if self.delays is None and any(app.delays for app in config.outcomes.values()):
            from rtmpd.outputs.delays import Delays

            loop = asyncio.get_running_loop()
            self.delays = Delays(self._registry, self._delays_of, self._clock, loop.call_later)
            self._registry.observe(self.delays)
        if self.delays is not None:
            self.delays.apply(spool.path, *self._limits)

    def look(self) -> None:
        """Call it about once a second."""
        if self.delays is not None:
            self.delays.look()

    def close(self) -> None:
        """Show nothing any more."""
        if self.delays is not None:
            self.delays.close()

    def _delays_of(self, key: StreamKey) -> frozenset[float]:
        return self._config.at(str(key)).delays
