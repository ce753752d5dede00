"""Listening in hears what the reader reads, and which chunk stream it was on."""

from __future__ import annotations

import pytest
from golden_captures import load, names

from rtmpd.exceptions import ChunkError
from rtmpd.rtmp import control
from rtmpd.rtmp.chunk_listener import HEAD_BYTES, ChunkListener, Heard
from rtmpd.rtmp.chunk_writer import encode_message
from rtmpd.rtmp.chunks import ChunkReader
from rtmpd.rtmp.constants import EXTENDED_TIMESTAMP
from rtmpd.rtmp.limits import Limits
from rtmpd.rtmp.messages import Message

CAPTURES = [(name, direction) for direction in ("c2s", "s2c") for name in names(direction)]


def hear(data: bytes, step: int = 0) -> list[Heard]:
    listener = ChunkListener()
    pieces = [data[at : at + step] for at in range(0, len(data), step)] if step else [data]
    return [heard for piece in pieces for heard in listener.hear(piece)]


def shape(message: Message, length: int) -> tuple[object, ...]:
    return message.type, message.timestamp, message.stream_id, length, message.payload[:HEAD_BYTES]


@pytest.mark.parametrize("step", [0, 1, 1000])
@pytest.mark.parametrize(("name", "direction"), CAPTURES)
def test_a_recording_is_heard_as_it_is_read(name: str, direction: str, step: int) -> None:
    chunks = load(name, direction).chunks
    read = ChunkReader(Limits(min_chunk_size=1)).receive_data(chunks)
    heard = hear(chunks, step)
    assert [shape(each.message, each.length) for each in heard] == [
        shape(message, len(message.payload)) for message in read
    ]


@pytest.mark.parametrize("csid", [2, 63, 64, 319, 320, 65599])
def test_the_chunk_stream_of_a_message(csid: int) -> None:
    assert [each.csid for each in hear(encode_message(8, 0, 1, b"abc", csid, 128), step=1)] == [csid]


def test_only_the_head_is_kept() -> None:
    (heard,) = hear(encode_message(9, 0, 1, bytes(100_000), 6, 128))
    assert (heard.length, len(heard.message.payload)) == (100_000, HEAD_BYTES)


@pytest.mark.parametrize("repeated", [True, False])
def test_an_extended_timestamp(repeated: bool) -> None:
    data = encode_message(9, EXTENDED_TIMESTAMP + 5, 1, b"a" * 128 + b"b" * 10, 6, 128)
    if not repeated:
        data = data[: 12 + 4 + 128 + 1] + b"b" * 10
    (heard,) = hear(data, step=3)
    assert heard.message == Message(9, EXTENDED_TIMESTAMP + 5, 1, b"a" * 128 + b"b" * 10)


def test_a_message_may_be_aborted() -> None:
    begun = encode_message(9, 0, 1, bytes(200), 6, 128)[: 12 + 128]
    abort = encode_message(2, 0, 0, control.abort(6).payload, 2, 128)
    after = encode_message(9, 40, 1, b"new", 6, 128)
    assert [each.message.payload for each in hear(begun + abort + after)] == [b"\0\0\0\6", b"new"]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\xc6rest", "no_header"),
        (encode_message(9, 0, 1, bytes(200), 6, 128)[: 12 + 128] + b"\x06" + bytes(11), "header_mid_message"),
        (b"".join(encode_message(8, 0, 1, b"a", csid, 128) for csid in range(3, 100)), "no_header"),
    ],
)
def test_what_makes_no_sense(data: bytes, reason: str) -> None:
    with pytest.raises(ChunkError) as caught:
        hear(data)
    assert caught.value.reason == reason
