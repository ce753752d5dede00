from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import pytest
from engine_kit import FakeHandle, FakeLoop

from rtmpd.engine.flusher import MAX_SHARE, Flusher
from rtmpd.engine.limits import EngineLimits


class Stream:
    """Takes ``cost`` seconds to flush to ``players``, ``later`` more when the loop writes."""

    def __init__(
        self,
        loop: FakeLoop,
        cost: float = 0.0,
        later: float = 0.0,
        players: int = 1,
        merge_window: float = 0.05,
    ) -> None:
        self.limits = EngineLimits(merge_window=merge_window)
        self.loop = loop
        self.cost = cost
        self.later = later
        self.players = players
        self.flush_due = 0.0
        self.flush_period = 0
        self.pending = False
        self.flushed_at: list[float] = []

    def flush(self, now: float) -> int:
        self.pending = False
        self.flushed_at.append(now)
        self.loop.now += self.cost
        if self.later:
            self.loop.call_soon(self.write_out)
        return self.players

    def write_out(self) -> None:
        self.loop.now += self.later


def make(loop: FakeLoop) -> Flusher:
    return Flusher(loop.call_soon, loop.call_later, loop.clock, loop.clock)


def load(
    loop: FakeLoop, flusher: Flusher, streams: Sequence[Stream], seconds: float, every: float = 0.01
) -> None:
    """Have packets for all streams every so often."""
    end = loop.now + seconds
    while loop.now < end:
        for stream in streams:
            if not stream.pending:
                stream.pending = True
                flusher.mark(stream)
        loop.run(loop.now + every)


def steps(stream: Stream, last: int = 20) -> list[float]:
    """Seconds between the last flushes."""
    return [after - before for before, after in pairwise(stream.flushed_at[-last:])]


def test_an_idle_server_flushes_in_the_next_turn() -> None:
    loop = FakeLoop()
    stream = Stream(loop)
    flusher = make(loop)
    flusher.mark(stream)
    assert stream.flushed_at == []
    loop.turn()
    assert stream.flushed_at == [0.0]


def test_streams_marked_together_are_flushed_together() -> None:
    loop = FakeLoop()
    flusher = make(loop)
    streams = [Stream(loop) for _ in range(3)]
    for stream in streams:
        flusher.mark(stream)
    assert len(loop.soon) == 1
    loop.turn()
    assert [stream.flushed_at for stream in streams] == [[0.0]] * 3


def test_what_takes_less_than_its_share_never_waits() -> None:
    loop = FakeLoop()
    flusher = make(loop)
    stream = Stream(loop, cost=0.01 * MAX_SHARE * 0.8)
    load(loop, flusher, [stream], 1.0)
    assert not loop.later
    assert max(steps(stream)) == pytest.approx(0.01, rel=0.1)


def test_two_packets_close_together_both_go_out_at_once_when_there_was_time_to_save() -> None:
    loop = FakeLoop()
    flusher = make(loop)
    stream = Stream(loop, cost=0.02 * MAX_SHARE / 2)
    load(loop, flusher, [stream], 2.0)
    loop.run()
    loop.now += 1.0
    before = len(stream.flushed_at)
    for _ in range(2):
        flusher.mark(stream)
        loop.turn()
        loop.turn()
    assert len(stream.flushed_at) == before + 2
    flusher.mark(stream)
    flusher.mark(stream)
    loop.turn()
    loop.turn()
    flusher.mark(stream)
    assert loop.later


def test_flushes_take_their_share_of_the_time_writing_included() -> None:
    loop = FakeLoop()
    flusher = make(loop)
    stream = Stream(loop, cost=0.001, later=0.001)
    load(loop, flusher, [stream], 5.0, every=0.001)
    assert sum(steps(stream)) / len(steps(stream)) == pytest.approx(0.002 / MAX_SHARE, rel=0.03)


