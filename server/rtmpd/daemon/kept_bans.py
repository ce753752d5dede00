"""Bans, so that the next process can go on with them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from rtmpd.access.bans import Ban
from rtmpd.access.guard import Guard

if TYPE_CHECKING:
    from rtmpd.state.rows import BanRow
    from rtmpd.state.store import Store
    from rtmpd.state.tables import Contents


class KeptBans:
    """The ``BanKeeper`` of ``guard``: writes to a store while there is one."""

    def __init__(self, guard: Guard, clock: Callable[[], float], wall_clock: Callable[[], float]) -> None:
        self._guard = guard
        self._clock = clock
        self._wall_clock = wall_clock
        self._store: Store | None = None
        guard.keeper = self

    def follow(self, store: Store | None) -> None:
        """Write there from now on; ``merge`` what it has."""
        self._store = store

    def merge(self, contents: Contents) -> dict[str, int]:
        """Go on with those of an earlier process, and have the store keep what it lacks; how many hold."""
        kept = {row.network for row in contents.bans}
        restored = self._guard.restore(map(self._read, contents.bans))
        for ban in self._guard.worth_keeping():
            if ban.network not in kept:
                self.keep(ban)
        return {"bans": restored}

    # As ``BanKeeper``

    def keep(self, ban: Ban) -> None:
        if self._store is None:
            return
        from rtmpd.state.rows import BanRow

        shift = self._wall_clock() - self._clock()
        since, until = round(ban.since + shift, 3), round(ban.until + shift, 3)
        self._store.keep(BanRow(ban.network, since, until, ban.reason, ban.count))

    def forget(self, network: str) -> None:
        if self._store is not None:
            self._store.forget(("bans", (network,)))

    def _read(self, row: BanRow) -> Ban:
        """On the clock of the engine, which every process has begin elsewhere.

        Never for longer than it was meant to hold: a machine without a battery begins in 1970.
        """
        length = row.until - row.since
        until = self._clock() + min(row.until - self._wall_clock(), length)
        return Ban(row.network, until - length, until, 0, row.reason, row.count)
