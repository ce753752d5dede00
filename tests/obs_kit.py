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
