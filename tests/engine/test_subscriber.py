"""The slow-player policy and what players ask for, as transcripts."""

from __future__ import annotations

import pytest
from engine_kit import (
    AAC_HEADER,
    AVC_END,
    AVC_HEADER,
    AVC_HEADER_2,
    FakeSink,
    House,
    disposable,
    inter,
    keyframe,
    sound,
)

from rtmpd.engine.limits import EngineLimits
from rtmpd.engine.origin import Origin
from rtmpd.engine.publication import Publication
from rtmpd.engine.sink import CloseReason, PlayOptions, SlowPlayerPolicy, StartPolicy
from rtmpd.engine.subscriber import Subscription

POLICY = SlowPlayerPolicy(
    max_backlog_bytes=1000, max_backlog_seconds=10.0, resume_backlog_bytes=200, disconnect_after=30.0
)


class Scene:
    """One player of a running stream, congested on demand."""

    def __init__(self) -> None:
        self.house = House()
        self.publication: Publication = self.house.publish()
        self.house.send_headers(self.publication)
        self.send((0, keyframe("K0")))
        self.sink: FakeSink
        self.subscription: Subscription
        self.sink, self.subscription = self.house.play(PlayOptions(policy=POLICY))
        self.sink.take()

    def send(self, *media: tuple[int, bytes]) -> None:
        self.house.send(self.publication, *media)

    def congest(self, unsent: int) -> None:
        self.sink.unsent = unsent
        self.sink.pause()

    @property
    def drops(self) -> dict[str, int]:
        return self.house.stream.stats.totals.drops


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_a_congested_player_within_its_bound_gets_everything(scene: Scene) -> None:
    scene.congest(400)
    assert not scene.subscription.fast
    scene.send((40, inter()), (50, sound()), (80, disposable()))
    assert scene.sink.take() == "P@40 a@50 D@80"
    scene.sink.resume()
    assert scene.subscription.fast
    scene.send((120, inter()))
    assert scene.sink.take() == "P@120"
    assert scene.drops == {}


def test_past_half_its_bound_it_loses_what_nothing_refers_to(scene: Scene) -> None:
    scene.congest(600)
    scene.send((40, disposable()), (80, inter()), (90, sound()), (120, disposable()))
    assert scene.sink.take() == "P@80 a@90"
    assert scene.drops == {"slow_disposable": 2}


def test_past_its_bound_it_loses_video_to_the_next_keyframe_and_keeps_audio(scene: Scene) -> None:
    scene.congest(995)
    scene.send((40, inter("too-long")), (50, sound()), (80, inter()))
    assert scene.sink.take() == "a@50"
    assert scene.drops == {"slow_video": 2}
    scene.sink.unsent = 300
    scene.send((120, inter()), (160, keyframe("high")), (170, sound()))
    assert scene.sink.take() == "a@170"
    scene.sink.unsent = 200
    scene.send((200, inter()), (240, keyframe("low")), (280, inter()))
    assert scene.sink.take() == "low@240 P@280"
    assert scene.subscription.dropped == 5


def test_when_flow_resumes_it_still_waits_for_a_keyframe(scene: Scene) -> None:
    scene.congest(1001)
    scene.send((40, inter()))
    scene.sink.unsent = 0
    scene.sink.resume()
    assert not scene.subscription.fast
    scene.send((80, inter()), (90, sound()), (120, keyframe()), (160, inter()))
    assert scene.sink.take() == "a@90 K@120 P@160"
    assert scene.subscription.fast


def test_age_counts_as_bytes_do(scene: Scene) -> None:
    scene.congest(300)
    scene.house.loop.now = 10.1
    scene.send((40, inter()), (50, sound()))
    assert scene.sink.take() == "a@50"
    assert scene.drops == {"slow_video": 1}


