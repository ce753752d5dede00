"""A file with settings as this version would have it written: ``rtmpd check --migrate``."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from itertools import count
from pathlib import Path

from rtmpd.daemon import toml_file
from rtmpd.daemon.app_config import APPS, PUSH
from rtmpd.daemon.config import REMOVED_KEYS
from rtmpd.daemon.environment import CONFIG_VARIABLE
from rtmpd.daemon.push_config import ANY, parse_urls
from rtmpd.daemon.renames import RENAMED_KEYS, Renames, translate
from rtmpd.daemon.renaming import rename
from rtmpd.daemon.secret_files import SUFFIX
from rtmpd.daemon.sources import Given, read_text
from rtmpd.daemon.toml_file import Statement
from rtmpd.daemon.values import KeyPath, spell
from rtmpd.exceptions import ConfigError


def migrate_file(paths: Sequence[Path]) -> str:
    """The only one of ``paths``, migrated. Raises ConfigError if it cannot be read."""
    if len(paths) != 1 or paths[0].is_dir():
        raise ConfigError([f"--migrate: name one file with -c or {CONFIG_VARIABLE}"])
    (path,) = paths
    return migrate(read_text(path), str(path))


def migrate(text: str, name: str, renames: Renames = RENAMED_KEYS) -> str:
    """``text``, the file ``name``, with tables for lists of push targets and without keys that are gone.

    Keys that have other names now are under those. Targets keep the names that they have had, and everything
    else stays as it is, comments included; so does a list in place of what shorter paths push to. Raises
    ConfigError if it is no TOML, or says a key twice over.
    """
    found = toml_file.read(text, name)
    problems: list[str] = []
    translate(
        [(path, Given(value, f"{name}:{line}")) for path, value, line, _ in found], renames, problems, []
    )
    if problems:
        raise ConfigError(problems)
    values = {path: value for path, value, *_ in found}
    pushing = {path[1] for path in values if path[0] == APPS and path[2:3] in ((PUSH,), (PUSH + SUFFIX,))}
    lists = {name for name in pushing if not _has_shorter(name, pushing)}
    numbers: dict[KeyPath, Iterator[int]] = {}
    lines = toml_file.lines_of(text)
    written: list[str] = []
    done = 0
    for statement in toml_file.statements(text):
        new = _rewrite(statement, values.get(statement.path), lists, numbers)
        if new is not None:
            first = lines[statement.first - 1]
            indent = first[: len(first) - len(first.lstrip())]
            written += lines[done : statement.first - 1]
            written += [f"{indent}{line}" for line in (*statement.comments, *new)]
            done = statement.last
    migrated = "\n".join([*written, *lines[done:]]) + "\n"
    return rename(migrated, renames) if renames else migrated


def _has_shorter(name: str, pushing: Collection[str]) -> bool:
    """Whether a table of a shorter path says where to push: a list of ``name`` takes the place of that."""
    return any(other != name and (other == ANY or name.startswith(f"{other}/")) for other in pushing)


def _rewrite(
    statement: Statement, value: object, lists: Collection[str], numbers: dict[KeyPath, Iterator[int]]
) -> list[str] | None:
    """What is written in place of a statement; None if it may stay. ``lists``: whose lists become tables."""
    path = statement.path
    if path[:1] == (APPS,) and path[2:3] == (PUSH,) and path[1] in lists:
        if statement.is_array:
            number = next(numbers.setdefault(path[:3], count(1)))
            return [f"[{statement.key}.config-{number}]"]
        if len(path) == 3 and not statement.is_table and value:
            return list(_name_targets(statement.key, value))
    if spell(path) in REMOVED_KEYS:
        return []
    return None


def _name_targets(key: str, targets: object) -> Iterator[str]:
    parsed = parse_urls(targets)
    for number, target in enumerate(parsed if isinstance(parsed, list) else [], 1):
        table = target if isinstance(target, dict) else {"url": target}
        for name, value in table.items():
            yield f"{key}.config-{number}.{name} = {json.dumps(value, ensure_ascii=False)}"
