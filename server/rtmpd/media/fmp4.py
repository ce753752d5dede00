"""Fragmented MP4 (ISO/IEC 14496-12, as MSE and HLS take it): what begins a stream, and its fragments.

Sans-I/O; what the tracks are comes from ``mp4_entries``, when samples are from ``mp4_feed``.
"""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct, pack
from typing import Final, NamedTuple

from rtmpd.media.mp4_boxes import box, full_box
from rtmpd.media.mp4_entries import Mp4Track
from rtmpd.rtmp.constants import MessageType


class Sample(NamedTuple):
    """A frame; times in units of its track's timescale."""

    duration: int
    """0 to 2**32 - 1."""
    composition_offset: int
    """Presentation less decode time; negative where the encoder counts so."""
    is_sync: bool
    """Decoding can start at it."""
    data: bytes


class Run(NamedTuple):
    """Samples of one track, each right behind the one before it."""

    track_id: int
    decode_time: int
    """Of the first sample, 0 to 2**64 - 1."""
    samples: Sequence[Sample]


_MOVIE_TIMESCALE: Final = 1000
_MATRIX: Final = pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
_UNDETERMINED: Final = 0x55C4
"""Language "und"."""
_SYNC: Final = 0x02000000
"""Sample flags: depends on no other sample."""
_NO_SYNC: Final = 0x01010000
_MAX: Final = 0xFFFFFFFF

_BASE_IS_MOOF: Final = 0x020000
_DEFAULT_DURATION: Final = 0x08
_DEFAULT_FLAGS: Final = 0x20
_DATA_OFFSET: Final = 0x01
_DURATION: Final = 0x100
_SIZE: Final = 0x200
_FLAGS: Final = 0x400
_COMPOSITION: Final = 0x800
_TRUN_OF_SIZES: Final = _DATA_OFFSET | _SIZE
_TRUN_OF_ALL: Final = 1 << 24 | _DATA_OFFSET | _DURATION | _SIZE | _FLAGS | _COMPOSITION
"""Version 1: composition offsets are signed."""

_write_head: Final = Struct(">I4s").pack
_write_moof: Final = Struct(">I4sI4sII").pack
_write_steady: Final = Struct(">I4sI4sIIII I4sIQ").pack
"""``traf``, ``tfhd`` with a duration and flags for all samples, and ``tfdt``."""
_write_various: Final = Struct(">I4sI4sII I4sIQ").pack
_write_trun: Final = Struct(">I4sIIi").pack
_MOOF_HEAD: Final = 24
_STEADY_HEAD: Final = 52
_VARIOUS_HEAD: Final = 44
_TRUN_HEAD: Final = 20


def init_segment(tracks: Sequence[Mp4Track]) -> bytes:
    """``ftyp`` and ``moov``: what a player is given before the fragments of these tracks."""
    brands = [b"iso6", b"mp41"]
    if any(track.codec.startswith("av01") for track in tracks):
        brands.append(b"av01")
    following = max((track.track_id for track in tracks), default=0) + 1
    movie = full_box(
        b"mvhd",
        0,
        0,
        pack(">4I", 0, 0, _MOVIE_TIMESCALE, 0),
        pack(">IH10x", 0x10000, 0x100),
        _MATRIX,
        pack(">24xI", following),
    )
    defaults = [full_box(b"trex", 0, 0, pack(">5I", track.track_id, 1, 0, 0, 0)) for track in tracks]
    return box(b"ftyp", b"iso6", bytes(4), *brands) + box(
        b"moov", movie, *map(_track_box, tracks), box(b"mvex", *defaults)
    )


