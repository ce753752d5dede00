"""The sessions of this process that are over, as they are told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from rtmpd.control.actor import Actor, Role
from rtmpd.control.paging import build, cut
from rtmpd.control.record_answers import Record, RecordPage, RecordQuery
from rtmpd.engine.key import StreamKey
from rtmpd.engine.origin import parse_session, spell_session
from rtmpd.exceptions import NotFound, NotPossible
from rtmpd.net.address_mask import OPEN, AddressMask
from rtmpd.reasons import Problem

if TYPE_CHECKING:
    from rtmpd.events.records import SessionRecord


class LocalRecords:
    """``control.Records`` of this process; ``records()`` are those that are kept."""

    def __init__(self, records: Callable[[], Iterable[SessionRecord]], mask: AddressMask = OPEN) -> None:
        self._records = records
        self._mask = mask

    async def list(self, query: RecordQuery, by: Actor) -> RecordPage:
        try:
            after = None if query.after is None else -parse_session(query.after)
        except ValueError:
            raise NotPossible(Problem.BAD_REQUEST, "after: send what next was") from None
        wanted = _wanted(query, by, self._mask)
        part = await cut(self._records(), wanted, lambda record: -record.origin.session, after, query.limit)
        items = await build(part.items, _record)
        return RecordPage(items=items, next=None if part.last is None else part.last.id, total=part.total)

    async def get(self, number: int, by: Actor) -> Record:
        return _record(self._find(number, by))

    async def input(self, number: int, by: Actor) -> bytes:
        from rtmpd.rtmp.input_scrubbing import blanked

        data = self._find(number, by).input.data
        if not data:
            text = "nothing that it sent is kept: it broke no rule, was long ago, or see records.keep_input"
            raise NotFound(Problem.RECORD_NOT_FOUND, text)
        return await asyncio.to_thread(blanked, data)

    def _find(self, number: int, by: Actor) -> SessionRecord:
        for record in self._records():
            if record.origin.session == number and _seen(record, by):
                return record
        text = f"nothing is kept of session {spell_session(number)}: it goes on, was long ago, or never was"
        raise NotFound(Problem.RECORD_NOT_FOUND, text)


def _record(record: SessionRecord) -> Record:
    return Record.model_validate(record.as_json())


def _seen(record: SessionRecord, by: Actor) -> bool:
    """As with a session: whoever has to do with all that it did."""
    used = [StreamKey(use.app, use.name) for use in record.uses]
    return not by.is_scoped or (bool(used) and all(map(by.sees, used)))


def _wanted(query: RecordQuery, by: Actor, mask: AddressMask) -> Callable[[SessionRecord], bool]:
    may_guess = by.role is Role.OPERATE
    from_there = None if query.address is None else mask.finder(query.address, may_guess=may_guess)

    def wanted(record: SessionRecord) -> bool:
        return (
            _seen(record, by)
            and (query.kind is None or record.kind == query.kind)
            and (query.app is None or any(use.app == query.app for use in record.uses))
            and (query.stream is None or any(f"{use.app}/{use.name}" == query.stream for use in record.uses))
            and (query.account is None or record.origin.account == query.account)
            and (query.reason is None or query.reason in (record.reason, record.detail))
            and (from_there is None or from_there(record.origin.address))
        )

    return wanted
