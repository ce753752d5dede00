"""Streams of the engine as they are told."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Final

from rtmpd.control import stream_answers as answers
from rtmpd.control.actor import Actor
from rtmpd.control.answers import Carrier
from rtmpd.control.times import Times
from rtmpd.engine.choosing import pictures_of
from rtmpd.engine.cover import Cover
from rtmpd.engine.encoder import EncoderStats
from rtmpd.engine.headers import HeaderCache
from rtmpd.engine.health import Health
from rtmpd.engine.key import StreamKey
from rtmpd.engine.packet import AUDIO, VIDEO
from rtmpd.engine.publication import Publication
from rtmpd.engine.stats import MediumStats, SmoothedRate, StreamStats
from rtmpd.engine.stream import LiveStream
from rtmpd.media.codecs import audio_info, avc_compatibility, video_info
from rtmpd.media.metadata import read_metadata
from rtmpd.media.track_names import name_pictures

_MAX_PROPERTIES: Final = 100
_MAX_TEXT: Final = 500
"""Of onMetaData: properties, and characters of one."""
_CLOCKS_DIFFER: Final = 60.0


def summary(stream: LiveStream, times: Times) -> answers.StreamSummary:
    """A stream in a list."""
    return answers.StreamSummary(**_in_short(stream, times))


def whole(stream: LiveStream, times: Times) -> answers.Stream:
    """A stream with all that is known of it."""
    stats, on_air, own = stream.stats, stream.publication, stream.own
    return answers.Stream(
        **_in_short(stream, times),
        publications=tuple(publication(each, each is on_air, times) for each in stream.publications),
        tracks=_tracks(stats, on_air.intake.headers) if on_air is not None else (),
        encoder=_encoder(stats.encoder, times) if on_air is not None else None,
        metadata={} if own is None else _metadata(own.headers.metadata),
        drops={str(reason): number for reason, number in stats.totals.drops.items()},
        av_skew_seconds=_seconds(stats.skew_ms),
        timestamp_gaps=stats.timestamp_gaps,
        timestamp_regressions=stats.timestamp_regressions,
        header_changes=stats.sequence_header_changes,
    )


def is_elsewhere(stream: LiveStream) -> bool:
    """Whether its encoder is with another process of this server."""
    return stream.publication is not None and stream.publication.origin.is_borrowed


def named(query: answers.StreamQuery, by: Actor) -> Callable[[StreamKey], bool]:
    """Tells by their names which are asked for, of those that ``by`` has to do with."""
    text = None if query.q is None else query.q.casefold()
    return lambda key: (
        by.sees(key)
        and (query.app is None or key.app == query.app)
        and (text is None or text in key.casefold())
    )


def publication(of: Publication, on_air: bool, times: Times) -> answers.Publication:
    """One encoder."""
    origin = of.origin
    return answers.Publication(
        session=origin.session_id,
        source=answers.Source(of.place.source),
        on_air=on_air,
        since=times.at(of.started_at),
        protocol=origin.protocol,
        address=origin.shown,
        account=origin.account,
        agent=origin.agent,
        silent_seconds=times.since(of.stats.last_media_at),
        video=_video(of.stats, of.intake.headers, times),
        audio=_audio(of.stats, of.intake.headers),
        warnings=_warnings(of.intake.checkup.health, times),
    )


def _in_short(stream: LiveStream, times: Times) -> dict[str, Any]:
    key, on_air, stats = stream.key, stream.publication, stream.stats
    held_since = stream.held_since
    return {
        "app": key.app,
        "name": key.name,
        "state": answers.StreamState(stream.life.value),
        "carried_by": Carrier.PREDECESSOR if is_elsewhere(stream) else Carrier.THIS,
        "since": None if on_air is None else times.at(on_air.started_at),
        "held_since": None if held_since is None else times.at(held_since),
        "slate": _slate(stream.slate, times),
        "delay_seconds": stream.limits.delay,
        "session": None if on_air is None else on_air.origin.session_id,
        "address": None if on_air is None else on_air.origin.shown,
        "account": None if on_air is None else on_air.origin.account,
        "video": None if on_air is None else _video(stats, on_air.intake.headers, times),
        "audio": None if on_air is None else _audio(stats, on_air.intake.headers),
        "players": stream.players,
        "predecessor_players": 0,
        "bytes_out": stats.totals.bytes_out,
        "bits_per_second_out_10s": round(stats.totals.out_rate.over_10s * 8, 1),
        "dropped": sum(stats.totals.drops.values()),
        "warnings": _warnings(stream.health, times),
    }


def _slate(cover: Cover | None, times: Times) -> answers.SlateOnAir | None:
    if cover is None:
        return None
    return answers.SlateOnAir(kind=answers.SlateKind(cover.slate.value), since=times.at(cover.since))


def _video(stats: StreamStats, headers: HeaderCache, times: Times) -> answers.Video | None:
    if not stats.video.messages_in:
        return None
    header = headers.header(VIDEO)
    info = video_info(header)
    return answers.Video(
        **_medium(stats.video),
        profile=None if info is None else info.profile or None,
        level=None if info is None else info.level or None,
        compatibility=avc_compatibility(header),
        width=stats.width,
        height=stats.height,
        frames=stats.video_frames,
        frames_per_second=round(stats.frame_rate.over_1s, 2),
        key_frame_interval_seconds=_seconds(stats.keyframe_interval_ms),
        key_frame_interval_max_seconds=_seconds(stats.keyframe_interval_max_ms),
        key_frame_age_seconds=times.since(stats.keyframe_at),
    )


def _audio(stats: StreamStats, headers: HeaderCache) -> answers.Audio | None:
    if not stats.audio.messages_in:
        return None
    info = audio_info(headers.header(AUDIO))
    return answers.Audio(
        **_medium(stats.audio),
        profile=None if info is None else info.profile or None,
        samples_per_second=None if info is None else info.sample_rate or None,
        channels=None if info is None else info.channels or None,
    )


def _medium(stats: MediumStats) -> dict[str, Any]:
    return {
        "codec": stats.codec,
        "timestamp_seconds": _seconds(stats.timestamp),
        "bytes": stats.bytes_in,
        **_rates(stats.byte_rate),
    }


def _rates(bytes_: SmoothedRate) -> dict[str, Any]:
    return {
        "bits_per_second_1s": round(bytes_.over_1s * 8, 1),
        "bits_per_second_10s": round(bytes_.over_10s * 8, 1),
    }


def _encoder(encoder: EncoderStats | None, times: Times) -> answers.Encoder | None:
    if encoder is None:
        return None
    ingest = None
    if encoder.composed_at is not None:
        ingest = times.at(encoder.reported_at).timestamp() - encoder.composed_at
    return answers.Encoder(
        frames_rendered=encoder.rendered,
        frames_lagged=encoder.lagged,
        frames_sent=encoder.sent,
        frames_dropped=encoder.dropped,
        delay_seconds=_rounded_time(encoder.delay),
        uplink_delay_seconds=_rounded_time(encoder.uplink),
        ingest_delay_seconds=_rounded_time(ingest) if ingest and 0.0 <= ingest <= _CLOCKS_DIFFER else None,
        age_seconds=times.since(encoder.reported_at),
    )


def _rounded_time(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)


def _tracks(stats: StreamStats, headers: HeaderCache) -> tuple[answers.Track, ...]:
    names = name_pictures(pictures_of(headers, stats))
    said = {} if stats.encoder is None else stats.encoder.tracks
    return tuple(
        answers.Track(
            medium=answers.MediumName.AUDIO if kind == AUDIO else answers.MediumName.VIDEO,
            id=number,
            codec=track.codec,
            width=track.width,
            height=track.height,
            **_rates(track.byte_rate),
            frames_per_second=round(track.frame_rate.over_1s, 2),
            key_frame_interval_seconds=_seconds(track.keyframe_interval_ms),
            name=names.get(number) if kind == VIDEO else None,
            frames_skipped=said[number].skipped if kind == VIDEO and number in said else None,
        )
        for (kind, number), track in sorted(stats.tracks.items())
    )


def _warnings(health: Health, times: Times) -> tuple[answers.StreamWarning, ...]:
    return tuple(
        answers.StreamWarning(
            kind=str(kind),
            since=times.at(warning.since),
            text=f"{kind.finding(warning.figures)}.",
            remedy=f"{kind.advice}.",
            figures=_rounded(warning.figures),
        )
        for kind, warning in health.active.items()
    )


def _rounded(figures: Mapping[str, float | str]) -> dict[str, float | str]:
    return {name: each if isinstance(each, str) else round(each, 3) for name, each in figures.items()}


def _metadata(payload: bytes) -> dict[str, str | bool | float]:
    found: dict[str, str | bool | float] = {}
    for name, value in read_metadata(payload).items():
        if len(found) == _MAX_PROPERTIES:
            break
        if isinstance(value, str):
            found[str(name)[:_MAX_TEXT]] = value[:_MAX_TEXT]
        elif isinstance(value, bool | int | float) and math.isfinite(value):
            found[str(name)[:_MAX_TEXT]] = value
    return found


def _seconds(milliseconds: int | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000
