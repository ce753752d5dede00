"""onMetaData: what a publisher says about its stream, made fit for live players.

The body is edited as bytes and not decoded and encoded again, so values that we know nothing of pass as
they came.
"""

from __future__ import annotations

from typing import Final

from rtmpd.exceptions import AmfError, UsageError
from rtmpd.rtmp import amf
from rtmpd.rtmp.amf import AmfValue, EcmaArray
from rtmpd.rtmp.messages import Message

HANDLER: Final = "onMetaData"

_HANDLER_BYTES: Final = amf.encode_values(HANDLER)
_SET_DATA_FRAME: Final = amf.encode_values("@setDataFrame")
_NOT_LIVE: Final = frozenset({b"duration", b"filesize"})
"""In lower case: OBS writes fileSize."""
_AVMPLUS: Final = b"\x11"
_ECMA_ARRAY: Final = b"\x08"
_NUMBER: Final = 0x00
_OBJECT_END: Final = b"\x00\x00\x09"


def live_metadata(message: Message) -> bytes | None:
    """Payload of a type 18 message for live players, of the onMetaData that ``message`` (18 or 15) sets.

    The properties stand in an ECMA array, as ffmpeg wants it. A numeric ``duration`` or ``filesize`` is
    taken out: it makes players think of a file. Values after the array are left out. None when the message
    is anything else, cannot be decoded or holds too many values.
    """
    payload = _body(message.payload)
    if payload is None:
        return None
    try:
        if payload[:1] == _AVMPLUS:
            return _from_amf3(payload)
        layout = amf.object_layout(payload, 0)
    except (AmfError, UsageError):
        return None
    kept = [
        payload[entry.start : entry.end]
        for entry in layout.properties
        if entry.key.lower() not in _NOT_LIVE or payload[entry.value_start] != _NUMBER
    ]
    return b"".join([_HANDLER_BYTES, _ECMA_ARRAY, len(kept).to_bytes(4, "big"), *kept, _OBJECT_END])


def read_metadata(payload: bytes) -> dict[str, AmfValue]:
    """Properties of an onMetaData body, for logs and statistics; empty when there are none to be read."""
    body = _body(payload)
    if body is None:
        return {}
    try:
        values = amf.decode_values(body)
    except AmfError:
        return {}
    return values[0] if values and isinstance(values[0], dict) else {}


def _body(payload: bytes) -> bytes | None:
    """What follows ``[@setDataFrame] onMetaData``, or None."""
    # A type 15 body has a format byte before its first string; no type 18 body starts with 0.
    if payload[:1] == b"\x00":
        payload = payload[1:]
    payload = payload.removeprefix(_SET_DATA_FRAME)
    return payload[len(_HANDLER_BYTES) :] if payload.startswith(_HANDLER_BYTES) else None


def _from_amf3(payload: bytes) -> bytes | None:
    values = amf.decode_values(payload)
    if not values or not isinstance(values[0], dict):
        return None
    properties = {
        key: value
        for key, value in values[0].items()
        if key.lower().encode() not in _NOT_LIVE or not isinstance(value, int | float)
    }
    return amf.encode_values(HANDLER, EcmaArray(properties))
