"""Slates: their files, and who shows them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from rtmpd.daemon.app_config import APPS, PUSH
from rtmpd.daemon.config import Config
from rtmpd.daemon.slate_config import SLATE
from rtmpd.daemon.values import spell
from rtmpd.engine.registry import Registry
from rtmpd.exceptions import ConfigError
from rtmpd.net.file_stamps import Stamp, stamp_at
from rtmpd.net.tasks import TaskSet
from rtmpd.outputs.slate_file import SlateFile
from rtmpd.outputs.slates import Handle, Slates

logger = logging.getLogger(__name__)


def named(config: Config) -> dict[str, str]:
    """Names of files of slates, each with the key that names it first."""
    return dict(reversed([(name, key) for key, name in _keys(config)]))


def read_all(config: Config) -> dict[str, SlateFile]:
    """All files of slates by their names, which takes a while. Raises ConfigError with all that is wrong."""
    found: dict[str, SlateFile] = {}
    problems: list[str] = []
    for name, key in named(config).items():
        try:
            found[name] = SlateFile(Path(name))
        except ConfigError as error:
            problems += [f"{key}: {problem}" for problem in error.problems]
    if problems:
        raise ConfigError(problems)
    return found


class SlateSide:
    """What streams show where an encoder sends nothing, as the settings name it now."""

    def __init__(
        self,
        registry: Registry,
        clock: Callable[[], float],
        call_later: Callable[[float, Callable[[], None]], Handle],
    ) -> None:
        self.slates = Slates(clock, call_later)
        self._registry = registry
        self._prepared: Mapping[str, SlateFile] = {}
        self._stamps: dict[str, Stamp] = {}
        """Of the files as they were looked at last."""
        self._tasks = TaskSet()
        self._reading = False

    async def prepare(self, config: Config) -> None:
        """Read the files. Raises ConfigError where one cannot be shown. Those of the start hold at once."""
        stamps = {name: stamp_at(Path(name)) for name in named(config)}
        self._prepared = await asyncio.to_thread(read_all, config)
        self._stamps = stamps
        if self._registry.prompter.asked is None:
            self.apply()

    def apply(self) -> None:
        """What was prepared holds. What is on air stays there."""
        self.slates.files = self._prepared
        self._registry.prompter.asked = self.slates.cue

    def look(self) -> None:
        """Have files read again that have changed; call it about once a second."""
        changed = {name: stamp for name, stamp in self._stamps.items() if stamp_at(Path(name)) != stamp}
        if changed and not self._reading:
            self._reading = True
            self._tasks.start(self._read_again(list(changed)), name="slates")

    async def close(self) -> None:
        """Show nothing any more."""
        self._registry.prompter.asked = None
        self.slates.close()
        await self._tasks.wait_closed()

    async def _read_again(self, names: list[str]) -> None:
        try:
            for name in names:
                stamp = stamp_at(Path(name))
                if stamp == self._stamps.get(name):
                    continue
                try:
                    file = await asyncio.to_thread(SlateFile, Path(name))
                except ConfigError as error:
                    fields = {"file": name, "reason": str(error)}
                    logger.warning("slate not read, the last one stays", extra={"fields": fields})
                else:
                    if name in self._stamps:
                        self._prepared = self.slates.files = {**self._prepared, name: file}
                    logger.info("slate read again", extra={"fields": {"file": name, "holds": str(file)}})
                if name in self._stamps:
                    self._stamps[name] = stamp
        finally:
            self._reading = False


def _keys(config: Config) -> Iterator[tuple[str, str]]:
    for table, app in config.apps.items():
        if app.slate:
            yield spell((APPS, table, SLATE)), app.slate
        for target, push in app.targets.items():
            if push.slate:
                yield spell((APPS, table, PUSH, target, SLATE)), push.slate
