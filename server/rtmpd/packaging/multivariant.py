"""Multivariant playlists: which renditions a stream has, with what they are measured to need."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Final

_AUDIO_GROUP: Final = "audio"
_CAPTION_GROUP: Final = "captions"


@dataclass(frozen=True, slots=True)
class Variant:
    """A rendition with video, or the only one of a stream without."""

    name: str
    codecs: tuple[str, ...]
    peak: float
    """Bits a second, measured; as is ``mean``."""
    mean: float
    width: int = 0
    height: int = 0
    frame_rate: float = 0.0


@dataclass(frozen=True, slots=True)
class Sound:
    """An audio rendition beside the video ones."""

    name: str
    label: str
    codec: str
    peak: float
    mean: float
    channels: int
    default: bool


def write_multivariant(
    variants: Sequence[Variant], sounds: Sequence[Sound], captions: Sequence[str], query: str = ""
) -> str:
    """``captions`` are ids of what the video carries, such as ``CC1``; ``query`` is put behind each URI."""
    lines = ["#EXTM3U", "#EXT-X-VERSION:9"]
    lines += [_sound_line(sound, query) for sound in sounds]
    lines += [
        f'#EXT-X-MEDIA:TYPE=CLOSED-CAPTIONS,GROUP-ID="{_CAPTION_GROUP}",NAME="{each}",INSTREAM-ID="{each}"'
        + (",DEFAULT=YES,AUTOSELECT=YES" if not number else "")
        for number, each in enumerate(captions)
    ]
    for variant in variants:
        lines.append(_variant_line(variant, sounds, captions))
        lines.append(f"{variant.name}.m3u8{query}")
    lines.append("")
    return "\n".join(lines)


def _sound_line(sound: Sound, query: str) -> str:
    default = "YES" if sound.default else "NO"
    return (
        f'#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="{_AUDIO_GROUP}",NAME="{sound.label}",DEFAULT={default},'
        f'AUTOSELECT={default},CHANNELS="{sound.channels or 2}",URI="{sound.name}.m3u8{query}"'
    )


def _variant_line(variant: Variant, sounds: Sequence[Sound], captions: Sequence[str]) -> str:
    codecs = dict.fromkeys([*variant.codecs, *[sound.codec for sound in sounds]])
    peak = variant.peak + max([sound.peak for sound in sounds], default=0.0)
    mean = variant.mean + max([sound.mean for sound in sounds], default=0.0)
    words = [
        f"BANDWIDTH={max(ceil(peak), ceil(mean), 1)}",
        f"AVERAGE-BANDWIDTH={max(ceil(mean), 1)}",
        f'CODECS="{",".join(codecs)}"',
    ]
    if variant.width and variant.height:
        words.append(f"RESOLUTION={variant.width}x{variant.height}")
    if variant.frame_rate:
        words.append(f"FRAME-RATE={variant.frame_rate:.3f}")
    if sounds:
        words.append(f'AUDIO="{_AUDIO_GROUP}"')
    if variant.frame_rate:
        words.append(f'CLOSED-CAPTIONS="{_CAPTION_GROUP}"' if captions else "CLOSED-CAPTIONS=NONE")
    return f"#EXT-X-STREAM-INF:{','.join(words)}"
