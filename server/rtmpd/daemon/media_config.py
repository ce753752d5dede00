"""What may be published: ``[apps.NAME.publish.reject]`` and ``[apps.NAME.publish.warn]``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator

from rtmpd.daemon.fields import LIST_OR_TEXT, Count, Effect, Seconds, Section
from rtmpd.daemon.values import parse_list, quote
from rtmpd.engine.media_limits import MediaLimits
from rtmpd.media.codec_names import AUDIO_CODECS, VIDEO_CODECS, codec_named


def _check_codec(codecs: dict[str, str], medium: str) -> Callable[[str], str]:
    def check(text: str) -> str:
        if codec_named(text, codecs) is None:
            raise ValueError(
                f"{quote(text)} is no {medium} codec that RTMP carries; known are {', '.join(codecs)}"
            )
        return text

    return check


VideoCodecs = Annotated[
    tuple[Annotated[str, AfterValidator(_check_codec(VIDEO_CODECS, "video"))], ...],
    BeforeValidator(parse_list),
    LIST_OR_TEXT,
]
AudioCodecs = Annotated[
    tuple[Annotated[str, AfterValidator(_check_codec(AUDIO_CODECS, "audio"))], ...],
    BeforeValidator(parse_list),
    LIST_OR_TEXT,
]


class MediaConfig(Section):
    """What both have."""

    effect = Effect.PUBLISHES
    video_codecs: VideoCodecs = ()
    audio_codecs: AudioCodecs = ()
    max_width: Count = 0
    max_height: Count = 0
    max_kbps: Count = 0
    max_keyframe_interval: Seconds = 0.0

    def to_limits(self) -> MediaLimits:
        """What the engine looks at."""
        return MediaLimits(
            video_codecs=_four_ccs(self.video_codecs, VIDEO_CODECS),
            audio_codecs=_four_ccs(self.audio_codecs, AUDIO_CODECS),
            max_width=self.max_width,
            max_height=self.max_height,
            max_kbps=self.max_kbps,
            max_keyframe_interval=self.max_keyframe_interval,
        )


class RejectConfig(MediaConfig):
    """What may be published: beyond one of these the encoder is told which, and its publish ends. Of a stream
    with several tracks each has to keep to them. Nothing is said about streams that this server pulls."""

    video_codecs: VideoCodecs = ()
    """Names such as h264, hevc, av1, vp9; empty is any. A stream without video is not concerned."""
    audio_codecs: AudioCodecs = ()
    """Names such as aac, opus, mp3, flac, ac3; empty is any. A stream without audio is not concerned."""
    max_width: Count = 0
    """Of the picture, in pixels, as its sequence header has it; 0 is any. A picture may be turned: where
    1280x720 may be published, so may 720x1280."""
    max_height: Count = 0
    """The same: 720 takes what is called 720p."""
    max_kbps: Count = 0
    """Kilobits (1000 bits) in a second of all that is sent, on average of 10 seconds, so that key frames and
    what an encoder sends late do not count more than they are. It may be exceeded by a tenth; 0 is any."""
    max_keyframe_interval: Seconds = 0.0
    """From key frame to key frame. It may be exceeded by a tenth; 0 is any."""


class WarnConfig(MediaConfig):
    """The same limits, beyond which the publish goes on: there is a line "stream warning" in the log, and
    rtmpd_stream_health is 1 for as long as it is so."""

    video_codecs: VideoCodecs = ()
    """As for reject."""
    audio_codecs: AudioCodecs = ()
    """As for reject."""
    max_width: Count = 0
    """As for reject."""
    max_height: Count = 0
    """As for reject."""
    max_kbps: Count = 0
    """As for reject. The warning is over at the limit."""
    max_keyframe_interval: Seconds = 0.0
    """As for reject. The warning is over at the limit."""


def _four_ccs(names: tuple[str, ...], codecs: dict[str, str]) -> frozenset[str]:
    return frozenset(four_cc for name in names if (four_cc := codec_named(name, codecs)) is not None)
