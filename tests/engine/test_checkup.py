"""What is noticed about a publication once a second: warnings, and media that joiners are not promised."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from engine_kit import (
    AAC_HEADER,
    AVC_HEADER,
    AVC_HEADER_2,
    FakeSink,
    House,
    inter,
    keyframe,
    metadata,
    sound,
)

from rtmpd.engine.gop import GopLimits
from rtmpd.engine.headers import HeaderLimits
from rtmpd.engine.health import Health, HealthKind
from rtmpd.engine.limits import EngineLimits
from rtmpd.engine.packet import RtmpWire
from rtmpd.engine.publication import Publication
from rtmpd.engine.sink import CloseReason, PlayOptions, StartPolicy

BOTH = metadata(videocodecid=7.0, width=640.0, audiocodecid=10.0, stereo=1.0)


@pytest.fixture
def house() -> House:
    return House()


class Show:
    """A publication that goes on in time: ten steps a second, sampled each second."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.publication: Publication = house.publish()
        self.step = 0

    def say(self, *payloads: bytes) -> None:
        self.house.send(self.publication, *[(self.step * 100, payload) for payload in payloads])

    def run(self, seconds: int, media: Callable[[int], list[bytes]]) -> None:
        for _ in range(seconds * 10):
            self.step += 1
            self.house.loop.now = self.step / 10
            self.say(*media(self.step))
            if self.step % 10 == 0:
                self.house.registry.sample(self.house.loop.now)

    @property
    def warnings(self) -> set[str]:
        return {str(kind) for kind in self.house.stream.health.active}


def picture(step: int) -> list[bytes]:
    return [keyframe() if step % 20 == 1 else inter()]


def noise(step: int) -> list[bytes]:
    return [sound()]


def show(step: int) -> list[bytes]:
    return picture(step) + noise(step)


def nothing(step: int) -> list[bytes]:
    return []


def told(sink: FakeSink) -> set[str]:
    """What the first onMetaData names, and which headers came before the first frame."""
    data = b"".join(sink.writes)
    names = {b"audiocodecid", b"stereo", b"videocodecid", b"width"}
    return (
        {name.decode() for name in names if name in data}
        | ({"AAC"} if AAC_HEADER in data else set())
        | ({"AVC"} if AVC_HEADER in data else set())
    )


EVERYTHING = {"audiocodecid", "stereo", "videocodecid", "width", "AAC", "AVC"}
PICTURE = {"videocodecid", "width", "AVC"}
SOUND = {"audiocodecid", "stereo", "AAC"}


def join(house: House, start: StartPolicy = StartPolicy.GOP) -> FakeSink:
    return house.play(PlayOptions(start=start), sink=FakeSink(RtmpWire(1 << 20, 1)))[0]


# A joiner is not promised a medium that is not flowing


@pytest.mark.parametrize("start", StartPolicy)
@pytest.mark.parametrize(
    ("before", "silent", "promised"),
    [
        pytest.param(nothing, picture, PICTURE, id="audio-never-came"),
        pytest.param(nothing, noise, SOUND, id="video-never-came"),
        pytest.param(show, picture, PICTURE, id="audio-stopped"),
        pytest.param(show, noise, SOUND, id="video-stopped"),
        pytest.param(show, show, EVERYTHING, id="both-flow"),
        pytest.param(show, nothing, EVERYTHING, id="both-stopped"),
    ],
)
def test_what_a_joiner_is_promised(
    house: House,
    start: StartPolicy,
    before: Callable[[int], list[bytes]],
    silent: Callable[[int], list[bytes]],
    promised: set[str],
) -> None:
    running = Show(house)
    running.say(BOTH, AAC_HEADER, AVC_HEADER)
    running.run(4, before)
    running.run(7, silent)
    assert told(join(house, start)) == promised


