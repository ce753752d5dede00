"""What the service levels are made of: requests by fault, joins, seconds without media by cause."""

from __future__ import annotations

import pytest
from engine_kit import KEY, FakePublisher, House, inter, keyframe

from rtmpd.engine.claim import ClaimPolicy
from rtmpd.engine.key import StreamKey
from rtmpd.engine.levels import JoinEnd, Levels, Outage
from rtmpd.engine.limits import EngineLimits
from rtmpd.engine.origin import NOBODY, Origin
from rtmpd.engine.publication import Publication
from rtmpd.engine.sink import CloseReason, Ending, PlayOptions, SlowPlayerPolicy
from rtmpd.reasons import Fault, Refusal

OURS = {
    "max_connections",
    "files",
    "shutdown",
    "jwt_keys_unavailable",
    "publishers",
    "players",
    "memory",
    "file_unreadable",
    "backend_failed",
    "authorizer_failed",
    "claim_failed",
}
THEIRS = {
    *("max_connections_per_address", "max_pending", "max_pending_per_address", "connect_rate", "banned"),
    *("name_empty", "name_too_long", "name_character", "name_level", "name_reserved", "address_refused"),
    *("key_wrong", "key_expired", "key_revoked", "key_as_name", "user_asked", "authentication_failed"),
    "link_malformed",
    *("link_signature", "link_expired", "link_lifetime", "link_address", "jwt_malformed", "jwt_algorithm"),
    *("jwt_signature", "jwt_key_unknown", "jwt_audience", "jwt_expired", "jwt_not_yet", "jwt_names"),
    *("not_proven", "not_local", "nobody", "video_codec", "audio_codec", "resolution", "bitrate"),
    *("keyframe_interval", "stream_busy", "relay_loop", "relay_hops", "publish_rate", "play_rate"),
    *("publishers_per_address", "publishers_per_app", "players_per_stream", "players_per_app"),
    *("track_choices", "no_track", "waiting_names", "waiting_names_per_address", "backend_refused", "start"),
    *("waits", "token_over", "not_the_cdn", "viewers_per_address", "start_over"),
}


class Keep(ClaimPolicy):
    """Players are kept for a minute."""

    def hold(self, _key: StreamKey, _ending: Ending, /) -> float:
        return 60.0


