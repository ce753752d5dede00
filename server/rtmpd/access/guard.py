"""What becomes of those who fail to prove who they are: they wait, are turned away, and are told of once."""

from __future__ import annotations

import contextlib
import ipaddress
import logging
import math
from collections.abc import Callable, Iterable
from typing import Final, Protocol

from rtmpd.access.bans import Ban, BanRules, Bans, Failure
from rtmpd.access.manual_bans import ManualBan, ManualBans, overlap, parse_network, spell_network
from rtmpd.access.rules import Network
from rtmpd.engine.origin import PLAIN, Mask
from rtmpd.engine.stats import ServerStats
from rtmpd.exceptions import UsageError
from rtmpd.net.addresses import network_of
from rtmpd.reasons import Problem, Refusal
from rtmpd.serving.access import AccessRequest, Action

_WRONG_PROOFS: Final = frozenset(
    {
        Refusal.KEY_WRONG,
        Refusal.KEY_EXPIRED,
        Refusal.KEY_REVOKED,
        Refusal.AUTHENTICATION_FAILED,
        Refusal.LINK_MALFORMED,
        Refusal.LINK_SIGNATURE,
        Refusal.JWT_MALFORMED,
        Refusal.JWT_ALGORITHM,
        Refusal.JWT_SIGNATURE,
        Refusal.JWT_KEY_UNKNOWN,
    }
)
"""Whatever was asked for."""
_BLIND_GUESSES: Final = frozenset({Refusal.NOT_PROVEN, Refusal.BACKEND_REFUSED})
"""Of who publishes: what an encoder sends in place of a name is a key that nobody has. A player without a key
has guessed nothing."""

_LOOPBACK: Final = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))

_WORTH_KEEPING: Final = 300.0
"""Seconds of a ban for failed attempts that is to outlive a restart. Those by hand all are."""

logger = logging.getLogger(__name__)


class BanKeeper(Protocol):
    """Writes down bans that are to outlive the process."""

    def keep(self, ban: Ban) -> None:
        """In the place of one of the same network."""

    def forget(self, network: str) -> None:
        """It is not banned any more; nothing if it was not kept."""


