"""Players that go back: where they begin, how fast they go on, and what becomes of them."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from engine_kit import (
    AAC_HEADER,
    AVC_HEADER,
    AVC_HEADER_2,
    KEY,
    FakePublisher,
    FakeSink,
    House,
    inter,
    keyframe,
    metadata,
)
from net_kit import eventually

from rtmpd.engine.claim import ClaimPolicy
from rtmpd.engine.key import StreamKey
from rtmpd.engine.limits import EngineLimits
from rtmpd.engine.observer import StreamObserver
from rtmpd.engine.origin import NOBODY
from rtmpd.engine.packet import VIDEO, Packet
from rtmpd.engine.publication import Publication
from rtmpd.engine.sink import CloseReason, Ending, PlayOptions
from rtmpd.engine.stats import StreamStats
from rtmpd.engine.subscriber import Subscription
from rtmpd.media.tags import KEYFRAME, SEQUENCE_HEADER
from rtmpd.outputs import rewinds as rewinds_module
from rtmpd.outputs.delays import Delays
from rtmpd.outputs.kept import Kept, KeptLimits, Piece
from rtmpd.outputs.rewinds import SPARE, Rewinds
from rtmpd.outputs.rings import Rings
from rtmpd.outputs.spool import Spool

MIB = 1024 * 1024


class Grace(ClaimPolicy):
    """An encoder that is lost may come back."""

    def hold(self, _key: StreamKey, _ending: Ending, /) -> float:
        return 5.0


class Studio:
    """A house whose streams are kept, and an encoder that sends four frames a second."""

    def __init__(
        self,
        seconds: float = 60.0,
        memory: int = 64 * MIB,
        folder: str = "",
        engine: EngineLimits | None = None,
    ) -> None:
        self.house = House(engine or EngineLimits())
        loop, registry = self.house.loop, self.house.registry
        self.limits: KeptLimits | None = KeptLimits(seconds + SPARE, memory, 100 * MIB)
        self.rings = Rings(registry, lambda _key: self.limits, loop.clock)
        registry.observe(self.rings)
        self.rings.apply(folder)
        self.rewinds = Rewinds(registry, self.rings, loop.clock, loop.call_later)
        self.second = 0

    def publish(self, policy: ClaimPolicy | None = None, header: bytes = AVC_HEADER) -> Publication:
        registry, loop = self.house.registry, self.house.loop
        publication = registry.claim(KEY, FakePublisher(), NOBODY, loop.now, policy or ClaimPolicy())
        self.rest(0.0)
        self.house.send(publication, (0, metadata(width=640)), (0, AAC_HEADER), (0, header))
        return publication

    def go_on(self, publication: Publication, seconds: int, size: int = 0, gop: int = 1) -> None:
        for _ in range(seconds):
            begin = self.second * 1000
            for frame in range(4):
                keyed = not frame and self.second % gop == 0
                name = (
                    f"P{self.second}.{frame}" if frame else f"K{self.second}" if keyed else f"P{self.second}"
                )
                payload = (keyframe(name) if keyed else inter(name)).ljust(size, b".")
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
        self.rings.look()

    def back(self, seconds: float) -> tuple[FakeSink, Subscription]:
        return self.house.play(PlayOptions(apart=self.rewinds.back(KEY, seconds)))

    def at(self, time: int) -> tuple[FakeSink, Subscription]:
        return self.house.play(PlayOptions(apart=self.rewinds.at(KEY, time)))


def words(sink: FakeSink) -> list[str]:
    return [word.rstrip(".") for word in sink.take().split()]


def pictures(sink: FakeSink) -> list[str]:
    return [word.partition("@")[0] for word in words(sink) if word[0] in "KP"]


def test_a_player_begins_at_the_key_frame_before_and_stays_as_far_behind() -> None:
    studio = Studio()
    publication = studio.publish()
    studio.go_on(publication, 60)
    sink, subscription = studio.back(30.5)
    assert subscription.live
    begin = words(sink)
    assert begin[:4] == ["meta@0", "AAC@29000", "AVC@29000", "K29@29000"]
    assert begin[-1] in ("P29.2@29500", "P29.3@29750")  # No more than has come by then.
    studio.go_on(publication, 10)
    later = words(sink)
    assert later[-1] in ("P39.1@39250", "P39.3@39750")
    assert later[0] in ("P29.2@29500", "P29.3@29750", "K30@30000")
    assert len(later) in (38, 40)
    assert studio.house.stream.players == studio.rewinds.players == 1


def test_who_wants_more_than_there_is_begins_with_the_oldest() -> None:
    studio = Studio()
    publication = studio.publish()
    studio.go_on(publication, 10)
    sink, _ = studio.back(3600)
    assert pictures(sink)[0] == "K0"
    studio.go_on(publication, 100)
    shown = pictures(sink)
    assert shown[-1] in ("P99.2", "P99.3", "K100")
    sink, _ = studio.back(3600)
    assert pictures(sink)[0] in ("K49", "K50")
    studio.go_on(publication, 100)  # It can stay there.
    assert all(
        int(two[1:].split(".")[0]) - int(one[1:].split(".")[0]) <= 1 for one, two in pairwise(pictures(sink))
    )
    assert studio.rewinds.jumps == 0


@pytest.mark.parametrize("seconds", [0.0, 0.5])
def test_who_wants_next_to_nothing_is_live(seconds: float) -> None:
    studio = Studio()
    studio.go_on(studio.publish(), 10)
    assert studio.rewinds.back(KEY, seconds) == 0


def test_where_nothing_is_kept_everybody_is_live() -> None:
    studio = Studio()
    assert studio.rewinds.back(KEY, 30) == studio.rewinds.at(KEY, 1000) == 0
    studio.house.play()
    assert studio.rewinds.back(KEY, 30) == studio.rewinds.at(KEY, 1000) == 0
    studio.publish()
    assert studio.rewinds.back(KEY, 30) == 0  # It has just begun.


def test_a_time_of_the_stream_may_be_asked_for_too() -> None:
    studio = Studio()
    studio.go_on(studio.publish(), 30)
    sink, _ = studio.at(12_600)
    shown = pictures(sink)
    assert shown[0] == "K12"
    assert shown[-1] in ("P12.2", "P12.3")
    assert studio.rewinds.at(KEY, 90_000) == 0
    sink, _ = studio.at(-5)
    assert pictures(sink)[0] == "K0"


def test_many_share_what_they_see() -> None:
    studio = Studio()
    publication = studio.publish()
    studio.go_on(publication, 60)
    crowd = [studio.back(30 + number % 5 / 10) for number in range(100)]
    assert len(studio.house.stream.apart) == 1
    studio.go_on(publication, 5)
    last = {pictures(sink)[-1] for sink, _ in crowd}
    assert len(last) == 1


def test_however_many_places_there_are_the_audiences_are_few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rewinds_module, "MOST", 3)
    studio = Studio()
    studio.go_on(studio.publish(), 60)
    for seconds in (10, 20, 30, 40, 50):
        studio.back(seconds)
    assert len(studio.house.stream.apart) == 3
    sink, _ = studio.back(50)
    assert pictures(sink)[0] in ("K29", "K30")


async def test_nobody_sees_what_others_do_not_see_yet() -> None:
    studio = Studio(engine=EngineLimits(delay=10.0))
    house = studio.house
    delays = Delays(house.registry, lambda _key: (10.0,), house.loop.clock, house.loop.call_later)
    house.registry.observe(delays)
    delays.apply("", 64 * MIB, 0)
    studio.go_on(studio.publish(), 60)
    sink, _ = studio.back(20.5)
    assert pictures(sink)[0] == "K29"
    assert studio.rewinds.at(KEY, 55_000) == 0
    delays.close()


def test_nothing_is_left_when_they_have_gone() -> None:
    studio = Studio()
    publication = studio.publish()
    studio.go_on(publication, 20)
    _, subscription = studio.back(10)
    subscription.detach()
    studio.rest(0.25)
    assert not studio.house.stream.apart
    assert studio.rewinds.players == 0
    publication.close(CloseReason.FINISHED)
    studio.rest(80)
    assert not studio.house.registry.streams
    assert studio.house.registry.budget.used == 0
    assert not studio.house.loop.later


def test_who_was_made_room_for_and_does_not_come_is_forgotten() -> None:
    studio = Studio()
    studio.go_on(studio.publish(), 20)
    assert studio.rewinds.back(KEY, 10)
    studio.rest(0.25)
    assert not studio.house.stream.apart


def test_the_end_comes_as_much_later() -> None:
    studio = Studio()
    publication = studio.publish()
    studio.go_on(publication, 20)
    sink, subscription = studio.back(10)
    publication.close(CloseReason.FINISHED)
    studio.rest(9.0)
    assert sink.calls == []
    studio.rest(1.5)
    assert sink.calls == ["ended"]
    assert pictures(sink)[-1] == "P19.3"
    subscription.detach()
    studio.rest(80)
    assert studio.house.registry.budget.used == 0


def test_what_comes_behind_the_end_is_seen_in_its_place() -> None:
    studio = Studio()
    first = studio.publish()
    studio.go_on(first, 20)
    sink, _ = studio.back(10)
    first.close(CloseReason.FINISHED)
    studio.rest(3.0)
    studio.second = 100
    second = studio.publish(header=AVC_HEADER_2)
    studio.go_on(second, 5)
    assert sink.calls == []
    studio.go_on(second, 15)
    assert sink.calls == ["ended", "started"]
    shown = words(sink)
    assert "P19.3@19750" in shown
    assert shown[-1] in ("P109.2@109500", "P109.3@109750", "K110@110000")


def test_an_encoder_that_comes_back_in_time_is_not_noticed() -> None:
    studio = Studio()
    first = studio.publish(Grace())
    studio.go_on(first, 20)
    sink, _ = studio.back(10)
    first.close(CloseReason.CONNECTION_LOST)
    studio.rest(3.0)
    studio.go_on(studio.publish(Grace()), 20)
    assert sink.calls == []
    keys = [picture for picture in pictures(sink) if picture[0] == "K"]
    assert keys[:19] == [f"K{number}" for number in range(10, 29)]
    assert len(keys) in (19, 20)


def test_who_is_in_charge_ends_what_they_still_have_to_see() -> None:
    studio = Studio()
    publication = studio.publish()
    studio.go_on(publication, 20)
    sink, _ = studio.back(10)
    publication.close(CloseReason.KICKED)
    studio.rest(0.0)
    assert studio.house.registry.end_hold(KEY)
    assert sink.calls == ["ended"]


def test_what_is_lost_meanwhile_is_jumped_over() -> None:
    studio = Studio()
    publication = studio.publish()
    studio.go_on(publication, 60)
    sink, _ = studio.back(50)
    pictures(sink)
    ring = studio.rings.find(KEY)
    assert ring is not None
    ring.kept.give_back()
    studio.go_on(publication, 5)
    shown = pictures(sink)
    assert shown[0].startswith("K")
    assert int(shown[0][1:]) > 25
    assert studio.rewinds.jumps == 1
    assert studio.rings.losses["memory"] == ring.kept.lost > 0
    assert len(shown) in (20, 21, 22)  # Nor faster than before.


def test_where_key_frames_are_rare_nobody_is_flooded() -> None:
    studio = Studio()
    publication = studio.publish()
    studio.go_on(publication, 60, gop=40)
    sink, _ = studio.back(5)
    shown = pictures(sink)
    assert shown[0] == "K40"
    assert len(shown) in (40, 41, 42, 43)
    studio.go_on(publication, 2, gop=40)
    assert len(pictures(sink)) in (6, 8)


def test_settings_that_keep_nothing_any_more_are_for_those_who_come() -> None:
    studio = Studio()
    publication = studio.publish()
    studio.go_on(publication, 20)
    sink, subscription = studio.back(10)
    studio.limits = None
    studio.rings.apply("")
    assert studio.rewinds.back(KEY, 10) == 0
    studio.go_on(publication, 15)
    assert pictures(sink)[-1] in ("P24.3", "P25.1")
    subscription.detach()
    studio.rest(1.0)
    assert not studio.house.stream.taps
    assert studio.house.registry.budget.queue_bytes == 0


async def test_when_all_ends_they_do() -> None:
    studio = Studio()
    studio.go_on(studio.publish(), 20)
    sink, _ = studio.back(10)
    studio.rewinds.close()
    studio.rings.close()
    assert sink.calls == ["ended"]
    assert not studio.house.stream.apart or not studio.house.stream.apart[1].fed


async def test_what_is_on_the_drive_is_read_in_a_thread(tmp_path: Path) -> None:
    studio = Studio(memory=MIB, folder=str(tmp_path))
    publication = studio.publish()
    ring = studio.rings.find(KEY)
    assert ring is not None
    for _ in range(40):
        studio.go_on(publication, 1, size=50_000)
        await eventually(lambda: not ring.kept.is_writing)
    assert ring.kept.memory_bytes < 3 * MIB
    sink, _ = studio.back(30)
    assert words(sink) == ["meta@0", "AAC@0", "AVC@0"]  # That is in memory.
    shown: list[str] = []

    def come() -> bool:
        studio.rest(0.0)
        shown.extend(pictures(sink))
        return "P12.3" in shown

    studio.go_on(publication, 3, size=50_000)
    await eventually(come)
    assert [each for each in shown if each[0] == "K"][:3] == ["K10", "K11", "K12"]
    assert studio.rewinds.jumps == 0
    studio.rewinds.close()
    studio.rings.close()


async def test_what_cannot_be_read_is_jumped_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    studio = Studio(memory=MIB, folder=str(tmp_path))
    publication = studio.publish()
    ring = studio.rings.find(KEY)
    assert ring is not None
    for _ in range(30):
        studio.go_on(publication, 1, size=50_000)
        await eventually(lambda: not ring.kept.is_writing)
    sink, _ = studio.back(20)
    await eventually(lambda: studio.rest(0.0) or "P10.1" in pictures(sink))

    def fail(_piece: Piece, done: Callable[[list[Packet] | Exception], None]) -> None:
        done(OSError("the drive is gone"))

    with monkeypatch.context() as patched:
        patched.setattr(ring.kept, "read", fail)
        studio.go_on(publication, 2, size=50_000)
    assert studio.rewinds.jumps >= 3
    assert not [picture for picture in pictures(sink) if picture > "P10.9"]
    studio.go_on(publication, 3, size=50_000)
    shown: list[str] = []
    await eventually(lambda: studio.rest(0.0) or shown.extend(pictures(sink)) or "P13.3" in shown)
    assert shown[0].startswith("K1")
    studio.rewinds.close()
    studio.rings.close()


class Wanted(StreamObserver):
    """Whether anybody plays a stream, as those hear it who fetch it."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def wanted(self, _first: Subscription) -> None:
        self.heard.append("wanted")

    def unwanted(self, _last: Subscription) -> None:
        self.heard.append("unwanted")

    def play_started(self, _subscription: Subscription) -> None:
        self.heard.append("joined")

    def play_ended(self, _subscription: Subscription) -> None:
        self.heard.append("left")


