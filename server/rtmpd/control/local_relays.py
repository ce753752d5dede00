"""The relays of this process, as they are told."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rtmpd.control import relay_views
from rtmpd.control.actor import Actor
from rtmpd.control.paging import build, cut
from rtmpd.control.relay_answers import RelayPage, RelayQuery
from rtmpd.relay.status import RelayStatus


class LocalRelays:
    """``control.Relays`` of this process."""

    def __init__(self, relays: Callable[[], Sequence[RelayStatus]]) -> None:
        self._relays = relays

    async def list(self, query: RelayQuery, by: Actor) -> RelayPage:
        def wanted(relay: RelayStatus) -> bool:
            return (
                by.sees(relay.key)
                and (query.app is None or relay.key.app == query.app)
                and (query.stream is None or relay.key == query.stream)
                and (query.kind is None or relay.kind == query.kind.value)
            )

        part = await cut(self._relays(), wanted, relay_views.place, query.after, query.limit)
        items = await build(part.items, relay_views.relay)
        last = None if part.last is None else relay_views.place(part.last)
        return RelayPage(items=items, next=last, total=part.total)
