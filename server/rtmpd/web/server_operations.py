"""What can be asked of the server as a whole."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Final

from rtmpd.control.actor import Role
from rtmpd.control.control import Control
from rtmpd.control.drain_answers import Drain, DrainRequest, Successor
from rtmpd.control.figures_answers import Figures
from rtmpd.control.server_answers import ServerInfo
from rtmpd.reasons import Problem
from rtmpd.web.event_stream import beat, frame
from rtmpd.web.operations import Asked, Frames, Operation


async def _info(control: Control, asked: Asked) -> ServerInfo:
    return await control.server.info(asked.actor)


async def _drain(control: Control, asked: Asked) -> Drain:
    return await control.server.drain(asked.body_as(DrainRequest), asked.actor)


async def _replace(control: Control, asked: Asked) -> Successor:
    return await control.server.replace(asked.actor)


async def _follow(control: Control, asked: Asked) -> Frames:
    return Frames(_frames(control.figures.follow(asked.actor)), beat)


async def _frames(bodies: AsyncGenerator[bytes, None]) -> AsyncIterator[bytes]:
    async with aclosing(bodies):
        async for body in bodies:
            yield frame(body, name="figures")


OPERATIONS: Final = (
    Operation(
        "getServer",
        "GET",
        "/server",
        Role.READ,
        "The server as a whole",
        _info,
        ServerInfo,
        whole_server=True,
    ),
    Operation(
        "drainServer",
        "POST",
        "/drain",
        Role.OPERATE,
        "Let nobody new in, and end the server once nobody publishes any more, or after a time",
        _drain,
        Drain,
        status=202,
        body=DrainRequest,
        optional_body=True,
        problems=(Problem.BAD_REQUEST,),
        whole_server=True,
    ),
    Operation(
        "replaceServer",
        "POST",
        "/replace",
        Role.OPERATE,
        "Start another process, perhaps of another version, that takes over; nobody is refused meanwhile",
        _replace,
        Successor,
        problems=(Problem.NOT_REPLACED,),
        whole_server=True,
    ),
    Operation(
        "followFigures",
        "GET",
        "/figures",
        Role.READ,
        "How the server and its streams get on: an event called figures every second",
        None,
        Figures,
        follow=_follow,
        problems=(Problem.TOO_MANY_FOLLOWERS,),
    ),
)
