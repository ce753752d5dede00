"""What can be asked of the server as a whole."""

from __future__ import annotations

from typing import Final

from rtmpd.control.actor import Role
from rtmpd.control.control import Control
from rtmpd.control.server_answers import ServerInfo
from rtmpd.web.operations import Asked, Operation


async def _info(control: Control, asked: Asked) -> ServerInfo:
    return await control.server.info(asked.actor)


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
)
