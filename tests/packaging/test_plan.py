"""How long parts and segments are, chosen once."""

from __future__ import annotations

from itertools import pairwise

import pytest

from rtmpd.packaging.plan import frame_time, make_plan


def rounded(fps: float, count: int = 9) -> list[float]:
    """Durations as RTMP's whole milliseconds make them."""
    times = [round(number * 1000 / fps) for number in range(count)]
    return [(after - before) / 1000 for before, after in pairwise(times)]


@pytest.mark.parametrize("fps", [5, 10, 12, 15, 20, 24, 25, 30, 48, 50, 60, 120])
def test_usual_rates_are_told_by_a_few_frames(fps: int):
    assert frame_time(rounded(fps)) == pytest.approx(1 / fps)


def test_what_the_encoder_says_is_believed_where_it_may_be():
    assert frame_time(rounded(29.97), 29.97) == pytest.approx(1 / 29.97)
    assert frame_time(rounded(30), 60.0) == pytest.approx(1 / 30)
    assert frame_time(rounded(30), 0.0) == pytest.approx(1 / 30)


def test_frames_that_were_lost_do_not_count():
    assert frame_time([0.001] * 4 + [9.0] * 4) == pytest.approx(0.001)
    assert frame_time([0.033, 0.034, 0.033, 0.4, 0.033, 0.034, 0.033, 0.033]) == pytest.approx(1 / 30)


@pytest.mark.parametrize(
    ("fps", "part", "target"),
    [(30, 0.2, 0.206), (30, 1 / 3, 0.34334), (25, 0.2, 0.206), (24, 0.2, 0.21459), (60, 0.1, 0.103)],
)
def test_a_part_is_whole_frames_and_three_per_cent(fps: int, part: float, target: float):
    plan = make_plan(1 / fps, part, 2.0, 2.0)
    assert plan.part_target == pytest.approx(target, abs=1e-5)
    assert plan.part_hold_back == pytest.approx(3 * plan.part_target)


@pytest.mark.parametrize("fps", [1, 2, 4, 4.9])
def test_few_frames_make_no_parts(fps: float):
    assert make_plan(1 / fps, 0.2, 2.0, 2.0).part_target == 0.0


@pytest.mark.parametrize(
    ("segment", "key_frames", "target"),
    [
        (2.0, 2.0, 2),
        (2.0, 1.0, 2),
        (2.0, 0.5, 2),
        (2.0, 8.33, 8),
        (2.0, 1.5, 3),
        (2.0, None, 10),
        (2.0, 60.0, 4),
    ],
)
def test_the_target_duration_is_that_of_the_gops_that_have_come(
    segment: float, key_frames: float | None, target: int
):
    plan = make_plan(1 / 30, 0.2, segment, key_frames)
    assert plan.target_duration == target
    assert (plan.hold_back, plan.skip_until) == (3 * target, 6 * target)
