"""Settings that are read again while the server runs: when asked to, or when their files change."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rtmpd.daemon.changes import Changes, compare
from rtmpd.daemon.config import Config
from rtmpd.daemon.notify import Notifier
from rtmpd.daemon.renames import OldName
from rtmpd.daemon.settings import Settings
from rtmpd.exceptions import ConfigError
from rtmpd.net.file_stamps import Stamp, stamp_at

if TYPE_CHECKING:
    from rtmpd.control.audit import Audit

logger = logging.getLogger(__name__)

LOOK_INTERVAL: Final = 1.0
"""Seconds from one look at the files to the next: two in a row have to find them the same."""
_MOST_TOLD: Final = 20
"""Mistakes, and keys that have changed, in the log; ``rtmpd check`` tells all."""
_EMPTY: Final = "is empty, and had settings: is it mounted, and written whole? A restart goes by the defaults"
_NOT_AWAITED: Final = "whoever asked for it did not wait for the end"

Stamps = tuple[tuple[Path, Stamp], ...]


@dataclass(slots=True)
class ReloadStats:
    """How it went. Times are seconds since 1970."""

    succeeded_at: float
    """When the settings that are in force were put in place."""
    success: bool = True
    """Of the last attempt; the start counts as one."""


class Reloads:
    """Reads the settings again and has the server follow them, one attempt at a time.

    ``read()`` is called in a thread; ``apply`` as ``Worker.apply``. What cannot be used changes nothing.
    ``audit()`` is told of those that nobody has asked for by the API, which tells of its own.
    """

    def __init__(
        self,
        settings: Settings,
        read: Callable[[], Settings],
        apply: Callable[[Config], Awaitable[Changes]],
        notifier: Notifier,
        wall_clock: Callable[[], float],
        audit: Callable[[], Audit],
    ) -> None:
        self.stats = ReloadStats(wall_clock())
        self._settings = settings
        self._read = read
        self._apply = apply
        self._notifier = notifier
        self._wall_clock = wall_clock
        self._audit = audit
        self._busy = asyncio.Lock()
        self._asked = asyncio.Event()
        self._resting = False
        self._seen = _stamps(settings.files)
        """Of the files as they were when they were read last."""
        self._written = _written(settings.files)
        """Those of the settings in force that had something in them."""

    @property
    def settings(self) -> Settings:
        """Those in force."""
        return self._settings

    def ask(self) -> None:
        """Read them again as soon as may be; somebody has sent a signal."""
        self._asked.set()

    def rest(self) -> None:
        """The server ends: files that change are for the next one."""
        self._resting = True

    async def reload(self, by: str, *, dry_run: bool = False) -> Changes:
        """Read the settings and put them in place, because of ``by``; what they change, or would.

        Raises ConfigError, and nothing has changed then.
        """
        async with self._busy:
            if dry_run:
                config = (await self._read_again()).config
                return await asyncio.to_thread(compare, self._settings.config, config)
            self._notifier.reloading()
            succeeded, problem = False, "a bug: see the log"
            try:
                changes = await self._attempt()
                succeeded, problem = True, ""
            except asyncio.CancelledError:
                succeeded, problem = self.stats.success, _NOT_AWAITED
                _tell_problems(by, [problem])
                raise
            except ConfigError as error:
                problem = error.problems[0]
                _tell_problems(by, error.problems)
                raise
            finally:
                self.stats.success = succeeded
                self._notifier.reloaded(problem and f"settings kept as they were: {problem}")
            self.stats.succeeded_at = self._wall_clock()
            names = [name for each in changes.values() for name in each]
            fields = {"by": by, "changed": len(names), "keys": _shortened(names)}
            logger.info("settings read", extra={"fields": fields})
            return changes

    async def run(self) -> None:
        """Reload when asked to and, if the settings say so, when a file of theirs changes."""
        while True:
            by = "signal" if await self._wait() else "watch"
            try:
                if by == "signal" or (not self._resting and await self._changed()):
                    await self._reload_unasked(by)
            except ConfigError:
                pass  # It has been told.
            except Exception:  # The next attempt may be of other files.
                logger.exception("reload failed")

    # Inside

    async def _reload_unasked(self, by: str) -> None:
        """As ``reload``, and note that it was nobody by the API."""
        from rtmpd.control.actor import Actor
        from rtmpd.control.audit import Change, spell_settings

        name = "SIGHUP" if by == "signal" else "reload.watch"
        with self._audit().attempt(Actor(name, protocol=by), Change.RELOAD) as attempt:
            attempt.after = spell_settings((await self.reload(by)).values())

    async def _attempt(self) -> Changes:
        self._seen = await self._look()
        settings = await self._read_again()
        written = await asyncio.to_thread(_written, settings.files)
        changes = await self._apply(settings.config)
        self._settings, self._written = settings, written
        tell_old_names(settings.old_names)
        return changes

    async def _read_again(self) -> Settings:
        def read() -> Settings:
            problems = [f"{part}: is a pipe, which can be read once" for part in _pipes(self._settings.files)]
            problems += [f"{path}: {_EMPTY}" for path in self._written - _written(self._settings.files)]
            if problems:  # To read one may take for ever, and what is read from an empty one is nothing.
                raise ConfigError(problems)
            return self._read()

        return await asyncio.to_thread(read)

    async def _wait(self) -> bool:
        """Whether somebody asks; False if it is time to look at the files instead."""
        watch = self._settings.config.reload.watch and not self._resting
        try:
            async with asyncio.timeout(LOOK_INTERVAL if watch else None):
                await self._asked.wait()
        except TimeoutError:
            return False
        self._asked.clear()
        return True

    async def _changed(self) -> bool:
        """Whether the files are others than those that were read, and nobody is writing to them just now."""
        now = await self._look()
        if now == self._seen:
            return False
        await asyncio.sleep(LOOK_INTERVAL)
        return await self._look() == now

    async def _look(self) -> Stamps:
        return await asyncio.to_thread(_stamps, self._settings.files)


def tell_old_names(old_names: Iterable[OldName]) -> None:
    """Log the keys that were given under names that the next minor version will not know."""
    for each in old_names:
        fields = {"origin": each.origin, "old": each.old, "new": each.new}
        logger.warning("old name of a setting", extra={"fields": fields})


def _tell_problems(by: str, problems: Iterable[str]) -> None:
    for problem in islice(problems, _MOST_TOLD):
        logger.warning("settings kept as they were", extra={"fields": {"by": by, "problem": problem}})


def _shortened(names: list[str]) -> str:
    return ", ".join([*names[:_MOST_TOLD], *(["..."] if len(names) > _MOST_TOLD else [])])


def _stamps(files: Iterable[Path]) -> Stamps:
    return tuple((part, stamp_at(part)) for part in _parts(files))


def _pipes(files: Iterable[Path]) -> list[Path]:
    """Those that are no regular files."""
    return [part for part in _parts(files) if part.exists() and not (part.is_file() or part.is_dir())]


def _written(files: Iterable[Path]) -> frozenset[Path]:
    """Those that have anything in them, and those of which nobody knows."""
    return frozenset([path for path in files if _is_written(path)])


def _is_written(path: Path) -> bool:
    try:
        return any(part.stat().st_size for part in (path.glob("*.toml") if path.is_dir() else (path,)))
    except OSError:
        return True  # Who reads it says what is wrong.


def _parts(files: Iterable[Path]) -> list[Path]:
    """Files, and folders with those in them."""
    return [part for file in files for part in (file, *sorted(file.glob("*.toml")))]
