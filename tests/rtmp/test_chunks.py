"""The chunk stream: golden bytes, every header form, extended timestamps, limits, hostile bytes."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtmpd.exceptions import ChunkError, UsageError
from rtmpd.rtmp.chunk_writer import ChunkWriter, encode_message
from rtmpd.rtmp.chunks import MAX_FULL_HEADER_DELTA_MS, ChunkReader
from rtmpd.rtmp.constants import BandwidthLimit
from rtmpd.rtmp.control import (
    StreamBegin,
    abort,
    set_chunk_size,
    set_peer_bandwidth,
    user_control,
    window_ack_size,
)
from rtmpd.rtmp.limits import Limits
from rtmpd.rtmp.messages import Message

AUDIO, VIDEO, DATA, COMMAND = 8, 9, 18, 20


def pattern(size: int) -> bytes:
    return bytes(i * 31 & 0xFF for i in range(size))


def basic(fmt: int, csid: int) -> bytes:
    if csid < 64:
        return bytes((fmt << 6 | csid,))
    if csid < 320:
        return bytes((fmt << 6, csid - 64))
    return bytes((fmt << 6 | 1, (csid - 64) & 0xFF, (csid - 64) >> 8))


def time_field(time: int) -> tuple[bytes, bytes]:
    if time < 0xFFFFFF:
        return time.to_bytes(3, "big"), b""
    return b"\xff\xff\xff", time.to_bytes(4, "big")


def fmt0(csid: int, time: int, length: int, message_type: int = AUDIO, stream_id: int = 1) -> bytes:
    field, extended = time_field(time)
    fields = field + length.to_bytes(3, "big") + bytes((message_type,)) + stream_id.to_bytes(4, "little")
    return basic(0, csid) + fields + extended


def fmt1(csid: int, delta: int, length: int, message_type: int = AUDIO) -> bytes:
    field, extended = time_field(delta)
    return basic(1, csid) + field + length.to_bytes(3, "big") + bytes((message_type,)) + extended


def fmt2(csid: int, delta: int) -> bytes:
    field, extended = time_field(delta)
    return basic(2, csid) + field + extended


def fmt3(csid: int) -> bytes:
    return basic(3, csid)


def reader_in_state(reader: ChunkReader) -> tuple[int, int, int]:
    return reader.chunk_size, reader.partial_bytes, reader.buffered


def feed(reader: ChunkReader, data: bytes, size: int) -> list[Message]:
    messages: list[Message] = []
    feed_into(messages, reader, data, size)
    return messages


def feed_into(messages: list[Message], reader: ChunkReader, data: bytes, size: int) -> None:
    for i in range(0, len(data), size):
        messages += reader.receive_data(data[i : i + size])
        while reader.more:
            messages += reader.receive_data(b"")


def read(data: bytes, limits: Limits | None = None) -> list[Message]:
    """The messages of ``data``, the same whole, byte by byte, and in pieces of some sizes."""
    limits = limits or Limits()
    whole = ChunkReader(limits)
    messages = whole.receive_data(data)
    for size in (1, 2, 3, 7, 64, 127, 129, 131):
        pieces = ChunkReader(limits)
        assert feed(pieces, data, size) == messages
        assert reader_in_state(pieces) == reader_in_state(whole)
    return messages


def fails(data: bytes, reason: str, limits: Limits | None = None) -> None:
    for size in (len(data), 1):
        reader = ChunkReader(limits or Limits())
        with pytest.raises(ChunkError) as caught:
            feed(reader, data, size)
        assert caught.value.reason == reason


def times(data: bytes) -> list[int]:
    return [message.timestamp for message in read(data)]


# Golden bytes

EXTENDED_AUDIO = Message(AUDIO, 0x01000000, 1, pattern(200))
GOLDEN = [
    (set_chunk_size(4096), 2, "02 000000 000004 01 00000000 00001000"),
    (user_control(StreamBegin(1)), 2, "02 000000 000006 04 00000000 0000 00000001"),
    (window_ack_size(2_500_000), 2, "02 000000 000004 05 00000000 002625a0"),
    (
        set_peer_bandwidth(2_500_000, BandwidthLimit.DYNAMIC),
        2,
        "02 000000 000005 06 00000000 002625a0 02",
    ),
    (
        EXTENDED_AUDIO,
        4,
        f"04 ffffff 0000c8 08 01000000 01000000 {pattern(128).hex()} c4 01000000 {pattern(200)[128:].hex()}",
    ),
]


@pytest.mark.parametrize(("message", "csid", "data"), GOLDEN)
def test_golden_bytes(message: Message, csid: int, data: str) -> None:
    assert ChunkWriter().write(message, csid) == bytes.fromhex(data)
    assert read(bytes.fromhex(data)) == [message]


# Basic headers

CSIDS = [
    (2, "02"),
    (63, "3f"),
    (64, "00 00"),
    (319, "00 ff"),
    (320, "01 00 01"),
    (0x1234 + 64, "01 34 12"),
    (65599, "01 ff ff"),
]


@pytest.mark.parametrize(("csid", "header"), CSIDS)
def test_chunk_stream_ids_are_sent_in_the_shortest_form(csid: int, header: str) -> None:
    payload = pattern(300)
    data = encode_message(VIDEO, 5, 1, payload, csid, 128)
    start = bytes.fromhex(header)
    assert data.startswith(start)
    continuation = bytes((start[0] | 0xC0,)) + start[1:]
    assert data[len(start) + 11 + 128 :].startswith(continuation)
    assert read(data) == [Message(VIDEO, 5, 1, payload)]


def test_both_long_forms_name_the_same_chunk_stream() -> None:
    two, three = b"\x00\x06", b"\x01\x06\x00"
    for opening in (two, three):
        for continuation in (two, three):
            data = opening + fmt0(2, 0, 130)[1:] + pattern(128)
            data += bytes((continuation[0] | 0xC0,)) + continuation[1:] + b"zz"
            assert read(data) == [Message(AUDIO, 0, 1, pattern(128) + b"zz")]


@pytest.mark.parametrize("csid", [1, 0, 65600, -1])
def test_chunk_stream_ids_that_cannot_be_sent(csid: int) -> None:
    with pytest.raises(UsageError):
        encode_message(AUDIO, 0, 1, b"", csid, 128)


def test_message_stream_id_is_little_endian() -> None:
    data = encode_message(AUDIO, 0, 0x01020304, b"x", 4, 128)
    assert data[8:12] == bytes((4, 3, 2, 1))
    assert read(data) == [Message(AUDIO, 0, 0x01020304, b"x")]


@pytest.mark.parametrize("stream_id", [0, 1, 0xFF, 0x100, 0x10000, 0x1000000, 0xFFFFFFFF])
def test_every_byte_of_a_message_stream_id_counts(stream_id: int) -> None:
    assert read(fmt0(4, 0, 1, AUDIO, stream_id) + b"x") == [Message(AUDIO, 0, stream_id, b"x")]


# Message headers


def test_every_format_starts_a_message() -> None:
    data = fmt0(4, 1000, 3) + b"abc" + fmt1(4, 20, 2, VIDEO) + b"de" + fmt2(4, 30) + b"fg" + fmt3(4) + b"hi"
    assert read(data) == [
        Message(AUDIO, 1000, 1, b"abc"),
        Message(VIDEO, 1020, 1, b"de"),
        Message(VIDEO, 1050, 1, b"fg"),
        Message(VIDEO, 1080, 1, b"hi"),
    ]


def test_fmt3_after_fmt0_adds_its_timestamp_again() -> None:
    assert times(fmt0(4, 40, 1) + b"a" + fmt3(4) + b"b" + fmt3(4) + b"c") == [40, 80, 120]
    assert times(fmt0(4, 0, 1) + b"a" + fmt3(4) + b"b") == [0, 0]


def test_fmt3_after_fmt0_does_not_jump_far() -> None:
    limit = MAX_FULL_HEADER_DELTA_MS
    assert times(fmt0(4, limit, 1) + b"a" + fmt3(4) + b"b") == [limit, 2 * limit]
    assert times(fmt0(4, limit + 1, 1) + b"a" + fmt3(4) + b"b") == [limit + 1, limit + 1]
    assert times(fmt0(4, limit + 1, 1) + b"a" + fmt2(4, 7) + b"b" + fmt3(4) + b"c") == [
        limit + 1,
        limit + 8,
        limit + 15,
    ]


def test_a_delta_wraps_modulo_2_to_the_32() -> None:
    # quirk(gstreamer): sends a step backward as a wrapped, extended delta
    data = fmt0(4, 1000, 1) + b"a" + fmt1(4, 0xFFFFFFF6, 1) + b"b" + fmt2(4, 20) + b"c"
    assert times(data) == [1000, 990, 1010]
    assert times(fmt0(4, 0xFFFFFFFF, 1) + b"a" + fmt2(4, 2) + b"b") == [0xFFFFFFFF, 1]
    data = fmt0(4, 0xFFFFFFFD, 1) + b"a" + fmt2(4, 2) + b"b" + fmt3(4) + b"c"
    assert times(data) == [0xFFFFFFFD, 0xFFFFFFFF, 1]


def test_fmt1_may_open_a_chunk_stream() -> None:
    # quirk(librtmp): a ping as fmt 1 on an unused chunk stream 2
    assert read(fmt1(2, 5, 6, 4) + bytes(6)) == [Message(4, 5, 0, bytes(6))]


@pytest.mark.parametrize("header", [fmt2(4, 5), fmt3(4)])
def test_fmt2_and_fmt3_may_not_open_a_chunk_stream(header: bytes) -> None:
    fails(header, "no_header")
    fails(fmt0(3, 0, 1) + b"x" + header, "no_header")


@pytest.mark.parametrize("header", [fmt0(4, 0, 200), fmt1(4, 0, 200), fmt2(4, 0)])
def test_no_new_header_in_mid_message(header: bytes) -> None:
    fails(fmt0(4, 0, 200) + pattern(128) + header, "header_mid_message")


def test_zero_length_messages_complete_at_once() -> None:
    opening = fmt0(4, 10, 0)
    data = opening + fmt1(4, 5, 0) + fmt2(4, 5) + fmt3(4)
    assert times(data) == [10, 15, 20, 25]
    reader = ChunkReader(Limits())
    assert reader.receive_data(opening) == [Message(AUDIO, 10, 1, b"")]
    assert reader_in_state(reader) == (128, 0, 0)


def test_messages_may_interleave() -> None:
    video, audio = pattern(300), pattern(140)
    data = fmt0(6, 1, 300, VIDEO) + video[:128] + fmt0(4, 2, 140) + audio[:128] + fmt3(6) + video[128:256]
    data += fmt3(4) + audio[128:] + fmt0(5, 3, 1, DATA) + b"d" + fmt3(6) + video[256:]
    assert read(data) == [Message(AUDIO, 2, 1, audio), Message(DATA, 3, 1, b"d"), Message(VIDEO, 1, 1, video)]


def test_interleaving_in_the_middle_of_a_long_run() -> None:
    video = pattern(128 * 20)
    chunks = [video[i : i + 128] for i in range(0, len(video), 128)]
    for place in range(1, 20):
        audio = fmt0(4, 2, 3) + b"abc"
        data = fmt0(6, 1, len(video), VIDEO) + fmt3(6).join(chunks[:place]) + audio
        data += fmt3(6) + fmt3(6).join(chunks[place:])
        assert read(data) == [Message(AUDIO, 2, 1, b"abc"), Message(VIDEO, 1, 1, video)]


# Extended timestamps


def cut(payload: bytes, opening: bytes, continuation: bytes, chunk_size: int = 128) -> bytes:
    return opening + continuation.join(
        payload[i : i + chunk_size] for i in range(0, len(payload), chunk_size)
    )


@pytest.mark.parametrize("repeated", [True, False])
@pytest.mark.parametrize("size", [129, 130, 131, 132, 133, 200, 700, 128 * 9, 128 * 9 + 1])
def test_extended_timestamps_with_and_without_repetition(size: int, repeated: bool) -> None:
    time = 0x01234567
    payload = pattern(size)
    data = b""
    for delta in (0xFFFFFF, 0x1000000, 0x1000001):
        absolute_again = time.to_bytes(4, "big") if repeated else b""
        delta_again = delta.to_bytes(4, "big") if repeated else b""
        data += cut(payload, fmt0(6, time, size, VIDEO), fmt3(6) + absolute_again)
        data += cut(payload, fmt1(4, delta, size), fmt3(4) + delta_again)
    messages = read(data)
    assert [m.payload for m in messages] == [payload] * 6
    assert [m.timestamp for m in messages] == [time, 0xFFFFFF, time, 0x1FFFFFF, time, 0x3000000]


def test_continuations_may_repeat_the_time_instead_of_the_delta() -> None:
    payload = pattern(400)
    data = fmt0(4, 500, 1) + b"a"
    time = 500 + 0x01000000
    data += cut(payload, fmt1(4, 0x01000000, 400), fmt3(4) + time.to_bytes(4, "big"))
    assert read(data) == [Message(AUDIO, 500, 1, b"a"), Message(AUDIO, time, 1, payload)]


@pytest.mark.parametrize("rest", [b"x", b"\x01x", b"\x01\x23\x45"])
def test_a_short_last_chunk_without_repetition_does_not_hang(rest: bytes) -> None:
    opening = fmt0(6, 0x01234567, 128 + len(rest), VIDEO) + pattern(128) + fmt3(6)
    if not b"\x01\x23\x45\x67".startswith(rest):
        assert read(opening + rest) == [Message(VIDEO, 0x01234567, 1, pattern(128) + rest)]
    # Bytes that might still be the timestamp are settled by whatever comes next.
    ping = fmt0(2, 0, 1, 3, 0) + b"p"
    assert read(opening + rest + ping)[0] == Message(VIDEO, 0x01234567, 1, pattern(128) + rest)


def test_once_not_repeated_never_waits() -> None:
    time = 0x01234567
    data = cut(pattern(200), fmt0(6, time, 200, VIDEO), fmt3(6))
    data += cut(pattern(128) + b"\x01", fmt0(6, time, 129, VIDEO), fmt3(6))
    assert [len(m.payload) for m in read(data)] == [200, 129]


def test_once_repeated_is_skipped_whatever_it_says() -> None:
    data = b"".join(
        cut(pattern(900), fmt0(6, 0x01234567, 900, VIDEO), fmt3(6) + again)
        for again in (b"\x01\x23\x45\x67", b"\x00\x23\x45\x67")
    )
    assert [m.payload for m in read(data)] == [pattern(900)] * 2


def test_the_first_chunk_decides_for_the_connection() -> None:
    time = 0x01234567
    again = time.to_bytes(4, "big")
    data = cut(pattern(200), fmt0(6, time, 200, VIDEO), fmt3(6))
    looks_repeated = pattern(128) + again + b"z"
    data += cut(looks_repeated, fmt0(6, time, 133, VIDEO), fmt3(6))
    assert [m.payload for m in read(data)] == [pattern(200), looks_repeated]


@pytest.mark.parametrize("repeated", [True, False])
def test_fmt3_that_starts_a_message_repeats_it_or_not(repeated: bool) -> None:
    again = b"\x01\x00\x00\x00" if repeated else b""
    data = (
        fmt0(4, 7, 2)
        + b"aa"
        + fmt2(4, 0x01000000)
        + b"ab"
        + fmt3(4)
        + again
        + b"cd"
        + fmt3(4)
        + again
        + b"ef"
    )
    assert [(m.timestamp, m.payload) for m in read(data)] == [
        (7, b"aa"),
        (0x01000007, b"ab"),
        (0x02000007, b"cd"),
        (0x03000007, b"ef"),
    ]


@pytest.mark.parametrize("chunk_size", [128, 4096])
def test_crossing_into_extended_timestamps(chunk_size: int) -> None:
    sent = [Message(VIDEO, 0xFFFFF0 + 5 * i, 1, pattern(300 + i)) for i in range(8)]
    writer = ChunkWriter()
    data = writer.write(set_chunk_size(chunk_size), 2) + b"".join(writer.write(m, 6) for m in sent)
    assert read(data)[1:] == sent


# Set Chunk Size and Abort


def test_chunk_size_takes_effect_on_the_very_next_chunk() -> None:
    video = pattern(1000)
    data = fmt0(6, 0, 1000, VIDEO) + video[:128] + ChunkWriter().write(set_chunk_size(500), 2)
    data += fmt3(6) + video[128:628] + fmt3(6) + video[628:]
    assert read(data) == [set_chunk_size(500), Message(VIDEO, 0, 1, video)]


@pytest.mark.parametrize("between", [b"", fmt0(4, 0, 0)])
def test_a_chunk_size_that_takes_two_chunks_counts_too(between: bytes) -> None:
    opening = set_chunk_size(3)
    data = ChunkWriter().write(opening, 2) + fmt0(2, 0, 4, 1, 0) + bytes(3) + between + fmt3(2) + b"\x01"
    data += cut(b"xyz", fmt0(4, 7, 3), fmt3(4), 1)
    messages = read(data, Limits(min_chunk_size=1))
    assert [messages[0], *messages[-2:]] == [opening, set_chunk_size(1), Message(AUDIO, 7, 1, b"xyz")]


@pytest.mark.parametrize(
    ("value", "accepted"), [(128, 128), (0xFFFFFF, 0xFFFFFF), (0x1000000, 0xFFFFFF), (0x7FFFFFFF, 0xFFFFFF)]
)
def test_chunk_sizes_accepted(value: int, accepted: int) -> None:
    reader = ChunkReader(Limits())
    reader.receive_data(ChunkWriter().write(set_chunk_size(value), 2))
    assert reader.chunk_size == accepted


@pytest.mark.parametrize("value", [0, 1, 127, 0x80000000, 0xFFFFFFFF])
def test_chunk_sizes_refused(value: int) -> None:
    fails(fmt0(2, 0, 4, 1, 0) + value.to_bytes(4, "big"), "chunk_size")


@pytest.mark.parametrize("chunk_size", [1, 2, 5, 127])
def test_small_chunk_sizes_if_allowed(chunk_size: int) -> None:
    writer = ChunkWriter()
    sent = [set_chunk_size(chunk_size), Message(VIDEO, 0x01000000, 1, pattern(333))]
    sent += [Message(AUDIO, 5, 1, pattern(90))]
    data = b"".join(writer.write(message, 6) for message in sent)
    assert read(data, Limits(min_chunk_size=1)) == sent
    fails(fmt0(2, 0, 4, 1, 0) + bytes(4), "chunk_size", Limits(min_chunk_size=1))


def test_a_chunk_size_that_is_cut_short() -> None:
    fails(fmt0(2, 0, 3, 1, 0) + bytes(3), "bad_control")


def test_an_abort_that_is_cut_short_aborts_nothing() -> None:
    data = fmt0(4, 0, 200) + pattern(128) + fmt0(2, 0, 3, 2, 0) + bytes(3) + fmt3(4) + pattern(200)[128:]
    assert read(data) == [Message(2, 0, 0, bytes(3)), Message(AUDIO, 0, 1, pattern(200))]


def test_abort_drops_the_incomplete_message_only() -> None:
    video = pattern(300)
    data = fmt0(6, 1, 300, VIDEO) + video[:128] + fmt0(4, 2, 300) + video[:128]
    data += ChunkWriter().write(abort(6), 2) + fmt3(4) + video[128:256] + fmt3(4) + video[256:]
    assert read(data) == [abort(6), Message(AUDIO, 2, 1, video)]
    after = data + cut(video, fmt0(6, 3, 300, VIDEO), fmt3(6))
    assert read(after)[2:] == [Message(VIDEO, 3, 1, video)]
    again = (
        data
        + fmt0(6, 3, 1, VIDEO)
        + b"v"
        + ChunkWriter().write(abort(6), 2)
        + ChunkWriter().write(abort(99), 2)
    )
    assert read(again)[2:] == [Message(VIDEO, 3, 1, b"v"), abort(6), abort(99)]
    reader = ChunkReader(Limits())
    reader.receive_data(again)
    assert reader_in_state(reader) == (128, 0, 0)


# Limits


@pytest.mark.parametrize(
    ("message_type", "limit"),
    [
        *((message_type, 3000) for message_type in (AUDIO, VIDEO, 22)),
        *((message_type, 2000) for message_type in (DATA, 15)),
        *((message_type, 1000) for message_type in (COMMAND, 17, 16, 19, 4, 99)),
    ],
)
def test_messages_too_long_for_their_type(message_type: int, limit: int) -> None:
    limits = Limits(max_message_bytes=3000, max_data_bytes=2000, max_command_bytes=1000)
    payload = pattern(limit)
    assert read(cut(payload, fmt0(5, 0, limit, message_type), fmt3(5)), limits) == [
        Message(message_type, 0, 1, payload)
    ]
    fails(fmt0(5, 0, limit + 1, message_type), "message_too_long", limits)
    fails(fmt1(5, 0, limit + 1, message_type), "message_too_long", limits)


def test_chunk_streams_are_capped() -> None:
    data = b"".join(fmt0(csid, 0, 0) for csid in range(2, 66))
    assert len(read(data)) == 64
    assert len(read(data + fmt0(65, 0, 0))) == 65
    fails(data + fmt0(66, 0, 0), "chunk_streams")


def test_partial_bytes_are_capped() -> None:
    limits = Limits(max_partial_bytes=300)
    data = fmt0(4, 0, 150) + pattern(128) + fmt0(5, 0, 150) + pattern(128)
    assert read(data, limits) == []
    # One that fits into a chunk is complete before another can begin.
    assert read(data + fmt0(6, 0, 128) + pattern(127), limits) == []
    fails(data + fmt0(6, 0, 129) + pattern(1), "partial_bytes", limits)
    complete = fmt3(5) + pattern(150)[128:]
    assert len(read(data + complete + fmt0(6, 0, 150) + pattern(128), limits)) == 1
    aborted = ChunkWriter().write(abort(4), 2)
    assert len(read(data + aborted + fmt0(6, 0, 150) + pattern(128), limits)) == 1


def test_partial_bytes_and_buffered_tell_whether_a_message_is_under_way() -> None:
    opening = fmt0(320, 0, 300)
    first = cut(pattern(300), opening, fmt3(320))
    messages = [first, fmt3(320) + first[len(opening) :], fmt2(320, 5) + first[len(opening) :]]
    messages.append(cut(pattern(300), fmt0(4, 0x01000000, 300), fmt3(4) + b"\x01\0\0\0"))
    reader = ChunkReader(Limits())
    for data in messages:
        held = 0
        for i in range(len(data) - 1):
            assert reader.receive_data(data[i : i + 1]) == []
            assert reader.partial_bytes >= held
            held = reader.partial_bytes
            assert reader.partial_bytes or reader.buffered
            assert reader.buffered <= 18
        assert held == 299
        assert len(reader.receive_data(data[-1:])) == 1
        assert reader_in_state(reader) == (128, 0, 0)


def test_declared_length_allocates_nothing() -> None:
    reader = ChunkReader(Limits())
    reader.receive_data(ChunkWriter().write(set_chunk_size(0xFFFFFF), 2))
    reader.receive_data(fmt0(6, 0, 10 * 1024 * 1024, VIDEO) + b"x")
    assert reader.partial_bytes == 1


def test_an_error_behind_whole_messages_holds_nobody_who_read_them() -> None:
    class Caller:
        pass

    def read() -> weakref.ref[Caller]:
        caller = Caller()
        data = fmt0(4, 0, 5) + pattern(5) + basic(3, 50) + bytes(200)
        assert len(reader.receive_data(data, 0.0)) == 1
        return weakref.ref(caller)

    reader = ChunkReader(Limits())
    gc.disable()
    try:
        assert read()() is None
    finally:
        gc.enable()
    with pytest.raises(ChunkError):
        reader.receive_data(b"", 0.0)


def test_empty_data() -> None:
    reader = ChunkReader(Limits())
    assert reader.receive_data(b"") == []
    reader.receive_data(fmt0(4, 0, 5) + b"ab")
    assert reader.receive_data(b"") == []
    assert reader.receive_data(b"cde") == [Message(AUDIO, 0, 1, b"abcde")]


# Writing


def test_writer_applies_its_own_chunk_size() -> None:
    writer = ChunkWriter()
    assert writer.chunk_size == 128
    assert writer.write(Message(AUDIO, 0, 1, bytes(129)), 4).count(b"\xc4") == 1
    writer.write(set_chunk_size(65536), 2)
    assert writer.chunk_size == 65536
    assert writer.write(Message(AUDIO, 0, 1, bytes(65536)), 4).count(b"\xc4") == 0


@pytest.mark.parametrize("chunk_size", [1, 128, 1023, 1024, 4096])
@pytest.mark.parametrize("time", [5, 0x1000000])
def test_messages_are_cut_where_chunks_are_full(chunk_size: int, time: int) -> None:
    _, extended = time_field(time)
    for length in (chunk_size + 1, 2 * chunk_size, 2 * chunk_size + 1):
        payload = pattern(length)
        chunks = [payload[pos : pos + chunk_size] for pos in range(0, length, chunk_size)]
        data = fmt0(6, time, length, VIDEO) + (fmt3(6) + extended).join(chunks)
        assert encode_message(VIDEO, time, 1, payload, 6, chunk_size) == data


def test_timestamps_are_sent_modulo_2_to_the_32() -> None:
    assert encode_message(AUDIO, 2**32 + 7, 1, b"", 4, 128) == encode_message(AUDIO, 7, 1, b"", 4, 128)
    assert encode_message(AUDIO, -1, 1, b"", 4, 128) == encode_message(AUDIO, 2**32 - 1, 1, b"", 4, 128)


@pytest.mark.parametrize(("time", "extended"), [(0xFFFFFE, False), (0xFFFFFF, True), (0x1000000, True)])
def test_timestamps_from_ffffff_on_are_extended(time: int, extended: bool) -> None:
    assert len(encode_message(AUDIO, time, 1, b"", 4, 128)) == (16 if extended else 12)


def test_what_cannot_be_written() -> None:
    with pytest.raises(UsageError):
        encode_message(VIDEO, 0, 1, bytes(0x1000000), 6, 4096)
    with pytest.raises(UsageError):
        encode_message(VIDEO, 0, 1, b"x", 6, 0)


# Properties

any_time = st.one_of(st.integers(0, 20_000), st.integers(0xFFFFF0, 0x100000F), st.integers(0, 0xFFFFFFFF))
any_message = st.builds(
    Message,
    st.sampled_from((AUDIO, VIDEO, DATA, COMMAND, 3, 5, 99)),
    any_time,
    st.integers(0, 0xFFFFFFFF),
    st.integers(0, 1500).map(pattern),
)
message_lists = st.lists(
    st.tuples(any_message, st.sampled_from((2, 3, 4, 63, 64, 319, 320, 65599))), max_size=8
)


@given(message_lists, st.sampled_from((128, 129, 500, 4096, 65536)))
def test_round_trip(sent: list[tuple[Message, int]], chunk_size: int) -> None:
    writer = ChunkWriter()
    data = writer.write(set_chunk_size(chunk_size), 2)
    data += b"".join(writer.write(message, csid) for message, csid in sent)
    assert ChunkReader(Limits()).receive_data(data)[1:] == [message for message, _ in sent]


def every_split(data: bytes) -> Iterable[tuple[bytes, bytes]]:
    return ((data[:i], data[i:]) for i in range(len(data) + 1))


def test_every_split_point_gives_the_same() -> None:
    time = 0x01234567
    data = ChunkWriter().write(set_chunk_size(200), 2) + fmt0(4, 5, 3) + b"abc" + fmt1(4, 5, 2) + b"de"
    data += fmt2(4, 1) + b"fg" + fmt3(4) + b"hi" + fmt0(320, 0, 0)
    data += cut(pattern(900), fmt0(70, time, 900, VIDEO), fmt3(70) + time.to_bytes(4, "big"), 200)
    data += cut(pattern(1900), fmt0(6, 9, 1900, VIDEO), fmt3(6), 200)
    data += fmt0(6, 1, 300, VIDEO) + pattern(200)
    whole = ChunkReader(Limits())
    messages = whole.receive_data(data)
    assert len(messages) == 8
    for first, second in every_split(data):
        reader = ChunkReader(Limits())
        assert reader.receive_data(first) + reader.receive_data(second) == messages
        assert reader_in_state(reader) == reader_in_state(whole) == (200, 200, 0)


def outcome(data: bytes, size: int) -> tuple[list[Message], str]:
    messages: list[Message] = []
    try:
        feed_into(messages, ChunkReader(Limits(min_chunk_size=1, max_chunk_streams=4)), data, size)
    except ChunkError as error:
        return messages, error.reason
    return messages, ""


few_csids = st.integers(2, 5)
few_times = st.sampled_from((0, 9, 0xFFFFFF))
few_bytes = st.integers(0, 9)
any_header = st.one_of(
    st.builds(fmt0, few_csids, few_times, few_bytes, few_bytes),
    st.builds(fmt1, few_csids, few_times, few_bytes, few_bytes),
    st.builds(fmt2, few_csids, few_times),
    st.builds(fmt3, few_csids),
    st.just(fmt0(2, 0, 4, 1) + b"\0\0\0\2"),
)
chunk_soup = st.lists(st.one_of(any_header, st.binary(max_size=9)), max_size=40).map(b"".join)


@settings(max_examples=300)
@given(chunk_soup, st.integers(1, 9))
def test_hostile_bytes_fail_in_one_way_and_split_alike(data: bytes, size: int) -> None:
    assert outcome(data, size) == outcome(data, max(len(data), 1))
