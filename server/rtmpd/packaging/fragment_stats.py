"""What is counted of fragments of MP4, for all streams together."""

from __future__ import annotations

from rtmpd.media.correction import Correction


class FragmentStats:
    """Plain numbers, read when metrics are asked for."""

    def __init__(self) -> None:
        self.fragments = 0
        """Made, whoever was sent them."""
        self.corrections: dict[Correction, int] = dict.fromkeys(Correction, 0)
        """Frames whose time was corrected, by why."""

    @property
    def corrected(self) -> dict[str, int]:
        """The same by the words for it."""
        return {str(why): frames for why, frames in self.corrections.items()}
