"""RTMP players that begin in the past of a stream: what they ask for, and what they are sent."""

from __future__ import annotations

import asyncio

import pytest
from engine_kit import keyframe
from net_kit import Client, House, eventually, serve
from rewind_kit import KEY, Attic, kept_stream, rules
from rtmp_dialogue import command, connect

from rtmpd.exceptions import Refused
from rtmpd.reasons import Refusal
from rtmpd.rtmp.amf import AmfValue
from rtmpd.rtmp.events import PlayRequested
from rtmpd.serving.rewinding import Moment, NoPast, asked_moment

STARTED = "1: onStatus 0 status NetStream.Play.Start"


async def asked(house: House, name: str, *args: AmfValue) -> Client:
    client = await house.client()
    client.say(connect(), command("createStream", 2), command("play", 3, name, *args, on=1))
    return client


def pictures(lines: list[str]) -> list[str]:
    return [line[3:].partition("@")[0] for line in lines if line.startswith(("1: K", "1: P"))]


@pytest.mark.parametrize(
    ("name", "args", "first", "last"),
    [
        ("cam?start=-20", (), "K9", "P9"),
        ("cam?start=-20.0&x=y", (-1000.0,), "K9", "P9"),
        ("cam?start=12", (0.0,), "K12", "K12"),
        ("cam", (12_600.0,), "K12", "P12"),
        ("cam?start=0", (), "K0", "K0"),
    ],
)
async def test_a_player_begins_where_it_wants(
    name: str, args: tuple[AmfValue, ...], first: str, last: str
) -> None:
    attic = Attic()
    async with (
        serve(past=attic, play_rules=lambda _key: rules()) as house,
        kept_stream(house, attic, 30) as encoder,
    ):
        attic.now -= 0.5  # The last second is not over.
        client = await asked(house, name, *args)
        lines = await client.until(f"1: {last}@{int(first[1:]) * 1000 + 500 * last.startswith('P')}")
        assert lines.index(STARTED) < next(at for at, line in enumerate(lines) if "AVC" in line)
        assert pictures(lines)[0] == first
        assert pictures(lines)[-1] == last
        assert attic.players == house.stats.players == 1
        attic.now += 5.0
        await client.until(f"1: K{int(first[1:]) + 5}@{(int(first[1:]) + 5) * 1000}")
        await client.close()
        await eventually(lambda: attic.players == 0)
        await encoder.close()


async def test_it_sees_the_end_as_much_later() -> None:
    attic = Attic()
    async with (
        serve(past=attic, play_rules=lambda _key: rules()) as house,
        kept_stream(house, attic, 30) as encoder,
    ):
        client = await asked(house, "cam?start=-10")
        await client.until("1: K20@20000")
        await encoder.close()
        await eventually(lambda: not house.stats.publishers)
        attic.now += 11.0
        lines = await client.until("1: onStatus 0 status NetStream.Play.UnpublishNotify")
        assert pictures(lines)[-1] == "P29"
        await client.close()


async def test_where_nobody_may_go_back_it_is_live() -> None:
    attic = Attic()
    async with (
        serve(past=attic, play_rules=lambda _key: rules(rewind=False)) as house,
        kept_stream(house, attic, 30) as encoder,
    ):
        for name in ("cam?start=-10", "cam?start=soon"):
            client = await asked(house, name)
            assert pictures(await client.until("1: P29@29500")) == ["K29", "P29"]
            await client.close()
        await encoder.close()


async def test_nor_is_anybody_who_waits_for_a_stream() -> None:
    async with serve(past=NoPast(), play_rules=lambda _key: rules()) as house:
        client = await asked(house, "cam?start=-10")
        await client.until(STARTED)
        assert KEY in house.registry.streams
        await client.close()


@pytest.mark.parametrize(
    "text", ["", "-", "soon", "-1e3", "nan", "inf", "--5", "1/2", "9" * 10, "-30s", " 1"]
)
async def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(Refused, match="Nothing can begin there") as caught:
        asked_moment(PlayRequested(1, "cam", f"start={text}", -2.0, -1.0, reset=True))
    assert caught.value.reason is Refusal.START


async def test_and_the_client_is_told_so() -> None:
    async with serve(play_rules=lambda _key: rules()) as house:
        client = await asked(house, "cam?start=soon")
        assert await client.answer() == "1: onStatus 0 error NetStream.Play.Failed"
        await client.closed()
        assert house.stats.refusals == {Refusal.START: 1}


