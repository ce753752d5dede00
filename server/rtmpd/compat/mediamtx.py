"""The control API of MediaMTX (``/v3``): its paths and RTMP connections, as JSON objects.

A stream is a path, and its number of sessions and streams are theirs. Half of what it says has two names, an
old and a new one: both are here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from rtmpd.compat.survey import Survey, publishes
from rtmpd.control.server_answers import ServerInfo
from rtmpd.control.session_answers import Session, SessionKind, StreamUse
from rtmpd.control.stream_answers import Audio, StreamState, StreamSummary, Video

Answer = dict[str, Any]

ANY_PATH: Final = "all_others"
"""Path of the settings that hold where no other does."""
OK: Final[Answer] = {"status": "ok"}
_PER_PAGE: Final = 100
_LARGEST: Final = (1 << 31) - 1
_VIDEO_CODECS: Final[Mapping[str, str]] = {
    "avc1": "H264",
    "hvc1": "H265",
    "av01": "AV1",
    "vp08": "VP8",
    "vp09": "VP9",
}
_AUDIO_CODECS: Final[Mapping[str, str]] = {
    "mp4a": "MPEG-4 Audio",
    ".mp3": "MPEG-1/2 Audio",
    "Opus": "Opus",
    "fLaC": "FLAC",
    "ac-3": "AC3",
    "pcma": "G711",
    "pcmu": "G711",
    "pcm": "LPCM",
    "speex": "Speex",
}
_OTHER: Final = "Generic"
_AV1_PROFILES: Final[Mapping[str, int]] = {"Main": 0, "High": 1, "Professional": 2}


def info(server: ServerInfo) -> Answer:
    """``/v3/info``"""
    return {"version": f"rtmpd {server.version}", "started": _time(server.started)}


def paths(survey: Survey, apps: Sequence[str]) -> list[Answer]:
    """Items of ``/v3/paths/list``; ``apps`` have settings of their own."""
    uses = survey.uses()
    return [_path(each, uses.get((each.app, each.name), ()), apps) for each in survey.streams]


def path(survey: Survey, apps: Sequence[str]) -> Answer:
    """``/v3/paths/get/{name}``, of the one stream that there is."""
    (found,) = paths(survey, apps)
    return found


def connections(sessions: Iterable[Session], *, tls: bool) -> list[Answer]:
    """Items of ``/v3/rtmpconns/list``, or of those that came over TLS, ``/v3/rtmpsconns/list``."""
    return [_connection(each) for each in sessions if _is_client(each) and each.tls is tls]


def connection(session: Session, *, tls: bool) -> Answer | None:
    """One of them; None if the session is none."""
    return _connection(session) if _is_client(session) and session.tls is tls else None


def error(text: str) -> Answer:
    """What goes wrong."""
    return {"status": "error", "error": text}


def page(items: Sequence[Any], per_page: str | None, number: str | None, most: int | None = None) -> Answer:
    """A part of a list: so many items, ``most`` at most, the page of that number. Raises ValueError."""
    size = min(_count(per_page, _PER_PAGE, "itemsPerPage"), most or _LARGEST)
    if not size:
        raise ValueError("invalid items per page")
    first = _count(number, 0, "page") * size
    return {
        "itemCount": len(items),
        "pageCount": -(-len(items) // size),
        "items": list(items[first : first + size]),
    }


def _count(text: str | None, default: int, name: str) -> int:
    if not text:
        return default
    if not (re.fullmatch("[0-9]{1,10}", text) and int(text) <= _LARGEST):
        raise ValueError(f"{name} is no number: write one from 0 on")
    return int(text)


def _path(stream: StreamSummary, clients: Sequence[tuple[Session, StreamUse]], apps: Sequence[str]) -> Answer:
    online = stream.state is StreamState.LIVE
    since = None if stream.since is None else _time(stream.since)
    media = [each for each in (stream.video, stream.audio) if each is not None]
    tracks = [each for each in (_video(stream.video), _audio(stream.audio)) if each is not None]
    received, sent = sum(each.bytes for each in media), stream.bytes_out
    return {
        "name": f"{stream.app}/{stream.name}",
        "confName": _settings_of(f"{stream.app}/{stream.name}", apps),
        # Held players have nobody's media: whoever switches by this is to see the encoder.
        **dict.fromkeys(("ready", "available", "online"), online),
        **dict.fromkeys(("readyTime", "availableTime", "onlineTime"), since),
        "source": _source(stream, [session for session, _ in clients]),
        "tracks": [each["codec"] for each in tracks],
        "tracks2": tracks,
        "readers": [
            _reader(session) for session, use in clients if not publishes(use) and _is_client(session)
        ],
        "inboundBytes": received,
        "outboundBytes": sent,
        "inboundFramesInError": 0,
        "bytesReceived": received,
        "bytesSent": sent,
    }


def _settings_of(path: str, apps: Sequence[str]) -> str:
    fitting = [each for each in apps if path == each or path.startswith(f"{each}/")]
    return max(fitting, key=len, default=ANY_PATH)


def _source(stream: StreamSummary, sessions: Sequence[Session]) -> Answer | None:
    if stream.session is None:
        return None
    session = next((each for each in sessions if each.id == stream.session), None)
    if session is None:
        return {"type": "rtmpConn", "id": stream.session}
    if session.kind is SessionKind.PULL:
        return {"type": "rtmpSource", "id": ""}
    return _reader(session)


def _reader(session: Session) -> Answer:
    return {"type": "rtmpsConn" if session.tls else "rtmpConn", "id": session.id}


def _video(video: Video | None) -> Answer | None:
    if video is None or video.codec is None:
        return None
    codec = _VIDEO_CODECS.get(video.codec, _OTHER)
    size = {"width": video.width or 0, "height": video.height or 0}
    level = (video.level or "").removesuffix(".0")
    properties: Answer | None = None
    match codec:
        case "H264" | "H265":
            properties = {**size, "profile": video.profile or "", "level": level}
        case "AV1":
            profile = _AV1_PROFILES.get(video.profile or "", 0)
            properties = {**size, "profile": profile, "level": _av1_level(video.level), "tier": 0}
        case "VP9":
            properties = {"profile": int(video.profile) if video.profile and video.profile.isdecimal() else 0}
    return {"codec": codec, "codecProps": properties}


def _av1_level(level: str | None) -> int:
    """``seq_level_idx`` of a level such as 4.1 (AV1 specification, annex A.3)."""
    found = re.fullmatch(r"([2-7])\.([0-3])", level or "")
    return (int(found[1]) - 2) * 4 + int(found[2]) if found else 0


def _audio(audio: Audio | None) -> Answer | None:
    if audio is None or audio.codec is None:
        return None
    codec = _AUDIO_CODECS.get(audio.codec, _OTHER)
    channels = {"channelCount": audio.channels or 0}
    rate = {"sampleRate": audio.samples_per_second or 0}
    properties: Answer | None = None
    match codec:
        case "Opus":
            properties = channels
        case "MPEG-4 Audio" | "AC3":
            properties = {**rate, **channels}
        case "G711":
            properties = {"muLaw": audio.codec == "pcmu", **rate, **channels}
        case "LPCM":
            properties = {"bitDepth": 16, **rate, **channels}
    return {"codec": codec, "codecProps": properties}


def _connection(session: Session) -> Answer:
    use = next(iter(session.uses), None)
    state = "idle" if use is None else "publish" if publishes(use) else "read"
    return {
        "id": session.id,
        "created": _time(session.since),
        # Nobody keeps the port of a client.
        "remoteAddr": f"[{session.address}]:0" if ":" in session.address else f"{session.address}:0",
        "state": state,
        "path": "" if use is None else f"{use.app}/{use.name}",
        "query": "",
        "user": session.account,
        "userAgent": session.agent,
        "inboundBytes": session.bytes_in,
        "outboundBytes": session.bytes_out,
        "outboundFramesDiscarded": session.dropped,
        "bytesReceived": session.bytes_in,
        "bytesSent": session.bytes_out,
    }


def _is_client(session: Session) -> bool:
    return session.kind not in (SessionKind.PUSH, SessionKind.PULL)


def _time(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")