def test_old_bytes_keep_it_behind_however_few_they_are(scene: Scene) -> None:
    scene.congest(300)
    scene.house.loop.now = 10.1
    scene.send((40, inter()))
    scene.sink.unsent = 10
    scene.send((80, keyframe()))
    assert scene.sink.take() == ""
    scene.sink.unsent = 0
    scene.send((120, keyframe()))
    assert scene.sink.take() == "K@120"


def test_audio_is_dropped_when_not_even_that_fits(scene: Scene) -> None:
    scene.congest(999)
    scene.send((50, sound("aaa")), (60, b"\x02\x00\x0aonCuePoint"))
    assert scene.sink.take() == ""
    assert scene.drops == {"slow_audio": 1, "slow_data": 1}


def test_the_room_is_shared_by_the_packets_of_a_batch(scene: Scene) -> None:
    scene.congest(990)
    scene.send((50, sound("aaa")), (60, sound("bbb")), (70, sound("ccc")))
    assert scene.sink.take() == "aaa@50 bbb@60"


def test_a_header_that_did_not_fit_is_sent_before_the_next_frame(scene: Scene) -> None:
    scene.congest(998)
    scene.send((40, AVC_HEADER_2), (40, keyframe()), (50, sound()))
    assert scene.sink.take() == ""
    scene.sink.unsent = 0
    scene.send((60, sound()), (80, inter()), (120, keyframe()))
    assert scene.sink.take() == "AAC@60 AVC2@60 a@60 K@120"


def test_headers_sent_again_take_their_room(scene: Scene) -> None:
    scene.congest(998)
    scene.send((40, AVC_HEADER_2))
    room = len(AAC_HEADER) + len(AVC_HEADER_2) + len(sound())
    scene.sink.unsent = 1000 - room
    scene.send((50, sound()), (60, sound()))
    assert scene.sink.take() == "AAC@50 AVC2@50 a@50"


def test_a_header_that_fits_is_sent_even_while_video_is_dropped(scene: Scene) -> None:
    scene.congest(995)
    scene.send((40, inter("too-long")))
    scene.sink.unsent = 900
    scene.send((80, AVC_HEADER_2), (90, sound()))
    assert scene.sink.take() == "AVC2@80 a@90"
    scene.sink.unsent = 0
    scene.send((120, keyframe()))
    assert scene.sink.take() == "K@120"


def test_the_end_of_a_sequence_is_never_dropped_from_a_player_in_sync(scene: Scene) -> None:
    scene.congest(1001)
    scene.send((40, AVC_END))
    assert scene.sink.take() == "END@40"


def test_beyond_its_bound_for_too_long_it_is_closed(scene: Scene) -> None:
    other, _ = scene.house.play()
    other.take()
    scene.congest(1001)
    scene.send((40, inter()))
    scene.house.loop.now = 29.9
    scene.send((80, inter()))
    assert scene.sink.calls == []
    scene.house.loop.now = 30.0
    scene.send((120, inter()))
    assert scene.sink.calls == ["close:slow"]
    assert not scene.subscription.attached
    assert scene.house.stats.players_closed == {"slow": 1}
    assert other.take() == "P@40 P@80 P@120"


def test_the_deadline_holds_when_nothing_is_published(scene: Scene) -> None:
    scene.congest(1001)
    scene.house.registry.sample(29.0)
    assert scene.subscription.attached
    scene.house.registry.sample(30.0)
    assert scene.sink.calls[-1:] == ["close:slow"]


def test_a_player_that_comes_back_in_time_is_not_closed(scene: Scene) -> None:
    scene.congest(1001)
    scene.send((40, inter()))
    scene.house.loop.now = 20.0
    scene.sink.unsent = 0
    scene.send((80, keyframe()))
    scene.sink.unsent = 1001
    scene.house.loop.now = 35.0
    scene.send((120, inter()))
    assert scene.subscription.attached
    assert scene.sink.take() == "K@80"


