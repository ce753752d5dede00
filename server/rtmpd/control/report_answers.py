"""What is told of who watched how much."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from pydantic import Field

from rtmpd.control.answers import Answer, Page, PageQuery


class UsageTotal(Answer):
    """Of all streams and days that were asked for."""

    peak_players: int
    """Most at a time: in the whole server, or of one stream if only some were asked for."""
    average_players: float
    """While something was published."""
    player_minutes: float
    """That players watched what was live, all of them together."""
    publish_minutes: float
    """That streams were published, all of them together."""
    file_minutes: float
    """That files were played, all plays together; these are no player minutes."""
    bytes_in: int
    """Received from publishers: media and data."""
    bytes_out: int
    """Sent to players, or about to be."""


class StreamUsage(Answer):
    """Of one stream on one day."""

    day: date
    """In the time zone of the server's machine."""
    app: str
    """Of the stream; `_other` is all that were too many to be told apart."""
    name: str
    """Of the same."""
    peak_players: int
    """Most at a time, of the file of that name included."""
    average_players: float
    """While it was published."""
    player_minutes: float
    """That players watched what was live, all of them together."""
    publish_minutes: float
    """That it was published."""
    file_minutes: float
    """That the file of that name was played, all plays together."""
    bytes_in: int
    """Received from its publisher: media and data."""
    bytes_out: int
    """Sent to its players, or about to be."""


class UsagePage(Page):
    """Who watched how much, sorted by day and stream."""

    items: tuple[StreamUsage, ...]
    """One part of it."""
    totals: UsageTotal
    """Of all parts."""
    first_day: date
    """That was asked for."""
    last_day: date
    """The same."""
    time_zone: str
    """Of the server's machine, whose days these are."""


class UsageQuery(PageQuery):
    """Which days, and which streams."""

    first_day: date | None = None
    """Such as 2026-11-01; without it six days before the last one."""
    last_day: date | None = None
    """It is included; without it today."""
    app: Annotated[str, Field(max_length=256)] | None = None
    """Only streams of this app."""
    stream: Annotated[str, Field(max_length=512)] | None = None
    """Only this stream, such as live/show."""
