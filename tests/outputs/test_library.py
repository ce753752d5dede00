"""Which file a name means, and which it cannot."""

from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path

import pytest
from flv_kit import clip
from net_kit import eventually

from rtmpd.engine.key import StreamKey
from rtmpd.engine.vod import Block, Place
from rtmpd.exceptions import Refused
from rtmpd.outputs import library as module
from rtmpd.outputs.library import Library, file_levels
from rtmpd.outputs.recorded_file import RecordedFile
from rtmpd.outputs.vod_rules import VodRules
from rtmpd.reasons import Refusal


@pytest.fixture
def library(tmp_path: Path) -> Library:
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "outside").mkdir()
    clip(tmp_path / "outside" / "secret.flv", 1)
    clip(root / "a.flv", 3)
    (root / "talks").mkdir()
    clip(root / "talks" / "monday.flv", 1)
    return Library(lambda key: VodRules(str(root)) if key.app == "live" else None)


async def find(library: Library, name: str) -> RecordedFile | None:
    found = await library.open(StreamKey("live", name))
    if found is not None:
        found.close()
    return found


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.parametrize(
    ("name", "levels"),
    [
        ("a", ["a.flv"]),
        ("a.flv", ["a.flv"]),
        ("flv:a", ["a.flv"]),
        ("flv:a.flv", ["a.flv"]),
        ("mp4:a.mp4", ["a.flv"]),
        ("mp4:talks/a.f4v", ["talks", "a.flv"]),
        ("talks/mp4:a", ["talks", "a.flv"]),
        ("a.b", ["a.b.flv"]),
        (".hidden", None),
        ("talks/.hidden/a", None),
        ("flv:.hidden", None),
        ("mp4:../a", None),
        ("mp4:", None),
        (".flv", None),
    ],
)
def test_names_of_files(name: str, levels: list[str] | None) -> None:
    assert file_levels(name) == levels


async def test_files_are_found_by_their_names(library: Library) -> None:
    for name in ("a", "a.flv", "mp4:a", "talks/monday"):
        assert await find(library, name) is not None
    for name in ("b", "talks", "a/b", "talks/monday/more", "x" * 300):
        assert await find(library, name) is None
    assert await library.open(StreamKey("other", "a")) is None
    assert library.offers(StreamKey("live", "a"))
    assert not library.offers(StreamKey("other", "a"))


async def test_no_link_leads_out_of_the_folder(library: Library, tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "link.flv").symlink_to(tmp_path / "outside" / "secret.flv")
    (root / "out").symlink_to(tmp_path / "outside")
    (root / "inside.flv").symlink_to("a.flv")
    os.mkfifo(root / "fifo.flv")
    (root / "folder.flv").mkdir()
    before = descriptors()
    for name in ("link", "out/secret", "inside", "fifo", "folder", "mp4:../outside/secret"):
        assert await find(library, name) is None
    assert descriptors() == before


async def test_all_who_play_a_file_share_it(library: Library) -> None:
    await find(library, "a")
    before = descriptors()
    key = StreamKey("live", "a")
    plays = [await library.open(key) for _ in range(50)]
    assert descriptors() == before + 1
    for play in plays:
        assert play is not None
        play.close()
        play.close()
    assert descriptors() == before


async def test_a_file_that_vanishes_or_is_replaced_is_played_on(library: Library, tmp_path: Path) -> None:
    path = tmp_path / "root" / "a.flv"
    playing = await library.open(StreamKey("live", "a"))
    assert playing is not None
    path.unlink()
    clip(path, 7)
    newer = await library.open(StreamKey("live", "a"))
    assert newer is not None
    assert (playing.duration, newer.duration) == (2760, 6760)
    done: asyncio.Future[Block | Exception] = asyncio.get_running_loop().create_future()
    playing.read(playing.start.cursor, 1 << 40, done.set_result)
    playing.close()  # Whoever leaves while it is read takes it from nobody.
    block = await done
    assert isinstance(block, Block)
    assert block.ended
    newer.close()


async def test_a_file_that_grows_is_played_as_far_as_it_goes_now(library: Library, tmp_path: Path) -> None:
    path = tmp_path / "root" / "a.flv"
    whole = path.read_bytes()
    os.truncate(path, len(whole) // 2)
    first = await library.open(StreamKey("live", "a"))
    assert first is not None
    path.write_bytes(whole)
    second = await library.open(StreamKey("live", "a"))
    assert second is not None
    assert first.duration < second.duration == 2760
    first.close()
    second.close()


async def test_what_is_no_flv_is_refused(
    library: Library, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "root" / "movie.flv").write_bytes(b"\0\0\0\x20ftypisom")
    before = descriptors()
    with pytest.raises(Refused) as caught:
        await find(library, "mp4:movie.mp4")
    assert caught.value.reason is Refusal.FILE_UNREADABLE
    assert str(tmp_path) not in caught.value.description
    assert "file cannot be played" in caplog.text
    assert descriptors() == before


async def test_a_drive_that_hangs_holds_up_who_asks_for_it_and_nobody_else(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = threading.Event()
    whole = module.open_beneath

    def open_slowly(root: str, levels: list[str]) -> int:
        fd = whole(root, levels)
        go_on.wait(5)
        return fd

    monkeypatch.setattr(module, "open_beneath", open_slowly)
    monkeypatch.setattr(module, "OPEN_TIMEOUT", 0.05)
    before = descriptors()
    with pytest.raises(Refused) as caught:
        await find(library, "a")
    assert caught.value.reason is Refusal.FILE_UNREADABLE
    go_on.set()
    await eventually(lambda: descriptors() == before)


async def test_places_are_found_in_a_file_without_an_index(library: Library) -> None:
    playing = await library.open(StreamKey("live", "a"))
    assert playing is not None
    for _ in range(2):  # The second time it is known.
        found: asyncio.Future[Place | Exception] = asyncio.get_running_loop().create_future()
        playing.locate(1500, found.set_result)
        place = await found
        assert isinstance(place, Place)
        assert place.position == 1000
    playing.close()


async def test_files_that_others_need_are_left_to_them(tmp_path: Path) -> None:
    clip(tmp_path / "cam.flv", 1)
    library = Library(lambda _key: VodRules(str(tmp_path)), max_descriptor=3)
    with pytest.raises(Refused, match="too many files open") as caught:
        await library.open(StreamKey("live", "cam"))
    assert caught.value.reason is Refusal.FILES
    assert await library.open(StreamKey("live", "none")) is None
    library.close()
