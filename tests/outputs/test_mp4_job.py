"""FLV files into MP4 files, in a process as the server starts one."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import ffmpeg
import pytest

from rtmpd.outputs import mp4_job
from rtmpd.outputs.afterwork_words import AfterworkFailure
from rtmpd.outputs.folder_scan import remove
from rtmpd.outputs.job import JobFailed
from rtmpd.outputs.job_runner import run_job

MODULE = "rtmpd.outputs.mp4_job"


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds in codecs that MP4 holds, and in one that it does not."""
    folder = tmp_path_factory.mktemp("clips")
    picture = ["-f", "lavfi", "-i", "testsrc2=size=160x120:rate=10", "-f", "lavfi", "-i", "sine", "-t", "2"]
    for name, codecs in (
        ("good.flv", ["-c:v", "libx264", "-g", "10", "-c:a", "aac"]),
        ("hevc.flv", ["-c:v", "libx265", "-x265-params", "log-level=none", "-g", "10", "-c:a", "libopus"]),
        ("av1.flv", ["-c:v", "libsvtav1", "-g", "10", "-c:a", "flac"]),
        ("old.flv", ["-c:v", "flv1", "-c:a", "mp3", "-ar", "44100"]),
    ):
        ffmpeg.bundled().run(*picture, *codecs, str(folder / name))
    return folder


def names(folder: Path) -> list[str]:
    return [each.name for each in folder.iterdir()]


def source_mode(clips: Path) -> int:
    return (clips / "good.flv").stat().st_mode


def content(file: Path) -> bytes:
    return file.read_bytes()


async def made(source: Path, target: Path) -> Mapping[str, Any]:
    job = {"source": str(source), "target": str(target), "spare": 0}
    return await run_job(MODULE, job, os.environ, lambda _said: None)


async def failure(source: Path, target: Path) -> JobFailed:
    with pytest.raises(JobFailed) as error:
        await made(source, target)
    return error.value


async def test_two_servers_of_one_folder_do_not_write_into_one_file(clips: Path, tmp_path: Path) -> None:
    target, unfinished = tmp_path / "good.mp4", tmp_path / "good.mp4.tmp"
    unfinished.write_bytes(b"of the other one")
    with unfinished.open("r+b") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        assert (await failure(clips / "good.flv", target)).reason is AfterworkFailure.BUSY
        assert content(unfinished) == b"of the other one"
    await made(clips / "good.flv", target)
    assert names(tmp_path) == ["good.mp4"]


async def test_makes_an_mp4_file_that_plays_while_it_loads(clips: Path, tmp_path: Path) -> None:
    target = tmp_path / "good.mp4"
    outcome = await made(clips / "good.flv", target)
    data = content(target)
    assert outcome["size"] == len(data)
    assert 1.9 <= outcome["duration"] <= 2.2
    assert data.index(b"moov") < data.index(b"mdat")
    with av.open(str(target)) as found:
        assert [each.codec_context.name for each in found.streams] == ["h264", "aac"]
        assert sum(1 for _ in found.decode(video=0)) == 20
    assert names(tmp_path) == ["good.mp4"]
    assert target.stat().st_mode == source_mode(clips)


@pytest.mark.parametrize(("name", "tags"), [("hevc.flv", ["hvc1", "Opus"]), ("av1.flv", ["av01", "fLaC"])])
async def test_codecs_that_came_later_are_held_too(
    clips: Path, tmp_path: Path, name: str, tags: list[str]
) -> None:
    await made(clips / name, tmp_path / "new.mp4")
    with av.open(str(tmp_path / "new.mp4")) as found:
        assert [each.codec_context.codec_tag for each in found.streams] == tags
        assert sum(1 for _ in found.demux(video=0)) == 21


@pytest.mark.parametrize(
    ("name", "reason", "text"),
    [
        ("old.flv", AfterworkFailure.CODEC, "MP4 cannot hold flv1, which its video is in"),
        ("noise.flv", AfterworkFailure.UNREADABLE, "noise.flv cannot be read"),
        ("empty.flv", AfterworkFailure.UNREADABLE, "empty.flv"),
        ("none.flv", AfterworkFailure.GONE, "none.flv is not there any more"),
    ],
)
async def test_says_why_there_is_none(
    clips: Path, tmp_path: Path, name: str, reason: AfterworkFailure, text: str
) -> None:
    (clips / "noise.flv").write_bytes(bytes(range(200)))
    (clips / "empty.flv").write_bytes(b"FLV\x01\x05\x00\x00\x00\x09\x00\x00\x00\x00")
    found = await failure(clips / name, tmp_path / "x.mp4")
    assert found.reason is reason
    assert text in found.detail
    assert names(tmp_path) == []


async def test_a_disk_without_room_beside_what_recordings_want_is_told_before_anything_is_written(
    clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spare = 1_000_000_000
    usage = SimpleNamespace(free=spare + 1)
    monkeypatch.setattr(mp4_job.shutil, "disk_usage", lambda _folder: usage)
    job = {"source": str(clips / "good.flv"), "target": str(tmp_path / "x.mp4"), "spare": spare}
    with pytest.raises(JobFailed) as error:
        mp4_job.remux(job, lambda _said: None)
    assert error.value.reason is AfterworkFailure.FULL
    assert names(tmp_path) == []


async def test_the_recording_is_held_meanwhile(
    clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = []
    copy = mp4_job._copy

    def watched(source: Path, unfinished: Path, report: Any) -> float:
        held.append(remove(str(source), str(clips)))
        return copy(source, unfinished, report)

    monkeypatch.setattr(mp4_job, "_copy", watched)
    mp4_job.remux(
        {"source": str(clips / "good.flv"), "target": str(tmp_path / "x.mp4"), "spare": 0}, lambda _said: None
    )
    assert [str(each) for each in held] == ["in_use"]
    with (clips / "good.flv").open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
