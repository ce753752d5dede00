"""Putting a request to the authorizer, so that whatever the authorizer does, the client gets an answer."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from collections.abc import Coroutine
from typing import Any, assert_never

from rtmpd.engine.key import StreamKey
from rtmpd.engine.limits import counted
from rtmpd.engine.registry import Registry
from rtmpd.engine.sources import Life
from rtmpd.exceptions import Refused
from rtmpd.net.tasks import awaiting_others
from rtmpd.reasons import Refusal
from rtmpd.rtmp.constants import StatusCode
from rtmpd.rtmp.events import ConnectRequested, PlayRequested, PublishRequested, Request
from rtmpd.rtmp.url import awaited_name, bare_names
from rtmpd.serving.access import AccessRequest, Action, Grant, name_app, name_stream
from rtmpd.serving.peer import Peer

logger = logging.getLogger(__name__)


async def authorize(peer: Peer, event: Request) -> Grant:
    """Check the name, then ask the authorizer. Raises ``Refused``, also when it fails or takes too long.

    Nobody is asked about a network that is banned; who goes on failing waits for the answer.
    """
    return await _decided(peer, _request(peer, event))


async def authorize_redirect(peer: Peer, key: StreamKey, query: str) -> Grant:
    """The same for a player whom somebody leads to ``key``, and who has come with ``query``."""
    return await _decided(peer, AccessRequest(Action.PLAY, key, peer.origin, peer.connect_params, query))


async def _decided(peer: Peer, request: AccessRequest) -> Grant:
    _check_ban(peer, request)
    try:
        with awaiting_others():
            answer = peer.context.authorizer.authorize(request)
            return answer if isinstance(answer, Grant) else await _awaited(peer, answer)
    except Refused as refusal:
        pause = peer.context.guard.refused(request, refusal.reason)
        if pause:
            await asyncio.sleep(0)
            await asyncio.sleep(pause)
        raise
    except Exception as error:
        action, origin = request.action, peer.origin
        fields = {"client": origin.shown, "connection": origin.connection, "action": action}
        logger.exception("authorizer failed", extra={"fields": fields})
        code, what = _FAILED[action]
        text = f"The server could not find out whether you may {what}; try again later."
        raise Refused(code, text, Refusal.AUTHORIZER_FAILED) from error


def _check_ban(peer: Peer, request: AccessRequest) -> None:
    """Whoever came in before the ban does not get around it."""
    guard, network = peer.context.guard, peer.origin.network
    if guard.turns_away(network):
        left = counted(math.ceil(guard.remaining(network)), "second")
        text = f"Your address has failed to prove who it is too often; come again in {left}."
        raise Refused(_FAILED[request.action][0], text, Refusal.BANNED)


def _request(peer: Peer, event: Request) -> AccessRequest:
    """What there is to decide. Raises ``Refused`` when it is no name that anything can have."""
    context, connect = peer.context, peer.connect_params
    apps, limits = context.apps, context.limits
    match event:
        case ConnectRequested():
            key = name_app(connect.app, apps, limits)
            return AccessRequest(Action.CONNECT, key, peer.origin, connect, connect.app_query)
        case PublishRequested():
            key = name_stream(connect.app, event.name, Action.PUBLISH, apps, limits)
            return AccessRequest(Action.PUBLISH, key, peer.origin, connect, event.query, event.mode)
        case PlayRequested():
            key = name_stream(connect.app, event.name, Action.PLAY, apps, limits)
            key = _meant_by_player(key, context.registry)
            return AccessRequest(
                Action.PLAY,
                key,
                peer.origin,
                connect,
                event.query,
                start=event.start,
                duration=event.duration,
                reset=event.reset,
            )
        case _:
            assert_never(event)


async def _awaited(peer: Peer, answer: Coroutine[Any, Any, Grant]) -> Grant:
    with contextlib.closing(answer):
        await asyncio.sleep(0)
        async with asyncio.timeout(peer.context.authorization_timeout):
            grant = await answer
    if peer.session.closing:
        # The connection has ended and cancelled us, and the authorizer swallowed it: wait_for of Python 3.11
        # does. Nobody would ever free what is claimed now.
        grant.abandon()
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
_FAILED = {
    Action.CONNECT: (StatusCode.CONNECT_REJECTED, "connect"),
    Action.PUBLISH: (StatusCode.PUBLISH_REJECTED, "publish this stream"),
    Action.PLAY: (StatusCode.PLAY_FAILED, "play this stream"),
}