@pytest.mark.parametrize(
    ("query", "start", "moment"),
    [
        ("", -2.0, None),
        ("", 0.0, None),
        ("restart=5", -2.0, None),
        ("", 1500.5, Moment(None, 1500)),
        ("start=-30", 1500.0, Moment(30.0)),
        ("start=-0", -2.0, Moment(0.0)),
        ("start=1.5", -2.0, Moment(None, 1500)),
    ],
)
def test_the_query_goes_before_the_start_of_the_play(query: str, start: float, moment: Moment | None) -> None:
    assert asked_moment(PlayRequested(1, "cam", query, start, -1.0, reset=True)) == moment


async def test_hundreds_who_go_back_take_no_thread_and_little_of_the_loop() -> None:
    attic = Attic()
    async with (
        serve(past=attic, play_rules=lambda _key: rules()) as house,
        kept_stream(house, attic, 60) as encoder,
    ):
        crowd = [await asked(house, f"cam?start=-{2 + number % 50}") for number in range(300)]
        await eventually(lambda: attic.players == 300)
        assert len(house.stream().apart) == 32
        attic.now += 3.0
        await asyncio.gather(*[client.until("1: K40@40000") for client in crowd[20::50]])
        for client in crowd:
            await client.close()
        await encoder.close()


async def test_a_seek_leads_back_and_forth() -> None:
    attic = Attic()
    async with (
        serve(past=attic, play_rules=lambda _key: rules()) as house,
        kept_stream(house, attic, 30) as encoder,
    ):
        client = await asked(house, "cam")
        await client.until("1: P29@29500")
        plays = house.stats.plays_total
        client.call("seek", 0, 12_600.0, on=1)
        lines = await client.until("1: P12@12500")
        assert "1: onStatus 0 status NetStream.Seek.Notify" in lines
        assert pictures(lines) == ["K12", "P12"]
        assert (attic.players, house.stats.players, house.stream().players) == (1, 1, 1)
        attic.now += 2.0
        assert pictures(await client.until("1: P14@14500")) == ["K13", "P13", "K14", "P14"]
        client.call("seek", 0, 5000.0, on=1)
        assert pictures(await client.until("1: K5@5000")) == ["K5"]
        client.call("seek", 0, 99_000.0, on=1)
        assert pictures(await client.until("1: K29@29000"))[-1] == "K29"
        await eventually(lambda: not house.stream().apart)
        encoder.send((31_000, keyframe("live")))
        await client.until("1: live@31000")
        assert house.stats.plays_total == plays
        assert house.stats.time_to_first_frame.count == 1
        await client.close()
        await eventually(lambda: house.stats.players == 0)
        assert house.stream().players == 0
        await encoder.close()


async def test_who_has_gone_back_and_pauses_goes_on_where_it_was() -> None:
    attic = Attic()
    async with (
        serve(past=attic, play_rules=lambda _key: rules()) as house,
        kept_stream(house, attic, 30) as encoder,
    ):
        client = await asked(house, "cam?start=12")
        await client.until("1: K12@12000")
        client.call("pause", 0, True, 0.0, on=1)
        await client.until("1: onStatus 0 status NetStream.Pause.Notify")
        attic.now += 8.0
        client.call("pause", 0, False, 0.0, on=1)
        await client.until("1: onStatus 0 status NetStream.Unpause.Notify")
        attic.now += 1.0
        assert pictures(await client.until("1: K13@13000"))[0] == "K12"
        client.call("pause", 0, True, 0.0, on=1)
        client.call("seek", 0, 20_000.0, on=1)
        await client.until("1: onStatus 0 status NetStream.Seek.Notify")
        client.call("pause", 0, False, 0.0, on=1)
        assert pictures(await client.until("1: K20@20000")) == ["K20"]
        await client.close()
        await encoder.close()


async def test_who_is_live_and_pauses_goes_on_live() -> None:
    attic = Attic()
    async with (
        serve(past=attic, play_rules=lambda _key: rules()) as house,
        kept_stream(house, attic, 10) as encoder,
    ):
        client = await asked(house, "cam")
        await client.until("1: P9@9500")
        client.call("pause", 0, True, 0.0, on=1)
        await client.until("1: onStatus 0 status NetStream.Pause.Notify")
        await attic.go_on(house, encoder, 10, 15)
        client.call("pause", 0, False, 0.0, on=1)
        await client.until("1: onStatus 0 status NetStream.Unpause.Notify")
        encoder.send((15_000, keyframe("live")))
        assert pictures(await client.until("1: live@15000")) == []
        assert attic.players == 0
        await client.close()
        await encoder.close()