def test_a_short_silence_takes_nothing_away(house: House) -> None:
    running = Show(house)
    running.say(BOTH, AAC_HEADER, AVC_HEADER)
    running.run(4, show)
    running.run(4, picture)
    assert told(join(house)) == EVERYTHING


def test_a_header_without_metadata_is_left_out_too(house: House) -> None:
    running = Show(house)
    running.say(AAC_HEADER, AVC_HEADER)
    running.run(7, picture)
    assert told(join(house)) == {"AVC"}


def test_who_waited_is_told_everything(house: House) -> None:
    waiting = join(house)
    running = Show(house)
    running.say(BOTH, AAC_HEADER, AVC_HEADER)
    running.run(7, picture)
    assert told(waiting) == EVERYTHING


def test_the_bound_can_be_raised_for_slide_shows_and_taken_away() -> None:
    for absent_after, promised in ((12.0, EVERYTHING), (0.0, EVERYTHING), (8.0, SOUND)):
        house = House(EngineLimits(headers=HeaderLimits(absent_after=absent_after)))
        running = Show(house)
        running.say(BOTH, AAC_HEADER, AVC_HEADER)
        running.run(4, show)
        running.run(10, noise)
        assert told(join(house)) == promised


def test_what_was_withheld_comes_right_before_its_first_frame(house: House) -> None:
    running = Show(house)
    running.say(BOTH, AAC_HEADER, AVC_HEADER)
    running.run(7, picture)
    before, _ = house.play()
    assert before.take().startswith("meta@0 AVC@")
    running.run(1, picture)
    before.take()
    running.say(sound("a1"), sound("a2"), inter("P1"))
    assert before.take() == "meta@0 AAC@8000 a1@8000 a2@8000 P1@8000"
    # Once.
    running.say(sound("a3"))
    assert before.take() == "a3@8000"
    late, _ = house.play()
    assert late.take().startswith("meta@0 AAC@6100 AVC@6100 K@6100")


def test_video_that_comes_back_begins_at_a_keyframe_for_who_joined_meanwhile(house: House) -> None:
    early, _ = house.play()
    running = Show(house)
    running.say(BOTH, AAC_HEADER, AVC_HEADER)
    running.run(4, show)
    running.run(7, noise)
    late, _ = house.play()
    assert late.take() == "meta@0 AAC@10000 " + " ".join(f"a@{at}" for at in range(10000, 11001, 100))
    early.take()
    running.say(inter("P1"), sound("a1"))
    assert early.take() == "meta@0 AVC@11000 P1@11000 a1@11000"
    assert late.take() == "meta@0 AVC@11000 a1@11000"
    running.say(keyframe("K2"), inter("P2"))
    assert late.take() == "K2@11000 P2@11000"


def test_nobody_is_owed_what_nobody_was_refused(house: House) -> None:
    running = Show(house)
    running.say(BOTH, AAC_HEADER, AVC_HEADER)
    running.run(7, picture)
    _, subscription = house.play()
    subscription.detach()
    running.run(1, show)
    sink, _ = house.play()
    sink.take()
    running.say(sound("a1"))
    assert sink.take() == "a1@8000"


def test_metadata_that_comes_meanwhile_is_cut_for_joiners(house: House) -> None:
    running = Show(house)
    running.say(BOTH, AAC_HEADER, AVC_HEADER)
    running.run(7, picture)
    join(house)
    running.say(metadata(videocodecid=7.0, width=320.0, audiocodecid=10.0))
    assert told(join(house)) == PICTURE


def test_video_that_nobody_can_decode_does_not_flow(house: House) -> None:
    running = Show(house)
    running.say(BOTH, AAC_HEADER, AVC_HEADER)
    running.run(7, lambda step: [inter(), *noise(step)])
    assert told(join(house)) == SOUND


# Warnings


def test_a_sound_stream_has_no_warnings(house: House) -> None:
    running = Show(house)
    running.say(BOTH, AAC_HEADER, AVC_HEADER)
    running.run(40, show)
    assert running.warnings == set()


