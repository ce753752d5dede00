"""What becomes of notifications that do not arrive, and how a target gets on."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Final

from rtmpd.net.http_message import HttpAnswer
from rtmpd.reasons import HttpFailure, Word

_MOST_RETRY_AFTER: Final = 3600.0
"""Seconds; whoever asks for more is asked again then all the same."""
_NUMBER: Final = re.compile(r"\d+(\.\d+)?", re.ASCII)
"""Digits alone in the standard; Discord has fractions."""
_UNREADABLE: Final = frozenset({400, 413, 422})
"""Statuses that speak of this very request: the next may be taken."""
_LATER: Final = frozenset({408, 425, 429})
"""Statuses that say nothing but to come again."""


class NotifyFailure(Word):
    """A target has answered, and has not taken the notification. ``HttpFailure`` has the rest."""

    STATUS = "status", "it answered, and with another status than 2xx"
    RATE_LIMITED = "rate_limited", "it answered 429: not so fast"
    FAULT = "fault", "an error of the server's own: the log has its traceback"


class NotifyLoss(Word):
    """A notification is given up."""

    QUEUE_FULL = "queue_full", "`notify.NAME.max_queued` others waited already: the oldest goes"
    EXPIRED = "expired", "it had waited for `notify.NAME.keep`"
    REFUSED = "refused", "the target says that it cannot be read (400, 413, 422)"
    MEMORY = "memory", "memory was short (`memory.max_bytes`)"
    FAULT = "fault", "an error of the server's own: the log has its traceback"
    REMOVED = "removed", "the target is not in the settings any more, or not `enabled`"
    SHUTDOWN = "shutdown", "the server ended, and `shutdown.drain_timeout` was not enough"


@dataclass(frozen=True, slots=True)
class NotTaken:
    """Why an attempt failed."""

    reason: HttpFailure | NotifyFailure
    text: str
    """For people; without secrets."""
    retry_after: float = 0.0
    """Seconds that the target asks for."""
    loss: NotifyLoss | None = None
    """Another attempt at the same makes no sense, and why."""


def judge(answer: HttpAnswer, now: float, *, heeded: bool = True) -> NotTaken | None:
    """What an answer means that came ``now`` (seconds since 1970); None if all is well.

    One that is not ``heeded`` need only have come of whoever was told.
    """
    status = answer.status
    if 200 <= status < 300 or not (heeded or status >= 500 or status in _LATER):
        return None
    wait = _seconds(answer.retry_after, now)
    if status == 429:
        return NotTaken(NotifyFailure.RATE_LIMITED, "it answered HTTP 429, not so fast", wait)
    loss = NotifyLoss.REFUSED if status in _UNREADABLE else None
    return NotTaken(NotifyFailure.STATUS, f"it answered HTTP {status}", wait, loss)


def _seconds(retry_after: str, now: float) -> float:
    """How long to wait (RFC 9110, section 10.2.3): from seconds or a date; 0 if it says nothing."""
    text = retry_after.strip()
    try:
        wait = float(text) if _NUMBER.fullmatch(text) else parsedate_to_datetime(text).timestamp() - now
    except (ValueError, OverflowError):
        return 0.0
    return min(max(wait, 0.0), _MOST_RETRY_AFTER)


@dataclass(slots=True)
class NotifyStats:
    """What has become of a target's notifications; every reason is there from the start."""

    sent: int = 0
    failures: dict[Word, int] = field(
        default_factory=lambda: dict.fromkeys((*HttpFailure, *NotifyFailure), 0)
    )
    """Attempts that failed."""
    lost: dict[Word, int] = field(default_factory=lambda: dict.fromkeys(NotifyLoss, 0))


@dataclass(frozen=True, slots=True)
class NotifyStatus:
    """A target at one moment. Nothing here is secret; the tables are live."""

    name: str
    sent: int
    failures: Mapping[Word, int]
    lost: Mapping[Word, int]
    queued: int
    oldest_seconds: float
    """How long the oldest that is queued has waited; 0 if there is none."""
