"""A main encoder and its backup: when one goes on for the other, and what players see of it."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from engine_kit import (
    AAC_HEADER,
    AVC_HEADER,
    AVC_HEADER_2,
    KEY,
    FakePublisher,
    House,
    disposable,
    inter,
    keyframe,
    message,
    metadata,
    sound,
)

from rtmpd.engine.claim import MAIN, Place, SwitchReason
from rtmpd.engine.gop import GopCache, GopLimits
from rtmpd.engine.handover import Handover, HandoverRules, OnDuplicate
from rtmpd.engine.headers import HeaderLimits
from rtmpd.engine.health import HealthKind
from rtmpd.engine.limits import EngineLimits
from rtmpd.engine.observer import StreamObserver
from rtmpd.engine.origin import Origin
from rtmpd.engine.publication import Publication
from rtmpd.engine.sink import CloseReason, StartPolicy
from rtmpd.engine.sources import CATCH_UP_BYTES
from rtmpd.exceptions import StreamBusy

ANN = Origin(address="192.0.2.1", network="192.0.2.1", identity="key:a")
BOB = Origin(address="192.0.2.2", network="192.0.2.2", identity="key:b")
NOBODY = Origin(address="192.0.2.3", network="192.0.2.3")
ASKS, APPOINTED = Place(backup=True), Place(backup=True, appointed=True)
FAR = 5_000_000
"""Where the clock of the backup stands when that of the main encoder begins at 0 (ms)."""
FRAME = 40


class Switches(StreamObserver):
    """Notes who went on, why, and whether the other one had been silent for long."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str, bool]] = []

    def switched(self, publication: Publication, why: SwitchReason, silent: float) -> None:
        self.told.append((publication.place.source, str(why), silent >= 0.8))


class Studio:
    """Two encoders of 25 frames and some sound a second, with a keyframe every second, and a player.

    ``a`` is the main one. Time goes by as frames do; who is in ``silent`` sends none.
    """

    def __init__(
        self, limits: EngineLimits | None = None, rules: HandoverRules | None = None, backup: Place = ASKS
    ) -> None:
        self.house = House(limits or EngineLimits(handback=2.0))
        self.house.loop.now = self.began = 100.0
        self.policy = Handover(lambda _key: rules or HandoverRules(grace=5.0))
        self.silent: set[str] = set()
        self.witness = Switches()
        self.house.registry.observe(self.witness)
        self.a = self.claim(ANN, MAIN)
        self.house.send(self.a, (0, AAC_HEADER), (0, AVC_HEADER))
        self.number = 0
        self.b: Publication | None = self.claim(ANN, backup)
        self.house.send(self.b, (FAR, AAC_HEADER), (FAR, AVC_HEADER_2))
        self.sink, self.subscription = self.house.play()

    def claim(self, origin: Origin, place: Place) -> Publication:
        registry, now = self.house.registry, self.house.loop.now
        return registry.claim(KEY, FakePublisher(), origin, now, self.policy, place=place)

    def run(self, frames: int) -> None:
        """So many frames of each go by; the registry looks once a second."""
        for _ in range(frames):
            number, at = self.number, self.number * FRAME
            for name, publication, base in (("a", self.a, 0), ("b", self.b, FAR + 500)):
                if publication is None or name in self.silent:
                    continue
                # The keyframes of the backup come half a second later.
                phase = number % 25 if name == "a" else (number + 12) % 25
                picture = keyframe(f"{name.upper()}{number}") if phase == 0 else inter(f"{name}{number}")
                publication.receive(message(base + at, picture), self.house.loop.now)
                publication.receive(message(base + at + 5, sound(f"s{name}{number}")), self.house.loop.now)
            self.number += 1
            self.house.loop.run(self.began + self.number * FRAME / 1000)
            if number % 25 == 24:
                self.house.registry.sample(self.house.loop.now)

    @property
    def on_air(self) -> Publication | None:
        return self.house.stream.publication

    def pictures(self) -> list[tuple[str, int]]:
        """Of the player, since the last time."""
        words = [word.partition("@") for word in self.sink.take().split()]
        return [
            (name, int(at))
            for name, _, at in words
            if name not in ("AAC", "AVC", "AVC2", "meta") and name[0] != "s"
        ]

    @property
    def switches(self) -> dict[str, int]:
        return dict(self.house.stream.stats.totals.switches)


def rises(pictures: list[tuple[str, int]]) -> bool:
    times = [at for _, at in pictures]
    return times == sorted(set(times))


