"""Streams that are shown later: the same to everybody, from the first picture to the end."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from itertools import pairwise
from pathlib import Path

import pytest
from engine_kit import (
    AAC_HEADER,
    AVC_HEADER,
    KEY,
    FakePublisher,
    FakeSink,
    House,
    inter,
    keyframe,
    metadata,
    sound,
)
from net_kit import eventually

from rtmpd.engine.claim import ClaimPolicy
from rtmpd.engine.key import StreamKey
from rtmpd.engine.limits import EngineLimits
from rtmpd.engine.origin import NOBODY
from rtmpd.engine.publication import Publication
from rtmpd.engine.sink import CloseReason, Ending, PlayOptions
from rtmpd.engine.sources import Life
from rtmpd.outputs.delays import Delays

MIB = 1024 * 1024
DELAY = 10.0


class Kept(ClaimPolicy):
    """An encoder that is lost may come back."""

    def hold(self, _key: StreamKey, _ending: Ending, /) -> float:
        return 5.0


class Studio:
    """A house whose players are behind, and an encoder that sends four frames a second."""

    def __init__(
        self,
        folder: str = "",
        memory: int = 64 * MIB,
        delays: Collection[float] = (DELAY,),
        engine: EngineLimits | None = None,
    ) -> None:
        self.house = House(engine or EngineLimits(delay=DELAY))
        loop = self.house.loop
        self.delays = Delays(self.house.registry, lambda _key: delays, loop.clock, loop.call_later)
        self.house.registry.observe(self.delays)
        self.delays.apply(folder, memory, 100 * MIB)
        self.second = 0

    def publish(self, policy: ClaimPolicy | None = None) -> Publication:
        registry, loop = self.house.registry, self.house.loop
        publication = registry.claim(KEY, FakePublisher(), NOBODY, loop.now, policy or ClaimPolicy())
        self.rest(0.0)
        self.house.send(publication, (0, metadata(width=640)), (0, AAC_HEADER), (0, AVC_HEADER))
        return publication

    def go_on(self, publication: Publication, seconds: int, size: int = 0) -> None:
        for _ in range(seconds):
            begin = self.second * 1000
            for frame in range(4):
                name = f"K{self.second}" if not frame else f"P{self.second}.{frame}"
                payload = (inter(name) if frame else keyframe(name)).ljust(size, b".")
                self.house.send(publication, (begin + frame * 250, payload))
                self.rest(0.25)
            self.second += 1

    def rest(self, seconds: float) -> None:
        """Let time pass, looked at as often as the server does."""
        loop = self.house.loop
        until = loop.now + seconds
        loop.run(loop.now)
        while loop.now < until:
            loop.run(min(loop.now + 0.25, until))
        self.delays.look()

    def words(self, sink: FakeSink) -> list[str]:
        return [word.rstrip(".") for word in sink.take().split()]


def test_players_see_a_stream_later_and_from_its_beginning() -> None:
    studio = Studio()
    sink, subscription = studio.house.play()
    publication = studio.publish()
    studio.go_on(publication, 9)
    assert studio.words(sink) == []
    assert not subscription.live
    studio.go_on(publication, 3)
    words = studio.words(sink)
    assert sink.calls == ["started"]
    assert words[:5] == ["meta@0", "AAC@0", "AVC@0", "K0@0", "P0.1@250"]
    assert words[-1] in ("P1.3@1750", "K2@2000")
    # What anybody is told of the encoder is how it is now.
    stream = studio.house.stream
    assert (stream.players, stream.life, stream.publication) == (1, Life.LIVE, publication)
    assert (stream.stats.video.timestamp or 0) > 11_000


def test_who_joins_late_begins_where_the_others_are() -> None:
    studio = Studio()
    publication = studio.publish()
    studio.go_on(publication, 15)
    sink, _ = studio.house.play()
    words = studio.words(sink)
    assert words[:4] == ["meta@0", "AAC@4000", "AVC@4000", "K4@4000"]
    studio.go_on(publication, 1)
    assert studio.words(sink)[-1] in ("P5.3@5750", "K6@6000")


def test_the_end_comes_later_too() -> None:
    studio = Studio()
    publication = studio.publish()
    studio.go_on(publication, 15)
    sink, _ = studio.house.play()
    publication.close(CloseReason.FINISHED)
    studio.rest(9.0)
    words = studio.words(sink)
    assert words[-1].startswith("P13")
    studio.rest(2.0)
    assert studio.words(sink)[-1] == "P14.3@14750"
    assert sink.calls == ["ended"]
    assert studio.house.registry.budget.queue_bytes == 0


def test_nothing_is_left_when_everybody_has_gone() -> None:
    studio = Studio()
    publication = studio.publish()
    studio.go_on(publication, 12)
    _, subscription = studio.house.play()
    subscription.detach()
    publication.close(CloseReason.FINISHED)
    assert KEY in studio.house.registry.streams
    studio.rest(12.0)
    assert not studio.house.registry.streams
    assert studio.house.registry.budget.used == 0
    assert studio.house.stats.players == 0


def test_who_waits_before_anybody_publishes_and_leaves_keeps_nothing() -> None:
    studio = Studio()
    _, subscription = studio.house.play()
    assert studio.house.stream.players == 1
    subscription.detach()
    assert not studio.house.registry.streams


def test_an_encoder_that_comes_back_in_time_is_not_noticed() -> None:
    studio = Studio()
    sink, _ = studio.house.play()
    studio.go_on(first := studio.publish(Kept()), 5)
    first.close(CloseReason.CONNECTION_LOST)
    studio.rest(3.0)
    second = studio.publish(Kept())
    studio.go_on(second, 20)
    words = studio.words(sink)
    assert sink.calls == ["started"]
    assert [word.partition("@")[0] for word in words if word[0] == "K"][:7] == [f"K{n}" for n in range(7)]


def test_another_stream_behind_it_is_one_of_its_own() -> None:
    studio = Studio()
    sink, _ = studio.house.play()
    studio.go_on(first := studio.publish(), 5)
    first.close(CloseReason.FINISHED)
    studio.rest(2.0)
    studio.go_on(studio.publish(), 20)
    assert sink.calls == ["started", "ended", "started"]


def test_who_stays_when_all_is_over_sees_what_comes_long_after() -> None:
    studio = Studio()
    sink, _ = studio.house.play()
    studio.go_on(first := studio.publish(), 2)
    first.close(CloseReason.FINISHED)
    studio.rest(30.0)
    assert sink.calls == ["started", "ended"]
    assert studio.house.stream.players == 1
    studio.words(sink)
    studio.go_on(studio.publish(), 15)
    assert sink.calls == ["started", "ended", "started"]
    assert "K3" in " ".join(studio.words(sink))


def test_somebody_in_charge_ends_what_waits() -> None:
    studio = Studio()
    publication = studio.publish()
    sink, _ = studio.house.play()
    studio.go_on(publication, 15)
    assert not studio.house.registry.end_hold(KEY)
    publication.close(CloseReason.KICKED)
    studio.rest(0.0)
    studio.words(sink)
    assert studio.house.registry.end_hold(KEY)
    assert sink.calls[-1] == "ended"
    studio.rest(20.0)
    assert studio.words(sink) == []


def test_who_asks_for_a_delay_of_his_own_has_it() -> None:
    studio = Studio(delays=(DELAY, 3.0))
    now, _ = studio.house.play(PlayOptions(delay=0.0, audience=False))
    soon, _ = studio.house.play(PlayOptions(delay=3.0, audience=False))
    studio.go_on(studio.publish(), 6)
    assert studio.words(now)[-1] == "P5.3@5750"
    assert studio.words(soon)[-1] in ("P2.3@2750", "K3@3000", "P2.2@2500")
    assert studio.house.stream.players == 0


def test_a_delay_that_the_settings_have_no_more_is_kept_for_who_is_shown_it_and_no_longer() -> None:
    delays = {DELAY}
    studio = Studio(delays=delays)
    encoder = studio.publish()
    sink, subscription = studio.house.play()
    studio.go_on(encoder, 12)
    delays.clear()
    delays.add(20.0)
    studio.delays.apply("", 64 * MIB, 0)
    studio.words(sink)
    studio.go_on(encoder, 4)
    assert studio.words(sink)[-1].startswith("P5.3@")
    subscription.detach()
    studio.go_on(encoder, 30)
    assert list(studio.house.stream.later) == [20.0]
    delays.clear()
    studio.go_on(encoder, 1)
    assert not studio.house.stream.later
    assert studio.house.registry.budget.queue_bytes == 0


@pytest.mark.parametrize("then", ["the same", "another", "none"])
def test_what_does_not_fit_waits_on_the_drive(tmp_path: Path, then: str) -> None:
    """Also when the settings put it somewhere else meanwhile."""

    async def run() -> None:
        studio = Studio(str(tmp_path), memory=MIB)
        sink, _ = studio.house.play()
        publication = studio.publish()
        for _ in range(30):
            studio.go_on(publication, 1, size=50_000)
            await asyncio.sleep(0.005)
        assert studio.house.registry.budget.queue_bytes < 3 * MIB
        (tmp_path / "other").mkdir()
        folders = {"the same": str(tmp_path), "another": str(tmp_path / "other"), "none": ""}
        studio.delays.apply(folders[then], MIB, 100 * MIB)
        words = studio.words(sink)
        for _ in range(5):
            studio.go_on(publication, 1)
            await asyncio.sleep(0.005)

        def come() -> bool:
            studio.rest(0.0)
            words.extend(studio.words(sink))
            return any(word.startswith("P23") for word in words)

        await eventually(come)
        keys = [word.partition("@")[0] for word in words if word[0] == "K"]
        assert keys == [f"K{number}" for number in range(len(keys))]
        studio.delays.close()
        assert studio.house.registry.budget.queue_bytes == 0

    asyncio.run(run())


def test_what_fits_nowhere_is_lost_up_to_a_key_frame(caplog: pytest.LogCaptureFixture) -> None:
    studio = Studio()
    sink, _ = studio.house.play()
    publication = studio.publish()
    studio.go_on(publication, 11)
    [line] = studio.delays._lines.values()
    line.kept.give_back()
    studio.go_on(publication, 12)
    frames = [word.partition("@")[0] for word in studio.words(sink) if word[0] in "KP"]
    hole = next(at for at, (one, two) in enumerate(pairwise(frames)) if int(two[1]) - int(one[1]) > 1)
    assert frames[hole + 1].startswith("K")
    assert frames[-1].startswith("P12")
    studio.rest(60.0)
    assert "delayed stream does not fit" in caplog.text


def test_when_memory_is_short_what_waits_goes_before_players() -> None:
    studio = Studio(engine=EngineLimits(delay=DELAY, memory_bytes=4 * MIB))
    sink, subscription = studio.house.play()
    studio.go_on(studio.publish(), 60, size=50_000)
    assert studio.house.registry.budget.used <= 4 * MIB
    assert subscription.attached
    assert studio.words(sink)


def test_sound_is_delayed_as_pictures_are() -> None:
    studio = Studio()
    sink, _ = studio.house.play()
    publication = studio.house.publish()
    studio.rest(0.0)
    studio.house.send(publication, (0, AAC_HEADER))
    for time in range(0, 12_000, 250):
        studio.house.send(publication, (time, sound("a")))
        studio.rest(0.25)
    words = studio.words(sink)
    assert words[:2] == ["AAC@0", "a@0"]
    assert words[-1] in ("a@1750", "a@2000")
