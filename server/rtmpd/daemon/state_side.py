"""What outlives the process, once the settings name a place for it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from rtmpd.daemon.access_side import AccessSide
from rtmpd.daemon.config import Config
from rtmpd.daemon.kept_bans import KeptBans
from rtmpd.daemon.kept_keys import KeptKeys
from rtmpd.daemon.kept_pushes import KeptPushes
from rtmpd.daemon.kept_recordings import KeptRecordings
from rtmpd.daemon.relay_side import RelaySide
from rtmpd.daemon.state_config import StateConfig
from rtmpd.engine.observer import StreamObserver
from rtmpd.engine.origin import Origin
from rtmpd.engine.registry import Registry
from rtmpd.engine.vod import VodPlay
from rtmpd.net.tasks import TaskSet

if TYPE_CHECKING:
    from rtmpd.daemon.usage_meter import UsageMeter
    from rtmpd.events.model import Fact
    from rtmpd.state.report import Change, UsagePart, Wanted
    from rtmpd.state.store import Store, StoreRules, StoreStats
    from rtmpd.state.tables import Contents

FIRST_PATIENCE: Final = 5.0
"""Seconds that a start waits for what was kept: a drive may not answer."""
PATIENCE: Final = 2.0
"""Seconds that somebody waits to hear whether a change is stored, and that the last ones have at the end."""

logger = logging.getLogger(__name__)


class Book(Protocol):
    """Something that is kept: ``KeptBans`` and the like."""

    def follow(self, store: Store | None) -> None:
        """Write there from now on."""

    def merge(self, contents: Contents) -> Mapping[str, int]:
        """Go on with what there is, and have the store keep what it lacks; how much of what there is."""


class _FileWatch(StreamObserver):
    """Passes on which plays of files are over."""

    def __init__(self, meter: Callable[[], UsageMeter | None]) -> None:
        self._meter = meter

    def vod_ended(self, play: VodPlay) -> None:
        meter = self._meter()
        if meter is not None:
            meter.vod_ended(play)


class StateSide:
    """A store, and what is written to it and read from it. Without a place for it nothing is imported.

    A store follows what the server has, which goes on whether that can be written or not. ``instance`` names
    this process.
    """

    def __init__(
        self,
        registry: Registry,
        books: Sequence[Book],
        clock: Callable[[], float],
        environ: Mapping[str, str],
        instance: str,
        *,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._registry = registry
        self._books = books
        self._clock = clock
        self._environ = environ
        self._instance = instance
        self.beside = False
        """As for ``Store``: this process takes over from another."""
        self._wall_clock = wall_clock
        self._store: Store | None = None
        self._greeted: Store | None = None
        """The last that it has been said of that it was opened."""
        self._meter: UsageMeter | None = None
        self._watch: _FileWatch | None = None
        """Tells the meter of plays of files; there is one once anything was kept."""
        self._reading = asyncio.Lock()
        """Of one at a time, however many ask."""
        self._ending = TaskSet()

    @property
    def folder(self) -> Path | None:
        """Where it is kept; None if nothing is."""
        return None if self._store is None else self._store.folder

    @property
    def stats(self) -> StoreStats | None:
        """How that goes."""
        return None if self._store is None else self._store.stats

    def apply(self, config: Config) -> None:
        """Follow other settings, in the running event loop."""
        folder = config.state.folder(self._environ)
        if self._store is not None and folder == self._store.folder:
            self._store.apply(_rules(config.state))
        else:
            self._leave()
            if folder is not None:
                self._begin(folder, config)
        if self._meter is not None:
            self._meter.apply(config.metrics.max_streams)

    async def ready(self) -> None:
        """Wait until what was kept is known, or cannot be for now."""
        await self._settled(FIRST_PATIENCE)

    async def settled(self) -> bool | None:
        """Whether all that has changed is stored by now; None where nothing is."""
        return await self._settled(PATIENCE)

    def look(self) -> None:
        """Note what goes on; call it every second or so."""
        if self._meter is not None:
            self._meter.look(self._clock(), self._wall_clock())

    async def usage(
        self, first: date, last: date, wanted: Wanted, after: str | None, most: int
    ) -> UsagePart | None:
        """Who has watched how much, as ``state.report.read_usage`` tells; None where nothing is kept.

        Raises StateUnusable.
        """
        folder = self.folder
        if folder is None:
            return None
        from rtmpd.state.report import read_usage

        async with self._reading:
            return await asyncio.to_thread(read_usage, folder, first, last, wanted, after, most)

    async def changes(
        self, before: int | None, most: int, actor: str | None, change: str | None
    ) -> tuple[Sequence[Change], int] | None:
        """Who has changed what, as ``state.report.read_changes`` tells; None where nothing is kept.

        Raises StateUnusable.
        """
        folder = self.folder
        if folder is None:
            return None
        from rtmpd.state.report import read_changes

        await self._settled(PATIENCE)  # What was done last is to be there.
        async with self._reading:
            return await asyncio.to_thread(read_changes, folder, before, most, actor, change)

    def note_change(self, by: Origin, facts: Mapping[str, Fact]) -> None:
        """Write down what ``by`` has changed, or was refused to; ``facts`` as of an event of that kind."""
        if self._store is None:
            return
        from rtmpd.state.rows import AuditRow

        told = {name: None if fact is None else str(fact) for name, fact in facts.items()}
        self._store.add(
            AuditRow(
                at=round(self._wall_clock(), 3),
                instance=self._instance,
                actor=by.account,
                client=by.address,
                protocol=by.protocol,
                change=told["change"] or "",
                target=told["target"] or "",
                reason=told["reason"] or "",
                result=told["result"] or "",
                problem=told["problem"],
                detail=told["detail"],
                before=told["before"],
                after=told["after"],
            )
        )

    async def close(self) -> None:
        """Write what waits."""
        self._leave()
        await self._ending.drain(2 * PATIENCE)

    # Inside

    def _begin(self, folder: Path, config: Config) -> None:
        from rtmpd.daemon.usage_meter import UsageMeter
        from rtmpd.state.store import Store

        loop = asyncio.get_running_loop()

        def opened(contents: Contents) -> None:
            with contextlib.suppress(RuntimeError):  # The loop has ended meanwhile.
                loop.call_soon_threadsafe(self._merge, store, contents)

        store = Store(folder, _rules(config.state), opened, beside=self.beside, wall_clock=self._wall_clock)
        self._store = store
        for book in self._books:
            book.follow(store)
        registry = self._registry
        self._meter = UsageMeter(registry.streams, registry.viewers, store.add, config.metrics.max_streams)
        self.look()
        if self._watch is None:
            self._watch = _FileWatch(lambda: self._meter)
            registry.observe(self._watch)
        store.start()

    def _leave(self) -> None:
        """Write no more to where it was kept."""
        store, self._store = self._store, None
        if store is None:
            return
        if self._meter is not None:
            self._meter.flush()
        self._meter = None
        for book in self._books:
            book.follow(None)
        self._ending.start(asyncio.to_thread(store.close, PATIENCE), name="state-close")

    def _merge(self, store: Store, contents: Contents) -> None:
        """A file was opened: take over what it has, and have it keep what the server has besides."""
        if store is not self._store:
            return
        there: dict[str, int] = {}
        for book in self._books:
            try:
                there |= book.merge(contents)
            except Exception:  # The others are kept all the same.
                logger.exception("state not taken over")
        fields = {
            "folder": str(store.folder),
            "bans": there.get("bans", 0),
            "pushes": there.get("pushes", 0),
            "keys": there.get("keys", 0),
            "revoked": there.get("revoked", 0),
            "recordings": there.get("recordings", 0),
        }
        if any(there.values()) or store is not self._greeted:  # A full disk has it opened again and again.
            self._greeted = store
            logger.info("state opened", extra={"fields": fields})

    async def _settled(self, patience: float) -> bool | None:
        if self._store is None:
            return None
        try:
            async with asyncio.timeout(patience):
                return await asyncio.wrap_future(self._store.settled())
        except TimeoutError:
            return False


def build_state(
    registry: Registry,
    access: AccessSide,
    relays: RelaySide,
    recordings: KeptRecordings,
    clock: Callable[[], float],
    instance: str,
) -> StateSide:
    """With all that is kept. ``instance`` as for ``StateSide``."""
    books = (
        KeptBans(access.guard, clock, time.time),
        KeptKeys(access.runtime_keys, access.named_keys, access.review),
        KeptPushes(relays.pushes),
        recordings,
    )
    return StateSide(registry, books, clock, os.environ, instance)


def _rules(config: StateConfig) -> StoreRules:
    from rtmpd.state.store import StoreRules

    return StoreRules(config.keep_minutes_days, config.keep_audit_days, config.max_bytes)
