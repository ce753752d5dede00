"""Who holds how much of something that there is only so much of."""

from __future__ import annotations

from typing import Generic, TypeVar

Member = TypeVar("Member")


class Shares(Generic[Member]):
    """Members of a bounded whole by network, so that the greediest network is found at once.

    Every method takes the same time however many members and networks there are.
    """

    def __init__(self) -> None:
        self._members: dict[str, dict[Member, None]] = {}
        """By network, the oldest first."""
        self._networks: dict[int, dict[str, None]] = {}
        """By number of members, those that have had it for longest first."""
        self._most = 0
        self._total = 0

    def __len__(self) -> int:
        return self._total

    def of(self, network: str) -> int:
        """How many members ``network`` has."""
        return len(self._members.get(network, ()))

    def add(self, network: str, member: Member) -> None:
        """Count a new member in."""
        members = self._members.setdefault(network, {})
        self._move(network, len(members), len(members) + 1)
        members[member] = None
        self._total += 1

    def remove(self, network: str, member: Member) -> bool:
        """Count a member out; False if it is none."""
        members = self._members.get(network)
        if members is None or member not in members:
            return False
        del members[member]
        self._move(network, len(members) + 1, len(members))
        self._total -= 1
        if not members:
            del self._members[network]  # Networks come from the peers.
        return True

    def oldest_of_largest(self) -> Member | None:
        """The oldest member of the network that has most; None when there is no member."""
        for network in self._networks.get(self._most, ()):
            return next(iter(self._members[network]))
        return None

    def _move(self, network: str, before: int, after: int) -> None:
        if before:
            peers = self._networks[before]
            del peers[network]
            if not peers:
                del self._networks[before]
        if after:
            self._networks.setdefault(after, {})[network] = None
        if after > self._most or (self._most == before and before not in self._networks):
            self._most = after
