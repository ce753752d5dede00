"""Files that are played: what is found out of them before, and read of them then."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from engine_kit import AVC_HEADER_2, keyframe, sound
from flv_kit import HEADERS, clip, flv_file, on_meta_data, seconds, with_index

from rtmpd.engine.packet import ASIDE, TRACKED, VIDEO
from rtmpd.exceptions import FlvError
from rtmpd.media import flv
from rtmpd.media.metadata import read_metadata
from rtmpd.outputs import flv_index
from rtmpd.outputs.flv_index import read_told, scan
from rtmpd.outputs.flv_survey import Survey, survey
from rtmpd.outputs.flv_tags import MAX_TAG_BYTES
from rtmpd.outputs.recorded_file import read_block
from rtmpd.reasons import FlvFailure

FOR_EVER = 1 << 40


class Files:
    """Opens files, and closes them behind the test."""

    def __init__(self) -> None:
        self.opened: list[int] = []

    def open(self, path: Path) -> int:
        self.opened.append(os.open(path, os.O_RDONLY))
        return self.opened[-1]

    def survey(self, path: Path) -> tuple[int, Survey]:
        fd = self.open(path)
        return fd, survey(fd, path.stat().st_size)


@pytest.fixture
def files() -> Iterator[Files]:
    found = Files()
    yield found
    for fd in found.opened:
        os.close(fd)


def names(fd: int, cursor: int, base: int = 0, until: int = FOR_EVER) -> list[str]:
    """All media from ``cursor`` on, block by block, as ``K0@0``."""
    found = []
    while True:
        block = read_block(fd, cursor, base, until)
        frames = [each for each in block.packets if each.kind == VIDEO and each.payload[1] == 1]
        found += [f"{each.payload[5:].rstrip(b'.').decode()}@{each.timestamp}" for each in frames]
        if block.ended or (block.next_position or 0) > until:
            return found
        cursor = block.cursor


def test_a_file_that_says_nothing_is_measured_at_its_end_and_searched_when_somebody_seeks(
    tmp_path: Path, files: Files
) -> None:
    fd, found = files.survey(clip(tmp_path / "a.flv", 5))
    assert (found.duration, found.base, found.codecs, found.index) == (4760, 0, "avc1+mp4a", None)
    assert [packet.payload for packet in found.headers] == [HEADERS[0][2], HEADERS[1][2]]
    assert read_metadata(found.metadata) == {"duration": 4.76}
    index = found.find_key_frames(fd)
    # The header counts as a place to begin at, as the first key frame follows it.
    assert list(index.times) == [0, 1000, 2000, 3000, 4000]
    timestamp, offset = index.before(3999) or (0, 0)
    assert timestamp == 3000
    assert names(fd, offset)[:2] == ["K3@3000", "P3.1@3250"]


def test_a_file_brings_its_index_along(tmp_path: Path, files: Files) -> None:
    fd, found = files.survey(with_index(tmp_path / "a.flv", [*HEADERS, *seconds(5)]))
    assert found.index is not None
    assert found.index.before(-5) == found.index.before(0)
    timestamp, offset = found.index.before(2500) or (0, 0)
    assert (timestamp, names(fd, offset)[0]) == (2000, "K2@2000")
    # Players are told all but where things are in the file.
    assert read_metadata(found.metadata) == {"duration": 4.76, "width": 640.0, "tail": 7.0}


def test_an_index_that_is_not_of_this_file_is_not_believed(tmp_path: Path, files: Files) -> None:
    _, found = files.survey(with_index(tmp_path / "a.flv", [*HEADERS, *seconds(5)], shift=3))
    assert found.index is None


@pytest.mark.parametrize(
    "metadata",
    [
        b"\0\x09keyframes",
        b"\0\x09keyframes\x03",
        b"\0\x09keyframes\x03\0\x05times\x0a\xff\xff\xff\xff",
        b"\0\x09keyframes\x03\0\x05times\x0a\0\0\0\x01\x02\0\0\0\0\0\0\0\0\0\0\x09",
        b"\0\x09keyframes\x03\0\x05times\x02\0\0\0\0\x09",
        b"\0\x09keyframes\x05",
    ],
)
def test_broken_indexes_are_none(metadata: bytes) -> None:
    assert read_told(on_meta_data()[:-3] + metadata) is None


def test_of_a_huge_index_a_part_is_kept(
    tmp_path: Path, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flv_index, "MAX_ENTRIES", 10)
    path = with_index(tmp_path / "a.flv", [*HEADERS, *seconds(60)])
    fd, found = files.survey(path)
    assert found.index is not None
    assert len(found.index.times) <= 10
    index, latest = scan(fd, found.begin)
    assert len(index.times) <= 20
    assert latest == 59760
    assert (index.before(59_999) or (0, 0))[0] >= 50_000


def test_a_scan_ends_when_its_time_is_up(tmp_path: Path, files: Files) -> None:
    fd, found = files.survey(clip(tmp_path / "a.flv", 1000))
    index, latest = scan(fd, found.begin, seconds=0)
    assert latest == 0
    assert not index.times


def test_places_in_a_file_without_video_are_found_in_its_sound(tmp_path: Path, files: Files) -> None:
    tags = [(8, time, sound(str(time))) for time in range(0, 10_000, 100)]
    fd, found = files.survey(flv_file(tmp_path / "a.flv", [HEADERS[1], *tags]))
    assert found.codecs == "mp4a"
    assert found.find_key_frames(fd).before(5500) == (5000, (found.index or ([], []))[1][5])


def test_times_count_from_the_first_frame(tmp_path: Path, files: Files) -> None:
    fd, found = files.survey(flv_file(tmp_path / "a.flv", seconds(3, begin=3_600_000)))
    assert (found.base, found.duration) == (3_600_000, 2760)
    assert names(fd, found.begin, found.base)[:2] == ["K0@0", "P0.1@250"]


def test_a_piece_ends_where_the_player_has_enough(tmp_path: Path, files: Files) -> None:
    fd, found = files.survey(clip(tmp_path / "a.flv", 5))
    block = read_block(fd, found.begin, 0, 1249)
    assert [each.timestamp for each in block.packets][-1] == 1010
    assert (block.next_position, block.ended) == (1250, False)
    rest = read_block(fd, block.cursor, 0, FOR_EVER)
    assert rest.packets[0].timestamp == 1250
    assert rest.ended


def test_a_piece_is_no_larger_than_it_may_be(tmp_path: Path, files: Files) -> None:
    fd, found = files.survey(clip(tmp_path / "a.flv", 10, size=50_000))
    block = read_block(fd, found.begin, 0, FOR_EVER)
    assert 256 * 1024 <= sum(len(each.payload) for each in block.packets) < 256 * 1024 + 50_100
    assert names(fd, found.begin)[-1] == "P9.3@9750"


def test_a_piece_ends_where_times_jump(tmp_path: Path, files: Files) -> None:
    tags = [*HEADERS, *seconds(2), *seconds(1, begin=100_000), *seconds(1)]
    fd, found = files.survey(flv_file(tmp_path / "a.flv", tags))
    first = read_block(fd, found.begin, 0, FOR_EVER)
    assert first.next_position == 100_000
    second = read_block(fd, first.cursor, 0, FOR_EVER)
    assert second.next_position == 0
    third = read_block(fd, second.cursor, 0, FOR_EVER)
    assert third.ended
    assert third.packets[0].timestamp == 0


@pytest.mark.parametrize("cut", [1, 4, 5, 12])
def test_a_file_that_was_cut_off_ends_before_the_cut(tmp_path: Path, files: Files, cut: int) -> None:
    path = clip(tmp_path / "a.flv", 5)
    os.truncate(path, path.stat().st_size - cut)
    fd, found = files.survey(path)
    assert names(fd, found.begin)[-1] == "P4.3@4750"


def test_a_file_of_which_the_end_was_never_written_ends_there(tmp_path: Path, files: Files) -> None:
    path = clip(tmp_path / "a.flv", 2)
    path.write_bytes(path.read_bytes() + bytes(100_000))
    fd, found = files.survey(path)
    assert names(fd, found.begin)[-1] == "P1.3@1750"
    assert list(found.find_key_frames(fd).times) == [0, 1000]
    assert found.duration == 1760  # By the search.


def test_a_tag_larger_than_any_message_is_the_end(tmp_path: Path, files: Files) -> None:
    path = clip(tmp_path / "a.flv", 1)
    huge = b"\x09" + (MAX_TAG_BYTES + 1).to_bytes(3, "big") + bytes(7)
    path.write_bytes(path.read_bytes() + huge + bytes(MAX_TAG_BYTES + 1))
    fd, found = files.survey(path)
    assert names(fd, found.begin)[-1] == "P0.3@750"


def test_a_tag_larger_than_a_piece_is_read_whole(tmp_path: Path, files: Files) -> None:
    frame = keyframe("big").ljust(2_000_000, b".")
    fd, found = files.survey(flv_file(tmp_path / "a.flv", [*HEADERS, (9, 0, frame), *seconds(1, begin=40)]))
    assert names(fd, found.begin)[:2] == ["big@0", "K0@40"]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", FlvFailure.NOT_FLV),
        (b"\0\0\0\x20ftypisom" * 9, FlvFailure.NOT_FLV),
        (b"FLV\x01\x05\xff\xff\xff\xff", FlvFailure.NOT_FLV),
        (flv.encode_header(audio=True, video=True), FlvFailure.NO_MEDIA),
        (
            flv.encode_header(audio=True, video=True) + flv.encode_tag(18, 0, on_meta_data()),
            FlvFailure.NO_MEDIA,
        ),
    ],
)
def test_what_is_no_flv_is_not_played(tmp_path: Path, files: Files, data: bytes, reason: FlvFailure) -> None:
    path = tmp_path / "a.flv"
    path.write_bytes(data)
    with pytest.raises(FlvError) as caught:
        files.survey(path)
    assert caught.value.reason is reason


def test_the_newest_headers_of_the_beginning_are_sent_to_who_begins_elsewhere(
    tmp_path: Path, files: Files
) -> None:
    tags = [*HEADERS, (9, 0, AVC_HEADER_2), *seconds(1)]
    _, found = files.survey(flv_file(tmp_path / "a.flv", tags))
    assert {packet.payload for packet in found.headers} == {AVC_HEADER_2, HEADERS[1][2]}


def test_tracks_are_told_apart(tmp_path: Path, files: Files) -> None:
    second = b"\xa6\x01avc1\x01" + bytes(3) + b"frame"
    fd, found = files.survey(flv_file(tmp_path / "a.flv", [*HEADERS, *seconds(1), (9, 800, second)]))
    packets = [each for each in read_block(fd, found.begin, 0, FOR_EVER).packets if each.kind == VIDEO]
    assert [bool(each.flags & TRACKED) for each in packets] == [False] * 5 + [True]
    assert packets[-1].flags & ASIDE
