"""Who holds how much of something that there is only so much of."""

from __future__ import annotations

from typing import Generic, TypeVar

from rtmpd.net.addresses import site_of

Member = TypeVar("Member")


class Ranking:
    """Names by how often they are counted, so that the one counted most is found at once."""

    __slots__ = ("_counts", "_most", "_peers")

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._peers: dict[int, dict[str, None]] = {}
        """By count, those that have had it for longest first."""
        self._most = 0

    def __len__(self) -> int:
        """How many names there are."""
        return len(self._counts)

    def count(self, name: str, change: int) -> None:
        """Count ``name`` once more (1) or once less (-1)."""
        before = self._counts.get(name, 0)
        after = before + change
        if before:
            peers = self._peers[before]
            del peers[name]
            if not peers:
                del self._peers[before]
        if after:
            self._counts[name] = after
            self._peers.setdefault(after, {})[name] = None
        else:
            del self._counts[name]  # Names come from the peers.
        if after > self._most or (self._most == before and before not in self._peers):
            self._most = after

    def most(self) -> str | None:
        """The name counted most, for longest among equals; None when there is none."""
        return next(iter(self._peers.get(self._most, ())), None)


class Shares(Generic[Member]):
    """Members of a bounded whole by network, so that the greediest is found at once.

    That is the network with most members of the site with most: whoever has many networks gains nothing by
    coming from each of them once. Every method takes the same time however many there are.
    """

    def __init__(self) -> None:
        self._members: dict[str, dict[Member, None]] = {}
        """By network, the oldest first."""
        self._sites = Ranking()
        self._networks: dict[str, Ranking] = {}
        """By site."""
        self._total = 0

    def __len__(self) -> int:
        return self._total

    def of(self, network: str) -> int:
        """How many members ``network`` has."""
        return len(self._members.get(network, ()))

    def add(self, network: str, member: Member) -> None:
        """Count a new member in."""
        self._members.setdefault(network, {})[member] = None
        site = site_of(network)
        self._sites.count(site, 1)
        self._networks.setdefault(site, Ranking()).count(network, 1)
        self._total += 1

    def remove(self, network: str, member: Member) -> bool:
        """Count a member out; False if it is none."""
        members = self._members.get(network)
        if members is None or member not in members:
            return False
        del members[member]
        if not members:
            del self._members[network]
        site = site_of(network)
        networks = self._networks[site]
        networks.count(network, -1)
        if not networks:
            del self._networks[site]
        self._sites.count(site, -1)
        self._total -= 1
        return True

    def oldest_of_largest(self) -> Member | None:
        """The oldest member of the greediest network; None when there is no member."""
        site = self._sites.most()
        network = None if site is None else self._networks[site].most()
        return None if network is None else next(iter(self._members[network]))
