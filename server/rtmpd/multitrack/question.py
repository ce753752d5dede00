"""What OBS asks before it goes live: its POST, in both versions of its schema, read as strictly as needed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

SCHEMAS: Final = ("2025-01-25", "2024-06-04")
"""The newest first. The second is that of OBS before 31.1."""
MOST_TRACKS: Final = 10
"""Of video, that OBS has with the first; and with the second:"""
_MOST_TRACKS_BEFORE: Final = 6
_TEXT: Final = 1024
_KEY: Final = 16_384
"""Characters of a stream key with its query, in which a JWT may stand."""
_MOST_SIDE: Final = 16_384
_MOST_CHANNELS: Final = 8


@dataclass(frozen=True, slots=True)
class Canvas:
    """What is encoded: pixels, and frames a second as a fraction."""

    width: int
    height: int
    numerator: int
    denominator: int


@dataclass(frozen=True, slots=True)
class Question:
    """What there is to decide by."""

    key: str = field(repr=False)
    """The stream key as it was typed, with what may follow ``?``."""
    schema: str
    version: str
    """Of OBS."""
    codecs: frozenset[str]
    """That it has encoders for, by its own names: ``h264``, ``h265``, ``av1``."""
    vendor: int | None
    """Of the GPU on which pictures are made, as PCI numbers them; None where that is not told."""
    canvas: Canvas
    max_kbps: int | None
    """Of all tracks together."""
    max_tracks: int
    """Of video."""
    channels: int
    """Of audio."""
    vod: bool
    """It sends a second audio track, for recordings."""


class _Part(BaseModel):
    """Of the request; what is not known is let pass."""

    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)


_Side = Annotated[int, Field(ge=2, le=_MOST_SIDE)]
_Text = Annotated[str, Field(max_length=_TEXT)]


class _Rate(_Part):
    numerator: int = Field(ge=1, le=1_000_000)
    denominator: int = Field(ge=1, le=1_000_000)


class _Canvas(_Part):
    width: _Side
    height: _Side
    canvas_width: _Side
    canvas_height: _Side
    framerate: _Rate


class _Client(_Part):
    version: _Text = ""
    supported_codecs: list[_Text] = Field(max_length=64)


class _Gpu(_Part):
    vendor_id: int


class _Capabilities(_Part):
    gpu: list[_Gpu] | None = Field(default=None, max_length=64)


class _Preferences(_Part):
    maximum_aggregate_bitrate: Annotated[int, Field(ge=0)] | None = None
    maximum_video_tracks: Annotated[int, Field(ge=0)] | None = None
    vod_track_audio: bool = False
    composition_gpu_index: int | None = None
    audio_channels: int = Field(default=2, ge=1, le=_MOST_CHANNELS)
    canvases: list[_Canvas] = Field(default_factory=list, max_length=16)


class _SinglePreferences(_Preferences, _Canvas):
    """Before there could be several canvases."""


class _Newer(_Part):
    authentication: str = Field(max_length=_KEY, repr=False)
    schema_version: _Text
    client: _Client
    capabilities: _Capabilities = _Capabilities()
    preferences: _Preferences


class _Older(_Newer):
    preferences: _SinglePreferences


def read_question(body: bytes) -> Question:
    """Raises ValueError with a sentence that quotes nothing: there is a stream key in ``body``."""
    try:
        request = _Newer.model_validate_json(body)
        return _understood(request if request.preferences.canvases else _Older.model_validate_json(body))
    except ValidationError as error:
        details = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(str(part) for part in details["loc"] if part != "")
        text = f"this is no request of OBS: {place}: {details['msg']}" if place else "this is no JSON object"
        raise ValueError(text) from None


def _understood(request: _Newer) -> Question:
    client, wishes = request.client, request.preferences
    canvas = wishes if isinstance(wishes, _SinglePreferences) else wishes.canvases[0]
    most = _MOST_TRACKS_BEFORE if isinstance(request, _Older) else MOST_TRACKS
    return Question(
        key=request.authentication,
        schema=request.schema_version if request.schema_version in SCHEMAS else SCHEMAS[0],
        version=client.version,
        codecs=frozenset(client.supported_codecs),
        vendor=_vendor(request.capabilities.gpu or [], wishes.composition_gpu_index),
        canvas=_canvas(canvas),
        max_kbps=wishes.maximum_aggregate_bitrate or None,
        max_tracks=min(wishes.maximum_video_tracks or most, most),
        channels=wishes.audio_channels,
        vod=wishes.vod_track_audio,
    )


def _canvas(told: _Canvas) -> Canvas:
    """Pictures are made of the canvas, and whoever has OBS put them out smaller wants them no larger."""
    width, height = min((told.canvas_width, told.canvas_height), (told.width, told.height), key=_lines)
    return Canvas(width, height, told.framerate.numerator, told.framerate.denominator)


def _lines(size: tuple[int, int]) -> int:
    return size[1]


def _vendor(gpus: list[_Gpu], index: int | None) -> int | None:
    if not gpus:
        return None
    return gpus[index if index is not None and 0 <= index < len(gpus) else 0].vendor_id
