"""Packages without a server: an encoder of frames that can be told apart, and what is in playlists."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count

from engine_kit import AAC_HEADER, FULL_HD, KEY, House
from golden_captures import load

from rtmpd.engine.publication import Publication
from rtmpd.outputs.names import open_folder, stream_levels
from rtmpd.packaging.folder import Places
from rtmpd.packaging.package import Package
from rtmpd.packaging.packages import Packages
from rtmpd.packaging.rendition import Rendition
from rtmpd.packaging.rules import HlsRules
from rtmpd.packaging.stream_package import StreamPackage
from rtmpd.rtmp.chunks import ChunkReader
from rtmpd.rtmp.limits import Limits
from rtmpd.rtmp.messages import Message

UNIX = 1_800_000_000.0
"""When the clock of a house reads 0."""


def picture(*, key: bool, size: int = 100) -> bytes:
    return (b"\x17" if key else b"\x27") + b"\x01\x00\x00\x00" + b"\x00" * size


def track_header(track: int) -> bytes:
    """Of a video track beside others."""
    return b"\x96\x00avc1" + bytes((track,)) + FULL_HD[5:]


def track_picture(track: int, *, key: bool, size: int = 100) -> bytes:
    return (b"\x96" if key else b"\xa6") + b"\x01avc1" + bytes((track,)) + bytes(3 + size)


def rendition_of(package: Package, name: str) -> Rendition:
    """The one of that name, of one stream."""
    assert isinstance(package, StreamPackage)
    return next(each for each in package.renditions if each.name == name)


def packages_of(house: House, rules: Callable[[], HlsRules | None]) -> Packages:
    """Those of a house, by the rules of now."""
    runs = count()
    return Packages(
        house.registry,
        lambda _key: rules(),
        house.loop.clock,
        lambda: UNIX + house.loop.now,
        lambda: f"{next(runs):08x}",
        lambda root, key: Places(root, stream_levels(key), open_folder),
    )


@dataclass
class Studio:
    """A house with packages, and an encoder."""

    rules: HlsRules | None = field(default_factory=HlsRules)
    house: House = field(default_factory=House)

    def __post_init__(self) -> None:
        self.house.loop.now = max(self.house.loop.now, 10.0)
        self.packages = packages_of(self.house, lambda: self.rules)
        self.time = 0.0
        """Of the encoder (ms)."""
        self.frames = 0

    def publish(self, *headers: bytes) -> Publication:
        publication = self.house.publish()
        for header in headers or (AAC_HEADER, FULL_HD):
            self.send(publication, header)
        return publication

    def send(self, publication: Publication, payload: bytes, time: float | None = None) -> None:
        sound = payload[0] >> 4 in (9, 10) and not payload[0] & 0x40 and payload[:1] != b"\x90"
        kind = 8 if sound and payload[2:6] != b"avc1" else 9
        stamp = round(self.time if time is None else time)
        publication.receive(Message(kind, stamp & 0xFFFFFFFF, 1, payload), self.house.loop.now)
        self.house.loop.run(self.house.loop.now)

    def message(self, kind: int, payload: bytes) -> Message:
        return Message(kind, round(self.time) & 0xFFFFFFFF, 1, payload)

    def go_on(
        self,
        publication: Publication,
        seconds: float,
        *,
        fps: float = 25.0,
        gop: float = 1.0,
        audio: bool = True,
        video: bool = True,
        size: int = 100,
    ) -> None:
        """The encoder sends for so long, by its clock and by that of the house."""
        end = self.time + seconds * 1000 - 0.001
        sound = self.time
        while self.time < end:
            if video:
                key = self.frames % max(round(gop * fps), 1) == 0
                self.send(publication, picture(key=key, size=size))
                self.frames += 1
            step = 1000 / fps
            while audio and sound < self.time + step:
                self.send(publication, b"\xaf\x01" + bytes(20), sound)
                sound += 1024 / 44.1
            self.time += step
            self.house.loop.run(self.house.loop.now + step / 1000)

    def replay(self, name: str, join: float = 0.0) -> StreamPackage:
        """An encoder's recording, whose first viewer comes behind so many milliseconds of it."""
        publication = self.house.publish()
        begin = self.house.loop.now
        package: StreamPackage | None = None
        for message in ChunkReader(Limits()).receive_data(load(name).chunks):
            if message.type in (8, 9, 18):
                self.house.loop.now = max(self.house.loop.now, begin + message.timestamp / 1000)
                publication.receive(message, self.house.loop.now)
                self.house.loop.run(self.house.loop.now)
                if package is None and message.timestamp >= join:
                    package = self.package()
        assert package is not None
        return package

    def package(self) -> StreamPackage:
        package = self.packages.find(KEY, self.house.loop.now)
        assert isinstance(package, StreamPackage)
        return package

    def main(self) -> Rendition:
        return rendition_of(self.package(), "main")

    def wait(self, seconds: float, *, asking: bool = True) -> None:
        """Time passes, and whoever looks each second does."""
        for _ in range(round(seconds)):
            self.house.loop.run(self.house.loop.now + 1.0)
            self.house.registry.sample(self.house.loop.now)
            if asking:
                self.packages.find(KEY, self.house.loop.now)
            self.packages.look()


@dataclass
class Told:
    """What a media playlist says."""

    text: str

    def tags(self, name: str) -> list[str]:
        return re.findall(rf"^#EXT-X-{name}:?(.*)$", self.text, re.MULTILINE)

    def number(self, name: str) -> float:
        return float(self.tags(name)[0])

    def attribute(self, tag: str, name: str) -> str:
        found = re.search(rf'[:,]{name}="?([^",]*)"?', f":{self.tags(tag)[0]}")
        assert found is not None
        return found[1]

    @property
    def durations(self) -> list[float]:
        return [float(each) for each in re.findall(r"^#EXTINF:([0-9.]+),$", self.text, re.MULTILINE)]

    @property
    def files(self) -> list[str]:
        return re.findall(r"^[^#].*$", self.text, re.MULTILINE)

    @property
    def parts(self) -> list[tuple[str, float, bool]]:
        found = re.findall(r'^#EXT-X-PART:DURATION=([0-9.]+),URI="([^"]+)"(.*)$', self.text, re.MULTILINE)
        return [(name, float(duration), "INDEPENDENT=YES" in rest) for duration, name, rest in found]


def told(rendition: Rendition, *, skip: bool = False) -> Told:
    return Told(rendition.playlist(skip).plain.decode())


def multivariant(package: StreamPackage) -> Told:
    rendered = package.multivariant()
    assert rendered is not None
    return Told(rendered.plain.decode())


def whole(rendition: Rendition, init: int | None = None) -> bytes:
    """A file of all segments that are listed and have that init segment; None is that of the first."""
    listed = list(rendition.shelf.listed)
    wanted = listed[0].init if init is None else init
    data = [segment.data or b"" for segment in listed if segment.init == wanted]
    return rendition.shelf.inits[wanted] + b"".join(data)
