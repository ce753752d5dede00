"""What is kept of sessions that are over, built when somebody may ask for it, or it is to be written."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from rtmpd.daemon.config import Config
from rtmpd.engine.registry import Registry

if TYPE_CHECKING:
    from rtmpd.daemon.access_log import AccessLog, AccessLogStats
    from rtmpd.events.record_ring import RecordRing
    from rtmpd.events.records import Recorder, RecordListener, SessionRecord
    from rtmpd.serving.listening import InputKeeper, InputStats


class RecordsSide:
    """The recorder of sessions, and those who listen to it.

    A server that has neither an admin address nor an access log has none: no observer is called.
    """

    def __init__(self, registry: Registry, clock: Callable[[], float]) -> None:
        self._registry = registry
        self._clock = clock
        self._recorder: Recorder | None = None
        self._ring: RecordRing | None = None
        self._access_log: AccessLog | None = None
        self.stats: AccessLogStats | None = None
        """Of the access log; None as long as there was none."""
        self.keeper: InputKeeper | None = None
        """Of what new connections send first; None where nobody wants it."""

    def records(self) -> Iterable[SessionRecord]:
        """Those that are kept."""
        return self._ring if self._ring is not None else ()

    def input_stats(self) -> InputStats | None:
        """Of what connections send first; None where that is not kept."""
        return None if self.keeper is None else self.keeper.stats

    def add_listener(self, listener: RecordListener) -> None:
        """Tell ``listener`` of each session that is over, from now on; in the running event loop."""
        if self._recorder is None:
            from rtmpd.events.records import Recorder

            call_soon = asyncio.get_running_loop().call_soon
            self._recorder = Recorder(call_soon, self._clock, time.time, self._registry.budget)
            self._registry.observe(self._recorder)
            self._registry.sessions.observer = self._recorder
        self._recorder.add_listener(listener)

    def apply(self, config: Config) -> None:
        """Keep and write what the settings say, in the running event loop."""
        max_kept = config.records.max_kept if config.admin.listen else 0
        if self._ring is not None:
            self._ring.apply(max_kept)
        elif max_kept:
            from rtmpd.events.record_ring import RecordRing

            self._ring = RecordRing(self._registry.budget, max_kept)
            self.add_listener(self._ring)
        wanted = bool(max_kept) and config.records.keep_input
        self.keeper = self._build_keeper() if wanted else None
        self._apply_access_log(config.access_log.path)

    def _build_keeper(self) -> InputKeeper:
        from rtmpd.serving.listening import InputKeeper

        return self.keeper or InputKeeper(self._registry.budget)

    async def close(self) -> None:
        """Write what waits for the access log, for a second or two."""
        if self._access_log is not None:
            await asyncio.to_thread(self._access_log.close)

    def _apply_access_log(self, path: str) -> None:
        if self._access_log is not None:
            if path:
                self._access_log.path = path
                return
            if self._recorder is not None:
                self._recorder.remove_listener(self._access_log)
            # What waits is written all the same, by a thread that nobody waits for.
            self._access_log.close(timeout=0.0)
            self._access_log = None
        elif path:
            from rtmpd.daemon.access_log import AccessLog, AccessLogStats

            self.stats = self.stats or AccessLogStats()
            self._access_log = AccessLog(path, self.stats)
            self.add_listener(self._access_log)
