"""Short FLV clips, encoded on the fly by the bundled ffmpeg: 320x240, 25 frames and a keyframe a second."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from ffmpeg import bundled

SECONDS = 4
FRAME_RATE = 25
VIDEO_FRAMES = SECONDS * FRAME_RATE

_PICTURE = ("-f", "lavfi", "-i", f"testsrc2=size=320x240:rate={FRAME_RATE}:duration={SECONDS}")
_TONE = ("-f", "lavfi", "-i", f"sine=frequency=440:sample_rate=48000:duration={SECONDS}")
_GOP = ("-g", str(FRAME_RATE), "-keyint_min", str(FRAME_RATE), "-pix_fmt", "yuv420p")
_X265 = f"log-level=error:keyint={FRAME_RATE}:min-keyint={FRAME_RATE}:scenecut=0"
_VIDEO = {
    # Two B-frames: decoding and presentation order differ, so composition times are really used.
    "h264": ("-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-sc_threshold", "0", *_GOP),
    "hevc": (
        "-c:v", "libx265", "-preset", "ultrafast", *_GOP,
        "-x265-params", _X265,
    ),
    "hdr": (
        "-c:v", "libx265", "-preset", "ultrafast", *_GOP[:-1], "yuv420p10le",
        "-x265-params", f"{_X265}:colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc",
    ),
    "av1": ("-c:v", "libaom-av1", "-usage", "realtime", "-cpu-used", "8", "-b:v", "300k", *_GOP),
    "vp9": ("-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-b:v", "300k", *_GOP),
}  # fmt: skip
_AUDIO = {
    "aac": ("-c:a", "aac", "-b:a", "64k", "-ac", "2"),
    "opus": ("-c:a", "libopus", "-b:a", "64k", "-ac", "2"),
    "flac": ("-c:a", "flac", "-ac", "2"),
    "ac3": ("-c:a", "ac3", "-b:a", "96k", "-ac", "2"),
    "eac3": ("-c:a", "eac3", "-b:a", "96k", "-ac", "6"),
    "mp3": ("-c:a", "libmp3lame", "-b:a", "64k", "-ar", "44100"),
}


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a clip holds; either may be None."""

    video: str | None
    audio: str | None

    @property
    def name(self) -> str:
        return "-".join(part for part in (self.video, self.audio) if part)


H264_AAC = Recipe("h264", "aac")
HEVC_AAC = Recipe("hevc", "aac")
AV1_OPUS = Recipe("av1", "opus")
VP9_AAC = Recipe("vp9", "aac")
H264_MP3 = Recipe("h264", "mp3")
HDR = Recipe("hdr", None)
FLAC = Recipe(None, "flac")
AC3 = Recipe(None, "ac3")
EAC3 = Recipe(None, "eac3")
AUDIO_ONLY = Recipe(None, "aac")
VIDEO_ONLY = Recipe("h264", None)


def make_clip(recipe: Recipe, directory: Path) -> Path:
    """The clip of a recipe in ``directory``, encoded there if it is not yet.

    The rename makes it appear whole, so several test processes may ask for the same clip.
    """
    path = directory / f"{recipe.name}.flv"
    if path.exists():
        return path
    inputs: list[str] = []
    outputs: list[str] = []
    if recipe.video:
        inputs += _PICTURE
        outputs += _VIDEO[recipe.video]
    if recipe.audio:
        inputs += _TONE
        outputs += _AUDIO[recipe.audio]
    with tempfile.TemporaryDirectory(dir=directory) as workshop:
        encoded, copied = Path(workshop, "encoded.flv"), Path(workshop, "copied.flv")
        flv = ("-f", "flv", "-flvflags", "no_duration_filesize")
        bundled().run(*inputs, *outputs, *flv, str(encoded))
        # Once more through the muxer, which completes some sequence headers (VP9's) when it copies: from here
        # on a copy equals its source.
        bundled().run("-i", str(encoded), "-map", "0", "-c", "copy", "-copyts", *flv, str(copied))
        return copied.replace(path)
