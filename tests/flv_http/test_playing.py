"""Streams played by GET and by WebSocket: what comes, in which order, and how it ends."""

from __future__ import annotations

import asyncio
import logging

import pytest
from engine_kit import inter, keyframe, metadata, sound
from http_kit import UPGRADE, Archive, Site, frame, named, site
from net_kit import HEADERS, Client, Doorman, eventually

from rtmpd.engine.key import StreamKey
from rtmpd.engine.origin import Origin
from rtmpd.engine.sink import CloseReason
from rtmpd.exceptions import Refused
from rtmpd.media.flv import encode_header
from rtmpd.metrics.server import collect_server
from rtmpd.reasons import Refusal
from rtmpd.rtmp.constants import StatusCode
from rtmpd.serving.access import Action

PATH = "/live/cam.flv"


async def on_air(there: Site, *media: tuple[int, bytes]) -> Client:
    """An encoder whose stream is known to the server by its headers and ``media``."""
    encoder = await (await there.house.client()).publish()
    encoder.send((0, metadata(width=640, videocodecid=7.0, audiocodecid=10.0)), *HEADERS, *media)
    stats = there.house.stream().stats
    await eventually(lambda: stats.video.messages_in + stats.audio.messages_in == 2 + len(media))
    return encoder


async def test_a_late_joiner_gets_the_file_header_then_headers_then_the_gop() -> None:
    async with site() as there:
        encoder = await on_air(there, (0, keyframe("A")), (40, inter("B")))
        player = await there.get(PATH)
        assert (player.status, player.headers["content-type"]) == (200, "video/x-flv")
        assert player.headers["connection"] == "close"
        assert await player.until("B@40") == ["meta@0", "AAC@0", "AVC@0", "A@0", "B@40"]
        assert player.media == (True, True)
        encoder.send((80, inter("C")), (90, sound("s")))
        assert await player.until("s@90") == ["C@80", "s@90"]
        assert there.house.stats.time_to_first_frame.count == 1
        assert there.house.stats.players == 1
        encoder.call("FCUnpublish", 6, "cam")
        assert await player.closed() == b""


async def test_who_comes_first_waits_without_an_answer_and_the_end_of_the_stream_is_the_end() -> None:
    async with site() as there:
        player = (await there.browser()).ask(PATH)
        await eventually(lambda: there.house.stats.players)
        assert there.house.stats.bytes_out == 0
        encoder = await on_air(there, (0, keyframe("A")))
        assert await player.head() == 200
        assert await player.until("A@0") == ["meta@0", "AVC@0", "AAC@0", "A@0"]
        await encoder.close()
        assert await player.closed() == b""
        await eventually(lambda: not there.house.stats.players)


async def test_nobody_comes_within_the_time_that_players_wait() -> None:
    async with site(wait_timeout=0.05) as there:
        player = await there.get(PATH)
        assert player.status == 404
        assert await player.body() == "Nobody published cam within 0.05 s.\n"
        assert await player.closed() == b""


@pytest.mark.parametrize(("audio", "video"), [(True, False), (False, True)])
async def test_the_file_header_names_what_the_stream_has(audio: bool, video: bool) -> None:
    async with site() as there:
        encoder = await (await there.house.client()).publish()
        told = {"audiocodecid": 10.0} if audio else {"videocodecid": 7.0}
        header = HEADERS[1] if audio else HEADERS[0]
        encoder.send((0, metadata(**told)), header, (0, sound() if audio else keyframe()))
        player = await there.get(PATH)
        await player.tag()
        assert player.media == (audio, video)


@pytest.mark.parametrize(
    ("only", "names"),
    [("audio", ["meta@0", "AAC@0", "s@20", "t@60"]), ("video", ["meta@0", "AVC@0", "A@0", "B@40"])],
)
async def test_one_medium_alone(only: str, names: list[str]) -> None:
    async with site() as there:
        encoder = await on_air(there, (0, keyframe("A")), (20, sound("s")))
        player = await there.get(f"{PATH}?only={only}")
        encoder.send((40, inter("B")), (60, sound("t")))
        first = await player.tag()
        other = b"video" if only == "audio" else b"audio"
        assert first.payload.startswith(b"\2\0\nonMetaData")
        assert other not in first.payload
        assert ["meta@0", *await player.until(names[-1])] == names
        assert player.media == (only == "audio", only == "video")


async def test_what_is_neither_audio_nor_video_is_told() -> None:
    async with site() as there:
        player = await there.get(f"{PATH}?only=sound")
        assert player.status == 400
        assert await player.body() == "Write only=audio or only=video, or leave it out.\n"


