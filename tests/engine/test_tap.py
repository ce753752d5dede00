"""Packet sinks: what they are given and when, how far they may be behind, and what is left of them."""

from __future__ import annotations

import logging
import weakref

import pytest
from engine_kit import (
    AAC_HEADER,
    AVC_HEADER,
    AVC_HEADER_2,
    KEY,
    FakePacketSink,
    FakePublisher,
    FakeSink,
    House,
    disposable,
    inter,
    keyframe,
    message,
    metadata,
    sound,
)

from rtmpd.engine.claim import ClaimPolicy
from rtmpd.engine.gop import PACKET_OVERHEAD_BYTES, GopLimits
from rtmpd.engine.key import StreamKey
from rtmpd.engine.limits import EngineLimits
from rtmpd.engine.observer import StreamObserver
from rtmpd.engine.origin import NOBODY
from rtmpd.engine.packet import CACHED_HEADER, Packet, track_id
from rtmpd.engine.packet_queue import Mark
from rtmpd.engine.publication import Publication
from rtmpd.engine.sink import CloseReason, Ending, StartPolicy, TapOptions
from rtmpd.engine.subscriber import Subscription
from rtmpd.media.tags import KEYFRAME

SMALL = TapOptions(max_bytes=4000)
"""Room for both headers and three frames of ``large``."""


WHOLE = "<started> meta@0 AAC@0 AVC@0 K0@0 a@20 P@40"
"""What ``live`` sends."""


def large(word: str, size: int = 700) -> str:
    return word.ljust(size, ".")


def on_track(track: int, frame_type: int, packet_type: int = 1) -> bytes:
    """Video of one track: frame type 1 is a keyframe, packet type 0 a header."""
    return bytes((0x80 | frame_type << 4 | 6, packet_type)) + b"avc1" + bytes((track, 0, 0, 0, 0))


def live(house: House) -> Publication:
    publication = house.publish()
    house.send(publication, (0, metadata(width=640.0)), (0, AAC_HEADER), (0, AVC_HEADER))
    house.send(publication, (0, keyframe("K0")), (20, sound("a")), (40, inter("P")))
    return publication


def squeeze(house: House, size: int) -> None:
    """Something else holds ``size`` bytes for a moment."""
    house.registry.budget.charge_partials(size)
    house.registry.budget.charge_partials(-size)


def fill(house: House) -> tuple[Publication, FakePacketSink]:
    """A stream that a busy sink has nothing of yet, and of which it has missed a frame."""
    sink, _ = house.tap(SMALL)
    sink.busy = True
    publication = house.publish()
    house.send_headers(publication)
    for time, payload in enumerate([keyframe(large("K0")), *[inter(large("P"))] * 3]):
        house.send(publication, (time, payload))
    assert house.stream.stats.totals.drops == {"sink_behind": 1}
    return publication, sink


@pytest.fixture
def house() -> House:
    return House()


# What it is given


def test_who_was_there_first_gets_everything_in_order(house: House) -> None:
    sink, _ = house.tap()
    publication = live(house)
    house.send(publication, (60, AVC_HEADER_2), (60, keyframe("K1")), (80, disposable("D")))
    publication.close(CloseReason.FINISHED)
    assert sink.take() == f"{WHOLE} AVC2@60 K1@60 D@80 <ended>"
    live(house)
    assert sink.take() == WHOLE
    assert house.stream.stats.totals.drops == {}


@pytest.mark.parametrize(
    ("start", "before", "after"),
    [
        (StartPolicy.GOP, "meta@0 AAC@0 AVC@0 K0@0 a@20 P@40", "a@60 P@80 K1@100"),
        (StartPolicy.KEYFRAME, "meta@0 AAC@40 AVC@40", "a@60 K1@100"),
        (StartPolicy.LIVE, "meta@0 AAC@40 AVC@40", "a@60 P@80 K1@100"),
    ],
)
def test_who_joins_begins_where_it_likes(house: House, start: StartPolicy, before: str, after: str) -> None:
    publication = live(house)
    sink, tap = house.tap(TapOptions(start=start))
    assert sink.take() == f"<started> {before}"
    house.send(publication, (60, sound("a")), (80, inter("P")), (100, keyframe("K1")))
    assert sink.take() == after
    waited = {"waiting_keyframe": 1} if start is StartPolicy.KEYFRAME else {}
    assert house.stream.stats.totals.drops == waited
    assert tap.dropped == sum(waited.values())


