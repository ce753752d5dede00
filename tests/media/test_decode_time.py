"""Decode times: they rise, they stay with RTMP's milliseconds for ever, and what is corrected is bounded."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtmpd.media.correction import Correction
from rtmpd.media.decode_time import (
    MAX_AHEAD_MS,
    MAX_BACK_MS,
    MAX_LATE_SOUND_MS,
    SoundTime,
    StreamTime,
    VideoTime,
)

BEGIN = 1000
DAY_MS = 24 * 60 * 60 * 1000
BASES = st.integers(-(2**31), 2**62)
"""Timestamps of the engine: unwrapped, of 64 bits."""
FRAMES = st.sampled_from(
    [
        *((44100, 1024), (48000, 1024), (24000, 960), (48000, 960), (48000, 120), (44100, 1152)),
        *((22050, 576), (48000, 1536), (96000, 4608), (44100, 4096), (11025, 2048)),
    ]
)
"""Rates and samples of frames."""


def corrections(stream: StreamTime) -> dict[Correction, int]:
    return {what: number for what, number in stream.corrections.items() if number}


@given(BASES, FRAMES, st.integers(0, 999))
def test_rounded_milliseconds_leave_neither_gaps_nor_overlaps(
    base: int, frames: tuple[int, int], phase: int
) -> None:
    rate, samples = frames
    stream = StreamTime()
    sound = SoundTime(stream, rate)
    times = [
        sound.next(base + (number * samples * 1_000_000 // rate + phase) // 1000, samples)
        for number in range(500)
    ]
    assert times == [times[0] + number * samples for number in range(500)]
    assert times[0] == BEGIN * rate // 1000
    assert corrections(stream) == {}


@pytest.mark.parametrize(("rate", "samples"), [(11025, 1024), (44100, 4608)])
def test_sound_does_not_drift_in_a_day(rate: int, samples: int) -> None:
    stream = StreamTime()
    sound = SoundTime(stream, rate)
    count = DAY_MS * rate // (1000 * samples)
    last = 0
    for number in range(count + 1):
        last = sound.next(2**40 + number * samples * 1000 // rate, samples)
    assert last == BEGIN * rate // 1000 + count * samples
    assert corrections(stream) == {}


@given(BASES, st.integers(0, DAY_MS))
def test_pictures_are_where_milliseconds_say(base: int, after: int) -> None:
    stream = StreamTime()
    video = VideoTime(stream)
    assert video.next(base) == BEGIN * 90
    for step in range(0, after, MAX_AHEAD_MS - 1000):
        video.next(base + step + 1)
    assert video.next(base + after + 2) == (BEGIN + after + 2) * 90
    assert corrections(stream) == {}


@given(
    BASES,
    st.lists(
        st.tuples(
            st.sampled_from("va"),
            st.one_of(st.integers(-50, 100), st.integers(-20_000, 20_000), st.integers(-(2**40), 2**40)),
        ),
        max_size=200,
    ),
    FRAMES,
)
def test_whatever_comes_decode_times_rise_and_are_near_the_others(
    base: int, steps: list[tuple[str, int]], frames: tuple[int, int]
) -> None:
    rate, samples = frames
    stream = StreamTime()
    video, sound = VideoTime(stream), SoundTime(stream, rate)
    pictures, sounds = [], []
    timestamp = base
    for kind, step in steps:
        timestamp += step
        before = stream.latest
        if kind == "v":
            pictures.append(video.next(timestamp))
        elif (time := sound.next(timestamp, samples)) >= 0:
            sounds.append(time)
        assert before <= stream.latest <= before + MAX_AHEAD_MS + 1000
    assert all(0 <= before < after for before, after in pairwise(pictures))
    assert all(before >= 0 and before + samples <= after for before, after in pairwise(sounds))


@pytest.mark.parametrize("step", [MAX_AHEAD_MS + 1000, -MAX_BACK_MS - 1000, 2**40, -(2**40)])
def test_a_jump_is_joined_for_sound_and_pictures_alike(step: int) -> None:
    stream = StreamTime()
    video, sound = VideoTime(stream), SoundTime(stream, 48000)
    for number in range(50):
        video.next(number * 40)
        sound.next(number * 40 + 5, 1920)
    began = video.next(50 * 40 + step)
    assert began == pytest.approx((BEGIN + 50 * 40) * 90, abs=50 * 90)
    heard = sound.next(50 * 40 + 5 + step, 1920)
    assert heard / 48000 - began / 90000 == pytest.approx(0.005, abs=0.045)
    for number in range(51, 100):
        assert video.next(number * 40 + step) == began + (number - 50) * 40 * 90
        assert sound.next(number * 40 + 5 + step, 1920) == heard + (number - 50) * 1920
    assert stream.corrections[Correction.JUMP] == 1


def test_missing_sound_shows() -> None:
    stream = StreamTime()
    sound = SoundTime(stream, 48000)
    assert [sound.next(time, 1024) for time in (0, 21, 42, 85, 106)] == [
        48000,
        49024,
        50072 - 24,
        52080,
        53104,
    ]
    assert corrections(stream) == {Correction.GAP: 1}


def test_sound_that_is_stamped_by_a_bad_clock_is_counted() -> None:
    """As some encoders stamp what came in one packet: all alike."""
    stream = StreamTime()
    sound = SoundTime(stream, 48000)
    times = [sound.next(number // 4 * 4 * 64 // 3, 1024) for number in range(400)]
    assert times == [48000 + number * 1024 for number in range(400)]
    assert corrections(stream) == {}


@pytest.mark.parametrize("percent", [-1, 1])
def test_a_wrong_clock_of_sound_does_not_take_it_away_from_the_pictures(percent: int) -> None:
    stream = StreamTime()
    sound = SoundTime(stream, 48000)
    for number in range(3000):
        stamped = number * 1024 * (100 + percent) // 4800
        time = sound.next(stamped, 1024)
        if time >= 0:
            assert -12 <= time / 48 - BEGIN - stamped <= MAX_LATE_SOUND_MS + 1
    reason = Correction.GAP if percent > 0 else Correction.OVERLAP
    assert set(corrections(stream)) == {reason}
    assert 20 < stream.corrections[reason] < 70


def test_a_picture_that_is_not_later_is_decoded_right_behind() -> None:
    stream = StreamTime()
    video = VideoTime(stream)
    assert [video.next(time) - 90_000 for time in (0, 40, 40, 20, 80)] == [0, 3600, 3601, 3602, 7200]
    assert corrections(stream) == {Correction.ORDER: 2}
    assert video.step == 7200 - 3602


def test_nanoseconds_of_modex_are_added() -> None:
    video = VideoTime(StreamTime())
    assert [video.next(0), video.next(16, 683_333)] == [90_000, 90_000 + 16 * 90 + 61]


def test_what_was_told_to_end_is_not_overlapped() -> None:
    video = VideoTime(StreamTime())
    began = video.next(0)
    video.shown_until(began + 3000)
    assert video.next(30) == began + 3000
    assert video.next(70) == began + 70 * 90


def test_the_rate_of_sound_may_change() -> None:
    stream = StreamTime()
    sound = SoundTime(stream, 48000)
    assert sound.next(0, 960) == 48000
    sound.change_rate(44100)
    assert sound.next(20, 1024) == (48000 + 960) * 441 // 480
