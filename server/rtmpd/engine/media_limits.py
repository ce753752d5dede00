"""What the media of a publication may be, and a look at whether they are."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace
from typing import Final, NamedTuple

from rtmpd.engine.packet import AUDIO, VIDEO
from rtmpd.engine.stats import StreamStats
from rtmpd.exceptions import Refused
from rtmpd.media.codec_names import spoken
from rtmpd.reasons import Refusal
from rtmpd.rtmp.constants import StatusCode

RATE_WINDOW: Final = 10.0
"""Seconds over which the bitrate is averaged, from the first media on."""
TOLERANCE: Final = 1.1
"""What may be had of a bitrate and of a key frame interval: encoders do not keep to theirs exactly."""


@dataclass(frozen=True, slots=True)
class MediaLimits:
    """Bounds of what a publication may send, on each track; 0 and an empty set are none."""

    video_codecs: frozenset[str] = frozenset()
    """As ``media.tags`` names them; video of another codec is beyond the limits."""
    audio_codecs: frozenset[str] = frozenset()
    max_width: int = 0
    """Pixels of the longer side: a picture may be turned."""
    max_height: int = 0
    """Pixels of the shorter side."""
    max_kbps: int = 0
    """Of all that is sent, over ``RATE_WINDOW``; beyond it is what exceeds it by more than ``TOLERANCE``."""
    max_keyframe_interval: float = 0.0
    """Seconds, with the same tolerance."""

    def under(self, other: MediaLimits | None) -> MediaLimits:
        """The same with those bounds instead that ``other`` names."""
        if other is None:
            return self
        named = {each.name: getattr(other, each.name) for each in fields(other)}
        return replace(self, **{name: bound for name, bound in named.items() if bound})


NO_LIMITS: Final = MediaLimits()


@dataclass(frozen=True, slots=True)
class MediaRules:
    """What happens beyond which limits."""

    reject: MediaLimits = field(default_factory=MediaLimits)
    """The publication ends."""
    warn: MediaLimits = field(default_factory=MediaLimits)
    """It goes on, with a health warning."""

    @property
    def any(self) -> bool:
        """There is something to look at."""
        return self.reject != NO_LIMITS or self.warn != NO_LIMITS


class Excess(NamedTuple):
    """What is beyond a limit."""

    reason: Refusal
    text: str
    """For the person at the encoder."""
    figures: dict[str, float | str]
    """What it is, and what it may be."""

    def refusal(self) -> Refused:
        """What a publisher is told."""
        # quirk(obs): shows Rejected to its user where it still listens; see serving.rejections.
        return Refused(StatusCode.PUBLISH_REJECTED, self.text, self.reason)


class _Rate:
    """Bits per second, in the media's own time where that has gone on further: what an encoder has kept
    through an outage comes all at once, and is no higher bitrate.
    """

    __slots__ = ("_samples",)

    def __init__(self) -> None:
        self._samples: deque[tuple[float, int, int]] = deque()
        """Of each look: the clock, and bytes and ms of media by then."""

    def look(self, now: float, received: int, time: int) -> float:
        """The average now; 0 as long as there is no whole window."""
        samples = self._samples
        samples.append((now, received, time))
        while now - samples[1 if len(samples) > 1 else 0][0] >= RATE_WINDOW:
            samples.popleft()
        since, received_then, time_then = samples[0]
        elapsed = now - since
        if elapsed < RATE_WINDOW:
            return 0.0
        # Not by whatever time an encoder pretends to have.
        elapsed = max(elapsed, min((time - time_then) / 1000, 2 * elapsed))
        return (received - received_then) * 8 / elapsed


class _Interval:
    """Seconds from key frame to key frame, as far as time goes on between them as it should."""

    __slots__ = ("_from", "_jumps", "_keyframes", "_last", "_whole")

    def __init__(self) -> None:
        self._keyframes = 0
        self._jumps = 0
        """Steps in time that there had been by the last look."""
        self._from: int | None = None
        """Time (ms) of what is counted from: a key frame, or what came behind a jump."""
        self._whole = False
        """It is a key frame."""
        self._last = 0.0
        """Between the last two."""

    def look(self, stats: StreamStats) -> float:
        """The last one, or the one that has not ended yet if that is longer already; 0 without video."""
        latest = stats.video.timestamp
        if not stats.video_frames or latest is None:
            return 0.0
        jumps = stats.timestamp_gaps + stats.timestamp_regressions
        time = stats.keyframe_timestamp
        if stats.keyframes != self._keyframes and time is not None:
            if self._whole and jumps == self._jumps and stats.keyframe_interval_ms is not None:
                self._last = stats.keyframe_interval_ms / 1000
            self._from, self._whole = time, True
        elif self._from is None or jumps != self._jumps or (time is None and self._whole):
            self._from, self._whole = latest, False
        self._keyframes, self._jumps = stats.keyframes, jumps
        return max(self._last, (latest - self._from) / 1000)


class Inspection:
    """What is known of one publication by which it is judged.

    Codecs and sizes can be judged at any time, rates after a ``look``, about once a second.
    """

    __slots__ = ("_interval", "_kbps", "_keyframe_interval", "_rate", "_stats", "rules")

    def __init__(self, rules: MediaRules, stats: StreamStats) -> None:
        self.rules = rules
        self._stats = stats
        self._rate = _Rate()
        self._interval = _Interval()
        self._kbps = 0.0
        self._keyframe_interval = 0.0

    def look(self, now: float) -> None:
        """Measure what takes time."""
        stats = self._stats
        times = [time for time in (stats.audio.timestamp, stats.video.timestamp) if time is not None]
        if times:
            received = stats.audio.bytes_in + stats.video.bytes_in + stats.data_bytes_in
            self._kbps = self._rate.look(now, received, max(times)) / 1000
            self._keyframe_interval = self._interval.look(stats)

    def rejection(self) -> Refused | None:
        """Why the publication has to end, as far as is known now."""
        excess = next(self.excesses(self.rules.reject), None)
        return None if excess is None else excess.refusal()

    def excesses(self, limits: MediaLimits, tolerance: float = TOLERANCE) -> Iterator[Excess]:
        """What is beyond ``limits``, at most one of each reason."""
        yield from self._codecs(limits)
        yield from self._sizes(limits)
        most = limits.max_kbps
        if most and self._kbps > most * tolerance:
            text = (
                f"This stream takes {most} kbit/s, sound included, and you send {self._kbps:.0f}: "
                "lower the bitrate of the encoder."
            )
            yield Excess(Refusal.BITRATE, text, {"kbps": self._kbps, "max_kbps": most})
        longest = limits.max_keyframe_interval
        if longest and self._keyframe_interval > longest * tolerance:
            seconds = self._keyframe_interval
            text = (
                f"This stream wants a key frame every {longest:g} s, and you send none for {seconds:.1f} s: "
                f"set the keyframe interval of the encoder to {longest:g} s."
            )
            figures: dict[str, float | str] = {"seconds": seconds, "max_seconds": longest}
            yield Excess(Refusal.KEYFRAME_INTERVAL, text, figures)

    def _codecs(self, limits: MediaLimits) -> Iterator[Excess]:
        for kind, reason, word, allowed in (
            (VIDEO, Refusal.VIDEO_CODEC, "video", limits.video_codecs),
            (AUDIO, Refusal.AUDIO_CODEC, "audio", limits.audio_codecs),
        ):
            if not allowed:
                continue
            main = (self._stats.video if kind == VIDEO else self._stats.audio).codec
            sent = {main, *[each.codec for (of, _), each in self._stats.tracks.items() if of == kind]}
            wrong = sorted(codec for codec in sent - allowed if codec is not None)
            if wrong:
                wanted = " or ".join(sorted(map(spoken, allowed)))
                text = (
                    f"This stream takes {wanted} {word} only, and you send {spoken(wrong[0])}: "
                    f"choose {wanted} in the encoder."
                )
                yield Excess(reason, text, {"codec": wrong[0]})

    def _sizes(self, limits: MediaLimits) -> Iterator[Excess]:
        wide, high = limits.max_width, limits.max_height
        if not (wide or high):
            return
        stats = self._stats
        sizes = [(stats.width, stats.height), *[(each.width, each.height) for each in stats.tracks.values()]]
        for width, height in sizes:
            if not width or not height or _within(width, height, limits):
                continue  # Without either no header has said it.
            size = (
                f"{wide}x{high}" if wide and high else f"{high} lines" if high else f"{wide} pixels in width"
            )
            text = (
                f"This stream takes pictures of up to {size}, and you send {width}x{height}: "
                "lower the output resolution of the encoder."
            )
            yield Excess(Refusal.RESOLUTION, text, {"width": width, "height": height})
            return


def _within(width: int, height: int, limits: MediaLimits) -> bool:
    longest, shortest = limits.max_width, limits.max_height
    if longest and shortest:
        longest, shortest = max(longest, shortest), min(longest, shortest)
    return (not longest or max(width, height) <= longest) and (not shortest or min(width, height) <= shortest)
