"""Which key was meant by one that there is not."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from difflib import SequenceMatcher
from typing import Final

from rtmpd.daemon.app_config import APPS
from rtmpd.daemon.keys import SOME_APP
from rtmpd.daemon.values import KeyPath

_LEAST: Final = 0.65
"""Likeness of two words of which one may be the other misspelt: ``ulr`` and ``url`` have 0.67."""
_ELSEWHERE: Final[Mapping[KeyPath, KeyPath]] = {
    ("hls", "fragment"): ("hls", "segment"),
    ("hls", "part_duration"): ("hls", "part"),
    ("hls", "path"): ("hls", "directory"),
    ("hls", "playlist_length"): ("hls", "window"),
    ("hls", "segment_duration"): ("hls", "segment"),
}
"""What keys of an app are called in other servers, and here."""


def guess(path: KeyPath, keys: Iterable[KeyPath]) -> KeyPath | None:
    """The key, or section, of ``keys`` that is meant by ``path``; None if that may be another as well."""
    app = path[1] if path[0] == APPS and len(path) > 2 else SOME_APP
    known = frozenset(key for key in keys if key[0] != APPS or key[1:2] in ((), (app,), (SOME_APP,)))
    here = [key for key in known if key[0] != APPS or key[1:2] in ((), (app,))]
    return (
        _in_an_app(path, known) or _by_another_word(path) or _most_similar(path, here) or _moved(path, here)
    )


def _in_an_app(path: KeyPath, known: Collection[KeyPath]) -> KeyPath | None:
    """Where ``apps`` or the name of the app was forgotten."""

    def is_there(place: KeyPath) -> bool:
        whole = (APPS, SOME_APP, *place)
        return bool(place) and any(key[: len(whole)] == whole for key in known)

    if path[0] != APPS and is_there(path[1:]):
        return (APPS, *path)
    rest = path[1:] if path[0] == APPS else path
    return (APPS, SOME_APP, *rest) if is_there(rest) else None


def _by_another_word(path: KeyPath) -> KeyPath | None:
    """Where another server calls it so."""
    ours = _ELSEWHERE.get(path[2:])
    return (*path[:2], *ours) if ours and path[0] == APPS else None


def _most_similar(path: KeyPath, known: Iterable[KeyPath]) -> KeyPath | None:
    """Where words are misspelt."""
    likeness, meant = max((_likeness(path, key), key) for key in known)
    return meant if likeness else None


def _likeness(path: KeyPath, key: KeyPath) -> float:
    """Up to 1; 0 where some word is no other misspelt."""
    if len(path) != len(key):
        return 0.0
    words = list(map(_ratio, path, key))
    return sum(words) / len(words) if min(words) >= _LEAST else 0.0


def _ratio(word: str, other: str) -> float:
    pieces = word.split("_"), other.split("_")
    if len(pieces[0]) == len(pieces[1]) > 1:  # max_bytes is not max_streams.
        return min(map(_ratio, *pieces))
    return SequenceMatcher(None, word, other, autojunk=False).ratio()


def _moved(path: KeyPath, known: Collection[KeyPath]) -> KeyPath | None:
    """Where it stands in a section above or below the right one, or in one that there is not; of a word of
    several sections, such as ``enabled``, nobody knows.
    """
    section = path[:-1]
    found = [key for key in known if key[-1] == path[-1]]
    if not any(_is_above(section, key[:-1]) for key in known):
        return found[0] if len(found) == 1 else None
    found = [key for key in found if (key[0] == APPS) == (path[0] == APPS)]
    if len(found) != 1 or not (_is_above(section, found[0][:-1]) or _is_above(found[0][:-1], section)):
        return None
    return found[0]


def _is_above(section: KeyPath, other: KeyPath) -> bool:
    return other[: len(section)] == section
