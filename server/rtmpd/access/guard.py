"""What becomes of those who fail to prove who they are: they wait, are turned away, and are told of once."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from typing import Final

from rtmpd.access.bans import BanRules, Bans
from rtmpd.engine.stats import ServerStats
from rtmpd.reasons import Refusal
from rtmpd.serving.access import AccessRequest, Action

_WRONG_PROOFS: Final = frozenset(
    {
        Refusal.KEY_WRONG,
        Refusal.KEY_EXPIRED,
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

logger = logging.getLogger(__name__)


class Guard:
    """Counts failed attempts by network, and knows whom to turn away."""

    def __init__(self, clock: Callable[[], float], stats: ServerStats) -> None:
        self._clock = clock
        self._stats = stats
        self._bans = Bans(BanRules())

    def apply(self, rules: BanRules) -> None:
        """Go on by other rules. If they differ from the last, all that is known is forgotten."""
        self._bans.apply(rules)
        self._stats.banned = self._bans.banned

    def turns_away(self, network: str) -> bool:
        """Whether it is banned. It is counted as one that was turned away then."""
        return self._bans.turns_away(network, self._clock())

    def remaining(self, network: str) -> float:
        """Seconds for which it is banned; 0 if it is not."""
        return self._bans.remaining(network, self._clock())

    def refused(self, request: AccessRequest, reason: Refusal) -> float:
        """Count a refused request if it was a failed attempt: seconds to wait with the answer."""
        guessed = request.action is Action.PUBLISH and reason in _BLIND_GUESSES
        if not (guessed or reason in _WRONG_PROOFS):
            return 0.0
        origin = request.origin
        failure = self._bans.failed(origin.network, self._clock())
        if failure.ban:
            self._stats.bans_total += 1
            self._stats.banned = self._bans.banned
            seconds = math.ceil(failure.ban)
            fields = {
                "client": origin.address,
                "network": failure.network,
                "reason": reason,
                "seconds": seconds,
            }
            logger.warning("banned", extra={"fields": fields})
        return failure.delay

    def look(self) -> None:
        """Tell of the bans that are over; call it every second or so."""
        for ended in self._bans.take_ended(self._clock()):
            # As an address, by which lines about many of them are folded.
            client = ended.network.partition("/")[0]
            fields = {"client": client, "network": ended.network, "refused": ended.refused}
            logger.info("ban over", extra={"fields": fields})
        self._stats.banned = self._bans.banned
