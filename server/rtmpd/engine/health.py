"""What is wrong with a stream that its publisher could mend: shown to the operator, never acted upon.

What is acted upon are the limits that ``MediaRules.reject`` names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from rtmpd.reasons import Word

CALM_AFTER: Final = 10.0
"""Seconds that a warning has to be over before observers are told: it may come and go with keyframes."""


_OBS_KEYFRAMES: Final = "set 2 s, in OBS under Settings > Output > Keyframe Interval (Output Mode: Advanced)"
_OBS_VIDEO_ENCODER: Final = "choose another Video Encoder, in OBS under Settings > Output"
_OBS_AUDIO_ENCODER: Final = "choose another Audio Encoder, in OBS under Settings > Output"


class HealthKind(Word):
    """Kinds of warnings; words for metrics, logs and the API."""

    remedy: str
    """What to do about it, in Markdown."""

    def __init__(self, word: str, meaning: str, finding: str, remedy: str) -> None:
        super().__init__(word, meaning)
        self._finding = finding
        self.remedy = remedy

    def finding(self, figures: Mapping[str, float | str]) -> str:
        """What is wrong in this case, in a sentence without its full stop: ``figures`` are the warning's."""
        return self._finding.format_map({name: spell_figure(value) for name, value in figures.items()})

    @property
    def advice(self) -> str:
        """``remedy`` as a sentence without its full stop, and without markup."""
        text = self.remedy.replace("`", "")
        return text[:1].upper() + text[1:]

    GOP_TOO_LONG = (
        "gop_too_long",
        "a group of pictures outgrew `stream.gop.max_bytes`; until two have fitted",
        (
            "From one key frame to the next it is more than the cache holds: players that join see a still, "
            "or nothing, up to the next key frame"
        ),
        _OBS_KEYFRAMES,
    )
    KEYFRAMES_RARE = (
        "keyframes_rare",
        "video comes, and no key frame for 20 seconds",
        "No key frame for {seconds} s: players that lose pictures have to wait for one",
        f"{_OBS_KEYFRAMES}; for intra refresh see `stream.gop.start`",
    )
    KEYFRAMES_FAR = (
        "keyframes_far",
        "more than 5 seconds from key frame to key frame, where `warn` sets no `max_keyframe_interval`",
        (
            "Key frame interval {seconds} s: players begin up to {seconds} s late, and those that lose "
            "pictures wait as long for the next"
        ),
        _OBS_KEYFRAMES,
    )
    SEGMENTS_CUT = (
        "segments_cut",
        "segments of HLS had to begin without a key frame in the last 10 seconds, as none came in time",
        (
            "Key frames come later than HLS has promised: {segments} segments begin without one, and who "
            "joins there sees nothing up to the next"
        ),
        _OBS_KEYFRAMES,
    )
    KEYFRAMES_APART = (
        "keyframes_apart",
        "key frames of the tracks of video more than 0.1 seconds apart, for 3 seconds",
        (
            "Key frames of track {track} come {seconds} s from those of track {of}: players that change the "
            "quality see it late, and a browser may stall"
        ),
        (
            "have all tracks use one keyframe interval, and no key frames between: for obs_x264 "
            '`"x264opts": "scenecut=0"` with equal `keyint_sec`'
        ),
    )
    ENCODER_DROPS = (
        "encoder_drops",
        "OBS [says](#what-obs-says) that it drops more than 1 of 100 frames, over 10 seconds",
        "OBS has dropped {percent} % of its frames in 10 s: the network between there and here is too slow",
        "lower the bitrate, in OBS under Settings > Output, or see to the streamer's network",
    )
    ENCODER_SLOW = (
        "encoder_slow",
        "OBS [says](#what-obs-says) that it was late with more than 2 of 100 frames, over 10 seconds",
        "OBS was late with {percent} % of its frames in 10 s: the streamer's machine is too slow",
        "lower resolution and frame rate, in OBS under Settings > Video, or the encoder's preset",
    )
    AUDIO_SILENT = (
        "audio_silent",
        "audio was announced, and none flows for `stream.headers.absent_after` (5 s if 0) while video does",
        "Audio was announced, and none has come for {seconds} s",
        "see to the microphone or the bridge: it has stopped",
    )
    VIDEO_SILENT = (
        "video_silent",
        "video was announced, and none flows for `stream.headers.absent_after` (5 s if 0) while audio does",
        "Video was announced, and none has come for {seconds} s",
        "see to the camera or the bridge: it has stopped",
    )
    NO_MEDIA = (
        "no_media",
        "published 5 seconds ago, and not one audio or video message since",
        "Published {seconds} s ago, and neither audio nor video has come",
        "stop the encoder's output and start it again: OBS sometimes gets stuck at the start",
    )
    STALLED = (
        "stalled",
        "neither audio nor video for `stall` of the stream's [handover](#two-encoders-one-name), 2 seconds",
        "Neither audio nor video for {seconds} s",
        "see to the encoder's network, and whether it hangs; `publisher_idle` ends it if nothing more comes",
    )
    UPDATES_DROPPED = (
        "updates_dropped",
        "`header_rate` drops in the last 10 seconds",
        "Headers or metadata change so often that {dropped} changes were dropped",
        "see why the encoder changes its headers all the time",
    )
    HEADERS_REFUSED = (
        "headers_refused",
        "`header_cap` or `track_cap` drops in the last 10 seconds",
        "More tracks, or larger headers, than are taken: {dropped} messages were dropped",
        "raise `stream.headers.max_tracks` or `max_header_bytes`, or send less",
    )

    VIDEO_CODEC = (
        "video_codec",
        "video of a codec that is not in `video_codecs` of [`warn`](#what-may-be-published)",
        "The video is {codec}, which this stream is not to have",
        _OBS_VIDEO_ENCODER,
    )
    AUDIO_CODEC = (
        "audio_codec",
        "audio of a codec that is not in `audio_codecs` of [`warn`](#what-may-be-published)",
        "The audio is {codec}, which this stream is not to have",
        _OBS_AUDIO_ENCODER,
    )
    RESOLUTION = (
        "resolution",
        "pictures larger than `max_width` and `max_height` of `warn`",
        "The pictures are {width}x{height}, larger than this stream is to have",
        "lower the Output (Scaled) Resolution, in OBS under Settings > Video",
    )
    BITRATE = (
        "bitrate",
        "over `max_kbps` of `warn` by more than a tenth, on average of 10 seconds; until under it",
        "It has {kbps} kbit/s, and this stream is to have {max_kbps} at most",
        "lower the bitrate, in OBS under Settings > Output > Bitrate",
    )
    KEYFRAME_INTERVAL = (
        "keyframe_interval",
        "over `max_keyframe_interval` of `warn` by more than a tenth; until an interval is under it",
        (
            "Key frame interval {seconds} s, and this stream is to have {max_seconds} s at most: players "
            "begin up to {seconds} s late"
        ),
        "set it, in OBS under Settings > Output > Keyframe Interval (Output Mode: Advanced)",
    )


