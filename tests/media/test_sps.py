"""Sequence parameter sets of x264, x265 and Kvazaar: shapes of pixels, colours, frame rates."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtmpd.media.sps import Colors, Sps, read_avc_sps, read_hevc_sps

X264 = bytes.fromhex(
    "0164000dffe1001f6764000dacd94141fbff0040002d6e040402800000030080000019078a14cb01000668ebe3cb22c0fdf8f800"
)
SCALING_LISTS = "42010101600000030090000003000003003ca00a080f165959a49395e04d404040410000030001000003001908"
TEN_BIT = "4201010220000003009000000300000300ffa00a080f1365959a4932bc05a84890482000000300200000030321"
KVAZAAR = "4201020160000003008000000300000300ba0000a00a080f16c100864932ac04040000030004000003006420"


def record(sps: str) -> bytes:
    """An HEVCDecoderConfigurationRecord that holds nothing else."""
    data = bytes.fromhex(sps)
    return bytes(22) + b"\x01\x21\0\x01" + len(data).to_bytes(2, "big") + data


def test_h264() -> None:
    assert read_avc_sps(X264) == Sps(320, 240, 25.0, 64, 45, Colors(2, 2, 1, full_range=True))


@pytest.mark.parametrize(
    ("sps", "expected"),
    [
        (SCALING_LISTS, Sps(320, 240, 25.0, 12, 11, Colors(1, 1, 1))),
        (TEN_BIT, Sps(320, 240, 25.0, colors=Colors(9, 18, 9))),
        (KVAZAAR, Sps(320, 240, 25.0)),
    ],
)
def test_h265(sps: str, expected: Sps) -> None:
    assert read_hevc_sps(record(sps)) == expected


def ue(number: int) -> str:
    """As an Exp-Golomb code."""
    digits = f"{number + 1:b}"
    return "0" * (len(digits) - 1) + digits


def test_sets_of_pictures_that_are_told_by_others_are_passed() -> None:
    """Section 7.3.7: of three pictures one is not kept, and the last set tells of two and itself."""
    explicit = ue(3) + ue(0) + (ue(0) + "1") * 3
    predicted = "1" + "0" + ue(0) + "1" + "01" + "00" + "1"
    again = "1" + "0" + ue(0) + "1" * 4
    fields = "0000" + "000" + "1" + "0" * 96 + ue(0) + ue(1) + ue(320) + ue(240) + "0" + ue(0) * 2
    fields += ue(4) + "0" + ue(0) * 3 + ue(0) * 6 + "0" + "00" + "0" + ue(3) + explicit + predicted + again
    fields += "0" + "00" + "1" + "1" + f"{14:08b}" + "0" * 11
    fields += "0" * (-len(fields) % 8)
    data = b"\x42\x01" + escaped(int(fields, 2).to_bytes(len(fields) // 8, "big"))
    assert read_hevc_sps(record(data.hex()))[:5] == (320, 240, 0.0, 4, 3)


def escaped(data: bytes) -> bytes:
    """With emulation prevention bytes (section 7.4.2)."""
    made = bytearray()
    for byte in data:
        if made[-2:] == b"\0\0" and byte < 4:
            made.append(3)
        made.append(byte)
    return bytes(made)


@given(st.sampled_from([SCALING_LISTS, TEN_BIT, KVAZAAR]), st.integers(4, 50), st.binary(max_size=40))
def test_nothing_raises_but_index_errors(sps: str, kept: int, rest: bytes) -> None:
    broken = bytes.fromhex(sps)[:kept] + rest
    with suppress(IndexError):
        read_hevc_sps(record(broken.hex()))
    with suppress(IndexError):
        read_avc_sps(X264[: 8 + kept] + rest)
