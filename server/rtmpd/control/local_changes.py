"""Who has changed what, of what this process and those before it have stored."""

from __future__ import annotations

from rtmpd.control.actor import Actor
from rtmpd.control.change_answers import AuditEntry, AuditPage, AuditQuery
from rtmpd.control.paging import build
from rtmpd.control.stored import NO_PLACE, Stored, StoredChange
from rtmpd.control.times import on_wall
from rtmpd.exceptions import Conflict, NotPossible, StateUnusable
from rtmpd.reasons import Problem


class LocalChanges:
    """``control.Changes`` of this process."""

    def __init__(self, stored: Stored) -> None:
        self._stored = stored

    async def list(self, query: AuditQuery, by: Actor) -> AuditPage:
        by.check_unscoped()
        try:
            before = None if query.after is None else int(query.after)
        except ValueError:
            raise NotPossible(Problem.BAD_REQUEST, "after: send what next was") from None
        if before is not None and not 0 <= before < 2**63:
            raise NotPossible(Problem.BAD_REQUEST, "after: send what next was")
        try:
            found = await self._stored.changes(before, query.limit, query.by, query.change)
        except StateUnusable as error:
            raise Conflict(Problem.NOT_STORED, f"what is stored cannot be read: {error}") from error
        if found is None:
            text = f"{NO_PLACE}. What changes from now on is among the events"
            raise Conflict(Problem.NOT_STORED, text)
        rows, total = found
        items = await build(rows[: query.limit], _entry)
        return AuditPage(items=items, next=items[-1].id if len(rows) > query.limit else None, total=total)


def _entry(row: StoredChange) -> AuditEntry:
    return AuditEntry(
        id=str(row.id),
        time=on_wall(row.at),
        instance=row.instance,
        by=row.actor,
        address=row.client,
        protocol=row.protocol,
        change=row.change,
        target=row.target,
        reason=row.reason,
        result=row.result,
        problem=row.problem,
        detail=row.detail,
        before=row.before,
        after=row.after,
    )
