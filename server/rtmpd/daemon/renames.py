"""Keys that have another name than in the last version: the old one works for one minor version more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from rtmpd.daemon.keys import SOME_APP, SOME_STREAM, SOME_TARGET
from rtmpd.daemon.sources import Layer
from rtmpd.daemon.values import KeyPath, spell, spell_for

Renames = Mapping[str, tuple[str, str]]
"""Old names, each with the new one and the version that brought it: ``{"log.old": ("log.new", "0.2")}``.

``NAME`` and ``TARGET`` stand for any app or stream, and any push target, ``STREAM`` for any name of a stream.
A form with a file, such as ``url_file``, is a key of its own here.
"""
RENAMED_KEYS: Final[Renames] = {}
"""A test fails once an entry is a minor version old: then it goes."""
_ANY: Final = (SOME_APP, SOME_TARGET, SOME_STREAM)


@dataclass(frozen=True, slots=True)
class OldName:
    """A key that somebody wrote under its old name."""

    origin: str
    """As in ``Given``."""
    old: str
    new: str
    """As it is written there."""

    def __str__(self) -> str:
        told = f"{self.origin}: {self.old} has another name now: write {self.new}"
        return f"{told}; the next minor version will not know the old one"


def new_name(path: KeyPath, renames: Renames) -> KeyPath | None:
    """What a key is called now; None if it has no other name."""
    for old, (new, _) in renames.items():
        pattern = old.split(".")
        if len(pattern) == len(path):
            names = {part: name for part, name in zip(pattern, path, strict=True) if part in _ANY}
            if all(names.get(part, part) == name for part, name in zip(pattern, path, strict=True)):
                return tuple([names.get(part, part) for part in new.split(".")])
    return None


def translate(layer: Layer, renames: Renames, problems: list[str], old_names: list[OldName]) -> Layer:
    """``layer`` with new names in place of old ones; one beside the new one is a problem."""
    said = dict(layer)
    translated: Layer = []
    for path, item in layer:
        new = new_name(path, renames)
        if new is None:
            translated.append((path, item))
        elif new in said:
            told = f"{item.origin}, {said[new].origin}: {spell(path)} is the old name of {spell(new)}"
            problems.append(f"{told}, and both are set: delete the first")
        else:
            translated.append((new, item))
            old_names.append(OldName(item.origin, spell(path), spell_for(new, item.origin)))
    return translated