class Guard:
    """Knows whom to turn away: who fails to prove who he is again and again, and whom somebody has banned."""

    def __init__(self, clock: Callable[[], float], stats: ServerStats, mask: Mask = PLAIN) -> None:
        self._clock = clock
        self.mask = mask
        self._stats = stats
        self._rules = BanRules()
        self._bans = Bans(self._rules)
        self._askers = Bans(self._rules)
        """Who guesses tokens of the admin port: they are kept out there, and their encoders are not."""
        self._manual = ManualBans()
        self.keeper: BanKeeper | None = None
        """Of what is to outlive the process."""

    def apply(self, rules: BanRules) -> None:
        """Go on by other rules. If they differ from the last, all that is known of failures is forgotten.

        What somebody has banned stays banned, but for what is exempt now.
        """
        before = {each.network for each in self.worth_keeping()} if self.keeper is not None else set()
        self._rules = rules
        self._bans.apply(rules)
        self._askers.apply(rules)
        self._manual.spare(rules.exempt)
        self._count()
        if self.keeper is not None:
            for network in before - {each.network for each in self.worth_keeping()}:
                self.keeper.forget(network)

    def restore(self, bans: Iterable[Ban]) -> int:
        """Go on with those of an earlier process that could be made now; how many. What is known stays."""
        restored = 0
        for ban in bans:
            with contextlib.suppress(UsageError, ValueError):  # Nobody would be banned so by now.
                restored += self._restore(ban)
        self._count()
        return restored

    def take(self, bans: Iterable[Ban], askers: Iterable[Ban]) -> None:
        """Go on with those of the process before, as ``at_the_door`` and ``at_the_admin_port`` had them."""
        for ban in bans:
            if self.restore((ban,)) and self.keeper is not None and _is_worth_keeping(ban):
                self.keeper.keep(ban)
        for ban in askers:
            with contextlib.suppress(ValueError):
                self._askers.restore(ban)
        self._count()

    def worth_keeping(self) -> list[Ban]:
        """The bans that are to outlive the process."""
        return [each for each in self.at_the_door() if _is_worth_keeping(each)]

    def turns_away(self, network: str) -> bool:
        """Whether it is banned. It is counted as one that was turned away then."""
        now = self._clock()
        return self._bans.turns_away(network, now) or self._manual.turns_away(network, now)

    def remaining(self, network: str) -> float:
        """Seconds for which it is banned; 0 if it is not."""
        now = self._clock()
        manual = self._manual.find(network, now)
        return max(self._bans.remaining(network, now), 0.0 if manual is None else manual.until - now)

    def bans(self) -> list[Ban]:
        """All that hold."""
        return [*self.at_the_door(), *self.at_the_admin_port()]

    def at_the_admin_port(self) -> list[Ban]:
        """Those that keep out who guessed tokens there."""
        return self._askers.holding(self._clock())

    def at_the_door(self) -> list[Ban]:
        """Those that keep encoders and players out."""
        now = self._clock()
        manual = [
            Ban(spell_network(each.network), each.since, each.until, each.refused, each.reason)
            for each in self._manual
            if each.until > now
        ]
        return [*self._bans.holding(now), *manual]

    def ban(self, network: Network, seconds: float, reason: str) -> Ban:
        """Turn away who comes from there from now on, for ``seconds``, instead of a ban there is by hand.

        ``network`` is as ``manual_bans.parse_network`` gives it. Raises UsageError where that may not be.
        """
        self._check(network)
        now = self._clock()
        self._manual.add(ManualBan(network, now, now + seconds, reason))
        self._stats.bans_total += 1
        self._count()
        ban = Ban(spell_network(network), now, now + seconds, 0, reason)
        if self.keeper is not None:
            self.keeper.keep(ban)
        return ban

    def lift(self, network: Network) -> bool:
        """Let those from there in again, and forget how often they have failed; False if it is not banned."""
        name, now = spell_network(network), self._clock()
        lifted = [self._bans.lift(name, now), self._askers.lift(name, now), self._manual.remove(network)]
        self._count()
        if self.keeper is not None:
            self.keeper.forget(spell_network(network))
        return any(lifted)

    def refused(self, request: AccessRequest, reason: Refusal) -> float:
        """Count a refused request if it was a failed attempt: seconds to wait with the answer."""
        guessed = request.action is Action.PUBLISH and reason in _BLIND_GUESSES
        if not (guessed or reason in _WRONG_PROOFS):
            return 0.0
        origin = request.origin
        failure = self._bans.failed(origin.network, self._clock())
        self._tell(failure, origin.address, reason)
        if failure.ban:
            self._keep(failure.network)
        return failure.delay

    def guessed(self, address: str, problem: Problem) -> float:
        """Count a wrong token of the admin port: seconds to wait with the answer."""
        failure = self._askers.failed(network_of(address), self._clock())
        self._tell(failure, address, problem)
        return failure.delay

    def kept_from_asking(self, address: str) -> float:
        """Seconds for which nobody from there may show tokens at the admin port, which is counted; 0: may."""
        network, now = network_of(address), self._clock()
        return self._askers.remaining(network, now) if self._askers.turns_away(network, now) else 0.0

    def look(self) -> None:
        """Tell of the bans that are over; call it every second or so."""
        now = self._clock()
        manual = [(spell_network(each.network), each.refused) for each in self._manual.take_ended(now)]
        failed = [*self._bans.take_ended(now), *self._askers.take_ended(now)]
        ended = [(each.network, each.refused) for each in failed]
        for network, refused in (*ended, *manual):
            shown = self.mask.show(network)
            # As an address, by which lines about many of them are folded.
            client = shown.partition("/")[0]
            fields = {"client": client, "network": shown, "refused": refused}
            logger.info("ban over", extra={"fields": fields})
        self._count()

    def _check(self, network: Network) -> None:
        """Raise UsageError if it is never banned."""
        if any(overlap(network, each) for each in _LOOPBACK):
            raise UsageError("this machine is never banned: its own programs connect from there")
        if any(overlap(network, each) for each in self._rules.exempt):
            text = "this is never banned: bans.exempt or network.trusted_proxies names an address there"
            raise UsageError(text)

    def _restore(self, ban: Ban) -> bool:
        """Raises UsageError and ValueError where it could not be made."""
        if ban.reason is None:
            return self._bans.restore(ban)
        network = parse_network(ban.network)
        self._check(network)
        if network in self._manual:
            return False
        self._manual.add(ManualBan(network, ban.since, ban.until, ban.reason))
        return True

    def _keep(self, network: str) -> None:
        """One that has just been banned for failed attempts."""
        if self.keeper is not None and (ban := self._bans.find(network)) and _is_worth_keeping(ban):
            self.keeper.keep(ban)

    def _count(self) -> None:
        self._stats.banned = self._bans.banned + self._askers.banned + len(self._manual)

    def _tell(self, failure: Failure, address: str, reason: Refusal | Problem) -> None:
        if failure.ban:
            self._stats.bans_total += 1
            self._count()
            seconds = math.ceil(failure.ban)
            fields = {
                "client": self.mask.show(address),
                "network": self.mask.show(failure.network),
                "reason": reason,
                "seconds": seconds,
            }
            logger.warning("banned", extra={"fields": fields})


def _is_worth_keeping(ban: Ban) -> bool:
    return ban.reason is not None or ban.until - ban.since >= _WORTH_KEEPING