async def test_a_websocket_gets_each_tag_as_a_message() -> None:
    async with site() as there:
        encoder = await on_air(there, (0, keyframe("A" * 200)))
        player = await there.socket(PATH)
        assert player.headers["sec-websocket-accept"] == "ICX+Yqv66kxgM0FcWaLWlFLwTAI="
        assert await player.frame() == (0x82, encode_header(audio=True, video=True))
        kinds = [(await player.frame())[1][0] for _ in range(4)]
        assert kinds == [18, 8, 9, 9]
        player.writer.write(frame(9, b"hi") + frame(1, b"hello") + frame(10))
        assert await player.frame() == (0x8A, b"hi")
        player.writer.write(frame(8, b"\x03\xe8bye"))
        assert await player.frame() == (0x88, b"\x03\xe8")
        assert await player.closed() == b""
        await encoder.close()


async def test_the_end_of_the_stream_closes_a_websocket_in_order() -> None:
    async with site() as there:
        player = await there.socket(PATH)
        encoder = await on_air(there, (0, keyframe()))
        await encoder.close()
        while (heard := await player.frame())[0] == 0x82:
            pass
        assert heard == (0x88, b"\x03\xe8Nobody publishes this stream any more.")


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (b"\x89\x00", 1002),  # Without a mask.
        (frame(9, fin=False), 1002),
        (frame(3), 1002),
        (frame(0, b"x"), 1002),
        (frame(2, bytes(5000)), 1009),
        (bytes(20_000), 1008),
        (b"\xc2\x80\0\0\0\0", 1002),
    ],
)
async def test_what_no_player_says_ends_a_websocket(said: bytes, code: int) -> None:
    async with site() as there:
        player = await there.socket(PATH)
        player.writer.write(said)
        first, payload = await player.frame()
        assert (first, int.from_bytes(payload[:2], "big")) == (0x88, code)
        await eventually(lambda: not there.house.stats.players)
        assert sum(there.house.stats.sessions_failed.values()) == 1


@pytest.mark.parametrize("change", [{"Sec-WebSocket-Key": "short"}, {"Sec-WebSocket-Version": "8"}])
async def test_what_is_no_websocket_is_told_which_it_takes(change: dict[str, str]) -> None:
    async with site() as there:
        browser = (await there.browser()).ask_with(PATH, UPGRADE | change)
        assert await browser.head() == 426
        assert browser.headers["sec-websocket-version"] == "13"


async def test_a_websocket_that_spoke_too_soon_is_heard() -> None:
    async with site() as there:
        browser = (await there.browser()).ask_with(PATH, UPGRADE)
        browser.writer.write(frame(9, b"early"))
        assert await browser.head() == 101
        assert await browser.frame() == (0x8A, b"early")


async def test_the_answer_to_the_question_is_waited_for() -> None:
    doorman = Doorman()
    async with site(authorizer=doorman) as there:
        browser = (await there.browser()).ask(
            f"{PATH}?token=SECRET", User_Agent="mpv", Referer="https://a.example/"
        )
        await eventually(lambda: doorman.requests)
        request = doorman.requests[0]
        assert (request.action, str(request.key), request.query) == (Action.PLAY, "live/cam", "token=SECRET")
        assert (request.origin.agent, request.origin.protocol) == ("mpv", "http-flv")
        assert request.connect.page_url == "https://a.example/"
        assert request.connect.tc_url == "http://tv.example:8935/live"
        doorman.fail(Refused(StatusCode.PLAY_FAILED, "No.", Refusal.NOT_PROVEN))
        assert await browser.head() == 401
        assert browser.headers["www-authenticate"] == "Bearer"
        assert await browser.body() == "No.\n"
        assert await browser.closed() == b""
        assert there.house.stats.refusals == {Refusal.NOT_PROVEN: 1}


async def test_who_leaves_while_it_is_asked_is_asked_about_no_more() -> None:
    doorman = Doorman()
    async with site(authorizer=doorman) as there:
        browser = (await there.browser()).ask(PATH)
        await eventually(lambda: doorman.requests)
        browser.writer.close()
        await eventually(lambda: doorman.cancelled)
        await eventually(lambda: not there.house.connections)


@pytest.mark.parametrize(
    ("header", "query", "expected"),
    [
        ("Bearer KEY", "", "key=KEY"),
        ("bearer a.b.c", "raw=1", "raw=1&jwt=a.b.c"),
        ("Bearer KEY", "key=OTHER", "key=OTHER"),
        ("Basic S0VZ", "", ""),
    ],
)
async def test_a_key_in_a_header_is_one_in_the_query(header: str, query: str, expected: str) -> None:
    doorman = Doorman()
    async with site(authorizer=doorman) as there:
        (await there.browser()).ask(f"{PATH}?{query}", Authorization=header)
        await eventually(lambda: doorman.requests)
        assert doorman.requests[0].query == expected


async def test_secrets_stand_in_no_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with site() as there:
        await on_air(there, (0, keyframe()))
        for headers in ({}, {"Authorization": "Bearer hush-hush"}):
            player = (await there.browser()).ask_with(f"{PATH}?key=hush-hush", headers)
            await player.head()
            player.writer.close()
        await eventually(lambda: not there.house.stats.players)
    told = "".join(f"{record.getMessage()}{record.__dict__}" for record in caplog.records)
    assert "play ended" in told
    assert "hush" not in told


