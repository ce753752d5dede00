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
        self._delays: Delays | None = None

    def apply(self, config: Config) -> None:
        """Follow other settings, in the running event loop."""
        self._config, spool = config, config.spool
        self._limits = (spool.delay_memory_bytes, spool.delay_disk_bytes)
        if self._delays is None and any(app.delays for app in config.outcomes.values()):
            from rtmpd.outputs.delays import Delays

            loop = asyncio.get_running_loop()
            self._delays = Delays(self._registry, self._delays_of, self._clock, loop.call_later)
            self._registry.observe(self._delays)
        if self._delays is not None:
            self._delays.apply(spool.path, *self._limits)

    def look(self) -> None:
        """Call it about once a second."""
        if self._delays is not None:
            self._delays.look()

    def close(self) -> None:
        """Show nothing any more."""
        if self._delays is not None:
            self._delays.close()

    def _delays_of(self, key: StreamKey) -> frozenset[float]:
        return self._config.at(str(key)).delays
