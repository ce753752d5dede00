"""Playlists and segments as files, for a web server that is there already."""

from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path

import pytest
from engine_kit import FakePublisher
from net_kit import eventually
from packaging_kit import Studio, Told, track_header, track_picture

from rtmpd.engine.key import StreamKey
from rtmpd.engine.origin import NOBODY
from rtmpd.engine.sink import CloseReason
from rtmpd.outputs.names import stream_levels
from rtmpd.packaging.rules import HlsRules


def rules(root: Path, **more: float) -> HlsRules:
    return HlsRules(segment=1.0, window=5.0, directory=str(root), **more)


async def begun(root: Path) -> Studio:
    studio = Studio(rules(root))
    studio.house.registry.observe(studio.packages)
    studio.packages.apply("")
    studio.publish()
    await send(studio, 3)
    return studio


async def send(studio: Studio, seconds: int, size: int = 2000) -> None:
    publication = studio.house.stream.publication
    assert publication is not None
    for _ in range(seconds):
        studio.go_on(publication, 1.0, size=size)
        await asyncio.sleep(0.005)  # The thread has its turn.


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def read(path: Path) -> bytes:
    return path.read_bytes()


def text(path: Path) -> Told:
    return Told(path.read_text())


async def test_what_playlists_name_is_there_and_the_same_as_by_http(tmp_path: Path) -> None:
    studio = await begun(tmp_path)
    folder = tmp_path / "live" / "cam"
    for _ in range(30):
        await send(studio, 1)
        await eventually(lambda: text(folder / "main_00000000.m3u8").files[-1] == newest(studio))
        playlist = text(folder / "main_00000000.m3u8")
        assert set(playlist.files) <= files(folder)
        assert playlist.tags("MAP")[0] == 'URI="main_00000000_init_0.mp4"'
    assert text(folder / "index.m3u8").files == ["main_00000000.m3u8"]
    assert not playlist.parts
    assert "CAN-BLOCK-RELOAD" not in playlist.text
    for name in playlist.files[-3:]:
        assert read(folder / name) == studio.package().file(name)
    # What is listed no more is gone after a while; nothing else is there.
    assert sum(playlist.durations) == pytest.approx(5.0, abs=1.1)
    media = {name for name in files(folder) if name.endswith(".mp4")}
    assert len(media) == pytest.approx(1 + 5 + 3, abs=2)
    assert files(folder) - media == {"index.m3u8", "main_00000000.m3u8"}
    studio.packages.close()


def newest(studio: Studio) -> str:
    return f"main_00000000_{studio.main().shelf.listed[-1].number}.mp4"


async def test_all_of_it_goes_some_time_after_the_end(tmp_path: Path) -> None:
    studio = await begun(tmp_path)
    folder = tmp_path / "live" / "cam"
    await send(studio, 5)
    publication = studio.house.stream.publication
    assert publication is not None
    publication.close(CloseReason.FINISHED)
    studio.wait(12, asking=False)
    await eventually(lambda: text(folder / "main_00000000.m3u8").text.endswith("#EXT-X-ENDLIST\n"))
    studio.wait(60, asking=False)
    await eventually(lambda: files(tmp_path) == set())


async def test_what_another_run_has_left_is_taken_away_and_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "live" / "cam"
    folder.mkdir(parents=True)
    for name in (
        "main_deadbeef_7.mp4",
        "main_deadbeef_init_0.mp4",
        "1080p_0_deadbeef_7.mp4",
        "1080p_0_deadbeef.m3u8",
        ".main_deadbeef_8.mp4.rtmpd-tmp",
        "poster.mp4",
        "x_1.mp4",
        "my_list.m3u8",
        "x.jpg",
    ):
        (folder / name).write_bytes(b"x")
    studio = await begun(tmp_path)
    await send(studio, 5)
    await eventually(lambda: not any("deadbeef" in name for name in files(folder)))
    assert files(folder) >= {"poster.mp4", "x_1.mp4", "my_list.m3u8", "x.jpg", "main_00000000.m3u8"}
    studio.packages.close()