def spell_figure(value: float | str) -> str:
    """As people read it: to one decimal, if it has any."""
    return value if isinstance(value, str) else f"{round(value, 1):.12g}"


@dataclass(slots=True)
class HealthWarning:
    """One warning while it holds."""

    since: float
    """Clock reading."""
    figures: dict[str, float | str]
    """What it was seen by, such as ``seconds``."""


class Health:
    """The warnings of one stream."""

    __slots__ = ("_active",)

    def __init__(self) -> None:
        self._active: dict[HealthKind, HealthWarning] = {}

    @property
    def active(self) -> Mapping[HealthKind, HealthWarning]:
        """What holds now; live."""
        return self._active

    def raise_warning(self, kind: HealthKind, now: float, **figures: float | str) -> bool:
        """From ``now`` on, or still with newer figures; True when it did not hold before."""
        warning = self._active.get(kind)
        if warning is not None:
            warning.figures = figures
            return False
        self._active[kind] = HealthWarning(now, figures)
        return True

    def clear(self, kind: HealthKind) -> None:
        """It holds no more. Idempotent."""
        self._active.pop(kind, None)

    def clear_all(self) -> None:
        """There is no publication that anything could be wrong with."""
        self._active.clear()


class HealthNews:
    """What observers are told of the warnings of a publication, and when."""

    __slots__ = ("_told",)

    def __init__(self) -> None:
        self._told: dict[HealthKind, float] = {}
        """What they were told of, and when it held last."""

    def since_last(
        self, active: Mapping[HealthKind, HealthWarning], now: float
    ) -> list[tuple[HealthKind, HealthWarning | None]]:
        """What is ``active`` and was not, and what has been over for ``CALM_AFTER`` (None); call it often."""
        told = self._told
        if not active and not told:
            return []
        news: list[tuple[HealthKind, HealthWarning | None]] = [
            (kind, warning) for kind, warning in active.items() if kind not in told
        ]
        told.update(dict.fromkeys(active, now))
        over = [kind for kind, held_at in told.items() if now - held_at >= CALM_AFTER]
        for kind in over:
            del told[kind]
        return [*news, *((kind, None) for kind in over)]
