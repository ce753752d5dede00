"""onMetaData: what a publisher says about its stream, made fit for live players.

The body is edited as bytes and not decoded and encoded again, so values that we know nothing of pass as
they came.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import Final

from rtmpd.exceptions import AmfError, UsageError
from rtmpd.media.tracks import ALL_TRACKS, TrackChoice
from rtmpd.rtmp import amf, amf_scan
from rtmpd.rtmp.amf import AmfValue, EcmaArray, Property
from rtmpd.rtmp.constants import ON_META_DATA, SET_DATA_FRAME, MessageType
from rtmpd.rtmp.messages import Message

_NOT_LIVE: Final = frozenset({b"duration", b"filesize"})
"""In lower case: OBS writes fileSize."""
_OF_FILES: Final = frozenset({b"keyframes", b"filler"})
"""Where key frames are in a file, and room for it."""
_OBJECTS: Final = frozenset((amf_scan.OBJECT, amf_scan.ECMA_ARRAY))
_MAX_AMF3_VALUES: Final = 512
"""AMF3 cannot be cut as it is: it is decoded, at a hundred times the cost."""
_VIDEO_KEYS: Final = frozenset({b"width", b"height", b"framerate", b"hasvideo"})
_AUDIO_KEYS: Final = frozenset({b"stereo", b"hasaudio"})
"""In lower case, beside those that begin with the medium's name."""
VIDEO_TRACKS: Final = b"videoTrackIdInfoMap"
AUDIO_TRACKS: Final = b"audioTrackIdInfoMap"
"""What a publisher says of the tracks beside the first, by track id (Enhanced RTMP v2)."""


def _codec(name: bytes, four_cc: bytes, number: int) -> tuple[bytes, bytes, bytes]:
    head = len(name).to_bytes(2, "big") + name
    return head, amf.encode_values(float(int.from_bytes(four_cc, "big"))), amf.encode_values(float(number))


_PLAIN_CODECS: Final = (_codec(b"videocodecid", b"avc1", 7), _codec(b"audiocodecid", b"mp4a", 10))
"""Properties as Multitrack has them, and the numbers that FLV has always had for the same."""


def live_metadata(message: Message) -> bytes | None:
    """Payload of a type 18 message for live players, of the onMetaData that ``message`` (18 or 15) sets.

    The properties stand in an ECMA array, as ffmpeg wants it. A numeric ``duration`` or ``filesize`` is
    taken out, and an index: it makes players think of a file. Values after the array are left out. None when
    the message is anything else, cannot be decoded or holds too many values.
    """
    payload = _body(message.payload)
    if payload is None:
        return None
    try:
        if payload[:1] == bytes((amf_scan.AVMPLUS,)):
            return _from_amf3(payload)
        layout = amf.object_layout(payload, 0)
    except (AmfError, UsageError):
        return None
    kept = [
        payload[entry.start : entry.end]
        for entry in layout.properties
        if (entry.key.lower() not in _NOT_LIVE or payload[entry.value_start] != amf_scan.NUMBER)
        and entry.key not in _OF_FILES
    ]
    return _joined(kept)


def without_index(payload: bytes) -> bytes:
    """An onMetaData of a file without its index, which is large and nothing to a server; others as is."""
    body = _body(payload)
    if body is None or not any(key in body for key in _OF_FILES):
        return payload
    try:
        layout = amf.object_layout(body, 0)
    except AmfError:
        return payload
    return _joined(body[each.start : each.end] for each in layout.properties if each.key not in _OF_FILES)


def recorded_metadata(payload: bytes, duration: float) -> bytes:
    """Payload of a type 18 message for players of a file whose script data is ``payload``: with its duration.

    ``duration`` (s) is put in the place of a number that the file says, unless it is 0. Of what cannot be
    read nothing but that is left.
    """
    kept: list[bytes] = []
    body = _body(payload)
    if body is not None and body[:1] != bytes((amf_scan.AVMPLUS,)):
        with contextlib.suppress(AmfError, UsageError):
            kept = [
                body[entry.start : entry.end]
                for entry in amf.object_layout(body, 0).properties
                if not duration or entry.key != b"duration"
            ]
    if duration:
        kept.insert(0, b"\x00\x08duration" + amf.encode_values(duration))
    return _joined(kept)


