"""What is changed by hand, kept for those who ask later who did that."""

from __future__ import annotations

import logging

from rtmpd.control.actor import Actor

logger = logging.getLogger(__name__)


class Audit:
    """Hears of every change."""

    def note(self, by: Actor, change: str, target: str, reason: str = "") -> None:
        """Somebody has changed something, of which no word is a secret."""
        fields = {
            "by": by.name or None,
            "client": by.address,
            "change": change,
            "target": target,
            "reason": reason or None,
        }
        logger.info("changed by hand", extra={"fields": fields})