class Clockwork(House):
    """A house that is looked at each second, with the usual limits for silence."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.registry.apply(EngineLimits(idle_publisher_timeout=1e9, first_media_timeout=1e9))

    def publish(self, key: StreamKey = KEY, origin: Origin = NOBODY) -> Publication:
        return self.registry.claim(key, FakePublisher(), origin, self.loop.now, Keep())

    def wait(self, seconds: int, publication: Publication | None = None) -> None:
        """With a key frame half a second before each look, of a ``publication`` that sends."""
        if publication is not None:
            self.send_headers(publication)
        for _ in range(seconds):
            self.loop.now += 0.5
            if publication is not None:
                self.send(publication, (round(self.loop.now * 1000), keyframe()))
            self.loop.now += 0.5
            self.registry.sample(self.loop.now)

    @property
    def levels(self) -> Levels:
        return self.stats.levels


@pytest.fixture
def house() -> Clockwork:
    house = Clockwork()
    house.registry.sample(0.0)
    return house


# -- requests


def test_every_refusal_is_somebodys_fault() -> None:
    """Who adds one says here whether it counts against the server: docs/service-levels.md."""
    assert {word for word in Refusal if word.fault is Fault.SERVER} == OURS
    assert {word for word in Refusal if word.fault is Fault.CLIENT} == THEIRS


def test_refusals_count_by_fault() -> None:
    levels = Levels()
    levels.note_refused("publish", Refusal.KEY_WRONG)
    levels.note_refused("publish", Refusal.MEMORY)
    levels.note_granted("publish")
    assert (levels.granted, levels.refused, levels.failed) == ({"publish": 1},) * 3


# -- joins


def test_a_join_succeeds_with_its_first_frame_and_counts_once(house: Clockwork) -> None:
    publication = house.publish()
    house.send_headers(publication)
    _, player = house.play()
    assert house.levels.joins == {}
    house.send(publication, (0, keyframe()), (40, inter()))
    house.play()
    player.detach()
    house.wait(20, publication)
    assert house.levels.joins == {JoinEnd.FIRST_FRAME: 2}


def test_who_gets_nothing_of_what_flows_for_ten_seconds_has_joined_in_vain(house: Clockwork) -> None:
    publication = house.publish()
    house.send_headers(publication)

    def frames_without_a_keyframe(seconds: int) -> None:
        for _ in range(seconds):
            house.loop.now += 1.0
            house.send(publication, (round(house.loop.now * 1000), inter()))
            house.registry.sample(house.loop.now)

    house.play()
    paused = house.play()[1]
    paused.set_paused(True)
    relay = house.play(PlayOptions(audience=False))[1]
    frames_without_a_keyframe(9)
    assert house.levels.joins == {}
    frames_without_a_keyframe(2)
    assert house.levels.joins == {JoinEnd.TOO_LATE: 1}
    # Late is late, and counts once.
    house.send(publication, (99_000, keyframe()))
    assert house.levels.joins == {JoinEnd.TOO_LATE: 1}
    for player in (paused, relay):
        player.detach()
    assert house.levels.joins == {JoinEnd.TOO_LATE: 1, JoinEnd.LEFT: 1}


def test_an_encoder_that_sends_nothing_makes_nobody_late(house: Clockwork) -> None:
    publication = house.publish()
    house.play()
    house.wait(15)
    house.send_headers(publication)
    house.wait(3)
    assert house.levels.joins == {}


@pytest.mark.parametrize(
    ("reason", "end"),
    [
        (CloseReason.FINISHED, JoinEnd.LEFT),
        (CloseReason.KICKED, JoinEnd.LEFT),
        (CloseReason.MEMORY, JoinEnd.FAILED),
        (CloseReason.INTERNAL_ERROR, JoinEnd.FAILED),
    ],
)
def test_who_leaves_before_counts_by_who_wanted_it_so(
    house: Clockwork, reason: CloseReason, end: JoinEnd
) -> None:
    _, before = house.play()
    before.detach(reason)
    assert house.levels.joins == {}, "nobody publishes: there was nothing to join"
    house.publish()
    house.play()[1].detach(reason)
    assert house.levels.joins == {end: 1}


# -- continuity


def test_seconds_of_streams_and_players_add_up(house: Clockwork) -> None:
    publication = house.publish()
    house.play()
    house.play()
    house.wait(10, publication)
    assert (house.levels.stream_seconds, house.levels.player_seconds) == (10.0, 20.0)
    assert house.levels.outages == {}


def test_a_stall_counts_from_its_first_moment_once_it_has_lasted(house: Clockwork) -> None:
    publication = house.publish()
    house.wait(5, publication)
    house.wait(1)
    assert house.levels.outages == {}
    house.wait(4)
    assert house.levels.outages == {Outage.ENCODER_STALLED: 5.5}


@pytest.mark.parametrize(
    ("origin", "reason", "cause"),
    [
        (NOBODY, CloseReason.CONNECTION_LOST, Outage.ENCODER_LOST),
        (NOBODY, CloseReason.INTERNAL_ERROR, Outage.SERVER_ENDED),
        (NOBODY, CloseReason.MEMORY, Outage.SERVER_ENDED),
        (Origin(protocol="pull"), CloseReason.CONNECTION_LOST, Outage.RELAY_DOWN),
    ],
)
def test_what_players_are_kept_for_counts_by_who_was_lost(
    house: Clockwork, origin: Origin, reason: CloseReason, cause: Outage
) -> None:
    publication = house.publish(origin=origin)
    house.play()
    house.wait(2, publication)
    publication.close(reason)
    house.wait(9)
    assert house.levels.outages == {cause: 9.5}
    again = house.publish(origin=origin)
    house.wait(5, again)
    assert house.levels.outages[cause] == pytest.approx(9.5, abs=1.0)
    assert house.levels.stream_seconds == 16.0


def test_a_pull_that_stalls_is_no_encoders_fault(house: Clockwork) -> None:
    publication = house.publish(origin=Origin(protocol="pull"))
    house.wait(2, publication)
    house.wait(3)
    assert house.levels.outages == {Outage.RELAY_DOWN: 3.5}


def test_nobody_misses_what_ended_in_order(house: Clockwork) -> None:
    publication = house.publish()
    house.wait(2, publication)
    publication.close(CloseReason.FINISHED)
    house.wait(5)
    assert (house.levels.stream_seconds, house.levels.outages) == (2.0, {})


def test_a_loop_that_was_held_up_costs_every_stream(house: Clockwork) -> None:
    streams = [house.publish(StreamKey("live", name)) for name in ("one", "two")]
    house.levels.note_lag(0.9)
    house.levels.note_lag(3.0)
    for publication in streams:
        house.send(publication, (0, keyframe()))
    for _ in range(2):
        house.loop.now += 0.5
        house.registry.sample(house.loop.now)
    assert house.levels.outages == {Outage.SERVER_LATE: 6.0}


def test_seconds_of_players_that_are_behind_count(house: Clockwork) -> None:
    publication = house.publish()
    house.send_headers(publication)
    sink, _ = house.play()
    sink.stuck = True
    house.send(publication, (0, keyframe("K" * 1_000_000)))
    assert sink.outlet is not None
    sink.outlet.pause_writing(house.loop.now)
    house.wait(45, publication)
    policy = SlowPlayerPolicy()
    assert house.stats.players_closed == {CloseReason.SLOW: 1}
    assert house.levels.behind_seconds == pytest.approx(policy.disconnect_after, abs=1.5)