def test_the_packets_are_those_of_the_cache_and_say_what_they_are(house: House) -> None:
    publication = live(house)
    sink, _ = house.tap()
    house.send(publication, (60, keyframe("K1")), (80, inter("P")))
    packets = [item for item in sink.items if isinstance(item, Packet)]
    assert list(map(id, house.stream.intake.gop.packets)) == list(map(id, packets[-2:]))
    assert [packet.flags & CACHED_HEADER != 0 for packet in packets] == [True] * 3 + [False] * 5
    assert [packet.timestamp for packet in packets if packet.flags & KEYFRAME] == [0, 60]


def test_what_is_pending_comes_to_a_joiner_once(house: House) -> None:
    house.play()
    publication = live(house)
    publication.receive(message(60, inter("P")), 0.0)
    sink, _ = house.tap()
    house.send(publication, (80, inter("P")))
    assert sink.take() == f"{WHOLE} P@60 P@80"


def test_a_group_of_pictures_without_its_keyframe_or_larger_than_the_queue_is_left_out() -> None:
    for limits, options in [(GopLimits(max_bytes=1500), TapOptions()), (GopLimits(), SMALL)]:
        house = House(EngineLimits(gop=limits))
        publication = house.publish()
        house.send_headers(publication)
        house.send(publication, (0, keyframe(large("K0"))), *[(40, inter(large("P")))] * 4)
        sink, _ = house.tap(options)
        house.send(publication, (60, inter("P")), (80, sound("a")), (100, keyframe("K1")))
        assert sink.take() == "<started> AAC@40 AVC@40 a@80 K1@100"


def test_audio_alone_needs_no_keyframe_after_a_gap(house: House) -> None:
    sink, _ = house.tap(SMALL)
    sink.busy = True
    publication = house.publish()
    house.send(publication, (0, AAC_HEADER))
    for time in range(0, 400, 20):
        house.send(publication, (time, sound("a")))
    sink.catch_up()
    assert sink.take().endswith("a@260 <gap>")
    house.send(publication, (400, sound("a")))
    sink.catch_up()
    assert sink.take() == "a@400"


@pytest.mark.parametrize(
    ("silent", "given", "comes"),
    [
        ("audio", "AVC@0 K@0 P@1000 P@7000", "AAC@7020 a@7020"),
        ("video", "AAC@7000 a@7000", "AVC@7020 K@7020"),
    ],
)
def test_a_medium_that_has_fallen_silent_is_left_out_until_it_flows(
    house: House, silent: str, given: str, comes: str
) -> None:
    publication = house.publish()
    house.send_headers(publication)
    house.send(publication, (0, keyframe("K")), (0, sound("a")))
    for second in (1, 7):
        house.loop.now = float(second)
        house.send(publication, (second * 1000, inter("P") if silent == "audio" else sound("a")))
        house.registry.sample(house.loop.now)
    house.play()
    assert house.stream.headers.withheld
    sink, _ = house.tap()
    assert sink.take() == f"<started> {given}"
    house.send(publication, (7020, sound("a") if silent == "audio" else keyframe("K")))
    assert sink.take() == comes


def test_sound_that_cannot_be_decoded_any_more_is_left_out(house: House) -> None:
    publication = house.publish()
    house.send_headers(publication)
    house.send(publication, (0, keyframe("K")), (10, sound("a")), (20, bytes.fromhex("af001190")))
    house.send(publication, (30, sound("b")))
    sink, _ = house.tap()
    assert sink.take().split()[-2:] == ["K@0", "b@30"]