def fragment(sequence_number: int, runs: Sequence[Run], events: bytes = b"") -> bytes:
    """``moof`` and ``mdat`` of these runs, behind ``events``: whole ``emsg`` boxes.

    ``sequence_number`` rises from fragment to fragment, from 1; it is taken mod 2**32. A run has at least one
    sample.
    """
    moof_size = _MOOF_HEAD
    tables = []
    for run in runs:
        table = _steady_table(run.samples)
        head = _STEADY_HEAD
        if not table:
            table = _table(run.samples)
            head = _VARIOUS_HEAD
        moof_size += head + _TRUN_HEAD + len(table)
        tables.append((head, table))
    pieces = [events, _write_moof(moof_size, b"moof", 16, b"mfhd", 0, sequence_number & _MAX)]
    data = []
    offset = moof_size + 8
    for run, (head, table) in zip(runs, tables, strict=True):
        size = head + _TRUN_HEAD + len(table)
        flags = _TRUN_OF_ALL
        if head == _STEADY_HEAD:
            flags = _TRUN_OF_SIZES
            pieces.append(_steady_head(size, run))
        else:
            pieces.append(_various_head(size, run))
        pieces.append(_write_trun(_TRUN_HEAD + len(table), b"trun", flags, len(run.samples), offset))
        pieces.append(table)
        for sample in run.samples:
            offset += len(sample.data)
            data.append(sample.data)
    pieces.append(_write_head(offset - moof_size, b"mdat"))
    return b"".join(pieces + data)


def _steady_table(samples: Sequence[Sample]) -> bytes:
    """Sizes, if all else is the same of each sample, as it is of sound; else nothing."""
    duration = samples[0].duration
    for sample in samples:
        if sample.duration != duration or sample.composition_offset or not sample.is_sync:
            return b""
    return pack(f">{len(samples)}I", *[len(sample.data) for sample in samples])


def _table(samples: Sequence[Sample]) -> bytes:
    fields: list[int] = []
    for duration, composition_offset, is_sync, data in samples:
        fields += (duration, len(data), _SYNC if is_sync else _NO_SYNC, composition_offset & _MAX)
    return pack(f">{len(fields)}I", *fields)


def _steady_head(size: int, run: Run) -> bytes:
    flags = _BASE_IS_MOOF | _DEFAULT_DURATION | _DEFAULT_FLAGS
    return _write_steady(
        *(size, b"traf", 24, b"tfhd", flags, run.track_id, run.samples[0].duration, _SYNC),
        *(20, b"tfdt", 1 << 24, run.decode_time),
    )


def _various_head(size: int, run: Run) -> bytes:
    return _write_various(
        *(size, b"traf", 16, b"tfhd", _BASE_IS_MOOF, run.track_id),
        *(20, b"tfdt", 1 << 24, run.decode_time),
    )


def _track_box(track: Mp4Track) -> bytes:
    video = track.kind == MessageType.VIDEO
    header = full_box(
        b"tkhd",
        0,
        7,  # enabled, in the movie, in the preview
        pack(">5I8x", 0, 0, track.track_id, 0, 0),
        pack(">HHHH", 0, 0 if video else 1, 0 if video else 0x100, 0),
        _MATRIX,
        pack(">II", track.width << 16, track.height << 16),
    )
    media = box(
        b"mdia",
        full_box(b"mdhd", 0, 0, pack(">4IHH", 0, 0, track.timescale, 0, _UNDETERMINED, 0)),
        full_box(b"hdlr", 0, 0, pack(">4x4s12x", b"vide" if video else b"soun"), b"rtmpd\0"),
        box(
            b"minf",
            full_box(b"vmhd", 0, 1, bytes(8)) if video else full_box(b"smhd", 0, 0, bytes(4)),
            box(b"dinf", full_box(b"dref", 0, 0, pack(">I", 1), full_box(b"url ", 0, 1))),
            box(
                b"stbl",
                full_box(b"stsd", 0, 0, pack(">I", 1), track.sample_entry),
                *[full_box(kind, 0, 0, bytes(4)) for kind in (b"stts", b"stsc", b"stco")],
                full_box(b"stsz", 0, 0, bytes(8)),
            ),
        ),
    )
    return box(b"trak", header, media)
