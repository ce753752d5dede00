"""Writes down what is to outlive the process, in a thread of its own, as soon as the disk takes it."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from rtmpd.exceptions import StateUnusable
from rtmpd.reasons import Word
from rtmpd.state.database import FILE, FolderLock, explain, limit, open_to_write, size_of
from rtmpd.state.rows import KeptRow, LooseRow, Place, place_of
from rtmpd.state.schema import STEPS, Step, transaction
from rtmpd.state.tables import Contents, forget_old, forget_oldest, load, opened_at, write
from rtmpd.state.words import StateFailure

FLUSH_AFTER: Final = 1.0
"""Seconds that a change waits for others to be written with; a kill loses as much."""
MAX_KEPT: Final = 50_000
"""Changes of what must not be lost that wait at most, while nothing can be written."""
MAX_LOOSE: Final = 10_000
"""The same of all else; one more, and the oldest is lost."""
_FIRST_RETRY: Final = 1.0
_LONGEST_RETRY: Final = 60.0
_PRUNE_EVERY: Final = 3600.0
_CROWDED: Final = 0.9
"""Of ``max_bytes``: beyond, the oldest of what is only added goes."""
_DAY: Final = 86_400.0
_LOST_AS: Final = {"usage": "minutes", "audit": "audit"}
"""Names in ``StoreStats.lost`` of tables; that of the others is kept."""
_CLOCK_MAY_JUMP: Final = 30 * _DAY
"""Beyond, the wall clock is not believed when it says what is old, until it has gone on for an hour."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class StoreRules:
    """How long things are kept, and how much of it."""

    minutes_days: int = 400
    audit_days: int = 90
    max_bytes: int = 256 * 1024 * 1024


@dataclass(slots=True)
class StoreStats:
    """How it goes. Read from any thread."""

    failure: Word | None = None
    """Why nothing can be written now."""
    problem: str = ""
    """The same as a sentence that says what to do."""
    failures: dict[Word, int] = field(default_factory=lambda: dict.fromkeys(StateFailure, 0))
    """Attempts that came to nothing."""
    lost: dict[str, int] = field(default_factory=lambda: {"minutes": 0, "audit": 0, "kept": 0})
    """Rows that were never written, as they had waited too long or there were too many."""
    bytes: int = 0
    """Of the file."""


