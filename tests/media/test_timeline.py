from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rtmpd.media.timeline import Timeline

AUDIO, VIDEO = 8, 9


def place(timeline: Timeline, *frames: tuple[int, int]) -> list[int]:
    return [timeline.place_frame(kind, timestamp) for kind, timestamp in frames]


def test_the_first_frame_is_at_0() -> None:
    timeline = Timeline()
    assert timeline.place_other(VIDEO, 0) == 0
    assert place(timeline, (VIDEO, 5000), (AUDIO, 4990), (VIDEO, 5040)) == [0, 0, 40]
    assert timeline.position == 40


def test_a_second_round_follows_one_usual_step_after_the_first() -> None:
    timeline = Timeline()
    clip = [(VIDEO, 20), (AUDIO, 10), (VIDEO, 60), (AUDIO, 33), (VIDEO, 100)]
    first = place(timeline, *clip)
    timeline.begin_again()
    second = place(timeline, *clip)
    timeline.begin_again()
    third = place(timeline, *clip)
    assert first == [0, 0, 40, 13, 80]
    assert second == [130, 120, 170, 143, 210]
    assert [later - earlier for earlier, later in zip(second, third, strict=True)] == [130] * 5
    assert timeline.jumps == 0


def test_to_begin_again_before_anything_came_is_harmless() -> None:
    timeline = Timeline()
    timeline.begin_again()
    assert place(timeline, (AUDIO, 7), (AUDIO, 30)) == [0, 23]


def test_jumps_are_joined_and_counted_once_for_both_media() -> None:
    timeline = Timeline()
    before = place(timeline, (VIDEO, 0), (AUDIO, 0), (VIDEO, 40), (AUDIO, 23))
    ahead = place(timeline, (VIDEO, 1_000_000), (AUDIO, 1_000_005), (VIDEO, 1_000_040))
    back = place(timeline, (VIDEO, 100), (AUDIO, 103))
    assert (before, ahead, back) == ([0, 0, 40, 23], [80, 85, 120], [160, 163])
    assert timeline.jumps == 2


def test_a_pause_is_no_jump() -> None:
    timeline = Timeline()
    assert place(timeline, (VIDEO, 0), (VIDEO, 40), (VIDEO, 9040)) == [0, 40, 9040]
    assert (timeline.jumps, timeline.end) == (0, 9080)


def test_timestamps_wrap() -> None:
    timeline = Timeline()
    assert place(timeline, (VIDEO, 0xFFFFFFE0), (VIDEO, 0x8), (AUDIO, 0xFFFFFFF0)) == [0, 40, 16]
    assert timeline.jumps == 0


def test_what_is_no_frame_keeps_a_plausible_time_and_else_comes_now() -> None:
    timeline = Timeline()
    place(timeline, (VIDEO, 1000), (VIDEO, 9000))
    place(timeline, (AUDIO, 9050))
    times = [timeline.place_other(VIDEO, timestamp) for timestamp in (8990, 9000, 9100, 0, 2**31)]
    assert times == [8050, 8000, 8100, 8050, 8050]
    assert [timeline.place_other(18, timestamp) for timestamp in (9010, 9100)] == [8050, 8100]
    timeline.begin_again()
    assert timeline.place_other(VIDEO, 0) == 8050


@given(
    st.lists(st.tuples(st.sampled_from((AUDIO, VIDEO)), st.integers(0, 2**32 - 1)), min_size=1, max_size=30),
    st.integers(2, 4),
)
def test_rounds_never_step_back(clip: list[tuple[int, int]], rounds: int) -> None:
    timeline = Timeline()
    for number in range(rounds):
        end = timeline.end
        times = place(timeline, *clip)
        assert min(times) >= (end if number and not timeline.jumps else 0)
        timeline.begin_again()


def test_a_hole_that_is_expected_stays_and_one_that_is_joined_goes() -> None:
    for join, expected in ((False, 60_040), (True, 80)):
        timeline = Timeline()
        assert [timeline.place_frame(VIDEO, time) for time in (0, 40)] == [0, 40]
        if join:
            timeline.join()
        else:
            timeline.expect_hole()
        assert timeline.place_frame(VIDEO, 60_040) == expected
        assert timeline.place_frame(VIDEO, 200_000) == expected + 40  # The next one is nobody's wish.


def test_what_follows_a_hole_is_not_shown_before_what_came_earlier() -> None:
    for join in (False, True):
        timeline = Timeline()
        assert place(timeline, (VIDEO, 0), (VIDEO, 40)) == [0, 40]
        if join:
            timeline.join(120)
        else:
            timeline.expect_hole(120)
        assert place(timeline, (VIDEO, 86), (AUDIO, 90), (VIDEO, 126)) == [160, 164, 200]
