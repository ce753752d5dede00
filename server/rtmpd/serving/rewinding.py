"""Players that begin in the past of a live stream: what they ask for, and the joint to whoever keeps it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Protocol

from rtmpd.engine.key import StreamKey
from rtmpd.exceptions import Refused
from rtmpd.reasons import Refusal
from rtmpd.rtmp.constants import StatusCode
from rtmpd.rtmp.events import PlayRequested
from rtmpd.rtmp.url import parse_query

_START: Final = "start"
"""The field of a query that says where to begin."""
_SECONDS: Final = re.compile(r"-?[0-9]{1,9}(?:\.[0-9]{1,6})?")


@dataclass(frozen=True, slots=True)
class Moment:
    """Somewhere in a live stream."""

    ago: float | None
    """So many seconds before what players see now; None if the stream's own time says it:"""
    time: int = 0
    """64-bit ms."""


class Past(Protocol):
    """Whoever keeps what streams have been."""

    def find(self, key: StreamKey, moment: Moment) -> int:
        """The audience that is shown the stream from there on, for ``PlayOptions.apart``: somebody has to
        be attached at once. 0 where that is what players see now, or nothing is kept of it.
        """


class NoPast:
    """Of whom nothing is kept."""

    def find(self, _key: StreamKey, _moment: Moment) -> int:
        """Never."""
        return 0


def asked_moment(event: PlayRequested) -> Moment | None:
    """Where a player wants to begin, if not where everybody does. Raises ``Refused`` if nobody can tell.

    The query goes before the start of the play, which is a time of the stream in ms, as that of a file is.
    """
    text = parse_query(event.query).get(_START) if _START in event.query else None
    if text is None:
        return Moment(None, int(event.start)) if event.start > 0 else None
    if _SECONDS.fullmatch(text) is None:
        what = "start=-30 is 30 seconds ago, start=600 is 10 minutes after the stream began"
        raise Refused(StatusCode.PLAY_FAILED, f"Nothing can begin there: {what}.", Refusal.START)
    seconds = float(text)
    return Moment(-seconds) if text.startswith("-") else Moment(None, int(seconds * 1000))
