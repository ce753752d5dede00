"""Files that were cut off: by a process that was killed, by a machine that failed, by other servers."""

from __future__ import annotations

import fcntl
import os
import shutil
import struct
from pathlib import Path

import pytest
from engine_kit import KEY
from outputs_kit import HEADERS, Studio, check_index, cut_off, frames, repaired, tags_of, told_by
from typer.testing import CliRunner

from rtmpd.daemon.cli import app
from rtmpd.media import flv
from rtmpd.outputs.described import described
from rtmpd.outputs.flv_head import (
    HEAD_BYTES,
    MAX_INDEXED,
    KeyframeIndex,
    Told,
    build_head,
    payload_of,
    read_head,
)
from rtmpd.outputs.folder_scan import scan
from rtmpd.outputs.record_rules import RecordRule, RecordStart
from rtmpd.outputs.recording import RecordingEnd
from rtmpd.outputs.repair import finished, repair_all
from rtmpd.rtmp import amf


@pytest.mark.parametrize(
    "tail", [b"", b"\x09\x00", frames(1, 75)[0][:-1], bytes(5000), b"\x09" + b"\xff" * 40]
)
def test_what_was_cut_off_is_finished_up_to_the_last_whole_tag(tmp_path: Path, tail: bytes) -> None:
    part = cut_off(tmp_path / "live" / "cam_2.flv.part", *HEADERS, *frames(75), tail)
    (recording,) = repaired(tmp_path)
    assert not part.exists()
    assert recording.path == str(tmp_path / "live" / "cam_2.flv")
    assert (recording.key, recording.part, recording.root) == (KEY, 2, str(tmp_path))
    assert (recording.started_at, recording.end) == (1_800_000_000.0, RecordingEnd.REPAIRED)
    assert recording.codecs == ("H.264", "AAC")
    assert recording.duration == pytest.approx(3.005)
    assert recording.size == Path(recording.path).stat().st_size
    assert len(tags_of(recording.path)) == 152
    assert told_by(recording.path)["width"] == 640.0
    assert check_index(recording.path) == [0.0, 1.0, 2.0]


def test_what_is_written_or_not_ours_is_left_alone(tmp_path: Path) -> None:
    locked = cut_off(tmp_path / "a" / "locked.flv.part", *HEADERS, *frames(30))
    foreign = tmp_path / "download.flv.part"
    foreign.write_bytes(b"".join((flv.encode_header(True, True), *HEADERS, *frames(900))))
    finished = cut_off(tmp_path / "done.flv", *frames(3))
    fresh = tmp_path / "fresh.flv.part"
    fresh.touch()
    outside = cut_off(tmp_path / "b" / "real.flv", *HEADERS, *frames(30))
    (tmp_path / "link.flv.part").symlink_to(outside)
    before = {path: path.read_bytes() for path in (locked, foreign, finished, fresh, outside)}
    with locked.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        found: list[str] = []
        repair_all(str(tmp_path), lambda each: found.append(each.path), lambda path, _: found.append(path))
    assert found == [str(tmp_path / "link.flv.part")]  # Complained about.
    assert {path: path.read_bytes() for path in before} == before


