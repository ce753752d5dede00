"""The client library against servers that nobody here wrote, with every byte compared."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest
from command_kit import run
from ffmpeg import FFmpeg, bundled
from live_fixtures import ClipMaker
from media_clips import FRAME_RATE, H264_AAC
from nginx_rtmp import NginxRtmp
from node_media_server import NodeMediaServer

import rtmpd
from rtmpd.media import tags
from rtmpd.media.flv import FlvReader, FlvTag

pytestmark = pytest.mark.interop

Neighbour = NginxRtmp | NodeMediaServer
AUDIO, VIDEO = 8, 9
PATIENCE = 20.0


@pytest.fixture(params=["nginx", "node_media_server"])
def neighbour(request: pytest.FixtureRequest) -> Neighbour:
    found: Neighbour = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def source(clip: ClipMaker) -> list[FlvTag]:
    """The tags of a clip, without the script data that servers write anew."""
    return media(FlvReader().receive_data(clip(H264_AAC).read_bytes()))


def media(packets: Iterable[FlvTag | rtmpd.Message]) -> list[FlvTag]:
    return [
        FlvTag(packet.type, packet.timestamp, packet.payload)
        for packet in packets
        if packet.type in (AUDIO, VIDEO)
    ]


def flags(tag: FlvTag) -> int:
    return tags.video_flags(tag.payload) if tag.type == VIDEO else tags.audio_flags(tag.payload)


def headers(packets: Iterable[FlvTag]) -> list[tuple[int, bytes]]:
    """Servers send them when they see fit, and stamp them as they like."""
    return sorted((tag.type, tag.payload) for tag in packets if flags(tag) & tags.SEQUENCE_HEADER)


def frames(packets: Iterable[FlvTag]) -> list[FlvTag]:
    return [tag for tag in packets if not flags(tag) & tags.SEQUENCE_HEADER]


async def send(stream: rtmpd.Stream, packets: Iterable[FlvTag]) -> None:
    for tag in packets:
        await stream.send(tag.type, tag.payload, tag.timestamp)


async def receive(player: rtmpd.Stream, last: FlvTag) -> list[FlvTag]:
    """What comes until ``last`` does."""
    received: list[FlvTag] = []
    async with asyncio.timeout(PATIENCE):
        async for packet in player:
            received += media([packet])
            if received[-1:] == [last]:
                return received
    raise AssertionError(f"the stream ended after {len(received)} packets")


async def receive_all(player: rtmpd.Stream) -> list[FlvTag]:
    async with asyncio.timeout(PATIENCE):
        return media([packet async for packet in player])


def last_keyframe(packets: Sequence[FlvTag]) -> int:
    return max(number for number, tag in enumerate(packets) if flags(tag) & tags.KEYFRAME)


async def test_what_is_published_is_played_back_unchanged(neighbour: Neighbour, source: list[FlvTag]) -> None:
    url = neighbour.url("cam")
    async with await rtmpd.connect(url) as near, await rtmpd.connect(url) as far:
        player = await far.play()
        stream = await near.publish()
        _, received = await asyncio.gather(send(stream, source), receive(player, source[-1]))
    assert frames(received) == frames(source)
    assert headers(received) == headers(source)


async def test_a_player_that_joins_late_gets_the_headers_before_the_first_frame(
    neighbour: Neighbour, source: list[FlvTag]
) -> None:
    """nginx-rtmp starts with the audio of now and the next keyframe, the other with the last keyframe."""
    url = neighbour.url("cam")
    next_keyframe = last_keyframe(source)
    split = next_keyframe - FRAME_RATE
    async with (
        await rtmpd.connect(url) as near,
        await rtmpd.connect(url) as early,
        await rtmpd.connect(url) as late,
    ):
        witness = await early.play()
        stream = await near.publish()
        await asyncio.gather(send(stream, source[:split]), receive(witness, source[split - 1]))
        player = await late.play()
        _, received = await asyncio.gather(send(stream, source[split:]), receive(player, source[-1]))
    if isinstance(neighbour, NginxRtmp):
        audio = [tag for tag in source[split:next_keyframe] if tag.type == AUDIO]
        expected = audio + source[next_keyframe:]
    else:
        expected = source[last_keyframe(source[:split]) :]
    assert frames(received) == expected
    assert headers(received) == headers(source)
    for medium in (AUDIO, VIDEO):
        assert flags(next(tag for tag in received if tag.type == medium)) & tags.SEQUENCE_HEADER


async def test_what_ffmpeg_publishes_is_played(
    neighbour: Neighbour, source: list[FlvTag], clip: ClipMaker, debian_ffmpeg: FFmpeg
) -> None:
    async with await rtmpd.connect(neighbour.url("cam")) as connection:
        player = await connection.play()
        with debian_ffmpeg.publish(clip(H264_AAC), neighbour.url("cam"), rate=4):
            received = await receive(player, source[-1])
    assert frames(received) == frames(source)
    assert headers(received) == headers(source)


async def test_what_is_published_is_decoded_by_ffmpeg(
    neighbour: Neighbour, source: list[FlvTag], tmp_path: Path, debian_ffmpeg: FFmpeg
) -> None:
    """The player stops by itself: node-media-server tells nobody that a publisher has left."""
    copy = tmp_path / "copy.flv"
    seconds = 2
    url = neighbour.url("cam")
    limit = ("-t", str(seconds), "-map", "0", "-c", "copy")
    play = debian_ffmpeg.command("-i", url, *limit, "-f", "flv", "-y", str(copy))
    async with await rtmpd.connect(url) as connection:
        process = await asyncio.create_subprocess_exec(*play, stderr=asyncio.subprocess.PIPE)
        try:
            await asyncio.to_thread(neighbour.wait_for_play, "cam")
            await send(await connection.publish(), source)
            async with asyncio.timeout(PATIENCE):
                _, errors = await process.communicate()
        except BaseException:
            process.kill()
            await process.wait()
            raise
    assert process.returncode == 0, errors.decode()
    counts = bundled().count_frames(copy)
    assert counts["video"] >= seconds * FRAME_RATE - 5
    assert counts["audio"] > 0


async def test_the_end_of_a_stream_on_nginx_ends_the_iterator(nginx: NginxRtmp, source: list[FlvTag]) -> None:
    url = nginx.url("cam")
    async with await rtmpd.connect(url) as near, await rtmpd.connect(url) as far:
        player = await far.play()
        stream = await near.publish()
        await send(stream, source)
        await stream.close()
        received = await receive_all(player)
        assert far.state is rtmpd.ConnectionState.CONNECTED
    assert frames(received) == frames(source)


async def test_the_end_of_a_server_ends_the_iterator_and_the_publish(
    neighbour: Neighbour, source: list[FlvTag]
) -> None:
    url = neighbour.url("cam")
    async with await rtmpd.connect(url) as near, await rtmpd.connect(url) as far:
        player = await far.play()
        stream = await near.publish()
        await asyncio.gather(send(stream, source), receive(player, source[-1]))
        neighbour.kill()
        assert await receive_all(player) == []
        async with asyncio.timeout(PATIENCE):
            await near.wait_closed()
        with pytest.raises(rtmpd.ConnectionClosed):
            await send(stream, source)


async def test_a_busy_name_on_nginx_is_refused_in_its_words(nginx: NginxRtmp, source: list[FlvTag]) -> None:
    busy, free = nginx.url("cam"), nginx.url("free")
    async with (
        await rtmpd.connect(busy) as first,
        await rtmpd.connect(busy) as second,
        await rtmpd.connect(free) as viewer,
    ):
        stream = await first.publish()
        with pytest.raises(rtmpd.PublishRejected, match="Already publishing") as refused:
            await second.publish()
        assert refused.value.code == "NetStream.Publish.BadName"
        # nginx leaves the connection open: it may ask for another name, and the first publisher goes on.
        player = await viewer.play()
        other = await second.publish("free")
        _, received = await asyncio.gather(send(other, source), receive(player, source[-1]))
        assert frames(received) == frames(source)
        await send(stream, source)
        assert first.state is rtmpd.ConnectionState.CONNECTED


async def test_nginx_has_one_stream_for_each_connection(nginx: NginxRtmp) -> None:
    """It answers every createStream with 1; nothing of the first stream may reach a second one."""
    async with await rtmpd.connect(nginx.url("cam")) as connection:
        stream = await connection.publish()
        with pytest.raises(rtmpd.CallFailed, match="Use a connection for each stream"):
            await connection.create_stream()
        await stream.close()
        async with await connection.publish("another"):
            pass


async def test_a_busy_name_on_node_media_server_ends_the_connection(
    node_media_server: NodeMediaServer, source: list[FlvTag]
) -> None:
    """It says that the publish has started, then hangs up without a word."""
    url = node_media_server.url("cam")
    async with await rtmpd.connect(url) as first, await rtmpd.connect(url) as second:
        await first.publish()
        stream = await second.publish()
        async with asyncio.timeout(PATIENCE):
            await second.wait_closed()
        with pytest.raises(rtmpd.ConnectionClosed, match="the server closed the connection"):
            await send(stream, source)
        assert first.state is rtmpd.ConnectionState.CONNECTED


def test_node_media_server_is_found_to_work(node_media_server: NodeMediaServer) -> None:
    done = run("probe", node_media_server.url("x").rpartition("/")[0])
    assert done.returncode == 0, done
    assert b"packets came back unchanged" in done.stdout