def test_the_first_and_the_last_player_are_those_of_all_audiences() -> None:
    studio = Studio()
    wanted = Wanted()
    studio.house.registry.observe(wanted)
    studio.go_on(studio.publish(), 20)
    _, live = studio.house.play()
    _, behind = studio.back(10)
    live.detach()
    studio.rest(0.0)
    assert wanted.heard == ["joined", "wanted", "joined", "left"]
    behind.detach()
    studio.rest(0.0)
    assert wanted.heard[4:] == ["left", "unwanted"]


def test_who_goes_to_another_audience_has_neither_left_nor_joined() -> None:
    studio = Studio()
    publication = studio.publish()
    studio.go_on(publication, 30)
    wanted = Wanted()
    studio.house.registry.observe(wanted)
    sink, subscription = studio.house.play()
    written = len(sink.take()) and subscription.bytes_out
    stream, loop = studio.house.stream, studio.house.loop
    stream.move(subscription, studio.rewinds.at(KEY, 12_000), loop.now)
    assert (stream.players, studio.rewinds.players, sink.calls) == (1, 1, [])
    assert words(sink) == []  # Before it joins.
    subscription.join(loop.now)
    assert words(sink)[:4] == ["meta@0", "AAC@12000", "AVC@12000", "K12@12000"]
    studio.go_on(publication, 2)
    assert pictures(sink)[-1] in ("P13.3", "P14.1")
    assert subscription.bytes_out > written > 0
    stream.move(subscription, 0, loop.now)
    subscription.join(loop.now)
    assert pictures(sink)[0] == "K31"
    studio.rest(0.25)
    assert not stream.apart
    subscription.detach()
    studio.rest(0.0)
    assert wanted.heard == ["joined", "wanted", "left", "unwanted"]
    assert studio.house.stats.plays_total == 1