def without_medium(payload: bytes, kind: int) -> bytes:
    """What ``live_metadata`` gave without a word of the audio (8) or the video (9)."""
    return _joined(
        payload[entry.start : entry.end] for entry in _properties(payload) if not _tells_of(kind, entry.key)
    )


def announces(payload: bytes, kind: int) -> bool:
    """Whether what ``live_metadata`` gave names a codec of the audio (8) or the video (9)."""
    return (b"videocodecid" if kind == MessageType.VIDEO else b"audiocodecid") in payload


def of_tracks(payload: bytes, tracks: TrackChoice) -> bytes:
    """What ``live_metadata`` gave as the metadata of a stream of only these tracks.

    What a publisher says without naming a track it says of its first one.
    """
    for kind, chosen, table in (
        (MessageType.VIDEO, tracks.video, VIDEO_TRACKS),
        (MessageType.AUDIO, tracks.audio, AUDIO_TRACKS),
    ):
        if chosen > 0:
            payload = _of_track(payload, kind, chosen, table)
        elif chosen != ALL_TRACKS and table in payload:
            payload = _joined(
                payload[entry.start : entry.end] for entry in _properties(payload) if entry.key != table
            )
    return payload


def with_properties(payload: bytes, properties: dict[str, AmfValue]) -> bytes:
    """What ``live_metadata`` gave with these too."""
    kept = [payload[entry.start : entry.end] for entry in _properties(payload)]
    for name, value in properties.items():
        kept.append(len(name).to_bytes(2, "big") + name.encode() + amf.encode_values(value))
    return _joined(kept)


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
    payload = payload.removeprefix(SET_DATA_FRAME)
    return payload[len(ON_META_DATA) :] if payload.startswith(ON_META_DATA) else None


def _of_track(payload: bytes, kind: int, track: int, table: bytes) -> bytes:
    """The medium described by what ``table`` has for ``track``, and not at all if it has nothing."""
    entries = _properties(payload)
    kept = [payload[entry.start : entry.end] for entry in entries if not _tells_of(kind, entry.key)]
    for entry in entries:
        if entry.key == table and payload[entry.value_start] in _OBJECTS:
            for each in amf.object_layout(payload, entry.value_start).properties:
                if each.key == str(track).encode() and payload[each.value_start] in _OBJECTS:
                    told = amf.object_layout(payload, each.value_start).properties
                    kept += [_as_of_old(payload[property_.start : property_.end]) for property_ in told]
    return _joined(kept)


def _as_of_old(entry: bytes) -> bytes:
    """A property of a track that is written as FLV was before there were tracks: see ``plain_track``."""
    for name, four_cc, number in _PLAIN_CODECS:
        if entry == name + four_cc:
            return name + number
    return entry


def _properties(payload: bytes) -> list[Property]:
    return amf.object_layout(payload, len(ON_META_DATA)).properties


def _joined(properties: Iterable[bytes]) -> bytes:
    kept = list(properties)
    head = ON_META_DATA + bytes((amf_scan.ECMA_ARRAY,)) + len(kept).to_bytes(4, "big")
    return b"".join([head, *kept, amf_scan.OBJECT_END])


def _tells_of(kind: int, key: bytes) -> bool:
    key = key.lower()
    if kind == MessageType.VIDEO:
        return key.startswith(b"video") or key in _VIDEO_KEYS
    return key.startswith(b"audio") or key in _AUDIO_KEYS


def _from_amf3(payload: bytes) -> bytes | None:
    values = amf.decode_values(payload, max_values=_MAX_AMF3_VALUES)
    if not values or not isinstance(values[0], dict):
        return None
    properties = {
        key: value
        for key, value in values[0].items()
        if key.lower().encode() not in _NOT_LIVE or not isinstance(value, int | float)
    }
    return ON_META_DATA + amf.encode_values(EcmaArray(properties))
