"""FLV from and to files and pipes, real ones."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from rtmpd.exceptions import FlvError, UsageError
from rtmpd.media import flv
from rtmpd.tools import flv_files
from rtmpd.tools.flv_files import FlvSink, FlvSource

TAGS = [(9, 0, b"\x17\x01\0\0\0K"), (8, 10, b"\xaf\x01S"), (9, 40, b"\x27\x01\0\0\0" + bytes(200_000))]
CLIP = flv.encode_header(True, True) + b"".join(flv.encode_tag(*tag) for tag in TAGS)
Pipe = tuple[int, int]


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    ends = os.pipe()
    yield ends
    for end in ends:
        with suppress(OSError):
            os.close(end)


def write(tmp_path: Path, data: bytes) -> str:
    path = tmp_path / "clip.flv"
    path.write_bytes(data)
    return str(path)


async def read_all(source: FlvSource) -> list[tuple[int, int, bytes]]:
    tags = []
    while (tag := await source.next_tag()) is not None:
        tags.append((tag.type, tag.timestamp, tag.payload))
    return tags


# Reading


async def test_a_file_and_once_more(tmp_path: Path) -> None:
    source = FlvSource(write(tmp_path, CLIP))
    await source.open()
    assert await read_all(source) == TAGS
    assert (source.size, source.position, source.truncated) == (len(CLIP), len(CLIP), False)
    source.rewind()
    assert source.position == 0
    assert await read_all(source) == TAGS
    source.close()
    source.close()


async def test_a_pipe_as_it_comes(pipe: Pipe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flv_files, "_STDIN", pipe[0])
    source = FlvSource("-")
    opening = asyncio.create_task(source.open())
    os.write(pipe[1], CLIP[:20])
    await asyncio.sleep(0)
    assert not opening.done()
    os.write(pipe[1], CLIP[20:60])
    await opening
    assert await source.next_tag() is not None
    assert (source.size, source.can_rewind) == (None, False)
    with pytest.raises(UsageError):
        source.rewind()
    os.close(pipe[1])
    assert [kind for kind, _, _ in await read_all(source)] == [8]
    assert source.truncated


async def test_waiting_for_a_pipe_can_be_cancelled(pipe: Pipe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flv_files, "_STDIN", pipe[0])
    opening = asyncio.create_task(FlvSource("-").open())
    await asyncio.sleep(0)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    assert not asyncio.get_running_loop().remove_reader(pipe[0])


@pytest.mark.parametrize(
    ("data", "reason", "words"),
    [
        (b"\x89PNG....", "not_flv", "ffmpeg -i INPUT -c copy -f flv OUTPUT.flv"),
        (b"", "not_flv", "is empty"),
        (b"FLV\x01", "not_flv", "is cut short"),
        (flv.encode_header(True, True), "no_media", "nothing to publish"),
        (flv.encode_header(True, True) + b"\x29" + bytes(10), "encrypted_tag", "encrypted"),
    ],
)
async def test_what_is_no_flv_is_told_when_it_is_opened(
    tmp_path: Path, data: bytes, reason: str, words: str
) -> None:
    path = write(tmp_path, data)
    with pytest.raises(FlvError, match=path) as caught:
        await FlvSource(path).open()
    assert caught.value.reason == reason
    assert words in str(caught.value)


async def test_what_cannot_be_read_is_told(tmp_path: Path) -> None:
    for path, words in ((tmp_path / "none.flv", "No such file"), (tmp_path, "Is a directory")):
        with pytest.raises(FlvError, match=words) as caught:
            await FlvSource(str(path)).open()
        assert caught.value.reason == "unreadable"


async def test_a_terminal_is_no_source(monkeypatch: pytest.MonkeyPatch) -> None:
    controller, terminal = os.openpty()
    monkeypatch.setattr(flv_files, "_STDIN", terminal)
    try:
        with pytest.raises(FlvError, match="is a terminal"):
            await FlvSource("-").open()
    finally:
        os.close(controller)
        os.close(terminal)


# Writing


async def test_a_file_is_made_with_its_first_byte(tmp_path: Path) -> None:
    path = tmp_path / "out.flv"
    path.write_bytes(b"what was there before")
    sink = FlvSink(str(path))
    sink.check()
    await sink.write(b"")
    assert path.read_bytes() == b"what was there before"
    await sink.write(CLIP[:100])
    await sink.write(CLIP[100:])
    sink.close(flv.encode_header(True, True))
    assert path.read_bytes() == CLIP


async def test_the_header_of_a_file_can_be_changed(tmp_path: Path) -> None:
    path = tmp_path / "out.flv"
    sink = FlvSink(str(path))
    await sink.write(flv.encode_header(False, True) + b"rest")
    sink.close(flv.encode_header(True, True))
    assert path.read_bytes() == flv.encode_header(True, True) + b"rest"


async def test_a_slow_reader_holds_up_nothing_else(pipe: Pipe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flv_files, "_STDOUT", pipe[1])
    sink = FlvSink("-")
    writing = asyncio.create_task(sink.write(CLIP))
    await asyncio.sleep(0)
    assert not writing.done()
    os.set_blocking(pipe[0], False)
    heard = b""
    while len(heard) < len(CLIP):
        with suppress(BlockingIOError):
            heard += os.read(pipe[0], 1 << 16)
        await asyncio.sleep(0)
    await writing
    assert heard == CLIP
    sink.close(b"")
    assert os.get_blocking(pipe[1])


async def test_a_reader_may_leave(pipe: Pipe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flv_files, "_STDOUT", pipe[1])
    os.close(pipe[0])
    sink = FlvSink("-")
    await sink.write(CLIP)
    assert sink.left
    await sink.write(CLIP)
    sink.close(b"")


def test_places_that_cannot_be_written_are_told_beforehand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(FileNotFoundError):
        FlvSink(str(tmp_path / "none" / "out.flv")).check()
    with pytest.raises(IsADirectoryError):
        FlvSink(str(tmp_path)).check()
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # Root may write anywhere.
    with pytest.raises(PermissionError):
        FlvSink(str(tmp_path / "out.flv")).check()
    controller, terminal = os.openpty()
    monkeypatch.setattr(flv_files, "_STDOUT", terminal)
    try:
        with pytest.raises(UsageError, match="terminal"):
            FlvSink("-").check()
    finally:
        os.close(controller)
        os.close(terminal)
