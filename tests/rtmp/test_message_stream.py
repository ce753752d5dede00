"""Ids of message streams, and what message stream id 0 stands for."""

from __future__ import annotations

import pytest

from rtmpd.exceptions import ProtocolError
from rtmpd.rtmp.constants import StatusCode
from rtmpd.rtmp.message_stream import MessageStreams
from rtmpd.rtmp.states import Use


def test_the_first_stream_is_1_and_a_freed_id_is_given_again() -> None:
    streams = MessageStreams(limit=3)
    first, second, third = streams.create(), streams.create(), streams.create()
    assert [first.id, second.id, third.id] == [1, 2, 3]
    streams.delete(second)
    assert streams.create().id == 2


def test_the_limit_is_exact() -> None:
    streams = MessageStreams(limit=2)
    streams.create()
    streams.create()
    with pytest.raises(ProtocolError) as caught:
        streams.create()
    assert caught.value.reason == "too_many_streams"
    assert [stream.id for stream in streams] == [1, 2]


def test_a_stream_is_found_by_id_and_use() -> None:
    streams = MessageStreams(limit=2)
    stream = streams.create()
    assert streams.find(1) is streams.find(1, Use.IDLE) is stream
    assert streams.find(1, Use.PLAYING) is None
    assert streams.find(2) is None


def test_a_request_on_a_stream_never_created_creates_it() -> None:
    streams = MessageStreams(limit=2)
    second = streams.for_request(2)
    assert second.id == 2
    assert streams.find(2) is second
    assert streams.create().id == 1
    assert streams.for_zero == 0


def test_a_request_on_a_stream_over_the_limit_is_an_error() -> None:
    with pytest.raises(ProtocolError) as caught:
        MessageStreams(limit=2).for_request(3)
    assert caught.value.reason == "unknown_stream"
    assert caught.value.code == StatusCode.CALL_FAILED


def test_0_stands_for_the_idle_stream_created_last() -> None:
    streams = MessageStreams(limit=4)
    streams.create()
    second, third = streams.create(), streams.create()
    third.use = Use.PLAYING
    assert streams.for_request(0) is second


def test_0_means_nothing_until_a_request_comes_on_it() -> None:
    streams = MessageStreams(limit=2)
    stream = streams.create()
    assert streams.find(0) is None
    assert streams.for_request(0) is stream
    assert streams.find(0) is stream


def test_0_stands_for_a_new_stream_when_none_is_idle() -> None:
    streams = MessageStreams(limit=2)
    streams.create().use = Use.PUBLISHING
    assert streams.for_request(0).id == 2


def test_0_keeps_standing_for_its_stream_so_that_requests_on_it_make_no_more() -> None:
    streams = MessageStreams(limit=8)
    for _ in range(100):
        streams.for_request(0).use = Use.PLAYING
    assert [stream.id for stream in streams] == [1]


def test_0_stands_for_nothing_again_once_its_stream_is_deleted() -> None:
    streams = MessageStreams(limit=2)
    streams.delete(streams.for_request(0))
    streams.create()
    assert streams.find(0) is None


def test_a_request_on_0_is_bound_by_the_limit_too() -> None:
    streams = MessageStreams(limit=1)
    streams.create().use = Use.PLAYING
    with pytest.raises(ProtocolError) as caught:
        streams.for_request(0)
    assert caught.value.reason == "too_many_streams"
