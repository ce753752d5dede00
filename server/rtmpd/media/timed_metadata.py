"""Texts and cue points of RTMP as timed metadata of MP4: ID3 tags in ``emsg`` boxes (CMAF, AOM ID3)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from struct import pack
from typing import Final

from rtmpd.exceptions import AmfError
from rtmpd.media.mp4_boxes import full_box
from rtmpd.rtmp import amf
from rtmpd.rtmp.amf import AmfValue

_SCHEME: Final = b"https://aomedia.org/emsg/ID3\0"
_NAMES: Final = {
    b"\x02\x00\x0aonTextData": "onTextData",
    b"\x02\x00\x0aonCuePoint": "onCuePoint",
}
_MOST_BYTES: Final = 16 * 1024
"""Of a message; larger ones are left out."""
_UTF_8: Final = b"\x03"
_UNKNOWN: Final = 0xFFFFFFFF


def timed_metadata(payload: bytes) -> tuple[str, str] | None:
    """The name and the JSON of what follows it, of a type 18 message that is onTextData or onCuePoint.

    None of any other, and of one that cannot be read or is longer than 16 KiB.
    """
    head = payload[:13]
    name = _NAMES.get(head)
    if name is None or len(payload) > _MOST_BYTES:
        return None
    try:
        values = [_plain(value) for value in amf.decode_values(payload[len(head) :])]
    except AmfError:
        return None
    return name, json.dumps(values[0] if len(values) == 1 else values, ensure_ascii=False)


def event_box(number: int, timescale: int, time: int, name: str, text: str) -> bytes:
    """A whole ``emsg`` box at ``time``, in units of ``timescale``: the ``text`` as ID3's TXXX of a name."""
    body = _UTF_8 + name.encode() + b"\0" + text.encode(errors="replace")
    frame = b"TXXX" + _syncsafe(len(body)) + b"\0\0" + body
    tag = b"ID3\x04\0\0" + _syncsafe(len(frame)) + frame
    fields = pack(">IQII", timescale, time, _UNKNOWN, number & 0xFFFFFFFF)
    return full_box(b"emsg", 1, 0, fields, _SCHEME, b"\0", tag)


def _syncsafe(size: int) -> bytes:
    return bytes([size >> shift & 0x7F for shift in (21, 14, 7, 0)])


def _plain(value: AmfValue) -> object:
    """As JSON has it."""
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            whole = value.is_integer() and abs(value) < 2**53
            return int(value) if whole else value if value == value and abs(value) != float("inf") else None
        case list():
            return [_plain(each) for each in value]
        case Mapping():
            return {key: _plain(each) for key, each in value.items()}
    return str(value)
