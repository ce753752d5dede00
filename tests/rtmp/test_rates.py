"""Rates and token buckets: a rate, a burst and a debt."""

from __future__ import annotations

import math

import pytest

from rtmpd.rtmp.rates import Rate, TokenBucket


def test_a_full_bucket_allows_its_burst_at_once() -> None:
    bucket = TokenBucket(rate=10, burst=3, now=0)
    assert [bucket.allow(0) for _ in range(5)] == [True, True, True, False, False]


def test_a_refusal_costs_nothing() -> None:
    bucket = TokenBucket(rate=10, burst=1, now=0)
    assert bucket.allow(0)
    assert not any(bucket.allow(0.05) for _ in range(100))
    assert bucket.allow(0.1)


def test_tokens_are_saved_up_to_the_burst_and_no_further() -> None:
    bucket = TokenBucket(rate=10, burst=3, now=0)
    bucket.take(3, 0)
    assert [bucket.allow(3600) for _ in range(4)] == [True, True, True, False]


def test_a_debt_is_told_and_costs_nothing() -> None:
    bucket = TokenBucket(rate=10, burst=3, now=0)
    assert bucket.debt(0) == 0
    bucket.take(8, 0)
    assert bucket.debt(0) == bucket.debt(0) == pytest.approx(0.5)
    assert bucket.debt(0.5) == 0


def test_a_bucket_is_full_again_when_all_is_paid() -> None:
    bucket = TokenBucket(rate=10, burst=3, now=0)
    assert bucket.full(0)
    bucket.take(8, 0)
    assert not bucket.full(0.75)
    assert bucket.full(0.875)


def test_taking_more_than_there_is_tells_how_long_to_wait() -> None:
    bucket = TokenBucket(rate=10, burst=3, now=0)
    assert bucket.take(3, 0) == 0
    assert bucket.take(5, 0) == pytest.approx(0.5)
    assert bucket.take(1, 0.5) == pytest.approx(0.1)
    assert bucket.take(1, 10) == 0


def test_sums_of_floats_cost_nobody_a_token() -> None:
    now = 123456.7
    for per_second in (3, 7, 10, 100, 4999):
        bucket = TokenBucket(per_second, burst=per_second, now=now)
        assert [bucket.allow(now) for _ in range(per_second + 1)] == [True] * per_second + [False]


def test_a_rate_is_shared_by_those_who_keep_a_number_each() -> None:
    rate = Rate(10, burst=3)
    one = rate.spend(-math.inf, 3, now=100)
    other = rate.spend(-math.inf, 8, now=100)
    assert rate.debt(one, 100) == 0
    assert rate.debt(other, 100) == pytest.approx(0.5)
    assert rate.debt(rate.spend(one, 1, 100), 100) == pytest.approx(0.1)
