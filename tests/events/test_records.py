"""What is left of sessions that are over."""

from __future__ import annotations

import json
import struct
from dataclasses import replace
from typing import Any

import pytest
from engine_kit import AAC_HEADER, AVC_HEADER, FakePublisher, House, keyframe
from events_kit import CAM, ENCODER, NOON

from rtmpd.engine.budget import MemoryBudget
from rtmpd.engine.origin import Origin
from rtmpd.engine.sessions import SessionEnd, SessionFigures
from rtmpd.engine.sink import CloseReason, Ending, PlayOptions
from rtmpd.engine.vod import VodPlay
from rtmpd.events.record_ring import RecordRing
from rtmpd.events.records import KeptInput, Recorder, SessionRecord
from rtmpd.net.address_mask import AddressMask, Showing
from rtmpd.reasons import SessionFailure

TRUNCATED = AddressMask(lambda: 0.0, bytes)
TRUNCATED.apply(Showing.TRUNCATED, Showing.TRUNCATED)
PLAYER = Origin(session=2, address="192.0.2.2", connection=2)
ADMIN = Origin(protocol="http", account="ann")


class Archive:
    """A recorder at a registry, with a clock that moves only when told."""

    def __init__(self) -> None:
        self.house = House()
        self.records: list[SessionRecord] = []
        loop = self.house.loop
        self.budget = self.house.registry.budget
        self.recorder = Recorder(loop.call_soon, loop.clock, lambda: NOON + loop.now, self.budget)
        self.house.registry.observe(self.recorder)
        self.recorder.add_listener(self)

    def recorded(self, record: SessionRecord) -> None:
        self.records.append(record)

    def later(self, seconds: float) -> None:
        self.house.loop.now += seconds
        self.house.loop.run(self.house.loop.now)

    def end(self, origin: Origin, **changes: Any) -> SessionRecord:
        """The session's connection is lost."""
        self.recorder.session_ended(ended(origin)._replace(**changes))
        self.later(0.0)
        return self.records[-1]


def ended(origin: Origin) -> SessionEnd:
    figures = SessionFigures(3000, 200, 0, 0, None, b"")
    return SessionEnd(
        origin, CloseReason.FINISHED, None, None, True, figures, 4096, "deleteStream", b"\x03secret"
    )


def test_a_record_says_what_was_published_and_why_it_ended() -> None:
    archive = Archive()
    house, encoder = archive.house, replace(ENCODER, mask=TRUNCATED)
    publication = house.registry.claim(CAM, FakePublisher(), encoder, house.loop.now)
    house.send(publication, (0, AAC_HEADER), (0, AVC_HEADER), (0, keyframe()))
    archive.later(12.5)
    publication.dismiss(CloseReason.KICKED, ADMIN)
    # Both in one turn, as where the peer resets its connection: the use is told a turn later.
    record = archive.end(encoder, reason=CloseReason.KICKED, by=ADMIN)
    told = json.loads(json.dumps(record.as_json()))
    assert told["uses"] == [
        {
            "action": "publish",
            "app": "live",
            "name": "cam",
            "since": "2023-11-14T22:13:20.000Z",
            "seconds": 12.5,
            "bytes": len(AAC_HEADER) + len(AVC_HEADER) + len(keyframe()),
            "video": "avc1",
            "audio": "mp4a",
            "dropped": 0,
            "reason": "kicked",
            "by": "ann",
            "file": False,
        }
    ]
    del told["uses"]
    assert told == {
        "id": "018bcfe5-6800-7000-8000-000000000001",
        "kind": "publisher",
        "protocol": "rtmp",
        "since": "2023-11-14T22:13:20.000Z",
        "until": "2023-11-14T22:13:32.500Z",
        "seconds": 12.5,
        "address": "192.0.2.0",  # As it may be shown.
        "listener": "0.0.0.0:1935",
        "tls": False,
        "agent": "FMLE/3.0 (compatible; FMSc/1.0)",
        "account": "Studio 2",
        "query": "",
        "bytes_in": 3000,
        "bytes_out": 200,
        "dropped": 0,
        "peak_backlog_bytes": 4096,
        "reason": "kicked",
        "detail": None,
        "by": "ann",
        "last_command": "deleteStream",
        "tcp": None,
        "more_uses": 0,
        "input_bytes": 0,  # It has broken nothing.
    }


def test_what_broke_the_protocol_leaves_what_it_sent() -> None:
    record = Archive().end(PLAYER, reason=CloseReason.PROTOCOL_ERROR, detail=SessionFailure.CONNECT_TWICE)
    assert (record.kind, record.detail, record.input.data) == ("pending", "connect_twice", b"\x03secret")


def test_the_many_plays_of_a_session_are_counted() -> None:
    archive = Archive()
    for _ in range(40):
        _, player = archive.house.play(PlayOptions(origin=PLAYER))
        player.detach()
    record = archive.end(PLAYER)
    assert (record.kind, len(record.uses), record.more_uses) == ("player", 32, 8)
    assert archive.end(PLAYER).uses == ()  # They are forgotten with it.


