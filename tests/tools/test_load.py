"""What players and publishers of the load generator share, and both against a server in this process."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
from client_kit import AAC_HEADER, real_server
from http_kit import site
from net_kit import Doorman

import rtmpd.tools.load.players as load_players
from rtmpd.client.connect import connect
from rtmpd.exceptions import UsageError
from rtmpd.media.flv import encode_header, encode_tag
from rtmpd.rtmp.commands import on_status, serialize_command
from rtmpd.rtmp.messages import Message
from rtmpd.rtmp.url import RtmpUrl
from rtmpd.tools.load.common import Distribution, refusal, stream_name
from rtmpd.tools.load.http_players import FlvMessages, HttpUrl
from rtmpd.tools.load.media import MediaSpec
from rtmpd.tools.load.players import PlayerCrowd, PlayLoad, PlayReport
from rtmpd.tools.load.publishers import PublisherCrowd, PublishLoad, PublishReport


def test_percentiles():
    values = [float(number) for number in range(101)]
    assert Distribution.of(values) == Distribution(101, 50.0, 90.0, 99.0, 100.0)
    assert Distribution.of([0.001], 1000.0) == Distribution(1, 1.0, 1.0, 1.0, 1.0)
    assert Distribution.of([]) == Distribution()


@pytest.mark.parametrize(
    ("pattern", "index", "streams", "name"),
    [
        ("cam", 0, 1, "cam"),
        ("cam", 7, 1, "cam"),
        ("cam", 7, 5, "cam2"),
        ("cam{i}-hd", 7, 10, "cam7-hd"),
        ("cam{i}", 3, 1, "cam0"),
    ],
)
def test_stream_names(pattern, index, streams, name):
    assert stream_name(pattern, index, streams) == name


def test_only_errors_are_refusals():
    def said(level: str) -> Message:
        return Message(20, 0, 1, serialize_command(on_status(level, "NetStream.Play.Failed", "No.")))

    assert refusal(said("status")) is None
    assert refusal(Message(9, 0, 1, said("error").payload)) is None
    found = refusal(said("error"))
    assert found is not None
    assert (found.code, str(found)) == ("NetStream.Play.Failed", "NetStream.Play.Failed: No.")


@pytest.mark.parametrize(
    "make",
    [
        lambda: PlayLoad(players=0, duration=1),
        lambda: PlayLoad(players=1, duration=0),
        lambda: PublishLoad(publishers=0, duration=1),
        lambda: PublishLoad(publishers=1, duration=1, chunk_size=0),
    ],
)
def test_nonsense_is_refused(make):
    with pytest.raises(UsageError):
        make()


@pytest.mark.parametrize("text", ["rtmps://127.0.0.1/live/cam", "rtmp://127.0.0.1/live"])
async def test_urls_that_cannot_be_loaded(text):
    crowd = PlayerCrowd(RtmpUrl.parse(text), PlayLoad(players=1, duration=1), lambda _: None)
    with pytest.raises(UsageError):
        await crowd.run()


async def test_a_dead_port_is_a_failure_of_every_player(unused_tcp_port):
    url = RtmpUrl.parse(f"rtmp://127.0.0.1:{unused_tcp_port}/live/cam")
    report, phases = await play(url, PlayLoad(players=3, duration=60, warmup=60))
    assert report.failures == {"Connection refused": 3}
    assert (report.seconds, report.bytes, report.without_picture) == (0.0, 0, 3)
    assert phases == ["joined", "measured"]


async def test_what_is_hopeless_is_not_gone_on_with(unused_tcp_port):
    url = RtmpUrl.parse(f"rtmp://127.0.0.1:{unused_tcp_port}/live/cam")
    report, _ = await play(url, PlayLoad(players=100_000, duration=60))
    assert 10 <= sum(report.failures.values()) <= 100
    publishers = PublishLoad(publishers=100_000, duration=60)
    published = await PublisherCrowd(url, publishers, lambda _: None).run()
    assert 10 <= sum(published.failures.values()) <= 100
    assert (published.seconds, published.bytes) == (0.0, 0)


@pytest.fixture
async def rtmp_url() -> AsyncIterator[RtmpUrl]:
    async with real_server() as port:
        yield RtmpUrl.parse(f"rtmp://127.0.0.1:{port}/live/cam")


FAST = MediaSpec(bitrate=400_000, fps=100, keyframe_interval=0.1)


@contextlib.asynccontextmanager
async def publishing(url: RtmpUrl, load: PublishLoad) -> AsyncIterator[asyncio.Task[PublishReport]]:
    """A crowd of publishers that all send."""
    joined = asyncio.Event()
    crowd = PublisherCrowd(url, load, lambda phase: joined.set() if phase == "joined" else None)
    task = asyncio.create_task(crowd.run())
    try:
        await joined.wait()
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def play(url: RtmpUrl | HttpUrl, load: PlayLoad) -> tuple[PlayReport, list[str]]:
    phases: list[str] = []
    return await PlayerCrowd(url, load, phases.append).run(), phases


@pytest.mark.parametrize("drain_interval", [0.0, 0.02])
async def test_players_see_what_publishers_send(rtmp_url, drain_interval):
    source = PublishLoad(publishers=2, duration=30, warmup=0, chunk_size=200, media=FAST)
    async with publishing(rtmp_url, source):
        load = PlayLoad(
            players=6,
            duration=0.3,
            warmup=0,
            streams=2,
            parsed=2,
            stalled=2,
            drain_interval=drain_interval,
        )
        report, phases = await play(rtmp_url, load)
    assert phases == ["joined", "measuring", "measured"]
    assert (report.failures, report.closed, report.without_picture) == ({}, 0, 0)
    assert (report.parsed, report.stalled) == (2, 2)
    assert report.first_frame_ms.count == 6
    assert report.bits_per_second.count == 4
    # On a busy machine publishers are late, and catch up on that.
    assert 0.2 < report.bytes * 8 / report.seconds / (4 * 400_000) < 2.0
    assert report.packets > 20
    assert report.missing == 0
    assert 0 < report.latency_ms.p50 < 1000


@pytest.mark.parametrize(
    ("stalled", "parsed"),
    [
        pytest.param(3, 0, id="all"),
        pytest.param(1, 2, id="some"),
        pytest.param(9, 0, id="more-than-there-are"),
    ],
)
async def test_players_that_shall_stop_reading_do_however_few_there_are(rtmp_url, stalled, parsed):
    async with publishing(rtmp_url, PublishLoad(publishers=1, duration=30, warmup=0, media=FAST)):
        report, _ = await play(rtmp_url, PlayLoad(players=3, duration=0.1, warmup=0, stalled=stalled))
    assert (report.stalled, report.parsed) == (min(stalled, 3), parsed)
    assert report.bits_per_second.count == parsed
    assert not report.empty


async def test_publishers_count_what_they_send(rtmp_url):
    load = PublishLoad(publishers=3, duration=0.3, warmup=0, media=FAST)
    report = await PublisherCrowd(rtmp_url, load, lambda _: None).run()
    assert (report.failures, report.closed, report.dropped) == ({}, 0, 0)
    assert report.connect_ms.count == 3
    # On a busy machine publishers are late.
    assert 0.2 < report.bytes * 8 / report.seconds / (3 * 400_000) < 1.5


async def test_a_name_that_is_taken_is_told(rtmp_url):
    load = PublishLoad(publishers=1, duration=30, warmup=0, media=FAST)
    async with publishing(rtmp_url, load):
        again = PublishLoad(publishers=1, duration=0.01, warmup=0, media=FAST)
        report = await PublisherCrowd(rtmp_url, again, lambda _: None).run()
    assert [text.split(":")[0] for text in report.failures] == ["NetStream.Publish.BadName"]


async def test_a_stream_that_nobody_publishes_is_not_measured(rtmp_url, monkeypatch):
    monkeypatch.setattr(load_players, "NO_MEDIA_SECONDS", 0.01)
    report, phases = await play(rtmp_url, PlayLoad(players=2, duration=60, warmup=60, patience=60))
    assert (report.without_picture, report.failures, report.closed) == (2, {}, 0)
    assert report.empty
    assert phases == ["joined", "measured"]


async def test_media_without_a_picture_is_waited_for(rtmp_url, monkeypatch):
    monkeypatch.setattr(load_players, "NO_MEDIA_SECONDS", 5.0)
    async with await connect(rtmp_url) as connection:
        stream = await connection.publish()
        await stream.send_audio(AAC_HEADER)
        report, _ = await play(rtmp_url, PlayLoad(players=2, duration=60, patience=0.1))
    assert report.without_picture == 2


async def test_players_by_http_see_the_same():
    async with site() as there:
        url = RtmpUrl.parse(f"rtmp://127.0.0.1:{there.house.port}/live/cam")
        async with publishing(url, PublishLoad(publishers=2, duration=30, warmup=0, media=FAST)):
            load = PlayLoad(players=6, duration=0.3, warmup=0, streams=2, parsed=2, stalled=2)
            place = HttpUrl.parse(f"http://127.0.0.1:{there.port}/live/cam.flv?key=k")
            report, phases = await play(place, load)
        assert phases == ["joined", "measuring", "measured"]
        assert (report.failures, report.closed, report.without_picture) == ({}, 0, 0)
        assert report.packets > 20
        assert report.missing == 0
        assert there.house.stats.other_plays == {"http-flv": 6}


async def test_what_http_refuses_is_told():
    async with site(authorizer=Doorman(minds=())) as there:
        place = HttpUrl.parse(f"http://127.0.0.1:{there.port}/live/a%20b.flv")
        report, _ = await play(place, PlayLoad(players=1, duration=1))
        assert report.failures == {"404 Not Found": 1}


@pytest.mark.parametrize(
    "text", ["https://a/live/b.flv", "http://a/live/b", "http://[::1/live/b.flv", "http:///b.flv"]
)
def test_what_is_no_url_of_flv_is_told(text):
    with pytest.raises(UsageError, match=r"http://host:port/app/name\.flv"):
        HttpUrl.parse(text)


def test_chunks_of_other_servers_are_taken_apart_however_they_come():
    flv = encode_header(audio=False, video=True) + encode_tag(9, 40, b"picture")
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (flv[:20], flv[20:])) + b"0\r\n\r\n"
    for size in (1, 2, 7, 1000):
        reader = FlvMessages(chunked=True)
        found = [reader.receive_data(chunks[at : at + size]) for at in range(0, len(chunks), size)]
        assert [(each.timestamp, each.payload) for part in found for each in part] == [(40, b"picture")]
