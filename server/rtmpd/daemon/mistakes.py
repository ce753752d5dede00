"""What is wrong with a configuration, a sentence for each mistake: who wrote it, the key, what to write."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping, Sequence

from pydantic_core import ErrorDetails

from rtmpd.daemon.app_config import APPS
from rtmpd.daemon.config import REMOVED_KEYS
from rtmpd.daemon.keys import Key, walk_some
from rtmpd.daemon.sources import Given
from rtmpd.daemon.values import KeyPath, parse_list, quote, spell, spell_for


def explain_misplaced(path: KeyPath, item: Given, keys: Mapping[KeyPath, Key]) -> str:
    """What is wrong with the place of a value."""
    origin = item.origin
    name = _printable(spell(path))
    keys = dict(keys) | {key.path: key for key in walk_some()}
    below = [known for known in keys if known[: len(path)] == path]
    if below:
        return f"{name} is a section, not a key: set one of its keys, such as {spell_for(below[0], origin)}"
    for length in range(1, len(path)):
        if path[:length] in keys and not any(known[:length] == path[:length] != known for known in keys):
            above = f"{name}: {spell(path[:length])} is a"
            if keys[path[:length]].is_list:
                return f"{above} list: put what it holds in brackets, [...]"
            return f"{above} single value and has no keys below it"
    if name in REMOVED_KEYS:
        return f"{name}: there is no such key any more; {REMOVED_KEYS[name]}"
    kind = "section" if item.value == {} else "key"
    known = {key[:-1] for key in keys if len(key) > 1} if kind == "section" else keys
    meant = _suggest(path, known)
    advice = f"did you mean {spell_for(meant, origin)}?" if meant else "rtmpd check lists all keys"
    return f"{name}: there is no such {kind}; {advice}"


def _suggest(path: KeyPath, keys: Collection[KeyPath]) -> KeyPath | None:
    """The key that was probably meant: one of an app, the same word elsewhere, or the most similar path."""
    of_app = (APPS, *path)
    if any(known[:1] == (APPS,) and known[2 : len(of_app)] == path[1:] for known in keys) and path[1:]:
        return of_app
    moved = [known for known in keys if known[-1] == path[-1]]
    by_name = {".".join(known): known for known in moved or keys}
    close = difflib.get_close_matches(".".join(path), by_name, n=1, cutoff=0.0 if moved else 0.6)
    return by_name[close[0]] if close else None


def explain(details: ErrorDetails, given: Mapping[KeyPath, Given], keys: Mapping[KeyPath, Key]) -> str:
    """One mistake: who wrote it, the key, what is wrong, what to write instead."""
    context = details.get("ctx", {})
    location = tuple(str(part) for part in details["loc"])
    if details["type"] == "conflict":
        named = [str(context[name]) for name in ("low_key", "high_key") if name in context]
        return explain_conflict(named, details["msg"], given)
    places = {keys[path].place: keys[path] for path in given}
    place = next(location[:end] for end in range(len(location), 0, -1) if location[:end] in places)
    key = places[place]
    item = given[key.path]
    return f"{item.origin}: {key.name}: {_number(details, place, item)}{_sentence(details, key)}"


def explain_conflict(named: Sequence[str], text: str, given: Mapping[KeyPath, Given]) -> str:
    """What is wrong with keys that are right by themselves: who wrote them, and ``text``."""
    by_name = {spell(path): item.origin for path, item in given.items()}
    said = [by_name[name] for name in named if name in by_name]
    # What is missing was forgotten by whoever gave the rest of its section.
    section = named[0].rpartition(".")[0] + "."
    beside = [origin for name, origin in by_name.items() if name.startswith(section)]
    return f"{', '.join(dict.fromkeys(said or beside))}: {text}"


def _number(details: ErrorDetails, place: KeyPath, item: Given) -> str:
    """Which of several values in a list is meant."""
    values = parse_list(item.value)
    several = isinstance(values, list) and len(values) > 1
    index = details["loc"][len(place) :]
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
            return f"{value} is out of range: it {words} {context[name]:.15g} {key.unit}".rstrip()
        case _:
            return f"{value}: {details['msg']}"


def _printable(text: str) -> str:
    return text if text.isprintable() else ascii(text)
