"""What viewers are told of a stream: whether it is live, and what it is made of."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from rtmpd.engine.packet import AUDIO, VIDEO
from rtmpd.engine.sources import Life
from rtmpd.engine.stats import MediumStats, StreamStats
from rtmpd.engine.stream import LiveStream
from rtmpd.media.track_names import Picture, name_pictures

_MEDIA: Final = {VIDEO: "video", AUDIO: "audio"}
LIVE, SLATE, HOLDING, OFFLINE = "live", "slate", "holding", "offline"


def status_of(
    stream: LiveStream | None, now: float, wall: float, *, viewers: bool, rewind: float, dvr: float
) -> dict[str, Any]:
    """For JSON. At ``now`` by the server's clock it is ``wall``, in seconds since 1970."""
    state = _state(stream)
    on_air = None if stream is None else stream.publication
    status: dict[str, Any] = {"live": state == LIVE, "state": state, "since": None}
    if stream is not None and on_air is not None:
        since = datetime.fromtimestamp(wall - (now - on_air.started_at), UTC)
        status["since"] = since.isoformat(timespec="seconds").replace("+00:00", "Z")
        stats = stream.stats
        status["video"] = _video(stats)
        status["audio"] = _codec(stats.audio)
        status["tracks"] = _tracks(stats)
        status["delay_seconds"] = stream.limits.delay
        status["rewind_seconds"] = rewind
        status["dvr_seconds"] = round(min(dvr, now - on_air.started_at), 1)
    if viewers:
        status["viewers"] = 0 if stream is None else stream.players
    return status


def _state(stream: LiveStream | None) -> str:
    if stream is None or stream.life is Life.IDLE:
        return OFFLINE
    if stream.slate is not None:
        return SLATE
    return LIVE if stream.life is Life.LIVE else HOLDING


def _codec(medium: MediumStats) -> dict[str, Any] | None:
    return {"codec": medium.codec} if medium.messages_in else None


def _video(stats: StreamStats) -> dict[str, Any] | None:
    codec = _codec(stats.video)
    if codec is None:
        return None
    rate = round(stats.frame_rate.over_1s, 2)
    return {**codec, "width": stats.width, "height": stats.height, "frames_per_second": rate}


def _tracks(stats: StreamStats) -> list[dict[str, Any]]:
    """Those of a publication that has several of a medium."""
    names = name_pictures(
        Picture(number, track.width or 0, track.height or 0, 0.0, track.byte_rate.over_10s)
        for (kind, number), track in stats.tracks.items()
        if kind == VIDEO
    )
    return [
        {
            "medium": _MEDIA[kind],
            "id": number,
            "name": names.get(number) if kind == VIDEO else None,
            "codec": track.codec,
            "width": track.width,
            "height": track.height,
        }
        for (kind, number), track in sorted(stats.tracks.items())
        if kind in _MEDIA
    ]
