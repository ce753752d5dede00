"""Finished recordings, once the settings name a folder for them: how long they stay, what becomes of them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rtmpd.daemon.config import Config
from rtmpd.daemon.events_side import EventsSide
from rtmpd.daemon.hook_side import HookSide
from rtmpd.daemon.kept_recordings import KeptRecordings
from rtmpd.engine.key import StreamKey
from rtmpd.engine.origin import NOBODY, Origin
from rtmpd.engine.registry import Registry
from rtmpd.exceptions import UsageError

if TYPE_CHECKING:
    from rtmpd.control.recording_views import WrittenFile
    from rtmpd.outputs.afterwork import Afterwork
    from rtmpd.outputs.afterwork_rules import AfterworkRules
    from rtmpd.outputs.catalog import Catalog, Entry
    from rtmpd.outputs.housekeeping import Housekeeping
    from rtmpd.outputs.recording import Recording
    from rtmpd.outputs.recordings import Recordings
    from rtmpd.outputs.retention import KeepRules


@dataclass(frozen=True, slots=True)
class _Parts:
    catalog: Catalog
    housekeeping: Housekeeping
    afterwork: Afterwork


class ShelfSide:
    """Hears of files (``RecordingListener``), tells others, and has them at hand for who is in charge.

    Nothing is imported, and nothing looked at, as long as no setting names a folder.
    """

    def __init__(
        self, registry: Registry, events: EventsSide, hooks: HookSide, clock: Callable[[], float]
    ) -> None:
        self.kept = KeptRecordings()
        self.recordings: Recordings | None = None
        """What records streams, if anything does."""
        self._registry = registry
        self._events = events
        self._hooks = hooks
        self._clock = clock
        self._config = Config()
        self._parts: _Parts | None = None
        self._has_left = False
        self._origins: dict[StreamKey, Origin] = {}
        """Who is being recorded."""

    # The daemon

    def apply(self, config: Config, recordings: Recordings | None) -> None:
        """Follow other settings, in the running event loop."""
        self._config = config
        self.recordings = recordings
        roots = [app.record.root for app in config.outcomes.values() if app.record.root]
        if roots and self._parts is None:
            self._parts = self._build()
            self.kept.serve(self._parts.catalog)
        if self._parts is not None:
            self._parts.housekeeping.apply(roots)
            self._parts.afterwork.look()

    def look(self, *, leaving: bool) -> None:
        """Begin what waits; call it about once a second. ``leaving``: another process has taken over."""
        if self._parts is None:
            return
        if leaving and not self._has_left and self.kept.is_stored:
            self._has_left = True
            self._parts.afterwork.leave()
            self._parts.housekeeping.leave()
        self._parts.afterwork.look()

    async def close(self) -> None:
        """End what is being done with files: the next process goes on with it."""
        if self._parts is not None:
            await self._parts.afterwork.close()
            await self._parts.housekeeping.close()

    @property
    def shelf(self) -> ShelfSide | None:
        """This, once there is anything on it."""
        return None if self._parts is None else self

    # ``RecordingListener``

    def recording_started(self, key: StreamKey, path: str, _started_at: float) -> None:
        origin = self._origins[key] = self._origin(key)
        self._events.recording_started(key, _final(path), origin)

    def recording_finished(self, recording: Recording) -> None:
        from rtmpd.outputs.catalog import Known
        from rtmpd.outputs.recording import RecordingEnd

        origin = self._origins.get(recording.key, NOBODY)
        if recording.end is not RecordingEnd.SPLIT:
            self._origins.pop(recording.key, None)
        self._events.recording_finished(recording, origin)
        self._hooks.recorded(recording, origin)
        if self._parts is not None:
            step = self._parts.afterwork.first_step(recording)
            self._parts.catalog.add(Known(recording, step, changed_at=time.time()))
            self._parts.afterwork.look()
            self._parts.housekeeping.wake()

    def recording_failed(self, key: StreamKey, path: str, problem: str) -> None:
        origin = self._origins.get(key) or self._origin(key)
        self._events.recording_failed(key, _final(path), problem, origin)

    # ``RecordingShelf``

    @property
    def catalog(self) -> Catalog:
        return self._there().catalog

    @property
    def housekeeping(self) -> Housekeeping:
        return self._there().housekeeping

    @property
    def afterwork(self) -> Afterwork:
        """What is done with finished files."""
        return self._there().afterwork

    def written(self) -> Sequence[WrittenFile]:
        from rtmpd.control.recording_views import WrittenFile

        return [
            WrittenFile(
                each.key,
                _final(each.path),
                each.root,
                each.started_at or 0.0,
                each.bytes_written,
                max(time.time() - (each.started_at or 0.0), 0.0),
            )
            for each in ([] if self.recordings is None else self.recordings.statuses())
            if each.path is not None
        ]

    def is_recording(self, key: StreamKey) -> bool:
        return self.recordings is not None and self.recordings.active(key) is not None

    def start(self, key: StreamKey) -> None:
        self._recorders(key).start(key)

    def stop(self, key: StreamKey) -> None:
        self._recorders(key).stop(key)

    def split(self, key: StreamKey) -> None:
        self._recorders(key).split(key)

    def retry(self, path: str) -> None:
        self._there().afterwork.retry(path)

    # Inside

    def _build(self) -> _Parts:
        from rtmpd.outputs.afterwork import Afterwork, Surroundings
        from rtmpd.outputs.catalog import Catalog
        from rtmpd.outputs.housekeeping import Housekeeping

        catalog = Catalog()
        housekeeping = Housekeeping(catalog, self._keep_rules, self._clock)
        around = Surroundings(self._clock, os.environ, self._afterwork_rules, housekeeping.discard)
        return _Parts(catalog, housekeeping, Afterwork(catalog, around))

    def _there(self) -> _Parts:
        if self._parts is None:
            raise UsageError("no setting names a folder of recordings")
        return self._parts

    def _recorders(self, key: StreamKey) -> Recordings:
        if self.recordings is None:
            raise UsageError(f'{key} may not be recorded: set apps."{key.app}".record.start')
        return self.recordings

    def _origin(self, key: StreamKey) -> Origin:
        stream = self._registry.streams.get(key)
        publication = None if stream is None else stream.publication or stream.holder
        return NOBODY if publication is None else publication.origin

    def _afterwork_rules(self, recording: Recording) -> AfterworkRules:
        return self._config.at(str(recording.key)).record.to_afterwork()

    def _keep_rules(self, entry: Entry) -> KeepRules:
        if entry.key is not None:
            return _kept(self._config, str(entry.key))
        return _kept_in(self._config, entry.root)


def _final(path: str) -> str:
    """What a file will be called once it is finished."""
    from rtmpd.outputs.names import PART

    return path.removesuffix(PART)


def _kept(config: Config, path: str) -> KeepRules:
    """Of a stream: what the longest table says that says anything of it, for all that it says it of."""
    tables = reversed(config.tables(path))
    table = next((each for each in tables if "keep" in config.apps[each].record.model_fields_set), "")
    return config.at(path).record.keep.to_rules(table)


def _kept_in(config: Config, root: str) -> KeepRules:
    """Of a file of which nothing is known but where it lies: of several rules what keeps most."""
    from rtmpd.outputs.retention import laxest

    found = {_kept(config, table) for table in config.apps if config.at(table).record.root == root}
    return laxest(found)
