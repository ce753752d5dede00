from __future__ import annotations

import pytest

from rtmpd.net.backoff import Backoff


def test_delays_double_up_to_the_maximum_and_start_again() -> None:
    backoff = Backoff(lambda: 1.0, initial=1.0, maximum=5.0)
    assert [backoff.next_delay() for _ in range(5)] == [1, 2, 4, 5, 5]
    backoff.reset()
    assert backoff.next_delay() == 1


@pytest.mark.parametrize(("dice", "delay"), [(0.0, 1.0), (0.5, 1.5), (0.999, 1.999)])
def test_jitter_takes_up_to_half(dice: float, delay: float) -> None:
    assert Backoff(lambda: dice, initial=2.0).next_delay() == pytest.approx(delay)
