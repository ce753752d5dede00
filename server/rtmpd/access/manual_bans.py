"""Networks that somebody in charge has banned, of whatever size, for a time."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Final

from rtmpd.access.rules import Network
from rtmpd.exceptions import UsageError

MAX_MANUAL: Final = 1000
"""At a time."""
_LONGEST_V6: Final = 64
"""Bits of the smallest IPv6 network that clients are told apart by: see ``net.addresses.network_of``."""


@dataclass(slots=True)
class ManualBan:
    """One of them. Times are clock readings."""

    network: Network
    since: float
    until: float
    reason: str
    """In the words of who banned it."""
    refused: int = 0
    """How often somebody of it was turned away."""


class ManualBans:
    """Finds whoever is banned by one look for each size of network that is."""

    def __init__(self) -> None:
        self._bans: dict[Network, ManualBan] = {}
        self._by_size: dict[tuple[int, int], dict[int, ManualBan]] = {}
        """By version and length of the prefix, then by prefix."""

    def __len__(self) -> int:
        return len(self._bans)

    def __iter__(self) -> Iterator[ManualBan]:
        return iter(self._bans.values())

    def __contains__(self, network: Network) -> bool:
        return network in self._bans

    def add(self, ban: ManualBan) -> None:
        """In the place of what there is for the same network. Raises UsageError if there is no room."""
        if ban.network not in self._bans and len(self._bans) >= MAX_MANUAL:
            raise UsageError(
                f"{MAX_MANUAL} networks are banned by hand already: lift one of these bans first"
            )
        self._bans[ban.network] = ban
        size, prefix = _place(ban.network)
        self._by_size.setdefault(size, {})[prefix] = ban

    def remove(self, network: Network) -> bool:
        """False if there is none."""
        if self._bans.pop(network, None) is None:
            return False
        size, prefix = _place(network)
        del self._by_size[size][prefix]
        if not self._by_size[size]:
            del self._by_size[size]
        return True

    def find(self, network: str, now: float) -> ManualBan | None:
        """The ban that holds longest for a client of ``network``, as ``net.addresses.network_of`` has it."""
        if not self._bans:
            return None
        try:
            client = ipaddress.ip_network(network)
        except ValueError:
            return None  # It has no address that anybody knows.
        address, bits = int(client.network_address), client.max_prefixlen
        found = [
            bans.get(address >> (bits - length))
            for (version, length), bans in self._by_size.items()
            if version == client.version and length <= client.prefixlen
        ]
        holding = [each for each in found if each is not None and each.until > now]
        return max(holding, key=lambda ban: ban.until, default=None)

    def turns_away(self, network: str, now: float) -> bool:
        """Whether a client is banned, which is counted then."""
        ban = self.find(network, now)
        if ban is None:
            return False
        ban.refused += 1
        return True

    def spare(self, exempt: Collection[Network]) -> None:
        """Forget those that concern networks which are never banned."""
        for network in list(self._bans):
            if any(overlap(network, each) for each in exempt):
                self.remove(network)

    def take_ended(self, now: float) -> list[ManualBan]:
        """Those that are over, each once."""
        ended = [ban for ban in self._bans.values() if ban.until <= now]
        for ban in ended:
            self.remove(ban.network)
        return ended


def parse_network(text: str) -> Network:
    """An address or a network to be banned; an IPv6 address stands for its /64. Raises UsageError."""
    try:
        network: Network = ipaddress.ip_network("" if "%" in text else text)
    except ValueError:
        raise UsageError(
            "write an address such as 192.0.2.7, or a network such as 192.0.2.0/24 or 2001:db8::/48"
        ) from None
    mapped = getattr(network.network_address, "ipv4_mapped", None)
    if mapped is not None:
        raise UsageError(f"write this as IPv4, such as {mapped}")
    if network.version == 6 and network.prefixlen > _LONGEST_V6:
        if network.num_addresses > 1:
            raise UsageError(f"of IPv6 whole /{_LONGEST_V6} networks are banned, or larger ones")
        network = network.supernet(new_prefix=_LONGEST_V6)
    return network


def overlap(one: Network, other: Network) -> bool:
    """Whether an address is in both."""
    return one.version == other.version and one.overlaps(other)


def spell_network(network: Network) -> str:
    """As ``net.addresses.network_of`` does: a single IPv4 address without its length."""
    return str(network.network_address if network.num_addresses == 1 else network)


def _place(network: Network) -> tuple[tuple[int, int], int]:
    prefix = int(network.network_address) >> (network.max_prefixlen - network.prefixlen)
    return (network.version, network.prefixlen), prefix
