"""The bans of this process, as they are told, made and lifted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from rtmpd.access.bans import Ban as HeldBan
from rtmpd.access.manual_bans import parse_network
from rtmpd.access.rules import Network
from rtmpd.control.actor import Actor
from rtmpd.control.answers import PageQuery
from rtmpd.control.audit import Audit
from rtmpd.control.ban_answers import Ban, BanPage, BanRequest
from rtmpd.control.paging import build, cut
from rtmpd.control.times import Times
from rtmpd.exceptions import NotFound, NotPossible, UsageError
from rtmpd.reasons import Problem


class BanKeeper(Protocol):
    """Knows whom to turn away; ``rtmpd.access.guard.Guard`` is one."""

    def bans(self) -> Sequence[HeldBan]:
        """All that hold."""

    def ban(self, network: Network, seconds: float, reason: str) -> HeldBan:
        """Raises UsageError where that may not be."""

    def lift(self, network: Network) -> bool:
        """False if it is not banned."""


class LocalBans:
    """``control.Bans`` of this process."""

    def __init__(self, keeper: BanKeeper, audit: Audit, times: Callable[[], Times]) -> None:
        self._keeper = keeper
        self._audit = audit
        self._times = times

    async def list(self, query: PageQuery, by: Actor) -> BanPage:
        del by
        found = self._keeper.bans()
        part = await cut(found, lambda _ban: True, lambda ban: ban.network, query.after, query.limit)
        times = self._times()
        items = await build(part.items, lambda ban: _ban(ban, times))
        last = None if part.last is None else part.last.network
        return BanPage(items=items, next=last, total=part.total)

    async def add(self, request: BanRequest, by: Actor) -> Ban:
        try:
            network = parse_network(request.network)
        except UsageError as problem:
            raise NotPossible(Problem.NETWORK_REFUSED, str(problem)) from None
        return self.put(network, request.seconds, request.reason, by)

    def put(self, network: Network, seconds: float, reason: str, by: Actor) -> Ban:
        """Let nobody in from ``network``."""
        try:
            ban = self._keeper.ban(network, seconds, reason)
        except UsageError as problem:
            raise NotPossible(Problem.NETWORK_REFUSED, str(problem)) from None
        self._audit.note(by, "ban", ban.network, reason)
        return _ban(ban, self._times())

    async def lift(self, network: str, by: Actor) -> None:
        try:
            known = self._keeper.lift(parse_network(network))
        except UsageError:
            known = False
        if not known:
            raise NotFound(Problem.BAN_NOT_FOUND, f"{network} is not banned")
        self._audit.note(by, "unban", network)


def _ban(ban: HeldBan, times: Times) -> Ban:
    return Ban(
        network=ban.network,
        automatic=ban.reason is None,
        since=times.at(ban.since),
        until=times.at(ban.until),
        remaining_seconds=round(max(ban.until - times.now, 0.0), 3),
        reason=ban.reason or "",
        refused=ban.refused,
    )
