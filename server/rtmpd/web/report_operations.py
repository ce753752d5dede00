"""What can be asked of what has been."""

from __future__ import annotations

from typing import Final

from rtmpd.control.actor import Role
from rtmpd.control.change_answers import AuditPage, AuditQuery
from rtmpd.control.control import Control
from rtmpd.control.report_answers import UsagePage, UsageQuery
from rtmpd.reasons import Problem
from rtmpd.web.operations import Asked, Operation


async def _usage(control: Control, asked: Asked) -> UsagePage:
    return await control.reports.usage(asked.query_as(UsageQuery), asked.actor)


async def _changes(control: Control, asked: Asked) -> AuditPage:
    return await control.changes.list(asked.query_as(AuditQuery), asked.actor)


OPERATIONS: Final = (
    Operation(
        "getReport",
        "GET",
        "/report",
        Role.READ,
        "Who watched how much, by day and stream",
        _usage,
        UsagePage,
        query=UsageQuery,
        problems=(Problem.NOT_STORED,),
    ),
    Operation(
        "listChanges",
        "GET",
        "/audit",
        Role.READ,
        "Who has changed what, or was refused to, the newest first",
        _changes,
        AuditPage,
        query=AuditQuery,
        problems=(Problem.NOT_STORED,),
        whole_server=True,
    ),
)
