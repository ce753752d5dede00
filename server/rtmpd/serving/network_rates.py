"""How often each network may do something."""

from __future__ import annotations

from typing import Final

from rtmpd.rtmp.rates import TokenBucket

_MAX_NETWORKS: Final = 10_000
"""Known at a time. One more, and the one that has been quiet for longest is forgotten: a stranger again."""


class NetworkRates:
    """Lets every network do something ``per_minute`` times on average, ``at_once`` of them without a pause.

    0 is any number. Networks come from the peers: those that have been quiet until they may do as much as
    anybody are forgotten, a few whenever another one comes.
    """

    def __init__(self, per_minute: int, at_once: float) -> None:
        self._rate = per_minute / 60.0
        self._at_once = max(at_once, 1.0)
        self._networks: dict[str, tuple[TokenBucket, float]] = {}
        """With when each was last here, the longest ago first."""

    def __len__(self) -> int:
        return len(self._networks)

    def allow(self, network: str, now: float) -> bool:
        """Count one more, unless that is too much: then nothing is counted."""
        if not self._rate:
            return True
        known = self._networks.pop(network, None)
        if known is None:
            self._forget(now)
            bucket = TokenBucket(self._rate, self._at_once, now)
        else:
            bucket = known[0]
        self._networks[network] = bucket, now
        return bucket.allow(now)

    def _forget(self, now: float) -> None:
        """Forget up to two who are due, so that they get fewer, and one who is not if there is no room."""
        full_after = self._at_once / self._rate
        for _ in range(2):
            network = next(iter(self._networks), None)
            if network is None:
                return
            if now - self._networks[network][1] < full_after and len(self._networks) < _MAX_NETWORKS:
                return
            del self._networks[network]
