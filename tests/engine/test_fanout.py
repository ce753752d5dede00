from __future__ import annotations

import pytest
from engine_kit import FakeSink, House
from hypothesis import given
from hypothesis import strategies as st

from rtmpd.engine.fanout import Fanout
from rtmpd.engine.outlet import Backlog
from rtmpd.engine.packet import RtmpWire
from rtmpd.engine.segment import Encoding
from rtmpd.engine.sink import PlayOptions
from rtmpd.engine.subscriber import Subscription

COUNT = 6


class List:
    """A fast list of ``COUNT`` members, apart from the stream they are attached to."""

    def __init__(self) -> None:
        house = House()
        seat = house.play()[1].seat
        self.fanout = Fanout(Encoding(RtmpWire(65536, 1)), Backlog(house.registry.budget))
        sinks = [FakeSink(RtmpWire(65536, 1)) for _ in range(COUNT)]
        outlets = house.registry.outlets
        self.members = [
            Subscription(seat, self.fanout, sink, sink.connect(outlets, house.loop.clock), PlayOptions(), 0.0)
            for sink in sinks
        ]
        for member in self.members:
            self.fanout.add(member)

    def sink(self, number: int) -> FakeSink:
        sink = self.members[number].sink
        assert isinstance(sink, FakeSink)
        return sink

    def remove(self, *numbers: int) -> None:
        for number in numbers:
            if self.members[number].on_fast_list:
                self.fanout.remove(self.members[number])

    def counts(self) -> list[int]:
        """Writes that each member has had."""
        return [len(self.sink(number).writes) for number in range(COUNT)]


LEAVERS = st.lists(st.integers(0, COUNT - 1), unique=True)


@given(first=LEAVERS, second=LEAVERS)
def test_whoever_leaves_between_writes_the_others_get_each_image_once(
    first: list[int], second: list[int]
) -> None:
    fast = List()
    expected = [0] * COUNT
    for leavers in (first, second, []):
        fast.fanout.write(b"image")
        expected = [n + (fast.members[i].on_fast_list) for i, n in enumerate(expected)]
        fast.remove(*leavers)
        assert fast.counts() == expected
    assert len(fast.fanout) == COUNT - len({*first, *second})


@given(by=st.integers(0, COUNT - 1), leavers=LEAVERS)
def test_whoever_leaves_while_writing_the_others_get_each_image_once(by: int, leavers: list[int]) -> None:
    fast = List()
    fast.sink(by).on_write = lambda: fast.remove(*leavers)
    fast.fanout.write(b"image")
    assert fast.counts() == [int(number not in leavers or number <= by) for number in range(COUNT)]
    assert len(fast.fanout) == COUNT - len(leavers)
    before = fast.counts()
    fast.fanout.write(b"image")
    assert fast.counts() == [n + (i not in leavers) for i, n in enumerate(before)]
    fast.remove(*range(COUNT))
    assert len(fast.fanout) == 0


@given(broken=LEAVERS)
def test_sinks_that_raise_are_named_and_the_others_written(broken: list[int]) -> None:
    def fail() -> None:
        raise OSError

    fast = List()
    for number in broken:
        fast.sink(number).on_write = fail
    assert fast.fanout.write(b"image") == [fast.members[number] for number in sorted(broken)]
    assert fast.counts() == [1] * COUNT


def test_a_sink_that_leaves_and_raises_is_gone_already(caplog: pytest.LogCaptureFixture) -> None:
    def leave_and_fail() -> None:
        fast.remove(2)
        raise OSError("half closed")

    fast = List()
    fast.sink(2).on_write = leave_and_fail
    assert fast.fanout.write(b"image") == []
    assert "half closed" in caplog.text
    assert fast.counts() == [1] * COUNT


def test_members_are_counted_from_when_they_joined() -> None:
    fast = List()
    fast.fanout.write(b"12345")
    fast.remove(0)
    fast.fanout.write(b"123")
    fast.fanout.add(fast.members[0])
    fast.fanout.write(b"1")
    assert [fast.members[0].bytes_out, fast.members[1].bytes_out] == [6, 9]
