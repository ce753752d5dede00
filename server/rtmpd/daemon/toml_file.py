"""A TOML file as somebody wrote it: its values by their whole path, each with the line that it stands in.

tomllib reads the values and tells no lines; what is read here besides is only where keys and tables begin.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from rtmpd.daemon.values import KeyPath, spell
from rtmpd.exceptions import ConfigError

_PIECE: Final = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}'
    r"|'''.*?'{3,5}"
    r'|"(?:[^"\\\n]|\\.)*"'
    r"|'[^'\n]*'"
    r"|\#[^\n]*"
    r"""|[^"'#\n\[\]{}]+"""
    r"|.",
    re.DOTALL,
)
"""Strings and comments whole, every bracket and newline by itself, and what is between them."""
_KEY: Final = re.compile(r"""((?:"(?:[^"\\]|\\.)*"|'[^']*'|[^"'=])+)=""")
_PLACE: Final = re.compile(
    r"(?P<what>.*) \(at (?:line (?P<line>\d+), column (?P<column>\d+)|end of document)\)", re.DOTALL
)
"""How tomllib says where something is wrong."""


@dataclass(frozen=True, slots=True)
class Statement:
    """A table's header, or a key with its value."""

    path: KeyPath
    """Of an array of tables with the line as its last part: it may come again."""
    first: int
    """Line that it begins in, from 1."""
    last: int
    comments: tuple[str, ...]
    """Those in it and behind it, in its lines."""
    key: str
    """The key as it is written, or what stands in the brackets of a header."""
    is_table: bool
    """A header."""
    is_array: bool
    """The header of one table of an array."""


def read(text: str, name: str) -> list[tuple[KeyPath, object, int, list[int]]]:
    """Path, value and line of every value, and the lines of the tables of an array; an empty table is one,
    for it may mean "not this one".

    Raises ConfigError, whose problems begin with ``name`` and the line.
    """
    found = list(statements(text))
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        told = [*_repeated(found), *_extended(found)]
        problems = [f"{name}:{statement.first}: {sentence}" for statement, sentence in told]
        lines_told = {line for each, _ in told for line in range(each.first, each.last + 1)}
        raise ConfigError([*problems, *_broken(error, name, len(lines_of(text)), lines_told)]) from None
    lines: dict[KeyPath, int] = {}
    for statement in found:
        for length in range(1, len(statement.path) + 1):
            lines.setdefault(statement.path[:length], statement.first)
    headers: dict[KeyPath, list[int]] = {}
    for statement in found:
        if statement.is_array:
            headers.setdefault(statement.path[:-1], []).append(statement.first)
    return [(path, value, _line(path, lines), headers.get(path, [])) for path, value in _flatten(document)]


def lines_of(text: str) -> list[str]:
    """Its lines as TOML counts them: ``str.splitlines`` knows ends that stand in comments and strings."""
    return text.removesuffix("\n").split("\n")


def statements(text: str) -> Iterator[Statement]:
    """Every header and key, in order. Of a text that is no TOML, as far as it can be made out."""
    table: KeyPath = ()
    for first, last, bare, comments in _split(text):
        is_table, is_array = bare.startswith("["), bare.startswith("[[")
        match = _KEY.match(bare)
        key = bare.strip("[]") if is_table else match[1].strip() if match else ""
        path = _path(key)
        if not path:
            continue
        if is_table:
            table = path = (*path, str(first)) if is_array else path
        else:
            path = (*table, *path)
        yield Statement(path, first, last, comments, key, is_table, is_array)


def _split(text: str) -> Iterator[tuple[int, int, str, tuple[str, ...]]]:
    """(first line, last line, text, comments) of everything that begins on a line of its own."""
    line = first = 1
    depth = 0
    words: list[str] = []
    comments: list[str] = []
    for piece in _PIECE.findall(f"{text}\n"):
        if piece == "\n" and depth == 0:
            yield first, line, "".join(words).strip(), tuple(comments)
            words, comments = [], []
            first = line + 1
        else:
            (comments if piece[0] == "#" else words).append(piece)
        depth = max(depth + (piece in ("[", "{")) - (piece in ("]", "}")), 0)
        line += piece.count("\n")


def _path(key: str) -> KeyPath:
    """A dotted key in its parts; empty if it is none."""
    try:
        table: object = tomllib.loads(f"{key} = 0")
    except tomllib.TOMLDecodeError:
        return ()
    path = []
    while isinstance(table, dict):
        ((name, table),) = table.items()
        path.append(name)
    return tuple(path)


def _flatten(table: Mapping[str, object], path: KeyPath = ()) -> Iterator[tuple[KeyPath, object]]:
    for name, value in table.items():
        if isinstance(value, dict) and value:
            yield from _flatten(value, (*path, name))
        else:
            yield (*path, name), value


def _line(path: KeyPath, lines: Mapping[KeyPath, int]) -> int:
    """Where a value, or the table written in one line that it is in, begins."""
    return next(lines[path[:length]] for length in range(len(path), 0, -1) if path[:length] in lines)


def _repeated(found: list[Statement]) -> Iterator[tuple[Statement, str]]:
    """Keys and tables that were there before, of which tomllib does not say where."""
    firsts: dict[KeyPath, int] = {}
    for statement in found:
        if statement.is_array:
            # The next table of an array has tables of its own.
            array = statement.path[:-1]
            firsts = {
                path: line for path, line in firsts.items() if path[: len(array)] != array or path == array
            }
        first = firsts.setdefault(statement.path, statement.first)
        if first != statement.first:
            yield statement, f"{spell(statement.path)} stands in line {first} too: keep one of them"


def _extended(found: list[Statement]) -> Iterator[tuple[Statement, str]]:
    """A value, a list or a table in braces, and what is to be added to it elsewhere: the later of the two."""
    tables = {statement.path for statement in found if statement.is_table}
    values = {each.path: each for each in found if not each.is_table and each.path not in tables}
    for statement in found:
        path = statement.path[:-1] if statement.is_array else statement.path
        for length in range(1, len(statement.path)):
            value = values.pop(path[:length], None)
            if value is not None:
                pair = sorted([(value, value.path), (statement, path)], key=lambda each: each[0].first)
                (first, there), (last, here) = pair
                beside = f"{spell(here)} cannot stand beside {spell(there)} in line {first.first}"
                yield last, f"{beside}: write all of it in one form"


def _broken(
    error: tomllib.TOMLDecodeError, name: str, last_line: int, lines_told: Container[int]
) -> Iterator[str]:
    """What tomllib says, with the place first, as compilers have it; nothing of ``lines_told``."""
    told = _PLACE.fullmatch(str(error))
    if told is None:
        yield f"{name}: not valid TOML: {error}"
        return
    line = int(told["line"] or last_line)
    if line not in lines_told:
        place = f"{line}:{told['column']}" if told["column"] else line
        yield f"{name}:{place}: not valid TOML: {told['what']}{_advice(told['what'])}"


def _advice(what: str) -> str:
    """What is mostly forgotten where tomllib says ``what``; nothing of the line, which may be a secret."""
    if what == "Invalid value":
        return '; text stands in quotation marks, as in allow = "anyone"'
    if what.startswith("Expected ']' at the end of a table declaration"):
        return """; names with a slash or a dot stand in quotation marks, as in [apps."live/show".publish]"""
    return ""