def test_what_a_session_has_done_is_charged_until_it_is_over_and_counted_while_memory_is_short() -> None:
    archive = Archive()

    def play() -> None:
        _, player = archive.house.play(PlayOptions(origin=PLAYER))
        player.detach()
        archive.later(0.0)

    for _ in range(3):
        play()
    charged = archive.budget.queue_bytes
    assert 3 * 512 <= charged <= 3 * 600
    _, last = archive.house.play(PlayOptions(origin=PLAYER))
    archive.budget.ceiling_bytes = 1
    last.detach()
    archive.later(0.0)
    assert archive.budget.queue_bytes == charged
    record = archive.end(PLAYER)
    assert (len(record.uses), record.more_uses, archive.budget.used) == (3, 1, 0)


def test_a_relay_is_a_session_as_long_as_its_stream() -> None:
    archive = Archive()
    pull = Origin(session=3, protocol="pull", address="origin.example.com")
    publication = archive.house.registry.claim(CAM, FakePublisher(), pull, archive.house.loop.now)
    archive.later(2.0)
    publication.close(CloseReason.CONNECTION_LOST)
    archive.later(0.0)
    (record,) = archive.records
    assert (record.kind, record.until - record.since, record.reason) == ("pull", 2.0, "connection_lost")


def test_who_says_nothing_is_no_session() -> None:
    archive = Archive()
    archive.recorder.session_ended(ended(PLAYER)._replace(figures=SessionFigures(0, 0, 0, 0, None, b"")))
    archive.later(0.0)
    assert archive.records == []


def test_the_kernel_is_asked_at_the_end() -> None:
    data = struct.pack("=8B 24I 4Q 4I", *[0] * 8, *range(24), *[0] * 4, *[0, 0, 0, 9])
    record = Archive().end(PLAYER, figures=SessionFigures(1, 1, 0, 0, None, data))
    assert record.as_json()["tcp"] == {
        "round_trip_seconds": 15e-6,
        "round_trip_min_seconds": 9e-6,
        "retransmitted_segments": 23,
    }


def test_a_listener_that_fails_costs_nobody_else_a_record(caplog: pytest.LogCaptureFixture) -> None:
    archive = Archive()

    class Broken:
        def recorded(self, _record: SessionRecord) -> None:
            raise OSError("no room")

    broken = Broken()
    archive.recorder.remove_listener(archive)
    archive.recorder.add_listener(broken)
    archive.recorder.add_listener(archive)
    archive.end(PLAYER)
    assert (len(archive.records), caplog.messages) == (1, ["a record of a session was not kept"])


def ring_of(most: int) -> tuple[RecordRing, MemoryBudget]:
    budget = MemoryBudget(1 << 30, lambda: None)
    return RecordRing(budget, most), budget


def test_strangers_wash_out_nobody() -> None:
    record = Archive().end(PLAYER)
    ring, budget = ring_of(8)
    for number in range(20):
        origin = replace(PLAYER, session=1000 + number)
        ring.recorded(replace(record, origin=origin, introduced=False))
    for number in range(5):
        ring.recorded(replace(record, origin=replace(PLAYER, session=number)))
    assert sorted(each.origin.session for each in ring) == [0, 1, 2, 3, 4, 1018, 1019]
    found = ring.find(replace(record, origin=replace(PLAYER, session=1019)).id)
    assert found is not None
    assert not found.introduced
    assert ring.find(replace(record, origin=replace(PLAYER, session=1000)).id) is None
    ring.apply(0)
    assert (len(ring), budget.queue_bytes) == (0, 0)


def test_few_of_those_are_kept_that_left_what_they_sent() -> None:
    def made(number: int) -> SessionRecord:
        return replace(record, origin=replace(PLAYER, session=number), input=KeptInput(b"x" * 65_536))

    record = Archive().end(PLAYER)
    ring, budget = ring_of(100)
    for number in range(20):
        ring.recorded(made(number))
    assert [each.origin.session for each in ring if each.input.data] == list(range(4, 20))
    assert len(ring) == 20
    assert 16 * 65_536 < budget.queue_bytes < 16 * 70_000
    budget.ceiling_bytes = 1
    waits = made(20)  # As in the access log's queue, whose disk hangs.
    ring.recorded(waits)
    assert (len(ring), budget.queue_bytes, waits.input.data) == (0, 0, b"")


def test_a_file_that_was_played_is_told_as_one() -> None:
    archive = Archive()
    viewers, loop = archive.house.registry.viewers, archive.house.loop
    play = VodPlay(CAM, PLAYER, loop.now)
    viewers.begin(play)
    archive.later(4.5)
    play.bytes_out, play.ending = 9000, Ending(CloseReason.KICKED, ADMIN)
    viewers.end(play, loop.now)
    record = archive.end(PLAYER)
    (use,) = record.uses
    assert (record.kind, use.action, f"{use.app}/{use.name}", use.file) == (
        "player",
        "play",
        "live/cam",
        True,
    )
    assert (use.until - use.since, use.bytes, use.reason, use.by) == (4.5, 9000, "kicked", "ann")
