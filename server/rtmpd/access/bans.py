"""Who fails to prove who he is, again and again: answered more slowly at first, then turned away for a while.

Networks are what ``net.addresses.network_of`` calls one client: an IPv4 address, or an IPv6 /64. Who has an
IPv6 /56 has 256 of those, and guesses from all: so each failure counts for the /56, too, and for less. A
success forgives nothing: whoever has one key of his own would guess other people's with it for nothing.
"""

from __future__ import annotations

import ipaddress
import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from rtmpd.access.rules import Network
from rtmpd.net.addresses import is_local

_MAX_NETWORKS: Final = 10_000
"""Known at a time. One more, and the one that has failed longest ago is forgotten, but who is banned only if
there is nobody else: or whoever has many networks would wash out the bans of all."""
_SLOW_AFTER: Final = 3
"""Failures that are answered at once: a person has mistyped something."""
_SLOWEST: Final = 4.0
"""Seconds; encoders that wait longer take us for a network that is down."""
_MAX_DOUBLINGS: Final = 32
_SITE_BITS: Final = 56
"""What an IPv6 subscriber has who has more than a /64; nobody else's, as far as providers follow RFC 6177."""
_SITE_SHARE: Final = 0.125
"""Of a failure, for the site: it is banned when eight of its networks would have been."""


@dataclass(frozen=True, slots=True)
class BanRules:
    """When networks are banned, and for how long; times in seconds."""

    attempts: int = 10
    """Failures in a row that are a ban; 0 bans nobody."""
    forgive: float = 60.0
    """After which one failure is forgotten, then the next."""
    first: float = 60.0
    """How long the first ban is. Each one after it is twice as long as the last."""
    longest: float = 3600.0
    """How long bans get, and after how long without a failure the next one is a first one."""
    local: bool = False
    """Whether loopback, private and link-local networks may be banned too."""
    exempt: tuple[Network, ...] = ()
    """Never banned, such as the proxies that many clients come through."""


@dataclass(frozen=True, slots=True)
class Failure:
    """What one more failed attempt comes to."""

    delay: float = 0.0
    """Seconds to wait with the answer."""
    ban: float = 0.0
    """Seconds for which ``network`` is turned away from now on; 0 if it is not, or was already."""
    network: str = ""
    """Its own, or the site that that is of."""


@dataclass(slots=True)
class _Record:
    failures: float
    failed_at: float
    bans: int = 0
    until: float = 0.0
    """When the last of them ended, or will."""
    refused: int = 0
    """How often its network was turned away during that."""


@dataclass(frozen=True, slots=True)
class EndedBan:
    """One that is over."""

    network: str
    refused: int
    """How often it was turned away meanwhile."""


@dataclass(frozen=True, slots=True)
class Ban:
    """One that holds. Times are clock readings."""

    network: str
    since: float
    until: float
    refused: int
    """How often it was turned away so far."""
    reason: str | None = None
    """In the words of who banned it; None if nobody did, but failed attempts."""
    count: int = 1
    """How many in a row it has had; the next one after failed attempts is longer."""


class Bans:
    """The networks that have failed lately. ``now`` is a reading of one clock, in seconds and never below
    0."""

    def __init__(self, rules: BanRules) -> None:
        self._rules = rules
        self._networks = _Tally(rules)
        self._sites = _Tally(rules)

    def __len__(self) -> int:
        """How many networks are known."""
        return len(self._networks)

    @property
    def banned(self) -> int:
        """How many are banned, sites too, and those whose ban ``take_ended`` has not found over yet."""
        return len(self._networks.banned) + len(self._sites.banned)

    def apply(self, rules: BanRules) -> None:
        """Go on with other rules, under which whoever is known might not be: all are forgotten."""
        if rules != self._rules:
            self._rules = rules
            self._networks, self._sites = _Tally(rules), _Tally(rules)

    def remaining(self, network: str, now: float) -> float:
        """Seconds for which a network is still banned, or its site is; 0 if neither."""
        record = self._ban_of(network, now)
        return 0.0 if record is None else record.until - now

    def turns_away(self, network: str, now: float) -> bool:
        """Whether a network is banned, which is counted then. A look-up or two, so ask before all else."""
        record = self._ban_of(network, now)
        if record is None:
            return False
        record.refused += 1
        return True

    def holding(self, now: float) -> list[Ban]:
        """The bans that hold."""
        return self._networks.holding(now) + self._sites.holding(now)

    def find(self, network: str) -> Ban | None:
        """The ban of a network or a site itself, as it is or was."""
        return self._networks.find(network) or self._sites.find(network)

    def restore(self, ban: Ban) -> bool:
        """Go on with a ban that an earlier process made; False if it could not be, now."""
        if not self._rules.attempts or self._is_exempt(ban.network):
            return False
        is_site = ":" in ban.network and ipaddress.ip_network(ban.network).prefixlen == _SITE_BITS
        return (self._sites if is_site else self._networks).restore(ban)

    def lift(self, network: str, now: float) -> bool:
        """Forgive a network, or a site, all: as if it had never failed; False if it is not banned itself."""
        return any(tally.lift(network, now) for tally in (self._networks, self._sites))

    def take_ended(self, now: float) -> list[EndedBan]:
        """The bans that are over, each once."""
        return self._networks.take_ended(now) + self._sites.take_ended(now)

    def failed(self, network: str, now: float) -> Failure:
        """Count one more failed attempt."""
        if not self._rules.attempts or self._is_exempt(network):
            return Failure()
        if self._ban_of(network, now) is not None:
            return Failure(_SLOWEST)  # It came in before it was banned.
        failure, site = self._networks.count(network, 1.0, now), _site_of(network)
        if not site or self._is_exempt(site):
            return failure
        of_site = self._sites.count(site, _SITE_SHARE, now)
        return max(of_site, failure, key=lambda each: (each.ban, each.delay))

    def _ban_of(self, network: str, now: float) -> _Record | None:
        """That which is in force, of a network or its site."""
        record = self._networks.banned.get(network)
        if (record is None or record.until <= now) and self._sites.banned:
            record = self._sites.banned.get(_site_of(network))
        return None if record is None or record.until <= now else record

    def _is_exempt(self, network: str) -> bool:
        try:
            found = ipaddress.ip_network(network)
        except ValueError:
            return True  # Of a Unix socket: whoever else comes through it cannot be told apart.
        if any(found.version == each.version and found.overlaps(each) for each in self._rules.exempt):
            return True
        return not self._rules.local and is_local(network)


