"""How a recorded FLV file begins: its header, and an onMetaData of always the same size.

What is known only when the file ends, its duration, size and index of key frames, is put over it then.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from rtmpd.exceptions import AmfError
from rtmpd.media import flv
from rtmpd.media.metadata import read_metadata
from rtmpd.rtmp import amf
from rtmpd.rtmp.amf import AmfValue
from rtmpd.rtmp.amf_scan import ECMA_ARRAY, NUMBER, OBJECT_END
from rtmpd.rtmp.constants import ON_META_DATA, MessageType

RESERVED_BYTES: Final = 64 * 1024
"""Of the payload of onMetaData."""
HEAD_BYTES: Final = 13 + flv.TAG_HEADER_BYTES + RESERVED_BYTES + 4
"""Where the first tag of the stream begins."""
MAX_INDEXED: Final = 1700
"""Key frames in the index: with all that is beside them no more values than readers of AMF take."""
SOUND_INDEX: Final = 5000
"""One place of the index for so many ms of a stream without video."""
OWN: Final = b"recording"
"""The property that says of which stream the file is, for whoever finds it cut off."""
FILLER: Final = b"filler"
"""The property that nothing is in but room."""

_TOLD: Final = frozenset(
    {
        *(b"duration", b"filesize", b"hasvideo", b"hasaudio", b"haskeyframes", b"keyframes"),
        *(b"hasmetadata", b"canseektoend", b"lasttimestamp", b"lastkeyframetimestamp", OWN, FILLER),
    }
)
"""In lower case: what is told of the file, and not taken from the encoder."""
_MAX_VALUE_BYTES: Final = 4096
_MAX_TOLD_BYTES: Final = 16 * 1024
_MAX_TOLD_VALUES: Final = 256
"""Of what the encoder says, with all that is in them: longer values, and those beyond, are left out."""
_MAX_SECONDS: Final = 1e11
"""A time beyond is none: the head is broken, or somebody has made it up."""
_STRICT_ARRAY: Final = 0x0A
_TEXT_BYTES: Final = 255
"""ffmpeg complains of longer texts."""
_FILLER_BYTES: Final = 250


class KeyframeIndex:
    """Times and places of key frames. Once there are too many, only every second, fourth ... is kept."""

    __slots__ = ("_most", "_seen", "_stride", "last", "places", "times")

    def __init__(self, most: int = MAX_INDEXED) -> None:
        self._most = most
        self._stride = 1
        self._seen = 0
        self.times = array("q")
        """ms."""
        self.places = array("q")
        """Offsets of tags."""
        self.last = 0
        """Time of the last one, indexed or not (ms)."""

    def __len__(self) -> int:
        return len(self.times)

    def add(self, time: int, place: int) -> None:
        """One more, behind all others."""
        if self._seen % self._stride == 0:
            if len(self.times) >= self._most:
                self.times, self.places = self.times[::2], self.places[::2]
                self._stride *= 2
            if self._seen % self._stride == 0:
                self.times.append(time)
                self.places.append(place)
        self._seen += 1
        self.last = time

    def cut(self, size: int) -> None:
        """The file has ``size`` bytes: forget what lies beyond."""
        while self.places and self.places[-1] >= size:
            self.times.pop()
            self.places.pop()
        if self.times and self.last > self.times[-1] and self._stride == 1:
            self.last = self.times[-1]
        elif not self.times:
            self.last = 0


@dataclass(slots=True)
class Told:
    """What the head of a file says."""

    app: str
    name: str
    part: int
    started_at: float
    """Unix time of the first frame (s)."""
    duration: int = 0
    """ms."""
    last: int = 0
    """Time of the last frame (ms)."""
    size: int = 0
    """Bytes of the file."""
    audio: bool = False
    video: bool = False


def build_head(told: Told, metadata: bytes, index: KeyframeIndex) -> bytes:
    """``HEAD_BYTES`` bytes. ``metadata`` is what the encoder says, as ``live_metadata`` gave it, or empty."""
    properties = [
        _property(b"duration", _number(told.duration / 1000)),
        _property(b"filesize", _number(told.size)),
        *_of_encoder(metadata),
        _property(b"hasVideo", _boolean(told.video)),
        _property(b"hasAudio", _boolean(told.audio)),
        _property(b"hasMetadata", _boolean(True)),
        _property(b"hasKeyframes", _boolean(told.video and len(index) > 0)),
        _property(b"canSeekToEnd", _boolean(told.video and index.last == told.last)),
        _property(b"lasttimestamp", _number(told.last / 1000)),
        _property(b"lastkeyframetimestamp", _number(index.last / 1000)),
        _property(OWN, _of_stream(told)),
    ]
    if len(index):
        properties.append(_property(b"keyframes", _of_index(index)))
    known = sum(map(len, properties))
    # What is left when the array around it and the property itself are taken off.
    left = RESERVED_BYTES - len(ON_META_DATA) - 5 - len(OBJECT_END) - known - len(_property(FILLER, b"")) - 5
    properties.append(_property(FILLER, _filler(left)))
    head = ON_META_DATA + bytes((ECMA_ARRAY,)) + len(properties).to_bytes(4, "big")
    payload = b"".join((head, *properties, OBJECT_END))
    return flv.encode_header(told.audio, told.video) + flv.encode_tag(MessageType.DATA_AMF0, 0, payload)


def _of_encoder(metadata: bytes) -> list[bytes]:
    if not metadata:
        return []
    try:
        layout = amf.object_layout(metadata, len(ON_META_DATA))
    except AmfError:
        return []
    kept: list[bytes] = []
    left, values = _MAX_TOLD_BYTES, _MAX_TOLD_VALUES
    for entry in layout.properties:
        size = entry.end - entry.start
        if entry.key.lower() in _TOLD or size > _MAX_VALUE_BYTES or size > left:
            continue
        number = _values_of(metadata[entry.value_start : entry.end])
        if number <= values:
            kept.append(metadata[entry.start : entry.end])
            left, values = left - size, values - number
    return kept


def _values_of(value: bytes) -> int:
    """It, and all that are in it."""
    try:
        return amf.scan(value, max_values=_MAX_TOLD_VALUES).values
    except AmfError:
        return _MAX_TOLD_VALUES + 1


def payload_of(data: bytes) -> bytes:
    """The payload of the onMetaData that a recording of ours begins with, of its first ``HEAD_BYTES``; empty
    where it does not.
    """
    payload = data[13 + flv.TAG_HEADER_BYTES : HEAD_BYTES - 4]
    return payload if len(payload) == RESERVED_BYTES and payload.startswith(ON_META_DATA) else b""


def is_begun(data: bytes) -> bool:
    """Whether this is all of a recording of ours whose head was not written to its end."""
    head = flv.encode_header(audio=True, video=True) + flv.tag_head(MessageType.DATA_AMF0, 0, RESERVED_BYTES)
    return len(data) < HEAD_BYTES and data[: len(head)] == head[: len(data)]


def read_head(payload: bytes) -> tuple[Told, dict[str, AmfValue]] | None:
    """Of which stream and part a head says the file is, and all else that it says; None if it does not."""
    values = read_metadata(payload)
    match values.get(OWN.decode()):
        case {
            "app": str(app),
            "stream": str(name),
            "part": float(part),
            "started": float(started),
            **more,
        } if 0 <= started < _MAX_SECONDS and 0 <= part < _MAX_SECONDS:
            app, name = app + _rest(more, "app"), name + _rest(more, "stream")
            return Told(app, name, int(part), started), values
    return None


def may_be_of(payload: bytes, app: str, name: str) -> bool:
    """Whether a head says that the file is of this stream, for who looks at many and reads few."""
    return _key(app, name) in payload


def milliseconds(seconds: float) -> int | None:
    """None for what is no time in a file."""
    return round(seconds * 1000) if 0 <= seconds < _MAX_SECONDS else None


def _of_stream(told: Told) -> bytes:
    body = (
        _key(told.app, told.name),
        _property(b"part", _number(told.part)),
        _property(b"started", _number(told.started_at)),
    )
    return b"\x03" + b"".join(body) + OBJECT_END


def _key(app: str, name: str) -> bytes:
    return _texts("app", app) + _texts("stream", name)


def _texts(key: str, value: str) -> bytes:
    """As ``key``, and what is longer than a text goes on as ``key2``, and so on."""
    data = value.encode(errors="replace")
    parts: list[bytes] = []
    while data or not parts:
        # Whole characters: what is cut at a byte is another name when it is read.
        whole = data[:_TEXT_BYTES].decode(errors="ignore").encode()
        parts.append(whole)
        data = data[len(whole) :]
    numbers = ("", *range(2, len(parts) + 1))
    return b"".join(
        _property(f"{key}{number}".encode(), _text(part)) for number, part in zip(numbers, parts, strict=True)
    )


def _rest(own: Mapping[object, object], key: str) -> str:
    """What it goes on with."""
    text, number = "", 2
    while isinstance(more := own.get(f"{key}{number}"), str):
        text, number = text + more, number + 1
    return text


def _of_index(index: KeyframeIndex) -> bytes:
    places = _property(b"filepositions", _array(map(_number, index.places), len(index)))
    times = _property(b"times", _array((_number(time / 1000) for time in index.times), len(index)))
    return b"\x03" + places + times + OBJECT_END


def _filler(size: int) -> bytes:
    """An array whose elements take ``size`` bytes: texts, as of nothing else ffmpeg takes so many at once."""
    count = -(-size // (_FILLER_BYTES + 3))
    texts = []
    for number in range(count):
        room = (size + number) // count
        texts.append(b"\x02" + (room - 3).to_bytes(2, "big") + b" " * (room - 3))
    return _array(texts, count)


def _property(key: bytes, value: bytes) -> bytes:
    return len(key).to_bytes(2, "big") + key + value


def _number(value: float) -> bytes:
    return struct.pack(">Bd", NUMBER, value)


def _boolean(value: bool) -> bytes:
    return b"\x01\x01" if value else b"\x01\x00"


def _text(data: bytes) -> bytes:
    return b"\x02" + len(data).to_bytes(2, "big") + data


def _array(values: Iterable[bytes], count: int) -> bytes:
    return bytes((_STRICT_ARRAY,)) + count.to_bytes(4, "big") + b"".join(values)
