"""Putting a request to the authorizer, so that whatever the authorizer does, the client gets an answer."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Coroutine
from typing import Any

from rtmpd.engine.key import StreamKey
from rtmpd.engine.registry import Registry
from rtmpd.engine.sources import Life
from rtmpd.exceptions import Refused
from rtmpd.reasons import Refusal
from rtmpd.rtmp.constants import StatusCode
from rtmpd.rtmp.events import PlayRequested, PublishRequested
from rtmpd.rtmp.url import awaited_name, bare_names
from rtmpd.serving.access import AccessRequest, Action, Grant, name_stream
from rtmpd.serving.peer import Peer

logger = logging.getLogger(__name__)


async def authorize(peer: Peer, action: Action, event: PublishRequested | PlayRequested) -> Grant:
    """Check the name, then ask the authorizer. Raises ``Refused``, also when it fails or takes too long."""
    context = peer.context
    key = name_stream(peer.connect_params.app, event.name, action, context.apps, context.limits)
    if action is Action.PLAY:
        key = _meant_by_player(key, context.registry)
    request = AccessRequest(
        action=action,
        key=key,
        query=event.query,
        address=peer.address,
        connect=peer.connect_params,
    )
    try:
        answer = context.authorizer.authorize(request)
        return answer if isinstance(answer, Grant) else await _awaited(peer, answer)
    except Refused:
        raise
    except Exception as error:
        fields = {"client": peer.address, "connection": peer.number, "action": action}
        logger.exception("authorizer failed", extra={"fields": fields})
        text = f"The server could not find out whether you may {action} this stream; try again later."
        raise Refused(_FAILED[action], text, Refusal.AUTHORIZER_FAILED) from error


async def _awaited(peer: Peer, answer: Coroutine[Any, Any, Grant]) -> Grant:
    with contextlib.closing(answer):
        await asyncio.sleep(0)
        async with asyncio.timeout(peer.context.authorization_timeout):
            grant = await answer
    if peer.session.closing:
        # The connection has ended and cancelled us, and the authorizer swallowed it: wait_for of Python 3.11
        # does. Nobody would ever free what is claimed now.
        raise asyncio.CancelledError
    return grant


def _meant_by_player(key: StreamKey, registry: Registry) -> StreamKey:
    """What is published of ``key`` and what that may stand for, else what a player is to wait for."""
    for name in (key.name, *bare_names(key.name)):
        stream = registry.streams.get(StreamKey(key.app, name))
        if stream is not None and stream.life is not Life.IDLE:
            return stream.key
    return StreamKey(key.app, awaited_name(key.name))


# quirk(obs): shows Rejected to its user; Failed sends it into reconnecting.
_FAILED = {Action.PUBLISH: StatusCode.PUBLISH_REJECTED, Action.PLAY: StatusCode.PLAY_FAILED}