def test_a_medium_that_was_announced_and_does_not_flow(house: House) -> None:
    running = Show(house)
    running.say(BOTH, AVC_HEADER)
    running.run(7, picture)
    assert running.warnings == {"audio_silent"}
    assert house.stream.health.active[HealthKind.AUDIO_SILENT].figures == {"seconds": 7.0}
    running.say(AAC_HEADER)
    running.run(1, show)
    assert running.warnings == set()
    running.run(7, noise)
    assert running.warnings == {"video_silent"}
    running.publication.close(CloseReason.FINISHED)
    assert house.registry.streams == {}


def test_a_medium_that_was_never_announced_is_not_missed(house: House) -> None:
    running = Show(house)
    running.say(AVC_HEADER)
    running.run(7, picture)
    assert running.warnings == set()


def test_keyframes_that_are_rare(house: House, caplog: pytest.LogCaptureFixture) -> None:
    running = Show(house)
    running.say(AVC_HEADER, keyframe())
    running.run(20, lambda step: [inter()])
    assert running.warnings == set()
    running.run(2, lambda step: [inter()])
    assert running.warnings == {"keyframes_rare"}
    running.say(keyframe())
    running.run(1, picture)
    assert running.warnings == set()
    running.run(40, lambda step: [inter()])
    assert running.warnings == {"keyframes_rare"}
    # Said once for each publication.
    (record,) = [record for record in caplog.records if record.message == "stream warning"]
    assert record.__dict__["fields"]["kind"] == "keyframes_rare"
    assert re.fullmatch(r"seconds=\d+(\.\d)?", record.__dict__["fields"]["figures"])


def test_keyframes_that_are_far_apart(house: House, caplog: pytest.LogCaptureFixture) -> None:
    running = Show(house)
    running.say(AVC_HEADER)
    running.run(12, lambda step: [keyframe() if step % 50 == 1 else inter()])
    assert running.warnings == set()
    running = Show(House())
    running.say(AVC_HEADER)
    running.run(12, lambda step: [keyframe() if step % 98 == 1 else inter()])
    assert running.warnings == {"keyframes_far"}
    (fields,) = [record.__dict__["fields"] for record in caplog.records if record.message == "stream warning"]
    assert fields["text"] == (
        "Key frame interval 9.8 s: players begin up to 9.8 s late, and those that lose pictures wait as long "
        "for the next"
    )
    assert fields["remedy"].startswith("Set 2 s, in OBS under Settings > Output > Keyframe Interval")
    running.run(22, lambda step: [inter()])
    assert running.warnings == {"keyframes_rare"}
    running.run(4, picture)
    assert running.warnings == set()


def test_a_group_of_pictures_over_the_bound(house: House) -> None:
    house = House(EngineLimits(gop=GopLimits(max_bytes=66_000)))
    running = Show(house)
    running.say(AVC_HEADER)
    running.run(8, lambda step: [keyframe() if step % 40 == 1 else inter("P" * 3000)])
    assert running.warnings == {"gop_too_long"}
    running.run(1, picture)
    assert running.warnings == {"gop_too_long"}
    running.run(4, picture)
    assert running.warnings == set()


def test_a_publisher_that_sends_nothing(house: House) -> None:
    running = Show(house)
    running.say(BOTH)
    running.run(5, nothing)
    assert running.warnings == set()
    running.run(1, nothing)
    assert running.warnings == {"no_media"}
    running.publication.close(CloseReason.FINISHED)
    assert house.stats.publishes_without_media == 1
    Show(house).say(sound())
    assert house.stats.publishes_without_media == 1


def test_headers_that_change_all_the_time(house: House) -> None:
    running = Show(house)
    running.run(20, lambda step: [AVC_HEADER, AVC_HEADER_2, keyframe()])
    assert running.warnings == {"updates_dropped"}
    running.run(12, lambda step: [keyframe()])
    assert running.warnings == set()