def test_it_goes_on_where_another_publication_does(house: House) -> None:
    class Grace(ClaimPolicy):
        def hold(self, _key: StreamKey, ending: Ending) -> float:
            return 5.0

    def claim() -> Publication:
        return house.registry.claim(KEY, FakePublisher(), NOBODY, house.loop.now, Grace())

    sink, _ = house.tap()
    publication = claim()
    house.send_headers(publication)
    house.send(publication, (0, keyframe("A")))
    publication.close(CloseReason.CONNECTION_LOST)
    house.loop.now = 2.0
    publication = claim()
    house.send(publication, (9000, AAC_HEADER), (9000, AVC_HEADER_2), (9000, keyframe("B")))
    house.send(publication, (9040, inter("P")))
    assert sink.take() == "<started> AAC@0 AVC@0 A@0 <switched> AVC2@2000 B@2000 P@2040"
    publication.close(CloseReason.FINISHED)
    for second in range(3, 9):
        house.registry.sample(float(second))
    assert sink.take() == "<ended>"


def test_the_tracks_are_those_of_the_publication_that_went_on(house: House) -> None:
    sink, _ = house.tap(TapOptions(max_seconds=1.0))
    live(house)
    stream = house.stream
    publication = stream.add_publication(FakePublisher(), NOBODY, house.loop.now)
    stream.switch(publication)
    house.send(publication, (0, on_track(0, 1, 0)), (0, on_track(1, 1, 0)))
    house.send(publication, (0, on_track(0, 1)), (0, on_track(1, 1)), (20, on_track(1, 2)))
    assert stream.publication is publication
    sink.busy = True
    house.send(publication, (40, on_track(0, 2)))
    house.loop.now = 2.0
    house.send(publication, (60, on_track(1, 2)))
    sink.catch_up()
    sink.items.clear()
    house.send(publication, (80, on_track(0, 1)), (100, on_track(1, 2)), (120, on_track(1, 1)))
    sink.catch_up()
    packets = [item for item in sink.items if isinstance(item, Packet)]
    assert [(track_id(packet), packet.flags & KEYFRAME) for packet in packets] == [
        (0, KEYFRAME),
        (1, KEYFRAME),
    ]


def test_it_is_no_audience_and_keeps_the_entry(house: House) -> None:
    told: list[str] = []

    class Observer(StreamObserver):
        def published(self, publication: Publication) -> None:
            told.append("published")

        def play_started(self, subscription: Subscription) -> None:
            told.append("play started")

        def wanted(self, first: Subscription) -> None:
            told.append("wanted")

    house.registry.observe(Observer())
    _, tap = house.tap()
    live(house).close(CloseReason.FINISHED)
    house.loop.run()
    assert told == ["published"]
    assert (house.stats.players, house.stats.plays_total) == (0, 0)
    assert list(house.registry.streams) == [KEY]
    tap.detach()
    assert not house.registry.streams


def test_packets_are_delivered_to_the_last_who_is_attached(house: House) -> None:
    publication = live(house)
    _, first = house.tap()
    player, subscription = house.play()
    first.detach()
    player.take()
    house.send(publication, (60, inter("P")))
    assert player.take() == "P@60"
    second, tap = house.tap()
    second.take()
    subscription.detach()
    house.send(publication, (80, inter("P")))
    assert second.take() == "P@80"
    tap.detach()
    house.send(publication, (100, inter("P")))
    assert house.play()[0].take().endswith("P@100")


# When it is told


def test_it_is_told_once_until_it_has_taken_everything(house: House) -> None:
    sink, tap = house.tap()
    sink.busy = True
    publication = live(house)
    assert sink.calls == ["ready"]
    assert len(tap.take()) == 7
    house.send(publication, (60, inter("P")))
    assert sink.calls == ["ready"]
    assert len(tap.take()) == 1
    assert tap.take() == []
    house.send(publication, (80, inter("P")))
    assert sink.calls == ["ready", "ready"]


def test_it_is_not_told_of_what_it_cannot_use(house: House) -> None:
    publication = live(house)
    sink, _ = house.tap(TapOptions(start=StartPolicy.KEYFRAME))
    house.send(publication, (60, inter("P")))
    assert sink.calls == []
    house.send(publication, (80, sound("a")))
    assert sink.calls == ["ready"]


def test_it_may_leave_or_bring_others_while_it_is_told(house: House) -> None:
    class Busybody(FakePacketSink):
        def ready(self) -> None:
            super().ready()
            house.tap(sink=others[0])
            self.tap.detach()

    others = [FakePacketSink(), FakePacketSink()]
    sink, tap = house.tap(sink=Busybody())
    house.tap(sink=others[1])
    publication = live(house)
    assert not tap.attached
    assert sink.take() == "<started>"
    assert [other.take() for other in others] == [WHOLE, WHOLE]
    publication.close(CloseReason.FINISHED)
    assert [other.take() for other in others] == ["<ended>", "<ended>"]
    assert tap.take() == []