class Store:
    """One file, and the thread that writes it. What it raises inside it tells by ``stats``.

    ``opened(contents)`` is called in the thread with what is kept, each time that the file is opened. With
    ``beside`` another server may use the folder still: it is about to end, and this one takes over from it.
    """

    def __init__(
        self,
        folder: Path,
        rules: StoreRules,
        opened: Callable[[Contents], None],
        *,
        beside: bool = False,
        wall_clock: Callable[[], float] = time.time,
        steps: Sequence[Step] = STEPS,
    ) -> None:
        self.folder = folder
        self.stats = StoreStats()
        self._rules = rules
        self._opened = opened
        self._beside = beside
        self._wall_clock = wall_clock
        self._steps = steps
        self._lock = FolderLock(folder)
        self._changed = threading.Condition()
        self._kept: dict[Place, KeptRow | None] = {}
        self._loose: deque[LooseRow] = deque()
        self._waiting: list[Future[bool]] = []
        self._due: float | None = 0.0
        """When to write next, on the monotonic clock; None while nothing waits. The first attempt opens."""
        self._retry = _FIRST_RETRY
        self._closing = False
        self._ended = threading.Event()
        # Of the thread alone.
        self._connection: sqlite3.Connection | None = None
        self._inode = (0, 0)
        self._limit = 0
        self._shared = False
        """Another process uses the folder still."""
        self._pruned_at = 0.0
        self._believed = (0.0, 0.0)
        """Readings of the wall clock and of the monotonic one, when the first was last believed."""
        self._thread = threading.Thread(target=self._run, name="state", daemon=True)

    def start(self) -> None:
        """Open the file and write from now on."""
        self._thread.start()

    def apply(self, rules: StoreRules) -> None:
        """Go on by other rules."""
        with self._changed:
            if rules != self._rules:
                self._rules = rules
                self._pruned_at = 0.0
                self._wake(0.0)

    def keep(self, row: KeptRow, *, at_once: bool = False) -> None:
        """Write it down, in the place of the one that there is; ``at_once`` if a kill is not to lose it."""
        self._change(place_of(row), row)
        if at_once:
            with self._changed:
                self._wake(0.0)

    def forget(self, place: Place) -> None:
        """Take away what is there, if anything is."""
        self._change(place, None)

    def add(self, row: LooseRow) -> None:
        """Write it down if that can be done soon."""
        with self._changed:
            self._loose.append(row)
            self._shorten()
            self._wake(FLUSH_AFTER)

    def settled(self) -> Future[bool]:
        """Whether all that was to be kept is written, once that has been tried now."""
        future: Future[bool] = Future()
        with self._changed:
            if self._closing:
                future.set_result(False)
            else:
                self._waiting.append(future)
                self._wake(0.0)
        return future

    @property
    def waiting(self) -> int:
        """Rows that are to be written."""
        return len(self._kept) + len(self._loose)

    def close(self, patience: float) -> None:
        """Write what waits, within ``patience`` seconds, and end. Blocks; what is not written is lost."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        if not self._ended.wait(patience):
            logger.warning("state left", extra={"fields": {"rows": self.waiting}})

    # Inside, with the lock

    def _change(self, place: Place, row: KeptRow | None) -> None:
        with self._changed:
            if place not in self._kept and len(self._kept) >= MAX_KEPT:
                self.stats.lost["kept"] += 1
                return
            self._kept[place] = row
            self._wake(FLUSH_AFTER)

    def _wake(self, delay: float) -> None:
        """Write after ``delay`` seconds; while the last attempt has failed only an urgent one is sooner."""
        due = time.monotonic() + delay
        if self._due is None or (delay == 0.0 and due < self._due):
            self._due = due
            self._changed.notify()

    def _shorten(self) -> None:
        while len(self._loose) > MAX_LOOSE:
            row = self._loose.popleft()
            self.stats.lost[_LOST_AS[row.TABLE]] += 1

    # Inside, in the thread

    def _run(self) -> None:
        try:
            while self._wait():
                self._attempt()
            self._attempt()
        finally:
            self._disconnect()
            self._lock.release()
            self._ended.set()

    def _wait(self) -> bool:
        """Until something is to be done; False at the end."""
        with self._changed:
            while not self._closing:
                now = time.monotonic()
                due = self._pruned_at + _PRUNE_EVERY if self._due is None else self._due
                if due <= now:
                    return True
                self._changed.wait(due - now)
        return False

    def _attempt(self) -> None:
        """Write all that waits, or keep it for the next attempt."""
        with self._changed:
            kept, self._kept = self._kept, {}
            loose, self._loose = self._loose, deque()
            waiting, self._waiting = self._waiting, []
            self._due = None
        failure: StateUnusable | None = None
        is_written = False
        try:
            connection = self._connect(kept)
            is_written = self._write(connection, kept, loose)
            # Nobody is to write it again, whatever becomes of the rest.
            kept, loose = {}, deque()
            self._tidy(connection)
        except Exception as error:  # The thread lives as long as the server.
            failure = explain(error)
            if failure.reason is StateFailure.BUG:
                logger.exception("state failed")
        if failure is not None:
            self._disconnect()
            with self._changed:
                self._kept = kept | self._kept
                loose.extend(self._loose)
                self._loose = loose
                self._shorten()
                # Whoever has asked meanwhile is not to wait.
                self._due = 0.0 if self._waiting else time.monotonic() + self._retry
                self._retry = min(2 * self._retry, _LONGEST_RETRY)
        self._tell(failure)
        for future in waiting:
            if future.set_running_or_notify_cancel():
                future.set_result(is_written)

    def _write(
        self, connection: sqlite3.Connection, kept: dict[Place, KeptRow | None], loose: deque[LooseRow]
    ) -> bool:
        """Whether all is written that must not be lost. What no file would ever take is lost."""
        if self._rules.max_bytes != self._limit:
            limit(connection, self._rules.max_bytes)
            self._limit = self._rules.max_bytes
        with transaction(connection):
            bad = write(connection, kept, loose)
        for table, error in bad:
            self.stats.lost[_LOST_AS.get(table, "kept")] += 1
            logger.error("state row lost", exc_info=error, extra={"fields": {"table": table}})
        return all(table in _LOST_AS for table, _ in bad)

    def _tidy(self, connection: sqlite3.Connection) -> None:
        """Forget what is old, and what there is no room for."""
        rules, now = self._rules, self._wall_clock()
        if time.monotonic() - self._pruned_at >= _PRUNE_EVERY or not self._pruned_at:
            if self._is_plausible(now):
                with transaction(connection):
                    forget_old(
                        connection, now, now - rules.minutes_days * _DAY, now - rules.audit_days * _DAY
                    )
            self._pruned_at = time.monotonic()
        self.stats.bytes, used = size_of(connection)
        if used > _CROWDED * rules.max_bytes:
            self._shrink(connection)

    def _is_plausible(self, now: float) -> bool:
        """Whether the wall clock has gone on like a clock: one that is set wrong would have all be old."""
        wall, monotonic = self._believed
        ahead = now - wall - (time.monotonic() - monotonic)
        self._believed = now, time.monotonic()
        return abs(ahead) <= _CLOCK_MAY_JUMP

    def _shrink(self, connection: sqlite3.Connection) -> None:
        """Forget the oldest until there is room again; the file gets smaller if it is too large."""
        rules, before, gone = self._rules, self.stats.bytes, 0
        while size_of(connection)[1] > _CROWDED * rules.max_bytes:
            with transaction(connection):
                rows = forget_oldest(connection)
            gone += rows
            if not rows:
                break
        if before > rules.max_bytes:
            connection.execute("VACUUM")
        self.stats.bytes = size_of(connection)[0]
        logger.warning("state shortened", extra={"fields": {"rows": gone, "bytes": self.stats.bytes}})

    def _connect(self, kept: dict[Place, KeptRow | None]) -> sqlite3.Connection:
        """The file, opened anew if another one is in its place by now. Raises what is in the way."""
        path = self.folder / FILE
        if self._connection is not None and _inode(path) == self._inode and not self._is_alone_now():
            return self._connection
        self._disconnect()
        obstacle = self._prepare()
        connection = open_to_write(self.folder, self._rules.max_bytes, self._steps)
        self._connection, self._inode, self._limit = connection, _inode(path), self._rules.max_bytes
        with self._changed:
            changed = kept | self._kept
        self._opened(load(connection, self._wall_clock(), changed))
        if obstacle is not None:
            raise obstacle
        now = self._wall_clock()
        if not self._pruned_at:
            self._believed = opened_at(connection) or now, time.monotonic()
        with transaction(connection):
            connection.execute("INSERT OR REPLACE INTO meta VALUES ('opened', ?)", (now,))
        return connection

    def _is_alone_now(self) -> bool:
        """Whoever it takes over from has gone: what that one has written since is to be read."""
        if not self._shared:
            return False
        with suppress(OSError):
            self._shared = not self._lock.take()
        return not self._shared

    def _prepare(self) -> OSError | None:
        """Have the folder, for this server alone; what is in the way of that, but not of reading.

        Raises OSError and StateUnusable.
        """
        if not self.folder.is_dir():
            self.folder.mkdir(0o700, parents=True)
        try:
            is_ours = self._lock.take()
        except OSError as error:
            return error
        if not is_ours and not self._beside:
            raise StateUnusable(
                StateFailure.IN_USE, "another server uses the folder: give each one its own state.dir"
            )
        self._shared = not is_ours
        return None

    def _disconnect(self) -> None:
        if self._connection is not None:
            with suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None

    def _tell(self, failure: StateUnusable | None) -> None:
        """Count it, and log what is another than before."""
        before, stats = self.stats.failure, self.stats
        if failure is None:
            self._retry = _FIRST_RETRY
            stats.failure, stats.problem = None, ""
            if before is not None:
                logger.info("state written again", extra={"fields": {"folder": str(self.folder)}})
            return
        reason = failure.reason
        stats.failures[reason] += 1
        stats.failure, stats.problem = reason, failure.text
        if reason is not before:
            fields = {"folder": str(self.folder), "reason": reason, "problem": failure.text}
            logger.warning("state not writable", extra={"fields": fields})


def _inode(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError:
        return 0, 0
    return found.st_dev, found.st_ino