def longest(pictures: list[tuple[str, int]]) -> int:
    """From a picture to the next (ms)."""
    times = [at for _, at in pictures]
    return max(after - before for before, after in pairwise(times))


def test_players_see_the_main_one_while_it_is_well() -> None:
    studio = Studio()
    studio.run(100)
    assert {name[0].lower() for name, _ in studio.pictures()} == {"a"}
    assert (studio.on_air, studio.switches, studio.sink.calls) == (studio.a, {}, [])
    assert studio.house.stats.publishers == 2
    assert studio.house.stats.published_streams == 1


def test_the_backup_goes_on_in_less_than_a_second_whatever_its_gop() -> None:
    studio = Studio()
    studio.run(65)
    last = studio.pictures()[-1]
    studio.silent = {"a"}
    studio.run(19)
    assert studio.pictures() == []
    studio.run(3)
    assert studio.on_air is studio.b
    pictures = [last, *studio.pictures()]
    # From the newest keyframe of the backup on, which came before the last picture of the main one.
    assert pictures[1][0] == "B63"
    assert [name for name, _ in pictures[2:]] == [f"b{number}" for number in range(64, 87)]
    assert rises(pictures)
    assert longest(pictures) <= FRAME
    # Live from there on: what came last has its own time on air.
    assert abs(pictures[-1][1] - last[1] - 22 * FRAME) < FRAME
    assert studio.switches == {"backup": 1}
    assert studio.sink.calls == []


def test_sound_of_what_is_past_is_left_out() -> None:
    studio = Studio()
    studio.run(60)
    studio.sink.take()
    studio.silent = {"a"}
    studio.run(22)
    words = [word.partition("@") for word in studio.sink.take().split()]
    sounds = [int(at) for name, _, at in words if name.startswith("sb")]
    assert sounds == sorted(sounds)
    assert len(sounds) <= 22
    assert {after - before for before, after in pairwise(sounds)} == {FRAME}


def test_it_is_handed_back_at_a_keyframe_once_the_main_one_has_been_well_for_long_enough() -> None:
    studio = Studio()
    studio.run(60)
    studio.silent = {"a"}
    studio.run(40)
    studio.silent = set()
    studio.run(49)
    assert studio.on_air is studio.b
    studio.pictures()
    studio.run(40)
    assert studio.on_air is studio.a
    pictures = studio.pictures()
    names = [name for name, _ in pictures]
    first = next(number for number, name in enumerate(names) if name[0] in "aA")
    assert names[first][0] == "A"
    assert {name[0] for name in names[first:]} == {"a", "A"}
    assert rises(pictures)
    assert longest(pictures) <= 2 * FRAME
    assert studio.switches == {"backup": 1, "main": 1}
    assert studio.house.stats.switches == {"backup": 1, "main": 1}
    assert studio.witness.told == [("backup", "silent", True), ("main", "handed_back", False)]


def test_one_that_stutters_is_not_well() -> None:
    studio = Studio()
    studio.run(60)
    studio.silent = {"a"}
    studio.run(40)
    for _ in range(5):
        studio.silent = set()
        studio.run(40)
        studio.silent = {"a"}
        studio.run(15)
    assert studio.on_air is studio.b
    assert studio.switches == {"backup": 1}


def test_a_backup_that_is_silent_too_does_not_go_on() -> None:
    studio = Studio()
    studio.run(60)
    studio.silent = {"a", "b"}
    studio.run(60)
    assert studio.on_air is studio.a
    studio.silent = {"b"}
    studio.run(10)
    assert studio.on_air is studio.a


def test_when_the_main_one_is_lost_the_backup_goes_on_at_once_and_it_comes_back_beside_it() -> None:
    studio = Studio()
    studio.run(60)
    last = studio.pictures()[-1]
    studio.a.close(CloseReason.CONNECTION_LOST)
    studio.silent = {"a"}
    studio.run(2)
    pictures = [last, *studio.pictures()]
    assert studio.on_air is studio.b
    assert rises(pictures)
    assert studio.house.stats.held_streams == 0
    studio.a = studio.claim(ANN, MAIN)
    studio.house.send(studio.a, (0, AAC_HEADER), (0, AVC_HEADER))
    studio.silent = set()
    studio.run(40)
    assert studio.on_air is studio.b
    studio.run(40)
    assert studio.on_air is studio.a
    assert rises([last, *studio.pictures()])
    assert studio.sink.calls == []
    assert [(source, why) for source, why, _ in studio.witness.told] == [
        ("backup", "lost"),
        ("main", "handed_back"),
    ]


