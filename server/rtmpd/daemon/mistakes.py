"""What is wrong with a configuration, a sentence for each mistake: who wrote it, the key, what to write."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic_core import ErrorDetails

from rtmpd.daemon.config import REMOVED_KEYS
from rtmpd.daemon.guesses import guess
from rtmpd.daemon.keys import Key, walk_some
from rtmpd.daemon.sources import Given
from rtmpd.daemon.values import KeyPath, format_bound, parse_list, quote, spell, spell_for


def explain_misplaced(path: KeyPath, item: Given, keys: Mapping[KeyPath, Key]) -> str:
    """What is wrong with the place of a value."""
    origin = item.origin
    name = _printable(spell(path))
    keys = dict(keys) | {key.path: key for key in walk_some()}
    below = [known for known in keys if known[: len(path)] == path]
    if below:
        return f"{name} is a section, not a key: set one of its keys, such as {spell_for(below[0], origin)}"
    if (above := list_above(path, keys)) is not None:
        return f"{spell(above)} is a list: {_tables(above)}"
    for length in range(1, len(path)):
        if path[:length] in keys and not any(known[:length] == path[:length] != known for known in keys):
            said = spell(path[:length])
            if keys[path[:length]].is_list:
                return f"{name}: {said} is a list: put what it holds in brackets, [...]"
            return f"{name}: {said} is a single value and has no keys below it"
    if name in REMOVED_KEYS:
        return f"{name}: there is no such key any more; {REMOVED_KEYS[name]}"
    kind = "section" if item.value == {} else "key"
    known = {key[:-1] for key in keys if len(key) > 1} if kind == "section" else keys
    meant = guess(path, known)
    advice = f"did you mean {spell_for(meant, origin)}?" if meant else "rtmpd check lists all keys"
    return f"{name}: there is no such {kind}; {advice}"


def list_above(path: KeyPath, keys: Mapping[KeyPath, Key]) -> KeyPath | None:
    """The list of tables that is written as one table, and ``path`` a key of it."""
    above = (path[:length] for length in range(1, len(path)))
    return next((each for each in above if each in keys and keys[each].holds_tables), None)


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
    index = next(iter(details["loc"][len(place) :]), None)
    return f"{item.origin_of(index)}: {key.name}: {_number(index, item)}{_sentence(details, key)}"


def explain_conflict(named: Sequence[str], text: str, given: Mapping[KeyPath, Given]) -> str:
    """What is wrong with keys that are right by themselves: who wrote them, and ``text``."""
    by_name = {spell(path): item.origin for path, item in given.items()}
    said = [by_name[name] for name in named if name in by_name]
    # What is missing was forgotten by whoever gave the rest of its section.
    section = named[0].rpartition(".")[0] + "."
    beside = [origin for name, origin in by_name.items() if name.startswith(section)]
    return f"{', '.join(dict.fromkeys(said or beside))}: {text}"


def _number(index: object, item: Given) -> str:
    """Which of several values in a list is meant."""
    values = parse_list(item.value)
    several = isinstance(values, list) and len(values) > 1
    return f"number {index + 1}: " if several and isinstance(index, int) else ""


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
            advice = _tables(key.path) if key.holds_tables else 'write ["one", "two"]'
            return f"{value} is not a list: {advice}"
        case kind if kind in bounds:
            name, words = bounds[kind]
            return f"{value} is out of range: it {words} {format_bound(context[name], key.unit)}"
        case _:
            return f"{value}: {details['msg']}"


def _tables(path: KeyPath) -> str:
    """How a list of tables is written."""
    return f"write [[{spell(path)}]] above each of what it holds"


def _printable(text: str) -> str:
    return text if text.isprintable() else ascii(text)
