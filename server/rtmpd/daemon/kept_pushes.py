"""What is done to push targets by hand, so that the next process can go on with it."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from rtmpd.engine.key import StreamKey
from rtmpd.exceptions import UsageError
from rtmpd.relay.push.relays import PushRelays

if TYPE_CHECKING:
    from rtmpd.state.rows import PushRow
    from rtmpd.state.store import Store
    from rtmpd.state.tables import Contents

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Kept:
    """One target."""

    url: str = ""
    """With its stream key. Empty: the settings name the target, and it is off."""
    track: object = None
    on: bool = True


class KeptPushes:
    """The ``PushMemory`` of ``targets``: what was added and what is off, written to a store while there is
    one."""

    def __init__(self, targets: PushRelays) -> None:
        self._targets = targets
        self._kept: dict[tuple[StreamKey, str], _Kept] = {}
        self._store: Store | None = None
        targets.memory = self

    def follow(self, store: Store | None) -> None:
        """Write there from now on; ``merge`` what it has."""
        self._store = store

    def merge(self, contents: Contents) -> dict[str, int]:
        """Go on with targets of an earlier process, and have the store keep what it lacks; how many there
        are."""
        there = set()
        restored = 0
        for row in contents.pushes:
            place = StreamKey(row.app, row.name), row.id
            there.add(place)
            if place not in self._kept:
                restored += self._restore(place, row)
        for place in self._kept.keys() - there:
            self._write(*place)
        return {"pushes": restored}

    # As ``PushMemory``

    def added(self, key: StreamKey, relay_id: str, url: str, track: object) -> None:
        self._kept[key, relay_id] = _Kept(url, track)
        self._write(key, relay_id)

    def removed(self, key: StreamKey, relay_id: str) -> None:
        self._kept.pop((key, relay_id), None)
        self._write(key, relay_id)

    def switched(self, key: StreamKey, relay_id: str, on: bool) -> None:
        kept = replace(self._kept.get((key, relay_id), _Kept()), on=on)
        if kept == _Kept():  # The settings name it, and say all of it.
            self.removed(key, relay_id)
        else:
            self._kept[key, relay_id] = kept
            self._write(key, relay_id)

    # Inside

    def _restore(self, place: tuple[StreamKey, str], row: PushRow) -> bool:
        """False if it is none any more; it is forgotten then."""
        key, relay_id = place
        try:
            track = None if row.track is None else json.loads(row.track)
            self._kept[place] = _Kept(row.url, track, bool(row.enabled))
            if row.url:
                self._targets.restore(key, relay_id, row.url, track, on=bool(row.enabled))
                return True
            if self._targets.switch_off(key, relay_id) is not None:
                return True
        except (UsageError, ValueError) as problem:
            fields = {"app": key.app, "stream": key.name, "relay": relay_id, "problem": str(problem)}
            logger.warning("push not restored", extra={"fields": fields})
        self.removed(key, relay_id)
        return False

    def _write(self, key: StreamKey, relay_id: str) -> None:
        if self._store is None:
            return
        from rtmpd.state.rows import PushRow

        kept = self._kept.get((key, relay_id))
        if kept is None:
            self._store.forget((PushRow.TABLE, (key.app, key.name, relay_id)))
        else:
            track = None if kept.track is None else json.dumps(kept.track)
            self._store.keep(PushRow(key.app, key.name, relay_id, kept.url, track, int(kept.on)))