def test_data_before_any_media_of_one_that_stands_by_is_no_header() -> None:
    studio = Studio()
    assert studio.b is not None
    studio.b.close(CloseReason.FINISHED)
    studio.b = studio.claim(ANN, ASKS)
    studio.house.send(studio.b, (FAR, b"\2\0\4onFI"), (FAR, metadata(width=640)), (FAR, AVC_HEADER_2))
    studio.run(60)
    studio.silent = {"a"}
    studio.run(22)
    assert studio.on_air is studio.b
    assert rises(studio.pictures())


def test_when_both_are_lost_players_wait_for_either() -> None:
    studio = Studio()
    studio.run(60)
    studio.a.close(CloseReason.CONNECTION_LOST)
    studio.silent = {"a"}
    studio.run(10)
    assert studio.b is not None
    studio.b.close(CloseReason.CONNECTION_LOST)
    assert studio.house.stats.held_streams == 1
    studio.b = studio.claim(ANN, ASKS)
    studio.house.send(studio.b, (FAR, AVC_HEADER_2))
    studio.run(30)
    assert studio.on_air is studio.b
    assert (studio.sink.calls, studio.house.stats.held_streams) == ([], 0)


def test_a_backup_that_leaves_changes_nothing() -> None:
    studio = Studio()
    studio.run(60)
    assert studio.b is not None
    studio.b.close(CloseReason.FINISHED)
    studio.b = None
    studio.run(25)
    assert studio.on_air is studio.a
    assert (studio.house.stats.publishers, studio.house.stats.published_streams) == (1, 1)


def test_without_a_cache_it_goes_on_with_its_next_keyframe() -> None:
    limits = EngineLimits(gop=GopLimits(max_bytes=0), start=StartPolicy.KEYFRAME)
    studio = Studio(limits)
    studio.run(60)
    last = studio.pictures()[-1]
    studio.silent = {"a"}
    studio.run(50)
    pictures = [last, *studio.pictures()]
    assert pictures[1][0][0] == "B"
    assert rises(pictures)


def test_a_gop_of_megabytes_is_not_sent_to_everybody_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    # Nor collected with every packet until a keyframe comes.
    monkeypatch.setattr(GopCache, "decodable", lambda _gop: pytest.fail("collected"))
    studio = Studio()
    assert studio.b is not None
    studio.run(40)
    studio.house.send(studio.b, (FAR + 500 + 40 * FRAME, inter("x" * CATCH_UP_BYTES)))
    studio.silent = {"a"}
    studio.run(22)
    assert studio.on_air is studio.a
    studio.run(25)
    assert studio.on_air is studio.b


def test_more_frames_than_there_were_milliseconds_still_do_not_go_back() -> None:
    studio = Studio(replace(EngineLimits(), backup_after=0.05))
    assert studio.b is not None
    studio.run(39)
    frames = [(FAR + 500 + 39 * FRAME - 300 + number, disposable(f"d{number}")) for number in range(300)]
    studio.house.send(studio.b, *frames)
    studio.silent = {"a"}
    studio.run(5)
    times = [at for _, at in studio.pictures()]
    assert studio.on_air is studio.b
    assert times == sorted(times)


def test_who_joins_the_backup_on_air_gets_what_the_others_got() -> None:
    studio = Studio()
    studio.run(60)
    studio.silent = {"a"}
    studio.run(22)
    late, _ = studio.house.play()
    names = [word.partition("@")[0] for word in late.take().split()]
    assert names[:3] == ["AAC", "AVC2", "B63"]
    studio.run(1)
    assert late.take().split()[0] == studio.sink.take().split()[-2]


def test_nobody_watches_and_all_the_same_the_backup_is_on_air() -> None:
    studio = Studio()
    studio.run(60)
    studio.subscription.detach()
    studio.silent = {"a"}
    studio.run(25)
    assert studio.on_air is studio.b
    sink, _ = studio.house.play()
    assert "AVC2" in sink.take()


# -- who may be the backup


def test_a_stranger_is_no_backup_of_anybody() -> None:
    studio = Studio()
    assert studio.b is not None
    studio.b.close(CloseReason.FINISHED)
    studio.b = None
    with pytest.raises(StreamBusy):
        studio.claim(BOB, ASKS)
    appointed = studio.claim(BOB, APPOINTED)
    assert appointed.place.source == "backup"
    with pytest.raises(StreamBusy):
        studio.claim(ANN, ASKS)


