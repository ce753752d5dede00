"""What this process and the one before it push to other servers, and fetch from them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

from rtmpd.control import relay_views
from rtmpd.control.actor import Actor
from rtmpd.control.answers import Carrier
from rtmpd.control.audit import Attempt, Audit, Change
from rtmpd.control.before import Before, ask_if_there, read, read_items
from rtmpd.control.local_pulls import LocalPulls
from rtmpd.control.local_pushes import LocalPushes
from rtmpd.control.local_relays import LocalRelays
from rtmpd.control.questions import spell_stream
from rtmpd.control.relay_answers import NewRelay, PushRequest, Relay, RelayKind, RelayPage, RelayQuery
from rtmpd.engine.key import StreamKey
from rtmpd.relay.status import RelayStatus


class JoinedRelays:
    """``control.Relays`` of both. One that both have is told by who has its stream."""

    def __init__(self, local: LocalRelays, before: Before) -> None:
        self._local = local
        self._before = before

    async def list(self, query: RelayQuery, by: Actor) -> RelayPage:
        ours = await self._local.list(query, by)
        said = await ask_if_there(self._before, "relays", query.model_dump(mode="json"), by)
        if not said:
            return ours
        theirs = {relay_views.place_of(each): each for each in map(_theirs, read_items(Relay, said))}
        here = {relay_views.place_of(each): each for each in ours.items}
        both = here.keys() & theirs.keys()
        found = {**here, **{place: each for place, each in theirs.items() if place not in both or each.bytes}}
        places = sorted(found)
        more = bool(ours.next or said.get("next")) or len(places) > query.limit
        places = places[: query.limit]
        return RelayPage(
            items=tuple(found[place] for place in places),
            next=places[-1] if more and places else None,
            total=ours.total + int(said.get("total") or 0) - len(both),
        )


class JoinedPushes:
    """``control.Pushes`` of both: what is done to a target is done where its stream is."""

    def __init__(
        self,
        local: LocalPushes,
        before: Before,
        relays: Callable[[], Sequence[RelayStatus]],
        audit: Audit,
    ) -> None:
        self._local = local
        self._before = before
        self._relays = relays
        self._audit = audit

    async def add(self, key: StreamKey, request: PushRequest, by: Actor) -> NewRelay:
        told = await self._local.add(key, request, by)
        await self._follow("add", key, by, request=request.model_dump(mode="json"))
        return told

    async def remove(self, key: StreamKey, relay_id: str, by: Actor) -> None:
        if self._is_ours(key, relay_id) or await self._there(key, relay_id, by) is None:
            await self._local.remove(key, relay_id, by)
            await self._follow("remove", key, by, relay=relay_id)
            return
        with self._attempt(Change.REMOVE_PUSH, key, relay_id, by):
            await self._before.ask("push", _spell("remove", key, relay=relay_id), by)

    async def switch_off(self, key: StreamKey, relay_id: str, by: Actor) -> Relay:
        told = await self._local.switch_off(key, relay_id, by)
        await self._follow("off", key, by, relay=relay_id)
        return told

    async def switch_on(self, key: StreamKey, relay_id: str, by: Actor) -> Relay:
        told = await self._local.switch_on(key, relay_id, by)
        await self._follow("on", key, by, relay=relay_id)
        return told

    async def restart(self, key: StreamKey, relay_id: str, by: Actor) -> Relay:
        if await self._there(key, relay_id, by) is None:
            return await self._local.restart(key, relay_id, by)
        with self._attempt(Change.RESTART_PUSH, key, relay_id, by):
            said = await self._before.ask("push", _spell("restart", key, relay=relay_id), by)
            return _theirs(read(Relay, said))

    # Inside

    def _attempt(
        self, change: Change, key: StreamKey, relay_id: str, by: Actor
    ) -> AbstractContextManager[Attempt]:
        return self._audit.attempt(by, change, f"{key} {relay_id}")

    def _is_ours(self, key: StreamKey, relay_id: str) -> bool:
        return any((each.kind, each.key, each.id) == ("push", key, relay_id) for each in self._relays())

    async def _there(self, key: StreamKey, relay_id: str, by: Actor) -> Relay | None:
        """That target in the process before."""
        query = RelayQuery(limit=1000, stream=str(key), kind=RelayKind.PUSH).model_dump(mode="json")
        said = await ask_if_there(self._before, "relays", query, by)
        return next((each for each in read_items(Relay, said) if each.id == relay_id), None)

    async def _follow(self, change: str, key: StreamKey, by: Actor, **more: object) -> None:
        """Have it so there, too, as far as it can be."""
        await ask_if_there(self._before, "push", _spell(change, key, **more), by)


class JoinedPulls:
    """``control.Pulls`` of both, each of which fetches streams for its own players."""

    def __init__(
        self, local: LocalPulls, before: Before, relays: Callable[[], Sequence[RelayStatus]], audit: Audit
    ) -> None:
        self._local = local
        self._before = before
        self._relays = relays
        self._audit = audit

    async def switch_off(self, key: StreamKey, by: Actor) -> Relay:
        told = await self._local.switch_off(key, by)
        await self._follow("off", key, by)
        return told

    async def switch_on(self, key: StreamKey, by: Actor) -> Relay:
        told = await self._local.switch_on(key, by)
        await self._follow("on", key, by)
        return told

    async def restart(self, key: StreamKey, by: Actor) -> Relay:
        ours = any((each.kind, each.key) == ("pull", key) for each in self._relays())
        if ours or self._before.carried is None:
            told = await self._local.restart(key, by)
            await self._follow("restart", key, by)
            return told
        with self._audit.attempt(by, Change.RESTART_PULL, key):
            return _theirs(read(Relay, await self._before.ask("pull", _spell("restart", key), by)))

    async def _follow(self, change: str, key: StreamKey, by: Actor) -> None:
        await ask_if_there(self._before, "pull", _spell(change, key), by)


def _spell(change: str, key: StreamKey, **more: object) -> dict[str, object]:
    return spell_stream(key) | {"change": change, **more}


def _theirs(relay: Relay) -> Relay:
    return relay.model_copy(update={"carried_by": Carrier.PREDECESSOR})
