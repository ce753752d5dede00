from __future__ import annotations

import pytest

from rtmpd.engine.stats import Histogram, ServerStats, SmoothedRate, StreamStats, count


def test_a_histogram_counts_up_to_and_including_its_bounds() -> None:
    histogram = Histogram((0.1, 1.0))
    for value in (0.05, 0.1, 0.5, 1.0, 1.1, 50.0):
        histogram.observe(value)
    assert histogram.counts == [2, 2, 2]
    assert histogram.count == 6
    assert histogram.sum == pytest.approx(52.75)


def test_a_steady_flow_is_told_rightly_from_the_first_second() -> None:
    rate = SmoothedRate()
    for second in range(1, 60):
        rate.sample(second * 1000, 1.0)
        assert rate.over_1s == pytest.approx(1000)
        assert rate.over_10s == pytest.approx(1000)


def test_a_rate_follows_a_flow_that_changes_quickly_and_slowly() -> None:
    rate = SmoothedRate()
    for second in range(1, 61):
        rate.sample(second * 1000, 1.0)
    for second in range(1, 6):
        rate.sample(60_000 + second * 2000, 1.0)
    assert rate.over_1s == pytest.approx(2000, rel=0.01)
    assert 1300 < rate.over_10s < 1500
    for second in range(6, 60):
        rate.sample(60_000 + second * 2000, 1.0)
    assert rate.over_10s == pytest.approx(2000, rel=0.01)


def test_a_rate_does_not_depend_on_how_often_it_is_sampled() -> None:
    coarse, fine = SmoothedRate(), SmoothedRate()
    for step in range(1, 101):
        fine.sample(step * 10, 0.01)
    coarse.sample(1000, 1.0)
    assert fine.over_1s == pytest.approx(coarse.over_1s)


def test_a_stream_samples_its_rates_from_its_totals() -> None:
    stats = StreamStats(now=100.0)
    for second in range(1, 100):
        stats.video.bytes_in += 50_000
        stats.video.messages_in += 31
        stats.video.headers += 1
        stats.audio.bytes_in += 16_000
        stats.sample(100.0 + second)
        stats.sample(100.0 + second)
    assert stats.frame_rate.over_1s == pytest.approx(30, rel=0.01)
    assert stats.video.byte_rate.over_10s == pytest.approx(50_000, rel=0.01)
    assert stats.audio.byte_rate.over_1s == pytest.approx(16_000, rel=0.01)


def test_totals_tell_what_goes_out_and_a_server_what_comes_in_too() -> None:
    totals = ServerStats()
    for second in range(60):
        totals.bytes_out += 50_000
        totals.bytes_in += 16_000
        totals.sample(100.0 + second)
        totals.sample(100.0 + second)
    assert totals.out_rate.over_10s == pytest.approx(50_000)
    assert totals.in_rate.over_10s == pytest.approx(16_000)


def test_skew_is_video_minus_audio_once_both_have_come() -> None:
    stats = StreamStats()
    stats.video.timestamp = 1000
    assert stats.skew_ms is None
    stats.audio.timestamp = 1250
    assert stats.skew_ms == -250


def test_counting_by_reason() -> None:
    table: dict[str, int] = {}
    count(table, "a")
    count(table, "a", 2)
    assert table == {"a": 3}
