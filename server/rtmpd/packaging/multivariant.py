"""Multivariant playlists: which renditions a stream has, with what they are measured to need."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Final

_AUDIO: Final = "audio"
_CAPTIONS: Final = "captions"


@dataclass(frozen=True, slots=True)
class Variant:
    """A rendition with video, or the only one of a stream without."""

    playlist: str
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

    playlist: str
    label: str
    codec: str
    peak: float
    mean: float
    channels: int
    default: bool


@dataclass(frozen=True, slots=True)
class Member:
    """What one stream has; there may be several."""

    prefix: str
    """Of the names of its renditions, and of groups of them."""
    variants: Sequence[Variant]
    sounds: Sequence[Sound]
    captions: Sequence[str]
    """Ids of what the video carries, such as ``CC1``."""


def write_multivariant(members: Sequence[Member], query: str = "") -> str:
    """``query`` is put behind each URI."""
    lines = ["#EXTM3U", "#EXT-X-VERSION:9"]
    for member in members:
        lines += [_sound_line(sound, member.prefix, query) for sound in member.sounds]
        lines += _caption_lines(member)
    for member in members:
        for variant in member.variants:
            lines.append(_variant_line(variant, member))
            lines.append(f"{member.prefix}{variant.playlist}{query}")
    lines.append("")
    return "\n".join(lines)


def _sound_line(sound: Sound, prefix: str, query: str) -> str:
    default = "YES" if sound.default else "NO"
    return (
        f'#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="{prefix}{_AUDIO}",NAME="{sound.label}",DEFAULT={default},'
        f'AUTOSELECT={default},CHANNELS="{sound.channels or 2}",URI="{prefix}{sound.playlist}{query}"'
    )


def _caption_lines(member: Member) -> list[str]:
    group = f'TYPE=CLOSED-CAPTIONS,GROUP-ID="{member.prefix}{_CAPTIONS}"'
    return [
        f'#EXT-X-MEDIA:{group},NAME="{each}",INSTREAM-ID="{each}"'
        + ("" if number else ",DEFAULT=YES,AUTOSELECT=YES")
        for number, each in enumerate(member.captions)
    ]


def _variant_line(variant: Variant, member: Member) -> str:
    sounds = member.sounds
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
        words.append(f'AUDIO="{member.prefix}{_AUDIO}"')
    if variant.frame_rate:
        told = f'"{member.prefix}{_CAPTIONS}"' if member.captions else "NONE"
        words.append(f"CLOSED-CAPTIONS={told}")
    return f"#EXT-X-STREAM-INF:{','.join(words)}"
