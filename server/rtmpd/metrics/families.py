"""What metrics are made of, in no particular format."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Literal, Self, TypeVar

from rtmpd.engine.stats import Histogram

Label = TypeVar("Label", bound=str)


@dataclass(frozen=True, slots=True)
class Family:
    """One metric: its name without ``_total``, its help text, its label names and its samples."""

    kind: Literal["counter", "gauge"]
    name: str
    text: str
    labels: tuple[str, ...] = ()
    samples: list[tuple[tuple[str, ...], float]] = field(default_factory=list)
    """Label values in the order of ``labels``, and the value."""

    def add(self, labels: tuple[str, ...], value: float) -> None:
        self.samples.append((labels, value))

    def with_value(self, value: float) -> Self:
        """This family with its only sample, for a metric without labels."""
        self.add((), value)
        return self

    def with_table(self, table: Mapping[Label, int], known: Iterable[Label] = ()) -> Self:
        """This family with a sample for each value of its only label, in a stable order.

        The ``known`` values are there from the start, at 0: rate() cannot see a series come to be.
        """
        counts = dict.fromkeys(map(str, known), 0) | {str(label): number for label, number in table.items()}
        for label in sorted(counts):
            self.add((label,), counts[label])
        return self


@dataclass(frozen=True, slots=True)
class HistogramFamily:
    """A histogram as it was at one moment."""

    name: str
    text: str
    bounds: tuple[float, ...]
    """Inclusive upper bounds; one more bucket has none."""
    counts: tuple[int, ...]
    """Per bucket, not cumulative."""
    sum: float

    @classmethod
    def of(cls, name: str, text: str, histogram: Histogram) -> Self:
        return cls(name, text, histogram.bounds, tuple(histogram.counts), histogram.sum)


AnyFamily = Family | HistogramFamily
Renames = Mapping[str, tuple[str, str]]
"""Old names of families, without ``_total``, each with the new one and the version that brought it."""
RENAMED_METRICS: Final[Renames] = {}
"""A test fails once an entry is a minor version old: then it goes."""


def with_old_names(families: Iterable[AnyFamily], renames: Renames) -> Iterator[AnyFamily]:
    """``families``, and those of them that have had another name under that too."""
    old_names = {new: old for old, (new, _) in renames.items()}
    for family in families:
        yield family
        old = old_names.get(family.name)
        if old is not None:
            text = f"Old name of {family.name}, which the next minor version will not have. {family.text}"
            yield replace(family, name=old, text=text)
