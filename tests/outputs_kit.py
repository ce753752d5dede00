"""Recordings without a server: streams of an engine with a clock of its own, and what is in their files."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from engine_kit import (
    AAC_HEADER,
    AVC_HEADER,
    KEY,
    NOBODY,
    FakePublisher,
    House,
    inter,
    keyframe,
    metadata,
    sound,
)

from rtmpd.engine.claim import ClaimPolicy
from rtmpd.engine.key import StreamKey
from rtmpd.engine.publication import Publication
from rtmpd.engine.sink import CloseReason, Ending
from rtmpd.media import flv
from rtmpd.media.flv import FlvReader, FlvTag
from rtmpd.media.metadata import read_metadata
from rtmpd.outputs.flv_head import KeyframeIndex, Told, build_head
from rtmpd.outputs.record_rules import RecordRule, RecordStart
from rtmpd.outputs.recording import Recording
from rtmpd.outputs.recordings import Recordings
from rtmpd.outputs.repair import repair_all
from rtmpd.rtmp import amf
from rtmpd.rtmp.constants import MessageType

PATIENCE = 10.0


class Grace(ClaimPolicy):
    """Whoever is lost is waited for."""

    def hold(self, _key: StreamKey, _ending: Ending) -> float:
        return 10.0


@dataclass
class Heard:
    """What a listener was told."""

    finished: list[Recording] = field(default_factory=list)
    words: list[str] = field(default_factory=list)

    def recording_started(self, key: StreamKey, path: str, _started_at: float) -> None:
        self.words.append(f"started {key}")
        assert path.endswith(".flv.part")

    def recording_finished(self, recording: Recording) -> None:
        self.words.append(f"finished {recording.end}")
        self.finished.append(recording)

    def recording_failed(self, _key: StreamKey, _path: str, problem: str) -> None:
        self.words.append(f"failed: {problem}")


class Studio:
    """Recordings of the streams of a house; times of frames are the house's own."""

    def __init__(self, root: Path, rule: RecordRule | None = None, max_descriptor: int = sys.maxsize) -> None:
        self.house = House()
        self.rule: RecordRule | None = rule or RecordRule(str(root), RecordStart.ALWAYS, min_free=0)
        self.leaving = False
        self.recordings = Recordings(
            self.house.registry,
            lambda _key: self.rule,
            lambda: self.leaving,
            self.house.loop.clock,
            max_descriptor=max_descriptor,
        )
        self.house.registry.observe(self.recordings)
        self.house.registry.accompany(self.recordings.accompany)
        self.heard = Heard()
        self.recordings.add_listener(self.heard)

    def publish(self, *, headers: bool = True, mode: str = "live") -> Publication:
        house = self.house
        publication = house.registry.claim(KEY, FakePublisher(), NOBODY, house.loop.now, Grace(), mode=mode)
        if headers:
            house.send(publication, (0, metadata(width=640.0)), (0, AAC_HEADER), (0, AVC_HEADER))
        self.turn()
        return publication

    def send(self, publication: Publication, begin: int, end: int, gop: int = 10) -> None:
        """Frames from ``begin`` to ``end``, 25 a second, with a key frame every ``gop``."""
        for number in range(begin, end):
            picture = keyframe(f"K{number}") if number % gop == 0 else inter(f"P{number}")
            self.house.loop.now += 0.04
            self.house.send(publication, (40 * number, picture), (40 * number + 10, sound(f"a{number}")))

    def end(self, publication: Publication) -> None:
        """The encoder leaves, and nobody waits for it."""
        publication.close(CloseReason.FINISHED)
        self.house.registry.end_hold(KEY)
        self.turn()

    def turn(self) -> None:
        """Observers hear what has happened."""
        self.house.loop.run(self.house.loop.now)

    async def until(self, true: Callable[[], bool]) -> None:
        """Wait for what a thread does."""
        await until(true)

    async def files(self, number: int) -> list[Recording]:
        """So many, once they are finished."""
        await self.until(lambda: len(self.heard.finished) >= number)
        return self.heard.finished


HEADERS = (
    flv.encode_tag(8, 0, bytes.fromhex("af001210")),
    flv.encode_tag(9, 0, bytes.fromhex("170000000001640028ff")),
)


def frames(count: int, begin: int = 0) -> list[bytes]:
    """25 pictures a second, with a key frame each second, and sound."""
    tags = []
    for number in range(begin, begin + count):
        head = b"\x17\x01" if number % 25 == 0 else b"\x27\x01"
        tags.append(flv.encode_tag(9, 40 * number, head + bytes(100)))
        tags.append(flv.encode_tag(8, 40 * number + 5, b"\xaf\x01" + bytes(20)))
    return tags


def cut_off(path: Path, *tags: bytes, part: int = 2) -> Path:
    """A recording as a process leaves it that is killed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    told = Told("live", "cam", part, 1_800_000_000.0, audio=True, video=True)
    metadata = amf.encode_values("onMetaData", amf.EcmaArray({"width": 640.0, "duration": 5.0}))
    path.write_bytes(b"".join((build_head(told, metadata, KeyframeIndex()), *tags)))
    return path


def repaired(root: Path) -> list[Recording]:
    found: list[Recording] = []

    def complain(path: str, error: OSError) -> None:
        raise AssertionError(path) from error

    repair_all(str(root), found.append, complain)
    return found


def open_files(root: Path) -> int:
    """Files and folders below ``root``, and that itself, which this process has open."""
    found = []
    for each in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # The folder itself is read by one.
            found.append(each.readlink())
    return sum(path.is_relative_to(root) for path in found)


async def until(true: Callable[[], bool]) -> None:
    """Wait for what a thread does."""
    latest = asyncio.get_running_loop().time() + PATIENCE
    while not true():
        assert asyncio.get_running_loop().time() < latest
        await asyncio.sleep(0.002)


def tags_of(path: str | Path) -> list[FlvTag]:
    """A file, which is whole, without its head."""
    reader = FlvReader()
    tags = reader.receive_data(Path(path).read_bytes())
    assert not reader.incomplete
    assert tags[0].payload[3:13] == b"onMetaData"
    return tags[1:]


def told_by(path: str | Path) -> dict[str, object]:
    """What the head of a file says."""
    tag = FlvReader().receive_data(Path(path).read_bytes())[0]
    assert tag.type == MessageType.DATA_AMF0
    return {**read_metadata(tag.payload)}


def check_index(path: str | Path) -> list[float]:
    """Every place in the index is a key frame at its time; the times (s)."""
    data = Path(path).read_bytes()
    told = told_by(path)
    assert told["filesize"] == len(data)
    index = told["keyframes"]
    assert isinstance(index, dict)
    places, times = index["filepositions"], index["times"]
    assert isinstance(places, list)
    assert isinstance(times, list)
    for place, when in zip(places, times, strict=True):
        assert isinstance(place, float)
        at = int(place)
        assert data[at] in (8, 9)
        assert data[at] == 8 or data[at + 11] & 0x70 == 0x10
        assert int.from_bytes(data[at + 4 : at + 7], "big") == round(float(str(when)) * 1000)
    return [float(str(when)) for when in times]
