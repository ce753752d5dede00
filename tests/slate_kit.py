"""A stream with a slate, an encoder that may be lost, and somebody who watches; on a clock of its own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from engine_kit import (
    AAC_HEADER,
    AVC_HEADER,
    AVC_HEADER_2,
    KEY,
    FakePublisher,
    House,
    inter,
    keyframe,
    message,
    sound,
)

from rtmpd.engine.handover import Handover, HandoverRules
from rtmpd.engine.observer import StreamObserver
from rtmpd.engine.origin import Origin
from rtmpd.engine.publication import Publication
from rtmpd.engine.sink import CloseReason
from rtmpd.engine.slate import Slate, SlateEnd, SlateRules
from rtmpd.media import flv
from rtmpd.outputs.slate_file import SlateFile
from rtmpd.outputs.slates import Slates

ANN = Origin(address="192.0.2.1", network="192.0.2.1", identity="key:a")
FILE = "slate.flv"
FRAME = 40


def slate_bytes(frames: int = 50, *, audio: bool = True, video: bool = True) -> bytes:
    """A file with a key frame each second, whose pictures are S0 S1 ... and whose sounds are z0 z1 ..."""
    tags = [flv.encode_header(audio=audio, video=video)]
    if audio:
        tags.append(flv.encode_tag(8, 0, AAC_HEADER))
    if video:
        tags.append(flv.encode_tag(9, 0, AVC_HEADER_2))
    for number in range(frames):
        picture = keyframe(f"S{number}") if number % 25 == 0 else inter(f"S{number}")
        if video:
            tags.append(flv.encode_tag(9, number * FRAME, picture))
        if audio:
            tags.append(flv.encode_tag(8, number * FRAME + 5, sound(f"z{number}")))
    return b"".join(tags)


def read_slate(folder: Path, data: bytes) -> SlateFile:
    path = folder / FILE
    path.write_bytes(data)
    return SlateFile(path)


class Witness(StreamObserver):
    """Notes what becomes of the stream."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def take(self) -> list[str]:
        told, self.told = self.told, []
        return told

    def published(self, publication: Publication) -> None:
        self.told.append("published")

    def unpublished(self, publication: Publication) -> None:
        self.told.append("unpublished")

    def held(self, publication: Publication) -> None:
        self.told.append("held")

    def resumed(self, publication: Publication, outage: float) -> None:
        self.told.append(f"resumed {outage:.1f}")

    def slate_shown(self, publication: Publication, slate: Slate, target: str) -> None:
        self.told.append(" ".join(filter(None, ("shown", target, slate))))

    def slate_over(
        self, publication: Publication, slate: Slate, target: str, why: SlateEnd, seconds: float
    ) -> None:
        self.told.append(" ".join(filter(None, ("over", target, why, f"{seconds:.1f}"))))

    def ended(self, publication: Publication) -> None:
        self.told.append("ended")


class Theatre:
    """25 pictures and sounds a second of an encoder, with a key frame every two; the registry looks once a
    second, as the server does.
    """

    def __init__(
        self,
        file: SlateFile | None,
        rules: SlateRules | None = None,
        grace: float = 5.0,
        start: float = 100.0,
    ) -> None:
        self.house = House()
        self.loop = self.house.loop
        self.loop.now = self.began = start
        self.rules = rules or SlateRules(FILE)
        self.limit(slate=self.rules)
        self.slates = Slates(self.loop.clock, self.loop.call_later)
        if file is not None:
            self.slates.files = {FILE: file}
        self.house.registry.prompter.asked = self.slates.cue
        self.witness = Witness()
        self.house.registry.observe(self.witness)
        handover = HandoverRules(grace=grace, slate_for=self.rules.seconds)
        self.policy = Handover(lambda _key: handover)
        self.encoder: Publication | None = None
        self.number = 0
        self.sends = True

    def limit(self, *, slate: SlateRules | None) -> None:
        registry = self.house.registry
        registry.apply(replace(registry.limits, stall=2.0, slate=slate))

    def claim(self, origin: Origin = ANN) -> Publication:
        self.encoder = self.house.registry.claim(KEY, FakePublisher(), origin, self.loop.now, self.policy)
        self.house.send(self.encoder, (self.base, AAC_HEADER), (self.base, AVC_HEADER))
        self.number = 0
        return self.encoder

    base = 0

    def run(self, frames: int, keyframes: int = 50) -> None:
        """So many frames of the encoder's, or their time; a key frame each ``keyframes``, 0 never again."""
        for _ in range(frames):
            if self.encoder is not None and self.sends and not self.encoder.closed:
                number, at = self.number, self.base + self.number * FRAME
                key = number == 0 or (keyframes and number % keyframes == 0)
                picture = keyframe(f"E{number}") if key else inter(f"E{number}")
                self.encoder.receive(message(at, picture), self.loop.now)
                self.encoder.receive(message(at + 5, sound(f"e{number}")), self.loop.now)
            self.number += 1
            before = int(self.loop.now)
            self.loop.run(round(self.loop.now + FRAME / 1000, 3))
            if int(self.loop.now) != before:
                self.house.registry.sample(self.loop.now)
                self.loop.run(self.loop.now)

    def lose(self) -> None:
        """Its connection breaks."""
        assert self.encoder is not None
        self.encoder.close(CloseReason.CONNECTION_LOST)
        self.loop.run(self.loop.now)
