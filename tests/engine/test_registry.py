from __future__ import annotations

import gc
import random
import weakref

import pytest
from engine_kit import KEY, FakePublisher, FakeSink, House, inter, keyframe, message, sound

from rtmpd.engine.key import StreamKey
from rtmpd.engine.registry import EngineLimits
from rtmpd.engine.sink import CloseReason, PlayOptions
from rtmpd.engine.stream import Stream
from rtmpd.exceptions import ResourceExhausted, StreamBusy


def test_a_name_has_one_publisher_at_a_time() -> None:
    house = House()
    first = house.publish()
    with pytest.raises(StreamBusy) as refused:
        house.publish()
    assert refused.value.code == "NetStream.Publish.BadName"
    assert refused.value.reason == "stream_busy"
    assert "cam is being published" in refused.value.description
    first.close(CloseReason.FINISHED)
    assert house.publish().stream is not first.stream


def test_names_are_of_their_app() -> None:
    house = House()
    house.publish()
    house.publish(StreamKey("other", KEY.name))
    assert len(house.registry.streams) == 2
    assert house.stats.publishers == house.stats.publishes_total == 2


def test_a_publication_knows_who_made_it_and_when() -> None:
    house = House()
    publisher = FakePublisher()
    publication = house.registry.claim(KEY, publisher, 12.5)
    assert (publication.publisher, publication.started_at, publication.closed) == (publisher, 12.5, False)
    assert house.stream.publication is publication


def test_an_entry_lives_as_long_as_somebody_needs_it() -> None:
    house = House()
    _, first = house.play()
    _, second = house.play()
    publication = house.publish()
    first.detach()
    publication.close(CloseReason.FINISHED)
    assert KEY in house.registry.streams
    second.detach()
    assert KEY not in house.registry.streams
    house.publish().close(CloseReason.FINISHED)
    assert not house.registry.streams


def test_a_player_that_leaves_with_packets_pending_leaves_nothing_behind() -> None:
    house = House()
    _, subscription = house.play()
    publication = house.publish()
    for timestamp in range(3):
        publication.receive(message(timestamp, b"\x2fmp3"), 0.0)
    subscription.detach()
    house.loop.run()
    house.send(publication, (10, b"\x2fmp3"))
    assert house.play()[0].words == ["p3@0", "p3@1", "p3@2", "p3@10"]
    publication.close(CloseReason.FINISHED)


def test_random_names_leave_nothing_behind() -> None:
    house = House()
    dice = random.Random(1)
    streams: list[weakref.ref[object]] = []

    class Referable(FakeSink):
        pass

    for number in range(1000):
        key = StreamKey("live", f"name{number}")
        sink = Referable()
        streams.append(weakref.ref(sink))
        subscription = house.registry.attach(key, sink, PlayOptions(), 0.0)
        subscription.begin(0.0)
        if dice.random() < 0.5:
            publication = house.publish(key)
            house.send_headers(publication)
            house.send(publication, (0, keyframe()), (40, inter()))
            if dice.random() < 0.5:
                subscription.pause_writing()
            publication.close(CloseReason.FINISHED)
        subscription.detach()
    del sink, subscription, publication
    gc.collect()
    assert not house.registry.streams
    assert house.registry.budget.used == 0
    assert house.stats.players == house.stats.publishers == 0
    assert not any(reference() for reference in streams)


def test_the_names_that_players_wait_for_are_limited() -> None:
    house = House(EngineLimits(max_waiting_names=2))
    house.play(key=StreamKey("live", "a"))
    house.play(key=StreamKey("live", "b"))
    with pytest.raises(ResourceExhausted) as refused:
        house.play()
    assert (refused.value.code, refused.value.reason) == ("NetStream.Play.StreamNotFound", "waiting_names")
    house.play(key=StreamKey("live", "a"))
    house.publish(StreamKey("live", "a"))
    house.play()


