"""Series of the targets of notifications."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, Protocol

from rtmpd.metrics.families import Family
from rtmpd.reasons import Word

_LABELS: Final = ("target",)


class NotifyStatus(Protocol):
    """A target at one moment; ``rtmpd.events.delivery.NotifyStatus`` is one."""

    @property
    def name(self) -> str: ...

    @property
    def sent(self) -> int: ...

    @property
    def failures(self) -> Mapping[Word, int]:
        """Attempts that failed, by reason; those that have not happened at 0."""
        ...

    @property
    def lost(self) -> Mapping[Word, int]:
        """What was given up, as above."""
        ...

    @property
    def queued(self) -> int: ...

    @property
    def oldest_seconds(self) -> float: ...


def collect_notifications(targets: Sequence[NotifyStatus]) -> Iterator[Family]:
    """All families; there are as many targets as the settings name."""
    sent = Family("counter", "rtmpd_notify_sent", "Notifications that a target has taken.", _LABELS)
    failures = Family(
        "counter", "rtmpd_notify_failures", "Attempts to notify a target that failed.", (*_LABELS, "reason")
    )
    lost = Family("counter", "rtmpd_notify_lost", "Notifications that were given up.", (*_LABELS, "reason"))
    queued = Family("gauge", "rtmpd_notify_queued", "Notifications that wait for a target.", _LABELS)
    oldest = Family(
        "gauge", "rtmpd_notify_oldest_seconds", "How long the oldest of them has waited, or 0.", _LABELS
    )
    for target in targets:
        sent.add((target.name,), target.sent)
        for family, numbers in ((failures, target.failures), (lost, target.lost)):
            for reason, number in numbers.items():
                family.add((target.name, str(reason)), number)
        queued.add((target.name,), target.queued)
        oldest.add((target.name,), target.oldest_seconds)
    yield from (sent, failures, lost, queued, oldest)
