"""Where settings come from: defaults < TOML file < environment < ``--set``; every mistake is found and named.

Written by hand rather than with pydantic-settings, which does not tell the source of a value or of a mistake,
ignores a variable whose section is misspelt, and stops at the first file or list that it cannot parse.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from rtmpd.daemon import secret_files
from rtmpd.daemon.app_config import APPS, AppConfig, spell
from rtmpd.daemon.config import REMOVED_KEYS, Config
from rtmpd.daemon.environment import CONFIG_VARIABLE, ENVIRONMENT_PREFIX
from rtmpd.daemon.fields import Shown, Unit
from rtmpd.daemon.values import parse_list, quote
from rtmpd.exceptions import ConfigError

_KUBERNETES: Final = re.compile(
    r"RTMPD_(SERVICE_(HOST|PORT(_\w+)?)|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)"
)
"""What Kubernetes and docker --link add to the environment next to a service named rtmpd."""
_PART: Final = r"""(?:"[^"]*"|'[^']*'|[^.=]*)"""
_ASSIGNMENT: Final = re.compile(rf"(?P<key>{_PART}(?:\.{_PART})*)=(?P<value>.*)", re.DOTALL)

KeyPath = tuple[str, ...]

SOME_APP: Final = "NAME"
"""Stands for the name of an app where no particular one is meant."""
_ATTRIBUTES: Final = {"from": "origins"}
"""Attributes of the models that cannot be named as their keys are."""


@dataclass(frozen=True, slots=True)
class Key:
    """One setting: its path, and the field of the models that holds it."""

    path: KeyPath
    field: FieldInfo

    @property
    def name(self) -> str:
        return spell(self.path)

    @property
    def unit(self) -> str:
        """``seconds``, ``milliseconds``, ``bytes`` or nothing."""
        return next((item.name for item in self.field.metadata if isinstance(item, Unit)), "")

    def read(self, config: Config) -> object:
        """The value of this setting in ``config``."""
        value: object = config
        for part in self.path:
            value = value[part] if isinstance(value, dict) else getattr(value, _ATTRIBUTES.get(part, part))
        return value

    @property
    def is_secret(self) -> bool:
        """Whether values of this setting hold secrets."""
        return self._shown is not None

    def show(self, value: object) -> object:
        """``value`` as it may be shown to people: without secrets."""
        return value if self._shown is None else self._shown.hide(value)

    @property
    def _shown(self) -> Shown | None:
        return next((item for item in self.field.metadata if isinstance(item, Shown)), None)


@dataclass(frozen=True, slots=True)
class Settings:
    """A configuration and, for every key that is not at its default, who set it."""

    config: Config
    origins: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Given:
    """A value as somebody wrote it."""

    value: object
    origin: str


def walk(model: type[BaseModel] = Config, path: KeyPath = ()) -> Iterator[Key]:
    """Every setting, in the order of the models: the keys of a section before its subsections.

    Those of apps are left out: see ``walk_app``.
    """
    sections = []
    for attribute, field in model.model_fields.items():
        name = field.alias or attribute
        if (*path, name) == (APPS,):
            continue
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            sections.append((field.annotation, (*path, name)))
        else:
            yield Key((*path, name), field)
    for section, section_path in sections:
        yield from walk(section, section_path)


def walk_app(name: str) -> Iterator[Key]:
    """Every setting of one app."""
    return walk(AppConfig, (APPS, name))


def load(path: Path | None, environ: Mapping[str, str], assignments: Sequence[str] = ()) -> Settings:
    """Read all sources; ``assignments`` are ``key=value`` texts of the command line.

    Raises ConfigError with every mistake of every source, those that another source overrides among them.
    """
    given: dict[KeyPath, _Given] = {}
    tables: list[KeyPath] = []
    problems: list[str] = []
    sources = [
        list(_read_file(path, problems)),
        list(_read_environment(environ)),
        list(_read_assignments(assignments, problems)),
    ]
    paths = [key_path for source in sources for key_path, _ in source]
    apps = dict.fromkeys(key_path[1] for key_path in paths if key_path[0] == APPS and len(key_path) > 1)
    keys = {key.path: key for key in chain(walk(), *map(walk_app, apps))}
    sections = {key_path[:length]: None for key_path in keys for length in range(1, len(key_path))}
    for key_path, item in chain(*(_with_secrets(source, keys, environ, problems) for source in sources)):
        if key_path in keys:
            if key_path in given:
                problems.extend(_mistakes({key_path: given.pop(key_path)}, keys))
            given[key_path] = item
        elif item.value == {} and (key_path in sections or key_path == (APPS,)):
            tables.append(key_path)
        else:
            problems.append(f"{item.origin}: {_explain_misplaced(key_path, item, keys)}")
    config = _validate(given, tables, keys, problems)
    if config is None:
        raise ConfigError(problems)
    return Settings(config, {keys[key_path].name: item.origin for key_path, item in given.items()})


