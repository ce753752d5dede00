"""The last seconds of streams: what is kept, where, for how long, and what is made of it."""

from __future__ import annotations

import asyncio
import importlib.util
from pathlib import Path

import aiohttp
import pytest
from control_kit import Desk
from engine_kit import AAC_HEADER, AVC_HEADER, AVC_HEADER_2, KEY, House, inter, keyframe, metadata, sound
from media_clips import H264_AAC, make_clip
from net_kit import eventually

from rtmpd.engine.key import StreamKey
from rtmpd.engine.limits import EngineLimits
from rtmpd.engine.packet import VIDEO, Packet
from rtmpd.engine.publication import Publication
from rtmpd.engine.sink import CloseReason
from rtmpd.exceptions import NotPossible, TryLater
from rtmpd.media.flv import FlvReader, FlvTag
from rtmpd.media.metadata import read_metadata
from rtmpd.outputs import clips as clips_module
from rtmpd.outputs import pictures as pictures_module
from rtmpd.outputs.clips import Clips
from rtmpd.outputs.kept import KeptLimits
from rtmpd.outputs.rings import Rings
from rtmpd.outputs.spool import Spool
from rtmpd.reasons import Problem
from rtmpd.rtmp.messages import Message

MIB = 1024 * 1024


class Studio:
    """A house with rings, and an encoder that sends a second at a time."""

    def __init__(
        self, limits: KeptLimits | None, folder: str = "", engine: EngineLimits | None = None
    ) -> None:
        self.house = House(engine or EngineLimits())
        self.limits = limits
        self.rings = Rings(self.house.registry, lambda _key: self.limits, self.house.loop.clock)
        self.house.registry.observe(self.rings)
        self.rings.apply(folder)
        self.clips = Clips(self.house.registry, lambda: self.rings, self.house.loop.clock)
        self.second = 0

    def publish(self, header: bytes = AVC_HEADER) -> Publication:
        publication = self.house.publish()
        self.house.send(publication, (0, metadata(width=640)), (0, AAC_HEADER), (0, header))
        return publication

    def go_on(self, publication: Publication, seconds: int, size: int = 0) -> None:
        for _ in range(seconds):
            begin = self.second * 1000
            for frame in range(4):
                name = f"K{self.second}" if not frame else f"P{self.second}.{frame}"
                payload = (inter(name) if frame else keyframe(name)).ljust(size, b".")
                time = begin + frame * 250
                self.house.send(publication, (time, payload), (time + 10, sound("a")))
                self.house.loop.run(self.house.loop.now + 0.25)
            self.second += 1

    async def clip(self, seconds: float) -> list[FlvTag]:
        held = await self.clips.last(KEY, seconds)
        assert held is not None
        data, let_go = held
        let_go()
        return FlvReader().receive_data(data)


def pictures(tags: list[FlvTag]) -> list[str]:
    frames = [tag for tag in tags if tag.type == 9 and tag.payload[1] == 1]
    return [f"{tag.payload[5:].rstrip(b'.').decode()}@{tag.timestamp}" for tag in frames]


def files_in(folder: Path) -> list[Path]:
    return list(folder.iterdir())


async def test_a_clip_begins_with_the_key_frame_before() -> None:
    studio = Studio(KeptLimits(20.0, 10 * MIB))
    studio.go_on(studio.publish(), 30)
    tags = await studio.clip(2.5)
    assert [tag.type for tag in tags[:4]] == [18, 8, 9, 9]
    assert read_metadata(tags[0].payload) == {"duration": 2.76, "width": 640.0}
    assert pictures(tags) == [
        *("K27@0", "P27.1@250", "P27.2@500", "P27.3@750", "K28@1000", "P28.1@1250", "P28.2@1500"),
        *("P28.3@1750", "K29@2000", "P29.1@2250", "P29.2@2500", "P29.3@2750"),
    ]


