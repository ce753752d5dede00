"""Fragments of streams that are shown later, or again, to players that are slow; and what is counted."""

from __future__ import annotations

import dataclasses
from itertools import count

import pytest
from engine_kit import KEY, FakeSink, House, inter, keyframe, sound
from fragment_kit import PICTURE, SMALLER, SOUND, told

from rtmpd.engine.limits import EngineLimits
from rtmpd.engine.mp4_wire import Mp4Wire, Mp4Wish
from rtmpd.engine.packet import VIDEO, Packet
from rtmpd.engine.publication import Publication
from rtmpd.engine.sink import CloseReason, PlayOptions, SlowPlayerPolicy
from rtmpd.engine.subscriber import Subscription
from rtmpd.media.correction import Correction
from rtmpd.media.tags import CODED_FRAME, KEYFRAME, SEQUENCE_HEADER
from rtmpd.packaging.fragmenter import Fragmenter
from rtmpd.packaging.fragments import Fragments

WISH = Mp4Wish()
POLICY = SlowPlayerPolicy(max_backlog_bytes=10_000, resume_backlog_bytes=100)


class Viewer(FakeSink):
    """Is handed MP4."""

    def __init__(self) -> None:
        super().__init__(Mp4Wire())

    def take(self) -> str:
        line = told(b"".join(self.writes))
        self.writes.clear()
        return line


class Studio:
    """Streams of which fragments are made."""

    def __init__(self, limits: EngineLimits | None = None) -> None:
        self.house = House(limits or EngineLimits())
        names = count(1)
        self.fragments = Fragments(self.house.registry, self.house.loop.clock, lambda: str(next(names)))

    def watch(
        self, options: PlayOptions | None = None, wish: Mp4Wish = WISH
    ) -> tuple[Viewer, Subscription, Fragmenter]:
        options = options or PlayOptions()
        made = self.fragments.find(KEY, wish, options)
        viewer = Viewer()
        subscription = self.house.play(options._replace(apart=made.number), viewer)[1]
        return viewer, subscription, made

    def live(self) -> Publication:
        publication = self.house.publish()
        self.house.send(publication, (0, PICTURE), (0, SOUND), (0, keyframe("A")), (20, sound("a")))
        return publication


@pytest.fixture
def studio() -> Studio:
    return Studio()


def test_an_app_with_a_delay_is_not_gone_round() -> None:
    studio = Studio(EngineLimits(delay=5.0))
    publication = studio.live()
    viewer, _, made = studio.watch()
    assert viewer.take() == ""
    delayed = studio.house.stream.delayed(5.0)
    delayed.feed(delayed.finish)
    delayed.begin(publication.stats, studio.house.loop.now)
    for payload, flags in ((PICTURE, SEQUENCE_HEADER), (keyframe("A"), KEYFRAME | CODED_FRAME)):
        delayed.push(Packet(VIDEO, 0, payload, flags))
    studio.house.loop.run(studio.house.loop.now)
    assert viewer.take() == "<video> v:A@1000"
    delayed.give_up()
    assert viewer.calls == ["started", "ended"]
    made.close(CloseReason.FINISHED)
    delayed.feed(None)


def test_who_goes_back_is_sent_fragments_of_then(studio: Studio) -> None:
    publication = studio.live()
    back = studio.house.stream.set_apart(30.0)
    back.feed(back.finish)
    back.begin(publication.stats, studio.house.loop.now)
    for payload, flags in ((PICTURE, SEQUENCE_HEADER), (keyframe("B"), KEYFRAME | CODED_FRAME)):
        back.push(Packet(VIDEO, 0, payload, flags))
    now, _, first = studio.watch()
    then, _, second = studio.watch(PlayOptions(apart=back.number))
    studio.house.loop.run(studio.house.loop.now)
    assert (now.take(), then.take()) == ("<video+audio> v:A@1000 a:a@1020", "<video> v:B@1000")
    assert first is not second
    assert back.attended


