"""Fragmented MP4, judged by ffmpeg: it decodes all that was in the FLV file, at the same times."""

from __future__ import annotations

from pathlib import Path

import pytest
from ffmpeg import bundled
from live_fixtures import ClipMaker
from media_clips import (
    AC3,
    AUDIO_ONLY,
    AV1_OPUS,
    EAC3,
    FLAC,
    H264_AAC,
    H264_MP3,
    HDR,
    HEVC_AAC,
    VIDEO_ONLY,
    VP9_AAC,
    Recipe,
)
from mp4_kit import AUDIO, VIDEO, capture_messages, flv_messages, mux

from rtmpd.media.correction import Correction
from rtmpd.media.fmp4 import Run, Sample, fragment

_BEGIN = 1.0
"""Seconds that the first frame is at."""
_ROUNDING = 0.0016
"""Seconds that RTMP's milliseconds are off at most, where an encoder rounds them down and another one up."""


@pytest.mark.parametrize("held", [True, False], ids=["held", "at once"])
@pytest.mark.parametrize(
    "recipe",
    [
        *(H264_AAC, AUDIO_ONLY, VIDEO_ONLY, HEVC_AAC, HDR, AV1_OPUS, VP9_AAC),
        *(H264_MP3, FLAC, AC3, EAC3),
    ],
    ids=lambda recipe: recipe.name,
)
def test_ffmpeg_decodes_every_frame_at_its_time(
    clip: ClipMaker, tmp_path: Path, recipe: Recipe, held: bool
) -> None:
    flv = clip(recipe)
    messages = flv_messages(flv)
    muxed = mux(messages, held=held)
    muxed.corrections.pop(Correction.EMPTY, None)  # ffmpeg ends some sound with a frame of nothing.
    assert (muxed.corrections, muxed.refused) == ({}, {})
    mp4 = tmp_path / "live.mp4"
    mp4.write_bytes(muxed.file(16 if held else 1))
    assert bundled().count_frames(mp4) == bundled().count_frames(flv)
    before, after = bundled().packets(flv), bundled().packets(mp4)
    began = min(packet.dts for packet in before.packets)
    for media in ("video", "audio"):
        if (media, recipe.video) == ("video", "av1"):
            delimiter = 2
            assert [new.size for new in after.of(media)] == [old.size - delimiter for old in before.of(media)]
        else:
            assert after.payloads(media) == before.payloads(media)
        for old, new in zip(before.of(media), after.of(media), strict=True):
            assert new.dts - _BEGIN == pytest.approx(old.dts - began, abs=_ROUNDING)
            assert new.pts - new.dts == pytest.approx(old.pts - old.dts, abs=_ROUNDING)


def test_a_fragment_is_written_as_the_standard_has_it() -> None:
    picture = Run(1, 2**33, [Sample(3000, -6000, True, b"KEY"), Sample(3060, 0, False, b"inter")])
    sound = Run(2, 48000, [Sample(1024, 0, True, b"aa"), Sample(1024, 0, True, b"b")])
    expected = (
        "000000c8 6d6f6f66 00000010 6d666864 00000000 00000007"
        " 00000060 74726166"
        " 00000010 74666864 00020000 00000001"
        " 00000014 74666474 01000000 0000000200000000"
        " 00000034 7472756e 01000f01 00000002 000000d0"
        " 00000bb8 00000003 02000000 ffffe890"
        " 00000bf4 00000005 01010000 00000000"
        " 00000050 74726166"
        " 00000018 74666864 00020028 00000002 00000400 02000000"
        " 00000014 74666474 01000000 000000000000bb80"
        " 0000001c 7472756e 00000201 00000002 000000d8 00000002 00000001"
        " 00000013 6d646174"
    )
    written = fragment(2**32 + 7, [picture, sound], b"<emsg>")
    assert written[:6] == b"<emsg>"
    assert written[6:-11].hex(" ", 4).split() == bytes.fromhex(expected).hex(" ", 4).split()
    assert written[-11:] == b"KEYinteraab"


@pytest.mark.parametrize(
    ("name", "track", "codecs"),
    [
        ("obs29-pub", 0, ["mp4a.40.2", "avc1.64000d"]),
        ("ffmpeg51-bframes-pub", 0, ["avc1.64000d", "mp4a.40.2"]),
        ("gst122-rtmp2sink-pub", 0, ["avc1.f4000d", "mp4a.40.2"]),
        ("ffmpeg90-hevc-pub", 0, ["hvc1.1.6.L60.90", "mp4a.40.2"]),
        ("ffmpeg90-multitrack-pub", 1, ["mp4a.40.2"]),
        ("obs32/obs32-av1-multitrack-pub", 0, ["mp4a.40.2", "av01.0.00M.08"]),
        ("obs32/obs32-multitrack-pub", 2, ["avc1.4d400b"]),
    ],
)
def test_what_encoders_send_needs_no_correction(
    tmp_path: Path, name: str, track: int, codecs: list[str]
) -> None:
    muxed = mux(capture_messages(name, track))
    assert (muxed.corrections, muxed.refused) == ({}, {})
    assert [each.codec for each in muxed.tracks] == codecs
    mp4 = tmp_path / "live.mp4"
    mp4.write_bytes(muxed.file())
    frames = {"audio": len(muxed.of(AUDIO)), "video": len(muxed.of(VIDEO))}
    assert bundled().count_frames(mp4) == {media: count for media, count in frames.items() if count}
