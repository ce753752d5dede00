"""FLV files for tests, made tag by tag."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from pathlib import Path

from engine_kit import AAC_HEADER, AVC_HEADER, inter, keyframe, sound

from rtmpd.media import flv
from rtmpd.rtmp.amf import EcmaArray, encode_values

Tag = tuple[int, int, bytes]
"""Type, time (ms), payload."""


_KEY = b"\x17\x01"


def seconds(number: int, *, begin: int = 0, size: int = 0) -> list[Tag]:
    """So many seconds: a key frame each (K0, K1 ...), 3 frames behind it and sound beside all of them.

    ``size`` is what each frame is filled up to.
    """
    made: list[Tag] = []
    for second in range(number):
        for frame in range(4):
            name = f"K{second}" if not frame else f"P{second}.{frame}"
            payload = keyframe(name) if not frame else inter(name)
            time = begin + second * 1000 + frame * 250
            made += [(9, time, payload.ljust(size, b".")), (8, time + 10, sound(f"a{second}.{frame}"))]
    return made


HEADERS: list[Tag] = [(9, 0, AVC_HEADER), (8, 0, AAC_HEADER)]


def flv_file(path: Path, tags: Iterable[Tag], metadata: bytes = b"") -> Path:
    """A file of these tags, headers before them."""
    data = [flv.encode_header(audio=True, video=True)]
    if metadata:
        data.append(flv.encode_tag(18, 0, metadata))
    data += [flv.encode_tag(*tag) for tag in tags]
    path.write_bytes(b"".join(data))
    return path


def clip(path: Path, number: int, *, size: int = 0) -> Path:
    """A file of so many seconds that says nothing of itself."""
    return flv_file(path, [*HEADERS, *seconds(number, size=size)])


def on_meta_data(**properties: float) -> bytes:
    return encode_values("onMetaData", EcmaArray(properties))


def with_index(path: Path, tags: list[Tag], *, shift: int = 0) -> Path:
    """A file that says where its key frames are, ``shift`` bytes beside the truth."""

    def told(offsets: list[int]) -> bytes:
        times = [time / 1000 for kind, time, payload in tags if kind == 9 and payload[:2] == _KEY]
        body = encode_values("onMetaData", EcmaArray({"width": 640.0}))[:-3]
        return b"".join(
            (
                body,
                b"\0\x09keyframes\x03\0\x05times",
                _numbers(times),
                b"\0\x0dfilepositions",
                _numbers([float(offset) for offset in offsets]),
                b"\0\0\x09\0\x04tail\0",
                struct.pack(">d", 7.0),
                b"\0\0\x09",
            )
        )

    keys = sum(kind == 9 and payload[:2] == _KEY for kind, _, payload in tags)
    offset = 13 + len(flv.encode_tag(18, 0, told([0] * keys)))
    offsets = []
    for tag in tags:
        if tag[0] == 9 and tag[2][:2] == _KEY:
            offsets.append(offset + shift)
        offset += len(flv.encode_tag(*tag))
    return flv_file(path, tags, told(offsets))


def _numbers(values: list[float]) -> bytes:
    return (
        b"\x0a"
        + len(values).to_bytes(4, "big")
        + b"".join(b"\0" + struct.pack(">d", each) for each in values)
    )