def test_headers_that_came_with_what_is_lost_are_not() -> None:
    studio = Studio()
    publication = studio.publish()
    studio.go_on(publication, 10)
    studio.house.send(publication, (10_000, AVC_HEADER_2))
    studio.go_on(publication, 50)
    sink, _ = studio.back(55)
    assert "AVC@5000" in words(sink)
    ring = studio.rings.find(KEY)
    assert ring is not None
    ring.kept.give_back()
    studio.go_on(publication, 1)
    assert words(sink)[:4] == ["meta@30000", "AAC@30000", "AVC2@30000", "K30@30000"]


def test_whose_it_is_stays_known_as_long_as_anything_of_it_is_kept() -> None:
    house = House()
    clock = house.loop.clock
    kept = Kept(KeptLimits(5.0, MIB), house.registry.budget, Spool("", clock), clock)
    stats = StreamStats(now=0.0)
    kept.mark(stats, begins=True)
    kept.headers = (Packet(VIDEO, 0, AVC_HEADER, SEQUENCE_HEADER),)
    kept.add([Packet(VIDEO, 0, keyframe("K"), KEYFRAME)])
    house.loop.now += 1.0
    kept.mark(stats, begins=False)
    kept.mark(stats, begins=True)
    for second in range(1, 20):
        house.loop.now += 1.0
        kept.add([Packet(VIDEO, second * 1000, inter("P"), 0)])
    assert kept.edge_before(0) is not None
    kept.add([Packet(VIDEO, 20_000, keyframe("K"), KEYFRAME)])
    house.loop.now += 6.0
    kept.add([Packet(VIDEO, 26_000, keyframe("K"), KEYFRAME)])
    house.loop.now += 6.0
    kept.age(clock())
    assert kept.edge(0) == kept.edge_before(kept.end)
    kept.close()