def test_one_that_comes_with_a_publication_is_told_of_it_once(house: House) -> None:
    class Host(FakeSink):
        def stream_started(self) -> None:
            house.tap(sink=guest)

    guest = FakePacketSink()
    house.play(sink=Host())
    house.publish()
    assert guest.take() == "<started>"


def test_one_that_has_just_been_thrown_out_is_told_nothing(house: House) -> None:
    class Bouncer(FakePacketSink):
        def ready(self) -> None:
            victim.close(CloseReason.KICKED)

    house.tap(sink=Bouncer())
    sink, victim = house.tap()
    house.publish()
    assert (sink.calls, victim.take()) == (["close:kicked"], [])


def test_one_that_fails_loses_its_tap_and_nobody_else_anything(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(FakePacketSink):
        def ready(self) -> None:
            raise RuntimeError("disk on fire")

        def close(self, reason: CloseReason) -> None:
            super().close(reason)
            raise RuntimeError("still on fire")

    sink, tap = house.tap(sink=Broken())
    healthy, _ = house.tap()
    player, _ = house.play()
    with caplog.at_level(logging.ERROR):
        live(house)
    assert [record.getMessage() for record in caplog.records] == [
        f"a sink of {KEY} failed",
        f"a sink of {KEY} failed to close",
    ]
    assert (sink.calls, tap.attached) == (["close:internal_error"], False)
    assert house.stats.sink_errors == 2
    assert healthy.take() == WHOLE
    assert player.take() == "meta@0 AAC@0 AVC@0 K0@0 a@20 P@40"


# Behind


def test_past_its_bound_it_misses_everything_until_it_has_caught_up(house: House) -> None:
    publication, sink = fill(house)
    house.send(publication, (10, sound("a")), (20, AVC_HEADER_2), (20, keyframe("K1")))
    sink.catch_up()
    assert sink.take() == "<started> AAC@0 AVC@0 K0@0 P@1 P@2 <gap>"
    house.send(publication, (30, inter("P")), (40, sound("a")), (50, inter("P")), (60, keyframe("K2")))
    house.send(publication, (70, inter("P")))
    sink.catch_up()
    assert sink.take() == "AAC@40 AVC2@40 a@40 K2@60 P@70"
    assert house.stream.stats.totals.drops == house.stats.drops == {"sink_behind": 5}
    assert sink.tap.dropped == 5


def test_who_begins_with_any_frame_goes_on_with_any(house: House) -> None:
    publication = live(house)
    sink, _ = house.tap(TapOptions(start=StartPolicy.LIVE, max_seconds=1.0))
    sink.busy = True
    house.send(publication, (60, inter("P")))
    house.loop.now = 2.0
    house.send(publication, (80, inter("P")))
    sink.catch_up()
    house.send(publication, (100, inter("P")))
    sink.catch_up()
    assert sink.take() == "<started> meta@0 AAC@40 AVC@40 P@60 <gap> P@100"


def test_every_gap_is_marked(house: House) -> None:
    publication, sink = fill(house)
    sink.catch_up()
    sink.take()
    for time, payload in enumerate([keyframe(large("K1")), *[inter(large("P"))] * 5], 60):
        house.send(publication, (time, payload))
    sink.catch_up()
    assert sink.take() == "K1@60 P@61 P@62 P@63 <gap>"


def test_headers_that_have_not_changed_are_not_repeated_after_a_gap(house: House) -> None:
    publication, sink = fill(house)
    sink.catch_up()
    sink.take()
    house.send(publication, (60, keyframe("K2")))
    sink.catch_up()
    assert sink.take() == "K2@60"


def test_what_it_is_at_work_on_counts_until_it_asks_for_more(house: House) -> None:
    publication, sink = fill(house)
    held = sink.tap.held_bytes
    assert held == house.registry.budget.queue_bytes <= SMALL.max_bytes
    sink.tap.take()
    assert sink.tap.held_bytes == held
    house.send(publication, (60, keyframe("K1")))
    assert sink.tap.take() == []
    assert sink.tap.held_bytes == house.registry.budget.queue_bytes == 0
    house.send(publication, (80, keyframe("K2")))
    sink.catch_up()
    assert sink.take() == "K2@80"


def test_what_waits_for_too_long_is_a_reason_too(house: House) -> None:
    sink, _ = house.tap(TapOptions(max_seconds=10.0))
    sink.busy = True
    publication = live(house)
    house.loop.now = 10.0
    house.send(publication, (60, inter("P")))
    house.loop.now = 10.1
    house.send(publication, (80, inter("P")))
    sink.catch_up()
    assert sink.take() == f"{WHOLE} P@60 <gap>"
    house.loop.now = 30.0
    house.send(publication, (100, keyframe("K1")))
    sink.catch_up()
    assert sink.take() == "K1@100"


def test_the_beginning_of_a_publication_may_be_missing(house: House) -> None:
    publication, sink = fill(house)
    publication.close(CloseReason.FINISHED)
    publication = house.publish()
    house.send_headers(publication)
    house.send(publication, (0, keyframe("K0")))
    sink.catch_up()
    assert sink.take() == "<started> AAC@0 AVC@0 K0@0 P@1 P@2 <gap> <ended> <started> <gap>"
    house.send(publication, (40, sound("a")), (60, keyframe("K1")))
    sink.catch_up()
    assert sink.take() == "AAC@40 AVC@40 a@40 K1@60"


def test_publications_of_which_nothing_is_left_do_not_pile_up(house: House) -> None:
    publication, sink = fill(house)
    publication.close(CloseReason.FINISHED)
    for _ in range(100):
        live(house).close(CloseReason.FINISHED)
        house.publish().close(CloseReason.FINISHED)
    items = sink.tap.take()
    assert len(items) == 8
    assert sink.tap.take() == []
    sink.busy = False
    live(house)
    assert sink.take() == WHOLE


# Memory


def test_when_memory_is_short_what_waits_goes_after_caches_and_before_players() -> None:
    house = House(EngineLimits(memory_bytes=200_000))
    sink, _ = house.tap()
    sink.busy = True
    publication = house.publish()
    house.send_headers(publication)
    house.send(publication, (0, keyframe(large("K0", 10_000))), *[(40, inter(large("P", 10_000)))] * 4)
    assert house.registry.budget.queue_bytes > 50_000
    player, subscription = house.play()
    player.unsent = 150_000
    player.pause()
    assert house.stats.gop_trims > 0
    assert (subscription.attached, player.calls, sink.calls) == (True, [], ["ready"])
    assert house.registry.budget.queue_bytes == 0
    assert house.stream.stats.totals.drops == {"sink_memory": 5}
    house.send(publication, (60, inter("P")))
    sink.catch_up()
    assert sink.take() == "<started> <gap>"
    house.send(publication, (80, inter("P")), (100, keyframe("K1")))
    sink.catch_up()
    assert sink.take() == "AAC@100 AVC@100 K1@100"
    assert house.stream.stats.totals.drops["sink_behind"] == 2


def test_the_one_that_holds_most_gives_first() -> None:
    house = House(EngineLimits(memory_bytes=200_000, gop=GopLimits(max_bytes=0)))
    sinks = [house.tap()[0] for _ in range(3)]
    for sink in sinks:
        sink.busy = True
    publication = house.publish()
    house.send_headers(publication)
    for time in range(20):
        house.send(publication, (time, keyframe(large("K", 10_000))))
        sinks[0].tap.take()
        if time == 4:
            sinks[1].tap.take()
            sinks[1].tap.take()
    assert [sink.tap.dropped > 0 for sink in sinks] == [False, False, True]
    assert house.registry.budget.queue_bytes == sum(sink.tap.held_bytes for sink in sinks)


def test_what_was_given_back_after_a_gap_is_a_gap_too() -> None:
    house = House(EngineLimits(memory_bytes=20_000, gop=GopLimits(max_bytes=0)))
    publication, sink = fill(house)
    sink.catch_up()
    sink.take()
    for time, payload in enumerate([keyframe(large("K1")), *[inter(large("P"))] * 5], 60):
        house.send(publication, (time, payload))
    squeeze(house, 20_000)
    sink.catch_up()
    assert sink.take() == "<gap>"


def test_the_marks_of_what_was_given_back_do_not_pile_up_either() -> None:
    house = House(EngineLimits(memory_bytes=20_000, gop=GopLimits(max_bytes=0)))
    sink, _ = house.tap()
    sink.busy = True
    for _ in range(50):
        publication = house.publish()
        house.send_headers(publication)
        house.send(publication, (0, keyframe("K")))
        squeeze(house, 20_000)
        publication.close(CloseReason.FINISHED)
    assert len(sink.tap.take()) <= 1
    assert house.registry.budget.used == 0


def test_nothing_is_left_of_one_that_is_gone(house: House) -> None:
    publication = live(house)
    used = house.registry.budget.used
    gone = []
    for end in ("detach", "close"):
        sink, tap = house.tap()
        sink.busy = True
        house.send(publication, (60, inter("P")), (80, inter("P")))
        tap.take()
        house.send(publication, (100, inter("P")))
        assert house.registry.budget.queue_bytes == tap.held_bytes > 3 * 256
        if end == "detach":
            tap.detach()
            tap.detach()
        else:
            tap.close(CloseReason.KICKED)
            assert sink.calls[-1] == "close:kicked"
        assert (tap.held_bytes, tap.take()) == (0, [])
        gone.append(weakref.ref(sink))
        del sink.tap, sink
    assert [reference() for reference in gone] == [None, None]
    assert house.registry.budget.used == used
    publication.close(CloseReason.FINISHED)
    assert house.registry.budget.used == 0
    assert not house.registry.streams


def test_who_takes_by_the_clock_is_told_once_much_waits(house: House) -> None:
    sink = FakePacketSink()
    sink.busy = True
    _, tap = house.tap(TapOptions(ready_bytes=3 * (PACKET_OVERHEAD_BYTES + 6)), sink)
    publication = house.publish()
    house.send_headers(publication)
    tap.take()
    tap.done()
    house.send(publication, (0, keyframe("A")))
    house.send(publication, (40, inter("B")))
    assert sink.calls == []
    house.send(publication, (80, inter("C")))
    assert sink.calls == ["ready"]
    assert tap.waiting_bytes == tap.held_bytes == house.registry.budget.queue_bytes
    assert len(tap.take()) == 3
    tap.done()
    assert tap.held_bytes == house.registry.budget.queue_bytes == 0
    house.send(publication, *[(time, inter("D")) for time in (120, 160, 200)])
    assert sink.calls == ["ready", "ready"]


def test_takeovers_of_a_stuck_sink_leave_one_mark(house: House) -> None:
    sink = FakePacketSink()
    sink.busy = True
    _, tap = house.tap(TapOptions(max_bytes=1), sink)
    house.publish()
    for _ in range(5):
        tap.notify(Mark.SWITCHED)
        tap.notify(Mark.GAP)
    assert tap.take() == [Mark.STARTED, Mark.SWITCHED, Mark.GAP]


def test_who_accompanies_publications_misses_nothing_and_costs_nobody_anything(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    sinks: list[FakePacketSink] = []

    def fail(_publication: Publication) -> None:
        raise ZeroDivisionError

    def join(publication: Publication) -> None:
        assert publication.stream.key == KEY
        sinks.append(house.tap()[0])

    house.registry.accompany(fail)
    house.registry.accompany(join)
    publication = house.publish()
    for media in (
        (0, AAC_HEADER),
        (0, AVC_HEADER),
        (0, keyframe("A")),
        (40, inter("P")),
        (80, keyframe("B")),
    ):
        publication.receive(message(*media), house.loop.now)
    publication.close(CloseReason.FINISHED)
    house.loop.run(house.loop.now)
    assert sinks[0].take() == "<started> AAC@0 AVC@0 A@0 P@40 B@80 <ended>"
    assert "a companion of live/cam failed" in caplog.text


def test_only_who_is_written_to_has_sockets_read_at_once(house: House) -> None:
    publication = house.publish()
    house.tap()
    assert not publication.watched  # It has time, and players of other streams have not.
    _, subscription = house.play()
    assert publication.watched
    subscription.detach()
    assert not publication.watched
