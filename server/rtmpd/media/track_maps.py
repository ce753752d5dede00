"""What onMetaData says of tracks beside the first (Enhanced RTMP v2), made of their sequence headers."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from rtmpd.media.codecs import audio_info, video_info
from rtmpd.media.metadata import AUDIO_TRACKS, VIDEO_TRACKS, with_properties
from rtmpd.rtmp.amf import AmfValue

Headers = Mapping[int, bytes]
"""Payloads of sequence headers by the id of their track."""


def with_track_maps(metadata: bytes, video: Headers, audio: Headers) -> bytes:
    """What ``live_metadata`` gave with a table of the tracks of each medium, keys from 1, where the publisher
    has sent none. Track 0 is described by all else that is in it.
    """
    tables: dict[str, AmfValue] = {}
    for name, headers, describe in (
        (VIDEO_TRACKS, video, _describe_video),
        (AUDIO_TRACKS, audio, _describe_audio),
    ):
        table = _table(headers, describe)
        if table and name not in metadata:
            tables[name.decode()] = table
    return with_properties(metadata, tables) if tables else metadata


def _table(headers: Headers, describe: Callable[[bytes], dict[str, AmfValue]]) -> dict[str, AmfValue]:
    told = {str(track): describe(headers[track]) for track in sorted(headers) if track > 0}
    return {track: properties for track, properties in told.items() if properties}


def _describe_video(header: bytes) -> dict[str, AmfValue]:
    info = video_info(header)
    if info is None:
        return {}
    found: dict[str, AmfValue] = {"videocodecid": _four_cc(info.codec)}
    if info.width and info.height:
        found |= {"width": float(info.width), "height": float(info.height)}
    if info.frame_rate:
        found["framerate"] = round(info.frame_rate, 3)
    return found


def _describe_audio(header: bytes) -> dict[str, AmfValue]:
    info = audio_info(header)
    if info is None:
        return {}
    found: dict[str, AmfValue] = {"audiocodecid": _four_cc(info.codec)}
    if info.sample_rate:
        found["audiosamplerate"] = float(info.sample_rate)
    if info.channels:
        found |= {"audiochannels": float(info.channels), "stereo": info.channels == 2}
    return found


def _four_cc(codec: str) -> float:
    return float(int.from_bytes(codec.encode(), "big"))
