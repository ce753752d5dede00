"""A look at a publication about once a second: which media flow, and what those who watch it suffer from."""

from __future__ import annotations

import logging
from typing import Final

from rtmpd.engine.alignment import find_apart
from rtmpd.engine.drops import DropReason
from rtmpd.engine.encoder import EncoderStats
from rtmpd.engine.headers import HeaderCache
from rtmpd.engine.health import Health, HealthKind, spell_figure
from rtmpd.engine.key import StreamKey
from rtmpd.engine.media_limits import TOLERANCE, Inspection
from rtmpd.engine.packet import AUDIO, VIDEO
from rtmpd.engine.stats import StreamStats
from rtmpd.reasons import Refusal

FLOWS_AFTER: Final = 3.0
"""Seconds for which one medium has to have flowed before the other one is missed."""
KEYFRAMES_RARE_AFTER: Final = 20.0
KEYFRAMES_FAR_FROM: Final = 5.0
"""Seconds between two, where the settings have no limit of their own."""
NO_MEDIA_AFTER: Final = 5.0
_SILENT_AFTER: Final = 5.0
"""Seconds, for the warning, where joiners are promised everything."""
_GROWTH_LASTS: Final = 10.0
"""Seconds without another drop after which a warning about drops is over."""

_NO_GROWTH: Final = (0, 0.0)
_APART_LOOKS: Final = 3
_MOST_LOST: Final = 0.01
_MOST_LATE: Final = 0.02

_GROWTHS: Final = (
    (HealthKind.UPDATES_DROPPED, (DropReason.HEADER_RATE,)),
    (HealthKind.HEADERS_REFUSED, (DropReason.HEADER_CAP, DropReason.TRACK_CAP)),
)
_COUNTED: Final = {HealthKind.SEGMENTS_CUT: "segments"}
"""What grows, where that is not what was dropped."""
_MEDIA_KINDS: Final = {
    Refusal.VIDEO_CODEC: HealthKind.VIDEO_CODEC,
    Refusal.AUDIO_CODEC: HealthKind.AUDIO_CODEC,
    Refusal.RESOLUTION: HealthKind.RESOLUTION,
    Refusal.BITRATE: HealthKind.BITRATE,
    Refusal.KEYFRAME_INTERVAL: HealthKind.KEYFRAME_INTERVAL,
}

_logger = logging.getLogger(__name__)


class MediumFlow:
    """Whether frames of one medium come, as far as somebody looked."""

    __slots__ = ("_frames", "seen_at", "since")

    def __init__(self, now: float) -> None:
        self._frames = 0
        self.since: float | None = None
        """When frames began to come without a break longer than ``FLOWS_AFTER``; None while none do."""
        self.seen_at = now
        """When the last one came, or the publication began."""

    def look(self, frames: int, now: float) -> None:
        """There have been ``frames`` frames by now."""
        if frames != self._frames:
            self._frames = frames
            self.seen_at = now
            if self.since is None:
                self.since = now
        elif now - self.seen_at > FLOWS_AFTER:
            self.since = None

    def flows(self, now: float) -> bool:
        """Long enough for the other medium to be missed."""
        return self.since is not None and now - self.since >= FLOWS_AFTER


