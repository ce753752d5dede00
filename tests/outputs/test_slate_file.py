"""A file as a slate: what is kept of it, and why one is refused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from engine_kit import AAC_HEADER, AVC_END, AVC_HEADER, AVC_HEADER_2, inter, keyframe, metadata, sound
from slate_kit import read_slate, slate_bytes

from rtmpd.engine.packet import CACHED_HEADER
from rtmpd.exceptions import ConfigError
from rtmpd.media import flv
from rtmpd.outputs.slate_file import MAX_BYTES, MAX_TAGS, SlateFile


def file_of(*tags: tuple[int, int, bytes]) -> bytes:
    head = flv.encode_header(audio=True, video=True)
    return head + b"".join(flv.encode_tag(kind, at, payload) for kind, at, payload in tags)


def test_a_file_is_packets_from_its_first_key_frame_on(tmp_path: Path) -> None:
    data = file_of(
        (18, 0, metadata(width=320.0).removeprefix(b"\x02\x00\x0d@setDataFrame")),
        (8, 0, AAC_HEADER),
        (9, 0, AVC_HEADER),
        (8, 900, sound("early")),
        (9, 960, inter("P")),
        (9, 1000, keyframe("K")),
        (8, 1010, sound("a")),
        (9, 1040, inter("P")),
        (9, 2520, keyframe("K")),
        (9, 2560, AVC_END),
    )
    found = read_slate(tmp_path, data)
    assert [(each.kind, each.timestamp) for each in found.packets] == [(9, 0), (8, 10), (9, 40), (9, 1520)]
    assert [each.kind for each in found.headers] == [18, 8, 9]
    assert (found.duration, found.interval, found.changes) == (1560, 1520, False)
    assert (found.video, found.audio) == ("avc1", "mp4a")
    assert str(found) == "H.264, AAC 44.1 kHz, 1.6 s, 0.0 MiB"


def test_headers_that_change_are_sent_again_when_it_begins_again(tmp_path: Path) -> None:
    data = file_of(
        (9, 0, AVC_HEADER),
        (9, 0, keyframe("K")),
        (9, 40, AVC_HEADER_2),
        (9, 40, keyframe("L")),
        (9, 1200, inter("P")),
    )
    found = read_slate(tmp_path, data)
    assert found.changes
    assert [bool(each.flags & CACHED_HEADER) for each in found.packets] == [False, True, False, False]


@pytest.mark.parametrize(("audio", "video"), [(True, False), (False, True)])
def test_one_medium_is_enough(tmp_path: Path, audio: bool, video: bool) -> None:
    found = read_slate(tmp_path, slate_bytes(audio=audio, video=video))
    assert (found.audio is not None, found.video is not None) == (audio, video)
    assert found.duration == 2000


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        pytest.param(b"", "is empty", id="empty"),
        pytest.param(b"\x89PNG\r\n", "not an FLV file", id="a picture"),
        pytest.param(file_of(), "neither video nor audio", id="nothing in it"),
        pytest.param(slate_bytes(20), "it lasts 805 ms: a slate has at least a second", id="short"),
        pytest.param(
            file_of((9, 0, AVC_HEADER), (9, 0, inter("P")), (9, 2000, inter("P"))), "key frame", id="no key"
        ),
        pytest.param(
            file_of((9, 0, keyframe("K")), (9, 2000, keyframe("K"))), "sequence header", id="no header"
        ),
    ],
)
def test_what_cannot_be_shown_is_said(tmp_path: Path, data: bytes, problem: str) -> None:
    with pytest.raises(ConfigError) as failed:
        read_slate(tmp_path, data)
    assert str(failed.value).startswith(str(tmp_path))
    assert problem in str(failed.value)


def test_a_file_that_is_not_there_or_none(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"No such file or directory; `rtmpd slate make PICTURE .*` makes one"
    ):
        SlateFile(tmp_path / "none.flv")
    os.mkfifo(tmp_path / "pipe")
    for name in ("pipe", "."):
        with pytest.raises(ConfigError, match=r"is no file|Is a directory"):
            SlateFile(tmp_path / name)


def test_it_is_as_large_as_is_kept_and_no_larger(tmp_path: Path) -> None:
    path = tmp_path / "large.flv"
    path.touch()
    os.truncate(path, MAX_BYTES + 1)
    with pytest.raises(ConfigError, match="larger than 64 MiB, which are kept in memory: make it shorter"):
        SlateFile(path)
    nothing = flv.encode_tag(15, 0, b"")  # Of a kind that is passed over.
    with pytest.raises(ConfigError, match="more than 200,000 messages: make it shorter"):
        read_slate(tmp_path, flv.encode_header(audio=True, video=True) + nothing * (MAX_TAGS + 1))
