"""What can be asked of relays, and of where streams are pushed to."""

from __future__ import annotations

from typing import Final

from rtmpd.control.actor import Role
from rtmpd.control.control import Control
from rtmpd.control.relay_answers import PushRequest, Relay, RelayPage, RelayQuery
from rtmpd.reasons import Problem
from rtmpd.web.operations import STREAM, Asked, Operation


async def _list(control: Control, asked: Asked) -> RelayPage:
    return await control.relays.list(asked.query_as(RelayQuery), asked.actor)


async def _add(control: Control, asked: Asked) -> Relay:
    return await control.pushes.add(asked.stream, asked.body_as(PushRequest), asked.actor)


async def _remove(control: Control, asked: Asked) -> None:
    await control.pushes.remove(asked.stream, asked.path["id"], asked.actor)


OPERATIONS: Final = (
    Operation(
        "listRelays",
        "GET",
        "/relays",
        Role.READ,
        "What is pushed to other servers, and fetched from them",
        _list,
        RelayPage,
        query=RelayQuery,
    ),
    Operation(
        "addPushTarget",
        "POST",
        f"{STREAM}/push",
        Role.OPERATE,
        "Push a stream to one more address, whenever it is published, until that is removed",
        _add,
        Relay,
        status=201,
        body=PushRequest,
        problems=(Problem.BAD_REQUEST, Problem.STREAM_NOT_FOUND, Problem.TARGET_REFUSED),
    ),
    Operation(
        "removePushTarget",
        "DELETE",
        f"{STREAM}/push/{{id}}",
        Role.OPERATE,
        "End a push target; one of the configuration comes back with the next publish",
        _remove,
        status=204,
        problems=(Problem.BAD_REQUEST, Problem.TARGET_NOT_FOUND),
    ),
)
