"""Whoever was let in by rules that hold no more: ended when these change."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

from rtmpd.engine.key import StreamKey
from rtmpd.engine.origin import Origin
from rtmpd.engine.registry import Registry
from rtmpd.engine.sink import CloseReason
from rtmpd.reasons import Refusal
from rtmpd.serving.access import Action

logger = logging.getLogger(__name__)

Withdrawn = Callable[[Action, StreamKey, Origin], Refusal | None]
"""Why somebody who publishes or plays would not be let in now."""


def review(registry: Registry, withdrawn: Withdrawn) -> None:
    """End, with all that they do, the sessions that publish or play what they would not be let in for now."""
    for action, key, origin in list(_let_in(registry)):
        reason = withdrawn(action, key, origin)
        handle = registry.sessions.find(origin.session) if reason is not None else None
        if handle is None:
            continue
        fields = {
            "app": key.app,
            "stream": key.name,
            "session": origin.session_id,
            "client": origin.shown,
            "action": action,
            "reason": reason,
        }
        logger.warning("allowed no more", extra={"fields": fields})
        handle.dismiss(CloseReason.WITHDRAWN)


def _let_in(registry: Registry) -> Iterator[tuple[Action, StreamKey, Origin]]:
    for key, stream in registry.streams.items():
        for publication in stream.publications:
            if not publication.origin.is_relay:
                yield Action.PUBLISH, key, publication.origin
        for subscription in stream.everybody:
            if not subscription.origin.is_relay:
                yield Action.PLAY, key, subscription.origin
