"""The sessions of this process that are over, as they are told."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from rtmpd.control.actor import Actor
from rtmpd.control.paging import build, cut
from rtmpd.control.record_answers import Record, RecordPage, RecordQuery
from rtmpd.engine.key import StreamKey
from rtmpd.engine.origin import parse_session, spell_session
from rtmpd.exceptions import NotFound, NotPossible
from rtmpd.reasons import Problem

if TYPE_CHECKING:
    from rtmpd.events.records import SessionRecord


class LocalRecords:
    """``control.Records`` of this process; ``records()`` are those that are kept."""

    def __init__(self, records: Callable[[], Iterable[SessionRecord]]) -> None:
        self._records = records

    async def list(self, query: RecordQuery, by: Actor) -> RecordPage:
        try:
            after = None if query.after is None else -parse_session(query.after)
        except ValueError:
            raise NotPossible(Problem.BAD_REQUEST, "after: send what next was") from None
        part = await cut(
            self._records(), _wanted(query, by), lambda record: -record.origin.session, after, query.limit
        )
        items = await build(part.items, _record)
        return RecordPage(items=items, next=None if part.last is None else part.last.id, total=part.total)

    async def get(self, number: int, by: Actor) -> Record:
        return _record(self._find(number, by))

    async def input(self, number: int, by: Actor) -> bytes:
        from rtmpd.rtmp.input_scrubbing import blanked

        data = self._find(number, by).input
        if not data:
            text = "nothing that it sent is kept: it broke no rule of the protocol, or see records.keep_input"
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
    return not by.is_scoped or any(by.sees(StreamKey(use.app, use.name)) for use in record.uses)


def _wanted(query: RecordQuery, by: Actor) -> Callable[[SessionRecord], bool]:
    network = None if query.address is None else ipaddress.ip_network(query.address, strict=False)

    def wanted(record: SessionRecord) -> bool:
        return (
            _seen(record, by)
            and (query.kind is None or record.kind == query.kind)
            and (query.app is None or any(use.app == query.app for use in record.uses))
            and (query.stream is None or any(f"{use.app}/{use.name}" == query.stream for use in record.uses))
            and (query.account is None or record.origin.account == query.account)
            and (query.reason is None or query.reason in (record.reason, record.detail))
            and (network is None or _is_in(record.origin.address, network))
        )

    return wanted


def _is_in(address: str, network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> bool:
    try:
        return ipaddress.ip_address(address) in network
    except ValueError:
        return False  # A host by its name, or nobody knows where.
