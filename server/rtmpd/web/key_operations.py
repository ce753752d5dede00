"""What can be asked of stream keys, and the one thing that whoever has a JWT can ask."""

from __future__ import annotations

from typing import Final

from rtmpd.control.actor import Role
from rtmpd.control.control import Control
from rtmpd.control.key_answers import (
    NewStreamKey,
    PublishToken,
    PublishTokenRequest,
    StreamKeyInfo,
    StreamKeyPage,
    StreamKeyQuery,
    StreamKeyRequest,
)
from rtmpd.reasons import Problem
from rtmpd.web.operations import Asked, Operation


async def _list(control: Control, asked: Asked) -> StreamKeyPage:
    return await control.keys.list(asked.query_as(StreamKeyQuery), asked.actor)


async def _add(control: Control, asked: Asked) -> NewStreamKey:
    return await control.keys.add(asked.body_as(StreamKeyRequest), asked.actor)


async def _revoke(control: Control, asked: Asked) -> None:
    await control.keys.revoke(asked.path["id"], asked.actor)


async def _lift(control: Control, asked: Asked) -> StreamKeyInfo:
    return await control.keys.lift(asked.path["id"], asked.actor)


async def _publish_token(control: Control, asked: Asked) -> PublishToken:
    return await control.keys.publish_token(asked.body_as(PublishTokenRequest), asked.actor)


OPERATIONS: Final = (
    Operation(
        "listKeys",
        "GET",
        "/keys",
        Role.READ,
        "Stream keys, of the settings and those that came at run time, without the keys themselves",
        _list,
        StreamKeyPage,
        query=StreamKeyQuery,
    ),
    Operation(
        "addKey",
        "POST",
        "/keys",
        Role.OPERATE,
        "Make a stream key that is good from now on, or take one of which the SHA-256 is given",
        _add,
        NewStreamKey,
        status=201,
        body=StreamKeyRequest,
        problems=(Problem.KEY_REFUSED, Problem.OUT_OF_SCOPE),
    ),
    Operation(
        "revokeKey",
        "DELETE",
        "/keys/{id}",
        Role.OPERATE,
        "Have a stream key open nothing any more, and end whoever came by it",
        _revoke,
        status=204,
        problems=(Problem.KEY_NOT_FOUND,),
    ),
    Operation(
        "liftKey",
        "POST",
        "/keys/{id}/lift",
        Role.OPERATE,
        "Have a revoked stream key of the settings be good again",
        _lift,
        StreamKeyInfo,
        problems=(Problem.KEY_NOT_FOUND, Problem.NOT_REVOKED),
    ),
    Operation(
        "makePublishToken",
        "POST",
        "/publish-tokens",
        None,
        "A stream key that expires, for whoever shows a JWT that allows to publish the stream",
        _publish_token,
        PublishToken,
        status=201,
        body=PublishTokenRequest,
        problems=(Problem.TOKEN_REFUSED, Problem.TOKENS_OFTEN),
    ),
)
