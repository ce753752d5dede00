"""Plays that name a track behind the stream's name or in its query: who is asked, what is said."""

from __future__ import annotations

from golden_captures import load
from http_kit import UPGRADE, site
from net_kit import Client, Doorman, House, eventually, serve
from rtmp_dialogue import command, connect

from rtmpd.engine.limits import EngineLimits
from rtmpd.media.codecs import video_info
from rtmpd.media.tags import SEQUENCE_HEADER, video_flags
from rtmpd.media.tracks import plain_track
from rtmpd.rtmp.chunks import ChunkReader
from rtmpd.rtmp.limits import Limits
from rtmpd.rtmp.messages import Message

FAILED = "1: onStatus 0 error NetStream.Play.Failed"


def ladder(messages: int = 60) -> list[Message]:
    """How OBS begins with three pictures: 360, 240 and 144 lines high."""
    read = ChunkReader(Limits()).receive_data(load("obs32/obs32-multitrack-pub").chunks)
    return [each for each in read if each.type in (8, 9, 18)][:messages]


async def on_air(house: House, messages: list[Message]) -> Client:
    encoder = await (await house.client()).publish()
    encoder.say(*messages)
    await eventually(
        lambda: house.stream().stats.video.messages_in == sum(each.type == 9 for each in messages)
    )
    return encoder


async def height(player: Client) -> int:
    """Of the first picture that it is sent."""
    while True:
        message = await player.hear_message()
        if message.type == 9 and video_flags(message.payload) & SEQUENCE_HEADER:
            info = video_info(message.payload)
            assert info is not None
            return info.height


async def test_a_track_may_stand_behind_the_name_or_in_the_query() -> None:
    async with serve() as house:
        await on_air(house, ladder())
        for name, lines in (
            ("cam@240p", 240),
            ("cam@144p?key=x", 144),
            ("cam@best?track=1", 360),
            ("cam?track=240p", 240),
            ("cam@2", 144),
            ("cam", 360),
        ):
            player = await (await house.client()).play(name)
            assert await height(player) == lines
            await player.close()


async def test_who_may_play_is_asked_of_the_stream() -> None:
    doorman = Doorman()
    async with serve(authorizer=doorman) as house:
        player = await house.client()
        player.say(connect(), command("createStream", 2), command("play", 3, "cam@240p?key=x", on=1))
        await eventually(lambda: doorman.requests)
        (request,) = doorman.requests
        assert (request.key.name, request.query) == ("cam", "key=x&track=240p")


async def test_a_name_with_another_sign_behind_it_is_refused_as_ever() -> None:
    async with serve() as house:
        player = await house.client()
        player.say(connect(), command("createStream", 2), command("play", 3, "cam@home", on=1))
        assert (await player.until("1: onStatus 0 error NetStream.Play.StreamNotFound"))[-1]
        encoder = await house.client()
        encoder.say(connect(), command("createStream", 2), command("publish", 3, "cam@720p", "live", on=1))
        assert (await encoder.until("1: onStatus 0 error NetStream.Publish.BadName"))[-1]


async def test_a_track_that_is_not_there_is_refused_with_those_that_are() -> None:
    async with serve() as house:
        await on_air(house, ladder())
        house.stream().seat.live_since -= 10.0
        player = await house.client()
        player.say(connect(), command("createStream", 2), command("play", 3, "cam@720p", on=1))
        while True:
            message = await player.hear_message()
            if b"NetStream.Play.Failed" in message.payload:
                break
        assert b"cam has no track 720p: it has 360p, 240p, 144p." in message.payload
        assert house.stats.players == 0


async def test_who_has_waited_for_it_is_told_the_same() -> None:
    async with serve() as house:
        player = await (await house.client()).play("cam@720p")
        encoder = await on_air(house, ladder())
        house.stream().seat.live_since -= 10.0
        encoder.say(*ladder(80)[60:])
        assert (await player.until(FAILED))[-1] == FAILED
        await eventually(lambda: house.stats.players == 0)
        assert {str(reason): n for reason, n in house.stats.players_closed.items()} == {"no_track": 1}


async def test_a_stream_that_is_shown_later_is_asked_then() -> None:
    async with serve(engine=EngineLimits(delay=1.0)) as house:
        player = await (await house.client()).play("cam@720p")
        await on_air(house, ladder())
        assert house.stats.players == 1
        await player.close()


async def test_flv_by_http_says_404_and_what_there_is() -> None:
    async with site() as there:
        encoder = await on_air(there.house, ladder())
        player = await there.get("/live/cam@240p.flv")
        assert player.status == 200
        tags = [await player.tag() for _ in range(4)]
        (header,) = [each for each in tags if each.type == 9 and video_flags(each.payload) & SEQUENCE_HEADER]
        info = video_info(header.payload)
        assert info is not None
        assert info.height == 240
        waiting = (await there.browser()).ask("/live/cam.flv?track=720p")
        await eventually(lambda: there.house.stats.players == 2)
        there.house.stream().seat.live_since -= 10.0
        late = await there.get("/live/cam%40720p.flv")
        assert (late.status, await late.body()) == (404, "cam has no track 720p: it has 360p, 240p, 144p.\n")
        encoder.say(*ladder(80)[60:])
        assert await waiting.head() == 404
        assert await waiting.body() == "cam has no track 720p: it has 360p, 240p, 144p.\n"


async def test_flv_by_websocket_is_closed_with_the_sentence() -> None:
    async with site() as there:
        encoder = await on_air(there.house, ladder())
        player = (await there.browser()).ask_with("/live/cam@720p.flv", UPGRADE)
        assert await player.head() == 101
        there.house.stream().seat.live_since -= 10.0
        encoder.say(*ladder(80)[60:])
        opcode, payload = await player.frame()
        assert opcode == 0x88
        assert payload[2:].decode().startswith("cam has no track 720p")


def test_the_ladder_is_what_it_is_taken_for() -> None:
    heads = [m.payload for m in ladder() if m.type == 9 and video_flags(m.payload) & SEQUENCE_HEADER]
    assert [video_info(each) for each in heads] == [video_info(heads[0])] + [
        video_info(plain_track(9, each)) for each in heads[1:]
    ]
