"""All that the dialects are made of, asked for once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from rtmpd.control.actor import Actor
from rtmpd.control.control import Control
from rtmpd.control.server_answers import ServerInfo
from rtmpd.control.session_answers import Session, SessionQuery, StreamUse, UseKind
from rtmpd.control.stream_answers import StreamQuery, StreamState, StreamSummary
from rtmpd.engine.key import StreamKey

_PART: Final = 1000
"""Of a list, asked for at a time."""


@dataclass(frozen=True, slots=True)
class Survey:
    """The server, its streams and who is connected, at one moment."""

    server: ServerInfo
    streams: Sequence[StreamSummary]
    """Sorted by app and name."""
    sessions: Sequence[Session]
    """The oldest first; not all of them if that was not wanted."""

    @property
    def now(self) -> datetime:
        """When that was."""
        return self.server.started + timedelta(seconds=self.server.uptime_seconds)

    def on_air(self) -> list[StreamSummary]:
        """Streams that somebody publishes."""
        return [each for each in self.streams if each.state is StreamState.LIVE]

    def uses(self, *, files: bool = False) -> dict[tuple[str, str], list[tuple[Session, StreamUse]]]:
        """Who publishes and plays a stream, by its app and name; who pushes it on plays. Or who plays
        ``files``.
        """
        found: dict[tuple[str, str], list[tuple[Session, StreamUse]]] = {}
        for session in self.sessions:
            for use in session.uses:
                if use.file is not files:
                    continue
                found.setdefault((use.app, use.name), []).append((session, use))
        return found


async def survey(control: Control, by: Actor, most_sessions: int | None = None) -> Survey:
    """What ``by`` may see, of sessions the ``most_sessions`` oldest, all if that is None."""
    server = await control.server.info(by)
    return Survey(server, await all_streams(control, by), await all_sessions(control, by, most_sessions))


async def survey_of(control: Control, by: Actor, key: StreamKey) -> Survey:
    """The same of one stream alone. Raises NotFound."""
    stream = await control.streams.get(key, by)
    sessions = await all_sessions(control, by, stream=str(key))
    return Survey(await control.server.info(by), (stream,), sessions)


async def outline(control: Control, by: Actor) -> Survey:
    """The server alone."""
    return Survey(await control.server.info(by), (), ())


async def all_streams(control: Control, by: Actor) -> list[StreamSummary]:
    """Every stream that ``by`` may see."""
    found: list[StreamSummary] = []
    after: str | None = None
    while True:
        page = await control.streams.list(StreamQuery(limit=_PART, after=after), by)
        found += page.items
        after = page.next
        if after is None:
            return found


async def all_sessions(
    control: Control, by: Actor, most: int | None = None, stream: str | None = None
) -> list[Session]:
    """Every session that ``by`` may see, or the ``most`` oldest; of one stream if that is given."""
    found: list[Session] = []
    after: str | None = None
    while most is None or len(found) < most:
        limit = _PART if most is None else min(_PART, most - len(found))
        page = await control.sessions.list(SessionQuery(limit=limit, after=after, stream=stream), by)
        found += page.items
        after = page.next
        if after is None:
            break
    return found


def publishes(use: StreamUse) -> bool:
    """It does not play."""
    return use.action is UseKind.PUBLISH
