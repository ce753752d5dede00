"""Settings of ours as they come out of another server's, each with the place that it came from."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

HTTP: Final = "http.listen (port 8935, unless that says another)"
ADMIN: Final = "admin.listen (127.0.0.1:9935, unless that says another)"
KeyPath = tuple[str, ...]
"""A key of ours behind the tables that it stands in."""
Value = bool | int | str | list[str] | list[dict[str, str]]

_REST: Final = "Without a setting of their own: they say what is so anyway, or more of what is set or listed."
_WRAPPER: Final = textwrap.TextWrapper(120, break_long_words=False, break_on_hyphens=False)
_MOST_PLACES: Final = 5
_ACTIONS: Final = {"on_publish": "publish", "on_play": "play"}
_KEEP_OUT: Final = frozenset({"ips", "deny_ips", *_ACTIONS})
"""Keys that let some in and others not."""
"""That are named beside one setting."""
_HIDDEN: Final = str.maketrans({chr(code): f"\\u{code:04x}" for code in (*range(0x7F, 0xA0), 0x2028, 0x2029)})
"""Signs that TOML has no place for, or that would break a line, beside those that JSON escapes."""


class Place(NamedTuple):
    """Where something stands that was read."""

    file: str
    line: int
    number: int = 0
    """Of all that was read: several may stand in a line."""

    def __str__(self) -> str:
        return f"{_printable(self.file)}:{self.line}"


class Finding(NamedTuple):
    """Something that did not become a setting, or that somebody should look at."""

    place: Place
    what: str
    """The name of a directive, and nothing that stands behind it: that may be a secret."""
    advice: str
    """What to do instead, as a sentence without its full stop."""

    def __str__(self) -> str:
        return f"{self.place}: {_printable(self.what)}: {self.advice}"


@dataclass(slots=True)
class _Setting:
    value: Value
    places: list[Place] = field(default_factory=list)


class Draft:
    """What is written, and what is told."""

    def __init__(self, heading: Sequence[str], is_path: Callable[[str], bool]) -> None:
        """``heading`` are lines of comment that it begins with."""
        self._heading = heading
        self.is_path = is_path
        """Whether an app, or a stream in one, can be called so."""
        self._settings: dict[KeyPath, _Setting] = {}
        self._tables: set[KeyPath] = set()
        """All that something was put into, or into a table of theirs."""
        self.left: list[Finding] = []
        """What was not mapped."""
        self.remarks: list[Finding] = []
        """What was, and is worth a look."""
        self._left_places: set[Place] = set()
        self._rest: list[str] = []

    def put(self, path: Sequence[str], value: Value, place: Place) -> None:
        """A setting has that value; the first that says so holds, and another value is left."""
        held = self._place(path, value)
        if held.value == value:
            held.places.append(place)
        else:
            text = f"{spell(path)} is said already by {held.places[0]}, and one of the two can hold"
            self.leave(place, path[-1], text)

    def add(self, path: Sequence[str], items: Sequence[str], place: Place) -> None:
        """A list has these besides; each once."""
        held = self._place(path, [])
        if isinstance(held.value, list):
            held.value = [*held.value, *(item for item in items if item not in held.value)]
            held.places.append(place)

    def put_certificate(self, chain: str, key: str, place: Place) -> None:
        """Files of the one that is shown by TLS, whatever is spoken in it."""
        files = [{"chain_file": chain, "key_file": key}]
        self.put(("rtmps", "certificates"), files, place)
        self.remark(place, "certificate", "its files have to be there for rtmpd: `rtmpd check` tells")

    def get(self, *path: str) -> Value | None:
        """What was put there; None if nothing was."""
        held = self._settings.get(path)
        return None if held is None else held.value

    def has(self, *table: str) -> bool:
        """Whether anything was put into that table."""
        return table in self._tables

    def goes_on(self, app: str) -> bool:
        """Whether anything is done with streams of that app, of any for ``*``, once somebody publishes."""
        return any(
            path[0] == "apps" and path[2] in ("push", "run", "exec") and app in (path[1], "*")
            for path in self._settings
        )

    def leave(self, place: Place, what: str, advice: str) -> None:
        """It does not become a setting."""
        self._left_places.add(place)
        _note(self.left, Finding(place, what, advice))

    def leaves(self, place: Place) -> bool:
        """Whether what stands there has become no setting, or not whole."""
        return place in self._left_places

    def remark(self, place: Place, what: str, advice: str) -> None:
        """It became one, and somebody should know."""
        _note(self.remarks, Finding(place, what, advice))

    def tell_rest(self, read: Iterable[tuple[Place, str]]) -> None:
        """Name at the end what was read and is neither a setting nor told of; each with its name."""
        told = self._left_places.union(each.place for each in self.remarks)
        told.update(place for setting in self._settings.values() for place in setting.places)
        rest = (f"{place} {_printable(name)}" for place, name in read if place not in told)
        self._rest = list(dict.fromkeys(rest))

    def withdraw(self, line: int, problem: str) -> bool:
        """Leave what stands in that line of ``text()``, which would not be taken; False if nothing does."""
        path = self._lines()[1].get(line)
        if path is None:
            return False
        held = self._settings.pop(path)
        self.leave(held.places[0], spell(path), f"would not be taken: {problem}")
        action = _ACTIONS.get(path[-1], path[-2])
        if path[0] == "apps" and path[-1] in _KEEP_OUT:  # Nobody comes in whom that has kept out.
            self._settings[*path[:2], action, "allow"] = _Setting("nobody", held.places)
        return True

    def text(self) -> str:
        """The settings as TOML."""
        return "\n".join(self._lines()[0]) + "\n"

    def _place(self, path: Sequence[str], value: Value) -> _Setting:
        """What is there already, or ``value`` from now on."""
        self._tables.update(tuple(path[:length]) for length in range(1, len(path)))
        return self._settings.setdefault(tuple(path), _Setting(value))

    def _lines(self) -> tuple[list[str], dict[int, KeyPath]]:
        """All of them, and what is set in which, counted from 1."""
        lines = [f"# {line}" if line else "#" for line in self._heading]
        found: dict[int, KeyPath] = {}
        for table, settings in _tables(self._settings):
            lines += ["", f"[{spell(table)}]"] if table else [""]
            for path, setting in settings:
                lines += [
                    f"# {_spell_places(setting.places)}",
                    f"{_spell_key(path[-1])} = {_spell(setting.value)}",
                ]
                found[len(lines)] = path
        if self._rest:
            lines += ["", f"# {_REST}", *(f"# {line}" for line in _WRAPPER.wrap(", ".join(self._rest)))]
        return lines, found


def _printable(text: str) -> str:
    return text if text.isprintable() else ascii(text)


def _note(findings: list[Finding], finding: Finding) -> None:
    """Once, of however many apps it is."""
    if finding not in findings:
        findings.append(finding)


def spell(path: Sequence[str]) -> str:
    """The path of a key, or a table, as TOML has it."""
    return ".".join(map(_spell_key, path))


def _tables(
    settings: Mapping[KeyPath, _Setting],
) -> Iterator[tuple[KeyPath, list[tuple[KeyPath, _Setting]]]]:
    """The settings by their tables: those of no app first, each app as it came, what it has by its tables."""
    tables: dict[KeyPath, list[tuple[KeyPath, _Setting]]] = {}
    for path, setting in settings.items():
        tables.setdefault(path[:-1], []).append((path, setting))
    apps: dict[KeyPath, list[KeyPath]] = {}
    for table, found in tables.items():
        if table[0] == "apps":
            apps.setdefault(table[:2], []).append(table)
        else:
            yield table, found
    for of_app in apps.values():
        yield from ((table, tables[table]) for table in sorted(of_app))


def _spell_places(places: Sequence[Place]) -> str:
    named = list(dict.fromkeys(map(str, places)))
    more = f" and {len(named) - _MOST_PLACES} more" if len(named) > _MOST_PLACES else ""
    return ", ".join(named[:_MOST_PLACES]) + more


def _spell_key(key: str) -> str:
    plain = key.isascii() and key.replace("-", "").replace("_", "").isalnum()
    return key if plain else _spell_text(key)


def _spell_text(text: str) -> str:
    """A string of TOML, which has all escapes of JSON, and no surrogates."""
    whole = text.encode("utf-8", "replace").decode()
    return json.dumps(whole, ensure_ascii=False).translate(_HIDDEN)


def _spell(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return _spell_text(value)
    return f"[{', '.join(map(_spell_item, value))}]"


def _spell_item(item: str | dict[str, str]) -> str:
    if isinstance(item, str):
        return _spell_text(item)
    return "{" + ", ".join(f"{_spell_key(key)} = {_spell_text(text)}" for key, text in item.items()) + "}"
