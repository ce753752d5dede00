"""fMP4 in mp4box and in a browser's MediaSource: every codec of clips and of recordings of encoders."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

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
)
from mp4_kit import AUDIO, VIDEO, Message, Muxed, capture_messages, flv_messages, mux, runs
from npm import install
from tools import find_tool, missing

from rtmpd.media.fmp4 import fragment, init_segment

pytestmark = pytest.mark.interop

PLAYWRIGHT, MP4BOX = "playwright-core@1.65.1", "mp4box@2.4.1"
SCENARIO = Path(__file__).with_name("mse.mjs")
RECIPES = (*(H264_AAC, VIDEO_ONLY, AUDIO_ONLY, HEVC_AAC, HDR, AV1_OPUS, VP9_AAC, H264_MP3, FLAC, AC3, EAC3),)
CAPTURES = (
    *("obs29-pub", "ffmpeg51-bframes-pub", "gst122-rtmp2sink-pub", "ffmpeg90-opus-pub", "ffmpeg90-av1-pub"),
    *(
        "ffmpeg90-vp9-pub",
        "ffmpeg90-hevc-pub",
        "obs32/obs32-multitrack-pub",
        "obs32/obs32-av1-multitrack-pub",
    ),
)
NOT_DECODED = frozenset({"hvc1", "ac-3", "ec-3", "mp4a.6B"})
"""What Debian's Chromium takes none of in MP4: the first letters of codec strings."""
_SECONDS = 60


def seen(folder: Path, clips: dict[str, Muxed], samples: int, cache: Path) -> dict[str, Any]:
    """What became of each."""
    folder.mkdir()
    listed = []
    for number, (name, muxed) in enumerate(clips.items()):
        timed = muxed.timed
        parts = [runs(timed[start : start + samples]) for start in range(0, len(timed), samples)]
        pieces = [init_segment(muxed.tracks), *(fragment(at, part) for at, part in enumerate(parts, 1))]
        files = [f"{number}.{at}" for at in range(len(pieces))]
        for file, piece in zip(files, pieces, strict=True):
            (folder / file).write_bytes(piece)
        listed.append({"name": name, "type": mime_type(muxed), "files": files})
    (folder / "clips.json").write_text(json.dumps(listed))
    npm, chromium = find_tool("npm"), find_tool("chromium")
    try:
        modules = install(npm, cache, PLAYWRIGHT, MP4BOX)
    except (OSError, subprocess.SubprocessError) as error:
        missing(f"npm cannot install {PLAYWRIGHT} and {MP4BOX}: {error}")
    environment = [f"NODE_MODULES={modules}", f"CHROMIUM={chromium}"]
    command = ["env", *environment, find_tool("node"), str(SCENARIO), str(folder)]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=_SECONDS + 15 * len(clips), check=False
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def mime_type(muxed: Muxed) -> str:
    medium = "video" if any(track.kind == VIDEO for track in muxed.tracks) else "audio"
    return f'{medium}/mp4; codecs="{", ".join(track.codec for track in muxed.tracks)}"'


def he_aac(folder: Path) -> list[Message]:
    """AAC whose header says that there may be more of it: decoders put it out at 48 kHz."""
    path = folder / "he.flv"
    tone = ("-f", "lavfi", "-i", "sine=sample_rate=24000:duration=2", "-ac", "2")
    bundled().run(*tone, "-c:a", "aac", "-f", "flv", str(path))
    messages = flv_messages(path)
    return [
        (kind, time, bytes.fromhex("af002b118800") if payload[:2] == b"\xaf\0" else payload)
        for kind, time, payload in messages
    ]


@pytest.mark.parametrize("samples", [1, 16])
def test_a_browser_plays_every_codec_that_it_has(
    clip: ClipMaker, tmp_path: Path, pytestconfig: pytest.Config, samples: int
) -> None:
    clips: dict[str, Muxed] = {}
    for recipe in RECIPES:
        clips[recipe.name] = mux(flv_messages(clip(recipe)), held=samples > 1)
    for name in CAPTURES:
        clips[name] = mux(capture_messages(name), held=samples > 1)
    clips["he-aac"] = mux(he_aac(tmp_path), held=samples > 1)
    found = seen(tmp_path / "clips", clips, samples, pytestconfig.cache.mkdir("npm"))
    for name, muxed in clips.items():
        codecs = [track.codec for track in muxed.tracks]
        boxes, browser = found[name]["mp4box"], found[name]["browser"]
        assert boxes["errors"] == [], name
        assert [each["codec"].lower() for each in boxes["tracks"]] == [each.lower() for each in codecs]
        assert boxes["samples"] == len(muxed.timed), name
        if not browser["supported"]:
            assert any(codec.startswith(tuple(NOT_DECODED)) for codec in codecs), (name, codecs)
            continue
        assert (browser["end"], browser["errors"], browser["corrupted"]) == ("ended", [], 0), name
        pictures = muxed.of(VIDEO)
        assert browser["frames"] == pytest.approx(len(pictures), abs=2), name
        if pictures:
            track = pictures[0].track
            assert (browser["width"], browser["height"]) == (track.width, track.height), name
        assert (browser["audio"] > 0) is bool(muxed.of(AUDIO)), name
        last = max((each.decode_time + each.sample.duration) / each.track.timescale for each in muxed.timed)
        assert browser["currentTime"] == pytest.approx(last, abs=0.25), name
