"""Several publications of one stream: one is on air, another goes on at a keyframe, and nobody is closed."""

from __future__ import annotations

import pytest
from engine_kit import (
    AAC_HEADER,
    AVC_HEADER,
    AVC_HEADER_2,
    KEY,
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
from hypothesis import given, settings
from hypothesis import strategies as st

from rtmpd.engine.claim import Claim, ClaimPolicy
from rtmpd.engine.key import StreamKey
from rtmpd.engine.limits import EngineLimits
from rtmpd.engine.origin import NOBODY, Origin
from rtmpd.engine.publication import Publication
from rtmpd.engine.sink import CloseReason, Ending, StartPolicy
from rtmpd.engine.sources import Life
from rtmpd.engine.terms import Terms
from rtmpd.exceptions import ResourceExhausted, StreamBusy

FAR = 5_000_000
"""Where the clock of the second encoder stands when that of the first begins at 0 (ms)."""


class Grace(ClaimPolicy):
    """A throw-away policy: who comes later has the name, who lost its connection 5 s to come back."""

    def supersede(self, claim: Claim) -> CloseReason | None:
        return CloseReason.KICKED

    def resumes(self, _claim: Claim) -> bool:
        return True

    def hold(self, _key: StreamKey, ending: Ending) -> float:
        return 5.0 if ending.reason is CloseReason.CONNECTION_LOST else 0.0


class Studio:
    """A throw-away director: two encoders and a player, on a clock that moves with what is sent."""

    def __init__(self, policy: ClaimPolicy | None = None, limits: EngineLimits | None = None) -> None:
        self.house = House(limits or EngineLimits())
        self.house.loop.now = 100.0
        self.policy = policy or ClaimPolicy()
        self.a = self.publish()
        self.send(self.a, (0, AAC_HEADER), (0, AVC_HEADER), (0, keyframe("A0")))
        self.sink, self.subscription = self.house.play()
        self.sink.take()

    def publish(self, origin: Origin = NOBODY) -> Publication:
        """Beside whatever is there."""
        now = self.house.loop.now
        return self.house.registry._stream(KEY).add_publication(
            FakePublisher(), origin, now, Terms(self.policy)
        )

    def claim(self, origin: Origin = NOBODY) -> Publication:
        registry, now = self.house.registry, self.house.loop.now
        return registry.claim(KEY, FakePublisher(), origin, now, self.policy)

    def send(self, publication: Publication, *media: tuple[int, bytes]) -> None:
        self.house.send(publication, *media)

    def wait(self, seconds: float) -> None:
        self.house.loop.run(self.house.loop.now + seconds)

    def sample(self, seconds: float) -> None:
        """Time goes by, and the registry looks once a second."""
        for _ in range(int(seconds)):
            self.wait(1.0)
            self.house.registry.sample(self.house.loop.now)

    def standby(self) -> Publication:
        """A second encoder with another picture and the same sound, which has sent a picture."""
        b = self.publish()
        self.send(b, (FAR, AAC_HEADER), (FAR, AVC_HEADER_2), (FAR, keyframe("B0")), (FAR + 40, inter("B1")))
        return b


def times(words: list[str]) -> list[int]:
    return [int(word.partition("@")[2]) for word in words]


def rises(words: list[str]) -> bool:
    """Frames only: headers have the time of the frame that they stand before."""
    frames = [word for word in words if not word.startswith(("AVC", "AAC", "meta"))]
    return all(first < second for first, second in zip(times(frames), times(frames)[1:], strict=False))


def test_a_switch_happens_at_a_keyframe_and_time_goes_on() -> None:
    studio = Studio()
    b = studio.standby()
    studio.wait(0.04)
    studio.send(studio.a, (40, inter("A1")), (45, sound("a1")))
    studio.house.stream.switch(b)
    studio.wait(0.04)
    studio.send(b, (FAR + 80, inter("B2")))
    studio.send(studio.a, (80, inter("A2")))
    studio.wait(0.02)
    studio.send(b, (FAR + 120, keyframe("B3")), (FAR + 130, sound("b3")), (FAR + 160, inter("B4")))
    studio.send(studio.a, (120, keyframe("A3")), (160, inter("A4")))
    words = studio.sink.words
    assert words == ["A1@40", "a1@45", "A2@80", "AVC2@120", "B3@120", "b3@130", "B4@160"]
    assert rises(words)
    assert studio.sink.calls == []
    assert studio.house.stream.publication is b
    assert (studio.a.closed, b.closed) == (False, False)


def test_what_is_pending_of_the_other_one_goes_out_before() -> None:
    studio = Studio()
    b = studio.standby()
    studio.house.stream.switch(b)
    loop = studio.house.loop
    for publication, timestamp, payload in (
        (studio.a, 40, inter("A1")),
        (b, FAR + 80, keyframe("B2")),
        (studio.a, 80, inter("A2")),
        (b, FAR + 120, inter("B3")),
    ):
        publication.receive(message(timestamp, payload), loop.now)
    assert studio.sink.take() == "A1@40 AVC2@80"
    loop.run()
    assert studio.sink.take() == "B2@80 B3@120"


def test_only_what_differs_is_sent_of_the_headers() -> None:
    studio = Studio()
    studio.send(studio.a, (0, metadata(width=640)))
    b = studio.publish()
    studio.send(b, (FAR, metadata(width=640)), (FAR, AAC_HEADER), (FAR, AVC_HEADER))
    studio.house.stream.switch(b)
    studio.sink.take()
    studio.send(b, (FAR, keyframe("B0")))
    assert studio.sink.take() == "B0@40"
    studio.house.stream.switch(studio.a)
    studio.send(studio.a, (40, metadata(width=1280)), (40, AVC_HEADER_2), (40, keyframe("A1")))
    assert studio.sink.take() == "meta@80 AVC2@80 A1@80"


def test_who_joins_finds_the_one_on_air_in_its_time() -> None:
    studio = Studio()
    b = studio.standby()
    early, _ = studio.house.play()
    assert early.take() == "AAC@0 AVC@0 A0@0"
    studio.house.stream.switch(b)
    studio.wait(0.5)
    studio.send(b, (FAR + 80, keyframe("B2")), (FAR + 120, inter("B3")))
    late, _ = studio.house.play()
    assert late.take() == "AAC@500 AVC2@500 B2@500 B3@540"
    studio.send(b, (FAR + 160, inter("B4")))
    assert (late.take(), early.words[-1]) == ("B4@580", "B4@580")


def test_who_joins_between_the_switch_and_the_next_flush_gets_everything_once() -> None:
    studio = Studio()
    b = studio.standby()
    studio.house.stream.switch(b)
    for timestamp, payload in ((FAR + 80, keyframe("B2")), (FAR + 120, inter("B3"))):
        b.receive(message(timestamp, payload), studio.house.loop.now)
    late, _ = studio.house.play()
    studio.house.loop.run()
    assert late.take() == "AAC@40 AVC2@40 B2@40 B3@80"
    assert studio.sink.take() == "AVC2@40 B2@40 B3@80"


def test_it_goes_back_and_forth() -> None:
    studio = Studio()
    b = studio.standby()
    for number in range(1, 5):
        to = b if studio.house.stream.publication is studio.a else studio.a
        studio.house.stream.switch(to)
        studio.wait(1.0)
        for publication, base, name in ((studio.a, 0, "A"), (b, FAR, "B")):
            at = base + number * 1000
            studio.send(publication, (at, keyframe(f"{name}k{number}")), (at + 40, inter(f"{name}p{number}")))
    words = studio.sink.words
    assert [word.partition("@")[0] for word in words] == [
        "Ak1", "Ap1", "AVC2", "Bk1", "Bp1", "AVC", "Ak2", "Ap2",
        "Ak3", "Ap3", "AVC2", "Bk3", "Bp3", "AVC", "Ak4", "Ap4",
    ]  # fmt: skip
    assert rises(words)


@pytest.mark.parametrize("behaviour", ["paused", "audio only", "behind"])
def test_who_misses_the_switch_gets_all_headers_before_its_next_frame(behaviour: str) -> None:
    studio = Studio()
    sink, subscription = studio.house.play(sink=FakeSink())
    sink.take()
    b = studio.standby()
    match behaviour:
        case "paused":
            subscription.set_paused(True)
        case "audio only":
            subscription.receive_video(False)
        case "behind":
            sink.unsent = 100 * 1024 * 1024
            sink.pause()
            studio.send(studio.a, (40, inter("A1")))
    sink.take()
    studio.house.stream.switch(b)
    studio.send(b, (FAR + 80, keyframe("B2")), (FAR + 120, sound("b2")))
    assert sink.take() == ("b2@80" if behaviour == "audio only" else "")
    match behaviour:
        case "paused":
            subscription.set_paused(False)
        case "audio only":
            subscription.receive_video(True)
        case "behind":
            sink.unsent = 0
            sink.resume()
    studio.send(b, (FAR + 160, keyframe("B3")))
    assert [word.partition("@")[0] for word in sink.take().split()] == ["AAC", "AVC2", "B3"]
    assert sink.calls == []


def test_sound_that_lags_behind_the_keyframe_is_left_out() -> None:
    studio = Studio()
    b = studio.standby()
    studio.send(studio.a, (40, inter("A1")), (60, sound("a1")))
    studio.house.stream.switch(b)
    studio.send(b, (FAR + 80, keyframe("B2")), (FAR + 60, sound("b1")), (FAR + 85, sound("b2")))
    words = studio.sink.words
    assert words == ["A1@40", "a1@60", "AVC2@100", "B2@100", "b2@105"]
    assert studio.house.stream.stats.totals.drops == {"before_switch": 1}
    studio.send(b, (FAR - 60_000, inter("B3")))
    # A clock that is set back is the encoder's, as ever.
    assert studio.sink.words[-1] == "B3@-59980"


def test_a_header_that_lags_behind_the_keyframe_is_not() -> None:
    studio = Studio()
    b = studio.standby()
    studio.house.stream.switch(b)
    studio.send(b, (FAR + 80, keyframe("B2")), (FAR + 60, AVC_HEADER), (FAR + 90, keyframe("B3")))
    assert [word.partition("@")[0] for word in studio.sink.words] == ["AVC2", "B2", "AVC", "B3"]
    assert studio.house.stream.stats.totals.drops == {}


def test_it_needs_a_keyframe_that_can_be_decoded() -> None:
    studio = Studio()
    b = studio.publish()
    studio.house.stream.switch(b)
    studio.send(b, (FAR, keyframe("B0")), (FAR + 10, inter("B1")))
    assert studio.sink.take() == ""
    studio.send(b, (FAR + 40, AVC_HEADER_2), (FAR + 40, keyframe("B2")))
    assert studio.sink.take() == "AVC2@40 B2@40"


def test_a_publication_of_sound_alone_begins_with_sound() -> None:
    studio = Studio()
    b = studio.publish()
    studio.house.stream.switch(b)
    studio.send(b, (FAR, sound("b0")))
    assert studio.sink.take() == ""
    studio.send(b, (FAR, AAC_HEADER), (FAR + 20, sound("b1")), (FAR + 40, sound("b2")))
    assert studio.sink.take() == "b1@40 b2@60"


def test_one_that_announces_video_does_not_begin_with_sound() -> None:
    studio = Studio()
    b = studio.publish()
    studio.house.stream.switch(b)
    studio.send(b, (FAR, AAC_HEADER), (FAR, AVC_HEADER_2), (FAR, sound("b0")), (FAR + 10, inter("B0")))
    assert studio.sink.take() == ""
    studio.send(b, (FAR + 20, keyframe("B1")))
    assert studio.sink.take() == "AVC2@40 B1@40"


def test_where_players_begin_live_any_frame_will_do() -> None:
    studio = Studio(limits=EngineLimits(start=StartPolicy.LIVE))
    b = studio.publish()
    studio.house.stream.switch(b)
    studio.send(b, (FAR, AVC_HEADER_2), (FAR, inter("B0")), (FAR + 40, disposable("B1")))
    assert studio.sink.take() == "AVC2@40 B0@40 B1@80"


def test_an_heir_that_leaves_changes_nothing() -> None:
    studio = Studio()
    b = studio.standby()
    studio.house.stream.switch(b)
    b.close(CloseReason.CONNECTION_LOST)
    studio.send(studio.a, (40, inter("A1")), (80, keyframe("A2")))
    assert studio.sink.take() == "A1@40 A2@80"
    assert studio.house.stream.holder is studio.a
    assert studio.house.stats.publishers == 1


def test_a_switch_can_be_called_off() -> None:
    studio = Studio()
    b = studio.standby()
    studio.house.stream.switch(b)
    studio.house.stream.switch(studio.a)
    studio.send(b, (FAR + 80, keyframe("B2")))
    assert studio.sink.take() == ""


def test_nobody_is_waited_for_who_has_ended() -> None:
    studio = Studio()
    b = studio.standby()
    b.close(CloseReason.FINISHED)
    studio.house.stream.switch(b)
    assert studio.house.stream.holder is studio.a


def test_an_heir_that_ends_while_the_others_are_written_to_does_not_go_on() -> None:
    studio = Studio()
    b = studio.standby()
    studio.house.stream.switch(b)
    loop = studio.house.loop
    studio.sink.on_write = lambda: b.close(CloseReason.KICKED)
    studio.a.receive(message(40, inter("A1")), loop.now)
    b.receive(message(FAR + 80, keyframe("B2")), loop.now)
    studio.send(studio.a, (80, inter("A2")))
    assert studio.house.stream.publication is studio.a
    assert studio.sink.take() == "A1@40 A2@80"


def test_a_keyframe_that_comes_while_others_are_written_to_is_not_the_one_to_begin_with() -> None:
    studio = Studio()
    b = studio.standby()
    studio.house.stream.switch(b)

    def meddle() -> None:
        studio.sink.on_write = None
        b.receive(message(FAR + 80, keyframe("B2")), studio.house.loop.now)

    studio.sink.on_write = meddle
    studio.send(studio.a, (40, inter("A1")), (80, inter("A2")))
    assert studio.sink.take() == "A1@40 A2@80"
    studio.send(b, (FAR + 120, keyframe("B3")))
    assert studio.sink.take() == "AVC2@120 B3@120"


def test_who_was_not_promised_a_medium_is_told_of_it() -> None:
    studio = Studio()
    house = studio.house
    for second in range(1, 9):
        studio.sample(1.0)
        studio.send(studio.a, (second * 1000, keyframe(f"A{second}")))
    late, _ = house.play()
    assert late.take() == "AVC@8000 A8@8000"
    b = studio.publish()
    studio.send(b, (FAR, AAC_HEADER), (FAR, AVC_HEADER))
    house.stream.switch(b)
    studio.send(b, (FAR, keyframe("B0")), (FAR + 10, sound("b0")))
    assert late.take() == "AAC@8040 B0@8040 b0@8050"


def test_images_are_kept_of_the_one_on_air_only() -> None:
    studio = Studio()
    gop = studio.a.intake.gop
    studio.send(studio.a, (40, keyframe("k" * 200_000)))
    assert gop.charged_bytes > 400_000
    b = studio.standby()
    studio.house.stream.switch(b)
    studio.send(b, (FAR + 80, keyframe("B2")))
    assert 200_000 < gop.charged_bytes < 250_000


# -- takeover, and holding


def test_who_takes_a_name_over_keeps_its_audience() -> None:
    studio = Studio(Grace())
    studio.wait(2.0)
    b = studio.claim(Origin(address="192.0.2.2"))
    assert studio.a.ending == Ending(CloseReason.KICKED, by=b.origin)
    assert studio.house.stream.life is Life.HOLDING
    studio.send(b, (FAR, AAC_HEADER), (FAR, AVC_HEADER_2), (FAR + 40, inter("B0")))
    studio.sample(3.0)
    assert studio.sink.take() == ""
    studio.send(b, (FAR + 3000, keyframe("B1")))
    assert studio.sink.take() == "AVC2@5000 B1@5000"
    assert studio.sink.calls == []
    assert studio.house.stream.life is Life.LIVE
    assert studio.house.stats.publishers == 1


def test_an_encoder_that_comes_back_in_time_goes_on() -> None:
    studio = Studio(Grace())
    studio.a.close(CloseReason.CONNECTION_LOST)
    assert studio.house.stream.held_since is None  # Nobody has looked.
    studio.sample(1.0)
    held_since = studio.house.loop.now
    studio.sample(3.0)
    assert studio.house.stream.held_since == held_since
    assert (studio.house.stream.life, studio.sink.calls) == (Life.HOLDING, [])
    waiting, _ = studio.house.play()
    assert waiting.take() == "AAC@0 AVC@0"
    b = studio.claim()
    studio.send(b, (0, AAC_HEADER), (0, AVC_HEADER), (0, keyframe("B0")), (40, inter("B1")))
    assert studio.sink.take() == "B0@4000 B1@4040"
    assert waiting.take() == "B0@4000 B1@4040"
    assert (studio.sink.calls, waiting.calls) == ([], [])


def test_an_audience_is_held_as_long_as_it_was_said_and_no_longer() -> None:
    studio = Studio(Grace())
    studio.a.close(CloseReason.CONNECTION_LOST)
    studio.sample(5.0)
    assert studio.sink.calls == []
    studio.sample(1.0)
    assert studio.sink.calls == ["ended"]
    assert studio.house.stream.life is Life.IDLE
    assert studio.house.registry.budget.used == 0
    again = studio.claim()
    studio.send(again, (0, AVC_HEADER), (0, keyframe("B0")))
    assert studio.sink.calls == ["ended", "started"]
    assert studio.sink.take() == "AVC@0 B0@0"


def test_an_audience_is_held_as_long_every_time() -> None:
    studio = Studio(Grace())
    studio.a.close(CloseReason.CONNECTION_LOST)
    studio.sample(4.0)
    b = studio.claim()
    studio.send(b, (0, AVC_HEADER), (0, keyframe("B0")))
    b.close(CloseReason.CONNECTION_LOST)
    studio.sample(5.0)
    assert studio.sink.calls == []
    studio.sample(1.0)
    assert studio.sink.calls == ["ended"]


def test_an_audience_is_held_for_who_has_come_already() -> None:
    studio = Studio(Grace())
    b = studio.claim()
    studio.send(b, (FAR, AVC_HEADER_2))
    studio.sample(30.0)
    assert studio.sink.calls == []
    b.close(CloseReason.FINISHED)
    studio.sample(1.0)
    assert studio.sink.calls == ["ended"]


@pytest.mark.parametrize("answer", [LookupError("a bug"), None, -1.0, float("nan")])
def test_a_policy_that_fails_holds_nobody(
    answer: object, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def hold(_key: StreamKey, _ending: Ending) -> object:
        if isinstance(answer, Exception):
            raise answer
        return answer

    policy = ClaimPolicy()
    monkeypatch.setattr(ClaimPolicy, "hold", staticmethod(hold))
    studio = Studio(policy)
    studio.a.close(CloseReason.CONNECTION_LOST)
    assert studio.sink.calls == ["ended"]
    assert studio.house.stream.life is Life.IDLE
    told = [record.message for record in caplog.records if record.exc_info]
    assert told == ([] if isinstance(answer, float) else ["claim policy failed"])


def test_an_end_in_order_is_told_at_once() -> None:
    studio = Studio(Grace())
    studio.a.close(CloseReason.FINISHED)
    assert studio.sink.calls == ["ended"]
    assert studio.house.stream.life is Life.IDLE


def test_nobody_is_held_where_nobody_is() -> None:
    studio = Studio(Grace())
    studio.subscription.detach()
    studio.a.close(CloseReason.CONNECTION_LOST)
    assert dict(studio.house.registry.streams) == {}


def test_the_last_who_leaves_ends_the_holding() -> None:
    studio = Studio(Grace())
    studio.a.close(CloseReason.CONNECTION_LOST)
    studio.subscription.detach()
    assert dict(studio.house.registry.streams) == {}
    assert studio.house.registry.budget.used == 0


def test_one_that_stands_by_goes_on_when_the_other_ends() -> None:
    studio = Studio()
    b = studio.standby()
    studio.a.close(CloseReason.FINISHED)
    assert studio.house.stream.life is Life.HOLDING
    studio.wait(1.0)
    studio.send(b, (FAR + 80, keyframe("B2")))
    assert studio.sink.take() == "AVC2@1000 B2@1000"
    assert studio.sink.calls == []


def test_the_newest_of_those_that_stand_by_goes_on() -> None:
    studio = Studio()
    b, c = studio.standby(), studio.standby()
    studio.a.close(CloseReason.FINISHED)
    studio.send(b, (FAR + 80, keyframe("B2")))
    assert studio.sink.take() == ""
    studio.send(c, (FAR + 80, keyframe("C2")))
    assert studio.sink.take() == "AVC2@1 C2@1"
    assert studio.house.stream.publication is c


def test_without_an_audience_too() -> None:
    studio = Studio()
    studio.subscription.detach()
    b = studio.standby()
    studio.a.close(CloseReason.FINISHED)
    assert studio.house.stream.life is Life.IDLE
    sink, _ = studio.house.play()
    assert sink.calls == []
    studio.send(b, (FAR + 80, keyframe("B2")))
    assert sink.calls == ["started"]
    assert sink.take() == f"AAC@{FAR + 80} AVC2@{FAR + 80} B2@{FAR + 80}"


def test_an_heir_can_be_superseded_too() -> None:
    studio = Studio(Grace())
    b = studio.publish()
    studio.house.stream.switch(b)
    c = studio.claim()
    assert (studio.a.closed, b.closed) == (False, True)
    studio.send(studio.a, (40, inter("A1")))
    studio.send(c, (FAR, AVC_HEADER_2), (FAR, keyframe("C0")))
    assert studio.sink.take() == "A1@40 AVC2@80 C0@80"


def test_a_name_that_has_an_heir_is_his() -> None:
    studio = Studio(Grace())
    b = studio.claim()
    studio.policy = ClaimPolicy()
    with pytest.raises(StreamBusy):
        studio.claim()
    assert not b.closed


def test_each_publication_has_figures_of_its_own_and_the_stream_has_totals() -> None:
    studio = Studio()
    b = studio.standby()
    assert (studio.a.stats.keyframes, b.stats.keyframes) == (1, 1)
    studio.house.stream.switch(b)
    studio.send(b, (FAR + 80, keyframe("B2")))
    assert studio.house.stream.stats is b.stats
    assert b.stats.totals is studio.a.stats.totals
    assert b.silent_for(studio.house.loop.now + 3.0) == 3.0


def test_all_that_was_held_is_given_back() -> None:
    studio = Studio(Grace())
    b = studio.standby()
    studio.house.stream.switch(b)
    studio.send(b, (FAR + 80, keyframe("B2")))
    c = studio.standby()
    for publication in (c, studio.a, b):
        publication.close(CloseReason.FINISHED)
    studio.subscription.detach()
    assert dict(studio.house.registry.streams) == {}
    assert studio.house.registry.budget.used == 0
    assert (studio.house.stats.publishers, studio.house.stats.published_streams) == (0, 0)


def test_a_second_publication_makes_no_room_for_names_that_are_waited_for() -> None:
    studio = Studio(limits=EngineLimits(max_waiting_names=1))
    studio.publish()
    studio.house.play(key=StreamKey("live", "one"))
    with pytest.raises(ResourceExhausted):
        studio.house.play(key=StreamKey("live", "two"))


def test_ceilings_count_every_publication() -> None:
    studio = Studio(limits=EngineLimits(max_publishers=2, max_publishers_per_network=1))
    studio.publish(Origin(network="192.0.2.1"))
    with pytest.raises(ResourceExhausted) as refused:
        studio.house.publish(StreamKey("live", "other"))
    assert refused.value.reason == "publishers"
    studio.a.close(CloseReason.FINISHED)
    with pytest.raises(ResourceExhausted) as refused:
        studio.house.publish(StreamKey("live", "other"), Origin(network="192.0.2.1"))
    assert refused.value.reason == "publishers_per_address"


def test_memory_is_given_back_by_every_cache() -> None:
    studio = Studio()
    b = studio.publish()
    studio.send(b, (FAR, AVC_HEADER_2), (FAR, keyframe("k" * 100_000)), (FAR + 40, inter("p" * 100_000)))
    stream = studio.house.stream
    assert stream.gop_charged_bytes > 200_000
    for _ in range(3):
        stream.trim()
    assert stream.gop_charged_bytes == 0


# -- whatever two encoders and their director do

STEPS = st.sampled_from(["aK", "aP", "as", "bK", "bP", "bs", "to a", "to b", "run", "join"])


def check(words: list[str]) -> None:
    """No player sees a frame without its header, out of time, or of another than the last keyframe."""
    header, encoder, last = "", "", -1
    for word in words:
        name, _, time = word.partition("@")
        if name in ("AVC", "AVC2"):
            header = {"AVC": "a", "AVC2": "b"}[name]
        elif name != "AAC":
            if name == "A0" or name[1] == "K":
                encoder = name[0].lower()
                assert header == encoder, words
            assert name[0].lower() == encoder or not encoder, words
            assert int(time) > last, words
            last = int(time)


@given(st.lists(STEPS, max_size=60))
@settings(max_examples=150, deadline=None)
def test_nobody_sees_more_than_one_of_them_at_a_time(steps: list[str]) -> None:
    studio = Studio()
    loop = studio.house.loop
    started = loop.now
    encoders = {"a": (studio.a, 0), "b": (studio.standby(), FAR)}
    sinks = [studio.house.play()[0]]
    for number, step in enumerate(steps):
        loop.now += 0.01
        match step.split():
            case ["run"]:
                loop.run(loop.now)
            case ["join"]:
                sinks.append(studio.house.play()[0])
            case ["to", to]:
                studio.house.stream.switch(encoders[to][0])
            case _:
                publication, base = encoders[step[0]]
                make = {"K": keyframe, "P": inter, "s": sound}[step[1]]
                timestamp = base + 100 + round((loop.now - started) * 1000)
                publication.receive(message(timestamp, make(f"{step}{number}")), loop.now)
    loop.run(loop.now)
    for sink in sinks:
        check(sink.words)
        assert sink.calls == []