def _read_file(path: Path | None, problems: list[str]) -> Iterator[tuple[KeyPath, _Given]]:
    if path is None:
        return
    try:
        document = tomllib.loads(path.read_bytes().decode())
    except FileNotFoundError:
        problems.append(f"{path}: there is no such file; check the path given with -c or {CONFIG_VARIABLE}")
    except OSError as error:
        problems.append(f"{path}: cannot be read: {error.strerror}")
    except UnicodeDecodeError as error:
        problems.append(f"{path}: byte {error.start} is not UTF-8; save the file as UTF-8")
    except tomllib.TOMLDecodeError as error:
        # "Invalid value (at line 3, column 10)" with the place first, as compilers and editors have it.
        what, _, place = str(error).removesuffix(")").partition(" (at ")
        problems.append(f"{path}: {place}: not valid TOML: {what}")
    else:
        for key_path, value in _flatten(document):
            yield key_path, _Given(value, str(path))


def _flatten(table: Mapping[str, object], path: KeyPath = ()) -> Iterator[tuple[KeyPath, object]]:
    """Values by their whole path; an empty table is one, for it may mean "not this one"."""
    for name, value in table.items():
        if isinstance(value, dict) and value:
            yield from _flatten(value, (*path, name))
        else:
            yield (*path, name), value


def _read_environment(environ: Mapping[str, str]) -> Iterator[tuple[KeyPath, _Given]]:
    for name, value in sorted(environ.items()):
        if not name.startswith(ENVIRONMENT_PREFIX) or name == CONFIG_VARIABLE or _KUBERNETES.fullmatch(name):
            continue
        key_path = tuple(name.removeprefix(ENVIRONMENT_PREFIX).lower().split("__"))
        yield key_path, _Given(value, name)


def _read_assignments(assignments: Sequence[str], problems: list[str]) -> Iterator[tuple[KeyPath, _Given]]:
    for text in assignments:
        assignment = _ASSIGNMENT.fullmatch(text.strip())
        if assignment is not None:
            yield _split_key(assignment["key"].strip()), _Given(assignment["value"].strip(), "--set")
        else:
            problems.append(f"--set: {quote(text)} has no value: write it as rtmp.listen=127.0.0.1:1935")


def _split_key(text: str) -> KeyPath:
    """``apps."a.b".push`` in its parts."""
    parts = re.findall(rf"(?:\A|(?<=\.))({_PART})(?=\.|\Z)", text)
    return tuple([part[1:-1] if part[:1] in ("'", '"') and part[:1] == part[-1:] else part for part in parts])


def _with_secrets(
    source: Collection[tuple[KeyPath, _Given]],
    keys: Mapping[KeyPath, Key],
    environ: Mapping[str, str],
    problems: list[str],
) -> Iterator[tuple[KeyPath, _Given]]:
    """``source`` with what stands in the files of keys such as ``push_file`` in place of their names."""
    plain = {path for path, _ in source}
    for path, item in source:
        secret = (*path[:-1], path[-1].removesuffix(secret_files.SUFFIX))
        if secret == path or secret not in keys or not keys[secret].is_secret:
            yield path, item
            continue
        if secret in plain:
            both = f"{spell(path)} and {spell(secret)} say the same: give one of them"
            problems.append(f"{item.origin}: {both}")
            continue
        try:
            yield secret, _Given(secret_files.read_lines(item.value, environ), item.origin)
        except ValueError as error:
            problems.append(f"{item.origin}: {spell(path)}: {error}")


def _explain_misplaced(path: KeyPath, item: _Given, keys: Mapping[KeyPath, Key]) -> str:
    """What is wrong with the place of a value."""
    origin = item.origin
    name = _printable(spell(path))
    keys = dict(keys) | {key.path: key for key in walk_app(SOME_APP)}
    below = [known for known in keys if known[: len(path)] == path]
    if below:
        return f"{name} is a section, not a key: set one of its keys, such as {_spell(below[0], origin)}"
    for length in range(1, len(path)):
        if path[:length] in keys:
            return f"{name}: {spell(path[:length])} is a single value and has no keys below it"
    if name in REMOVED_KEYS:
        return f"{name}: there is no such key any more; {REMOVED_KEYS[name]}"
    kind = "section" if item.value == {} else "key"
    known = {key[:-1] for key in keys if len(key) > 1} if kind == "section" else keys
    meant = _suggest(path, known)
    advice = f"did you mean {_spell(meant, origin)}?" if meant else "rtmpd check lists all keys"
    return f"{name}: there is no such {kind}; {advice}"


