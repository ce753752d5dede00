"""Which recorded files are to go: those that are too old, too many or too large together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass

from rtmpd.outputs.afterwork_words import RemovalReason
from rtmpd.outputs.catalog import Entry


@dataclass(frozen=True, slots=True)
class KeepRules:
    """What is kept; 0 is without an end. ``group`` says what counts together: the same for the same table."""

    group: str = ""
    max_age: float = 0.0
    """Seconds since the file was finished."""
    max_files: int = 0
    max_bytes: int = 0

    @property
    def keeps_all(self) -> bool:
        """Nothing ever goes by itself."""
        return not (self.max_age or self.max_files or self.max_bytes)


def laxest(rules: Collection[KeepRules]) -> KeepRules:
    """Those that keep most, where it is not known which hold: what one of them keeps is kept."""
    if len(rules) == 1:
        return next(iter(rules))
    found = [(each.max_age, each.max_files, each.max_bytes) for each in rules]
    most = [0 if 0 in values else max(values) for values in zip(*found, strict=True)]
    return KeepRules("", *most) if most else KeepRules()


@dataclass(frozen=True, slots=True)
class Removal:
    """One file that is to go."""

    entry: Entry
    reason: RemovalReason


def removals(
    entries: Iterable[Entry], rules_of: Callable[[Entry], KeepRules], now: float
) -> Iterator[Removal]:
    """The oldest first. ``now`` is in seconds since 1970.

    What still waits for something stays, and counts among those that are kept.
    """
    groups: dict[KeepRules, list[Entry]] = defaultdict(list)
    for entry in entries:
        rules = rules_of(entry)
        if not rules.keeps_all:
            groups[rules].append(entry)
    for rules, files in groups.items():
        yield from _of_group(files, rules, now)


def _of_group(files: list[Entry], rules: KeepRules, now: float) -> Iterator[Removal]:
    number, size = len(files), sum(entry.size for entry in files)
    if _fits(rules, number, size):
        # Hundred thousand that all stay are not sorted, which would hold up whoever shares the interpreter.
        files = [entry for entry in files if rules.max_age and now - entry.changed_at > rules.max_age]
    # By a number alone, which takes a fifth of the time: nobody else has the interpreter meanwhile.
    files.sort(key=lambda entry: entry.changed_at)
    for entry in files:
        reason = _reason(entry, rules, now, number, size)
        if reason is None:
            return
        if not entry.waits:
            number, size = number - 1, size - entry.size
            yield Removal(entry, reason)


def _fits(rules: KeepRules, number: int, size: int) -> bool:
    too_many = rules.max_files and number > rules.max_files
    return not too_many and not (rules.max_bytes and size > rules.max_bytes)


def _reason(entry: Entry, rules: KeepRules, now: float, number: int, size: int) -> RemovalReason | None:
    if rules.max_age and now - entry.changed_at > rules.max_age:
        return RemovalReason.AGE
    if _fits(rules, number, size):
        return None
    return RemovalReason.COUNT if rules.max_files and number > rules.max_files else RemovalReason.SIZE
