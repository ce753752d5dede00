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


@given(st.sampled_from([SCALING_LISTS, TEN_BIT, KVAZAAR]), st.integers(4, 50), st.binary(max_size=40))
def test_nothing_raises_but_index_errors(sps: str, kept: int, rest: bytes) -> None:
    broken = bytes.fromhex(sps)[:kept] + rest
    with suppress(IndexError):
        read_hevc_sps(record(broken.hex()))
    with suppress(IndexError):
        read_avc_sps(X264[: 8 + kept] + rest)
