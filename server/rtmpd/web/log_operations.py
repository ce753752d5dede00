"""What can be asked of the log."""

from __future__ import annotations

from typing import Final

from rtmpd.control.actor import Role
from rtmpd.control.control import Control
from rtmpd.control.log_answers import LogLevel, LogRequest
from rtmpd.web.operations import Asked, Operation


async def _get(control: Control, asked: Asked) -> LogLevel:
    return await control.log.level(asked.actor)


async def _set(control: Control, asked: Asked) -> LogLevel:
    return await control.log.set_level(asked.body_as(LogRequest), asked.actor)


async def _end(control: Control, asked: Asked) -> LogLevel:
    return await control.log.end_level(asked.actor)


_PATH: Final = "/log-level"
OPERATIONS: Final = (
    Operation(
        "getLogLevel",
        "GET",
        _PATH,
        Role.READ,
        "What is written into the log",
        _get,
        LogLevel,
        whole_server=True,
    ),
    Operation(
        "setLogLevel",
        "POST",
        _PATH,
        Role.OPERATE,
        "Write more into the log, or less, for a while, whatever the settings become meanwhile",
        _set,
        LogLevel,
        body=LogRequest,
        whole_server=True,
    ),
    Operation(
        "endLogLevel",
        "DELETE",
        _PATH,
        Role.OPERATE,
        "Write into the log what the settings say, before the while is over",
        _end,
        LogLevel,
        whole_server=True,
    ),
)