def test_a_stranger_is_no_main_one_of_a_backup_that_asked_to_be_one() -> None:
    studio = Studio()
    studio.run(60)
    studio.a.close(CloseReason.FINISHED)
    studio.silent = {"a"}
    studio.run(2)
    assert studio.on_air is studio.b
    with pytest.raises(StreamBusy):
        studio.claim(BOB, MAIN)


def test_who_has_proven_nothing_is_no_main_one_of_a_backup_by_its_key() -> None:
    studio = Studio()
    assert studio.b is not None
    studio.b.close(CloseReason.FINISHED)
    studio.b = None
    studio.claim(BOB, APPOINTED)
    studio.a.close(CloseReason.FINISHED)
    with pytest.raises(StreamBusy):
        studio.claim(NOBODY, MAIN)


def test_of_two_backups_the_second_is_a_duplicate() -> None:
    studio = Studio()
    studio.run(60)
    with pytest.raises(StreamBusy):
        studio.claim(ANN, ASKS)
    studio.silent = {"b"}
    studio.run(60)
    again = studio.claim(ANN, ASKS)
    assert studio.b is not None
    assert studio.b.ending is not None
    assert studio.b.ending.reason is CloseReason.SUPERSEDED
    assert (studio.on_air, again.closed) == (studio.a, False)


def test_a_main_one_that_is_taken_over_while_the_backup_is_on_air_has_to_show_that_it_is_well() -> None:
    studio = Studio()
    studio.run(60)
    studio.silent = {"a"}
    studio.run(60)
    old, studio.a = studio.a, studio.claim(ANN, MAIN)
    assert old.closed
    studio.house.send(studio.a, (0, AAC_HEADER), (0, AVC_HEADER))
    studio.silent = set()
    studio.run(40)
    assert studio.on_air is studio.b
    studio.run(40)
    assert studio.on_air is studio.a


def test_a_stranger_who_takes_the_name_over_ends_both() -> None:
    studio = Studio()
    studio.run(60)
    studio.policy = Handover(lambda _key: HandoverRules(OnDuplicate.TAKEOVER))
    new = studio.claim(BOB, MAIN)
    assert studio.house.stream.publications == (new,)
    assert studio.sink.calls == ["ended", "started"]


def test_a_backup_alone_is_on_air() -> None:
    house = House()
    policy = Handover(lambda _key: HandoverRules())
    alone = house.registry.claim(KEY, FakePublisher(), ANN, 0.0, policy, place=ASKS)
    assert house.stream.publication is alone


# -- what is counted


def test_what_is_wrong_with_the_backup_is_not_said_of_the_main_one() -> None:
    limits = EngineLimits(headers=HeaderLimits(max_updates=1), gop=GopLimits(max_bytes=20_000))
    studio = Studio(limits)
    assert studio.b is not None
    studio.run(30)
    for number in range(20):
        studio.house.send(studio.b, (FAR, metadata(width=number)))
        studio.house.send(studio.b, (FAR + 500 + 30 * FRAME + number, inter("x" * 4000)))
    studio.run(20)
    assert studio.b.intake.checkup.health.active.keys() >= {
        HealthKind.UPDATES_DROPPED,
        HealthKind.GOP_TOO_LONG,
    }
    assert studio.a.intake.checkup.health.active.keys() == set()
    totals = studio.house.stream.stats.totals
    assert (totals.drops, totals.gop_overflows, studio.house.stats.drops) == ({}, 0, {})


def test_what_is_lost_of_one_on_air_counts() -> None:
    studio = Studio()
    studio.run(60)
    studio.silent = {"a"}
    studio.run(30)
    assert studio.b is not None
    for number in range(200):
        studio.house.send(studio.b, (FAR + 99_000, metadata(width=number)))
    assert studio.house.stream.stats.totals.drops["header_rate"] > 0


def test_other_rules_hold_at_once() -> None:
    studio = Studio()
    studio.run(60)
    registry = studio.house.registry
    registry.apply(replace(registry.limits, backup_after=3.0))
    studio.silent = {"a"}
    studio.run(70)
    assert studio.on_air is studio.a
    registry.apply(replace(registry.limits, backup_after=0.2, handback=0.0))
    studio.run(2)
    assert studio.on_air is studio.b
    studio.silent = set()
    studio.run(26)
    assert studio.on_air is studio.a
