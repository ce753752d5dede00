"""Streams published by POST: what is taken of them, and how it ends."""

from __future__ import annotations

import asyncio
import logging
from itertools import pairwise

import pytest
from engine_kit import AAC_HEADER, AVC_HEADER, inter, keyframe, metadata, sound
from http_kit import Browser, Site, site
from net_kit import Doorman, eventually

from rtmpd.engine.key import StreamKey
from rtmpd.engine.limits import EngineLimits
from rtmpd.engine.sink import CloseReason
from rtmpd.media.flv import encode_header, encode_tag
from rtmpd.reasons import Refusal, SessionFailure
from rtmpd.rtmp.limits import Limits
from rtmpd.serving.access import Action
from rtmpd.serving.server import ConnectionLimits

PATH = "/live/cam.flv"
START = (
    encode_header(audio=True, video=True)
    + encode_tag(18, 0, metadata(width=640, duration=9.0).removeprefix(b"\2\0\r@setDataFrame"))
    + encode_tag(9, 0, AVC_HEADER)
    + encode_tag(8, 0, AAC_HEADER)
    + encode_tag(9, 0, keyframe("A"))
)


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


async def post(there: Site, data: bytes = START, path: str = PATH, **headers: str) -> Browser:
    browser = (await there.browser()).ask(path, "POST", Transfer_Encoding="chunked", **headers)
    browser.writer.write(chunk(data))
    return browser


async def test_what_is_posted_is_played_over_rtmp() -> None:
    async with site() as there:
        player = await (await there.house.client()).play()
        encoder = await post(there)
        assert (await player.until("1: A@0"))[2:] == ["1: meta@0", "1: AVC@0", "1: AAC@0", "1: A@0"]
        more = encode_tag(9, 40, inter("B")) + encode_tag(8, 50, sound("s"))
        for byte in more:  # In whatever pieces.
            encoder.writer.write(chunk(bytes((byte,))))
        assert await player.until("1: s@50") == ["1: B@40", "1: s@50"]
        assert there.house.stream().publication.origin.protocol == "http-flv"
        assert there.house.stats.connections == {"pending": 0, "playing": 1, "publishing": 1}
        encoder.writer.write(b"0\r\n\r\n")
        assert await encoder.head() == 200
        assert await encoder.body() == "The stream has ended.\n"
        assert await encoder.closed() == b""
        await player.until("1: onStatus 0 status NetStream.Play.UnpublishNotify")
        assert there.house.stats.publishes_ended == {CloseReason.FINISHED: 1}


@pytest.mark.parametrize("end", [b"0\r\n\r\n", b""], ids=["whole", "cut off"])
async def test_who_sends_all_and_leaves_at_once_has_published_all_of_it(end: bytes) -> None:
    count = 1000
    async with site(limits=Limits(max_messages_per_turn=10)) as there:
        player = await (await there.house.client()).play()
        encoder = await post(there)
        await player.until("1: A@0")
        for number in range(count):
            encoder.writer.write(chunk(encode_tag(8, number + 1, sound("s"))))
        encoder.writer.write(end)
        encoder.writer.close()
        await player.until(f"1: s@{count}")
        reason = CloseReason.FINISHED if end else CloseReason.CONNECTION_LOST
        await eventually(lambda: there.house.stats.publishes_ended == {reason: 1})


async def test_who_breaks_off_has_been_lost() -> None:
    async with site() as there:
        encoder = await post(there)
        await eventually(lambda: there.house.stats.publishers)
        encoder.writer.close()
        await eventually(lambda: there.house.stats.publishes_ended == {CloseReason.CONNECTION_LOST: 1})


@pytest.mark.parametrize("said", [b"nonsense\r\n", b"-5\r\n", b"10\r\nabc"])
async def test_a_body_that_is_none_is_no_bug(said: bytes) -> None:
    async with site() as there:
        encoder = await post(there)
        await eventually(lambda: there.house.stats.publishers)
        encoder.writer.write(said)
        encoder.writer.write_eof()
        await eventually(lambda: not there.house.stats.publishers)


async def test_a_name_that_is_taken_is_a_conflict() -> None:
    async with site() as there:
        await (await there.house.client()).publish()
        encoder = await post(there)
        assert await encoder.head() == 409
        assert (await encoder.body()).startswith("cam is being published by somebody else.")


async def test_the_question_is_that_of_a_publish() -> None:
    doorman = Doorman(minds=tuple(Action))
    async with site(authorizer=doorman) as there:
        encoder = await post(there, path=f"{PATH}?key=hush", User_Agent="Lavf/61")
        for action in (Action.CONNECT, Action.PUBLISH):
            await eventually(lambda: doorman.requests)
            request = doorman.requests.pop()
            assert request.action is action
            assert request.origin.agent == "Lavf/61"
            doorman.grant()
        assert (request.query, str(request.key), request.mode) == ("key=hush", "live/cam", "live")
        await eventually(lambda: there.house.stats.publishers)
        encoder.writer.close()


