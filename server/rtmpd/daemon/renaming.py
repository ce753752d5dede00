"""A file with settings under their new names, and everything else in it as it was."""

from __future__ import annotations

import json
import re

from rtmpd.daemon.renames import Renames, new_name
from rtmpd.daemon.toml_file import Statement, lines_of, statements
from rtmpd.daemon.values import KeyPath


def rename(text: str, renames: Renames) -> str:
    """``text``, which is TOML, with its keys under the names that ``renames`` gives them.

    A key stays where it is if it can; one of another table moves there, with the comments right above it. A
    table that all keys have left goes: there may be no such section any more.
    """
    lines: list[str | None] = [*lines_of(text)]
    found = list(statements(text))
    headers = {each.path: each.last for each in found if each.is_table}
    moved: dict[KeyPath, list[str]] = {}
    left: set[KeyPath] = set()
    kept: set[KeyPath] = set()
    """Tables that a key has left, and those that one stays in."""
    table: KeyPath = ()
    for statement in found:
        if statement.is_table:
            table = statement.path
        elif (new := new_name(statement.path, renames)) is None:
            kept.add(table)
        else:
            home = new[:-1]
            stays = home == table or (home not in headers and new[: len(table)] == table)
            _write(lines, statement, new[len(table) :] if stays else new[-1:])
            (kept if stays else left).add(table)
            if not stays:
                moved.setdefault(home, []).extend(_take(lines, statement))
    for header in found:
        if header.is_table and not header.is_array and header.path in left - kept - moved.keys():
            lines[header.first - 1] = None
    written: list[str] = []
    for number, line in enumerate(lines, 1):
        written += [] if line is None else [line]
        for path in [path for path, last in headers.items() if last == number]:
            written += moved.pop(path, [])
    for path, rest in moved.items():
        written += ["", f"[{_spell(path)}]", *rest]
    return "\n".join(written) + "\n"


def _write(lines: list[str | None], statement: Statement, key: KeyPath) -> None:
    first = statement.first - 1
    lines[first] = (lines[first] or "").replace(statement.key, _spell(key), 1)


def _take(lines: list[str | None], statement: Statement) -> list[str]:
    """The lines of a key and of the comments right above it, which are None then."""
    first, last = statement.first - 1, statement.last
    while first and (lines[first - 1] or "").lstrip().startswith("#"):
        first -= 1
    taken = [line for line in lines[first:last] if line is not None]
    lines[first:last] = [None] * (last - first)
    return taken


def _spell(path: KeyPath) -> str:
    return ".".join(part if re.fullmatch(r"[\w-]+", part, re.ASCII) else json.dumps(part) for part in path)