def test_the_interval_never_passes_the_merge_window() -> None:
    loop = FakeLoop()
    flusher = make(loop)
    stream = Stream(loop, cost=0.015, merge_window=0.02)
    load(loop, flusher, [stream], 5.0, every=0.001)
    assert min(steps(stream)) == pytest.approx(0.02)
    assert max(steps(stream)) < 0.025


def test_another_merge_window_holds_from_the_next_flush_on() -> None:
    loop = FakeLoop()
    flusher = make(loop)
    stream = Stream(loop, cost=0.015, merge_window=0.02)
    load(loop, flusher, [stream], 1.0, every=0.001)
    stream.limits = EngineLimits(merge_window=0.1)
    load(loop, flusher, [stream], 5.0, every=0.001)
    assert steps(stream)[-1] == pytest.approx(0.1, rel=0.1)


def test_each_stream_waits_for_its_own_window_at_most() -> None:
    loop = FakeLoop()
    flusher = make(loop)
    hasty = Stream(loop, cost=0.002, players=10, merge_window=0.01)
    usual = Stream(loop, cost=0.02, players=100)
    patient = Stream(loop, cost=0.02, players=100, merge_window=0.3)
    load(loop, flusher, [hasty, usual, patient], 10.0, every=0.001)
    # Within what the flushes themselves take.
    assert max(steps(hasty)) == pytest.approx(0.01, abs=0.043)
    assert sum(steps(hasty)) / len(steps(hasty)) < 0.03
    assert sum(steps(usual)) / len(steps(usual)) == pytest.approx(0.05, abs=0.03)
    assert sum(steps(patient)) / len(steps(patient)) == pytest.approx(0.3, abs=0.05)


def test_who_never_waits_does_not_have_others_written_more_often() -> None:
    loop = FakeLoop()
    flusher = make(loop)
    hasty = Stream(loop, cost=0.000_1, players=1, merge_window=0.0)
    patient = Stream(loop, cost=0.02, players=200, merge_window=0.3)
    load(loop, flusher, [hasty, patient], 10.0, every=0.001)
    assert sum(steps(patient)) / len(steps(patient)) == pytest.approx(0.3, abs=0.05)


def test_the_interval_narrows_again_when_the_load_goes() -> None:
    loop = FakeLoop()
    flusher = make(loop)
    stream = Stream(loop, cost=0.01)
    load(loop, flusher, [stream], 2.0)
    assert min(steps(stream)) > 0.02
    stream.cost = 0.0
    load(loop, flusher, [stream], 1.0)
    assert max(steps(stream)) == pytest.approx(0.01)


def test_time_that_another_process_took_is_not_charged() -> None:
    loop = FakeLoop()
    worked = [0.0]
    flusher = Flusher(loop.call_soon, loop.call_later, loop.clock, lambda: worked[0])
    stream = Stream(loop, cost=0.01)
    load(loop, flusher, [stream], 1.0)
    assert not loop.later
    assert max(steps(stream)) == pytest.approx(0.01)


def test_after_a_pause_the_first_packet_does_not_wait() -> None:
    loop = FakeLoop()
    flusher = make(loop)
    stream = Stream(loop, cost=0.01)
    load(loop, flusher, [stream], 2.0)
    loop.run()
    loop.now += 1.0
    flusher.mark(stream)
    loop.turn()
    assert stream.flushed_at[-1] == loop.now - 0.01


def test_what_else_the_loop_did_after_a_flush_is_not_charged() -> None:
    loop = FakeLoop()
    flusher = make(loop)
    stream = Stream(loop, later=0.01 * MAX_SHARE * 0.5)
    for number in range(200):
        loop.run(number * 0.01)
        flusher.mark(stream)
        if number % 4:
            loop.call_soon(lambda: setattr(loop, "now", loop.now + 0.005))
    loop.run()
    assert len(stream.flushed_at) == 200
    assert max(steps(stream, 100)) == pytest.approx(0.01)


