"""What can be asked of sessions that are over."""

from __future__ import annotations

from typing import Final

from rtmpd.control.actor import Role
from rtmpd.control.clip_answers import HeldFile
from rtmpd.control.control import Control
from rtmpd.control.record_answers import Record, RecordPage, RecordQuery
from rtmpd.reasons import Problem
from rtmpd.web.operations import Asked, Operation


async def _list(control: Control, asked: Asked) -> RecordPage:
    return await control.records.list(asked.query_as(RecordQuery), asked.actor)


async def _get(control: Control, asked: Asked) -> Record:
    return await control.records.get(asked.session, asked.actor)


async def _input(control: Control, asked: Asked) -> HeldFile:
    return HeldFile(await control.records.input(asked.session, asked.actor))


OPERATIONS: Final = (
    Operation(
        "listRecords",
        "GET",
        "/records",
        Role.READ,
        "Sessions that are over, the youngest first",
        _list,
        RecordPage,
        query=RecordQuery,
    ),
    Operation(
        "getRecord",
        "GET",
        "/records/{id}",
        Role.READ,
        "A session that is over",
        _get,
        Record,
        problems=(Problem.SESSION_NOT_FOUND, Problem.RECORD_NOT_FOUND),
    ),
    Operation(
        "getInput",
        "GET",
        "/records/{id}/input",
        Role.OPERATE,
        "The first 64 KiB that a client sent which broke the protocol, with texts blanked out",
        None,
        download=_input,
        problems=(Problem.SESSION_NOT_FOUND, Problem.RECORD_NOT_FOUND, Problem.TOO_MANY_DOWNLOADS),
    ),
)
