"""Who fails to prove who he is, again and again: answered more slowly at first, then turned away for a while.

Networks are what ``net.addresses.network_of`` calls one client: an IPv4 address, or an IPv6 /64. A success
forgives nothing: whoever has one key of his own would guess other people's with it for nothing.
"""

from __future__ import annotations

import ipaddress
import math
from dataclasses import dataclass
from typing import Final

from rtmpd.access.rules import Network
from rtmpd.net.addresses import is_local

_MAX_NETWORKS: Final = 10_000
"""Known at a time. One more, and the one that has failed longest ago is forgotten, banned or not."""
_SLOW_AFTER: Final = 3
"""Failures that are answered at once: a person has mistyped something."""
_SLOWEST: Final = 4.0
"""Seconds; encoders that wait longer take us for a network that is down."""
_MAX_DOUBLINGS: Final = 32


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
    """Seconds for which its network is turned away from now on; 0 if it is not, or was already."""


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


class Bans:
    """The networks that have failed lately. ``now`` is a reading of one clock, in seconds and never below
    0."""

    def __init__(self, rules: BanRules) -> None:
        self._rules = rules
        self._networks: dict[str, _Record] = {}
        """Who has failed longest ago first."""
        self._banned: dict[str, _Record] = {}
        """Of them, those whose ban is not known to be over."""

    def __len__(self) -> int:
        """How many networks are known."""
        return len(self._networks)

    @property
    def banned(self) -> int:
        """How many networks are banned, those included whose ban ``take_ended`` has not found over yet."""
        return len(self._banned)

    def apply(self, rules: BanRules) -> None:
        """Go on with other rules, under which whoever is known might not be: all are forgotten."""
        if rules != self._rules:
            self._rules = rules
            self._networks.clear()
            self._banned.clear()

    def remaining(self, network: str, now: float) -> float:
        """Seconds for which a network is still banned; 0 if it is not."""
        record = self._banned.get(network)
        return 0.0 if record is None else max(0.0, record.until - now)

    def turns_away(self, network: str, now: float) -> bool:
        """Whether a network is banned, which is counted then. One look-up, so ask before all else."""
        record = self._banned.get(network)
        if record is None or record.until <= now:
            return False
        record.refused += 1
        return True

    def take_ended(self, now: float) -> list[EndedBan]:
        """The bans that are over, each once."""
        ended = [(network, each) for network, each in self._banned.items() if each.until <= now]
        for network, _ in ended:
            del self._banned[network]
        return [EndedBan(network, record.refused) for network, record in ended]

    def failed(self, network: str, now: float) -> Failure:
        """Count one more failed attempt."""
        rules = self._rules
        if not rules.attempts or self._is_exempt(network):
            return Failure()
        record = self._recall(network, now)
        if record.until > now:
            return Failure(_SLOWEST)  # It came in before it was banned.
        record.failures += 1
        record.failed_at = now
        if record.failures > rules.attempts - 1:
            ban = min(rules.first * 2**record.bans, rules.longest)
            record.failures, record.bans, record.until = 0.0, min(record.bans + 1, _MAX_DOUBLINGS), now + ban
            record.refused = 0
            self._banned[network] = record
            return Failure(_SLOWEST, ban)
        more = math.ceil(record.failures) - _SLOW_AFTER
        return Failure(min(2.0 ** (more - 1), _SLOWEST) if more > 0 else 0.0)

    def _recall(self, network: str, now: float) -> _Record:
        """What is known of a network, as far as it is not forgiven, put behind all others."""
        record = self._networks.pop(network, None)
        if record is None:
            self._forget(now)
            record = _Record(0.0, now)
        elif self._is_forgiven(record, now):
            record = _Record(0.0, now)
        else:
            record.failures = max(0.0, record.failures - (now - record.failed_at) / self._rules.forgive)
        self._networks[network] = record
        return record

    def _forget(self, now: float) -> None:
        """Forget up to two who are forgiven, so that they get fewer, and one who is not if there is no
        room."""
        for _ in range(2):
            network = next(iter(self._networks), None)
            if network is None:
                return
            if len(self._networks) < _MAX_NETWORKS and not self._is_forgiven(self._networks[network], now):
                return
            del self._networks[network]
            self._banned.pop(network, None)

    def _is_forgiven(self, record: _Record, now: float) -> bool:
        if record.bans:
            return now - max(record.until, record.failed_at) >= self._rules.longest
        return now - record.failed_at >= record.failures * self._rules.forgive

    def _is_exempt(self, network: str) -> bool:
        try:
            found = ipaddress.ip_network(network)
        except ValueError:
            return True  # Of a Unix socket: whoever else comes through it cannot be told apart.
        if any(found.version == each.version and found.overlaps(each) for each in self._rules.exempt):
            return True
        return not self._rules.local and is_local(network)
