"""Directives as nginx and SRS write them: a name, arguments, and a block or the end of the line."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from rtmpd.imports.draft import Draft, Place

_TIME: Final = re.compile(r"(\d{1,12})(ms|[smhdw]?)")
_SECONDS: Final = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}
_SIZE: Final = re.compile(r"(\d{1,15})([kmg]?)")
_NUMBER: Final = re.compile(r"[0-9]{1,15}")
_BYTES: Final = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


@dataclass(frozen=True, slots=True)
class Directive:
    """One of them."""

    name: str
    args: tuple[str, ...]
    place: Place
    block: tuple[Directive, ...] = ()

    @property
    def first(self) -> str:
        """Its first argument; empty without any."""
        return self.args[0] if self.args else ""

    @property
    def is_on(self) -> bool:
        """Whether it says so."""
        return self.first == "on"

    def named(self, name: str) -> Iterator[Directive]:
        """Those of that name in its block."""
        return (each for each in self.block if each.name == name)

    def says(self, name: str) -> Directive | None:
        """The last of that name in its block."""
        return next(iter([*self.named(name)][::-1]), None)


def walk(block: Sequence[Directive], draft: Draft | None = None) -> Iterator[Directive]:
    """All of it, each before what stands in it; not what stands in something that ``draft`` leaves."""
    for each in block:
        yield each
        if draft is None or not draft.leaves(each.place):
            yield from walk(each.block, draft)


def inherited(outer: Sequence[Directive], inner: Sequence[Directive]) -> list[Directive]:
    """What holds in a block that lies in another: what it says, and of what it does not the other's."""
    said = {each.name for each in inner}
    return [*(each for each in outer if each.name not in said and not each.block), *inner]


def seconds(text: str, unit: str = "s") -> float | None:
    """A time such as ``10s``, ``1h30m`` or ``500ms``; a number alone is of ``unit``. None if it is none."""
    total, end = 0.0, 0
    for found in _TIME.finditer(text):
        if found.start() != end:
            return None
        total += int(found[1]) * _SECONDS[found[2] or unit]
        end = found.end()
    return total if text and end == len(text) else None


def spell_seconds(value: float) -> str:
    """As our settings have it."""
    return f"{value:.12g}s"


def number(text: str) -> int | None:
    """A whole one of a size that anybody writes; None if it is none."""
    return int(text) if _NUMBER.fullmatch(text) else None


def size(text: str) -> int | None:
    """Bytes of a size such as ``64k``; None if it is none."""
    found = _SIZE.fullmatch(text.lower())
    return int(found[1]) * _BYTES[found[2]] if found else None