@pytest.mark.parametrize(
    ("data", "reason", "says"),
    [
        (b"RIFF....WAVE", SessionFailure.NOT_FLV, "not an FLV file"),
        (START + bytes((0x29,)) + bytes(20), SessionFailure.NOT_FLV, "an encrypted tag"),
        (START + b"\x09\x00\x10\x01" + bytes(20), SessionFailure.MESSAGE_TOO_LONG, "the limit is 4096"),
        (START + encode_tag(18, 0, bytes(600)), SessionFailure.MESSAGE_TOO_LONG, "the limit is 512"),
    ],
)
async def test_what_cannot_be_published_is_said(data: bytes, reason: SessionFailure, says: str) -> None:
    limits = Limits(max_message_bytes=4096, max_data_bytes=512)
    async with site(limits=limits) as there:
        encoder = await post(there, data)
        assert await encoder.head() == 400
        assert says in await encoder.body()
        encoder.writer.write(b"0\r\n\r\n")
        assert await encoder.closed() == b""
        assert there.house.stats.sessions_failed == {reason: 1}
        assert there.house.stats.publishers == 0


async def test_who_sends_nothing_is_ended() -> None:
    engine = EngineLimits(first_media_timeout=0.05)
    async with site(engine=engine, sample_every=0.01) as there:
        encoder = await post(there, encode_header(audio=True, video=True))
        assert await encoder.head() == 408
        assert await encoder.body() == "published, then sent no audio and no video\n"
        assert there.house.stats.publishes_ended == {CloseReason.IDLE: 1}


async def test_it_is_kicked_with_a_sentence(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with site() as there:
        encoder = await post(there)
        await eventually(lambda: there.house.stats.publishers)
        (handle,) = there.house.registry.sessions
        handle.dismiss(CloseReason.KICKED)
        encoder.writer.write(chunk(encode_tag(9, 40, inter("B"))))
        assert await encoder.head() == 403
        assert await encoder.body() == "The server ended this stream: kicked.\n"
        encoder.writer.write(b"0\r\n\r\n")
        assert await encoder.closed() == b""
    assert not [record for record in caplog.records if record.exc_info]


async def test_half_a_tag_is_charged_to_memory() -> None:
    async with site() as there:
        encoder = await post(there, START + b"\x09\x00\xff\xff" + bytes(5000))
        await eventually(lambda: there.house.stats.publishers)
        (connection,) = there.house.connections
        await eventually(lambda: connection.partial_bytes > 5000)
        assert connection.session.unfinished_since < float("inf")
        encoder.writer.close()
        await eventually(lambda: not there.house.stats.publishers)


async def test_the_server_ends_it_in_order() -> None:
    async with site() as there:
        encoder = await post(there)
        await eventually(lambda: StreamKey("live", "cam") in there.house.registry.streams)
        there.house.server.end_all_but(lambda _guest: False, 1.0)
        assert await encoder.head() == 403
        assert await encoder.body() == "The server is shutting down.\n"


async def test_a_body_is_asked_for_when_it_is_wanted() -> None:
    async with site() as there:
        encoder = (await there.browser()).ask(
            PATH, "POST", Transfer_Encoding="chunked", Expect="100-continue"
        )
        assert await encoder.head() == 100
        assert there.house.stats.publishers == 1
        other = (await there.browser()).ask(PATH, "POST", Transfer_Encoding="chunked", Expect="100-continue")
        assert await other.head() == 409
        encoder.writer.write(chunk(START) + b"0\r\n\r\n")
        assert await encoder.head() == 200


async def test_who_has_left_before_a_body_is_asked_for_is_no_bug() -> None:
    async with site() as there:
        encoder = (await there.browser()).ask(PATH, "POST", Content_Length="5", Expect="100-continue")
        encoder.writer.close()
        await eventually(lambda: sum(there.house.stats.publishes_ended.values()) == 1)


async def test_too_many_publishes_are_too_often() -> None:
    async with site(connections=ConnectionLimits(max_publishes_per_minute=1)) as there:
        await post(there, path="/live/one.flv")
        await eventually(lambda: there.house.stats.publishers)
        assert await (await post(there)).head() == 429
        assert there.house.stats.refusals == {Refusal.PUBLISH_RATE: 1}


async def test_so_many_tags_are_taken_in_a_turn_and_in_a_second() -> None:
    limits = Limits(max_messages=100, max_messages_burst=100, max_messages_per_turn=20)
    async with site(limits=limits) as there:
        seen: list[int] = []

        async def watch() -> None:
            while True:
                stream = there.house.registry.streams.get(StreamKey("live", "cam"))
                seen.append(0 if stream is None else stream.stats.video.messages_in)
                await asyncio.sleep(0)

        watching = asyncio.ensure_future(watch())
        started = asyncio.get_running_loop().time()
        encoder = await post(there, START + b"".join(encode_tag(9, time, inter("B")) for time in range(140)))
        await eventually(lambda: seen[-1:] == [142])
        encoder.writer.write(chunk(encode_tag(9, 140, inter("C"))))
        await eventually(lambda: seen[-1:] == [143])
        watching.cancel()
        assert asyncio.get_running_loop().time() - started > 0.4
    assert max(after - before for before, after in pairwise(seen)) <= 20
