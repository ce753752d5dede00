"""Where settings are written, read into layers of flat values: files, the environment, the command line."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rtmpd.daemon import toml_file
from rtmpd.daemon.environment import CONFIG_VARIABLE, ENVIRONMENT_PREFIX, NO_SETTINGS
from rtmpd.daemon.values import KeyPath, quote, spell
from rtmpd.exceptions import ConfigError

MAX_BYTES: Final = 16 * 1024 * 1024
"""Of a file."""
_KUBERNETES: Final = re.compile(
    r"RTMPD_(SERVICE_(HOST|PORT(_\w+)?)|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)"
)
"""What Kubernetes and docker --link add to the environment next to a service named rtmpd."""
_PART: Final = r"""(?:"[^"]*"|'[^']*'|[^.=]*)"""
_ASSIGNMENT: Final = re.compile(rf"(?P<key>{_PART}(?:\.{_PART})*)=(?P<value>.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Given:
    """A value as somebody wrote it."""

    value: object
    origin: str
    items: tuple[str, ...] = ()
    """The same of each table of a list, where they stand by themselves."""

    def origin_of(self, index: object) -> str:
        """Who wrote that one of a list, as far as that is known."""
        return self.items[index] if isinstance(index, int) and index < len(self.items) else self.origin


Layer = list[tuple[KeyPath, Given]]
"""What is said in one place; a later layer wins, key by key."""


def read_layers(
    paths: Iterable[Path], environ: Mapping[str, str], assignments: Iterable[str], problems: list[str]
) -> Iterator[Layer]:
    """Every source, the weakest first; what is wrong with one is added to ``problems``.

    A directory stands for its files ``*.toml``, in order of their names.
    """
    for path in paths:
        for file in sorted(path.glob("*.toml")) if path.is_dir() else [path]:
            yield _read_file(file, problems)
    yield _read_environment(environ, problems)
    for text in assignments:
        yield _read_assignment(text, problems)


def read_text(path: Path) -> str:
    """What a file with settings says, its lines ended by line feeds. Raises ConfigError."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        if len(data) <= MAX_BYTES:
            return data.decode().replace("\r\n", "\n")
        problem = f"{path}: is larger than {MAX_BYTES // 2**20} MiB; is it the right file?"
    except FileNotFoundError:
        problem = f"{path}: there is no such file; check the path given with -c or {CONFIG_VARIABLE}"
    except OSError as error:
        problem = f"{path}: cannot be read: {error.strerror}"
    except UnicodeDecodeError as error:
        problem = f"{path}: byte {error.start} is not UTF-8; save the file as UTF-8"
    raise ConfigError([problem])


def _read_file(path: Path, problems: list[str]) -> Layer:
    try:
        values = toml_file.read(read_text(path), str(path))
    except ConfigError as error:
        problems.extend(error.problems)
        return []
    return [
        (key_path, Given(value, f"{path}:{line}", tuple([f"{path}:{each}" for each in items])))
        for key_path, value, line, items in values
    ]


def _read_environment(environ: Mapping[str, str], problems: list[str]) -> Layer:
    found: dict[KeyPath, Given] = {}
    for name, value in sorted(environ.items()):
        if not name.startswith(ENVIRONMENT_PREFIX) or name in NO_SETTINGS or _KUBERNETES.fullmatch(name):
            continue
        key_path = tuple(name.removeprefix(ENVIRONMENT_PREFIX).lower().split("__"))
        given = found.setdefault(key_path, Given(value, name))
        if given.origin != name:
            problems.append(f"{given.origin}, {name}: {spell(key_path)} is set twice: keep one of them")
    return list(found.items())


def _read_assignment(text: str, problems: list[str]) -> Layer:
    assignment = _ASSIGNMENT.fullmatch(text.strip())
    if assignment is None:
        problems.append(f"--set: {quote(text)} has no value: write it as rtmp.listen=127.0.0.1:1935")
        return []
    return [(_split_key(assignment["key"].strip()), Given(assignment["value"].strip(), "--set"))]


def _split_key(text: str) -> KeyPath:
    """``apps."a.b".push`` in its parts."""
    parts = re.findall(rf"(?:\A|(?<=\.))({_PART})(?=\.|\Z)", text)
    return tuple([part[1:-1] if part[:1] in ("'", '"') and part[:1] == part[-1:] else part for part in parts])