def test_segments_of_hls_that_had_to_begin_without_a_keyframe(house: House) -> None:
    running = Show(house)
    running.say(AVC_HEADER)
    running.run(1, lambda step: [keyframe()])
    house.stream.stats.keyless_segments += 2
    running.run(1, lambda step: [keyframe()])
    assert running.warnings == {"segments_cut"}
    assert house.stream.health.active[HealthKind.SEGMENTS_CUT].figures == {"segments": 2}
    running.run(12, lambda step: [keyframe()])
    assert running.warnings == set()


def test_headers_that_are_too_large(house: House) -> None:
    running = Show(house)
    running.say(AVC_HEADER + bytes(70_000))
    running.run(1, noise)
    assert running.warnings == {"headers_refused"}


def test_a_warning_has_held_since_it_was_raised_first() -> None:
    health = Health()
    assert health.raise_warning(HealthKind.NO_MEDIA, 5.0, seconds=5.0)
    assert not health.raise_warning(HealthKind.NO_MEDIA, 6.0, seconds=6.0)
    warning = health.active[HealthKind.NO_MEDIA]
    assert (warning.since, warning.figures) == (5.0, {"seconds": 6.0})
    health.clear(HealthKind.NO_MEDIA)
    health.clear(HealthKind.NO_MEDIA)
    assert health.active == {}


# What is withheld, looked at closely


def test_old_sounds_in_the_cache_are_withheld_too(house: House) -> None:
    running = Show(house)
    running.say(BOTH, AAC_HEADER, AVC_HEADER, keyframe("K1"))
    running.run(4, lambda step: [inter(), sound()])
    running.run(7, lambda step: [inter()])
    words = house.play()[0].take().split()
    assert words[:3] == ["meta@0", "AVC@0", "K1@0"]
    assert not [word for word in words if word.startswith("a@")]


def test_who_could_not_be_told_then_is_told_later(house: House) -> None:
    running = Show(house)
    running.say(BOTH, AAC_HEADER, AVC_HEADER)
    running.run(7, picture)
    sink, subscription = house.play()
    subscription.set_paused(True)
    running.run(1, show)
    sink.take()
    subscription.set_paused(False)
    running.say(sound("a1"))
    assert sink.take() == "meta@0 AAC@8000 AVC@8000 a1@8000"


def test_frames_of_another_track_are_not_the_medium_coming_back(house: House) -> None:
    other = b"\xa6\x03avc1\x01p1"
    running = Show(house)
    running.say(BOTH, AAC_HEADER, AVC_HEADER, b"\x96\x00avc1\x01avcC", keyframe(), b"\x96\x03avc1\x01k1")
    running.run(7, lambda step: [other, sound()])
    sink, _ = house.play()
    sink.take()
    running.say(other, sound("a1"))
    assert sink.take() == "a1@7000"


def test_a_first_publication_is_judged_from_its_begin_on_however_long_players_have_waited(
    house: House,
) -> None:
    house.play()
    house.loop.now = 1000.0
    publication = house.publish()
    house.loop.now = 1001.0
    house.registry.sample(house.loop.now)
    assert not house.stream.health.active
    house.send(publication, (0, sound()), (20, sound()))
    house.loop.now = 1002.0
    house.registry.sample(house.loop.now)
    # All of it within the last of two seconds, and not in a thousand.
    assert publication.stats.audio.byte_rate.over_10s > len(sound()) / 2


def test_a_first_publication_that_sends_nothing_is_missed_as_soon_as_any(house: House) -> None:
    house.play()
    house.loop.now = 1000.0
    house.publish()
    for second, missed in ((1005.0, False), (1005.5, True)):
        house.loop.now = second
        house.registry.sample(house.loop.now)
        assert (HealthKind.NO_MEDIA in house.stream.health.active) is missed
