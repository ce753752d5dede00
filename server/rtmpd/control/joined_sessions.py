"""Whoever is connected to this process or to the one before it."""

from __future__ import annotations

from collections.abc import Sequence

from rtmpd.control.actor import Actor
from rtmpd.control.answers import Carrier
from rtmpd.control.audit import Audit, Change
from rtmpd.control.before import Before, ask_if_there, read, read_items
from rtmpd.control.local_bans import LocalBans
from rtmpd.control.local_sessions import LocalSessions
from rtmpd.control.redirect_answers import Redirected, RedirectRequest
from rtmpd.control.session_answers import KickRequest, Session, SessionPage, SessionQuery
from rtmpd.engine.origin import parse_session, spell_session
from rtmpd.engine.sessions import SessionTable


class JoinedSessions:
    """``control.Sessions`` of both."""

    def __init__(
        self, local: LocalSessions, before: Before, sessions: SessionTable, bans: LocalBans, audit: Audit
    ) -> None:
        self._local = local
        self._before = before
        self._sessions = sessions
        self._bans = bans
        self._audit = audit

    async def list(self, query: SessionQuery, by: Actor) -> SessionPage:
        ours = await self._local.list(query, by)
        said = await ask_if_there(self._before, "sessions", query.model_dump(mode="json"), by)
        if not said:
            return ours
        items = [*ours.items, *map(_theirs, read_items(Session, said))]
        items.sort(key=lambda session: parse_session(session.id))
        more = bool(ours.next or said.get("next")) or len(items) > query.limit
        items = items[: query.limit]
        last = items[-1].id if more and items else None
        return SessionPage(items=tuple(items), next=last, total=ours.total + int(said.get("total") or 0))

    async def at_address(self, address: str, by: Actor) -> Sequence[Session]:
        ours = await self._local.at_address(address, by)
        said = await ask_if_there(self._before, "sessions_at", {"address": address}, by)
        return [*map(_theirs, read_items(Session, said)), *ours]

    async def get(self, number: int, by: Actor) -> Session:
        if self._is_ours(number):
            return await self._local.get(number, by)
        return _theirs(read(Session, await self._before.ask("session", _spell(number), by)))

    async def redirect(self, number: int, request: RedirectRequest, by: Actor) -> Redirected:
        if self._is_ours(number):
            return await self._local.redirect(number, request, by)
        asked = _spell(number) | {"request": request.model_dump(mode="json")}
        with self._audit.attempt(by, Change.REDIRECT, spell_session(number), request.reason):
            return read(Redirected, await self._before.ask("redirect_session", asked, by))

    async def kick(self, number: int, request: KickRequest, by: Actor) -> None:
        if self._is_ours(number):
            await self._local.kick(number, request, by)
            return
        with self._audit.attempt(by, Change.KICK, spell_session(number), request.reason) as attempt:
            if request.ban is not None:
                by.check_unscoped()
                network = str(await self._before.ask("network", _spell(number), by))
                # It is here that they would come to next.
                self._bans.put_with_kick(network, request.ban, request.reason, attempt)
            await self._before.ask("kick", _spell(number), by)
        if request.ban is not None:
            await self._bans.settled()

    def _is_ours(self, number: int) -> bool:
        return self._before.carried is None or self._sessions.find(number) is not None


def _spell(number: int) -> dict[str, object]:
    return {"session": spell_session(number)}


def _theirs(session: Session) -> Session:
    return session.model_copy(update={"carried_by": Carrier.PREDECESSOR})