class _Tally:
    """Who has failed lately, of networks of one size."""

    def __init__(self, rules: BanRules) -> None:
        self._rules = rules
        self._others: dict[str, _Record] = {}
        """Those that are not banned; who has failed longest ago first."""
        self.banned: dict[str, _Record] = {}
        """Those whose ban is not known to be over."""

    def __len__(self) -> int:
        return len(self._others) + len(self.banned)

    def take_ended(self, now: float) -> list[EndedBan]:
        """The bans that are over, each once."""
        ended = [(network, each) for network, each in self.banned.items() if each.until <= now]
        for network, record in ended:
            del self.banned[network]
            self._others[network] = record
        return [EndedBan(network, record.refused) for network, record in ended]

    def holding(self, now: float) -> list[Ban]:
        """The bans that hold."""
        return [_told(network, each) for network, each in self.banned.items() if each.until > now]

    def find(self, network: str) -> Ban | None:
        """That of a network, as it is or was."""
        record = self.banned.get(network)
        return None if record is None else _told(network, record)

    def restore(self, ban: Ban) -> bool:
        """Have it banned as it was; False if there is no room, or something is known of it already."""
        if len(self) >= _MAX_NETWORKS or ban.network in self.banned or ban.network in self._others:
            return False
        count = min(max(ban.count, 1), _MAX_DOUBLINGS)
        self.banned[ban.network] = _Record(0.0, ban.since, count, ban.until)
        return True

    def lift(self, network: str, now: float) -> bool:
        """Forget what is known of a banned one; False if it is not."""
        record = self.banned.pop(network, None)
        return record is not None and record.until > now

    def count(self, network: str, share: float, now: float) -> Failure:
        """One more failure, or a ``share`` of one, of who is not banned now."""
        rules, record = self._rules, self._recall(network, now)
        record.failures += share
        record.failed_at = now
        if record.failures > rules.attempts - share:
            ban = min(rules.first * 2**record.bans, rules.longest)
            record.failures, record.bans, record.until = 0.0, min(record.bans + 1, _MAX_DOUBLINGS), now + ban
            record.refused = 0
            self._others.pop(network, None)
            self.banned[network] = record
            return Failure(_SLOWEST, ban, network)
        more = math.ceil(record.failures) - _SLOW_AFTER
        return Failure(min(2.0 ** (more - 1), _SLOWEST) if more > 0 else 0.0)

    def _recall(self, network: str, now: float) -> _Record:
        """What is known of a network, as far as it is not forgiven, put behind all others."""
        record = self.banned.get(network)  # It is over, and nobody has been told.
        if record is None:
            record = self._others.pop(network, None)
            if record is None:
                self._forget(now)
                record = _Record(0.0, now)
            self._others[network] = record
        if self._is_forgiven(record, now):
            record.failures, record.bans = 0.0, 0
        else:
            record.failures = max(0.0, record.failures - (now - record.failed_at) / self._rules.forgive)
        return record

    def _forget(self, now: float) -> None:
        """Forget up to two who are forgiven, so that they get fewer, and one who is not if there is no
        room."""
        for _ in range(2):
            known = self._others or self.banned
            network = next(iter(known), None)
            if network is None:
                return
            if len(self) < _MAX_NETWORKS and not self._is_forgiven(known[network], now):
                return
            del known[network]

    def _is_forgiven(self, record: _Record, now: float) -> bool:
        if record.bans:
            return now - max(record.until, record.failed_at) >= self._rules.longest
        return now - record.failed_at >= record.failures * self._rules.forgive


def _told(network: str, record: _Record) -> Ban:
    return Ban(network, record.failed_at, record.until, record.refused, count=record.bans)


@lru_cache(maxsize=1024)
def _site_of(network: str) -> str:
    """The site that an IPv6 network is of; empty for all else."""
    return str(ipaddress.ip_network(network).supernet(new_prefix=_SITE_BITS)) if ":" in network else ""
