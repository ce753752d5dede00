"""Where settings come from: defaults < files < environment < ``--set``; every mistake is found and named.

Written by hand rather than with pydantic-settings, which does not tell the source of a value or of a mistake,
ignores a variable whose section is misspelt, and stops at the first file or list that it cannot parse.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from rtmpd.daemon import secret_files
from rtmpd.daemon.app_config import APPS, PUSH
from rtmpd.daemon.config import Config
from rtmpd.daemon.keys import NAMED, TARGETS, Key, walk_written
from rtmpd.daemon.mistakes import explain, explain_conflict, explain_misplaced, list_above
from rtmpd.daemon.renames import RENAMED_KEYS, OldName, Renames, translate
from rtmpd.daemon.sources import Given, Layer, read_layers
from rtmpd.daemon.values import KeyPath, spell
from rtmpd.exceptions import ConfigError


@dataclass(frozen=True, slots=True)
class Settings:
    """A configuration and, for every key that is not at its default, who set it."""

    config: Config
    origins: Mapping[str, str]
    """Such as ``rtmpd.toml:12``, a variable, or ``--set``; by the whole name of the key."""
    old_names: Sequence[OldName] = ()
    """Keys under names that the next minor version will not know."""
    files: Sequence[Path] = ()
    """What all this was read from: files, directories of them, and files with secrets."""


def load(
    paths: Sequence[Path],
    environ: Mapping[str, str],
    assignments: Sequence[str] = (),
    renames: Renames = RENAMED_KEYS,
) -> Settings:
    """Read all sources: files and directories of them, and ``key=value`` texts of the command line.

    Raises ConfigError with every mistake of every source, those that another source overrides among them.
    """
    given: dict[KeyPath, Given] = {}
    tables: list[KeyPath] = []
    problems: list[str] = []
    old_names: list[OldName] = []
    files = list(paths)
    layers = list(read_layers(paths, environ, assignments, problems))
    if renames:
        layers = [translate(layer, renames, problems, old_names) for layer in layers]
    keys = {key.path: key for key in walk_written(path for layer in layers for path, _ in layer)}
    sections = {table: table for table in ((APPS,), *NAMED)} | {
        key.path[:length]: key.place[:length] for key in keys.values() for length in range(1, len(key.path))
    }
    sections |= {path: (*path[:-1], TARGETS) for path in keys if path[0] == APPS and path[2:] == (PUSH,)}
    unread: set[KeyPath] = set()
    lists: set[KeyPath | None] = set()
    written = (_with_secrets(layer, keys, environ, problems, unread, files) for layer in layers)
    for key_path, item in chain(*written):
        if item.value == {} and key_path in sections:
            tables.append(sections[key_path])
        elif key_path in keys:
            if key_path in given:
                problems.extend(_mistakes({key_path: given.pop(key_path)}, keys))
            given[key_path] = item
        else:
            above = list_above(key_path, keys)
            # Of a list that is written as a table each key is misplaced: it is told once.
            if above not in lists:
                problems.append(f"{item.origin}: {explain_misplaced(key_path, item, keys)}")
            lists |= {above} if above else set()
    config = _validate(given, tables, keys, problems, unread)
    if config is None:
        raise ConfigError(problems)
    origins = {keys[key_path].name: item.origin for key_path, item in given.items()}
    return Settings(config, origins, old_names, files)


def _with_secrets(
    layer: Layer,
    keys: Mapping[KeyPath, Key],
    environ: Mapping[str, str],
    problems: list[str],
    unread: set[KeyPath],
    files: list[Path],
) -> Iterator[tuple[KeyPath, Given]]:
    """``layer`` with what stands in the files of keys such as ``push_file`` in place of their names.

    These files are added to ``files``, and keys whose file cannot be read to ``unread``.
    """
    plain = dict(layer)
    for path, item in layer:
        secret = (*path[:-1], path[-1].removesuffix(secret_files.SUFFIX))
        if secret == path or secret not in keys or not keys[secret].is_secret:
            yield path, item
            continue
        if secret in plain:
            both = f"{spell(path)} and {spell(secret)} say the same: give one of them"
            problems.append(f"{item.origin}, {plain[secret].origin}: {both}")
            continue
        read = secret_files.read_lines if keys[secret].is_list else secret_files.read_line
        try:
            yield secret, Given(read(item.value, environ), item.origin)
            files.append(secret_files.locate(str(item.value), environ))
        except ValueError as error:
            problems.append(f"{item.origin}: {spell(path)}: {error}")
            unread.add(secret)


def _validate(
    given: Mapping[KeyPath, Given],
    tables: Iterable[KeyPath],
    keys: Mapping[KeyPath, Key],
    problems: list[str],
    unread: Container[KeyPath],
) -> Config | None:
    """The configuration, or None with at least one entry in ``problems``, with those about ``unread``."""
    try:
        config = Config.model_validate(_nest(given, tables, keys))
    except ValidationError as error:
        problems.extend(explain(details, given, keys) for details in error.errors(include_url=False))
        return None
    for path, text in config.problems():
        if path not in unread:
            problems.append(explain_conflict([spell(path)], f"{spell(path)}{text}", given))
    return None if problems else config


def _mistakes(given: Mapping[KeyPath, Given], keys: Mapping[KeyPath, Key]) -> Iterator[str]:
    """What is wrong with values that nothing else is to be compared with: others override them."""
    try:
        Config.model_validate(_nest(given, (), keys))
    except ValidationError as error:
        for details in error.errors(include_url=False):
            if details["type"] != "conflict":
                yield explain(details, given, keys)


def _nest(
    given: Mapping[KeyPath, Given], tables: Iterable[KeyPath], keys: Mapping[KeyPath, Key]
) -> dict[str, Any]:
    """The document that says all this, as the models are given it; ``tables`` are places."""
    nested: dict[str, Any] = {}

    def table(place: KeyPath) -> dict[str, Any]:
        found = nested
        for part in place:
            found = found.setdefault(part, {})
        return found

    for place in tables:
        table(place)
    for path, item in given.items():
        place = keys[path].place
        table(place[:-1])[place[-1]] = item.value
    return nested
