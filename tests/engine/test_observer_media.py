"""What observers are told of how a publication gets on: media, codecs, warnings, and the stream's own end."""

from __future__ import annotations

from engine_kit import (
    AAC_HEADER,
    AVC_HEADER,
    HEVC_HEADER,
    KEY,
    FakePublisher,
    House,
    inter,
    keyframe,
    message,
    sound,
)

from rtmpd.engine.checkup import NO_MEDIA_AFTER
from rtmpd.engine.claim import REFUSE, Claim, ClaimPolicy
from rtmpd.engine.health import CALM_AFTER, Health, HealthKind, HealthNews, HealthWarning
from rtmpd.engine.key import StreamKey
from rtmpd.engine.observer import StreamObserver
from rtmpd.engine.origin import NOBODY
from rtmpd.engine.publication import Codecs, Publication
from rtmpd.engine.sink import CloseReason, Ending

MP3 = b"\x2fmp3"
HEVC_KEY = b"\x91hvc1" + bytes(8)


class Witness(StreamObserver):
    """Writes down what it is told beside who comes and goes."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.words: list[str] = []
        house.registry.observe(self)

    def media_started(self, publication: Publication, codecs: Codecs) -> None:
        self.words.append(f"media {codecs.video} {codecs.audio}")

    def codecs_changed(self, publication: Publication, before: Codecs, after: Codecs) -> None:
        self.words.append(f"{before.video}+{before.audio} to {after.video}+{after.audio}")

    def warned(self, publication: Publication, kind: HealthKind, warning: HealthWarning) -> None:
        self.words.append(f"{kind} {warning.figures['seconds']:.0f}")

    def warning_over(self, publication: Publication, kind: HealthKind) -> None:
        self.words.append(f"{kind} over")

    def unpublished(self, publication: Publication) -> None:
        self.words.append("unpublished")

    def held(self, publication: Publication) -> None:
        self.words.append("held")

    def resumed(self, publication: Publication, outage: float) -> None:
        self.words.append(f"resumed {outage:.1f}")

    def ended(self, publication: Publication) -> None:
        self.words.append("ended")

    def take(self) -> list[str]:
        """What was written down since the last time."""
        self.house.loop.run(self.house.loop.now)
        words, self.words = self.words, []
        return words


class Grace(ClaimPolicy):
    """Who lost its connection has 5 s to come back."""

    def supersede(self, _claim: Claim, /) -> CloseReason | None:
        return CloseReason.KICKED

    def hold(self, _key: StreamKey, ending: Ending, /) -> float:
        return 5.0 if ending.reason is CloseReason.CONNECTION_LOST else 0.0


def test_media_start_once_with_the_first_keyframe() -> None:
    house = House()
    witness = Witness(house)
    publication = house.publish()
    house.send(publication, (0, AAC_HEADER), (0, AVC_HEADER))
    house.registry.sample(1.0)
    assert witness.take() == []
    house.send(publication, (0, keyframe()), (0, sound()), (40, inter()), (2000, keyframe()))
    house.registry.sample(2.0)
    assert witness.take() == ["media avc1 mp4a"]


def test_media_without_a_keyframe_start_at_the_next_look() -> None:
    house = House()
    witness = Witness(house)
    publication = house.publish()
    house.send(publication, (0, AAC_HEADER), (0, sound()))
    assert witness.take() == []
    house.registry.sample(1.0)
    assert witness.take() == ["media None mp4a"]


def test_codecs_that_are_others_are_told_with_those_before() -> None:
    house = House()
    witness = Witness(house)
    publication = house.publish()
    house.send(publication, (0, AVC_HEADER), (0, keyframe()), (10, AAC_HEADER))
    house.send(publication, (20, HEVC_HEADER), (20, HEVC_KEY), (40, MP3), (60, MP3))
    assert witness.take() == [
        "media avc1 None",
        "avc1+None to avc1+mp4a",
        "avc1+mp4a to hvc1+mp4a",
        "hvc1+mp4a to hvc1+.mp3",
    ]


def test_codecs_that_change_all_the_time_are_told_once_a_second() -> None:
    """Whoever sends two in turn does not drown what others have to tell."""
    house = House()
    witness = Witness(house)
    publication = house.publish()
    house.send(publication, (0, AVC_HEADER), (0, keyframe()))
    for time in range(1000):
        house.send(publication, (time, keyframe()), (time, HEVC_KEY))
    changes = witness.take()[1:]
    assert len(changes) < 10
    house.registry.sample(3.0)
    # In the end it is what there is.
    assert witness.take() == ["avc1+None to hvc1+None"]


def test_nothing_is_told_of_who_has_left() -> None:
    house = House()
    witness = Witness(house)
    publication = house.publish()
    house.send(publication, (0, AVC_HEADER))
    publication.close(CloseReason.FINISHED)
    house.send(publication, (0, keyframe()))
    publication.sample(1.0)
    assert witness.take() == ["unpublished", "ended"]


def test_warnings_are_told_when_they_begin_and_when_they_have_been_over_for_a_while() -> None:
    house = House()
    witness = Witness(house)
    publication = house.publish()
    for second in range(int(NO_MEDIA_AFTER) + 3):
        house.registry.sample(float(second))
    assert witness.take() == ["no_media 7"]
    house.loop.now = 8.0
    house.send(publication, (0, AVC_HEADER), (0, keyframe()))
    for second in range(8, 8 + int(CALM_AFTER) - 1):
        house.registry.sample(float(second))
    assert witness.take() == ["media avc1 None"]
    house.registry.sample(8.0 + CALM_AFTER)
    assert witness.take() == ["no_media over"]


def test_a_warning_that_comes_and_goes_is_told_once() -> None:
    health, news = Health(), HealthNews()
    told = []
    for second in range(100):
        health.clear(HealthKind.GOP_TOO_LONG)
        if second % 8 == 0:
            health.raise_warning(HealthKind.GOP_TOO_LONG, float(second), overflows=second)
        told += [warning is not None for _, warning in news.since_last(health.active, float(second))]
    assert told == [True]
    assert [kind for kind, _ in news.since_last({}, 110.0)] == ["gop_too_long"]
    assert news.since_last({}, 120.0) == []


def test_a_stream_ends_with_its_publisher_where_nobody_waits_for_another() -> None:
    house = House()
    witness = Witness(house)
    house.play()
    house.publish().close(CloseReason.CONNECTION_LOST)
    assert witness.take() == ["unpublished", "ended"]


def claim(house: House, policy: ClaimPolicy = REFUSE) -> Publication:
    return house.registry.claim(KEY, FakePublisher(), NOBODY, house.loop.now, policy)


def test_a_stream_that_is_held_is_resumed_or_ends() -> None:
    house = House()
    witness = Witness(house)
    house.play()
    first = claim(house, Grace())
    house.send(first, (0, AVC_HEADER), (0, keyframe()))
    first.close(CloseReason.CONNECTION_LOST)
    assert witness.take() == ["media avc1 None", "unpublished", "held"]
    house.loop.now = 2.5
    second = claim(house, Grace())
    house.send(second, (0, AVC_HEADER))
    assert witness.take() == []
    house.send(second, (0, keyframe()))
    assert witness.take() == ["resumed 2.5", "media avc1 None"]
    second.close(CloseReason.CONNECTION_LOST)
    for second_later in (3.0, 7.0, 8.0):
        house.registry.sample(second_later)
    assert witness.take() == ["unpublished", "held", "ended"]


def test_a_stream_that_is_held_ends_with_the_last_who_waits() -> None:
    house = House()
    witness = Witness(house)
    _, subscription = house.play()
    publication = claim(house, Grace())
    publication.receive(message(0, keyframe()), 0.0)
    publication.close(CloseReason.CONNECTION_LOST)
    subscription.detach()
    assert witness.take() == ["media avc1 None", "unpublished", "held", "ended"]


def test_who_takes_over_resumes() -> None:
    house = House()
    witness = Witness(house)
    house.play()
    first = claim(house, Grace())
    house.send(first, (0, AVC_HEADER), (0, keyframe()))
    house.loop.now = 0.5
    second = claim(house, Grace())
    house.send(second, (0, AVC_HEADER), (0, keyframe()))
    assert witness.take() == ["media avc1 None", "unpublished", "held", "resumed 0.5", "media avc1 None"]