class Checkup:
    """The flows and warnings of one publication."""

    __slots__ = (
        "_absent_after",
        "_apart",
        "_audio",
        "_began",
        "_frames",
        "_grown",
        "_headers",
        "_key",
        "_logged",
        "_overflowed",
        "_overflows",
        "_stats",
        "_video",
        "health",
        "inspection",
        "source",
        "stall",
    )

    def __init__(
        self, key: StreamKey, stats: StreamStats, headers: HeaderCache, stall: float, now: float
    ) -> None:
        self.source: str | None = None
        """Which encoder it is, if it is not the main one."""
        self.stall = stall
        """Seconds without a message of either medium that make it stalled."""
        self.health = Health()
        self.inspection: Inspection | None = None
        """Of what there are limits for; None if for nothing."""
        self._key = key
        self._stats = stats
        self._headers = headers
        self._absent_after = headers.limits.absent_after
        self._apart = 0
        """Looks since the key frames of all tracks came together."""
        self._began = now
        self._audio = MediumFlow(now)
        self._video = MediumFlow(now)
        self._frames = 0
        self._overflows = stats.gop_overflows
        self._overflowed = 0
        """Keyframes there were when the GOP cache overflowed last."""
        self._grown: dict[HealthKind, tuple[int, float]] = {}
        """Drops by the last look, and when they grew last, where there were any."""
        self._logged: set[HealthKind] = set()

    def begin(self, now: float) -> None:
        """The publication begins now, and not when this was made."""
        self._began = self._audio.seen_at = self._video.seen_at = now

    def end(self) -> None:
        """The publication has ended."""
        self.health.clear_all()

    def look(self, now: float, *, video_open: bool) -> None:
        """Note what has come. Video flows once ``video_open``: before its first keyframe nobody gets any."""
        stats = self._stats
        self._audio.look(stats.audio.messages_in - stats.audio.headers, now)
        self._video.look(stats.video_frames if video_open else 0, now)

    def absent(self, now: float) -> int:
        """The medium (8, 9) that who joins must not be promised, as of the last look; 0 if there is none."""
        return self._silent(now, self._absent_after) if self._absent_after else 0

    def judge(self, now: float) -> None:
        """Raise and clear warnings, as of the last look."""
        stats = self._stats
        if stats.last_media_at is None:
            if now - self._began > NO_MEDIA_AFTER:
                self._warn(HealthKind.NO_MEDIA, now, seconds=now - self._began)
            return
        self.health.clear(HealthKind.NO_MEDIA)
        silent_for = now - stats.last_media_at
        if silent_for >= self.stall:
            self._warn(HealthKind.STALLED, now, seconds=silent_for)
        else:
            self.health.clear(HealthKind.STALLED)
        silent = self._silent(now, self._absent_after or _SILENT_AFTER)
        for medium, kind in ((AUDIO, HealthKind.AUDIO_SILENT), (VIDEO, HealthKind.VIDEO_SILENT)):
            if medium == silent and self._headers.announces(medium):
                self._warn(kind, now, seconds=now - self._flow(medium).seen_at)
            else:
                self.health.clear(kind)
        self._judge_keyframes(now)
        for kind, reasons in _GROWTHS:
            self._judge_growth(kind, self._dropped(reasons), now)
        self._judge_growth(HealthKind.SEGMENTS_CUT, stats.keyless_segments, now)
        if stats.tracks:
            self._judge_alignment(now)
        if stats.encoder is not None:
            self._judge_encoder(stats.encoder, now)
        if self.inspection is not None:
            self._judge_media(self.inspection, now)

    def _judge_alignment(self, now: float) -> None:
        apart = find_apart(self._stats)
        self._apart = 0 if apart is None else self._apart + 1
        if apart is None:
            self.health.clear(HealthKind.KEYFRAMES_APART)
        elif self._apart >= _APART_LOOKS:
            self._warn(HealthKind.KEYFRAMES_APART, now, track=apart.track, of=apart.of, seconds=apart.seconds)

    def _judge_encoder(self, encoder: EncoderStats, now: float) -> None:
        encoder.look()
        for kind, share, most in (
            (HealthKind.ENCODER_DROPS, encoder.lost, _MOST_LOST),
            (HealthKind.ENCODER_SLOW, encoder.late, _MOST_LATE),
        ):
            if share > most:
                self._warn(kind, now, percent=100 * share)
            else:
                self.health.clear(kind)

    def _judge_media(self, inspection: Inspection, now: float) -> None:
        inspection.look(now)
        limits, active = inspection.rules.warn, self.health.active
        beyond = {_MEDIA_KINDS[each.reason]: each.figures for each in inspection.excesses(limits, 1.0)}
        begun = {_MEDIA_KINDS[each.reason] for each in inspection.excesses(limits, TOLERANCE)}
        for kind in _MEDIA_KINDS.values():
            if kind in begun or (kind in beyond and kind in active):
                self._warn(kind, now, **beyond[kind])
            else:
                self.health.clear(kind)

    def _judge_keyframes(self, now: float) -> None:
        stats = self._stats
        without = now - (self._began if stats.keyframe_at is None else stats.keyframe_at)
        if stats.video_frames > self._frames and without > KEYFRAMES_RARE_AFTER:
            self._warn(HealthKind.KEYFRAMES_RARE, now, seconds=without)
        elif without <= KEYFRAMES_RARE_AFTER:
            self.health.clear(HealthKind.KEYFRAMES_RARE)
        self._frames = stats.video_frames
        self._judge_interval(without, now)
        if stats.gop_overflows != self._overflows:
            self._overflows = stats.gop_overflows
            self._overflowed = stats.keyframes
            self._warn(HealthKind.GOP_TOO_LONG, now, overflows=stats.gop_overflows)
        elif stats.keyframes >= self._overflowed + 2:
            self.health.clear(HealthKind.GOP_TOO_LONG)

    def _judge_interval(self, without: float, now: float) -> None:
        """``without``: seconds since the last key frame."""
        interval = (self._stats.keyframe_interval_ms or 0) / 1000
        limited = self.inspection is not None and self.inspection.rules.warn.max_keyframe_interval > 0.0
        rare = without > KEYFRAMES_RARE_AFTER  # Which is another warning.
        if interval > KEYFRAMES_FAR_FROM and not limited and not rare:
            self._warn(HealthKind.KEYFRAMES_FAR, now, seconds=interval)
        else:
            self.health.clear(HealthKind.KEYFRAMES_FAR)

    def _judge_growth(self, kind: HealthKind, count: int, now: float) -> None:
        before, grew_at = self._grown.get(kind, _NO_GROWTH)
        if count != before:
            self._grown[kind] = (count, now)
            self._warn(kind, now, **{_COUNTED.get(kind, "dropped"): count})
        elif now - grew_at > _GROWTH_LASTS:
            self.health.clear(kind)

    def _dropped(self, reasons: tuple[DropReason, ...]) -> int:
        return sum([self._stats.drops.get(reason, 0) for reason in reasons])

    def _flow(self, medium: int) -> MediumFlow:
        return self._audio if medium == AUDIO else self._video

    def _silent(self, now: float, after: float) -> int:
        """The medium that has sent no frame for ``after`` seconds while the other one flows; 0 if none."""
        if now - self._audio.seen_at >= after and self._video.flows(now):
            return AUDIO
        if now - self._video.seen_at >= after and self._audio.flows(now):
            return VIDEO
        return 0

    def _warn(self, kind: HealthKind, now: float, **figures: float | str) -> None:
        if self.health.raise_warning(kind, now, **figures) and kind not in self._logged:
            # Once for each publication: a warning may come and go with every keyframe.
            self._logged.add(kind)
            fields = {
                "app": self._key.app,
                "stream": self._key.name,
                "source": self.source,
                "kind": str(kind),
                "text": kind.finding(figures),
                "remedy": kind.advice,
                "figures": " ".join(f"{name}={spell_figure(value)}" for name, value in figures.items()),
            }
            _logger.warning("stream warning", extra={"fields": fields})
