"""Playing to the end, for a duration, into a file."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from client_kit import AAC_HEADER, AVC_HEADER, keyframe, real_server
from net_kit import eventually

from rtmpd.client.connect import Stream, connect
from rtmpd.exceptions import StreamFailed
from rtmpd.media import flv
from rtmpd.tools.flv_files import FlvSink
from rtmpd.tools.playback import Playback

AUDIO, VIDEO, DATA = 8, 9, 18
Tag = tuple[int, int, bytes]


@asynccontextmanager
async def studio() -> AsyncIterator[tuple[Stream, Stream]]:
    """A publisher and a player of one stream."""
    async with real_server() as port:
        url = f"rtmp://127.0.0.1:{port}/live/cam"
        async with await connect(url) as source, await connect(url) as sink:
            yield await source.publish(), await sink.play()


async def one(*streams: Stream) -> AsyncGenerator[Stream, None]:
    for stream in streams:
        yield stream


async def send(publisher: Stream, tags: Iterable[Tag]) -> None:
    for tag_type, timestamp, payload in tags:
        await publisher.send(tag_type, payload, timestamp)


CLIP: list[Tag] = [
    (VIDEO, 5000, AVC_HEADER),
    (AUDIO, 5000, AAC_HEADER),
    (VIDEO, 5000, keyframe()),
    (AUDIO, 5010, b"\xaf\x01S"),
    (VIDEO, 5040, keyframe()),
]


async def test_to_the_end_into_a_file(tmp_path: Path) -> None:
    path = tmp_path / "out.flv"
    async with studio() as (publisher, player):
        playback = Playback(FlvSink(str(path)))
        playing = asyncio.create_task(playback.run(one(player)))
        await send(publisher, CLIP)
        await publisher.close()
        await playing
    data = path.read_bytes()
    assert data.startswith(flv.encode_header(True, True))
    tags = [(tag.type, tag.timestamp, tag.payload) for tag in flv.FlvReader().receive_data(data)]
    assert tags == [(kind, timestamp - 5000, payload) for kind, timestamp, payload in CLIP]
    assert playback.meter.look(0.0).frames == 3


async def test_another_server_goes_on_where_the_first_one_ended(tmp_path: Path) -> None:
    """It begins with the key frame before, which the file has already."""
    path = tmp_path / "out.flv"
    rest: list[Tag] = [(AUDIO, 5050, b"\xaf\x01S"), (VIDEO, 5080, keyframe()), (AUDIO, 5030, b"\xaf\x01L")]
    async with studio() as (publisher, player), studio() as (next_publisher, next_player):
        playback = Playback(FlvSink(str(path)))
        playing = asyncio.create_task(playback.run(one(player, next_player)))
        await send(publisher, CLIP)
        await publisher.close()
        await send(next_publisher, [*CLIP, *rest])
        await next_publisher.close()
        await playing
    tags = [(tag.type, tag.timestamp, tag.payload) for tag in flv.FlvReader().receive_data(path.read_bytes())]
    headers = [(kind, 40, payload) for kind, _, payload in CLIP[:2]]
    assert [tag for tag in tags[len(CLIP) :] if tag not in headers] == [
        (kind, timestamp - 5000, payload) for kind, timestamp, payload in rest
    ]
    assert playback.meter.look(0.0).frames == 6


async def test_another_server_has_another_clock() -> None:
    async with studio() as (publisher, player), studio() as (next_publisher, next_player):
        playback = Playback()
        playing = asyncio.create_task(playback.run(one(player, next_player)))
        await send(publisher, [(kind, timestamp + 60_000, payload) for kind, timestamp, payload in CLIP])
        await publisher.close()
        await send(next_publisher, CLIP)
        await next_publisher.close()
        await playing
    assert playback.meter.look(0.0).frames == 6


async def test_for_a_duration_of_the_stream() -> None:
    async with studio() as (publisher, player):
        playback = Playback(duration=2.0)
        playing = asyncio.create_task(playback.run(one(player)))
        await send(publisher, CLIP)
        await send(publisher, ((VIDEO, 5080 + 40 * number, keyframe()) for number in range(100)))
        await playing
    assert playback.meter.media_ms == 2000


async def test_a_duration_is_also_the_longest_to_wait_for_it() -> None:
    async with studio() as (publisher, player):
        playback = Playback(duration=0.1, patience=5.0)
        playing = asyncio.create_task(playback.run(one(player)))
        await send(publisher, CLIP)
        await playing
    assert playback.meter.media_ms == 40


async def test_cancelled_it_leaves_a_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "out.flv"
    async with studio() as (publisher, player):
        playback = Playback(FlvSink(str(path)))
        playing = asyncio.create_task(playback.run(one(player)))
        await send(publisher, [CLIP[0], CLIP[2]])
        await eventually(lambda: playback.meter.first_frame_at is not None)
        assert not path.exists()
        playing.cancel()
        await asyncio.wait([playing])
        assert playing.cancelled()
    reader = flv.FlvReader()
    assert [tag.payload for tag in reader.receive_data(path.read_bytes())] == [AVC_HEADER, keyframe()]
    assert (reader.has_audio, reader.has_video, reader.incomplete) == (False, True, False)


async def test_nothing_to_see_is_a_failure_and_no_file(tmp_path: Path) -> None:
    path = tmp_path / "out.flv"
    async with studio() as (publisher, player):
        with pytest.raises(StreamFailed, match=r"within 0\.05 s"):
            await Playback(FlvSink(str(path)), patience=0.05).run(one(player))
    async with studio() as (publisher, player):
        await publisher.close()
        with pytest.raises(StreamFailed, match="ended before"):
            await Playback(FlvSink(str(path)), patience=5.0).run(one(player))
    assert not path.exists()


async def test_a_full_disk_is_told() -> None:
    async with studio() as (publisher, player):
        playing = asyncio.create_task(Playback(FlvSink("/dev/full")).run(one(player)))
        await send(publisher, CLIP)
        with pytest.raises(OSError, match="No space left"):
            await playing
