"""Payloads in a few words."""

from __future__ import annotations

import pytest

from rtmpd.media.summary import summary
from rtmpd.rtmp.constants import MessageType

AUDIO, VIDEO = MessageType.AUDIO, MessageType.VIDEO


@pytest.mark.parametrize(
    ("message_type", "payload", "words"),
    [
        (VIDEO, b"\x17\x00\0\0\0conf", "video avc1 header"),
        (VIDEO, b"\x17\x01\0\0\0picture", "video avc1 key frame"),
        (VIDEO, b"\x27\x01\0\0\0picture", "video avc1 frame"),
        (VIDEO, b"\x17\x02\0\0\0", "video avc1 end"),
        (VIDEO, b"\x90hvc1conf", "video hvc1 header"),
        (VIDEO, b"\xa1hvc1\0\0\0picture", "video hvc1 frame"),
        (VIDEO, b"\x94av01\x02", "video av01 metadata"),
        (VIDEO, b"\x96\x00hvc1\x01conf", "video hvc1 header track 1"),
        (AUDIO, b"\xaf\x00\x12\x10", "audio mp4a header"),
        (AUDIO, b"\xaf\x01sound", "audio mp4a frame"),
        (AUDIO, b"\x91Opussound", "audio Opus frame"),
        (AUDIO, b"", "audio empty"),
        (VIDEO, b"\xff\xff", "video unknown"),
    ],
)
def test_summary(message_type: int, payload: bytes, words: str) -> None:
    assert summary(message_type, payload) == words
