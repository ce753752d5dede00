"""Whoever is connected to this process, as they are told and thrown out."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rtmpd.control import session_views
from rtmpd.control.actor import Actor
from rtmpd.control.audit import Audit, Change
from rtmpd.control.local_bans import LocalBans
from rtmpd.control.local_redirects import LocalRedirects
from rtmpd.control.paging import build, cut
from rtmpd.control.redirect_answers import Redirected, RedirectRequest
from rtmpd.control.session_answers import KickRequest, Session, SessionPage, SessionQuery
from rtmpd.control.times import Times
from rtmpd.engine.origin import parse_session, spell_session
from rtmpd.engine.sessions import SessionHandle, SessionTable
from rtmpd.engine.sink import CloseReason
from rtmpd.exceptions import NotFound, NotPossible
from rtmpd.net.address_mask import AddressMask
from rtmpd.reasons import Problem


class LocalSessions:
    """``control.Sessions`` of this process."""

    def __init__(
        self,
        sessions: SessionTable,
        bans: LocalBans,
        redirects: LocalRedirects,
        audit: Audit,
        times: Callable[[], Times],
        mask: AddressMask,
    ) -> None:
        self._sessions = sessions
        self._redirects = redirects
        self._bans = bans
        self._audit = audit
        self._times = times
        self._mask = mask

    async def list(self, query: SessionQuery, by: Actor) -> SessionPage:
        try:
            after = None if query.after is None else parse_session(query.after)
        except ValueError:
            raise NotPossible(Problem.BAD_REQUEST, "after: send what next was") from None
        wanted, found = session_views.wanted(query, by, self._mask), self._sessions
        part = await cut(found, wanted, lambda handle: handle.origin.session, after, query.limit)
        times = self._times()
        items = await build(part.items, lambda handle: session_views.session(handle, times))
        last = None if part.last is None else part.last.origin.session_id
        return SessionPage(items=items, next=last, total=part.total)

    async def at_address(self, address: str, by: Actor) -> Sequence[Session]:
        def wanted(handle: SessionHandle) -> bool:
            there = address in (handle.origin.address, handle.origin.shown)
            return there and session_views.seen(handle, by)

        found = await cut(
            self._sessions, wanted, lambda handle: handle.origin.session, None, len(self._sessions)
        )
        times = self._times()
        return await build(found.items, lambda handle: session_views.session(handle, times))

    async def get(self, number: int, by: Actor) -> Session:
        return session_views.session(self._find(number, by), self._times())

    async def redirect(self, number: int, request: RedirectRequest, by: Actor) -> Redirected:
        return await self._redirects.session(self._find(number, by), request, by)

    async def kick(self, number: int, request: KickRequest, by: Actor) -> None:
        with self._audit.attempt(by, Change.KICK, spell_session(number), request.reason) as attempt:
            handle = self._find(number, by)
            if uses := handle.uses:
                attempt.key = uses[0].key
                attempt.before = ", ".join(
                    f"{'publishes' if use.publishes else 'plays'} {use.key}" for use in uses
                )
            if request.ban is not None:
                by.check_unscoped()
                self._bans.put_with_kick(handle.origin.network, request.ban, request.reason, attempt)
            handle.dismiss(CloseReason.KICKED, by.origin)
        if request.ban is not None:
            await self._bans.settled()

    def _find(self, number: int, by: Actor) -> SessionHandle:
        handle = self._sessions.find(number)
        if handle is None or not session_views.seen(handle, by):
            raise NotFound(
                Problem.SESSION_NOT_FOUND, f"session {spell_session(number)} is over, or never was"
            )
        return handle
