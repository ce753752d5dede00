"""Everybody who watches by HLS, found by what their requests show."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from rtmpd.engine.key import StreamKey
from rtmpd.engine.origin import Origin
from rtmpd.engine.sink import CloseReason
from rtmpd.engine.stats import count
from rtmpd.exceptions import Refused
from rtmpd.http.hls_tokens import TokenMint
from rtmpd.http.hls_viewer import PROTOCOL, Viewer
from rtmpd.http.permission import Permit, ask_permission
from rtmpd.http.wishes import Wish
from rtmpd.reasons import Refusal
from rtmpd.rtmp.constants import StatusCode
from rtmpd.rtmp.via import NO_VIA
from rtmpd.serving.access import Action, Grant
from rtmpd.serving.guest import Guest
from rtmpd.serving.peer import ServerContext

LIFETIME: Final = 3600.0
"""Seconds from its making for which a token lets somebody go on who has paused: who watches needs no other.
"""
ENTRY_COST: Final = 30
"""Of one viewer more, beside what any request costs."""
MOST_PER_NETWORK: Final = 5000
"""Who watch at a time."""
_BYTES: Final = 4096
"""What one costs, and whoever has left and may go on."""
_STRANGER: Final = 10.0
"""The patience with who has asked for no playlist with media in it yet."""
_MOST_LEFT: Final = 4096
"""Of those who have left, who may go on; the last."""


def watched_no_more() -> Refused:
    """What is said to who shows a token that is good no more, or has become so while they waited."""
    text = "This address is good no more: open the stream anew, by its index.m3u8."
    return Refused(StatusCode.PLAY_FAILED, text, Refusal.TOKEN_OVER)


def cdn_name(key: StreamKey) -> str:
    """In place of a token."""
    return f"{key} cdn"


class Viewers:
    """A shelf of the session table, by session."""

    def __init__(self, context: Callable[[], ServerContext], mint: TokenMint) -> None:
        """``context()`` is what holds for who comes now."""
        self._context = context
        self._mint = mint
        self._by_session: dict[int, Viewer] = {}
        self._by_token: dict[str, Viewer] = {}
        self._left: dict[str, tuple[Wish, float]] = {}
        """By their tokens, what they have asked with and when they have left."""
        self._networks: Counter[str] = Counter()
        context().registry.sessions.add_shelf(self._by_session)

    def __len__(self) -> int:
        return len(self._by_session)

    def find(self, token: str, key: StreamKey) -> Viewer | None:
        """Who shows ``token`` for that stream, and is there."""
        viewer = self._by_token.get(token)
        return viewer if viewer is not None and viewer.key == key else None

    async def enter(self, guest: Guest, wish: Wish, may_come: Callable[[StreamKey], bool]) -> Viewer | None:
        """Somebody wants to watch: ask whoever decides. None where nobody ``may_come`` to publish what was
        granted. Raises ``Refused``.
        """
        permit = await self._ask(guest, wish)
        if not may_come(permit.grant.key):
            permit.grant.abandon()
            return None
        viewer = self._place(wish, permit)
        viewer.token = self._mint.issue(viewer.origin.session, viewer.key)
        self._by_token[viewer.token] = viewer
        return viewer

    async def enter_cdn(self, guest: Guest, wish: Wish, key: StreamKey) -> Viewer:
        """A CDN that asks for a stream that is there for as long as somebody watches it: one viewer, whoever
        watches by it. Raises ``Refused``.
        """
        name = cdn_name(key)
        return self.find(name, key) or await self.enter_as(guest, wish, name, key)

    async def enter_again(self, guest: Guest, token: str, key: StreamKey) -> Viewer:
        """Somebody goes on who had left: the same, by what they have asked with then. Raises ``Refused``."""
        wish, left_at = self._left.get(token, (None, 0.0))
        is_gone = self._context().clock() - left_at >= LIFETIME
        if wish is None or is_gone or self._mint.session_of(token, key) is None:
            raise watched_no_more()
        return await self.enter_as(guest, wish, token)

    async def enter_as(
        self, guest: Guest, wish: Wish, token: str, vouched: StreamKey | None = None
    ) -> Viewer:
        """Somebody is known by ``token``. Raises ``Refused``; of the stream ``vouched`` nobody is asked."""
        permit = (
            await self._ask(guest, wish)
            if vouched is None
            else Permit(Grant(vouched), self._origin(guest, wish))
        )
        known = self._by_token.get(token)
        if known is not None:  # Two of their requests have asked at once.
            permit.grant.abandon()
            return known
        viewer = self._place(wish, permit)
        self._let_go(token)
        viewer.token = token
        self._by_token[token] = viewer
        return viewer

    def look(self, now: float, patience: Callable[[StreamKey], float]) -> None:
        """End who has left. ``patience`` is in seconds, for a stream."""
        for viewer in list(self._by_session.values()):
            viewer.look(now, patience(viewer.key) if viewer.begun else _STRANGER)

    def end_all(self) -> None:
        """The server ends."""
        for viewer in list(self._by_session.values()):
            viewer.dismiss(CloseReason.SHUTDOWN)
        for token in list(self._left):
            self._let_go(token)

    # Inside

    async def _ask(self, guest: Guest, wish: Wish) -> Permit:
        return await ask_permission(guest, wish, self._origin(guest, wish))

    def _origin(self, guest: Guest, wish: Wish) -> Origin:
        """Who asks, as a session of its own."""
        origin = replace(guest.origin, session=guest.context.new_session(), protocol=PROTOCOL)
        return origin.introduced(wish.connect.flash_ver, NO_VIA)

    def _place(self, wish: Wish, permit: Permit) -> Viewer:
        context, network = self._context(), permit.origin.network
        try:
            self._check_room(permit)
            viewer = Viewer(context, wish, permit, self._forget)
        except Refused as refusal:
            count(context.stats.refusals, refusal.reason)
            context.stats.levels.note_refused(Action.PLAY, refusal.reason)
            raise
        self._networks[network] += 1
        context.registry.budget.charge_partials(_BYTES)
        self._by_session[viewer.origin.session] = viewer
        context.stats.levels.note_granted(Action.PLAY)
        return viewer

    def _check_room(self, permit: Permit) -> None:
        if self._networks[permit.origin.network] >= MOST_PER_NETWORK:
            permit.grant.abandon()
            text = f"{MOST_PER_NETWORK} watch from your address already."
            raise Refused(StatusCode.PLAY_FAILED, text, Refusal.VIEWERS_PER_ADDRESS)

    def _forget(self, viewer: Viewer, reason: CloseReason) -> None:
        if self._by_session.pop(viewer.origin.session, None) is None:
            return
        network = viewer.origin.network
        self._networks[network] -= 1
        if not self._networks[network]:
            del self._networks[network]
        if self._by_token.pop(viewer.token, None) is None or reason is not CloseReason.FINISHED:
            self._context().registry.budget.charge_partials(-_BYTES)
            return
        self._let_go(viewer.token)
        self._left[viewer.token] = viewer.wish, self._context().clock()
        if len(self._left) > _MOST_LEFT:
            self._let_go(next(iter(self._left)))

    def _let_go(self, token: str) -> None:
        """Of somebody who has left nothing is known any more."""
        if self._left.pop(token, None) is not None:
            self._context().registry.budget.charge_partials(-_BYTES)
