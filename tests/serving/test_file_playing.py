"""Files that are played over RTMP: what a client is told and sent, and whose rules hold."""

from __future__ import annotations

import asyncio
import logging
import threading
from pathlib import Path

import pytest
from engine_kit import keyframe
from flv_kit import HEADERS as FILE_HEADERS
from flv_kit import clip, seconds, with_index
from http_kit import Archive
from net_kit import HEADERS, Client, Doorman, House, eventually, serve
from rtmp_dialogue import command, connect

from rtmpd.engine.key import StreamKey
from rtmpd.engine.limits import EngineLimits, Quota
from rtmpd.engine.origin import Origin
from rtmpd.engine.sink import CloseReason
from rtmpd.exceptions import Refused
from rtmpd.outputs.library import Library
from rtmpd.outputs.vod_rules import VodRules
from rtmpd.reasons import Refusal
from rtmpd.rtmp.amf import AmfValue
from rtmpd.rtmp.constants import StatusCode
from rtmpd.rtmp.control import SetBufferLength, user_control
from rtmpd.serving.access import Action

ALL = 36_000_000
"""What rtmpdump says that it keeps ahead: send it as fast as it can be sent."""
STARTED = "1: onStatus 0 status NetStream.Play.Start"
OPENING = [
    "StreamIsRecorded 1",
    "StreamBegin 1",
    "1: onStatus 0 status NetStream.Play.Reset",
    STARTED,
    "1: meta@0",
]
STOPPED = "1: onStatus 0 status NetStream.Play.Stop"
END = "StreamEof 1"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    clip(tmp_path / "cam.flv", 3)
    return tmp_path


def library(root: Path, patience: float = 900.0) -> Library:
    return Library(lambda key: VodRules(str(root), patience) if key.app == "live" else None)


async def asked(house: House, name: str = "cam", *args: AmfValue, buffer_ms: int = ALL) -> Client:
    client = await house.client()
    client.say(connect(), command("createStream", 2), command("play", 3, name, *args, on=1))
    client.say(user_control(SetBufferLength(1, buffer_ms)))
    return client


def frames(lines: list[str]) -> list[str]:
    """Video but for headers, without the message stream."""
    return [line[3:] for line in lines if line.startswith(("1: K", "1: P"))]


async def test_a_file_is_sent_from_its_beginning_to_its_end(root: Path) -> None:
    async with serve(library=library(root)) as house:
        client = await asked(house)
        lines = await client.until(END)
        start = lines.index("StreamIsRecorded 1")
        assert lines[start : start + 7] == [*OPENING, "1: AVC@0", "1: AAC@0"]
        assert frames(lines)[:5] == ["K0@0", "P0.1@250", "P0.2@500", "P0.3@750", "K1@1000"]
        assert frames(lines)[-1] == "P2.3@2750"
        assert lines[-3] == STOPPED
        assert lines[-2].startswith("1: onPlayStatus")
        assert house.stats.players == 1
        await client.close()
        await eventually(lambda: house.stats.players == 0)


async def test_it_may_be_played_again_from_the_end(root: Path) -> None:
    async with serve(library=library(root)) as house:
        client = await asked(house)
        await client.until(END)
        client.call("seek", 0, 1400.0, on=1)
        lines = await client.until(END)
        assert lines[:4] == [
            "StreamIsRecorded 1",
            "StreamBegin 1",
            "1: onStatus 0 status NetStream.Seek.Notify",
            STARTED,
        ]
        assert frames(lines)[0] == "K1@1000"
        assert frames(lines)[-1] == "P2.3@2750"
        assert not [line for line in lines if "meta" in line]


async def test_a_play_begins_and_ends_where_it_is_to(root: Path) -> None:
    async with serve(library=library(root)) as house:
        client = await asked(house, "cam", 1250.0, 500.0)
        lines = await client.until(END)
        # Pictures before it are for the decoder only; sound before it is not sent.
        assert frames(lines) == ["K1@0", "P1.1@0", "P1.2@250", "P1.3@500"]
        assert next(line for line in lines if line.startswith("1: a")) == "1: a1.1@10"
        await client.close()


@pytest.mark.parametrize(
    ("start", "length", "first", "last"),
    [(0.0, 0.0, "K0@0", "K0@0"), (99_000.0, -1.0, "K2@0", "P2.3@0"), (-2.0, 1e18, "K0@0", "P2.3@2750")],
)
async def test_odd_places(root: Path, start: float, length: float, first: str, last: str) -> None:
    async with serve(library=library(root)) as house:
        lines = await (await asked(house, "cam", start, length)).until(END)
        assert (frames(lines)[0], frames(lines)[-1]) == (first, last)


async def test_a_player_is_sent_as_much_as_it_keeps_ahead(root: Path) -> None:
    clip(root / "cam.flv", 60)
    async with serve(library=library(root)) as house:
        client = await asked(house, buffer_ms=5000)
        await client.until("1: P4.3@4750")
        [player] = next(iter(house.connections)).requests.players
        await eventually(lambda: player.figures().timestamp >= 5000)
        assert player.figures().timestamp < 7000
        client.say(user_control(SetBufferLength(1, ALL)))
        await client.until(END)


