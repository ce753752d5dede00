"""The same bytes mean the same, however they are cut: recordings of real clients, spoilt and cut anew."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from golden_captures import load, names
from rtmp_dialogue import grant

from rtmpd.rtmp.constants import MessageType
from rtmpd.rtmp.events import ServerEvent, SessionFailed
from rtmpd.rtmp.limits import Limits
from rtmpd.rtmp.server import ServerSession

NOW = 5.0
LENGTH = 6000
"""Bytes of a recording behind its handshake: the dialogue, and the first frames."""
LIMITS = Limits(max_messages_per_turn=50, min_chunk_size=1)
IN_TEST = 300
IN_FUZZ = 20_000


def spoilt(seed: int) -> tuple[bytes, random.Random]:
    """The beginning of a recording with a few mistakes in it."""
    dice = random.Random(seed)
    recordings = names()
    capture = load(dice.choice(recordings))
    data = bytearray(capture.chunks[:LENGTH])
    for _ in range(dice.choice((0, 1, 1, 2, 5))):
        place = dice.randrange(len(data))
        match dice.randrange(6):
            case 0:
                data[place] ^= 1 << dice.randrange(8)
            case 1:
                data[place] = dice.choice((0, 1, 2, 3, 4, 5, 6, 8, 9, 17, 18, 20, 22, 0x7F, 0xFF, 0xC4))
            case 2:
                del data[place : place + dice.randrange(1, 9)]
            case 3:
                data[place:place] = dice.randbytes(dice.randrange(1, 9))
            case 4:
                other = load(dice.choice(recordings)).chunks
                start = dice.randrange(min(len(other), LENGTH))
                data[place:place] = other[start : start + dice.randrange(400)]
            case _:
                start = dice.randrange(len(data))
                data[place:place] = data[start : start + dice.randrange(400)]
    return capture.handshake + bytes(data), dice


def whole(data: bytes) -> Iterator[bytes]:
    yield data


def byte_by_byte(data: bytes) -> Iterator[bytes]:
    yield data[:3000]
    for place in range(3000, len(data)):
        yield data[place : place + 1]


def at_random(data: bytes, dice: random.Random) -> Iterator[bytes]:
    place = 0
    while place < len(data):
        size = dice.choice((1, 2, 11, 12, 128, 500, 3000))
        yield data[place : place + size]
        place += size


def outcome(
    pieces: Iterator[bytes], patience: random.Random | None = None
) -> tuple[list[object], list[bytes]]:
    """What a session that grants everything reports of them and answers; some answers come late."""
    session = ServerSession(random_bytes=bytes, now=NOW, limits=LIMITS)
    events: list[ServerEvent] = []
    asked: list[ServerEvent] = []

    def advance(*, late: bool) -> None:
        while True:
            found = session.events_received()
            events.extend(found)
            asked.extend(found)
            if late and patience is not None and patience.random() < 0.9:
                return
            granted = bool(asked)
            for event in asked:
                grant(session, event, NOW)
            asked.clear()
            throttled = session.take_throttle() is not None
            if throttled:
                session.resume(NOW)
            if not granted and not throttled:
                return

    for piece in pieces:
        session.receive_data(piece, NOW)
        advance(late=True)
    advance(late=False)
    # How often it acknowledges depends on the reads, and is no part of the meaning.
    replies = [
        reply for reply in session.data_to_send() if reply[7:8] != bytes((MessageType.ACKNOWLEDGEMENT,))
    ]
    return [comparable(event) for event in events], replies


def comparable(event: ServerEvent) -> object:
    return (event.error.reason, str(event.error)) if isinstance(event, SessionFailed) else event


def judge(seed: int) -> str:
    """The reason that the session failed for, or nothing."""
    data, dice = spoilt(seed)
    expected = outcome(whole(data))
    assert outcome(byte_by_byte(data)) == expected, f"byte by byte, seed {seed}"
    assert outcome(at_random(data, dice)) == expected, f"cut at random, seed {seed}"
    assert outcome(at_random(data, dice), dice) == expected, f"cut at random with late answers, seed {seed}"
    events, _ = expected
    return events[-1][0] if isinstance(events[-1], tuple) else ""


@pytest.mark.parametrize("first", range(0, IN_TEST, 50))
def test_spoilt_recordings_mean_the_same_however_they_are_cut(first: int) -> None:
    reasons = {judge(seed) for seed in range(first, first + 50)}
    assert len(reasons) >= 4  # They fail at all, and for more than one reason.


@pytest.mark.fuzz
@pytest.mark.parametrize("first", range(IN_TEST, IN_TEST + IN_FUZZ, 1000))
def test_many_spoilt_recordings_mean_the_same_however_they_are_cut(first: int) -> None:
    for seed in range(first, first + 1000):
        judge(seed)
