"""Going back: what of a stream is on a drive, and what becomes of it where that is full, slow or gone."""

from __future__ import annotations

import asyncio
import gzip
import os
import threading
from pathlib import Path

import pytest
from net_kit import eventually
from packaging_kit import Studio, told

from rtmpd.packaging.rules import HlsRules
from rtmpd.packaging.shelf import Segment

RULES = HlsRules(segment=1.0, window=5.0, dvr=60.0, dvr_bytes=1 << 30)
MIB = 1024 * 1024


async def send(studio: Studio, seconds: int, size: int = 2000) -> None:
    publication = studio.house.stream.publication
    assert publication is not None
    for _ in range(seconds):
        studio.go_on(publication, 1.0, size=size)
        await asyncio.sleep(0.002)  # The thread has its turn.


async def begun(folder: Path, rules: HlsRules = RULES) -> Studio:
    studio = Studio(rules)
    studio.house.registry.observe(studio.packages)
    studio.packages.apply(str(folder))
    studio.publish()
    await send(studio, 3)
    return studio


def files_in(folder: Path) -> list[Path]:
    return list(folder.iterdir())


def refuse(*_: object) -> int:
    """As ``os.pwrite``."""
    raise OSError(28, "No space left on device")


def give_up_one_on_its_way(studio: Studio) -> Segment:
    """Memory is so short that a segment is there no more which the drive has not got yet."""
    publication = studio.house.stream.publication
    assert publication is not None
    studio.go_on(publication, 3.0)
    segment = next(each for each in studio.main().shelf.listed if each.on_its_way)
    while segment.data is not None:
        assert studio.package().give_back()
    return segment


def settled(studio: Studio) -> bool:
    return not any(segment.on_its_way for segment in studio.main().shelf.segments())


async def read(studio: Studio, name: str) -> bytes | None:
    found: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()
    assert studio.package().read(name, found.set_result)
    return await found


async def test_what_is_not_in_memory_any_more_is_read_from_the_drive(tmp_path: Path) -> None:
    studio = await begun(tmp_path)
    whole: dict[str, bytes] = {}
    for _ in range(20):
        await send(studio, 1)
        name = told(studio.main()).files[-1]
        whole[name] = studio.package().file(name) or b""
    await eventually(lambda: settled(studio))
    files = told(studio.main()).files
    assert sum(told(studio.main()).durations) >= 20
    for name in files[:8]:
        assert studio.package().file(name) is None
        assert not studio.package().expects(name)
        data = await read(studio, name)
        assert data
        assert data == whole.get(name, data)
    for name in files[-4:]:
        assert studio.package().file(name)
    assert studio.packages.stats.disk_bytes > 0
    assert files_in(tmp_path) == []  # Those there have no names.
    studio.packages.close()
    assert studio.packages.stats.disk_bytes == 0


async def test_streams_to_go_back_in_are_cut_though_nobody_asks(tmp_path: Path) -> None:
    studio = await begun(tmp_path)
    assert studio.packages.stats.packages == 1
    studio.wait(120, asking=False)
    assert studio.packages.stats.packages == 1
    # Nobody waited: each segment begins with a key frame.
    assert all(segment.independent for segment in studio.main().shelf.segments())
    studio.packages.close()


async def test_memory_holds_the_newest_alone(tmp_path: Path) -> None:
    studio = await begun(tmp_path)
    await send(studio, 16, size=20_000)
    await eventually(lambda: settled(studio))
    await send(studio, 1, size=20_000)
    before = studio.packages.stats.held_bytes
    await send(studio, 20, size=20_000)
    await eventually(lambda: settled(studio))
    await send(studio, 1, size=20_000)
    assert studio.packages.stats.held_bytes < before + 0.1 * MIB
    assert studio.house.registry.budget.queue_bytes >= studio.packages.stats.held_bytes
    studio.packages.close()


async def test_a_full_share_of_the_drive_forgets_the_oldest(tmp_path: Path) -> None:
    studio = await begun(tmp_path, HlsRules(segment=1.0, window=5.0, dvr=3600.0, dvr_bytes=5 * MIB))
    await send(studio, 30, size=20_000)
    await eventually(lambda: settled(studio))
    await send(studio, 1, size=20_000)
    assert studio.packages.stats.disk_bytes <= 5.6 * MIB
    first = studio.main().shelf.listed[0]
    assert first.number > 10
    assert await read(studio, told(studio.main()).files[0])
    studio.packages.close()


async def test_a_drive_that_fails_leaves_holes_and_never_stops_the_live_edge(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    studio = await begun(tmp_path)
    await send(studio, 5)
    await eventually(lambda: settled(studio))

    monkeypatch.setattr(os, "pwrite", refuse)
    position = studio.main().position()
    await send(studio, 20)
    await eventually(lambda: settled(studio))
    await send(studio, 1)
    assert studio.main().position() > position
    assert studio.packages.stats.disk_failures > 0
    playlist = told(studio.main())
    assert playlist.text.count("#EXT-X-GAP\n") == studio.main().shelf.losses > 5
    lost = [segment for segment in studio.main().shelf.listed if segment.lost]
    names = [f"main_00000000_{segment.number}.mp4" for segment in lost]
    assert all(not studio.package().read(name, lambda _: None) for name in names)
    assert studio.package().file(playlist.files[-1])
    studio.packages.close()


async def test_a_drive_that_is_too_slow_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    studio = await begun(tmp_path)
    answers, write = threading.Event(), os.pwrite

    def slow(fd: int, data: bytes, offset: int) -> int:
        answers.wait()
        return write(fd, data, offset)

    monkeypatch.setattr(os, "pwrite", slow)
    await send(studio, 30, size=100_000)
    on_its_way = [segment for segment in studio.main().shelf.segments() if segment.on_its_way]
    assert 10 * MIB < sum(segment.size for segment in on_its_way) <= 32 * MIB
    assert studio.packages.stats.disk_failures > 0
    answers.set()
    await eventually(lambda: settled(studio))
    studio.packages.close()


async def test_a_long_playlist_is_the_same_compressed_piece_by_piece(tmp_path: Path) -> None:
    studio = await begun(tmp_path)
    for _ in range(10):
        await send(studio, 1)
        for skip in (False, True):
            rendered = studio.main().playlist(skip)
            assert gzip.decompress(rendered.gzipped) == rendered.plain
    studio.packages.close()


async def test_what_is_on_its_way_to_the_drive_is_not_lost_when_memory_is_short(tmp_path: Path) -> None:
    studio = await begun(tmp_path)
    await eventually(lambda: settled(studio))
    segment = give_up_one_on_its_way(studio)
    await eventually(lambda: settled(studio))
    assert (segment.lost, studio.main().shelf.losses) == (False, 0)
    assert await read(studio, f"main_00000000_{segment.number}.mp4")


async def test_what_is_in_memory_no_more_when_the_drive_refuses_it_is_told_as_a_hole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    studio = await begun(tmp_path)
    await eventually(lambda: settled(studio))

    monkeypatch.setattr(os, "pwrite", refuse)
    segment = give_up_one_on_its_way(studio)
    told(studio.main())
    await eventually(lambda: settled(studio))
    await send(studio, 1)
    assert segment.lost
    assert told(studio.main()).text.count("#EXT-X-GAP\n") == studio.main().shelf.losses >= 1