async def test_nothing_is_sent_while_it_is_paused(root: Path) -> None:
    clip(root / "cam.flv", 60)
    async with serve(library=library(root)) as house:
        client = await asked(house, buffer_ms=2000)
        await client.until("1: P1.3@1750")
        client.call("pause", 0, True, 1000.0, on=1)
        lines = await client.until(END)
        assert "1: onStatus 0 status NetStream.Pause.Notify" in lines
        client.say(user_control(SetBufferLength(1, ALL)))
        [player] = next(iter(house.connections)).requests.players
        before = player.figures().bytes_out
        await asyncio.sleep(0.25)
        assert player.figures().bytes_out == before
        client.call("pause", 0, False, 1000.0, on=1)
        lines = await client.until(STOPPED)
        assert frames(lines)[-1] == "P59.3@59750"


async def test_of_many_seeks_the_last_one_holds(root: Path) -> None:
    with_index(root / "cam.flv", [*FILE_HEADERS, *seconds(60)])
    async with serve(library=library(root)) as house:
        client = await asked(house, buffer_ms=1000)
        await client.until("1: K1@1000")
        client.say(*[command("seek", 0, float(position), on=1) for position in range(0, 50_000, 1000)])
        client.say(user_control(SetBufferLength(1, ALL)))
        lines = await client.until(END)
        last = len(lines) - 1 - lines[::-1].index("1: onStatus 0 status NetStream.Seek.Notify")
        assert frames(lines[last:])[0] == "K49@49000"
        assert frames(lines[last:])[-1] == "P59.3@59750"


async def test_who_is_live_goes_before_a_file_unless_a_place_in_it_is_asked_for(root: Path) -> None:
    async with serve(library=library(root)) as house:
        encoder = await (await house.client()).publish()
        encoder.send(*HEADERS, (0, keyframe("LIVE")))
        await eventually(lambda: house.stream().stats.video.messages_in == 2)
        assert await (await asked(house)).until("1: LIVE@0")
        assert await (await asked(house, "cam", 0.0)).until("1: K0@0")
        assert await (await asked(house, "cam", -1000.0)).until("1: LIVE@0")


async def test_who_wants_what_is_live_only_waits(root: Path) -> None:
    async with serve(library=library(root)) as house:
        client = await asked(house, "cam", -1000.0)
        await client.until(STARTED)
        assert house.stream().players == 1


async def test_what_is_not_there_is_waited_for(root: Path) -> None:
    async with serve(library=library(root)) as house:
        await (await asked(house, "other", 0.0)).until(STARTED)
        assert house.stream("other").players == 1


async def test_a_file_that_cannot_be_read_is_refused(root: Path) -> None:
    (root / "cam.flv").write_bytes(b"nothing")
    async with serve(library=library(root)) as house:
        client = await asked(house)
        assert await client.answer() == "1: onStatus 0 error NetStream.Play.Failed"
        await client.closed()
        assert house.stats.refusals == {Refusal.FILE_UNREADABLE: 1}


async def test_files_count_as_players(root: Path) -> None:
    quota = Quota("live", 2)
    limits = EngineLimits(players=quota)
    async with serve(library=library(root), engine=limits) as house:
        first = await asked(house)
        await first.until(END)
        await (await asked(house, "live-one", -1000.0)).until(STARTED)
        third = await asked(house)
        assert await third.answer() == "1: onStatus 0 error NetStream.Play.Failed"
        assert house.stats.refusals == {Refusal.PLAYERS_PER_APP: 1}
        await first.close()
        await eventually(lambda: house.stats.players == 1)
        await (await asked(house)).until(END)


async def test_as_many_as_the_stream_of_that_name_takes(root: Path) -> None:
    async with serve(library=library(root), engine=EngineLimits(max_players_per_stream=1)) as house:
        await (await asked(house)).until(END)
        assert await (await asked(house)).answer() == "1: onStatus 0 error NetStream.Play.Failed"
        assert house.stats.refusals == {Refusal.PLAYERS_PER_STREAM: 1}


async def test_whoever_decides_is_asked_once_for_the_length_and_the_play(root: Path) -> None:
    doorman = Doorman(minds=(Action.PLAY,))
    async with serve(library=library(root), authorizer=doorman) as house:
        client = await house.client()
        client.say(
            connect(),
            command("createStream", 2),
            command("getStreamLength", 3, "cam?token=x"),
            command("play", 0, "cam?token=x", on=1),
            user_control(SetBufferLength(1, ALL)),
        )
        await eventually(lambda: doorman.requests)
        doorman.grant()
        lines = await client.until(END)
        assert "_result 3 2.76" in lines
        assert len(doorman.requests) == 1
        assert doorman.requests[0].query == "token=x"