def test_a_slow_player_goes_on_with_a_key_frame(studio: Studio) -> None:
    publication = studio.live()
    viewer, subscription, _ = studio.watch(PlayOptions(policy=POLICY))
    quick, _, _ = studio.watch()
    viewer.take()
    viewer.stuck = True
    viewer.pause()
    for number in range(1, 8):
        studio.house.send(publication, (number * 40, inter("P" * 2000)))
    assert studio.house.stats.drops["slow_video"] > 0
    quick.take()
    viewer.stuck, viewer.unsent = False, 0
    viewer.resume()
    viewer.take()
    studio.house.send(publication, (320, inter("Q")), (360, keyframe("B")), (400, inter("R")))
    assert viewer.take() == "v:B@1360 v:R@1400"
    assert quick.take() == "v:Q@1320 v:B@1360 v:R@1400"
    assert subscription.dropped


def test_who_missed_another_init_segment_is_sent_it_first(studio: Studio) -> None:
    publication = studio.live()
    viewer, _, _ = studio.watch(PlayOptions(policy=POLICY))
    viewer.take()
    viewer.stuck = True
    viewer.pause()
    studio.house.send(publication, *[(number * 40, inter("P" * 4000)) for number in range(1, 5)])
    studio.house.send(publication, (200, SMALLER), (200, keyframe("B" * 12_000)), (220, inter("Q")))
    viewer.stuck, viewer.unsent = False, 0
    viewer.resume()
    viewer.take()
    studio.house.send(publication, (240, keyframe("C")))
    assert viewer.take() == "<video+audio> v:C@1240"


def test_another_publication_goes_on_in_the_same_time(studio: Studio) -> None:
    publication = studio.live()
    viewer, _, made = studio.watch()
    studio.house.send(publication, (40, inter("B")))
    assert viewer.take() == "<video+audio> v:A@1000 a:a@1020 v:B@1040"
    publication.dismiss(CloseReason.FINISHED)
    studio.house.loop.run(studio.house.loop.now)
    assert viewer.calls[-1] == "ended"
    again = studio.live()
    studio.house.send(again, (40, inter("B")))
    assert viewer.take() == "<video+audio> v:A@1000 a:a@1020 v:B@1040"
    assert not made.changing


def test_a_fault_of_ours_ends_who_watches(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    publication = studio.live()
    viewer, subscription, made = studio.watch()

    def fail(*_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(made, "_take", fail)
    studio.house.send(publication, (40, inter("B")))
    assert viewer.calls == ["close:internal_error"]
    assert not subscription.attached
    assert made.over
    after, _, again = studio.watch()
    assert again is not made
    assert after.take() == "<video+audio> v:A@1000 a:a@1020 v:B@1040"
    assert not studio.house.registry.budget.queue_bytes


def test_what_is_held_is_charged(studio: Studio) -> None:
    publication = studio.live()
    budget = studio.house.registry.budget
    before = budget.queue_bytes
    viewer, _, made = studio.watch(wish=Mp4Wish(part=0.2))
    studio.house.send(publication, (40, inter("P" * 5000)))
    assert before + 5000 <= budget.queue_bytes < before + 5300
    viewer.take()
    made.close(CloseReason.FINISHED)
    assert budget.queue_bytes == before
    made.close(CloseReason.FINISHED)
    assert budget.queue_bytes == before


def test_an_end_that_nobody_waits_for_is_none(studio: Studio) -> None:
    studio.watch()
    assert not studio.house.registry.end_hold(KEY)


def test_who_waits_for_a_name_by_mp4_waits_for_it_as_all() -> None:
    studio = Studio(dataclasses.replace(EngineLimits(), max_waiting_names=1))
    viewer, subscription, _ = studio.watch()
    assert [network for _, network in studio.house.registry._waiting()] == [subscription.origin.network]
    assert viewer.take() == ""


def test_fragments_and_corrections_are_counted(studio: Studio) -> None:
    publication = studio.live()
    studio.watch()
    studio.house.send(publication, (30, inter("B")), (20, inter("C")))
    stats = studio.fragments.stats
    assert (stats.fragments, stats.corrections[Correction.ORDER]) == (4, 1)
