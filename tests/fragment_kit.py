"""MP4 as it is played, in words: what is in init segments and fragments."""

from __future__ import annotations

from collections.abc import Iterator

from rtmpd.media.fmp4 import init_segment
from rtmpd.media.mp4_entries import read_mp4_track

PICTURE = bytes.fromhex(
    "17000000000142c01effe100196742c01eda0280bfe5c044000003000400000300f23c58ba8001000468ce0fc8"
)
"""A header of H.264 in 640x360, as x264 makes it, and one in 320x180."""
SMALLER = bytes.fromhex(
    "17000000000142c00dffe100176742c00dda05067e7c0440000003004000000f23c50aa801000468ce0fc8"
)
SOUND = bytes.fromhex("af001210")
"""A header of AAC, 44.1 kHz, and one of 48 kHz; 1024 samples are 23 ms, and 21 ms."""
SOUND_48 = bytes.fromhex("af001190")
SPEEX = b"\xb2speex"
_SCALES = {1: 90_000, 2: 44_100}
"""Of video and audio."""


def boxes(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Type and content of each."""
    while data:
        size = int.from_bytes(data[:4], "big")
        assert 8 <= size <= len(data), "half a box"
        yield data[4:8].decode(), data[8:size]
        data = data[size:]


def told(data: bytes) -> str:
    """``<video+audio>`` for an init segment, ``v:K@1000`` for a frame of video and when it is decoded (ms);
    frames of one fragment are joined by ``+``."""
    words: list[str] = []
    runs: list[tuple[int, int, list[int]]] = []
    for kind, content in boxes(data):
        if kind == "moov":
            handlers = {b"vide": "video", b"soun": "audio"}
            words.append(f"<{'+'.join(name for mark, name in handlers.items() if mark in content)}>")
        elif kind == "moof":
            runs = [_run(dict(boxes(body))) for kind_, body in boxes(content) if kind_ == "traf"]
        elif kind == "mdat":
            words.append("+".join(_frames(runs, content)))
    return " ".join(words)


def _run(traf: dict[str, bytes]) -> tuple[int, int, list[int]]:
    """Track, decode time, sizes of samples."""
    tfhd, tfdt, trun = traf["tfhd"], traf["tfdt"], traf["trun"]
    flags, count = int.from_bytes(trun[1:4], "big"), int.from_bytes(trun[4:8], "big")
    fields = [each for each in (0x100, 0x200, 0x400, 0x800) if flags & each]
    width = 4 * len(fields)
    start = 12 + (4 if flags & 4 else 0) + 4 * fields.index(0x200)
    sizes = [int.from_bytes(trun[start + n * width : start + n * width + 4], "big") for n in range(count)]
    return int.from_bytes(tfhd[4:8], "big"), int.from_bytes(tfdt[4:12], "big"), sizes


def _frames(runs: list[tuple[int, int, list[int]]], data: bytes) -> Iterator[str]:
    for track, time, sizes in runs:
        for number, size in enumerate(sizes):
            at = f"@{time * 1000 // _SCALES[track]}" if number == 0 else ""
            yield f"{'va'[track - 1]}:{data[:size].decode()}{at}"
            data = data[size:]
    assert not data


def init_of(*kinds_and_headers: tuple[int, bytes]) -> bytes:
    """The init segment of these media."""
    return init_segment([read_mp4_track(kind, header, 10 - kind) for kind, header in kinds_and_headers])
