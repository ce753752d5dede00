"""Events in the words of nginx-rtmp and SRS, for backends that were written for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from rtmpd.events.model import Delivery, Event, EventKind
from rtmpd.events.settings import Address
from rtmpd.hooks.dialects import speak
from rtmpd.hooks.model import Progress, RecordedFile, Visit
from rtmpd.hooks.rules import DialectName, Moment
from rtmpd.net.http_message import HttpRequest

MOMENTS: Final[Mapping[EventKind, Moment]] = {
    EventKind.PUBLISHED: Moment.PUBLISH,
    EventKind.UNPUBLISHED: Moment.PUBLISH_DONE,
    EventKind.PLAYER_JOINED: Moment.PLAY,
    EventKind.PLAYER_LEFT: Moment.PLAY_DONE,
    EventKind.RECORDING_FINISHED: Moment.RECORD_DONE,
}
"""What they have words for."""
_PLAYS: Final = (EventKind.PLAYER_JOINED, EventKind.PLAYER_LEFT)


def told(delivery: Delivery, address: Address) -> HttpRequest:
    """What such a backend is sent; nothing hangs on its answer."""
    event = delivery.event
    dialect = speak(DialectName(address.format), server_id=delivery.server)
    return dialect.write(address.url, MOMENTS[event.kind], _visit(event), _progress(event))


def _visit(event: Event) -> Visit:
    return Visit(
        action="play" if event.kind in _PLAYS else "publish",
        app=event.key.app,
        name=event.key.name,
        query=event.origin.query,
        origin=event.origin,
    )


def _progress(event: Event) -> Progress:
    seconds, size = event.facts.get("duration"), event.facts.get("bytes")
    path = event.facts.get("path")
    return Progress(
        file=RecordedFile(path, size) if isinstance(path, str) and isinstance(size, int) else None,
        seconds=seconds if isinstance(seconds, int | float) else 0.0,
        bytes_in=size if event.kind is EventKind.UNPUBLISHED and isinstance(size, int) else 0,
        bytes_out=size if event.kind is EventKind.PLAYER_LEFT and isinstance(size, int) else 0,
    )
