"""What messages say of their stream, for statistics: codecs, sizes, keyframes. Only rare ones come here."""

from __future__ import annotations

from typing import Final

from rtmpd.engine.encoder import EncoderStats
from rtmpd.engine.packet import AUDIO, TRACKED, VIDEO
from rtmpd.engine.stats import StreamStats, TrackStats
from rtmpd.media.codecs import audio_info, video_info
from rtmpd.media.obs_sei import read_report
from rtmpd.media.tags import (
    CODEC_METADATA,
    CODED_FRAME,
    END_OF_SEQUENCE,
    KEYFRAME,
    SEQUENCE_HEADER,
    UNKNOWN,
    audio_codec,
    video_codec,
)

_NOT_A_FRAME: Final = SEQUENCE_HEADER | CODEC_METADATA | END_OF_SEQUENCE


def note_video(stats: StreamStats, flags: int, timestamp: int, payload: bytes, now: float) -> None:
    """A header, a keyframe or what is unknown, of the default track."""
    if flags & _NOT_A_FRAME:
        stats.video.headers += 1
    if flags & UNKNOWN:
        stats.unknown_packets += 1
    if flags & KEYFRAME:
        if stats.keyframe_timestamp is not None:
            interval = timestamp - stats.keyframe_timestamp
            stats.keyframe_interval_ms = interval
            stats.keyframe_interval_max_ms = max(interval, stats.keyframe_interval_max_ms or 0)
        stats.keyframes += 1
        stats.keyframe_timestamp = timestamp
        stats.keyframe_at = now
        if not flags & TRACKED:
            note_report(stats, 0, payload, now)
        codec = video_codec(payload)
        if codec != stats.video.codec:
            stats.video.codec, stats.width, stats.height = codec, None, None
    elif flags & SEQUENCE_HEADER:
        info = video_info(payload)
        if info is not None:
            stats.video.codec = info.codec
            stats.width = info.width or None
            stats.height = info.height or None


def note_audio(stats: StreamStats, flags: int, payload: bytes) -> None:
    """A header, what is unknown, or the first frame that does not look like those before, as above."""
    if flags & _NOT_A_FRAME:
        stats.audio.headers += 1
    if flags & UNKNOWN:
        stats.unknown_packets += 1
    info = audio_info(payload)
    if info is not None:
        stats.audio.codec = info.codec
    elif flags & CODED_FRAME:
        stats.audio.codec = audio_codec(payload)


def note_track(
    stats: StreamStats, kind: int, track: int, flags: int, timestamp: int, payload: bytes, now: float
) -> TrackStats:
    """Any message of a medium that has several tracks, ``payload`` holding only this one."""
    figures = stats.tracks.get((kind, track))
    if figures is None:
        figures = stats.tracks[kind, track] = TrackStats()
    figures.bytes_in += len(payload)
    if flags & CODED_FRAME:
        figures.frames += 1
        if flags & KEYFRAME:
            figures.keyframe(timestamp)
            note_report(stats, track, payload, now)
        if figures.codec is None:
            figures.codec = video_codec(payload) if kind == VIDEO else audio_codec(payload)
    elif flags & SEQUENCE_HEADER:
        _describe(figures, kind, payload)
    return figures


def note_report(stats: StreamStats, track: int, payload: bytes, now: float) -> None:
    """What the encoder says of itself in a key frame, if it does."""
    report = read_report(payload)
    if report is not None:
        if stats.encoder is None:
            stats.encoder = EncoderStats(track)
        stats.encoder.note(track, report, now)


def begin_tracks(stats: StreamStats, kind: int) -> None:
    """A medium turns out to have several tracks; what came so far was track 0."""
    first = stats.tracks[kind, 0] = TrackStats()
    if kind == AUDIO:
        first.codec = stats.audio.codec
    else:
        first.codec, first.width, first.height = stats.video.codec, stats.width, stats.height
        first.keyframe_timestamp = stats.keyframe_timestamp


def adopt_track(stats: StreamStats, kind: int, figures: TrackStats) -> None:
    """This track is the default from now on: what is said of the medium is said of it."""
    if kind == AUDIO:
        stats.audio.codec = figures.codec
    else:
        stats.video.codec, stats.width, stats.height = figures.codec, figures.width, figures.height
        stats.keyframe_timestamp = None


def _describe(figures: TrackStats, kind: int, payload: bytes) -> None:
    if kind == AUDIO:
        sound = audio_info(payload)
        figures.codec = sound.codec if sound is not None else figures.codec
        return
    picture = video_info(payload)
    if picture is not None:
        figures.codec = picture.codec
        figures.width = picture.width or None
        figures.height = picture.height or None
