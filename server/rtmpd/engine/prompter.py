"""The joint to whoever shows something where an encoder sends nothing."""

from __future__ import annotations

import logging
from collections.abc import Callable

from rtmpd.engine.covered import Covered
from rtmpd.engine.publication import Publication

_logger = logging.getLogger(__name__)


class Prompter:
    """Asks for slates."""

    def __init__(self) -> None:
        self.asked: Callable[[Covered, Publication], None] | None = None
        """Is called where a stream with a slate lacks its encoder, with the publication that is silent, or
        has ended: see ``Covered.cover_with``."""

    def cue(self, stream: Covered, lost: Publication) -> None:
        """Ask for one, if there is somebody to ask."""
        if self.asked is None:
            return
        try:
            self.asked(stream, lost)
        except Exception:  # It costs this stream its slate, and nobody else anything.
            _logger.exception("the slate of %s failed", stream.key)
