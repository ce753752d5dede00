"""Token buckets: a rate, a burst and a debt."""

from __future__ import annotations

import pytest

from rtmpd.rtmp.rates import TokenBucket


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
    assert bucket.debt(0) == bucket.debt(0) == 0.5
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
    assert bucket.take(5, 0) == 0.5
    assert bucket.take(1, 0.5) == pytest.approx(0.1)
    assert bucket.take(1, 10) == 0