def test_a_new_publication_reaches_a_player_that_was_behind_with_its_headers(scene: Scene) -> None:
    scene.congest(1001)
    scene.send((40, inter()))
    scene.publication.close(CloseReason.FINISHED)
    scene.sink.unsent = 0
    second = scene.house.publish()
    scene.house.send(second, (0, AAC_HEADER), (0, AVC_HEADER_2), (0, keyframe()), (40, inter()))
    assert scene.sink.take() == "AAC@0 AVC2@0 K@0 P@40"


def test_backlogs_of_congested_players_are_charged_and_given_back(scene: Scene) -> None:
    budget = scene.house.registry.budget
    scene.congest(700)
    assert (budget.backlog_bytes, scene.house.stats.unsent_bytes) == (700, 700)
    scene.sink.unsent = 300
    scene.house.registry.sample(0.0)
    assert budget.backlog_bytes == 300
    scene.sink.resume()
    assert (budget.backlog_bytes, scene.house.stats.unsent_bytes) == (0, 0)


def test_what_a_player_that_left_does_not_read_stays_charged_until_its_connection_is_lost(
    scene: Scene,
) -> None:
    budget = scene.house.registry.budget
    scene.congest(500)
    scene.subscription.detach()
    assert budget.backlog_bytes == 500
    outlet = scene.subscription.outlet
    outlet.close()
    assert (budget.backlog_bytes, scene.house.stats.unsent_bytes) == (0, 0)


def test_flow_control_after_leaving_changes_nothing(scene: Scene) -> None:
    scene.subscription.detach()
    scene.congest(500)
    scene.sink.resume()
    scene.subscription.set_paused(True)
    scene.subscription.receive_audio(False)
    scene.subscription.receive_video(False)
    scene.subscription.close(CloseReason.KICKED)
    scene.subscription.detach()
    assert scene.sink.calls == []
    assert scene.house.stats.players == 0
    assert scene.house.registry.budget.backlog_bytes == 0


def test_kicking_detaches_first_and_tells_the_sink(scene: Scene) -> None:
    scene.subscription.close(CloseReason.KICKED)
    scene.send((40, inter()))
    assert scene.sink.calls == ["close:kicked"]
    assert scene.sink.writes == []


# What a player asks for


def test_a_paused_player_gets_nothing_and_comes_back_at_a_keyframe(scene: Scene) -> None:
    scene.subscription.set_paused(True)
    scene.send((40, inter()), (50, sound()))
    scene.send((80, AVC_HEADER_2), (80, keyframe()))
    assert scene.sink.take() == ""
    scene.subscription.set_paused(False)
    scene.send((120, inter()), (130, sound()), (160, keyframe()))
    assert scene.sink.take() == "AAC@130 AVC2@130 a@130 K@160"
    assert scene.subscription.fast


def test_audio_can_be_turned_off_and_on(scene: Scene) -> None:
    scene.subscription.receive_audio(False)
    scene.send((40, inter()), (50, sound()), (60, AAC_HEADER))
    assert scene.sink.take() == "P@40"
    scene.subscription.receive_audio(True)
    scene.send((80, inter()), (90, sound()))
    assert scene.sink.take() == "AAC@80 AVC@80 P@80 a@90"
    assert scene.subscription.fast


def test_video_can_be_turned_off_and_on_at_a_keyframe(scene: Scene) -> None:
    scene.subscription.receive_video(False)
    scene.send((40, inter()), (50, sound()))
    scene.send((60, AVC_HEADER_2), (60, keyframe()))
    assert scene.sink.take() == "a@50"
    scene.subscription.receive_video(True)
    scene.send((80, inter()), (90, sound()), (120, keyframe()), (160, inter()))
    assert scene.sink.take() == "AAC@90 AVC2@90 a@90 K@120 P@160"


def test_asking_for_what_it_has_changes_nothing(scene: Scene) -> None:
    scene.subscription.receive_audio(True)
    scene.subscription.receive_video(True)
    scene.subscription.set_paused(False)
    assert scene.subscription.fast
    scene.send((40, inter()))
    assert scene.sink.take() == "P@40"


