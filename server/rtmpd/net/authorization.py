"""Putting a request to the authorizer, so that whatever the authorizer does, the client gets an answer."""

from __future__ import annotations

import asyncio
import logging

from rtmpd.exceptions import Refused
from rtmpd.net.access import AccessRequest, Action, Grant, check_name
from rtmpd.net.peer import Peer
from rtmpd.rtmp.constants import StatusCode
from rtmpd.rtmp.events import PlayRequested, PublishRequested

logger = logging.getLogger(__name__)


async def authorize(peer: Peer, action: Action, event: PublishRequested | PlayRequested) -> Grant:
    """Check the name, then ask the authorizer. Raises ``Refused``, also when it fails or takes too long."""
    context = peer.context
    code, what = _BAD_NAME[action]
    check_name(event.name, context.limits.max_name_bytes, code=code, what=what)
    request = AccessRequest(
        action=action,
        app=peer.connect_params.app,
        name=event.name,
        query=event.query,
        address=peer.address,
        connect=peer.connect_params,
    )
    try:
        async with asyncio.timeout(context.authorization_timeout):
            grant = await context.authorizer.authorize(request)
    except Refused:
        raise
    except Exception as error:
        fields = {"client": peer.address, "connection": peer.number, "action": action}
        logger.exception("authorizer failed", extra={"fields": fields})
        text = f"The server could not find out whether you may {action} this stream; try again later."
        raise Refused(_FAILED[action], text, "authorizer_failed") from error
    if peer.session.closing:
        # The connection has ended and cancelled us, and the authorizer swallowed it: wait_for of Python 3.11
        # does. Nobody would ever free what is claimed now.
        raise asyncio.CancelledError
    return grant


_BAD_NAME = {
    Action.PUBLISH: (StatusCode.PUBLISH_BAD_NAME, "stream key"),
    Action.PLAY: (StatusCode.PLAY_STREAM_NOT_FOUND, "stream name"),
}
# quirk(obs): shows Rejected to its user; Failed sends it into reconnecting.
_FAILED = {Action.PUBLISH: StatusCode.PUBLISH_REJECTED, Action.PLAY: StatusCode.PLAY_FAILED}
