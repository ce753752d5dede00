"""Looks into the folders of recordings again and again, and takes away what is to go: in threads."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final, TypeVar

from rtmpd.net.inquiries import Inquiries
from rtmpd.net.tasks import TaskSet
from rtmpd.outputs.afterwork_words import RemovalFailure, RemovalReason
from rtmpd.outputs.catalog import Catalog, Entry, difference
from rtmpd.outputs.described import described
from rtmpd.outputs.folder_scan import FoundFile, Room, Scan, remove, scan
from rtmpd.outputs.retention import KeepRules, removals

INTERVAL: Final = 60.0
"""Seconds from one round to the next."""
SOON: Final = 2.0
"""The same when there is something new."""
_MOST: Final = 500
"""Files that are noted before others have their turn."""
_DESCRIBED: Final = 20
"""Files that are asked at once what they are."""
_MOST_DESCRIBED: Final = 2000
"""The same of a round."""
_LEAP: Final = 3600.0
"""Seconds that the wall clock may go on more than the other, from one look to the next."""
_DOUBT: Final = 3600.0
_QUIET: Final = 600.0
"""Seconds from one line about a folder that cannot be read to the next."""

logger = logging.getLogger(__name__)
T = TypeVar("T")


@dataclass(slots=True)
class HousekeepingStats:
    """What it has come to since the start."""

    removed: Counter[RemovalReason] = field(default_factory=Counter)
    removed_bytes: Counter[RemovalReason] = field(default_factory=Counter)
    failures: Counter[RemovalFailure] = field(default_factory=Counter)
    rooms: dict[str, Room] = field(default_factory=dict)
    """By folder: what its device has, as of the last round."""
    files: dict[str, int] = field(default_factory=dict)
    """By folder: how many finished files lie there."""
    bytes: dict[str, int] = field(default_factory=dict)
    """How large they are together."""
    unreadable: dict[str, str] = field(default_factory=dict)
    """Folders that cannot be looked at, and why."""


class Housekeeping:
    """Keeps ``catalog`` true and the folders within their bounds.

    ``rules_of(entry)`` says what of it is kept. Nothing of a disk is touched in the event loop, and one that
    hangs holds up nothing but what is done for its own folders.
    """

    def __init__(
        self,
        catalog: Catalog,
        rules_of: Callable[[Entry], KeepRules],
        clock: Callable[[], float],
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self.stats = HousekeepingStats()
        self._catalog = catalog
        self._rules_of = rules_of
        self._clock = clock
        self._wall_clock = wall_clock
        self._roots: tuple[str, ...] = ()
        self._woken: dict[str, asyncio.Event] = {}
        """By folder."""
        self._keepers: dict[str, asyncio.Task[None]] = {}
        """Who looks into a folder again and again."""
        self._new: dict[str, dict[str, FoundFile]] = {}
        """Files that are to be asked what they are, by folder and path."""
        self._told: dict[str, float] = {}
        self._last_look: tuple[float, float] | None = None
        """On the wall clock, and on the other."""
        self._believed_from = -math.inf
        self._tasks = TaskSet()

    @property
    def roots(self) -> tuple[str, ...]:
        """The folders that it looks into."""
        return self._roots

    def apply(self, roots: Sequence[str]) -> None:
        """Look into these folders, from the running event loop."""
        self._roots = tuple(dict.fromkeys(roots))
        for root in self._keepers.keys() - set(self._roots):
            self._keepers.pop(root).cancel()
            self._new.pop(root, None)
        for root in self._roots:
            if root not in self._keepers:
                self._woken[root] = asyncio.Event()
                self._keepers[root] = self._tasks.start(self._keep(root), name=f"recordings in {root}")
        stats = self.stats
        for root in {*stats.rooms, *stats.unreadable, *stats.files} - set(self._roots):
            for known in (stats.rooms, stats.unreadable, stats.files, stats.bytes):
                known.pop(root, None)
        self._catalog.keep_roots(self._roots)
        self.wake()

    def leave(self) -> None:
        """Another process looks after the folders from now on."""
        self._tasks.cancel()

    def wake(self) -> None:
        """There is something new: look soon."""
        for woken in self._woken.values():
            woken.set()

    def discard(self, entry: Entry, reason: RemovalReason) -> None:
        """Take a file away that nobody needs any more; if that cannot be done, it stays."""
        self._tasks.start(self.remove(entry, reason), name="recording-remove")

    async def remove(self, entry: Entry, reason: RemovalReason) -> RemovalFailure | None:
        """Take a file away; why not, if it is not done."""
        failure = await in_thread(partial(remove, entry.path, entry.root))
        self._note(entry, reason, failure)
        return failure

    async def round(self, root: str) -> None:
        """Look into a folder once, and take away what is to go of it."""
        self._catalog.scan_begins(root)
        now = self._wall_clock()
        aged = now if self._is_believed(now) else 0.0
        found = await in_thread(partial(scan, root, now))
        self._look(root, found)
        await self._follow(root, found)
        await self._describe(root)
        entries = self._catalog.snapshot().values()
        # What several folders share is counted together, and each goes where its own drive answers.
        for removal in await in_thread(lambda: list(removals(entries, self._rules_of, aged))):
            if removal.entry.root == root:
                await self.remove(removal.entry, removal.reason)

    def _is_believed(self, now: float) -> bool:
        """Whether the wall clock says how old files are: not for an hour behind a leap.

        One that is set wrong would have all go at once.
        """
        wall, reading = self._last_look or (now, self._clock())
        self._last_look = now, self._clock()
        if now - wall - (self._clock() - reading) > _LEAP:
            self._believed_from = self._clock() + _DOUBT
            fields = {"seconds": round(now - wall)}
            logger.warning("clock leapt: recordings stay for an hour", extra={"fields": fields})
        return self._clock() >= self._believed_from

    async def close(self) -> None:
        """Look no more."""
        await self._tasks.wait_closed()

    # Inside

    async def _keep(self, root: str) -> None:
        woken = self._woken[root]
        while True:
            woken.clear()
            try:
                await self.round(root)
            except Exception:  # The next round may do better, and nothing else looks after the disk.
                logger.exception("recordings not looked after")
            try:
                async with asyncio.timeout(INTERVAL):
                    await woken.wait()
            except TimeoutError:
                continue
            await asyncio.sleep(SOON)

    async def _follow(self, root: str, found: Scan) -> None:
        known = self._catalog.snapshot()
        changes = await in_thread(partial(difference, known, root, found))
        new = self._new.setdefault(root, {})
        for number, file in enumerate(changes.seen, 1):
            self._catalog.see(root, file)
            if file.path.endswith(".flv"):
                new[file.path] = file
            if number % _MOST == 0:
                await asyncio.sleep(0)
        for number, path in enumerate(changes.gone, 1):
            self._catalog.miss(path)
            if number % _MOST == 0:
                await asyncio.sleep(0)

    async def _describe(self, root: str) -> None:
        """Learn from files that are new what they are."""
        new = self._new.get(root, {})
        for _ in range(_MOST_DESCRIBED // _DESCRIBED):
            part = [(root, new.popitem()[1]) for _ in range(min(_DESCRIBED, len(new)))]
            if not part:
                return
            for path, known in (await in_thread(partial(described, part))).items():
                self._catalog.describe(path, known)

    def _look(self, root: str, found: Scan) -> None:
        if found.room is not None:
            self.stats.rooms[root] = found.room
        if not found.problem:
            self.stats.unreadable.pop(root, None)
            self.stats.files[root] = len(found.files)
            self.stats.bytes[root] = found.size
            return
        self.stats.rooms.pop(root, None)
        self.stats.unreadable[root] = found.problem
        if self._is_news(root):
            fields = {"folder": root, "problem": found.problem}
            logger.warning("recordings folder not readable", extra={"fields": fields})

    def _note(self, entry: Entry, reason: RemovalReason, failure: RemovalFailure | None) -> None:
        if failure is None:
            self.stats.removed[reason] += 1
            self.stats.removed_bytes[reason] += entry.size
            self._catalog.remove(entry.path)
            fields = {"file": entry.path, "reason": reason, "bytes": entry.size}
            logger.info("recording removed", extra={"fields": fields})
            return
        self.stats.failures[failure] += 1
        if self._is_news(entry.path):
            said = {"file": entry.path, "reason": reason, "problem": failure}
            logger.warning("recording not removed", extra={"fields": said})

    def _is_news(self, about: str) -> bool:
        now = self._clock()
        self._told = {each: until for each, until in self._told.items() if until > now}
        if about in self._told:
            return False
        self._told[about] = now + _QUIET
        return True


async def in_thread(call: Callable[[], T]) -> T:
    """What ``call`` gives or raises, from a thread that holds up no exit of the process."""
    inquiries: Inquiries[T] = Inquiries(lambda _question: call(), (OSError,), "recordings")
    answer = await inquiries.ask("")
    if isinstance(answer, Exception):
        raise answer
    return answer
