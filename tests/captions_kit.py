"""Captions within the video (CEA-608), as television has them."""

from __future__ import annotations

from pathlib import Path

from rtmpd.media.flv import FlvReader, encode_header, encode_tag
from rtmpd.rtmp.constants import MessageType

_COMMANDS = (b"\x14\x20", b"\x14\x2e", b"\x14\x70")
"""Captions that pop on; of nothing yet; in the last row."""
_SHOW, _NOTHING, _ERASE = b"\x14\x2f", b"\0\0", b"\x14\x2c"
_SHOWN = 15
"""Pictures."""


def caption_unit(cc_data: bytes) -> bytes:
    """A unit with captions as MP4 has it."""
    body = b"\xb5\x00\x31GA94\x03" + bytes((0x40 | len(cc_data) // 3, 0xFF)) + cc_data + b"\xff"
    unit = b"\x06\x04" + bytes((len(body),)) + body + b"\x80"
    return len(unit).to_bytes(4, "big") + unit


def write_captioned(clip: Path, path: Path, text: str, frame_rate: int) -> None:
    """A clip of H.264 with ``text`` in it, shown anew when all of it was sent: two letters a picture."""
    padded = (text + " " * (len(text) % 2)).encode("ascii")
    words = [*_COMMANDS, *(padded[at : at + 2] for at in range(0, len(padded), 2)), _SHOW]
    words += [*[_NOTHING] * _SHOWN, _ERASE]
    tags = [encode_header(audio=True, video=True)]
    for tag in FlvReader().receive_data(clip.read_bytes()):
        payload = bytes(tag.payload)
        if tag.type == MessageType.VIDEO and payload[1] == 1:
            # In the order in which they are shown.
            shown = tag.timestamp + int.from_bytes(payload[2:5], "big", signed=True)
            word = words[round(shown * frame_rate / 1000) % len(words)]
            payload = payload[:5] + caption_unit(b"\xfc" + bytes(map(_with_parity, word))) + payload[5:]
        tags.append(encode_tag(tag.type, tag.timestamp, payload))
    path.write_bytes(b"".join(tags))


def _with_parity(byte: int) -> int:
    return byte if byte.bit_count() % 2 else byte | 0x80
