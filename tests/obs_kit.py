"""What OBS 32 sent with several tracks, read from recordings, for tests that have it received."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from engine_kit import House
from golden_captures import load

from rtmpd.engine.publication import Publication
from rtmpd.media.tags import MULTITRACK, video_flags
from rtmpd.media.tracks import track_of
from rtmpd.rtmp.chunks import ChunkReader
from rtmpd.rtmp.constants import MessageType
from rtmpd.rtmp.limits import Limits
from rtmpd.rtmp.messages import Message


@cache
def recording(name: str) -> tuple[Message, ...]:
    """All media that it sent, such as ``multitrack``."""
    messages = ChunkReader(Limits()).receive_data(load(f"obs32/obs32-{name}-pub").chunks)
    media = (MessageType.AUDIO, MessageType.VIDEO, MessageType.DATA_AMF0)
    return tuple(message for message in messages if message.type in media)


def track_in(payload: bytes) -> int:
    """Of a payload of video."""
    return track_of(payload) if video_flags(payload) & MULTITRACK else 0


def only(messages: Sequence[Message], *tracks: int) -> list[Message]:
    """Without the other tracks of video."""
    return [each for each in messages if each.type != MessageType.VIDEO or track_in(each.payload) in tracks]


def send(house: House, publication: Publication, messages: Sequence[Message], seconds: float = 0.0) -> None:
    """One after the other, in so much time."""
    for each in messages:
        house.loop.now += seconds / len(messages)
        publication.receive(each, house.loop.now)
        house.loop.run(house.loop.now)
"""Requests of OBS, as it has sent them and as others would, and what is in an answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

Json = dict[str, Any]
_GOLDEN: Final = Path(__file__).parent / "golden" / "obs" / "request-2025-01-25.json"


def request(key: str = "show", **preferences: Any) -> Json:
    """Of OBS 32.2.2 on Linux, whose canvas is 640x360 at 30 frames a second, with other preferences."""
    body: Json = json.loads(_GOLDEN.read_text())["body"]
    return body | {"authentication": key, "preferences": body["preferences"] | preferences}


def canvas(height: int = 1080, width: int = 1920, fps: int = 60, over: int = 1) -> Json:
    """One of ``preferences.canvases``."""
    rate = {"numerator": fps, "denominator": over}
    sizes = {"width": width, "height": height, "canvas_width": width, "canvas_height": height}
    return sizes | {"framerate": rate}


def older(key: str = "show", **preferences: Any) -> Json:
    """Of OBS before 31.1, which had one canvas and fewer words."""
    body = request(key, **canvas(), **preferences)
    del body["preferences"]["canvases"]
    return body | {"schema_version": "2024-06-04"}


def with_gpu(body: Json, vendor: int, *codecs: str) -> Json:
    gpu = {
        "model": "GPU",
        "vendor_id": vendor,
        "device_id": 1,
        "dedicated_video_memory": 1,
        "shared_system_memory": 1,
        "driver_version": None,
    }
    client = body["client"] | {"supported_codecs": list(codecs or ("h264",))}
    return body | {"capabilities": body["capabilities"] | {"gpu": [gpu]}, "client": client}


def written(body: Json) -> bytes:
    return json.dumps(body).encode()
