from __future__ import annotations

from pathlib import Path

import pytest
from shelf_kit import NOW, known

from rtmpd.engine.key import StreamKey
from rtmpd.outputs.afterwork_words import RemovalReason, Step
from rtmpd.outputs.catalog import Entry
from rtmpd.outputs.retention import KeepRules, laxest, removals

ROOT = Path("/recordings")


def entry(name: str, age: float, size: int = 10, step: Step = Step.NONE, app: str = "live") -> Entry:
    path = ROOT / name
    about = known(path, ROOT, step, StreamKey(app, "show"))
    return Entry(str(path), str(ROOT), size, NOW - age, about)


FOUR = [entry("d", 4), entry("a", 1), entry("c", 3), entry("b", 2)]


def gone(entries: list[Entry], rules: KeepRules) -> list[tuple[str, RemovalReason]]:
    found = removals(entries, lambda _entry: rules, NOW)
    return [(Path(each.entry.path).name, each.reason) for each in found]


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        (KeepRules(), []),
        (KeepRules(max_age=2.5), [("d", RemovalReason.AGE), ("c", RemovalReason.AGE)]),
        (KeepRules(max_files=3), [("d", RemovalReason.COUNT)]),
        (KeepRules(max_bytes=29), [("d", RemovalReason.SIZE), ("c", RemovalReason.SIZE)]),
        (KeepRules(max_age=3.5, max_files=2), [("d", RemovalReason.AGE), ("c", RemovalReason.COUNT)]),
        (KeepRules(max_files=4, max_bytes=40), []),
    ],
)
def test_the_oldest_go_until_the_rest_is_kept(
    rules: KeepRules, expected: list[tuple[str, RemovalReason]]
) -> None:
    assert gone(FOUR, rules) == expected


def test_what_waits_stays_and_counts() -> None:
    entries = [entry("d", 4, step=Step.UPLOAD), entry("c", 3), entry("b", 2)]
    assert gone(entries, KeepRules(max_files=1)) == [
        ("c", RemovalReason.COUNT),
        ("b", RemovalReason.COUNT),
    ]
    assert gone(entries, KeepRules(max_age=0.1)) == [("c", RemovalReason.AGE), ("b", RemovalReason.AGE)]


def test_each_group_counts_for_itself() -> None:
    entries = [entry("a", 2), entry("b", 1), entry("c", 2, app="vod"), entry("d", 1, app="vod")]

    def rules_of(each: Entry) -> KeepRules:
        app = "" if each.key is None else each.key.app
        return KeepRules(app, max_files=1 if app == "live" else 0)

    assert [Path(each.entry.path).name for each in removals(entries, rules_of, NOW)] == ["a"]


def test_of_several_rules_what_keeps_most_holds() -> None:
    strict, lax = KeepRules("a", 10.0, 5, 100), KeepRules("b", 20.0, 0, 50)
    assert laxest({strict}) == strict
    assert laxest({strict, lax}) == KeepRules("", 20.0, 0, 100)
    assert laxest(set()).keeps_all
