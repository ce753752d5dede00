"""What OBS is answered: encoders, audio, and where to go; or why not, for its dialog.

Every answer is a 200: of another status OBS shows nothing.
"""

from __future__ import annotations

import html
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic import BaseModel, ConfigDict

from rtmpd.multitrack.encoders import Family, Setting, settings_of
from rtmpd.multitrack.fitting import Video
from rtmpd.multitrack.ladder import Ladder
from rtmpd.multitrack.question import SCHEMAS

SERVICE: Final = "rtmpd"
_CODEC: Final = "aac"
_LIVE_TRACK: Final = 0
_VOD_TRACK: Final = 1
"""OBS sets its own mixer for either; the number must be there, and is not looked at."""


@dataclass(frozen=True, slots=True)
class Ingest:
    """Where OBS publishes."""

    url: str
    """Of the app: ``rtmp://HOST/APP`` or ``rtmps://...``."""
    token: str | None = field(default=None, repr=False)
    """In place of the key that was typed."""

    @property
    def protocol(self) -> str:
        """As OBS spells it."""
        return self.url.partition(":")[0].upper()


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)


class _Meta(_Part):
    service: str = SERVICE
    schema_version: str
    config_id: str


class _Status(_Part):
    result: str
    html_en_us: str | None = None


class _Endpoint(_Part):
    protocol: str
    url_template: str
    authentication: str | None


class _Rate(_Part):
    numerator: int
    denominator: int


class _Encoder(_Part):
    type: str
    width: int
    height: int
    framerate: _Rate
    canvas_index: int = 0
    settings: dict[str, Setting]


class _Audio(_Part):
    codec: str = _CODEC
    track_id: int
    channels: int
    settings: dict[str, Setting]


class _Sound(_Part):
    live: tuple[_Audio, ...]
    vod: tuple[_Audio, ...] | None = None


class _Override(_Part):
    encoder_configurations: tuple[_Encoder, ...]
    audio_configurations: _Sound


class _Answer(_Part):
    meta: _Meta
    status: _Status
    ingest_endpoints: tuple[_Endpoint, ...]
    encoder_configurations: tuple[_Encoder, ...]
    audio_configurations: _Sound


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be encoded."""

    ladder: Ladder
    family: Family
    videos: tuple[Video, ...]
    channels: int
    vod: bool

    @property
    def kbps(self) -> int:
        """Of all video."""
        return sum(video.kbps for video in self.videos)


def configuration(plan: Plan, ingests: Sequence[Ingest], config_id: str, schema: str) -> bytes:
    """Start: so and there."""
    endpoints = [
        _Endpoint(
            protocol=each.protocol, url_template=f"{each.url}/{{stream_key}}", authentication=each.token
        )
        for each in ingests
    ]
    return _written(
        _Answer(
            meta=_Meta(schema_version=schema, config_id=config_id),
            status=_Status(result="success"),
            ingest_endpoints=tuple(endpoints),
            encoder_configurations=_encoders(plan),
            audio_configurations=_sound(plan),
        )
    )


def refusal(text: str, schema: str = SCHEMAS[0]) -> bytes:
    """Do not start: OBS shows ``text``, which is no HTML, in a box."""
    return _written(
        _Answer(
            meta=_Meta(schema_version=schema, config_id=""),
            status=_Status(result="error", html_en_us=html.escape(text)),
            ingest_endpoints=(),
            encoder_configurations=(),
            audio_configurations=_Sound(live=()),
        )
    )


def override(plan: Plan) -> str:
    """What is pasted into OBS's "Config Override (JSON)", which has a server and a key already."""
    told = _Override(encoder_configurations=_encoders(plan), audio_configurations=_sound(plan))
    return json.dumps(told.model_dump(exclude_none=True), indent=2) + "\n"


def _written(answer: _Answer) -> bytes:
    told: dict[str, Any] = answer.model_dump()
    if told["audio_configurations"]["vod"] is None:
        del told["audio_configurations"]["vod"]
    return json.dumps(told).encode()


def _encoders(plan: Plan) -> tuple[_Encoder, ...]:
    keyint = plan.ladder.keyint
    return tuple(
        _Encoder(
            type=video.encoder,
            width=video.width,
            height=video.height,
            framerate=_Rate(numerator=video.numerator, denominator=video.denominator),
            settings=settings_of(video.encoder, video.codec, plan.family, video.kbps, keyint, video.gop),
        )
        for video in plan.videos
    )


def _sound(plan: Plan) -> _Sound:
    live = _Audio(track_id=_LIVE_TRACK, channels=plan.channels, settings={"bitrate": plan.ladder.audio_kbps})
    if not plan.vod:
        return _Sound(live=(live,))
    vod = _Audio(track_id=_VOD_TRACK, channels=plan.channels, settings={"bitrate": plan.ladder.vod_kbps})
    return _Sound(live=(live,), vod=(vod,))