def _spell(path: KeyPath, origin: str) -> str:
    """A key as it is written in the source ``origin``."""
    if origin.startswith(ENVIRONMENT_PREFIX):
        return ENVIRONMENT_PREFIX + "__".join(path).upper()
    return spell(path)


def _suggest(path: KeyPath, keys: Collection[KeyPath]) -> KeyPath | None:
    """The key that was probably meant: the same word in another section, else the most similar path."""
    moved = [known for known in keys if known[-1] == path[-1]]
    by_name = {".".join(known): known for known in moved or keys}
    close = difflib.get_close_matches(".".join(path), by_name, n=1, cutoff=0.0 if moved else 0.6)
    return by_name[close[0]] if close else None


def _validate(
    given: Mapping[KeyPath, _Given],
    tables: Iterable[KeyPath],
    keys: Mapping[KeyPath, Key],
    problems: list[str],
) -> Config | None:
    """The configuration, or None with at least one entry in ``problems``."""
    try:
        config = Config.model_validate(_nest(given, tables))
    except ValidationError as error:
        problems.extend(_explain(details, given, keys) for details in error.errors(include_url=False))
        return None
    return None if problems else config


def _mistakes(given: Mapping[KeyPath, _Given], keys: Mapping[KeyPath, Key]) -> Iterator[str]:
    """What is wrong with values that nothing else is to be compared with: others override them."""
    try:
        Config.model_validate(_nest(given, ()))
    except ValidationError as error:
        for details in error.errors(include_url=False):
            if details["type"] != "conflict":
                yield _explain(details, given, keys)


def _nest(given: Mapping[KeyPath, _Given], tables: Iterable[KeyPath]) -> dict[str, Any]:
    """The document that says all this."""
    nested: dict[str, Any] = {}

    def table(path: KeyPath) -> dict[str, Any]:
        found = nested
        for part in path:
            found = found.setdefault(part, {})
        return found

    for path in tables:
        table(path)
    for path, item in given.items():
        table(path[:-1])[path[-1]] = item.value
    return nested


def _explain(details: ErrorDetails, given: Mapping[KeyPath, _Given], keys: Mapping[KeyPath, Key]) -> str:
    """One mistake: who wrote it, the key, what is wrong, what to write instead."""
    context = details.get("ctx", {})
    location = tuple(str(part) for part in details["loc"])
    if details["type"] == "conflict":
        named = [str(context[name]) for name in ("low_key", "high_key") if name in context]
        by_name = {spell(path): item.origin for path, item in given.items()}
        said = [by_name[name] for name in named if name in by_name]
        # What is missing was forgotten by whoever gave the rest of its section.
        section = named[0].rpartition(".")[0] + "."
        beside = [origin for name, origin in by_name.items() if name.startswith(section)]
        return f"{', '.join(dict.fromkeys(said or beside))}: {details['msg']}"
    path = next(location[:end] for end in range(len(location), 0, -1) if location[:end] in keys)
    item, key = given[path], keys[path]
    return f"{item.origin}: {key.name}: {_number(details, path, item)}{_sentence(details, key)}"


def _number(details: ErrorDetails, path: KeyPath, item: _Given) -> str:
    """Which of several values in a list is meant."""
    values = parse_list(item.value)
    several = isinstance(values, list) and len(values) > 1
    index = details["loc"][len(path) :]
    return f"number {index[0] + 1}: " if several and index and isinstance(index[0], int) else ""


def _sentence(details: ErrorDetails, key: Key) -> str:
    context = details.get("ctx", {})
    value = "what is given" if key.is_secret else quote(details["input"])
    bounds = {
        "greater_than": ("gt", "must be more than"),
        "greater_than_equal": ("ge", "must be at least"),
        "less_than_equal": ("le", "must be at most"),
    }
    match details["type"]:
        case "value_error":
            return str(context["error"])
        case "literal_error":
            return f"{value} is not one of {context['expected']}"
        case "bool_parsing" | "bool_type":
            return f"{value} is neither true nor false"
        case "string_type":
            return f"{value} is not a text: put it in quotation marks"
        case "tuple_type":
            return f'{value} is not a list: write ["one", "two"]'
        case kind if kind in bounds:
            name, words = bounds[kind]
            return f"{value} is out of range: it {words} {context[name]:g} {key.unit}".rstrip()
        case _:
            return f"{value}: {details['msg']}"


def _printable(text: str) -> str:
    return text if text.isprintable() else ascii(text)
