"""What becomes of a stream, told once it has: in the log, in the statistics, to observers."""

from __future__ import annotations

import logging

from rtmpd.engine.claim import HoldEnd, SwitchReason
from rtmpd.engine.key import StreamKey
from rtmpd.engine.observer import StreamObserver
from rtmpd.engine.publication import Publication
from rtmpd.engine.slate import Slate, SlateEnd
from rtmpd.engine.stats import ServerStats, Totals, count

_logger = logging.getLogger(__name__)


class Chronicle:
    """Of one stream: which of its encoders is on air, and what its audience waits for."""

    __slots__ = ("_branch", "_key", "_observer", "_server_stats", "_totals")

    def __init__(
        self,
        key: StreamKey,
        totals: Totals,
        server_stats: ServerStats,
        observer: StreamObserver,
        branch: str,
    ) -> None:
        self._key = key
        self._branch = branch
        """Who alone is sent the stream."""
        self._totals = totals
        self._server_stats = server_stats
        self._observer = observer

    def switched(self, to: Publication, before: Publication | None, now: float) -> None:
        """``to`` goes on behind ``before``: told if that is the other encoder of the stream."""
        if before is None or before.place.backup is to.place.backup:
            return
        source, silent = to.place.source, before.silent_for(now)
        if before.closed:
            why = SwitchReason.LOST
        else:
            why = SwitchReason.SILENT if to.place.backup else SwitchReason.HANDED_BACK
        for totals in (self._totals, self._server_stats):
            count(totals.switches, source)
        fields = self._whose() | {
            "session": to.origin.session_id,
            "source": source,
            "reason": why,
            "silent": round(silent, 3),
        }
        _logger.info("stream switched", extra={"fields": fields})
        self._observer.switched(to, why, silent)

    def held(self, lost: Publication, seconds: float) -> None:
        """The audience waits for an encoder that was lost."""
        self._server_stats.held_streams += 1
        fields = self._whose() | {
            "session": lost.origin.session_id,
            "reason": None if lost.ending is None else lost.ending.reason,
            "seconds": seconds,
        }
        _logger.info("stream held", extra={"fields": fields})

    def slate_on(self, lost: Publication, slate: Slate) -> None:
        """Something else is shown instead of an encoder that is silent, or was lost."""
        self._server_stats.slates.begin(slate)
        fields = self._whose() | {
            "session": lost.origin.session_id,
            "slate": slate,
        }
        _logger.info("slate on air", extra={"fields": fields})
        self._observer.slate_shown(lost, slate, self._branch)

    def slate_off(self, lost: Publication, slate: Slate, why: SlateEnd, seconds: float) -> None:
        """It is shown no more, after so many seconds."""
        self._server_stats.slates.end(seconds)
        fields = self._whose() | {
            "session": lost.origin.session_id,
            "slate": slate,
            "reason": why,
            "seconds": round(seconds, 3),
        }
        _logger.info("slate off air", extra={"fields": fields})
        self._observer.slate_over(lost, slate, self._branch, why, seconds)

    def held_no_more(self, lost: Publication, why: HoldEnd, outage: float | None) -> None:
        """It waits no more."""
        self._server_stats.held_streams -= 1
        count(self._server_stats.holds_ended, why)
        fields = self._whose() | {
            "session": lost.origin.session_id,
            "reason": why,
            "outage": outage,
        }
        _logger.info("stream held no more", extra={"fields": fields})

    def _whose(self) -> dict[str, object]:
        return {"app": self._key.app, "stream": self._key.name, "target": self._branch or None}
