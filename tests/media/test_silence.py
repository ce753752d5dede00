"""Frames of silence: which headers have some, how they are written, and that decoders hear nothing."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from ffmpeg import bundled

from rtmpd.media import flv
from rtmpd.media.silence import silence_for
from rtmpd.media.tags import CODED_FRAME, MULTITRACK, audio_flags, parse_audio

STEREO, MONO = bytes.fromhex("af001210"), bytes.fromhex("af001208")
OPUS = b"\x90Opus" + b"OpusHead\x01\x02" + bytes.fromhex("380180bb0000000000")


@pytest.mark.parametrize(
    ("header", "head", "samples", "rate"),
    [
        pytest.param(STEREO, b"\xaf\x01", 1024, 44_100, id="aac"),
        pytest.param(bytes.fromhex("af001190"), b"\xaf\x01", 1024, 48_000, id="aac 48 kHz"),
        pytest.param(b"\x90mp4a\x11\x90", b"\x91mp4a", 1024, 48_000, id="enhanced aac"),
        pytest.param(OPUS, b"\x91Opus", 960, 48_000, id="opus"),
        pytest.param(b"\x95\x00mp4a\x02\x11\x90", b"\x95\x01mp4a\x02", 1024, 48_000, id="a track"),
    ],
)
def test_a_frame_is_of_the_track_of_its_header(header: bytes, head: bytes, samples: int, rate: int) -> None:
    found = silence_for(header)
    assert found is not None
    assert (found.payload[: len(head)], found.samples, found.rate) == (head, samples, rate)
    assert audio_flags(found.payload) & CODED_FRAME
    tag, before = parse_audio(found.payload), parse_audio(header)
    assert (tag.codec, tag.track_ids, tag.flags & MULTITRACK) == (
        before.codec,
        before.track_ids,
        before.flags & MULTITRACK,
    )


@pytest.mark.parametrize(
    "header",
    [
        pytest.param(bytes.fromhex("af001230"), id="5.1"),
        pytest.param(bytes.fromhex("af002b920800"), id="HE-AAC"),
        pytest.param(bytes.fromhex("af001214"), id="frames of 960 samples"),
        pytest.param(bytes.fromhex("af0017fbffff90"), id="frames of 60 microseconds"),
        pytest.param(bytes.fromhex("af00"), id="cut short"),
        pytest.param(bytes.fromhex("2f00"), id="mp3"),
        pytest.param(b"\x90fLaC" + bytes(40), id="flac"),
        pytest.param(b"", id="nothing"),
    ],
)
def test_what_there_is_no_silence_for(header: bytes) -> None:
    assert silence_for(header) is None


@pytest.mark.parametrize(
    "header",
    [STEREO, MONO, OPUS, OPUS.replace(b"\x01\x02", b"\x01\x01")],
    ids=["stereo", "mono", "opus stereo", "opus mono"],
)
def test_a_decoder_hears_nothing(header: bytes, tmp_path: Path) -> None:
    silence = silence_for(header)
    assert silence is not None
    step = 1000 * silence.samples / silence.rate
    tags = [flv.encode_tag(8, round(step * number), silence.payload) for number in range(20)]
    path = tmp_path / "silence.flv"
    path.write_bytes(
        flv.encode_header(audio=True, video=False) + flv.encode_tag(8, 0, header) + b"".join(tags)
    )
    command = [bundled().executable, "-v", "error", "-i", str(path), "-f", "s16le", "-"]
    done = subprocess.run(command, capture_output=True, check=True, timeout=20)
    assert done.stderr == b""
    assert len(done.stdout) >= 18 * silence.samples * 2
    assert set(done.stdout) == {0}