def test_a_player_without_video_gets_a_new_publications_headers_once(scene: Scene) -> None:
    scene.subscription.receive_video(False)
    scene.publication.close(CloseReason.FINISHED)
    second = scene.house.publish()
    scene.house.send(second, (0, AAC_HEADER), (0, AVC_HEADER), (0, keyframe()), (10, sound()))
    scene.house.send(second, (20, sound()))
    assert scene.sink.take() == "AAC@10 a@10 a@20"


def test_attaching_with_start_live_is_fast_after_the_first_frame() -> None:
    scene = Scene()
    sink, subscription = scene.house.play(PlayOptions(start=StartPolicy.LIVE))
    assert not subscription.fast
    scene.send((40, inter()))
    assert subscription.fast
    assert sink.take() == "AAC@0 AVC@0 P@40"


# What it waits for


def test_what_a_player_misses_because_it_is_slow_is_told_from_what_a_joiner_misses(scene: Scene) -> None:
    joiner, _ = scene.house.play(PlayOptions(start=StartPolicy.KEYFRAME))
    scene.congest(1001)
    scene.send((40, inter()), (80, inter()))
    assert scene.drops == {"slow_video": 2, "waiting_keyframe": 2}
    scene.sink.unsent = 0
    scene.send((120, inter()), (160, keyframe()))
    assert scene.drops == {"slow_video": 3, "waiting_keyframe": 3}
    scene.subscription.set_paused(True)
    scene.subscription.set_paused(False)
    scene.send((200, inter()))
    assert scene.drops == {"slow_video": 3, "waiting_keyframe": 4}
    assert joiner.words[-2:] == ["K@160", "P@200"]


def test_a_joiner_that_is_too_slow_for_its_keyframe_is_slow(scene: Scene) -> None:
    sink, _ = scene.house.play(PlayOptions(start=StartPolicy.KEYFRAME, policy=POLICY))
    sink.unsent = 1001
    sink.pause()
    scene.send((40, inter()), (80, keyframe()), (120, inter()))
    assert scene.drops == {"waiting_keyframe": 1, "slow_video": 2}


def live_scene() -> tuple[House, Publication, FakeSink, Subscription]:
    """A stream that never has a keyframe, where players begin with the next message."""
    house = House(EngineLimits(start=StartPolicy.LIVE))
    publication = house.publish()
    house.send_headers(publication)
    sink, subscription = house.play(PlayOptions(start=StartPolicy.LIVE, policy=POLICY))
    house.send(publication, (0, inter("P0")), (40, inter("P1")))
    return house, publication, sink, subscription


def test_start_live_needs_no_keyframe_ever() -> None:
    house, publication, sink, subscription = live_scene()
    assert sink.take() == "AAC@0 AVC@0 P0@0 P1@40"
    assert subscription.fast
    late, _ = house.play(PlayOptions(start=StartPolicy.LIVE))
    house.send(publication, (80, inter("P2")))
    assert late.take() == "AAC@40 AVC@40 P2@80"
    assert house.stream.stats.totals.drops == {}


def test_start_live_goes_on_with_any_frame_after_a_stall_a_pause_and_receive_video() -> None:
    house, publication, sink, subscription = live_scene()
    sink.take()
    sink.unsent = 1001
    sink.pause()
    house.send(publication, (80, inter("lost")))
    sink.unsent = 0
    sink.resume()
    house.send(publication, (120, inter("P3")))
    assert sink.take() == "P3@120"
    assert subscription.fast
    subscription.set_paused(True)
    house.send(publication, (160, inter("lost")))
    subscription.set_paused(False)
    house.send(publication, (200, inter("P5")))
    assert sink.take() == "P5@200"
    subscription.receive_video(False)
    subscription.receive_video(True)
    house.send(publication, (240, inter("P6")))
    assert sink.take() == "AAC@240 AVC@240 P6@240"
    assert house.stream.stats.totals.drops == {"slow_video": 1}


