"""The bans of this process, as they are told, made and lifted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from ipaddress import ip_network
from typing import Final, Protocol

from rtmpd.access.bans import Ban as HeldBan
from rtmpd.access.manual_bans import parse_network
from rtmpd.access.rules import Network
from rtmpd.control.actor import Actor
from rtmpd.control.answers import PageQuery
from rtmpd.control.audit import Attempt, Audit, Change
from rtmpd.control.ban_answers import Ban, BanPage, BanRequest, NewBan
from rtmpd.control.paging import build, cut
from rtmpd.control.stored import Stored
from rtmpd.control.times import Times
from rtmpd.exceptions import NotFound, NotPossible, UsageError
from rtmpd.net.address_mask import AddressMask
from rtmpd.reasons import Problem

_NO_ADDRESS: Final = "this client has no address that could be banned: nobody knows where it comes from"


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

    def __init__(
        self,
        keeper: BanKeeper,
        stored: Stored,
        audit: Audit,
        times: Callable[[], Times],
        mask: AddressMask,
    ) -> None:
        self._keeper = keeper
        self._stored = stored
        self._audit = audit
        self._times = times
        self._mask = mask

    async def list(self, query: PageQuery, by: Actor) -> BanPage:
        del by
        found = self._keeper.bans()
        part = await cut(found, lambda _ban: True, self._name, query.after, query.limit)
        times = self._times()
        items = await build(part.items, lambda ban: self._told(ban, times))
        last = None if part.last is None else self._name(part.last)
        return BanPage(items=items, next=last, total=part.total)

    async def add(self, request: BanRequest, by: Actor) -> NewBan:
        with self._audit.attempt(by, Change.BAN, self._mask.show(request.network), request.reason) as attempt:
            try:
                network = parse_network(request.network)
            except UsageError as problem:
                raise NotPossible(Problem.NETWORK_REFUSED, str(problem)) from None
            attempt.before = self._spell(network)
            ban = self.put(network, request.seconds, request.reason)
            attempt.target, attempt.after = ban.network, self._spell(network)
        return NewBan(**dict(ban), kept=bool(await self._stored.settled()))

    def put(self, network: Network, seconds: float, reason: str) -> Ban:
        """Let nobody in from ``network``, as a part of what is noted already."""
        try:
            ban = self._keeper.ban(network, seconds, reason)
        except UsageError as problem:
            raise NotPossible(Problem.NETWORK_REFUSED, str(problem)) from None
        return self._told(ban, self._times())

    def put_with_kick(self, network: str, seconds: float, reason: str, attempt: Attempt) -> None:
        """The same for where a client comes from that is thrown out, which ``attempt`` is about."""
        try:
            ban = self.put(parse_network(network), seconds, reason)
        except UsageError:
            raise NotPossible(Problem.NETWORK_REFUSED, _NO_ADDRESS) from None
        attempt.after = f"{ban.network} banned for {seconds:g} s"

    async def settled(self) -> None:
        """Wait until those that were put are stored, as far as they can be."""
        await self._stored.settled()

    async def lift(self, network: str, by: Actor) -> None:
        with self._audit.attempt(by, Change.UNBAN, self._mask.show(network)) as attempt:
            named = await cut(
                self._keeper.bans(), lambda ban: self._name(ban) == network, self._name, None, 1
            )
            meant = named.items[0].network if named.items else network
            try:
                parsed = parse_network(meant)
                attempt.before = self._spell(parsed)
                known = self._keeper.lift(parsed)
            except UsageError:
                known = False
            if not known:
                raise NotFound(Problem.BAN_NOT_FOUND, f"{self._mask.show(network)} is not banned")
            attempt.target = self._mask.show(meant)
        await self._stored.settled()

    def _spell(self, network: Network) -> str | None:
        """The ban of exactly that network, in words; None if there is none."""
        times = self._times()
        for ban in self._keeper.bans():
            if ip_network(ban.network) == network:
                why = "for failed attempts" if ban.reason is None else "by hand"
                return f"{why}, until {times.at(ban.until):%Y-%m-%dT%H:%M:%SZ}"
        return None

    def _name(self, ban: HeldBan) -> str:
        return self._mask.name_ban(ban.network)

    def _told(self, ban: HeldBan, times: Times) -> Ban:
        return _ban(ban, self._name(ban), self._mask.show(ban.network), times)


def _ban(ban: HeldBan, name: str, shown: str, times: Times) -> Ban:
    return Ban(
        id=name,
        network=shown,
        automatic=ban.reason is None,
        since=times.at(ban.since),
        until=times.at(ban.until),
        remaining_seconds=round(max(ban.until - times.now, 0.0), 3),
        reason=ban.reason or "",
        refused=ban.refused,
    )
