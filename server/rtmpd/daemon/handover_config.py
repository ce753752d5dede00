"""Names that change hands: ``[apps.NAME.handover]``."""

from __future__ import annotations

from typing import Final, Literal

from rtmpd.daemon.fields import Seconds, Section, Timeout
from rtmpd.engine.handover import HandoverRules, HoldOn, OnDuplicate
from rtmpd.engine.limits import EngineLimits

_RULES: Final = HandoverRules()


class HandoverConfig(Section):
    """What happens when a second encoder wants a name that one has, and when an encoder is lost."""

    on_duplicate: Literal["auto", "reject", "takeover", "takeover_if_idle", "same_address"] = "auto"
    """Who may take a name over. auto: who shows the same key as the encoder that has it, once that is idle.
    same_address: also who comes from the same address. takeover_if_idle: whoever may publish the stream.
    takeover: the same, and at once, whether it is idle or not. reject: nobody. Who shows no key never takes a
    name from who did."""
    takeover_idle: Timeout = _RULES.takeover_idle
    """Without audio and video for so long an encoder is idle. A second one that comes sooner waits for its
    answer until the first has been idle that long, or is refused as soon as that sends something."""
    grace: Seconds = _RULES.grace
    """How long players and push targets are kept when the connection of their encoder breaks. If it comes
    back by then, known by its key, or without one by its address, they go on, in the same stream. 0 tells
    them at once that the stream is over."""
    hold_on: Literal["loss", "any"] = "loss"
    """Keep them when the encoder is lost, or also (any) when it stops in order."""
    stall: Timeout = EngineLimits().stall
    """Without audio and video for so long an encoder counts as stalled: a warning."""
    backup_after: Timeout = EngineLimits().backup_after
    """Without audio and video of the main encoder for so long, the backup goes on: an encoder that publishes
    with ?backup=1 behind the name and the same key, or without one from the same address, or with a key that
    says backup = true."""
    handback: Seconds = EngineLimits().handback
    """For so long the main encoder has to send again without a pause; then it is back on air with its next
    key frame."""

    def to_rules(self) -> HandoverRules:
        """What the engine decides by."""
        return HandoverRules(
            OnDuplicate(self.on_duplicate), self.takeover_idle, self.grace, HoldOn(self.hold_on)
        )