async def test_a_drive_that_is_stuck_holds_nobody_up_and_leaves_a_hole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    studio = await begun(tmp_path)
    folder = tmp_path / "live" / "cam"
    await eventually(lambda: (folder / "main_00000000.m3u8").exists())
    answers, rename = threading.Event(), os.rename

    def slow(source: str, target: str, *, src_dir_fd: int, dst_dir_fd: int) -> None:
        answers.wait()
        rename(source, target, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)

    monkeypatch.setattr(os, "rename", slow)
    position = studio.main().position()
    before = studio.house.registry.budget.queue_bytes
    await send(studio, 20, size=100_000)
    assert studio.main().position() > position
    assert studio.packages.stats.disk_failures > 0
    assert studio.house.registry.budget.queue_bytes > before + 20_000_000
    answers.set()
    await send(studio, 3)
    await eventually(lambda: text(folder / "main_00000000.m3u8").files[-1] == newest(studio))
    assert "#EXT-X-GAP\n" in text(folder / "main_00000000.m3u8").text
    there = [name for name in text(folder / "main_00000000.m3u8").files if name in files(folder)]
    assert newest(studio) in there
    studio.packages.close()


class Drive:
    """One that answers when it may."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.answers = threading.Event()
        self.written = 0
        self._rename = os.rename
        monkeypatch.setattr(os, "rename", self._wait)

    def _wait(self, source: str, target: str, *, src_dir_fd: int, dst_dir_fd: int) -> None:
        self.answers.wait()
        self.written += 1
        self._rename(source, target, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)


async def test_the_end_of_the_server_waits_until_all_of_it_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    studio = await begun(tmp_path)
    await eventually(lambda: (tmp_path / "live" / "cam" / "main_00000000.m3u8").exists())
    drive = Drive(monkeypatch)
    await send(studio, 10)
    studio.packages.close()
    ending = asyncio.create_task(studio.packages.wait_closed(60.0))
    await asyncio.sleep(0)
    assert not ending.done()
    drive.answers.set()
    await ending
    assert files(tmp_path) == set()
    # What is removed at once is not written before: the job that was under way is all that was.
    assert drive.written <= 3
    assert studio.house.registry.budget.queue_bytes == 0


async def test_the_end_of_the_server_waits_for_no_drive_that_is_stuck(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    studio = await begun(tmp_path)
    drive = Drive(monkeypatch)
    await send(studio, 10)
    studio.packages.close()
    patient = asyncio.create_task(studio.packages.wait_closed(3600.0))
    await asyncio.sleep(0)
    await studio.packages.wait_closed(0.01)
    await patient
    [line] = [each for each in caplog.records if each.message == "HLS files are left behind"]
    told = line.__dict__["fields"]
    assert told["folder"] == str(tmp_path)
    assert told["jobs"] > 2
    drive.answers.set()


@pytest.mark.parametrize("name", ["../../etc", "a/../../b", ".hidden", "a/./b", "..", "%2e%2e"])
def test_names_of_streams_lead_nowhere_else(tmp_path: Path, name: str) -> None:
    levels = stream_levels(StreamKey("live", name))
    assert levels[0] == "live"
    assert not any(level.startswith(".") or "/" in level or not level for level in levels)
    assert Path(os.path.realpath(tmp_path.joinpath(*levels))).is_relative_to(tmp_path.resolve())


async def test_a_link_in_the_folder_is_not_followed(tmp_path: Path) -> None:
    root, elsewhere = tmp_path / "root", tmp_path / "elsewhere"
    root.mkdir()
    elsewhere.mkdir()
    (root / "live").symlink_to(elsewhere)
    studio = Studio(rules(root))
    studio.house.registry.observe(studio.packages)
    studio.packages.apply("")
    studio.house.registry.claim(StreamKey("live", "cam"), FakePublisher(), NOBODY, studio.house.loop.now)
    publication = studio.house.stream.publication
    assert publication is not None
    await send(studio, 6)
    await eventually(lambda: studio.packages.stats.disk_failures > 0)
    assert files(elsewhere) == set()
    studio.packages.close()


async def test_a_track_that_comes_just_before_the_end_is_none(tmp_path: Path) -> None:
    studio = await begun(tmp_path)
    publication = studio.house.stream.publication
    assert publication is not None
    studio.send(publication, track_header(1))
    for number in range(15):
        studio.send(publication, track_picture(1, key=number == 0))
        studio.go_on(publication, 0.04)
    assert [each.name for each in studio.package().renditions if not each.begun]
    publication.close(CloseReason.FINISHED)
    studio.wait(12, asking=False)
    folder = tmp_path / "live" / "cam"
    await eventually(lambda: text(folder / "main_00000000.m3u8").text.endswith("#EXT-X-ENDLIST\n"))
    studio.packages.close()
