"""The HTTP API of SRS (``/api/v1``): versions, summaries, vhosts, streams and clients, as JSON objects.

What goes wrong is a code in an answer with status 200, as there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from rtmpd.compat.survey import Survey, publishes
from rtmpd.control.server_answers import ServerInfo
from rtmpd.control.session_answers import Session, StreamUse
from rtmpd.control.stream_answers import Audio, StreamState, StreamSummary, Video
from rtmpd.hooks.srs import DEFAULT_VHOST, server_id, service_id, stream_id

Answer = dict[str, Any]

STREAM_NOT_FOUND: Final = 2048
CLIENT_NOT_FOUND: Final = 2049
VHOST_NOT_FOUND: Final = 2014
_LEAST: Final = 10
"""Of a list: who asks for fewer is given so many."""
_MOST: Final = 1000
_VHOST_ID: Final = stream_id(DEFAULT_VHOST)
_VIDEO_CODECS: Final[Mapping[str, str]] = {"avc1": "H264", "hvc1": "HEVC", "av01": "AV1", "vp09": "VP9"}
_AUDIO_CODECS: Final[Mapping[str, str]] = {"mp4a": "AAC", ".mp3": "MP3", "Opus": "Opus", "fLaC": "FLAC"}
_AAC_PROFILES: Final[Mapping[str, str]] = {"HE-AAC": "HE", "HE-AACv2": "HEv2"}


def versions(info: ServerInfo) -> Answer:
    """``/api/v1/versions``"""
    numbers = [*map(int, info.version.split(".")[:3] if _is_plain(info.version) else ()), 0, 0, 0]
    major, minor, revision = numbers[:3]
    data = {"major": major, "minor": minor, "revision": revision, "version": f"rtmpd {info.version}"}
    return _envelope(info, data=data)


def summaries(info: ServerInfo) -> Answer:
    """``/api/v1/summaries``. What this server does not look at is 0: disks, interfaces, other processes."""
    now = _milliseconds(info, info.uptime_seconds)
    process, machine, totals = info.process, info.machine, info.totals
    memory = process.memory_bytes or 0
    mine = {
        "version": f"rtmpd {info.version}",
        "pid": process.id,
        "ppid": 0,
        "argv": "",
        "cwd": "",
        "mem_kbyte": memory // 1024,
        "mem_percent": round(memory / machine.memory_bytes, 4),
        "cpu_percent": process.cpu_cores,
        "srs_uptime": int(info.uptime_seconds),
    }
    system = {
        **dict.fromkeys(("cpu_percent", "disk_read_KBps", "disk_write_KBps", "disk_busy_percent"), 0),
        "mem_ram_kbyte": machine.memory_bytes // 1024,
        **dict.fromkeys(("mem_ram_percent", "mem_swap_kbyte", "mem_swap_percent"), 0),
        "cpus": machine.cores,
        "cpus_online": machine.cores,
        **dict.fromkeys(("uptime", "ilde_time"), 0),
        "load_1m": machine.load_1m,
        "load_5m": machine.load_5m,
        "load_15m": machine.load_15m,
        "net_sample_time": now,
        **dict.fromkeys(("net_recv_bytes", "net_send_bytes", "net_recvi_bytes", "net_sendi_bytes"), 0),
        "srs_sample_time": now,
        "srs_recv_bytes": totals.bytes_in,
        "srs_send_bytes": totals.bytes_out,
        **dict.fromkeys(("conn_sys", "conn_sys_et", "conn_sys_tw", "conn_sys_udp"), 0),
        "conn_srs": sum(totals.connections.values()),
    }
    return _envelope(info, data={"ok": True, "now_ms": now, "self": mine, "system": system})


def vhosts(survey: Survey) -> Answer:
    """``/api/v1/vhosts``"""
    return _envelope(survey.server, vhosts=[_vhost(survey)])


def vhost(survey: Survey, wanted: str) -> Answer:
    """``/api/v1/vhosts/{id}``"""
    if wanted != _VHOST_ID:
        return refusal(VHOST_NOT_FOUND)
    return _envelope(survey.server, vhost=_vhost(survey))


def streams(survey: Survey, start: int, count: int) -> Answer:
    """``/api/v1/streams``"""
    clients = survey.uses()
    part = _part(survey.streams, start, count)
    return _envelope(survey.server, streams=[_stream(survey, each, clients) for each in part])


def stream(survey: Survey, wanted: str) -> Answer:
    """``/api/v1/streams/{id}``"""
    for each in survey.streams:
        if stream_id(f"{each.app}/{each.name}") == wanted:
            return _envelope(survey.server, stream=_stream(survey, each, survey.uses()))
    return refusal(STREAM_NOT_FOUND)


def clients(survey: Survey, start: int, count: int) -> Answer:
    """``/api/v1/clients``"""
    part = _part(_clients(survey.sessions), start, count)
    return _envelope(survey.server, clients=[_client(each, survey.now) for each in part])


def client(survey: Survey, wanted: str) -> Answer:
    """``/api/v1/clients/{id}``"""
    for each in _clients(survey.sessions):
        if each.id == wanted:
            return _envelope(survey.server, client=_client(each, survey.now))
    return refusal(CLIENT_NOT_FOUND)


def is_client(session: Session) -> bool:
    """It came to publish or to play: SRS tells of no others."""
    return bool(session.uses) and session.connection > 0


def done(info: ServerInfo) -> Answer:
    """What was wanted has been done."""
    return _envelope(info)


def refusal(code: int) -> Answer:
    """It was not."""
    return {"code": code}


def number(text: str | None) -> int:
    """A parameter as SRS takes it: the digits at its beginning, none are 0."""
    digits = "".join(text or "").lstrip()
    end = next((at for at, each in enumerate(digits) if not ("0" <= each <= "9")), len(digits))
    return int(digits[: min(end, 18)] or "0")


def _envelope(info: ServerInfo, **more: object) -> Answer:
    who = {"server": server_id(info.instance), "service": service_id(info.instance)}
    return {"code": 0, **who, "pid": str(info.process.id), **more}


def _stream(
    survey: Survey,
    stream: StreamSummary,
    clients: Mapping[tuple[str, str], Sequence[tuple[Session, StreamUse]]],
) -> Answer:
    media = [each for each in (stream.audio, stream.video) if each is not None]
    publish: Answer = {"active": stream.state is StreamState.LIVE}
    if stream.session is not None:
        publish["cid"] = stream.session
    return {
        "id": stream_id(f"{stream.app}/{stream.name}"),
        "name": stream.name,
        "vhost": _VHOST_ID,
        "app": stream.app,
        "tcUrl": _tc_url(stream.app),
        "url": f"/{stream.app}/{stream.name}",
        "live_ms": _milliseconds(survey.server, survey.server.uptime_seconds),
        "clients": len(clients.get((stream.app, stream.name), ())),
        "frames": 0 if stream.video is None else stream.video.frames,
        "send_bytes": stream.bytes_out,
        "recv_bytes": sum(each.bytes for each in media),
        "kbps": {
            "recv_30s": round(sum(each.bits_per_second_10s for each in media) / 1000),
            "send_30s": round(stream.bits_per_second_out_10s / 1000),
        },
        "publish": publish,
        "video": _video(stream.video),
        "audio": _audio(stream.audio),
    }


def _video(video: Video | None) -> Answer | None:
    if video is None or video.codec is None:
        return None
    return {
        "codec": _VIDEO_CODECS.get(video.codec, "Other"),
        "profile": video.profile or "Other",
        "level": (video.level or "Other").removesuffix(".0"),
        "width": video.width or 0,
        "height": video.height or 0,
    }


def _audio(audio: Audio | None) -> Answer | None:
    if audio is None or audio.codec is None:
        return None
    return {
        "codec": _AUDIO_CODECS.get(audio.codec, "Other"),
        "sample_rate": audio.samples_per_second or 0,
        "channel": audio.channels or 0,
        "profile": _AAC_PROFILES.get(audio.profile or "", audio.profile) or "Other",
    }


_PLAYS: Final = {"rtmp": "rtmp-play"}
"""By protocol; all others are FLV over HTTP or WebSocket."""


def _client(session: Session, now: datetime) -> Answer:
    use = session.uses[0]
    seconds = max((now - session.since).total_seconds(), 0.001)
    return {
        "id": session.id,
        "vhost": _VHOST_ID,
        "stream": stream_id(f"{use.app}/{use.name}"),
        "ip": session.address,
        "pageUrl": "",
        "swfUrl": "",
        "tcUrl": _tc_url(use.app),
        "url": f"/{use.app}/{use.name}",
        "name": use.name,
        "type": "fmle-publish" if publishes(use) else _PLAYS.get(session.protocol, "flv-play"),
        "publish": publishes(use),
        "alive": round(seconds, 3),
        "send_bytes": session.bytes_out,
        "recv_bytes": session.bytes_in,
        # Of its whole life: nobody counts for every client what it has had of late.
        "kbps": {
            "recv_30s": round(session.bytes_in * 8 / seconds / 1000),
            "send_30s": round(session.bytes_out * 8 / seconds / 1000),
        },
    }


def _vhost(survey: Survey) -> Answer:
    totals = survey.server.totals
    return {
        "id": _VHOST_ID,
        "name": DEFAULT_VHOST,
        "enabled": True,
        "clients": sum(1 for _ in _clients(survey.sessions)),
        "streams": len(survey.on_air()),
        "send_bytes": totals.bytes_out,
        "recv_bytes": totals.bytes_in,
        "kbps": {
            "recv_30s": round(totals.bits_per_second_in_10s / 1000),
            "send_30s": round(totals.bits_per_second_out_10s / 1000),
        },
        "hls": {"enabled": False},
    }


def _clients(sessions: Iterable[Session]) -> list[Session]:
    return [each for each in sessions if is_client(each)]


def _part(items: Sequence[Any], start: int, count: int) -> Sequence[Any]:
    return items[start : start + min(max(count, _LEAST), _MOST)]


def _tc_url(app: str) -> str:
    """Without the name that a client has for this server, which nobody keeps."""
    return f"rtmp://{DEFAULT_VHOST}/{app}"


def _milliseconds(info: ServerInfo, uptime: float) -> int:
    return round((info.started.timestamp() + uptime) * 1000)


def _is_plain(version: str) -> bool:
    return all(part.isdecimal() for part in version.split(".")[:3])
