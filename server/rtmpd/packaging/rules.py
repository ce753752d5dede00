"""What the settings say of how a stream is packaged."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from rtmpd.engine.key import StreamKey

RUN: Final = "[0-9a-f]{8}"
"""What one run of a stream is called in the names of its files, as a regular expression."""
NAME: Final = "{name}"
"""In names of variants: what the stream is called."""


@dataclass(frozen=True, slots=True)
class HlsRules:
    """Times in seconds."""

    part: float = 0.2
    """How long parts are wished to be; 0 makes none."""
    segment: float = 2.0
    """A segment ends at the first key frame behind that."""
    window: float = 30.0
    """What a playlist lists at least."""
    idle: float = 30.0
    """A package ends so long after somebody asked for it last."""
    grace: float = 10.0
    """So long after the end of a stream its playlist may go on."""
    vod_track: bool = False
    """OBS's second track of sound is a rendition too."""
    timed_metadata: bool = False
    """What onTextData and onCuePoint say is put between the frames."""
    variants: tuple[str, ...] = ()
    """Streams of the app that are variants of one: names, with ``{name}`` for that of the one asked for."""
    dvr: float = 0.0
    """What playlists list at least where there is a drive for it; what is not in memory is there."""
    dvr_bytes: int = 0
    """Of it each rendition may have so much on the drive."""

    directory: str = ""
    """Root of folders in which playlists and segments are files besides; empty for none."""

    @property
    def always(self) -> bool:
        """Streams are packaged though nobody asks."""
        return self.dvr > 0.0 or bool(self.directory)


def variants_of(key: StreamKey, names: Iterable[str]) -> list[StreamKey]:
    """The streams that are variants of one, by ``HlsRules.variants``."""
    return [StreamKey(key.app, name.replace(NAME, key.name)) for name in names]