def test_few_players_are_flushed_in_one_turn() -> None:
    loop = FakeLoop()
    turns: list[Callable[[], None]] = []

    def call_soon(callback: Callable[[], None]) -> FakeHandle:
        turns.append(callback)
        return loop.call_soon(callback)

    flusher = Flusher(call_soon, loop.call_later, loop.clock, loop.clock)
    stream = Stream(loop, later=0.000_1, players=10)
    load(loop, flusher, [stream], 2.0)
    assert len(stream.flushed_at) == 200
    assert len(turns) < 240


def test_few_players_never_wait_whoever_keeps_the_loop_busy() -> None:
    loop = FakeLoop()
    flusher = make(loop)
    stream = Stream(loop, later=0.000_1, players=10)
    flushes = 0
    for number in range(200):
        loop.run(number * 0.04)
        for _ in range(4):
            flusher.mark(stream)
            flushes += 1
            if flushes % 8:
                loop.call_soon(lambda: setattr(loop, "now", loop.now + 0.002))
            loop.turn()
            loop.turn()
    assert not loop.later
    assert len(stream.flushed_at) == flushes


def test_writing_that_becomes_dearer_is_believed_in_time() -> None:
    loop = FakeLoop()
    flusher = make(loop)
    stream = Stream(loop, later=0.000_1)
    load(loop, flusher, [stream], 1.0)
    assert max(steps(stream)) == pytest.approx(0.01)
    stream.later = 0.002
    load(loop, flusher, [stream], 2.0)
    assert sum(steps(stream)) / len(steps(stream)) == pytest.approx(0.002 / MAX_SHARE, rel=0.03)


def test_a_stream_that_costs_little_does_not_wait_for_one_that_costs_much() -> None:
    loop = FakeLoop()
    flusher = make(loop)
    small = Stream(loop, cost=0.000_01)
    large = Stream(loop, cost=0.01, players=1000)
    load(loop, flusher, [small, large], 2.0)
    assert max(steps(small)) < 0.025  # The flush of the large one itself takes 10 ms.
    assert max(steps(large)) == pytest.approx(0.05, abs=0.011)
    assert len(loop.later) <= 1


def test_streams_that_cost_alike_wait_alike_and_together() -> None:
    loop = FakeLoop()
    flusher = make(loop)
    streams = [Stream(loop, cost=0.000_1, players=10) for _ in range(50)]
    load(loop, flusher, streams, 2.0, every=0.001)
    assert all(stream.flushed_at == streams[0].flushed_at for stream in streams)
    assert min(steps(streams[0])) > 0.04


def test_the_share_is_divided_among_those_that_are_left() -> None:
    loop = FakeLoop()
    flusher = make(loop)
    small = Stream(loop, cost=0.000_05, players=5)
    large = Stream(loop, cost=0.005, players=500)
    others = [Stream(loop, cost=0.000_05, players=5) for _ in range(50)]
    load(loop, flusher, [small, large, *others], 1.0)
    assert max(steps(small)) > 0.04
    load(loop, flusher, [small, large], 1.0)
    assert max(steps(small)) < 0.02


def test_a_window_of_nothing_flushes_every_turn() -> None:
    loop = FakeLoop()
    flusher = make(loop)
    stream = Stream(loop, cost=0.01, merge_window=0.0)
    load(loop, flusher, [stream], 1.0)
    assert not loop.later
    assert max(steps(stream)) == pytest.approx(0.01)


def test_a_stream_that_fails_costs_the_others_nothing(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Stream):
        def flush(self, now: float) -> int:
            raise RuntimeError("bug")

    loop = FakeLoop()
    flusher = make(loop)
    stream = Stream(loop)
    flusher.mark(Broken(loop))
    flusher.mark(stream)
    loop.turn()
    assert stream.flushed_at == [0.0]
    assert "bug" in caplog.text


def test_flushing_by_hand_leaves_nothing_for_the_timer() -> None:
    loop = FakeLoop()
    flusher = make(loop)
    stream = Stream(loop)
    flusher.mark(stream)
    flusher.flush()
    loop.run()
    assert stream.flushed_at == [0.0]
