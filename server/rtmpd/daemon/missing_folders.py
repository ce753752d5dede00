"""Folders that the settings name and nobody makes: those that are not there."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from rtmpd.daemon.app_config import AppConfig
    from rtmpd.daemon.config import Config

_APP: Final = "{app}"


def missing_folders(config: Config) -> Iterator[str]:
    """A sentence about each, once, with the first key that names it."""
    told: set[tuple[str, str]] = set()
    for name, app in config.outcomes.items():
        for key, folder, outcome in _folders(app):
            if (key, folder) not in told:
                told.add((key, folder))
                yield from _told(f"apps.{name}.{key}", folder, outcome)
    if config.spool.path and any(map(_spools, config.outcomes.values())):
        yield from _told("spool.path", config.spool.path, "what does not fit into memory is lost")


def _told(key: str, folder: str, outcome: str) -> Iterator[str]:
    if problem := _problem(folder):
        yield f"{key}: {folder} {problem}: {outcome} until it is there"


def _spools(app: AppConfig) -> bool:
    """Whether there is anything that may not fit."""
    return bool(app.ring.disk_bytes or app.delays or (app.hls.enabled and app.hls.dvr))


def _folders(app: AppConfig) -> Iterator[tuple[str, str, str]]:
    """Of one table: key, folder, and what becomes of what is meant for it."""
    if app.record.wanted:
        yield "record.root", app.record.root, "nothing is recorded"
    if app.vod.root:
        yield "vod.root", app.vod.root, "no file is played"
    if app.hls.enabled and app.hls.directory:
        yield "hls.directory", app.hls.directory, "no playlists are written"


def _problem(folder: str) -> str:
    """What is wrong with it, as the user sees it who asks; of one for each app, with that above them."""
    levels = Path(folder).parts
    known = next((number for number, level in enumerate(levels) if _APP in level), len(levels))
    try:
        mode = Path(*levels[:known]).stat().st_mode
    except FileNotFoundError:
        return "is not there"
    except OSError as error:
        return f"cannot be looked at ({error.strerror})"
    return "" if stat.S_ISDIR(mode) else "is no folder"