def test_publishers_and_players_are_limited() -> None:
    house = House(EngineLimits(max_publishers=1, max_players=3, max_players_per_stream=2))
    house.publish()
    with pytest.raises(ResourceExhausted) as refused:
        house.publish(StreamKey("live", "b"))
    assert (refused.value.code, refused.value.reason) == ("NetStream.Publish.Rejected", "publishers")
    house.play()
    house.play()
    with pytest.raises(ResourceExhausted, match="This stream takes 2 players"):
        house.play()
    house.play(key=StreamKey("live", "b"))
    with pytest.raises(ResourceExhausted, match="This server takes 3 players"):
        house.registry.check_attach(StreamKey("live", "c"))
    assert house.stats.players == house.stats.plays_total == 3


# Memory


def big_gop(house: House, name: str, size: int) -> None:
    publication = house.publish(StreamKey("live", name))
    house.send_headers(publication)
    house.send(publication, (0, keyframe()), (40, inter("x" * size)))


def test_over_the_ceiling_the_largest_caches_shrink_to_their_keyframes() -> None:
    house = House(EngineLimits(memory_bytes=500_000))
    big_gop(house, "large", 250_000)
    big_gop(house, "small", 100_000)
    assert house.stats.gop_trims == 0
    big_gop(house, "third", 200_000)
    assert house.stats.gop_trims == 1
    sinks = [house.play(key=StreamKey("live", name))[0] for name in ("large", "small", "third")]
    assert [len(sink.words) for sink in sinks] == [3, 4, 4]
    assert house.registry.budget.used <= 450_000


def test_keyframes_go_too_before_any_player_does() -> None:
    house = House(EngineLimits(memory_bytes=1_000_000))
    publication = house.publish()
    house.send_headers(publication)
    house.send(publication, (0, keyframe("k" * 300_000)), (40, inter()))
    sink, subscription = house.play()
    sink.unsent = 600_000
    subscription.pause_writing()
    assert subscription.attached
    assert house.stats.gop_trims == 2
    assert house.registry.budget.gop_bytes == 0


def test_when_caches_are_not_enough_the_players_furthest_behind_go() -> None:
    house = House(EngineLimits(memory_bytes=1_000_000))
    big_gop(house, "cam", 200_000)
    players = [house.play() for _ in range(3)]
    for (sink, subscription), unsent in zip(players, (300_000, 350_000, 200_000), strict=True):
        sink.unsent = unsent
        subscription.pause_writing()
    # The caches gave way first, then the player with 350,000 bytes.
    players[2][0].unsent = 500_000
    house.registry.sample(1.0)
    assert [sink.calls for sink, _ in players] == [[], [], ["close:memory"]]
    assert house.stats.players_closed == {"memory": 1}
    assert house.registry.budget.used <= 900_000


def test_when_nothing_can_be_given_back_newcomers_are_refused() -> None:
    house = House(EngineLimits(memory_bytes=10_000))
    publication = house.publish()
    house.send(publication, (0, b"\x90hvc1" + bytes(20_000)))
    with pytest.raises(ResourceExhausted) as refused:
        house.publish(StreamKey("live", "b"))
    assert (refused.value.code, refused.value.reason) == ("NetStream.Publish.Rejected", "memory")
    with pytest.raises(ResourceExhausted) as refused:
        house.play()
    assert (refused.value.code, refused.value.reason) == ("NetStream.Play.Failed", "memory")
    publication.close(CloseReason.FINISHED)
    house.play()


def test_sampling_derives_rates_of_live_streams() -> None:
    house = House()
    publication = house.publish()
    house.send_headers(publication)
    house.send(publication, (0, keyframe()), *[(at, inter()) for at in range(40, 1000, 40)])
    house.registry.sample(1.0)
    assert house.stream.stats.frame_rate.over_1s == pytest.approx(25 * 0.632, rel=0.01)
    house.send(publication, (1000, sound()))


def test_a_stream_that_cannot_be_sampled_costs_no_other_its_deadlines(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    house = House()
    sampled = []

    def sample(stream: Stream, now: float) -> None:
        if stream.key == KEY:
            raise KeyError("a bug")
        sampled.append(stream.key)

    monkeypatch.setattr(Stream, "sample", sample)
    other = StreamKey("live", "other")
    for key in (KEY, other):
        house.registry.claim(key, FakePublisher(), 0.0)
    house.registry.sample(1.0)
    assert sampled == [other]
    assert [record.message for record in caplog.records] == ["sampling of live/cam failed"]
