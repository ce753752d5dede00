"""What people call codecs, and what a stream calls them."""

from __future__ import annotations

from typing import Final

VIDEO_CODECS: Final = {
    "h264": "avc1",
    "hevc": "hvc1",
    "av1": "av01",
    "vp9": "vp09",
    "vp8": "vp08",
    "vvc": "vvc1",
    "h263": "h263",
    "vp6": "vp6f",
    "screen": "screen",
}
"""Names as ffmpeg has them, and what ``media.tags`` calls the codec: a FourCC or its legacy equivalent."""
AUDIO_CODECS: Final = {
    "aac": "mp4a",
    "opus": "Opus",
    "mp3": ".mp3",
    "flac": "fLaC",
    "ac3": "ac-3",
    "eac3": "ec-3",
    "speex": "speex",
    "nellymoser": "nellymoser",
    "pcm": "pcm",
    "pcm_alaw": "pcma",
    "pcm_mulaw": "pcmu",
    "adpcm": "adpcm",
}
"""The same of sound."""
_ALIASES: Final = {"avc": "h264", "h265": "hevc", "h266": "vvc"}
_SPOKEN: Final = {
    "avc1": "H.264",
    "hvc1": "HEVC",
    "mp4a": "AAC",
    "vp6a": "VP6",
    "Opus": "Opus",
    "speex": "Speex",
    "nellymoser": "Nellymoser",
    "screen": "Screen Video",
    "screen2": "Screen Video",
    "h263": "Sorenson H.263",
    "device": "device-specific sound",
    "unknown": "an unknown codec",
}
_UPPER: Final = {four_cc: name.upper() for name, four_cc in {**VIDEO_CODECS, **AUDIO_CODECS}.items()}


def codec_named(text: str, codecs: dict[str, str]) -> str | None:
    """Of ``codecs`` (``VIDEO_CODECS``, ``AUDIO_CODECS``) the one that ``text`` names, in whatever case; its
    FourCC is a name too. None if it is none of them.
    """
    wanted = text.lower()
    name = _ALIASES.get(wanted, wanted)
    if name in codecs:
        return codecs[name]
    return next((four_cc for four_cc in codecs.values() if four_cc.lower() == wanted), None)


def spoken(codec: str) -> str:
    """What people call a codec of ``media.tags``."""
    return _SPOKEN.get(codec) or _UPPER.get(codec, codec)