async def test_it_is_a_session_that_can_be_kicked() -> None:
    async with site() as there:
        await on_air(there, (0, keyframe()))
        player, other = await there.get(PATH), await there.socket(PATH)
        handles = {each.origin.protocol: each for each in there.house.registry.sessions}
        assert set(handles) == {"rtmp", "http-flv", "ws-flv"}
        handle = handles["http-flv"]
        assert [str(use.key) for use in handle.uses] == ["live/cam"]
        await player.until("K@0")
        assert handle.figures().bytes_out > 100
        for each in (handle, handles["ws-flv"]):
            each.dismiss(CloseReason.KICKED, Origin(account="operator"))
        assert await player.closed() == b""
        while (heard := await other.frame())[0] == 0x82:
            pass
        assert heard[1] == b"\x03\xf0The server ended this play: kicked."
        assert there.house.stats.players == 0


async def test_who_is_kicked_while_it_waits_is_told_so_by_a_status() -> None:
    async with site() as there:
        player = (await there.browser()).ask(PATH)
        await eventually(lambda: there.house.stats.players)
        for handle in there.house.registry.sessions:
            handle.dismiss(CloseReason.KICKED)
        assert await player.head() == 503
        assert await player.body() == "The server ended this play: kicked.\n"


async def test_more_than_a_request_on_the_connection_of_a_player_ends_it() -> None:
    async with site() as there:
        await on_air(there, (0, keyframe()))
        player = (await there.browser()).ask(PATH)
        for _ in range(4):
            player.ask("/live/other.flv")
        assert await player.head() == 200
        assert await player.until("K@0")
        player.writer.write(bytes(64 * 1024))
        await eventually(lambda: not there.house.stats.players)
        assert there.house.stats.plays_total == 1


async def test_the_server_ends_players_in_order() -> None:
    async with site() as there:
        await on_air(there, (0, keyframe()))
        player, waiting, idle = (
            await there.get(PATH),
            (await there.browser()).ask("/live/other.flv"),
            await there.browser(),
        )
        await eventually(lambda: there.house.stats.players == 2)
        closing = asyncio.create_task(there.house.server.close(2.0))
        assert await player.closed()
        assert await waiting.head() == 503
        assert await idle.closed() == b""
        for each in (*there.house.clients, player, waiting):
            each.writer.close()
        assert await closing == 0


async def test_a_player_goes_on_with_another_stream_in_its_own_time() -> None:
    async with site() as there:
        await on_air(there, (5000, keyframe("A")))
        player = await there.get(PATH)
        await player.until("A@5000")
        encoder = await (await there.house.client()).publish("other")
        encoder.send(*HEADERS, (0, keyframe("X")))
        await eventually(lambda: there.house.stream("other").stats.video.messages_in == 2)
        (handle,) = [each for each in there.house.connections if each.state == "playing"]
        assert await handle.redirect(None, StreamKey("live", "other")) == 1
        names = [named(await player.tag()) for _ in range(3)]
        assert [name.partition("@")[0] for name in names] == ["AAC", "AVC", "X"]
        assert 5000 < int(names[-1].partition("@")[2]) < 5200


async def test_players_are_counted_by_how_they_are_sent_media() -> None:
    async with site() as there:
        await (await there.house.client()).play()
        for _ in range(2):
            (await there.browser()).ask(PATH)
        gone = await there.socket(PATH)
        stats = there.house.stats
        await eventually(lambda: stats.players == 4)
        gone.writer.close()
        await eventually(lambda: stats.players == 3)
        told = {family.name: family for family in collect_server(stats, {})}
        assert {labels[0]: value for labels, value in told["rtmpd_players_by_protocol"].samples} == {
            "rtmp": 1,
            "hls": 0,
            "http-flv": 2,
            "ws-flv": 0,
            "http-mp4": 0,
            "ws-mp4": 0,
        }
        assert {labels[0]: value for labels, value in told["rtmpd_plays_by_protocol"].samples} == {
            "rtmp": 1,
            "hls": 0,
            "http-flv": 2,
            "ws-flv": 1,
            "http-mp4": 0,
            "ws-mp4": 0,
        }


@pytest.mark.parametrize("framed", [False, True])
async def test_a_player_leaves_a_record_as_one_of_rtmp_does(framed: bool) -> None:
    async with site() as there:
        archive = Archive(there.house)
        encoder = await on_air(there, (0, keyframe("A")))
        browser = await (there.socket(PATH) if framed else there.get(PATH))
        await browser.reader.readexactly(13)
        browser.writer.close()
        await eventually(lambda: archive.records)
        (record,) = archive.records
        assert (record.kind, record.introduced) == ("player", True)
        assert record.origin.protocol == ("ws-flv" if framed else "http-flv")
        (use,) = record.uses
        assert (use.action, use.app, use.name, use.file) == ("play", "live", "cam", False)
        assert 0 < use.bytes <= record.bytes_out
        assert record.bytes_in > 0
        await encoder.close()
        await eventually(lambda: len(archive.records) == 2)