def test_one_with_nothing_in_it_is_removed(tmp_path: Path) -> None:
    cut_off(tmp_path / "a.flv.part", *HEADERS)
    old = tmp_path / "b.flv.part"
    old.touch()
    os.utime(old, (1e9, 1e9))
    assert repaired(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_a_small_file_of_somebody_else_stays(tmp_path: Path) -> None:
    theirs = tmp_path / "download.flv.part"
    theirs.write_bytes(flv.encode_header(audio=True, video=True) + b"".join(frames(20)))
    ours = cut_off(tmp_path / "ours.flv.part")
    os.truncate(ours, 5000)
    for file in (theirs, ours):
        os.utime(file, (0, 0))
    assert repaired(tmp_path) == []
    assert theirs.exists()
    assert not ours.exists()


@pytest.mark.parametrize("number", ["inf", "nan", "-1.0", "1e300"])
@pytest.mark.parametrize("name", [b"part", b"started"])
def test_a_head_that_somebody_made_up_holds_up_no_other(tmp_path: Path, name: bytes, number: str) -> None:
    odd, good = cut_off(tmp_path / "odd.flv.part", *frames(10)), cut_off(tmp_path / "x.flv.part", *frames(10))
    data = odd.read_bytes()
    at = data.index(name + b"\0", data.index(b"recording")) + len(name) + 1
    odd.write_bytes(data[:at] + struct.pack(">d", float(number)) + data[at + 8 :])
    shutil.copy(odd, tmp_path / "odd.flv")
    assert [each.path for each in repaired(tmp_path)] == [str(good.with_suffix(""))]
    found = scan(str(tmp_path), 0.0).files
    assert list(described((str(tmp_path), file) for file in found)) == [str(good.with_suffix(""))]


@pytest.mark.parametrize("number", ["inf", "nan", "-1.0"])
@pytest.mark.parametrize("name", [b"duration", b"lasttimestamp", b"times\n\0\0\0\1", b"positions\n\0\0\0\1"])
def test_a_head_that_cannot_be_true_is_not_believed(tmp_path: Path, name: bytes, number: str) -> None:
    cut_off(tmp_path / "x.flv.part", *HEADERS, *frames(10))
    (recording,) = repaired(tmp_path)
    file = Path(recording.path)
    data = file.read_bytes()
    at = data.index(name + b"\0") + len(name) + 1
    file.write_bytes(data[:at] + struct.pack(">d", float(number)) + data[at + 8 :])
    with file.open("rb") as opened:
        assert finished(opened.fileno(), KEY) is None


def test_a_head_can_be_read_whatever_the_encoder_says_of_itself() -> None:
    index = KeyframeIndex()
    for number in range(MAX_INDEXED):
        index.add(number, number)
    nothing = [None]
    metadata = amf.encode_values("onMetaData", amf.EcmaArray({"a": nothing * 2000, "b": nothing * 1500}))
    told, values = read_head(payload_of(build_head(Told("live", "cam", 1, 0.0), metadata, index))) or (
        None,
        {},
    )
    assert told == Told("live", "cam", 1, 0.0)
    assert "keyframes" in values


def test_a_kill_before_a_finished_file_has_its_name_loses_nothing_of_it(tmp_path: Path) -> None:
    part = cut_off(tmp_path / "x.flv.part", *HEADERS, *frames(10))
    (before,) = repaired(tmp_path)
    file = Path(before.path)
    data = file.read_bytes()
    file.rename(part)  # As it is also when an encoder is about to append to it.
    (recording,) = repaired(tmp_path)
    assert recording == before
    assert file.read_bytes() == data


def test_a_kill_between_the_two_names_leaves_one(tmp_path: Path) -> None:
    part = cut_off(tmp_path / "cam.flv.part", *HEADERS, *frames(30))
    os.link(part, tmp_path / "cam.flv")
    (recording,) = repaired(tmp_path)
    assert recording.path == str(tmp_path / "cam.flv")
    assert [path.name for path in tmp_path.iterdir()] == ["cam.flv"]


def test_sound_alone_has_places_in_the_index_too(tmp_path: Path) -> None:
    tags = [flv.encode_tag(8, 20 * number, b"\xaf\x01" + bytes(20)) for number in range(600)]
    cut_off(tmp_path / "x.flv.part", HEADERS[0], *tags)
    (recording,) = repaired(tmp_path)
    assert check_index(recording.path) == [0.0, 5.0, 10.0]


def test_another_file_of_the_name_stays(tmp_path: Path) -> None:
    cut_off(tmp_path / "cam.flv.part", *HEADERS, *frames(30))
    (tmp_path / "cam.flv").write_bytes(b"somebody's")
    (recording,) = repaired(tmp_path)
    assert recording.path == str(tmp_path / "cam-2.flv")
    assert (tmp_path / "cam.flv").read_bytes() == b"somebody's"


async def test_the_next_start_finishes_them_beside_the_event_loop(tmp_path: Path) -> None:
    cut_off(tmp_path / "cam.flv.part", *HEADERS, *frames(30))
    studio = Studio(tmp_path, RecordRule(str(tmp_path), RecordStart.ALWAYS, min_free=0))
    studio.recordings.apply([str(tmp_path), str(tmp_path / "missing")])
    (recording,) = await studio.files(1)
    assert recording.end is RecordingEnd.REPAIRED
    assert studio.recordings.stats.finished[RecordingEnd.REPAIRED] == 1
    await studio.recordings.close(1.0)


def test_an_index_of_a_long_file_is_thinned_to_fit() -> None:
    index = KeyframeIndex()
    for number in range(100_000):
        index.add(2000 * number, HEAD_BYTES + 1000 * number)
    assert MAX_INDEXED // 2 <= len(index) <= MAX_INDEXED
    steps = {b - a for a, b in zip(index.times, index.times[1:], strict=False)}
    assert len(steps) == 1
    told = Told("x" * 900, "n", 1, 0.0, 10**9, 10**9, 2**40, audio=True, video=True)
    metadata = amf.encode_values("onMetaData", amf.EcmaArray({f"k{n}": "v" * 300 for n in range(500)}))
    assert len(build_head(told, metadata, index)) == HEAD_BYTES


def run(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["repair", *map(str, arguments)])
    return result.exit_code, result.output


def test_a_file_of_another_server_is_repaired_by_hand(tmp_path: Path) -> None:
    # As nginx-rtmp leaves it: an onMetaData without a duration, and the last tag cut.
    script = amf.encode_values("onMetaData", amf.EcmaArray({"server": "nginx-rtmp", "width": 1280.0}))
    data = b"".join((flv.encode_header(True, True), flv.encode_tag(18, 0, script), *HEADERS, *frames(60)))
    source = tmp_path / "show.flv"
    source.write_bytes(data[:-7])
    code, output = run(source)
    target = tmp_path / "show-repaired.flv"
    assert (code, output) == (0, f"{target}: 0:02.4, 0.1 MB, H.264 and AAC, without 30 bytes at its end\n")
    assert source.read_bytes() == data[:-7]
    assert check_index(target) == [0.0, 1.0, 2.0]
    told = told_by(target)
    assert (told["server"], told["width"], told["duration"]) == ("nginx-rtmp", 1280.0, 2.4)
    assert len(tags_of(target)) == 121
    code, output = run(source)
    assert (code, output) == (1, f"{target}: File exists\n")
    assert run("-o", tmp_path / "other.flv", target)[0] == 0
    assert shutil.disk_usage(tmp_path)
    assert (tmp_path / "other.flv").read_bytes() == target.read_bytes()


def test_a_recording_of_ours_is_repaired_by_hand(tmp_path: Path) -> None:
    part = cut_off(tmp_path / "cam.flv.part", *HEADERS, *frames(30), b"\x09")
    with part.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert run(part) == (1, f"{part}: a server writes it just now\n")
    code, output = run(part)
    assert (code, output) == (0, f"{tmp_path / 'cam.flv'}: 0:01.2, 0.1 MB, H.264 and AAC\n")
    check_index(tmp_path / "cam.flv")
    empty = cut_off(tmp_path / "empty.flv.part")
    assert run(empty) == (0, f"{empty}: there was nothing in it, and it is gone\n")


@pytest.mark.parametrize("data", [b"", b"FLV", b"GIF89a" * 100, flv.encode_header(True, True) + bytes(100)])
def test_what_is_no_flv_says_so(tmp_path: Path, data: bytes) -> None:
    source = tmp_path / "x.flv"
    source.write_bytes(data)
    code, output = run(source, tmp_path / "missing.flv")
    assert code == 1
    assert "FLV" in output or "neither audio nor video" in output
    assert f"{tmp_path}/missing.flv: No such file or directory" in output
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.flv"]
