"""Who has a name that two want to publish, and how long it is kept for whoever comes back."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Final, NamedTuple

from rtmpd.engine.key import StreamKey
from rtmpd.engine.origin import Origin
from rtmpd.engine.sink import CloseReason, Ending
from rtmpd.reasons import Word

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Claim:
    """Somebody wants to publish a name that another publishes: what there is to decide by."""

    key: StreamKey
    claimant: Origin
    holder: Origin
    silent_for: float
    """Seconds since the holder's last audio or video, or since it began if there was none."""


class Place(NamedTuple):
    """Which of a stream's encoders one is: it may have a main one and a backup."""

    backup: bool = False
    appointed: bool = False
    """A backup because the server's configuration says so, and not because it has asked to be."""

    @property
    def source(self) -> str:
        """A word for log and metrics."""
        return "backup" if self.backup else "main"


class SwitchReason(Word):
    """Why the other encoder of a stream with a backup goes on."""

    SILENT = "silent", "the main encoder has sent nothing for `backup_after`"
    LOST = "lost", "the other encoder has left, or its connection was lost"
    HANDED_BACK = "handed_back", "the main encoder is well again, and has been for `handback`"


class HoldEnd(Word):
    """Why an audience is kept no more for an encoder that was lost."""

    RESUMED = "resumed", "the encoder is back, and the stream goes on"
    EXPIRED = "expired", "it has not come back within `grace`"
    REPLACED = "replaced", "another encoder has begun a stream of its own"
    ENDED = "ended", "`rtmpd end`"
    LEFT = "left", "nobody was left who waited"


class ClaimPolicy:
    """What a claimant may do. This one is the first come, first served."""

    def supersede(self, _claim: Claim, /) -> CloseReason | None:
        """Why the holder's publication ends for the claimant's; None refuses the claimant."""
        return None

    def patience(self, _claim: Claim, /) -> float:
        """Seconds of more silence after which ``supersede`` would have the holder go; 0 if none would do.

        Asked only where ``supersede`` has refused.
        """
        return 0.0

    def resumes(self, claim: Claim, /) -> bool:
        """Whether the claimant goes on in the holder's stream, which was lost or is to go for it.

        If not, the audience is told that the stream is over, and another one begins.
        """
        return same_encoder(claim.claimant, claim.holder)

    def hold(self, _key: StreamKey, _ending: Ending, /) -> float:
        """Seconds for which the audience of its publication is kept after such an end, for another one."""
        return 0.0

    def cover(self, _key: StreamKey, _ending: Ending, /) -> float:
        """The same where something else is shown meanwhile, from when that began."""
        return 0.0


class Lease:
    """As far as other servers are concerned this one may publish a name. Each grant is one of its own.

    Who needs more to give it back, such as how often the name has changed hands, derives from it.
    """

    __slots__ = ("key",)

    def __init__(self, key: StreamKey) -> None:
        self.key = key


def same_encoder(one: Origin, other: Origin) -> bool:
    """Whether both are the same encoder, as far as anybody knows: by what they have proven.

    Where neither has proven anything, by their address; and nobody knows who comes by a Unix socket, whose
    clients have a network each, or through a proxy that cannot name its client.
    """
    if one.identity or other.identity:
        return one.identity == other.identity
    return same_address(one, other)


def of_one_stream(one: Origin, place: Place, other: Origin, other_place: Place) -> bool:
    """Whether both belong to one stream, as far as their places say or who they are.

    Beside a backup that its key makes one, nobody goes on who has proven nothing.
    """
    appointed = place.appointed or other_place.appointed
    return (appointed and bool(one.identity) and bool(other.identity)) or same_encoder(one, other)


def same_address(one: Origin, other: Origin) -> bool:
    """Whether both come from one machine, or one household."""
    alike = (one.protocol, one.address, one.network) == (other.protocol, other.address, other.network)
    return alike and not one.nameless


MAIN: Final = Place()
SOURCES: Final = ("main", "backup")
REFUSE: Final = ClaimPolicy()
"""The first keeps the name, and the audience is told at once when it goes."""


def seconds_held(policy: ClaimPolicy, key: StreamKey, ending: Ending | None, shown: float = 0.0) -> float:
    """What ``policy`` says to ``ending``, which goes on whatever that does: one that fails holds nobody.

    Something else has been ``shown`` for so many seconds already.
    """
    if ending is None:
        return 0.0
    try:
        return max(policy.hold(key, ending), policy.cover(key, ending) - shown, 0.0)
    except Exception:
        _logger.exception("claim policy failed")
        return 0.0


def is_covered(policy: ClaimPolicy, key: StreamKey, ending: Ending | None) -> bool:
    """Whether something else is shown from such an end on; after some silence it is in any case."""
    try:
        return ending is not None and policy.cover(key, ending) > 0.0
    except Exception:
        _logger.exception("claim policy failed")
        return False
