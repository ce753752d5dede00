"""Transcripts of a stream: what goes in on the left comes out at players as words like ``K@0``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from engine_kit import (
    AAC_HEADER,
    AVC_HEADER,
    AVC_HEADER_2,
    HDR,
    HEVC_HEADER,
    KEY,
    FakePublisher,
    FakeSink,
    House,
    NamedWire,
    inter,
    keyframe,
    message,
    metadata,
    sound,
)

from rtmpd.engine.audience import Audience
from rtmpd.engine.gop import GopLimits
from rtmpd.engine.limits import EngineLimits
from rtmpd.engine.origin import NOBODY
from rtmpd.engine.packet import VIDEO, Packet, PublishWire, RtmpWire
from rtmpd.engine.publication import Publication
from rtmpd.engine.sink import CloseReason, PlayOptions, StartPolicy
from rtmpd.engine.subscriber import Subscription
from rtmpd.media.tracks import ALL
from rtmpd.rtmp.messages import Message


class BurstSink(FakeSink):
    """Keeps the images of a burst apart."""

    def write_all(self, images: Sequence[bytes]) -> None:
        self.writes += images


@pytest.fixture
def house() -> House:
    return House()


# Live


def test_a_player_that_waited_sees_everything_in_order(house: House) -> None:
    sink, _ = house.play()
    publication = house.publish()
    assert sink.calls == ["started"]
    house.send(publication, (0, metadata(width=1.0)), (0, AAC_HEADER), (0, AVC_HEADER))
    assert sink.take() == "meta@0 AAC@0 AVC@0"
    house.send(publication, (0, keyframe()), (10, sound()), (40, inter()))
    assert sink.take() == "K@0 a@10 P@40"


def test_a_batch_is_one_write_for_each_player(house: House) -> None:
    publication = house.publish()
    house.send_headers(publication)
    house.send(publication, (0, keyframe()))
    players = [house.play()[0] for _ in range(3)]
    for player in players:
        player.take()
    house.send(publication, (10, sound()), (40, inter()), (50, sound()))
    assert [len(player.writes) for player in players] == [1, 1, 1]
    assert players[0].writes[0] is players[2].writes[0]
    assert players[1].take() == "a@10 P@40 a@50"


def test_every_wire_format_is_encoded_once(house: House) -> None:
    publication = house.publish()
    house.send_headers(publication)
    house.send(publication, (0, keyframe()))
    plain = [house.play()[0] for _ in range(2)]
    other = house.play(sink=FakeSink(NamedWire("x:")))[0]
    for sink in (*plain, other):
        sink.take()
    house.send(publication, (40, inter()))
    assert plain[0].writes[0] is plain[1].writes[0]
    assert other.take() == "x:P@40"


def test_a_push_is_written_the_players_images_but_for_the_metadata(house: House) -> None:
    publication = house.publish()
    players = [house.play(sink=FakeSink(RtmpWire(4096, 1)))[0] for _ in range(2)]
    push, _ = house.play(sink=FakeSink(PublishWire(4096, 1)))
    house.send(publication, (0, metadata(width=1.0)), (0, AAC_HEADER), (0, AVC_HEADER), (0, keyframe()))
    house.send(publication, (40, inter()))
    assert [b"@setDataFrame" in data for data in push.writes] == [True, False, False]
    for player in players:
        assert [ours is theirs for ours, theirs in zip(player.writes, push.writes, strict=True)] == [
            False,
            True,
            True,
        ]


def test_a_packet_that_a_format_has_nothing_of_is_not_written(house: House) -> None:
    @dataclass(frozen=True)
    class VideoWire(NamedWire):
        def encode(self, packet: Packet) -> bytes:
            return super().encode(packet) if packet.kind == VIDEO else b""

    publication = house.publish()
    house.send_headers(publication)
    house.send(publication, (0, keyframe()))
    sink, _ = house.play(sink=FakeSink(VideoWire()))
    assert sink.take() == "AVC@0 K@0"
    house.send(publication, (10, sound()))
    house.send(publication, (40, inter()))
    assert [bytes(data) for data in sink.writes] == [b"P@40.. "]
    sink.pause()
    house.send(publication, (50, sound()))
    assert len(sink.writes) == 1


def test_a_joiner_is_written_the_very_images_that_live_players_were(house: House) -> None:
    early, _ = house.play()
    publication = house.publish()
    house.send_headers(publication)
    house.send(publication, (0, keyframe()))
    house.send(publication, (40, inter()))
    late, _ = house.play(sink=BurstSink())
    head, *images = late.writes
    assert [word.rstrip(".") for word in head.decode().split()] == ["AAC@0", "AVC@0"]
    assert [id(image) for image in images] == [id(image) for image in early.writes[-2:]]
    assert house.play(sink=BurstSink())[0].writes[0] is head
    house.send(publication, (80, metadata(width=1.0)))
    again, _ = house.play(sink=BurstSink())
    assert [word.rstrip(".") for word in again.writes[0].decode().split()] == ["meta@0", "AAC@0", "AVC@0"]


@pytest.mark.parametrize("wire", [RtmpWire, PublishWire])
def test_a_wire_format_that_nobody_uses_any_more_leaves_nothing(
    house: House, wire: type[RtmpWire | PublishWire]
) -> None:
    publication = house.publish()
    house.send_headers(publication)
    house.send(publication, (0, keyframe("K" * 50_000)), (40, inter()))
    house.play()
    held = house.registry.budget.used
    for number in range(5000):
        house.play(sink=FakeSink(wire(65536, number)))[1].detach()
    seat = house.play()[1].seat
    assert isinstance(seat, Audience)
    assert [fanout.encoding.wire_format for fanout in seat._fanouts.values()] == [NamedWire()]
    assert house.registry.budget.used == held


def test_nothing_is_written_before_a_subscription_begins(house: House) -> None:
    publication = house.publish()
    house.send_headers(publication)
    house.send(publication, (0, keyframe()))
    sink = FakeSink()
    outlet = sink.connect(house.registry.outlets, house.loop.clock)
    subscription = house.registry.attach(KEY, sink, outlet, PlayOptions(), 0.0)
    house.send(publication, (40, inter()))
    assert (sink.writes, house.stats.players) == ([], 1)
    subscription.join(0.0)
    subscription.join(0.0)
    house.send(publication, (80, inter()))
    assert sink.take() == "AAC@0 AVC@0 K@0 P@40 P@80"


def test_nothing_is_encoded_without_players(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(NamedWire, "encode", lambda *_: pytest.fail("encoded"))
    publication = house.publish()
    house.send_headers(publication)
    house.send(publication, (0, keyframe()), (40, inter()))
    assert not house.loop.soon
    assert not house.loop.later


def test_output_is_counted(house: House) -> None:
    publication = house.publish()
    house.send_headers(publication)
    house.send(publication, (0, keyframe()))
    players = [house.play() for _ in range(2)]
    house.send(publication, (40, inter()), (50, sound()))
    written = sum(len(data) for sink, _ in players for data in sink.writes)
    assert house.stream.stats.totals.bytes_out == house.stats.bytes_out == written
    assert house.stream.stats.totals.messages_out == house.stats.messages_out == 2 * (3 + 2)
    for sink, subscription in players:
        assert subscription.bytes_out == sum(len(data) for data in sink.writes)
        subscription.detach()
        assert subscription.bytes_out == sum(len(data) for data in sink.writes)


def test_time_to_first_frame_does_not_count_the_wait_for_a_publisher(house: House) -> None:
    house.loop.now = 10.0
    house.play(PlayOptions(requested_at=9.9))
    house.loop.now = 500.0
    publication = house.publish()
    house.send_headers(publication)
    assert house.stats.time_to_first_frame.count == 0
    house.loop.now = 500.3
    house.send(publication, (0, keyframe()))
    assert house.stats.time_to_first_frame.sum == pytest.approx(0.3)
    house.play(PlayOptions(requested_at=500.1))
    assert house.stats.time_to_first_frame.sum == pytest.approx(0.5)
    assert house.stats.time_to_first_frame.count == 2


# Joining late


def test_a_late_joiner_gets_one_burst_and_then_live(house: House) -> None:
    publication = house.publish()
    house.send(publication, (0, metadata(width=1.0)), (0, HEVC_HEADER), (0, HDR), (0, AAC_HEADER))
    house.send(publication, (1000, b"\x93hvc1k"), (1010, sound()), (1040, b"\xa3hvc1p"))
    sink, _ = house.play()
    assert len(sink.writes) == 1
    assert sink.take() == "meta@0 HDR@1000 AAC@1000 HEVC@1000 k@1000 a@1010 p@1040"
    house.send(publication, (1080, b"\xa3hvc1p"))
    assert sink.take() == "p@1080"


def test_a_joiner_between_receive_and_flush_misses_and_repeats_nothing(house: House) -> None:
    publication = house.publish()
    first, _ = house.play()
    house.send_headers(publication)
    house.send(publication, (0, keyframe("K1")))
    house.stream.push(Packet(VIDEO, 40, inter("P1"), 0x20))
    second, _ = house.play()
    house.loop.run()
    house.send(publication, (80, inter("P2")))
    assert second.take() == "AAC@0 AVC@0 K1@0 P1@40 P2@80"
    assert first.take() == "AAC@0 AVC@0 K1@0 P1@40 P2@80"


def test_start_keyframe_gives_audio_at_once_and_video_from_the_next_keyframe(house: House) -> None:
    publication = house.publish()
    house.send_headers(publication)
    house.send(publication, (0, keyframe()), (40, inter()))
    sink, _ = house.play(PlayOptions(start=StartPolicy.KEYFRAME))
    assert sink.take() == "AAC@40 AVC@40"
    house.send(publication, (50, sound()), (80, inter()), (120, keyframe()), (160, inter()))
    assert sink.take() == "a@50 K@120 P@160"
    assert house.stream.stats.totals.drops == {"waiting_keyframe": 1}


def test_start_live_takes_the_next_packet(house: House) -> None:
    publication = house.publish()
    house.send_headers(publication)
    house.send(publication, (0, keyframe()))
    sink, _ = house.play(PlayOptions(start=StartPolicy.LIVE))
    house.send(publication, (40, inter()), (50, sound()))
    assert sink.take() == "AAC@0 AVC@0 P@40 a@50"


def test_joining_a_gop_that_outgrew_the_cache_shows_its_keyframe_until_the_next(house: House) -> None:
    house = House(EngineLimits(gop=GopLimits(max_bytes=3000)))
    publication = house.publish()
    house.send_headers(publication)
    house.send(publication, *[(at, keyframe() if at == 0 else inter()) for at in range(0, 2000, 100)])
    sink, _ = house.play()
    assert sink.take() == "AAC@1900 AVC@1900 K@1900"
    house.send(publication, (1910, sound()), (2000, inter()), (2100, keyframe()), (2200, inter()))
    assert sink.take() == "a@1910 K@2100 P@2200"
    assert house.stream.stats.totals.gop_overflows == 1


def test_an_audio_stream_starts_with_its_last_second(house: House) -> None:
    publication = house.publish()
    house.send(publication, (0, AAC_HEADER), *[(at, sound()) for at in range(0, 5000, 500)])
    sink, _ = house.play()
    assert sink.take() == "AAC@3500 a@3500 a@4000 a@4500"
    house.send(publication, (5000, sound()))
    assert sink.take() == "a@5000"


def test_a_video_stream_needs_no_audio(house: House) -> None:
    publication = house.publish()
    house.send(publication, (0, AVC_HEADER), (0, keyframe()), (40, inter()))
    assert house.play()[0].take() == "AVC@0 K@0 P@40"


def test_joiners_who_want_one_medium_get_one(house: House) -> None:
    publication = house.publish()
    house.send_headers(publication)
    house.send(publication, (0, keyframe()), (10, sound()), (40, inter()))
    listener, _ = house.play(PlayOptions(receive_video=False))
    viewer, _ = house.play(PlayOptions(receive_audio=False))
    house.send(publication, (50, sound()), (80, inter()))
    assert listener.take() == "AAC@10 a@10 a@50"
    assert viewer.take() == "AVC@0 K@0 P@40 P@80"


# Gates


def test_frames_wait_for_the_header_of_their_codec(house: House) -> None:
    sink, _ = house.play()
    publication = house.publish()
    house.send(publication, (0, keyframe()), (0, sound()), (40, inter()))
    assert sink.take() == ""
    house.send_headers(publication, 50)
    house.send(publication, (60, sound()), (80, inter()), (120, keyframe()), (160, inter()))
    assert sink.take() == "AAC@50 AVC@50 a@60 K@120 P@160"
    assert house.stream.stats.totals.drops == {"no_header": 2, "no_keyframe": 2}


def test_codecs_without_headers_flow_at_once(house: House) -> None:
    sink, _ = house.play()
    publication = house.publish()
    house.send(publication, (0, b"\x12body!h263"))
    publication.receive(Message(8, 10, 1, b"\x2fmp3"), 0.0)
    house.loop.run()
    assert len(sink.words) == 2


def test_a_header_of_another_codec_does_not_open_the_gate(house: House) -> None:
    sink, _ = house.play()
    publication = house.publish()
    house.send(publication, (0, HEVC_HEADER), (0, keyframe()), (0, b"\x93hvc1k"))
    assert sink.take() == "HEVC@0 k@0"


def test_headers_over_the_cap_open_nothing(house: House) -> None:
    sink, _ = house.play()
    publication = house.publish()
    house.send(publication, (0, AVC_HEADER + bytes(70_000)), (0, keyframe()))
    assert sink.words == []
    assert house.stream.stats.totals.drops == {"header_cap": 1, "no_header": 1}


# Other limits while it is live


def test_where_players_begin_live_no_frame_is_held_back_any_more(house: House) -> None:
    publication = house.publish()
    house.send_headers(publication)
    house.send(publication, (0, inter()))
    house.registry.apply(EngineLimits(start=StartPolicy.LIVE))
    house.send(publication, (40, inter()))
    assert house.stream.stats.totals.drops == {"no_keyframe": 1}


def test_who_waits_for_a_keyframe_waits_as_long_as_is_said_now() -> None:
    house = House(EngineLimits(keyframe_timeout=0.0))
    publication = house.publish()
    house.send_headers(publication)
    house.send(publication, (0, inter()))
    house.registry.sample(0.0)
    house.registry.apply(EngineLimits(keyframe_timeout=5.0))
    house.registry.sample(4.0)
    assert house.stats.keyframe_timeouts == 0
    house.registry.sample(5.0)
    assert house.stats.keyframe_timeouts == 1


def test_every_publication_follows_also_those_that_stand_by_or_come(house: House) -> None:
    on_air = house.publish()

    def one_more() -> Publication:
        return house.stream.add_publication(FakePublisher(), NOBODY, house.loop.now)

    def charged(publication: Publication) -> int:
        house.send_headers(publication)
        house.send(publication, (0, keyframe()), (40, inter()))
        return publication.intake.gop.charged_bytes

    standby = one_more()
    assert min(charged(on_air), charged(standby)) > 0
    house.registry.apply(EngineLimits(gop=GopLimits(max_bytes=0)))
    assert house.stream.gop_charged_bytes == 0
    assert charged(one_more()) == 0


# Header changes


def test_a_new_header_is_forwarded_at_once_and_clears_the_gop(house: House) -> None:
    publication = house.publish()
    house.send_headers(publication)
    house.send(publication, (0, keyframe("K1")), (40, inter()))
    early, _ = house.play()
    early.take()
    house.send(publication, (80, AVC_HEADER_2))
    late, _ = house.play()
    house.send(publication, (90, sound()), (120, inter("P2")), (160, keyframe("K2")), (200, inter("P3")))
    assert early.take() == "AVC2@80 a@90 P2@120 K2@160 P3@200"
    assert late.take() == "AAC@40 AVC2@40 a@90 K2@160 P3@200"


def test_a_repeated_header_is_forwarded_and_the_gop_kept(house: House) -> None:
    publication = house.publish()
    house.send_headers(publication)
    house.send(publication, (0, keyframe()))
    early, _ = house.play()
    early.take()
    house.send(publication, (40, AVC_HEADER), (40, inter()))
    assert early.take() == "AVC@40 P@40"
    assert house.play()[0].take() == "AAC@0 AVC@0 K@0 P@40"


def test_a_waiting_player_gets_a_header_that_changes_while_it_waits(house: House) -> None:
    publication = house.publish()
    house.send_headers(publication)
    house.send(publication, (0, keyframe()))
    sink, _ = house.play(PlayOptions(start=StartPolicy.KEYFRAME))
    sink.take()
    house.send(publication, (40, inter()), (80, AVC_HEADER_2), (80, keyframe()))
    assert sink.take() == "AVC2@80 K@80"


def test_tracks_beside_the_first_do_not_restart_the_gop(house: House) -> None:
    publication = house.publish()
    house.send(publication, (0, AVC_HEADER), (0, b"\x96\x00avc1\x01avcC"))
    house.send(publication, (0, keyframe("K0")), (0, b"\x96\x01avc1\x01\0\0\0k"), (40, inter("P0")))
    words = house.play(sink=FakeSink(NamedWire(tracks=ALL)))[0].take().split()
    assert len(words) == 5
    assert words[2] == "K0@0"
    assert words[4] == "P0@40"


def test_a_stream_of_tracks_only_has_a_gop_too(house: House) -> None:
    publication = house.publish()
    house.send(publication, (0, b"\x96\x00avc1\x02avcC"), (0, b"\x96\x00avc1\x03avcC"))
    for at in (0, 80):
        house.send(publication, (at, b"\x96\x01avc1\x02\0\0\0k"), (at, b"\x96\x01avc1\x03\0\0\0k"))
        house.send(publication, (at + 40, b"\xa6\x01avc1\x02\0\0\0p"))
    words = house.play(sink=FakeSink(NamedWire(tracks=ALL)))[0].take().split()
    assert [word.split("@")[1] for word in words] == ["80"] * 4 + ["120"]


# Ends


def test_at_the_end_the_tail_is_written_and_players_stay(house: House) -> None:
    sink, subscription = house.play()
    publication = house.publish()
    house.send_headers(publication)
    publication.receive(message(0, keyframe()), 0.0)
    publication.close(CloseReason.FINISHED)
    assert sink.take() == "AAC@0 AVC@0 K@0"
    assert sink.calls == ["started", "ended"]
    assert subscription.attached
    assert house.stream.publication is None
    assert house.registry.budget.used == 0


def test_players_that_stayed_get_the_next_publication_from_its_headers_on(house: House) -> None:
    sink, _ = house.play()
    first = house.publish()
    house.send_headers(first)
    house.send(first, (5000, keyframe("K1")))
    first.close(CloseReason.CONNECTION_LOST)
    sink.take()
    second = house.publish()
    house.send(second, (0, AVC_HEADER_2), (0, inter("lost")), (40, keyframe("K2")), (80, inter("P2")))
    assert sink.take() == "AVC2@0 K2@40 P2@80"
    assert sink.calls == ["started", "ended", "started"]
    assert house.stream.stats.totals.drops == {"no_keyframe": 1}


def test_the_caches_of_an_ended_publication_are_not_for_joiners(house: House) -> None:
    house.play()
    publication = house.publish()
    house.send_headers(publication)
    house.send(publication, (0, keyframe()))
    publication.close(CloseReason.FINISHED)
    assert house.play()[0].writes == []


def test_the_ingest_statistics_start_over_and_the_output_goes_on(house: House) -> None:
    house.play()
    first = house.publish()
    house.send(first, (0, keyframe()), (3000, sound()))
    first.close(CloseReason.FINISHED)
    second = house.publish()
    house.send_headers(second)
    stats = house.stream.stats
    assert (stats.video.messages_in, stats.timestamp_regressions) == (1, 0)
    assert stats.totals.drops == {"no_header": 2}


# Re-entrancy: what a sink does inside write


def joined(house: House, count: int) -> list[tuple[FakeSink, Subscription]]:
    publication = house.publish()
    house.send_headers(publication)
    house.send(publication, (0, keyframe()))
    players = [house.play() for _ in range(count)]
    for sink, _ in players:
        sink.take()
    return players


@pytest.mark.parametrize("leaver", range(4))
def test_a_player_that_leaves_inside_its_write_costs_the_others_nothing(house: House, leaver: int) -> None:
    players = joined(house, 4)
    players[leaver][0].on_write = players[leaver][1].detach
    publication = house.stream.publication
    house.send(publication, (40, inter("P1")))
    house.send(publication, (80, inter("P2")))
    for number, (sink, _) in enumerate(players):
        assert sink.take() == ("P1@40" if number == leaver else "P1@40 P2@80")
    assert len(house.stream.subscriptions) == 3


@pytest.mark.parametrize("by", range(4))
def test_a_player_may_take_others_with_it_and_they_hear_nothing_more(house: House, by: int) -> None:
    players = joined(house, 4)

    def leave() -> None:
        for _, subscription in players:
            subscription.detach()

    players[by][0].on_write = leave
    house.send(house.stream.publication, (40, inter()))
    assert [bool(sink.writes) for sink, _ in players] == [number <= by for number in range(4)]


@pytest.mark.parametrize("tag", ["", "x:"], ids=["same format", "new format"])
def test_a_player_that_joins_inside_a_write_repeats_and_misses_nothing(house: House, tag: str) -> None:
    players = joined(house, 2)
    late: list[FakeSink] = []

    def join() -> None:
        if not late:
            late.append(house.play(sink=FakeSink(NamedWire(tag)))[0])

    players[0][0].on_write = join
    publication = house.stream.publication
    house.send(publication, (40, inter("P1")), (80, AVC_HEADER_2), (80, keyframe("K2")))
    house.send(publication, (120, inter("P2")))
    words = late[0].take().replace(tag, "")
    assert words == "AAC@0 AVC@0 K@0 P1@40 AVC2@80 K2@80 P2@120"
    assert players[1][0].take() == "P1@40 AVC2@80 K2@80 P2@120"


@pytest.mark.parametrize("pauser", range(3))
def test_a_player_paused_by_anybodys_write_still_gets_each_batch_once(house: House, pauser: int) -> None:
    players = joined(house, 3)

    def pause_all() -> None:
        for sink, _ in players:
            sink.pause()

    players[pauser][0].on_write = pause_all
    house.send(house.stream.publication, (40, inter("P1")))
    house.send(house.stream.publication, (80, inter("P2")))
    assert [sink.take() for sink, _ in players] == ["P1@40 P2@80"] * 3
    assert not any(subscription.fast for _, subscription in players)


def test_a_publisher_that_ends_inside_a_write_ends_after_the_flush(house: House) -> None:
    class Hearing(FakeSink):
        def stream_ended(self) -> None:
            self.calls.append(f"ended after {self.words[-1]}")

    players = joined(house, 2)
    last, _ = house.play(sink=Hearing())
    publication = house.stream.publication

    def end() -> None:
        publication.receive(message(120, inter("tail")), 0.0)
        publication.close(CloseReason.KICKED)

    players[0][0].on_write = end
    house.send(publication, (40, inter()), (80, AVC_HEADER_2), (80, keyframe("K2")))
    assert players[1][0].take() == "P@40 AVC2@80 K2@80 tail@120"
    assert last.calls == ["ended after tail@120"]
    assert house.stream.publication is None
    assert house.registry.budget.used == 0


def test_what_is_received_inside_a_write_goes_out_with_the_next_flush(house: House) -> None:
    players = joined(house, 2)
    publication = house.stream.publication
    more = [message(80, inter("P2"))]
    players[0][0].on_write = lambda: publication.receive(more.pop(), 0.0) if more else None
    house.send(publication, (40, inter("P1")))
    assert [sink.take() for sink, _ in players] == ["P1@40 P2@80"] * 2


# Sinks that fail


def fail() -> None:
    raise OSError("broken sink")


@pytest.mark.parametrize("broken", range(3))
def test_a_sink_that_raises_is_closed_and_the_others_go_on(
    house: House, broken: int, caplog: pytest.LogCaptureFixture
) -> None:
    players = joined(house, 3)
    players[broken][0].on_write = fail
    publication = house.stream.publication
    house.send(publication, (40, inter()))
    house.send(publication, (80, inter()))
    for number, (sink, _) in enumerate(players):
        assert sink.take() == ("P@40" if number == broken else "P@40 P@80")
    assert players[broken][0].calls == ["close:internal_error"]
    assert house.stats.sink_errors == 1
    assert house.stats.players_closed == {"internal_error": 1}
    assert "broken sink" in caplog.text


def test_a_sink_that_raises_at_its_first_burst_is_never_attached(house: House) -> None:
    joined(house, 1)
    sink = FakeSink()
    sink.on_write = fail
    _, subscription = house.play(sink=sink)
    assert not subscription.attached
    assert len(house.stream.subscriptions) == 1


def test_a_watched_sink_that_raises_is_closed(house: House) -> None:
    players = joined(house, 2)
    players[0][0].pause()
    players[0][0].on_write = fail
    house.send(house.stream.publication, (40, inter()))
    assert players[0][0].calls == ["close:internal_error"]
    assert players[1][0].take() == "P@40"


def test_sinks_that_raise_at_start_end_or_close_cost_nobody_else(house: House) -> None:
    class Bad(FakeSink):
        def stream_started(self) -> None:
            fail()

        def stream_ended(self) -> None:
            fail()

        def close(self, reason: CloseReason) -> None:
            fail()

    house.play(sink=Bad())
    good, _ = house.play()
    publication = house.publish()
    house.play(sink=Bad())
    publication.close(CloseReason.FINISHED)
    assert good.calls == ["started", "ended"]
    assert len(house.stream.subscriptions) == 1
    assert house.stats.sink_errors == 4


def test_a_stream_reads_as_its_key(house: House) -> None:
    house.play()
    assert str(KEY) == "live/cam"
    assert repr(house.stream) == "<LiveStream live/cam: 1 subscribers>"


# Headers in the middle


def test_an_audio_header_that_comes_late_takes_no_picture_away(house: House) -> None:
    publication = house.publish()
    house.send(publication, (0, AVC_HEADER), (0, keyframe()), (40, inter()))
    house.send(publication, (2000, AAC_HEADER), (2000, sound()), (2040, inter()))
    assert house.play()[0].take() == "AAC@0 AVC@0 K@0 P@40 a@2000 P@2040"


def test_audio_that_the_new_header_does_not_describe_is_left_out(house: House) -> None:
    publication = house.publish()
    house.send_headers(publication)
    house.send(publication, (0, keyframe()), (10, sound("a1")), (40, inter()))
    house.play()
    house.send(publication, (50, b"\xaf\x00\x11\x90"), (50, sound("a2")), (80, inter()))
    assert house.play()[0].take().split()[2:] == ["K@0", "P@40", "a2@50", "P@80"]
    listener, _ = house.play(PlayOptions(receive_video=False))
    assert listener.take().split()[1:] == ["a2@50"]


def test_a_header_that_was_dropped_by_its_codec_is_not_sent_to_who_missed_it(house: House) -> None:
    publication = house.publish()
    house.send(publication, (0, AAC_HEADER), (0, AVC_HEADER), (0, keyframe()))
    sink, subscription = house.play()
    subscription.receive_audio(False)
    house.send(publication, (40, b"\x2f\xffmp3"))
    sink.take()
    subscription.receive_audio(True)
    house.send(publication, (80, inter()))
    assert sink.take() == "AVC@80 P@80"
