"""What is kept of streams, and what else feeds them, once the settings want something of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from rtmpd.daemon.config import Config
from rtmpd.daemon.delay_side import DelaySide
from rtmpd.daemon.hls_side import HlsSide
from rtmpd.daemon.mp4_side import Mp4Side
from rtmpd.daemon.ring_side import RingSide
from rtmpd.daemon.shelf_side import ShelfSide
from rtmpd.engine.key import StreamKey
from rtmpd.engine.registry import Registry

if TYPE_CHECKING:
    from rtmpd.daemon.slate_side import SlateSide
    from rtmpd.outputs.delays import Delays
    from rtmpd.outputs.record_rules import RecordRule
    from rtmpd.outputs.recording import RecordingListener
    from rtmpd.outputs.recordings import Recordings
    from rtmpd.outputs.rings import Rings
    from rtmpd.outputs.slates import Handle


class OutputsSide:
    """Recordings and slates, by the settings of now. A server without any observes no stream, and imports
    nothing.

    ``leaving()`` and ``max_descriptor`` are as for ``Recordings``, ``call_later`` as for ``Slates``.
    """

    def __init__(
        self,
        registry: Registry,
        clock: Callable[[], float],
        leaving: Callable[[], bool],
        shelf: ShelfSide,
        call_later: Callable[[float, Callable[[], None]], Handle],
        max_descriptor: int,
    ) -> None:
        self.shelf = shelf
        """What becomes of finished files."""
        self.ring = RingSide(registry, clock, call_later)
        self.hls = HlsSide(registry, clock)
        self.mp4 = Mp4Side(registry, clock)
        self._delay = DelaySide(registry, clock)
        self.recordings: Recordings | None = None
        """None as long as no setting allows any."""
        self._slates: SlateSide | None = None
        self._config = Config()
        self._registry = registry
        self._clock = clock
        self._leaving = leaving
        self._call_later = call_later
        self._max_descriptor = max_descriptor
        self._listeners: list[RecordingListener] = [shelf]
        self._rules: dict[str, RecordRule | None] = {}
        """By table."""

    def add_listener(self, listener: RecordingListener) -> None:
        """Tell ``listener`` of files of recordings from now on, once there are any."""
        self._listeners.append(listener)
        if self.recordings is not None:
            self.recordings.add_listener(listener)

    async def prepare(self, config: Config) -> None:
        """What can fail, before ``apply`` does the rest. Raises ConfigError."""
        if self._slates is None and config.shows_slates:
            from rtmpd.daemon.slate_side import SlateSide

            self._slates = SlateSide(self._registry, self._clock, self._call_later)
        if self._slates is not None:
            await self._slates.prepare(config)

    def apply(self, config: Config) -> None:
        """Follow other settings, in the running event loop."""
        self._config = config
        self._rules.clear()
        roots = {app.record.root for app in config.outcomes.values() if app.record.wanted}
        if self.recordings is None and roots:
            from rtmpd.outputs.recordings import Recordings

            self.recordings = Recordings(
                self._registry,
                self._rule_of,
                self._leaving,
                self._clock,
                max_descriptor=self._max_descriptor,
            )
            for listener in self._listeners:
                self.recordings.add_listener(listener)
            self._registry.observe(self.recordings)
            self._registry.accompany(self.recordings.accompany)
        if self.recordings is not None:
            self.recordings.apply(sorted(roots))
        self.shelf.apply(config, self.recordings)
        if self._slates is not None:
            self._slates.apply()
        self.ring.apply(config)
        self.hls.apply(config)
        self.mp4.apply(config)
        self._delay.apply(config)

    def keepers(self) -> dict[str, Rings | Delays]:
        """What is kept of streams, by what for."""
        keepers: dict[str, Rings | Delays | None] = {"ring": self.ring.rings, "delay": self._delay.delays}
        return {kind: keeper for kind, keeper in keepers.items() if keeper is not None}

    def look(self) -> None:
        """Mind what waits; call it about once a second."""
        if self.recordings is not None:
            self.recordings.look()
        self.shelf.look(leaving=self._leaving())
        if self._slates is not None:
            self._slates.look()
        self.mp4.look()
        self.ring.look()
        self.hls.look()
        self._delay.look()

    async def close(self, grace: float) -> None:
        """Finish all files within ``grace`` seconds, and show nothing any more."""
        self.mp4.close()
        self.ring.close()
        self.hls.close()
        self._delay.close()
        if self._slates is not None:
            await self._slates.close()
        waits = [self.hls.wait_closed(grace)]
        if self.recordings is not None:
            waits.append(self.recordings.close(grace))
        await asyncio.gather(*waits)
        await self.shelf.close()

    def _rule_of(self, key: StreamKey) -> RecordRule | None:
        table = self._config.table(str(key))
        if table not in self._rules:
            self._rules[table] = self._config.outcomes[table].record.to_rule()
        return self._rules[table]
