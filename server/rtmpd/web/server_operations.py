"""What can be asked of the server as a whole."""

from __future__ import annotations

from typing import Final

from rtmpd.control.actor import Role
from rtmpd.control.control import Control
from rtmpd.control.drain_answers import Drain, DrainRequest
from rtmpd.control.server_answers import ServerInfo
from rtmpd.reasons import Problem
from rtmpd.web.operations import Asked, Operation


async def _info(control: Control, asked: Asked) -> ServerInfo:
    return await control.server.info(asked.actor)


async def _drain(control: Control, asked: Asked) -> Drain:
    return await control.server.drain(asked.body_as(DrainRequest), asked.actor)


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
)