async def test_who_may_not_play_it_is_not_told_how_long_it_is(root: Path) -> None:
    doorman = Doorman(minds=(Action.PLAY,))
    async with serve(library=library(root), authorizer=doorman) as house:
        client = await house.client()
        client.say(connect(), command("createStream", 2), command("getStreamLength", 3, "cam"))
        await eventually(lambda: doorman.requests)
        doorman.fail(Refused(StatusCode.PLAY_FAILED, "No.", Refusal.NOBODY))
        assert (await client.rest())[-1] == "_error 3 error NetStream.Play.Failed"
        assert house.stats.refusals == {Refusal.NOBODY: 1}


@pytest.mark.parametrize(("name", "app", "length"), [("other", "live", "0"), ("cam", "elsewhere", "0")])
async def test_lengths_of_what_is_not_there(root: Path, name: str, app: str, length: str) -> None:
    async with serve(library=library(root)) as house:
        client = await house.client()
        client.say(connect(app=app), command("getStreamLength", 3, name))
        assert (await client.until(f"_result 3 {length}"))[-1]


async def test_who_stays_paused_for_too_long_is_closed(root: Path) -> None:
    async with serve(library=library(root, patience=0.1)) as house:
        client = await asked(house)
        await client.until(END)
        assert (await client.rest())[-1] == "1: onStatus 0 error NetStream.Play.Failed"
        assert house.stats.players == 0


async def test_whoever_leaves_in_the_middle_leaves_nothing_behind(
    root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clip(root / "cam.flv", 600, size=20_000)
    async with serve(library=library(root)) as house:
        clients = [await asked(house) for _ in range(10)]
        with caplog.at_level(logging.INFO):
            for client in clients:
                await client.until("1: K1@1000")
                client.reset()
            await eventually(lambda: not house.open_connections)
        assert house.stats.players == 0
        assert not house.registry.viewers
        assert house.registry.budget.used == 0
        assert len([each for each in caplog.records if each.message == "play of a file ended"]) == 10


async def test_who_reads_nothing_is_sent_no_more_than_waits(root: Path) -> None:
    clip(root / "cam.flv", 600, size=50_000)
    async with serve(library=library(root), sample_every=0.02) as house:
        client = await asked(house)
        await client.until("1: K0@0")
        [connection] = house.connections
        await eventually(lambda: connection.outlet.congestion is not None)
        await asyncio.sleep(0.2)
        assert connection.backlog() < 2 * 1024 * 1024
        assert house.registry.budget.used == connection.backlog()
        await client.until(END)


async def test_it_is_in_the_table_of_sessions_and_can_be_thrown_out(root: Path) -> None:
    async with serve(library=library(root)) as house:
        client = await asked(house)
        await client.until(END)
        [connection] = house.connections
        [use] = connection.uses
        assert (use.publishes, use.key) == (False, StreamKey("live", "cam"))
        assert connection.figures().bytes_out > 1000
        connection.dismiss(CloseReason.KICKED)
        assert (await client.rest())[-1] == "1: onStatus 0 error NetStream.Play.Failed"


async def test_media_that_is_not_wanted_is_not_sent(root: Path) -> None:
    async with serve(library=library(root)) as house:
        client = await house.client()
        client.say(connect(), command("createStream", 2), command("receiveVideo", 0, False, on=1))
        client.say(command("play", 3, "cam", on=1), user_control(SetBufferLength(1, ALL)))
        lines = await client.until(END)
        assert not frames(lines)
        assert "1: a2.3@2760" in lines


async def test_hundreds_play_at_a_time_and_all_get_all(root: Path) -> None:
    before = threading.active_count()
    async with serve(library=library(root)) as house:
        clients = [await asked(house) for _ in range(200)]
        for client in clients:
            assert frames(await client.until(END))[-1] == "P2.3@2750"
        assert house.stats.players == 200
        assert threading.active_count() - before <= 4


async def test_a_play_of_a_file_is_in_the_table_and_in_the_records(root: Path) -> None:
    async with serve(library=library(root)) as house:
        archive = Archive(house)
        client = await asked(house)
        await client.until(END)
        (session,) = house.registry.sessions
        assert [(use.publishes, str(use.key), use.file) for use in session.uses] == [
            (False, "live/cam", True)
        ]
        session.dismiss(CloseReason.KICKED, Origin(account="ann"))
        await client.rest()
        await client.close()
        await eventually(lambda: archive.records)
        (record,) = archive.records
        (told,) = record.uses
        assert (record.kind, told.file, told.reason, told.by) == ("player", True, "kicked", "ann")
        assert 0 < told.bytes < record.bytes_out


@pytest.mark.parametrize(("until", "reason"), [(END, "finished"), ("1: K0@0", "connection_lost")])
async def test_who_hangs_up_has_finished_what_it_has_all_of(root: Path, until: str, reason: str) -> None:
    clip(root / "cam.flv", 60)
    async with serve(library=library(root)) as house:
        archive = Archive(house)
        client = await asked(house, buffer_ms=ALL if until == END else 2000)
        await client.until(until)
        client.reset()
        await eventually(lambda: archive.records)
        (record,) = archive.records
        assert [told.reason for told in record.uses] == [reason]
