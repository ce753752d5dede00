"""Streams and their files: when they begin and end, what is in them, and when a drive fails."""

from __future__ import annotations

import errno
import fcntl
import itertools
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from engine_kit import (
    AAC_HEADER,
    AVC_HEADER,
    KEY,
    NOBODY,
    FakePublisher,
    inter,
    keyframe,
    message,
    metadata,
    sound,
)
from outputs_kit import Grace, Heard, Studio, check_index, open_files, tags_of, told_by, until
from slate_kit import Theatre, read_slate, slate_bytes

from rtmpd.engine.handover import Handover, HandoverRules
from rtmpd.engine.key import StreamKey
from rtmpd.engine.origin import HANDOVER, Origin
from rtmpd.engine.sink import CloseReason
from rtmpd.exceptions import UsageError
from rtmpd.media.track_names import EVERY_TRACK, TrackWish
from rtmpd.outputs import file_series, flv_file, recorder
from rtmpd.outputs.flv_head import HEAD_BYTES
from rtmpd.outputs.record_rules import RecordRule, RecordStart, RecordTime
from rtmpd.outputs.record_words import RecordingFailure, RecordingLoss
from rtmpd.outputs.recording import RecordingEnd
from rtmpd.outputs.recordings import Recordings


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is done each second is done at once."""
    monkeypatch.setattr(recorder, "FLUSH", 0.01)
    monkeypatch.setattr(recorder, "RETRY", 0.02)
    monkeypatch.setattr(file_series, "SHORTEST", 0.0)


def parts(root: Path) -> list[Path]:
    return list(root.rglob("*.part"))


def lock(path: Path) -> None:
    with path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def size_of(path: str) -> int:
    return Path(path).stat().st_size


def flags_of(path: str) -> int:
    """Which media the header of a file says there are."""
    return Path(path).read_bytes()[4]


def bodies(path: str | Path, kind: int = 9) -> list[bytes]:
    return [tag.payload[5:] for tag in tags_of(path) if tag.type == kind and tag.payload[1] == 1]


async def test_a_stream_is_a_file_with_a_head_and_an_index(tmp_path: Path) -> None:
    studio = Studio(tmp_path)
    publication = studio.publish()
    studio.send(publication, 0, 50)
    studio.end(publication)
    (recording,) = await studio.files(1)
    assert studio.heard.words == ["started live/cam", "finished publish_ended"]
    assert (recording.key, recording.part, recording.end) == (KEY, 1, RecordingEnd.PUBLISH_ENDED)
    assert recording.root == str(tmp_path)
    assert recording.path.startswith(f"{tmp_path}/live/cam/")
    assert recording.codecs == ("H.264", "AAC")
    assert recording.size == size_of(recording.path)
    assert recording.duration == pytest.approx(2.01)
    told = told_by(recording.path)
    assert told["duration"] == pytest.approx(2.01)
    assert told["width"] == 640.0
    assert told["recording"] == {
        "app": "live",
        "stream": "cam",
        "part": 1.0,
        "started": pytest.approx(recording.started_at),
    }
    assert check_index(recording.path) == [0.0, 0.4, 0.8, 1.2, 1.6]
    tags = tags_of(recording.path)
    assert [tag.timestamp for tag in tags if tag.type == 9] == [0, *range(0, 2000, 40)]
    assert bodies(recording.path) == [b"%s%d" % (b"P" if n % 10 else b"K", n) for n in range(50)]
    assert not parts(tmp_path)
    assert studio.house.registry.budget.queue_bytes == 0
    assert not studio.house.registry.streams


@pytest.mark.parametrize("time", RecordTime)
async def test_an_encoder_that_returns_within_its_grace_goes_on_in_the_same_file(
    tmp_path: Path, time: RecordTime
) -> None:
    studio = Studio(tmp_path)
    assert studio.rule is not None
    studio.rule = replace(studio.rule, time=time)
    publication = studio.publish()
    studio.send(publication, 0, 25)
    publication.close(CloseReason.CONNECTION_LOST)
    await studio.until(lambda: not studio.recordings.queue_bytes)
    studio.house.loop.now += 30.0
    studio.turn()
    again = studio.publish()
    studio.send(again, 0, 25)
    studio.end(again)
    (recording,) = await studio.files(1)
    assert len(bodies(recording.path)) == 50
    times = [tag.timestamp for tag in tags_of(recording.path) if tag.type == 9]
    hole = max(b - a for a, b in itertools.pairwise(times))
    if time is RecordTime.TRUE:
        assert hole == pytest.approx(30_000, abs=100)
        assert recording.duration == pytest.approx(32.0, abs=0.2)
    else:
        assert hole <= 80
        assert recording.duration == pytest.approx(2.0, abs=0.1)
    assert times == sorted(times)
    check_index(recording.path)


@pytest.mark.parametrize("why", ["time", "size", "asked"])
async def test_a_file_is_split_at_a_key_frame_and_nothing_is_lost(tmp_path: Path, why: str) -> None:
    studio = Studio(tmp_path)
    assert studio.rule is not None
    if why == "time":
        studio.rule = replace(studio.rule, split_after=1.0)
    elif why == "size":
        studio.rule = replace(studio.rule, split_bytes=66_500)
    publication = studio.publish()
    studio.send(publication, 0, 35)
    if why == "asked":
        await studio.until(lambda: studio.heard.words == ["started live/cam"])
        studio.recordings.split(KEY)
    studio.send(publication, 35, 60)
    await studio.until(lambda: not studio.recordings.queue_bytes)
    status = studio.recordings.active(KEY)
    assert status is not None
    assert (status.root, status.part > 1) == (str(tmp_path), True)
    assert status.bytes_written < studio.recordings.stats.bytes_written  # Of that file alone.
    studio.end(publication)
    await studio.until(lambda: not studio.recordings._ending and len(studio.heard.finished) > 1)
    files = studio.heard.finished
    assert [file.part for file in files] == [*range(1, len(files) + 1)]
    assert [file.end for file in files[:-1]] == [RecordingEnd.SPLIT] * (len(files) - 1)
    pictures = [body for file in files for body in bodies(file.path)]
    assert len(pictures) == 60
    for file in files:
        tags = tags_of(file.path)
        assert [tag.payload[:2] for tag in tags[:3]] == [b"\xaf\x00", b"\x17\x00", b"\x17\x01"]
        assert tags[2].timestamp == 0
        assert told_by(file.path)["width"] == 640.0
        check_index(file.path)
    assert files[1].started_at == pytest.approx(files[0].started_at + files[0].duration, abs=2.5)


async def test_somebody_in_charge_starts_stops_and_starts_again(tmp_path: Path) -> None:
    studio = Studio(tmp_path)
    assert studio.rule is not None
    studio.rule = replace(studio.rule, start=RecordStart.MANUAL)
    with pytest.raises(UsageError, match="nobody publishes"):
        studio.recordings.start(KEY)
    publication = studio.publish()
    studio.send(publication, 0, 15)
    with pytest.raises(UsageError, match="is not recorded"):
        studio.recordings.stop(KEY)
    studio.recordings.start(KEY)
    with pytest.raises(UsageError, match="already"):
        studio.recordings.start(KEY)
    studio.send(publication, 15, 20)
    assert studio.recordings.active(KEY) is not None
    studio.recordings.stop(KEY)
    assert studio.recordings.active(KEY) is None
    (recording,) = await studio.files(1)
    assert recording.end is RecordingEnd.STOPPED
    assert bodies(recording.path)[0] == b"K10"
    studio.rule = replace(studio.rule, start=RecordStart.ALWAYS)
    studio.recordings.apply([])
    assert studio.recordings.active(KEY) is None  # Somebody has stopped it.
    studio.recordings.start(KEY)
    studio.send(publication, 20, 25)
    studio.rule = replace(studio.rule, start=RecordStart.NEVER)
    studio.recordings.apply([])
    assert len(await studio.files(2)) == 2
    with pytest.raises(UsageError, match=r"record\.start"):
        studio.recordings.start(KEY)
    assert len({each.path for each in studio.heard.finished}) == 2


async def test_sound_alone_is_recorded_and_indexed(tmp_path: Path) -> None:
    studio = Studio(tmp_path)
    publication = studio.publish(headers=False)
    studio.house.send(publication, (0, metadata(audiocodecid=10.0)), (0, AAC_HEADER))
    for number in range(600):
        studio.house.send(publication, (20 * number, sound(f"a{number}")))
    await studio.recordings.close(5.0)
    (recording,) = await studio.files(1)
    assert recording.end is RecordingEnd.SHUTDOWN
    assert recording.codecs == ("AAC",)
    assert check_index(recording.path) == [0.0, 5.0, 10.0]
    told = told_by(recording.path)
    assert (told["hasVideo"], told["hasAudio"]) == (False, True)
    assert flags_of(recording.path) == 4


async def test_no_file_is_ever_overwritten(tmp_path: Path) -> None:
    studio = Studio(tmp_path)
    assert studio.rule is not None
    studio.rule = replace(studio.rule, name="{name}")
    (tmp_path / "cam.flv").write_bytes(b"somebody's")
    for number in range(2):
        publication = studio.publish()
        studio.send(publication, 0, 11)
        if not number:
            await studio.until(lambda: "started live/cam" in studio.heard.words)
            (tmp_path / "cam-2.flv").write_bytes(b"meanwhile")
        studio.end(publication)
        await studio.files(number + 1)
    assert (tmp_path / "cam.flv").read_bytes() == b"somebody's"
    assert (tmp_path / "cam-2.flv").read_bytes() == b"meanwhile"
    names = [Path(each.path).name for each in studio.heard.finished]
    assert len(set(names)) == 2
    for each in studio.heard.finished:
        check_index(each.path)


async def test_what_was_made_of_a_recording_keeps_its_name(tmp_path: Path) -> None:
    studio = Studio(tmp_path)
    assert studio.rule is not None
    studio.rule = replace(studio.rule, name="{name}")
    (tmp_path / "cam.mp4").write_bytes(b"made of the first one, which is gone")
    publication = studio.publish()
    studio.send(publication, 0, 11)
    await studio.until(lambda: "started live/cam" in studio.heard.words)
    (tmp_path / "cam-2.flv").write_bytes(b"somebody's")
    (tmp_path / "cam-2-2.mp4").write_bytes(b"made of another one, which is gone")
    studio.end(publication)
    (recording,) = await studio.files(1)
    assert Path(recording.path).name == "cam-2-3.flv"


class Drive:
    """Has writes of the server fail."""

    def __init__(self) -> None:
        self.error = 0
        self.spares = -1
        """Size of what is written all the same."""
        self.stuck = threading.Event()
        self.stuck.set()
        self._write = os.write

    def write(self, fd: int, data: memoryview) -> int:
        self.stuck.wait(10.0)
        if self.error and len(data) != self.spares:
            half = len(data) // 2
            if half and self.error == errno.ENOSPC:
                self._write(fd, data[:half])
            raise OSError(self.error, os.strerror(self.error))
        return self._write(fd, data)


@pytest.fixture
def drive(monkeypatch: pytest.MonkeyPatch) -> Iterator[Drive]:
    drive = Drive()
    monkeypatch.setattr(flv_file.os, "write", drive.write)
    yield drive
    drive.stuck.set()


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (errno.ENOSPC, RecordingFailure.FULL),
        (errno.EROFS, RecordingFailure.READ_ONLY),
        (errno.EIO, RecordingFailure.DRIVE),
        (errno.ESTALE, RecordingFailure.DRIVE),
    ],
)
async def test_a_drive_that_fails_costs_the_recording_something_and_it_comes_back(
    tmp_path: Path, drive: Drive, error: int, reason: RecordingFailure
) -> None:
    studio = Studio(tmp_path)
    publication = studio.publish()
    studio.send(publication, 0, 20)
    await studio.until(lambda: studio.recordings.stats.bytes_written > 0)
    written = studio.recordings.stats.bytes_written
    drive.error = error
    studio.send(publication, 20, 40)
    await studio.until(lambda: any(word.startswith("failed") for word in studio.heard.words))
    stats = studio.recordings.stats
    await studio.until(lambda: stats.failures[reason] > 1)  # It is tried again.
    studio.recordings.look()
    assert stats.failing == 1
    status = studio.recordings.active(KEY)
    assert status is not None
    assert status.problem is not None
    assert sum(word.startswith("failed") for word in studio.heard.words) == 1
    drive.error = 0
    await studio.until(lambda: studio.heard.words.count("started live/cam") == 2)
    studio.send(publication, 40, 60)
    await studio.recordings.close(5.0)
    first, second = studio.heard.finished
    assert (first.end, second.end) == (RecordingEnd.FAILED, RecordingEnd.SHUTDOWN)
    assert first.size == 65564 + written
    check_index(first.path)
    check_index(second.path)
    assert bodies(second.path)[-1] == b"P59"
    assert bodies(second.path)[0].startswith(b"K")
    assert stats.lost[RecordingLoss.UNWRITABLE] > 0
    assert not parts(tmp_path)
    assert studio.house.registry.budget.queue_bytes == 0


async def test_a_stuck_drive_holds_up_nobody_and_the_file_goes_on(
    tmp_path: Path, drive: Drive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "STUCK", 0.05)
    studio = Studio(tmp_path)
    publication = studio.publish()
    studio.send(publication, 0, 20)
    await studio.until(lambda: studio.recordings.stats.bytes_written > 0)
    drive.stuck.clear()
    stats = studio.recordings.stats

    def failed() -> bool:
        studio.recordings.look()
        return stats.failures[RecordingFailure.STUCK] > 0

    studio.send(publication, 20, 30)
    await studio.until(failed)
    studio.send(publication, 30, 600)  # For 22.8 seconds.
    drive.stuck.set()
    await studio.until(lambda: not studio.recordings.queue_bytes)
    studio.send(publication, 600, 630)
    await studio.recordings.close(5.0)
    (recording,) = studio.heard.finished
    studio.recordings.look()
    assert stats.lost[RecordingLoss.BEHIND] > 0
    pictures = bodies(recording.path)
    assert pictures[-1] == b"P629"
    gap = next(at for at, body in enumerate(pictures) if int(body[1:]) != at)
    assert pictures[gap].startswith(b"K")
    assert recording.duration == pytest.approx(25.2, abs=0.1)


async def test_a_file_that_only_waits_while_the_drive_is_stuck_is_finished_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "STUCK", 0.02)
    studio = Studio(tmp_path)
    publication = studio.publish()
    studio.send(publication, 0, 20)
    await studio.until(lambda: studio.recordings.stats.bytes_written > 0)
    disk = studio.recordings._active[KEY].disk
    assert disk is not None
    answers = threading.Event()

    def hang() -> Callable[[], None]:
        answers.wait(10.0)
        return lambda: None

    disk.run(hang, lambda: None)  # Of another stream.

    def failed() -> bool:
        studio.recordings.look()
        return studio.recordings.stats.failures[RecordingFailure.STUCK] > 0

    await studio.until(failed)
    studio.send(publication, 20, 25)
    studio.end(publication)
    answers.set()
    (recording,) = await studio.files(1)
    await studio.until(lambda: not studio.recordings._ending)
    assert recording.end is RecordingEnd.PUBLISH_ENDED
    assert bodies(recording.path)[-1] == b"P19"
    assert studio.recordings.stats.lost[RecordingLoss.UNWRITABLE] == 10
    assert not parts(tmp_path)
    assert open_files(tmp_path) == 0
    assert studio.house.registry.budget.queue_bytes == 0


async def test_or_another_one_is_begun_where_the_stream_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "STUCK", 0.02)
    studio = Studio(tmp_path)
    publication = studio.publish()
    studio.send(publication, 0, 20)
    await studio.until(lambda: studio.recordings.stats.bytes_written > 0)
    disk = studio.recordings._active[KEY].disk
    assert disk is not None
    answers = threading.Event()

    def hang() -> Callable[[], None]:
        answers.wait(10.0)
        return lambda: None

    disk.run(hang, lambda: None)

    def failed() -> bool:
        studio.recordings.look()
        return studio.recordings.stats.failures[RecordingFailure.STUCK] > 0

    await studio.until(failed)
    answers.set()
    await studio.until(lambda: studio.heard.words.count("started live/cam") == 2)
    studio.send(publication, 20, 30)
    await studio.recordings.close(5.0)
    assert [each.end for each in studio.heard.finished] == [RecordingEnd.FAILED, RecordingEnd.SHUTDOWN]
    assert bodies(studio.heard.finished[1].path)[0] == b"K10"
    assert not parts(tmp_path)


async def test_a_drive_that_fails_after_it_was_stuck_is_told_of_again(
    tmp_path: Path, drive: Drive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "STUCK", 0.05)
    studio = Studio(tmp_path)
    publication = studio.publish()
    studio.send(publication, 0, 20)
    await studio.until(lambda: studio.recordings.stats.bytes_written > 0)
    drive.stuck.clear()
    studio.send(publication, 20, 30)

    def failed() -> bool:
        studio.recordings.look()
        return studio.recordings.stats.failures[RecordingFailure.STUCK] > 0

    await studio.until(failed)
    drive.stuck.set()
    await studio.until(lambda: not studio.recordings._active[KEY].failing)
    drive.error = errno.ENOSPC
    studio.send(publication, 30, 40)
    await studio.until(lambda: studio.recordings.stats.failures[RecordingFailure.FULL] > 0)
    assert "failed: no space left on device" in studio.heard.words
    drive.error = 0
    await studio.recordings.close(5.0)


async def test_all_that_a_failed_write_has_lost_is_counted(tmp_path: Path, drive: Drive) -> None:
    studio = Studio(tmp_path)
    publication = studio.publish()
    studio.send(publication, 0, 20)
    await studio.until(lambda: not studio.recordings.queue_bytes)
    drive.error = errno.EIO
    studio.send(publication, 20, 30)
    await studio.until(lambda: studio.recordings.stats.failures[RecordingFailure.DRIVE] > 0)
    assert studio.recordings.stats.lost[RecordingLoss.UNWRITABLE] >= 20
    drive.error = 0
    await studio.recordings.close(5.0)


async def test_what_could_not_be_finished_is_with_the_next_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    studio = Studio(tmp_path)
    publication = studio.publish()
    studio.send(publication, 0, 20)
    await studio.until(lambda: not studio.recordings.queue_bytes)

    def fail(_folder: int, _name: str) -> str:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch:
        patch.setattr(flv_file, "give_name", fail)
        studio.end(publication)
        await studio.until(lambda: not studio.recordings._ending)
    assert len(parts(tmp_path)) == 1
    again = studio.publish()
    studio.send(again, 0, 20)
    (repaired,) = await studio.files(1)
    assert repaired.end is RecordingEnd.REPAIRED
    await studio.recordings.close(5.0)
    assert not parts(tmp_path)


async def test_sound_of_a_stream_whose_pictures_never_come_is_recorded_after_a_while(tmp_path: Path) -> None:
    studio = Studio(tmp_path)
    publication = studio.publish()
    for number in range(1600):
        studio.house.loop.now += 0.02
        studio.house.send(publication, (20 * number, sound(f"a{number}")))
        if number % 200 == 0:
            await studio.until(lambda: not studio.recordings.queue_bytes)
    await studio.recordings.close(5.0)
    (recording,) = studio.heard.finished
    assert recording.codecs == ("AAC",)
    assert recording.duration == pytest.approx(2.0, abs=0.1)


async def test_a_folder_that_is_tidied_away_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    studio = Studio(tmp_path)
    open_folder, tidied = flv_file.open_folder, []

    def open_and_tidy(root: str, levels: list[str], max_descriptor: int) -> int:
        folder = open_folder(root, levels, max_descriptor)
        if not tidied:
            tidied.append((tmp_path / "live" / "cam").rmdir())
        return folder

    monkeypatch.setattr(flv_file, "open_folder", open_and_tidy)
    publication = studio.publish()
    studio.send(publication, 0, 20)
    await studio.recordings.close(5.0)
    assert len(studio.heard.finished) == 1
    assert studio.recordings.stats.failures[RecordingFailure.MISSING] == 0


async def test_the_end_does_not_wait_for_a_stuck_drive(tmp_path: Path, drive: Drive) -> None:
    studio = Studio(tmp_path)
    publication = studio.publish()
    studio.send(publication, 0, 20)
    await studio.until(lambda: studio.recordings.stats.bytes_written > 0)
    drive.stuck.clear()
    studio.send(publication, 20, 40)
    await studio.until(lambda: studio.recordings._active[KEY]._busy)
    await studio.recordings.close(0.05)
    assert studio.heard.finished == []
    assert studio.house.registry.budget.queue_bytes == 0


async def test_a_root_that_is_not_there_is_never_made(tmp_path: Path) -> None:
    studio = Studio(tmp_path / "drive")
    publication = studio.publish()
    studio.send(publication, 0, 20)
    await studio.until(lambda: studio.recordings.stats.failures[RecordingFailure.MISSING] > 1)
    assert studio.heard.words == ["failed: no such file or directory"]
    (tmp_path / "drive").mkdir()
    await studio.until(lambda: studio.heard.words[-1] == "started live/cam")
    await studio.recordings.close(5.0)
    assert bodies(studio.heard.finished[0].path)[0] == b"K10"


async def test_a_drive_with_too_little_left_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    studio = Studio(tmp_path)
    assert studio.rule is not None
    studio.rule = replace(studio.rule, min_free=1000)
    left = [1999]
    monkeypatch.setattr(flv_file.FlvFile, "free_bytes", lambda _self: left[0])
    publication = studio.publish()
    studio.send(publication, 0, 20)
    await studio.until(lambda: studio.recordings.stats.bytes_written > 0)
    left[0] = 999
    studio.send(publication, 20, 25)
    await studio.until(lambda: studio.recordings.stats.failures[RecordingFailure.FULL] > 0)
    left[0] = 1999  # As much as it began with, and too little to begin again.
    count = studio.recordings.stats.failures[RecordingFailure.FULL]
    await studio.until(lambda: studio.recordings.stats.failures[RecordingFailure.FULL] > count + 1)
    left[0] = 2000
    await studio.until(lambda: studio.heard.words.count("started live/cam") == 2)
    await studio.recordings.close(5.0)
    assert not parts(tmp_path)


async def test_somebody_removes_the_file(tmp_path: Path) -> None:
    studio = Studio(tmp_path)
    publication = studio.publish()
    studio.send(publication, 0, 20)
    await studio.until(lambda: studio.recordings.stats.bytes_written > 0)
    (part,) = parts(tmp_path)
    part.unlink()
    studio.send(publication, 20, 25)
    await studio.until(lambda: studio.heard.words.count("started live/cam") == 2)
    assert studio.recordings.stats.failures[RecordingFailure.MISSING] == 1
    await studio.recordings.close(5.0)
    assert [each.end for each in studio.heard.finished] == [RecordingEnd.SHUTDOWN]


async def test_somebody_takes_the_folder_away_or_puts_another_in_its_place(tmp_path: Path) -> None:
    root = tmp_path / "drive"
    root.mkdir()
    studio = Studio(root)
    publication = studio.publish()
    studio.send(publication, 0, 20)
    await studio.until(lambda: studio.recordings.stats.bytes_written > 0)
    root.rename(tmp_path / "another")
    studio.send(publication, 20, 25)
    await studio.until(lambda: studio.recordings.stats.failures[RecordingFailure.MISSING] > 0)
    root.mkdir()
    await studio.until(lambda: studio.heard.words.count("started live/cam") == 2)
    studio.send(publication, 25, 35)
    await studio.recordings.close(5.0)
    first, second = studio.heard.finished
    assert bodies(tmp_path / "another" / Path(first.path).relative_to(root))[-1] == b"P19"
    assert bodies(second.path)[-1] == b"P34"
    assert not parts(tmp_path)


async def test_a_process_that_another_one_takes_over_from_ends_its_file_with_the_encoder(
    tmp_path: Path,
) -> None:
    studio = Studio(tmp_path)
    publication = studio.publish()
    studio.send(publication, 0, 20)
    studio.leaving = True
    publication.close(CloseReason.CONNECTION_LOST)
    studio.turn()
    (recording,) = await studio.files(1)
    assert recording.end is RecordingEnd.PUBLISH_ENDED
    assert KEY not in studio.house.registry.streams  # Nobody waits any more.


async def test_what_waits_for_one_drive_is_bounded(
    tmp_path: Path, drive: Drive, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rtmpd.outputs import recordings

    studio = Studio(tmp_path)
    publication = studio.publish()
    studio.send(publication, 0, 20)
    await studio.until(lambda: studio.recordings.stats.bytes_written > 0)
    drive.stuck.clear()
    studio.send(publication, 20, 40)
    await studio.until(lambda: studio.recordings._active[KEY]._busy)
    studio.send(publication, 40, 60)
    monkeypatch.setattr(recordings, "MAX_DISK_BYTES", studio.recordings.queue_bytes - 1)
    studio.recordings.look()
    studio.recordings.look()
    assert studio.recordings.stats.lost[RecordingLoss.MEMORY] == 40
    drive.stuck.set()
    await studio.until(lambda: not studio.recordings._active[KEY]._tap._queue.waits)
    studio.send(publication, 60, 80)
    await studio.recordings.close(5.0)
    assert b"K40" not in bodies(studio.heard.finished[0].path)
    assert bodies(studio.heard.finished[0].path)[-1] == b"P79"


async def test_one_track_is_written_as_if_there_were_no_others(tmp_path: Path) -> None:
    from golden_captures import load

    from rtmpd.media.tags import MULTITRACK, audio_flags
    from rtmpd.rtmp.chunks import ChunkReader
    from rtmpd.rtmp.limits import Limits

    messages = [
        each
        for each in ChunkReader(Limits()).receive_data(load("obs32/obs32-single-vod-pub").chunks)
        if each.type in (8, 9, 18)
    ]
    for choice, several in ((EVERY_TRACK, True), (TrackWish(audio=1), False)):
        studio = Studio(tmp_path)
        assert studio.rule is not None
        studio.rule = replace(studio.rule, tracks=choice)
        publication = studio.house.registry.claim(KEY, FakePublisher(), NOBODY, 0.0)
        for each in messages:
            publication.receive(each, studio.house.loop.now)
        studio.turn()
        await studio.recordings.close(5.0)
        tags = [tag for tag in tags_of(studio.heard.finished[0].path) if tag.type == 8]
        assert tags
        assert any(audio_flags(tag.payload) & MULTITRACK for tag in tags) is several
        check_index(studio.heard.finished[0].path)


async def test_an_encoder_may_ask_to_be_recorded_and_to_append(tmp_path: Path) -> None:
    studio = Studio(tmp_path)
    assert studio.rule is not None
    studio.rule = replace(studio.rule, start=RecordStart.ASKED)
    (tmp_path / "live" / "cam").mkdir(parents=True)
    (tmp_path / "live" / "cam" / "other.flv").write_bytes(b"FLV of somebody else")
    for mode in ("live", "record", "append", "appendWithGap", "unrecorded", "record"):
        publication = studio.publish(mode=mode)
        assert (studio.recordings.active(KEY) is not None) is (mode not in ("live", "unrecorded"))
        studio.send(publication, 0, 25)
        studio.end(publication)
        await studio.until(lambda: not studio.recordings._ending)
    first, second, third, last = studio.heard.finished
    assert first.path == second.path == third.path != last.path
    assert [each.duration for each in (first, second)] == [pytest.approx(1.01), pytest.approx(2.02, abs=0.01)]
    assert third.duration > 3.0
    assert third.started_at == pytest.approx(first.started_at, abs=0.001)
    assert third.size == size_of(third.path)
    assert len(bodies(third.path)) == 75
    assert check_index(third.path)[:4] == [0.0, 0.4, 0.8, pytest.approx(1.01, abs=0.01)]
    times = [tag.timestamp for tag in tags_of(third.path) if tag.type == 9]
    assert times == sorted(times)
    assert not parts(tmp_path)


async def test_other_settings_end_begin_and_replace_recordings(tmp_path: Path) -> None:
    studio = Studio(tmp_path / "one")
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    rule = studio.rule
    assert rule is not None
    studio.rule = None
    publication = studio.publish()
    studio.send(publication, 0, 25)
    assert studio.recordings.active(KEY) is None
    studio.rule = rule
    studio.recordings.apply([])
    await studio.until(lambda: studio.heard.words == ["started live/cam"])
    studio.rule = replace(rule, name="other", split_after=1.0)
    studio.recordings.apply([])  # The next file has the name.
    studio.send(publication, 25, 55)
    await studio.files(1)
    studio.rule = replace(rule, root=str(tmp_path / "two"))
    studio.recordings.apply([])
    studio.send(publication, 55, 60)
    await studio.until(lambda: not studio.recordings._ending)
    studio.rule = replace(studio.rule, start=RecordStart.MANUAL)
    studio.recordings.apply([])
    await studio.files(3)
    split, other, two = studio.heard.finished
    assert [each.end for each in (split, other, two)] == [
        RecordingEnd.SPLIT,
        RecordingEnd.STOPPED,
        RecordingEnd.STOPPED,
    ]
    assert other.path == str(tmp_path / "one" / "other.flv")
    assert two.root == str(tmp_path / "two")
    assert bodies(two.path)[-1] == b"P59"
    assert studio.recordings.statuses() == []


async def test_a_listener_that_fails_costs_nobody_anything(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(Heard):
        def recording_started(self, _key: StreamKey, _path: str, _started_at: float) -> None:
            raise ZeroDivisionError

    studio = Studio(tmp_path)
    studio.recordings.add_listener(Broken())
    studio.recordings.add_listener(last := Heard())
    publication = studio.publish()
    studio.send(publication, 0, 25)
    await studio.recordings.close(5.0)
    assert last.words == studio.heard.words == ["started live/cam", "finished shutdown"]
    assert "a listener of recordings failed" in caplog.text


@pytest.mark.parametrize(("waited", "kept"), [(20.0, True), (0.0, False)])
async def test_a_pause_of_an_encoder_is_kept_and_a_jump_of_its_clock_is_not(
    tmp_path: Path, waited: float, kept: bool
) -> None:
    studio = Studio(tmp_path)
    clock = [1_800_000_000.0]
    studio.recordings.wall_clock = lambda: clock[0]
    publication = studio.publish()
    studio.send(publication, 0, 10)
    await studio.until(lambda: studio.recordings.stats.bytes_written > 0)
    clock[0] += waited
    studio.send(publication, 510, 520)  # 20 seconds later, it says.
    await studio.recordings.close(5.0)
    assert studio.heard.finished[0].duration == pytest.approx(20.8 if kept else 0.8, abs=0.1)


async def test_a_stream_without_key_frames_is_split_all_the_same(tmp_path: Path) -> None:
    studio = Studio(tmp_path)
    assert studio.rule is not None
    studio.rule = replace(studio.rule, split_after=1.0)
    publication = studio.publish()
    for begin in range(0, 900, 100):
        studio.send(publication, begin, begin + 100, gop=10_000)
        await studio.until(lambda: not studio.recordings.queue_bytes)
    await studio.recordings.close(5.0)
    first, second = studio.heard.finished
    assert first.duration == pytest.approx(31.0, abs=0.2)
    assert bodies(second.path)[0].startswith(b"P")
    assert len(bodies(first.path)) + len(bodies(second.path)) == 900


async def test_a_file_that_nothing_gets_into_was_never_begun(tmp_path: Path, drive: Drive) -> None:
    studio = Studio(tmp_path)
    drive.spares = HEAD_BYTES
    drive.error = errno.ENOSPC
    publication = studio.publish()
    studio.send(publication, 0, 20)
    stats = studio.recordings.stats
    await studio.until(lambda: stats.failures[RecordingFailure.FULL] > 2)
    assert studio.heard.words == ["failed: no space left on device"]
    drive.error = 0
    await studio.until(lambda: studio.heard.words[-1] == "started live/cam")
    await studio.recordings.close(5.0)
    assert studio.heard.finished[0].part == 1
    assert not parts(tmp_path)


async def test_what_is_left_of_a_stream_that_has_ended_is_charged_and_may_be_lost(
    tmp_path: Path, drive: Drive, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rtmpd.outputs import recordings

    studio = Studio(tmp_path)
    publication = studio.publish()
    studio.send(publication, 0, 20)
    await studio.until(lambda: studio.recordings.stats.bytes_written > 0)
    drive.stuck.clear()
    studio.send(publication, 20, 30)
    await studio.until(lambda: studio.recordings._active[KEY]._busy)
    studio.send(publication, 30, 50)
    studio.end(publication)
    budget = studio.house.registry.budget
    assert budget.queue_bytes == studio.recordings.queue_bytes > 0
    monkeypatch.setattr(recordings, "MAX_DISK_BYTES", studio.recordings.queue_bytes - 1)
    before = studio.recordings.queue_bytes
    studio.recordings.look()
    assert budget.queue_bytes == studio.recordings.queue_bytes < before
    assert studio.recordings.stats.lost[RecordingLoss.MEMORY] == 40
    drive.stuck.set()
    (recording,) = await studio.files(1)
    assert bodies(recording.path)[-1] == b"P29"
    assert budget.queue_bytes == 0


@pytest.mark.parametrize("wanted", [True, False])
async def test_a_slate_is_recorded_where_it_is_wanted(tmp_path: Path, wanted: bool) -> None:
    theatre = Theatre(read_slate(tmp_path, slate_bytes()))
    rule = RecordRule(str(tmp_path), RecordStart.ALWAYS, min_free=0, slate=wanted)
    house = theatre.house
    recordings = Recordings(house.registry, lambda _key: rule, lambda: False, theatre.loop.clock)
    house.registry.observe(recordings)
    house.registry.accompany(recordings.accompany)
    recordings.add_listener(heard := Heard())

    theatre.claim()
    theatre.run(60)
    await until(lambda: not recordings.queue_bytes)
    theatre.lose()
    theatre.run(100)
    await until(lambda: not recordings.queue_bytes)
    theatre.claim()
    theatre.run(60)
    await recordings.close(5.0)
    (recording,) = heard.finished
    pictures = [body[:1] for body in bodies(recording.path)]
    assert pictures.count(b"E") >= 119
    assert pictures.count(b"S") == (0 if not wanted else pytest.approx(100, abs=5))
    assert recording.duration == pytest.approx(8.8, abs=0.2)
    times = [tag.timestamp for tag in tags_of(recording.path) if tag.type == 9]
    assert times == sorted(times)
    check_index(recording.path)


async def test_each_track_of_the_next_file_begins_with_a_key_frame(tmp_path: Path) -> None:
    studio = Studio(tmp_path)
    publication = studio.house.registry.claim(KEY, FakePublisher(), NOBODY, 0.0, Grace())

    def track(number: int, time: int, kind: int, body: bytes) -> tuple[int, bytes]:
        return time, bytes((kind | 6, 0, *b"avc1", number)) + body

    def send(*numbers: int) -> None:
        for number in numbers:
            key = 0x90 if number % 10 == 0 else 0xA0
            aside = 0x90 if number % 10 == 5 else 0xA0
            for which, kind in ((0, key), (1, aside)):
                time, payload = track(which, 40 * number, kind, b"\0\0\0%d" % number)
                payload = payload[:1] + b"\x01" + payload[2:]
                studio.house.send(publication, (time, payload))

    for which in (0, 1):
        studio.house.send(publication, track(which, 0, 0x90, b"header%d" % which))
    send(*range(15))
    await studio.until(lambda: studio.heard.words == ["started live/cam"])
    studio.recordings.split(KEY)
    send(*range(15, 40))
    await studio.recordings.close(5.0)
    _, second = studio.heard.finished
    begun = {0: b"", 1: b""}
    for tag in tags_of(second.path):
        if tag.payload[1] & 15 == 1:
            begun[tag.payload[6]] = begun[tag.payload[6]] or tag.payload
    assert [payload[0] & 0x70 for payload in begun.values()] == [0x10, 0x10]
    assert begun[0].endswith(b"20")
    assert begun[1].endswith(b"25")


async def test_a_file_that_is_written_is_locked_and_two_pictures_have_two_times(tmp_path: Path) -> None:
    studio = Studio(tmp_path)
    publication = studio.publish()
    studio.send(publication, 0, 20)
    await studio.until(lambda: studio.recordings.stats.bytes_written > 0)
    (part,) = parts(tmp_path)
    with pytest.raises(BlockingIOError):
        lock(part)
    for time in (800, 800, 790, 840):
        studio.house.send(publication, (time, inter("P")))
    await studio.recordings.close(5.0)
    times = [tag.timestamp for tag in tags_of(studio.heard.finished[0].path) if tag.type == 9]
    assert times[-4:] == [800, 801, 802, 840]
    told = told_by(studio.heard.finished[0].path)
    assert (told["lastkeyframetimestamp"], told["lasttimestamp"]) == (0.4, 0.84)


async def test_what_a_bug_or_a_drive_leaves_cut_off_is_finished_when_it_can_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    studio = Studio(tmp_path)
    publication = studio.publish()
    studio.send(publication, 0, 20)
    await studio.until(lambda: studio.recordings.stats.bytes_written > 0)
    add = flv_file.FlvFile.add

    def fail(*_arguments: object, **_more: object) -> None:
        monkeypatch.setattr(flv_file.FlvFile, "add", add)
        raise ZeroDivisionError

    monkeypatch.setattr(flv_file.FlvFile, "add", fail)
    studio.send(publication, 20, 25)
    await studio.until(lambda: studio.heard.words.count("started live/cam") == 2)
    assert studio.recordings.stats.failures[RecordingFailure.INTERNAL_ERROR] == 1
    assert "a job of a disk failed" in caplog.text
    (repaired,) = await studio.files(1)
    assert repaired.end is RecordingEnd.REPAIRED
    assert len(bodies(repaired.path)) == 20
    studio.send(publication, 25, 35)
    await studio.recordings.close(5.0)
    assert bodies(studio.heard.finished[1].path)[-1] == b"P34"
    assert not parts(tmp_path)


async def test_what_another_process_has_is_recorded_there(tmp_path: Path) -> None:
    studio = Studio(tmp_path)
    borrowed = studio.house.publish(origin=Origin(protocol=HANDOVER, address="handover"))
    studio.send(borrowed, 0, 20)
    assert studio.recordings.active(KEY) is None
    with pytest.raises(UsageError, match="nobody publishes"):
        studio.recordings.start(KEY)
    own = studio.house.registry.claim(
        KEY, FakePublisher(), NOBODY, studio.house.loop.now, Handover(lambda _key: HandoverRules())
    )
    studio.house.send(own, (0, AAC_HEADER), (0, AVC_HEADER))
    studio.send(own, 0, 20)
    await studio.recordings.close(5.0)
    assert bodies(studio.heard.finished[0].path)[0] == b"K0"
    assert len(bodies(studio.heard.finished[0].path)) == 20


async def test_a_publication_in_the_turn_of_another_ones_end_is_not_in_its_file(
    tmp_path: Path,
) -> None:
    studio = Studio(tmp_path)
    house = studio.house
    for word in ("A", "B"):
        publication = house.registry.claim(KEY, FakePublisher(), NOBODY, house.loop.now)
        for payload in (AVC_HEADER, keyframe(word), inter(word.lower())):
            publication.receive(message(0, payload), house.loop.now)
        publication.close(CloseReason.FINISHED)
    studio.turn()
    await studio.recordings.close(5.0)
    assert [bodies(each.path) for each in studio.heard.finished] == [[b"A", b"a"]]


async def test_files_that_others_need_are_left_to_them(tmp_path: Path) -> None:
    studio = Studio(tmp_path, max_descriptor=3)
    publication = studio.publish()
    studio.send(publication, 0, 20)
    await studio.until(lambda: bool(studio.heard.words))
    assert studio.heard.words == ["failed: the process has too many files open"]
    assert studio.recordings.stats.failures[RecordingFailure.FILES] == 1
    assert parts(tmp_path) == []
    studio.recordings._active[KEY]._series._max_descriptor = 1 << 20
    await studio.until(lambda: studio.heard.words[-1] == "started live/cam")
    studio.end(publication)
    await studio.recordings.close(5.0)
    assert open_files(tmp_path) == 0


@pytest.mark.parametrize("media", [True, False])
async def test_a_publication_of_one_turn_of_the_loop_has_a_file_if_it_has_a_frame(
    tmp_path: Path, media: bool
) -> None:
    studio = Studio(tmp_path)
    house = studio.house
    publication = house.registry.claim(KEY, FakePublisher(), NOBODY, house.loop.now)
    house.send(publication, (0, metadata(width=640.0)), (0, AAC_HEADER), (0, AVC_HEADER))
    if media:
        house.send(publication, (0, keyframe("K0")), (10, sound("a0")))
    publication.close(CloseReason.FINISHED)
    studio.turn()
    await studio.recordings.close(5.0)
    assert [bodies(each.path) for each in studio.heard.finished] == [[b"K0"]] * media
    assert parts(tmp_path) == []
