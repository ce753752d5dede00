from __future__ import annotations

import pytest
from engine_kit import FakeLoop

from rtmpd.engine.flusher import MAX_SHARE, Flusher


class Stream:
    """Takes ``cost`` seconds to flush, ``later`` more when the loop writes."""

    def __init__(self, loop: FakeLoop, cost: float = 0.0, later: float = 0.0) -> None:
        self.loop = loop
        self.cost = cost
        self.later = later
        self.flushed_at: list[float] = []

    def flush(self, now: float) -> None:
        self.flushed_at.append(now)
        self.loop.now += self.cost
        if self.later:
            self.loop.call_soon(self.write_out)

    def write_out(self) -> None:
        self.loop.now += self.later


def make(loop: FakeLoop, merge_window: float = 0.05) -> Flusher:
    return Flusher(loop.call_soon, loop.call_later, loop.clock, merge_window)


def load(loop: FakeLoop, flusher: Flusher, stream: Stream, seconds: float, every: float = 0.01) -> None:
    """Mark the stream every so often."""
    end = loop.now + seconds
    marked = len(stream.flushed_at)
    flusher.mark(stream)
    while loop.now < end:
        before = loop.now
        loop.run(before + every)
        if len(stream.flushed_at) > marked:
            marked = len(stream.flushed_at)
            flusher.mark(stream)


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


def test_a_cheap_flush_does_not_widen_the_interval_to_a_timer() -> None:
    loop = FakeLoop()
    flusher = make(loop)
    stream = Stream(loop, cost=0.00002)
    load(loop, flusher, stream, 1.0)
    assert flusher.interval < 0.001
    loop.run()
    flusher.mark(stream)
    assert not loop.later


def test_the_interval_follows_the_cost_writing_included() -> None:
    loop = FakeLoop()
    flusher = make(loop)
    load(loop, flusher, Stream(loop, cost=0.001, later=0.001), 5.0)
    assert flusher.interval == pytest.approx(0.002 / MAX_SHARE, rel=0.01)


def test_the_interval_never_passes_the_merge_window() -> None:
    loop = FakeLoop()
    flusher = make(loop, merge_window=0.02)
    stream = Stream(loop, cost=0.015)
    load(loop, flusher, stream, 5.0, every=0.001)
    assert flusher.interval == 0.02
    steps = [
        after - before
        for before, after in zip(stream.flushed_at[-20:], stream.flushed_at[-19:], strict=False)
    ]
    assert max(steps) < 0.025


def test_the_interval_narrows_again_when_the_load_goes() -> None:
    loop = FakeLoop()
    flusher = make(loop)
    stream = Stream(loop, cost=0.01)
    load(loop, flusher, stream, 2.0)
    assert flusher.interval > 0.02
    stream.cost = 0.0
    load(loop, flusher, stream, 5.0)
    assert flusher.interval < 0.001


def test_after_a_pause_the_first_packet_does_not_wait() -> None:
    loop = FakeLoop()
    flusher = make(loop)
    stream = Stream(loop, cost=0.01)
    load(loop, flusher, stream, 2.0)
    loop.run()
    loop.now += 1.0
    flusher.mark(stream)
    loop.turn()
    assert stream.flushed_at[-1] == loop.now - 0.01


def test_a_window_of_nothing_flushes_every_turn() -> None:
    loop = FakeLoop()
    flusher = make(loop, merge_window=0.0)
    load(loop, flusher, Stream(loop, cost=0.01), 1.0)
    assert flusher.interval == 0.0


def test_a_stream_that_fails_costs_the_others_nothing(caplog: pytest.LogCaptureFixture) -> None:
    class Broken:
        def flush(self, now: float) -> None:
            raise RuntimeError("bug")

    loop = FakeLoop()
    flusher = make(loop)
    stream = Stream(loop)
    flusher.mark(Broken())
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
