"""Who watched how much, of what this process and those before it have stored."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Final

from rtmpd.control.actor import Actor
from rtmpd.control.paging import build
from rtmpd.control.report_answers import StreamUsage, UsagePage, UsageQuery, UsageTotal
from rtmpd.control.stored import NO_PLACE, DayOfStream, StoredUsage, SumsOfUsage
from rtmpd.engine.key import StreamKey
from rtmpd.exceptions import Conflict, NotPossible, StateUnusable
from rtmpd.reasons import Problem

_USUAL_DAYS: Final = 7
_MOST_DAYS: Final = 3660
_EARLIEST: Final = date(2000, 1, 1)
_LATEST: Final = date(2999, 12, 31)


class LocalReports:
    """``control.Reports`` of this process."""

    def __init__(self, stored: StoredUsage, wall_clock: Callable[[], float]) -> None:
        self._stored = stored
        self._wall_clock = wall_clock

    async def usage(self, query: UsageQuery, by: Actor) -> UsagePage:
        first, last = self._days(query)

        def wanted(app: str, name: str) -> bool:
            return query.app in (None, app) and query.stream in (None, f"{app}/{name}") and sees(app, name)

        def sees(app: str, name: str) -> bool:
            return not by.is_scoped or by.sees(StreamKey(app, name))

        try:
            part = await self._stored.usage(first, last, wanted, query.after, query.limit)
        except StateUnusable as error:
            raise Conflict(Problem.NOT_STORED, f"what is stored cannot be read: {error}") from error
        if part is None:
            raise Conflict(Problem.NOT_STORED, NO_PLACE)
        whole = not by.is_scoped and query.app is None and query.stream is None
        return UsagePage(
            items=await build(part.rows, _day),
            next=part.rows[-1].place if part.more else None,
            total=part.sums.number,
            totals=_total(part.sums, part.together if whole else part.sums),
            first_day=first,
            last_day=last,
            time_zone=time.localtime(self._wall_clock()).tm_zone,
        )

    def _days(self, query: UsageQuery) -> tuple[date, date]:
        if not all(_EARLIEST <= each <= _LATEST for each in (query.first_day, query.last_day) if each):
            raise NotPossible(
                Problem.BAD_REQUEST, f"no days before {_EARLIEST} or after {_LATEST} are told of"
            )
        today = datetime.fromtimestamp(self._wall_clock(), UTC).astimezone().date()
        last = query.last_day or max(today, query.first_day or today)
        first = query.first_day or last - timedelta(days=_USUAL_DAYS - 1)
        if not 0 <= (last - first).days < _MOST_DAYS:
            text = f"{first} to {last}: give the first day first, and {_MOST_DAYS} days at most"
            raise NotPossible(Problem.BAD_REQUEST, text)
        return first, last


def _day(row: DayOfStream) -> StreamUsage:
    return StreamUsage(
        day=row.day,
        app=row.app,
        name=row.name,
        peak_players=row.peak,
        average_players=_average(row.player_seconds, row.live_seconds),
        player_minutes=_minutes(row.player_seconds),
        publish_minutes=_minutes(row.live_seconds),
        file_minutes=_minutes(row.file_seconds),
        bytes_in=row.bytes_in,
        bytes_out=row.bytes_out,
    )


def _total(sums: SumsOfUsage, peaks: SumsOfUsage) -> UsageTotal:
    """Of ``sums``; how many players there were at a time, and for how long any, ``peaks`` say."""
    return UsageTotal(
        peak_players=peaks.peak,
        average_players=_average(sums.player_seconds, peaks.live_seconds),
        player_minutes=_minutes(sums.player_seconds),
        publish_minutes=_minutes(sums.live_seconds),
        file_minutes=_minutes(sums.file_seconds),
        bytes_in=sums.bytes_in,
        bytes_out=sums.bytes_out,
    )


def _average(player_seconds: float, seconds: float) -> float:
    return round(player_seconds / seconds, 2) if seconds else 0.0


def _minutes(seconds: float) -> float:
    return round(seconds / 60, 2)
