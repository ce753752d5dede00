"""The rules by which a name changes hands: who may have it instead of another, and how long it is kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from rtmpd.engine.claim import Claim, ClaimPolicy, same_address, same_encoder
from rtmpd.engine.key import StreamKey
from rtmpd.engine.sink import CloseReason, Ending


class OnDuplicate(StrEnum):
    """Who may have a name that another publishes. Nobody who has proven nothing takes it from who has."""

    AUTO = "auto"
    """The same encoder by its proof, once the other is idle."""
    REJECT = "reject"
    """Nobody."""
    TAKEOVER = "takeover"
    """Whoever may publish it, at once."""
    TAKEOVER_IF_IDLE = "takeover_if_idle"
    """Whoever may publish it, once the other is idle."""
    SAME_ADDRESS = "same_address"
    """The same encoder by its proof or its address, once the other is idle."""


class HoldOn(StrEnum):
    """Which ends of a publication leave its audience waiting."""

    LOSS = "loss"
    """Those that nobody wanted."""
    ANY = "any"
    """These, and those that the encoder meant."""


MOVE_GRACE: Final = 5.0
"""Seconds that an encoder has at least to come to the process that takes over."""
LOSSES: Final = frozenset({CloseReason.CONNECTION_LOST, CloseReason.IDLE, CloseReason.INTERNAL_ERROR})
"""Ends that nobody wanted."""
_MOVES: Final = LOSSES | {CloseReason.FINISHED, CloseReason.SUPERSEDED}


@dataclass(frozen=True, slots=True)
class HandoverRules:
    """What holds for one stream. Times in seconds."""

    on_duplicate: OnDuplicate = OnDuplicate.AUTO
    takeover_idle: float = 2.0
    """Without audio and video for so long, a publication is idle."""
    grace: float = 10.0
    """How long the audience of one that was lost is kept for it; 0 keeps nobody."""
    hold_on: HoldOn = HoldOn.LOSS
    slate_for: float = 0.0
    """The same where a slate is shown meanwhile; 0 where there is none."""
    moving: bool = False
    """Another process of this server takes over: who leaves may come again there, and players are kept."""


class Handover(ClaimPolicy):
    """Decides by the rules of the stream, as they are when it is asked."""

    def __init__(self, rules_of: Callable[[StreamKey], HandoverRules]) -> None:
        self._rules_of = rules_of

    def supersede(self, claim: Claim) -> CloseReason | None:
        if claim.holder.is_borrowed:  # Who has it there was asked.
            return CloseReason.SUPERSEDED
        rules = self._rules_of(claim.key)
        if not _may(rules, claim):
            return None
        at_once = rules.on_duplicate is OnDuplicate.TAKEOVER
        return CloseReason.SUPERSEDED if at_once or claim.silent_for >= rules.takeover_idle else None

    def patience(self, claim: Claim) -> float:
        rules = self._rules_of(claim.key)
        return max(rules.takeover_idle - claim.silent_for, 0.0) if _may(rules, claim) else 0.0

    def resumes(self, claim: Claim) -> bool:
        return claim.holder.is_borrowed or claim.claimant.is_borrowed or super().resumes(claim)

    def hold(self, key: StreamKey, ending: Ending) -> float:
        rules = self._rules_of(key)
        if rules.moving and ending.reason in _MOVES:
            return max(rules.grace, MOVE_GRACE, rules.slate_for if ending.reason in LOSSES else 0.0)
        return rules.grace if _leaves_waiting(rules, ending) else 0.0

    def cover(self, key: StreamKey, ending: Ending) -> float:
        rules = self._rules_of(key)
        # Who comes again to the process that takes over is there in a moment.
        return rules.slate_for if _leaves_waiting(rules, ending) and not rules.moving else 0.0


class PullHandover(Handover):
    """The same for what is fetched from other servers: a pull takes no name from anybody.

    Whichever of its origins has the stream, it is the same one.
    """

    def supersede(self, _claim: Claim) -> CloseReason | None:
        return None

    def patience(self, _claim: Claim) -> float:
        return 0.0

    def resumes(self, claim: Claim) -> bool:
        return claim.holder.protocol == claim.claimant.protocol or super().resumes(claim)


class BorrowedHandover(PullHandover):
    """The same for what another process of this server has: whoever ends there may come here."""

    def hold(self, key: StreamKey, _ending: Ending) -> float:
        return max(self._rules_of(key).grace, MOVE_GRACE)


def _leaves_waiting(rules: HandoverRules, ending: Ending) -> bool:
    """Whether who publishes may come back, as far as its end says."""
    meant = ending.reason is CloseReason.FINISHED and rules.hold_on is HoldOn.ANY
    return meant or ending.reason in LOSSES


def _may(rules: HandoverRules, claim: Claim) -> bool:
    """Whether the claimant is one who may have the name, at whatever time."""
    claimant, holder = claim.claimant, claim.holder
    proven = bool(claimant.identity) or not holder.identity
    match rules.on_duplicate:
        case OnDuplicate.AUTO:
            return bool(claimant.identity) and same_encoder(claimant, holder)
        case OnDuplicate.SAME_ADDRESS:
            return same_encoder(claimant, holder) or (proven and same_address(claimant, holder))
        case OnDuplicate.TAKEOVER | OnDuplicate.TAKEOVER_IF_IDLE:
            return proven
        case OnDuplicate.REJECT:
            return False
