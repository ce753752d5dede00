"""What can be asked of relays, and of where streams are pushed to."""

from __future__ import annotations

from typing import Final

from rtmpd.control.actor import Role
from rtmpd.control.control import Control
from rtmpd.control.relay_answers import NewRelay, PushRequest, Relay, RelayPage, RelayQuery
from rtmpd.reasons import Problem
from rtmpd.web.operations import STREAM, Asked, Operation


async def _list(control: Control, asked: Asked) -> RelayPage:
    return await control.relays.list(asked.query_as(RelayQuery), asked.actor)


async def _add(control: Control, asked: Asked) -> NewRelay:
    return await control.pushes.add(asked.stream, asked.body_as(PushRequest), asked.actor)


async def _switch_off(control: Control, asked: Asked) -> Relay:
    return await control.pushes.switch_off(asked.stream, asked.path["id"], asked.actor)


async def _switch_on(control: Control, asked: Asked) -> Relay:
    return await control.pushes.switch_on(asked.stream, asked.path["id"], asked.actor)


async def _restart(control: Control, asked: Asked) -> Relay:
    return await control.pushes.restart(asked.stream, asked.path["id"], asked.actor)


async def _switch_pull_off(control: Control, asked: Asked) -> Relay:
    return await control.pulls.switch_off(asked.stream, asked.actor)


async def _switch_pull_on(control: Control, asked: Asked) -> Relay:
    return await control.pulls.switch_on(asked.stream, asked.actor)


async def _restart_pull(control: Control, asked: Asked) -> Relay:
    return await control.pulls.restart(asked.stream, asked.actor)


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
        NewRelay,
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
        problems=(Problem.BAD_REQUEST, Problem.TARGET_NOT_FOUND, Problem.TARGET_OFF),
    ),
    Operation(
        "switchPushTargetOff",
        "POST",
        f"{STREAM}/push/{{id}}/off",
        Role.OPERATE,
        "Send nothing to a push target, whoever publishes, until it is switched on",
        _switch_off,
        Relay,
        problems=(Problem.BAD_REQUEST, Problem.TARGET_NOT_FOUND, Problem.TARGET_REFUSED),
    ),
    Operation(
        "switchPushTargetOn",
        "POST",
        f"{STREAM}/push/{{id}}/on",
        Role.OPERATE,
        "Send to a push target again that was switched off",
        _switch_on,
        Relay,
        problems=(Problem.BAD_REQUEST, Problem.TARGET_NOT_FOUND),
    ),
    Operation(
        "restartPushTarget",
        "POST",
        f"{STREAM}/push/{{id}}/restart",
        Role.OPERATE,
        "Have a push leave the other server and come back, or try again now",
        _restart,
        Relay,
        problems=(Problem.BAD_REQUEST, Problem.TARGET_NOT_FOUND, Problem.TARGET_OFF),
    ),
    Operation(
        "restartPull",
        "POST",
        f"{STREAM}/pull/restart",
        Role.OPERATE,
        "Have a pull leave the other server, and ask anew which has the stream",
        _restart_pull,
        Relay,
        problems=(Problem.BAD_REQUEST, Problem.PULL_NOT_FOUND, Problem.TARGET_OFF),
    ),
    Operation(
        "switchPullOff",
        "POST",
        f"{STREAM}/pull/off",
        Role.OPERATE,
        "Fetch a stream from no other server, whoever waits for it, until that is switched on",
        _switch_pull_off,
        Relay,
        problems=(Problem.BAD_REQUEST, Problem.PULL_NOT_FOUND, Problem.TARGET_REFUSED),
    ),
    Operation(
        "switchPullOn",
        "POST",
        f"{STREAM}/pull/on",
        Role.OPERATE,
        "Fetch a stream again that was switched off",
        _switch_pull_on,
        Relay,
        problems=(Problem.BAD_REQUEST, Problem.PULL_NOT_FOUND),
    ),
)