def test_frames_before_the_header_wait_for_it_even_if_players_start_live() -> None:
    house = House(EngineLimits(start=StartPolicy.LIVE))
    sink, _ = house.play(PlayOptions(start=StartPolicy.LIVE))
    publication = house.publish()
    house.send(publication, (0, inter("lost")), (40, AVC_HEADER), (40, inter()))
    assert sink.take() == "AVC@40 P@40"
    assert house.stream.stats.totals.drops == {"no_header": 1}


def test_a_wait_for_a_keyframe_that_does_not_come_ends(scene: Scene) -> None:
    scene.subscription.set_paused(True)
    scene.subscription.set_paused(False)
    for second in range(31):
        scene.house.loop.now = float(second)
        scene.send((1000 * second, inter(f"P{second}")))
    assert scene.sink.take() == "P30@30000"
    assert scene.subscription.fast
    assert scene.house.stats.keyframe_timeouts == 1
    assert scene.drops == {"waiting_keyframe": 30}


def test_time_in_which_it_could_not_have_had_a_frame_is_no_wait_for_a_keyframe(scene: Scene) -> None:
    scene.congest(1001)
    for second in range(20):
        scene.house.loop.now = float(second)
        scene.send((1000 * second, inter()))
    scene.sink.unsent = 0
    scene.house.loop.now = 29.0
    scene.send((29_000, inter()))
    scene.house.loop.now = 58.9
    scene.send((58_900, inter()))
    assert scene.sink.take() == ""
    scene.house.loop.now = 59.0
    scene.send((59_000, inter("P")))
    assert scene.sink.take() == "P@59000"


def test_a_stream_that_never_has_a_keyframe_goes_on_without(scene: Scene) -> None:
    house = House(EngineLimits(keyframe_timeout=5.0))
    sink, _ = house.play()
    publication = house.publish()
    house.send_headers(publication)
    for second in range(7):
        house.loop.now = float(second)
        house.send(publication, (1000 * second, inter(f"P{second}")))
        house.registry.sample(house.loop.now)
    assert sink.take() == "AAC@0 AVC@0 P6@6000"
    assert house.stats.keyframe_timeouts == 1
    assert house.play()[0].take() == "AAC@6000 AVC@6000"


def test_a_stream_whose_keyframe_came_late_has_not_waited_since(scene: Scene) -> None:
    house = House(EngineLimits(keyframe_timeout=5.0))
    publication = house.publish()
    house.send_headers(publication)
    house.send(publication, (0, inter()))
    house.registry.sample(0.0)
    house.send(publication, (40, keyframe()))
    for second in range(20):
        house.registry.sample(float(second))
    assert house.stats.keyframe_timeouts == 0


def test_with_a_timeout_of_0_it_waits_for_ever() -> None:
    house = House(EngineLimits(keyframe_timeout=0.0))
    sink, _ = house.play()
    publication = house.publish()
    house.send_headers(publication)
    for second in range(0, 1000, 100):
        house.loop.now = float(second)
        house.send(publication, (1000 * second, inter()))
        house.registry.sample(house.loop.now)
    assert sink.take() == "AAC@0 AVC@0"


def test_what_a_play_asks_for_is_what_the_rules_say_but_for_who_asks_and_when() -> None:
    origin = Origin(session=7)
    rules = PlayOptions(
        start=StartPolicy.LIVE,
        receive_audio=False,
        receive_video=False,
        policy=SlowPlayerPolicy(max_backlog_bytes=7),
        delay=3.0,
        apart=5,
        audience=False,
    )
    usual = PlayOptions()
    same = [name for name in PlayOptions._fields if getattr(rules, name) == getattr(usual, name)]
    assert same == ["requested_at", "origin"]
    assert rules.of(origin, 5.0) == rules._replace(origin=origin, requested_at=5.0)
