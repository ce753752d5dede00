"""The public keys of who issues tokens: how old they are, and whether they can be had."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, Protocol

from rtmpd.metrics.families import Family

_NEVER: Final = 1e9
"""Seconds that stand for ever: promtool's tests, which the alert needs, have no infinity."""


class KeySet(Protocol):
    """Keys of one issuer."""

    @property
    def place(self) -> str:
        """Where they come from, as it may be shown."""
        ...

    @property
    def age(self) -> float:
        """Seconds since they were fetched; infinite if they never were."""
        ...

    @property
    def failures(self) -> int:
        """Fetches that were of no use."""
        ...


def collect_key_sets(key_sets: Iterable[KeySet]) -> Iterator[Family]:
    """Of each place; of several sets that look alike the oldest, and the failures of all."""
    ages: dict[str, float] = {}
    failures: dict[str, int] = {}
    for each in key_sets:
        ages[each.place] = max(min(each.age, _NEVER), ages.get(each.place, 0.0))
        failures[each.place] = each.failures + failures.get(each.place, 0)
    text = "Seconds since the keys of an issuer of tokens were fetched; 1e9 if they never were."
    age = Family("gauge", "rtmpd_jwks_age_seconds", text, ("source",))
    for place, seconds in ages.items():
        age.add((place,), seconds)
    yield age
    text = "Fetches of an issuer's keys that were of no use; those there are stay."
    failed = Family("counter", "rtmpd_jwks_fetch_failures", text, ("source",))
    for place, count in failures.items():
        failed.add((place,), count)
    yield failed