async def test_of_what_is_older_nothing_is_kept_but_what_leads_there() -> None:
    studio = Studio(KeptLimits(5.0, 10 * MIB))
    studio.go_on(studio.publish(), 30)
    assert pictures(await studio.clip(100))[0] == "K24@0"
    ring = studio.rings.find(KEY)
    assert ring is not None
    assert ring.kept.memory_bytes == studio.house.registry.budget.queue_bytes > 0


async def test_what_does_not_fit_into_memory_is_lost_where_there_is_no_drive() -> None:
    studio = Studio(KeptLimits(100.0, 1 * MIB))
    studio.go_on(studio.publish(), 30, size=50_000)
    ring = studio.rings.find(KEY)
    assert ring is not None
    assert ring.kept.memory_bytes <= MIB + 300_000
    assert ring.kept.lost
    assert int(pictures(await studio.clip(100))[0][1:3]) >= 24


async def test_or_goes_to_the_drive(tmp_path: Path) -> None:
    studio = Studio(KeptLimits(20.0, 1 * MIB, 100 * MIB), str(tmp_path))
    publication = studio.publish()
    ring = studio.rings.find(KEY)
    assert ring is not None
    for _ in range(30):
        studio.go_on(publication, 1, size=50_000)
        await asyncio.sleep(0)
    await eventually(lambda: ring.kept.memory_bytes <= MIB + 300_000)
    assert not ring.kept.lost
    assert ring.kept.disk_bytes > 2 * MIB
    frames = pictures(await studio.clip(15))
    assert (frames[0], frames[-1], len(frames)) == ("K14@0", "P29.3@15750", 64)
    assert files_in(tmp_path) == []  # They have no names.
    studio.rings.close()
    assert studio.house.registry.budget.queue_bytes == 0


async def test_a_drive_that_cannot_be_written_costs_the_oldest(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    studio = Studio(KeptLimits(20.0, 1 * MIB, 100 * MIB), str(tmp_path / "gone"))
    publication = studio.publish()
    ring = studio.rings.find(KEY)
    assert ring is not None
    for _ in range(30):
        studio.go_on(publication, 1, size=50_000)
        await eventually(lambda: not ring.kept.is_writing)
    studio.go_on(publication, 1)
    assert ring.kept.lost
    assert ring.kept.memory_bytes <= 2 * MIB
    assert [each.message for each in caplog.records] == ["spool cannot be written"]


async def test_when_memory_is_short_rings_go_before_anybody() -> None:
    studio = Studio(KeptLimits(100.0, 100 * MIB), engine=EngineLimits(memory_bytes=4 * MIB))
    publication = studio.publish()
    sink, _ = studio.house.play()
    studio.go_on(publication, 60, size=50_000)
    assert studio.house.registry.budget.used <= 4 * MIB
    assert "K59" in sink.take()
    assert pictures(await studio.clip(5))[-1] == "P59.3@5750"


async def test_it_is_there_for_a_while_when_the_stream_has_ended() -> None:
    studio = Studio(KeptLimits(5.0, 10 * MIB))
    publication = studio.publish()
    studio.go_on(publication, 10)
    publication.close(CloseReason.FINISHED)
    studio.house.loop.run(studio.house.loop.now + 4.0)
    studio.rings.look()
    assert not studio.house.registry.streams
    assert pictures(await studio.clip(2))[-1] == "P9.3@2750"
    studio.house.loop.run(studio.house.loop.now + 2.0)
    studio.rings.look()
    assert await studio.clips.last(KEY, 2) is None
    assert studio.house.registry.budget.queue_bytes == 0


async def test_another_encoder_begins_anew_with_its_own_headers() -> None:
    studio = Studio(KeptLimits(50.0, 10 * MIB))
    first = studio.publish()
    studio.go_on(first, 3)
    first.close(CloseReason.FINISHED)
    studio.house.loop.run(studio.house.loop.now + 1)
    second = studio.publish(AVC_HEADER_2)
    studio.go_on(second, 2)
    tags = await studio.clip(50)
    assert pictures(tags)[0] == "K3@0"
    assert AVC_HEADER_2 in [tag.payload for tag in tags]
    assert AVC_HEADER not in [tag.payload for tag in tags]


async def test_settings_switch_it_on_and_off_while_the_stream_lives() -> None:
    studio = Studio(None)
    publication = studio.publish()
    studio.go_on(publication, 2)
    assert await studio.clips.last(KEY, 5) is None
    studio.limits = KeptLimits(5.0, MIB)
    studio.rings.apply("")
    studio.go_on(publication, 2)
    assert pictures(await studio.clip(5))[0] == "K1@0"  # What a joiner gets.
    studio.limits = None
    studio.rings.apply("")
    assert await studio.clips.last(KEY, 5) is None
    assert not studio.house.stream.taps


async def test_sound_alone_is_kept_too() -> None:
    studio = Studio(KeptLimits(5.0, MIB))
    publication = studio.house.publish()
    studio.house.send(publication, (0, AAC_HEADER))
    for time in range(0, 20_000, 100):
        studio.house.send(publication, (time, sound("a")))
        studio.house.loop.run(studio.house.loop.now + 0.1)
    tags = await studio.clip(3)
    assert 30 <= len([tag for tag in tags if tag.payload[1:2] == b"\x01"]) <= 37


async def test_clips_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    studio = Studio(KeptLimits(50.0, 10 * MIB))
    studio.go_on(studio.publish(), 10)
    monkeypatch.setattr(clips_module, "MAX_CLIP_BYTES", 100)
    with pytest.raises(NotPossible, match="fewer seconds"):
        await studio.clips.last(KEY, 5)
    monkeypatch.setattr(clips_module, "MAX_HELD", 0)
    with pytest.raises(TryLater, match="in a moment"):
        await studio.clips.last(KEY, 5)


async def test_a_clip_is_charged_until_it_is_let_go() -> None:
    studio = Studio(KeptLimits(50.0, 10 * MIB))
    studio.go_on(studio.publish(), 10, size=20_000)
    budget = studio.house.registry.budget
    before = budget.used
    held = await studio.clips.last(KEY, 5)
    assert held is not None
    data, let_go = held
    assert budget.used - before == len(data)
    let_go()
    assert budget.used == before


async def test_a_clip_that_there_is_no_room_for_is_not_made() -> None:
    studio = Studio(KeptLimits(50.0, 3 * MIB), engine=EngineLimits(memory_bytes=4 * MIB))
    studio.go_on(studio.publish(), 40, size=20_000)
    budget = studio.house.registry.budget
    before = budget.used
    assert before > MIB
    with pytest.raises(TryLater, match="ask for fewer seconds") as caught:
        await studio.clips.last(KEY, 50)
    assert caught.value.problem is Problem.NO_MEMORY
    assert budget.used == before
    assert await studio.clip(1) != []


async def test_a_folder_that_is_not_there_is_told_of_before_it_is_needed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    spool = Spool("", lambda: 0.0)
    spool.move(str(tmp_path / "gone"))
    await eventually(lambda: [each.message for each in caplog.records] == ["spool cannot be written"])
    spool.move(str(tmp_path))
    spool.close()
    await asyncio.sleep(0)
    assert (len(caplog.records), files_in(tmp_path)) == (1, [])


async def test_a_spool_that_is_closed_reads_nothing_more(tmp_path: Path) -> None:
    spool = Spool(str(tmp_path), lambda: 0.0)
    spool.close()


# -- over HTTP


async def ask(client: aiohttp.ClientSession, what: str, name: str = "cam") -> tuple[int, bytes]:
    async with client.get(f"/api/v1/streams/live/{name}/{what}") as response:
        return response.status, await response.read()


async def test_clips_and_pictures_over_http(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    studio = Studio(KeptLimits(30.0, 10 * MIB))
    desk = Desk(registry=studio.house.registry)
    desk.rings = studio.rings
    async with desk.client() as client:
        assert (await ask(client, "last.flv"))[0] == 404
        publication = studio.house.publish()
        studio.house.loop.run(studio.house.loop.now)
        for tag in FlvReader().receive_data(make_clip(H264_AAC, tmp_path).read_bytes()):
            publication.receive(Message(tag.type, tag.timestamp, 1, tag.payload), studio.house.loop.now)
        studio.house.loop.run(studio.house.loop.now)
        status, data = await ask(client, "last.flv?seconds=2")
        assert status == 200
        assert len([tag for tag in FlvReader().receive_data(data) if tag.type == 9]) > 50
        assert (await ask(client, "last.flv?seconds=0"))[0] == 400
        status, data = await ask(client, "snapshot.flv")
        assert [tag.type for tag in FlvReader().receive_data(data)] == [18, 9, 9]
        first, second = await asyncio.gather(ask(client, "snapshot.jpg"), ask(client, "snapshot.jpg"))
        assert first == second
        assert (first[0], first[1][:2]) == (200, b"\xff\xd8")
        # Nothing is decoded twice.
        monkeypatch.setattr(pictures_module, "_decode", None)
        assert await ask(client, "snapshot.jpg") == first
        studio.limits = None
        studio.rings.apply("")
        status, data = await ask(client, "last.flv")
        assert status == 404
        assert b"[apps.live.ring] seconds" in data


async def test_pictures_that_are_kept_are_charged_and_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    now, charged = 0.0, 0

    def charge(amount: int) -> None:
        nonlocal charged
        charged += amount

    async def decode(data: bytes) -> bytes:
        return data

    monkeypatch.setattr(pictures_module, "_decode", decode)
    monkeypatch.setattr(pictures_module, "KEPT", 2)
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: object())
    pictures = pictures_module.Pictures(lambda: now, charge)
    for number, size in enumerate((100, 20, 3)):
        frame = Packet(VIDEO, 0, b"", 0)
        data = bytes(size)
        assert await pictures.picture(StreamKey("live", str(number)), frame, lambda data=data: data) == data
    assert charged == 23  # Of two.
    now = 3.0
    data = bytes(4)
    assert await pictures.picture(StreamKey("live", "2"), Packet(VIDEO, 0, b"", 0), lambda: data) == data
    assert charged == 24
    now = 61.0
    pictures.look()
    assert charged == 4
    pictures.close()
    assert charged == 0


async def test_what_cannot_be_decoded_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    studio = Studio(None)
    publication = studio.publish()
    studio.go_on(publication, 1)
    with pytest.raises(NotPossible, match="could not be decoded"):
        await studio.clips.picture(KEY)
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(NotPossible, match="pip install"):
        await studio.clips.picture(KEY)
    assert await studio.clips.picture(StreamKey("live", "other")) is None
    monkeypatch.setattr(pictures_module, "MAX_WAITING", 0)
    with pytest.raises(TryLater):
        await studio.clips.picture(KEY)


async def test_who_reads_slowly_holds_what_is_charged_and_few_may() -> None:
    studio = Studio(KeptLimits(50.0, 64 * MIB))
    studio.go_on(studio.publish(), 20, size=500_000)
    desk = Desk(registry=studio.house.registry)
    desk.rings = studio.rings
    budget = studio.house.registry.budget
    before = budget.used
    url = "/api/v1/streams/live/cam/last.flv?seconds=50"
    async with desk.client() as client:
        readers = [await client.get(url) for _ in range(clips_module.MAX_HELD)]
        assert [reader.status for reader in readers] == [200] * clips_module.MAX_HELD
        size = int(readers[0].headers["Content-Length"])
        assert budget.used - before == clips_module.MAX_HELD * size
        status, told = await ask(client, "last.flv")
        assert (status, b"clips_busy" in told) == (429, True)
        readers.pop().close()  # Without a word: what it held is given back.
        await eventually(lambda: budget.used - before == clips_module.MAX_HELD * size - size)
        assert len(await readers.pop().read()) == size
        await eventually(lambda: budget.used - before == clips_module.MAX_HELD * size - 2 * size)
        assert (await ask(client, "last.flv?seconds=1"))[0] == 200
        for reader in readers:
            reader.close()
        await eventually(lambda: budget.used == before)
