"""The statistics page of nginx-rtmp (``rtmp_stat``), and whom its ``rtmp_control`` means.

The order of elements is that of ngx_rtmp_stat_module. Programs read them strictly, NOALBS most of all: a
number that is no whole one, or half of ``<meta>``, and it takes every stream for offline.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final
from xml.sax.saxutils import escape

from rtmpd.compat.survey import Survey, publishes
from rtmpd.control.server_answers import Totals
from rtmpd.control.session_answers import Session, StreamUse
from rtmpd.control.stream_answers import Audio, StreamSummary, Video

CONTENT_TYPE: Final = "text/xml"
_MODULE: Final = "1.1.4"
"""Version of nginx-rtmp whose page this is like: some look at it."""
_MOST_BITS: Final = (1 << 32) - 1
"""A second. NOALBS has no room for more."""
_TIMESTAMPS: Final = 1 << 32
_UNFIT: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that no document may have (XML 1.0, section 2.2)."""
_IDLE_APP: Final = "live"
_VIDEO_CODECS: Final[Mapping[str, str]] = {
    "avc1": "H264",
    "hvc1": "H265",
    "vvc1": "H266",
    "av01": "AV1",
    "vp08": "VP8",
    "vp09": "VP9",
    "h263": "Sorenson-H263",
    "screen": "ScreenVideo",
    "screen2": "ScreenVideo2",
    "vp6f": "On2-VP6",
    "vp6a": "On2-VP6-Alpha",
}
"""As nginx-rtmp calls them, and those that it does not know as others do."""
_AUDIO_CODECS: Final[Mapping[str, str]] = {
    "mp4a": "AAC",
    ".mp3": "MP3",
    "Opus": "Opus",
    "fLaC": "FLAC",
    "ac-3": "AC3",
    "ec-3": "EAC3",
    "pcm": "PCM",
    "pcma": "G711A",
    "pcmu": "G711U",
    "adpcm": "ADPCM",
    "nellymoser": "Nellymoser",
    "speex": "Speex",
    "device": "DeviceSpecific",
}
_AAC_PROFILES: Final[Mapping[str, str]] = {"HE-AAC": "HE", "HE-AACv2": "HEv2"}
"""Where nginx-rtmp has another name for one."""

_Uses = Sequence[tuple[Session, StreamUse]]


def stat(survey: Survey, apps: Sequence[str] = (), *, partial: bool = False) -> str:
    """The page. Streams that nobody publishes are not there; ``apps`` are, with streams or without.

    ``partial``: these are some streams only, for somebody who is not to know how the whole server does.
    """
    return "".join(f"{line}\r\n" for line in _lines(survey, apps, partial))


def client_id(session: Session) -> int:
    """The number of a session where numbers are small: that of its connection, as backends are told it."""
    if session.connection:
        return session.connection
    # A relay has no such number. This is the time in its UUID, to a part of a millisecond: see SessionIds.
    return int(session.id[:8] + session.id[9:13] + session.id[15:18], 16)


def _lines(survey: Survey, apps: Sequence[str], partial: bool) -> Iterator[str]:
    yield '<?xml version="1.0" encoding="utf-8" ?>'
    yield "<rtmp>"
    yield from _server(survey, partial)
    yield "<server>"
    uses = survey.uses()
    by_app: dict[str, list[StreamSummary]] = {app: [] for app in apps}
    for stream in survey.on_air():
        by_app.setdefault(stream.app, []).append(stream)
    files: dict[str, dict[str, _Uses]] = {}
    for (app, name), viewers in sorted(survey.uses(files=True).items()):
        files.setdefault(app, {})[name] = viewers
        by_app.setdefault(app, [])
    # NOALBS takes a page without any application for none at all.
    for app, streams in sorted(by_app.items()) or [(_IDLE_APP, [])]:
        yield "<application>"
        yield _element("name", app)
        yield "<live>"
        everybody = 0
        for stream in streams:
            clients = uses.get((stream.app, stream.name), ())
            everybody += _count(stream, clients)
            yield from _stream(stream, clients, survey.now)
        yield _element("nclients", everybody)
        yield "</live>"
        yield from _play(files.get(app, {}), survey.now)
        yield "</application>"
    yield from ("</server>", "</rtmp>")


def _server(survey: Survey, partial: bool) -> Iterator[str]:
    info = survey.server
    flow = _sum(survey) if partial else _Flow.of(info.totals)
    yield _element("nginx_version", f"rtmpd {info.version}")
    yield _element("nginx_rtmp_version", _MODULE)
    yield _element("compiler", f"Python {info.python}")
    yield _element("built", info.form)
    yield _element("pid", info.process.id)
    yield _element("uptime", int(info.uptime_seconds))
    yield _element("naccepted", flow.accepted)
    yield _element("bw_in", int(flow.bits_in))
    yield _element("bytes_in", flow.bytes_in)
    yield _element("bw_out", int(flow.bits_out))
    yield _element("bytes_out", flow.bytes_out)


@dataclass(frozen=True, slots=True)
class _Flow:
    """What comes in and goes out."""

    accepted: int
    """Connections that there were."""
    bits_in: float
    """A second, as the next one."""
    bits_out: float
    bytes_in: int
    bytes_out: int

    @classmethod
    def of(cls, totals: Totals) -> _Flow:
        return cls(
            totals.connections_total,
            totals.bits_per_second_in_10s,
            totals.bits_per_second_out_10s,
            totals.bytes_in,
            totals.bytes_out,
        )


def _sum(survey: Survey) -> _Flow:
    """Of what is to be seen, and nothing else."""
    streams = survey.on_air()
    media = [each for stream in streams for each in (stream.audio, stream.video) if each is not None]
    return _Flow(
        len(survey.sessions),
        sum(each.bits_per_second_10s for each in media),
        sum(each.bits_per_second_out_10s for each in streams),
        sum(each.bytes for each in media),
        sum(each.bytes_out for each in streams),
    )


def _stream(stream: StreamSummary, clients: _Uses, now: datetime) -> Iterator[str]:
    media = [each for each in (stream.audio, stream.video) if each is not None]
    audio = _bits(stream.audio.bits_per_second_10s if stream.audio else 0.0)
    video = _bits(stream.video.bits_per_second_10s if stream.video else 0.0)
    yield "<stream>"
    yield _element("name", stream.name)
    yield _element("time", _milliseconds(stream.since or now, now))
    yield _element("bw_in", _bits(sum(each.bits_per_second_10s for each in media)))
    yield _element("bytes_in", sum(each.bytes for each in media))
    yield _element("bw_out", _bits(stream.bits_per_second_out_10s))
    yield _element("bytes_out", stream.bytes_out)
    yield _element("bw_audio", audio)
    yield _element("bw_video", video)
    for session, use in clients:
        yield _client(stream, session, use, now)
    yield from _meta(stream.video, stream.audio)
    yield _element("nclients", _count(stream, clients))
    yield from ("<publishing/>", "<active/>", "</stream>")


def _play(files: Mapping[str, _Uses], now: datetime) -> Iterator[str]:
    """Who plays files, as nginx-rtmp has it of ``play``; nothing where nobody does."""
    if not files:
        return
    yield "<play>"
    for name, viewers in files.items():
        yield "<stream>"
        yield _element("name", name)
        for session, _ in viewers:
            yield _viewer(session, now)
        yield from ("<active/>", _element("nclients", len(viewers)), "</stream>")
    yield _element("nclients", sum(len(viewers) for viewers in files.values()))
    yield "</play>"


def _viewer(session: Session, now: datetime) -> str:
    return "".join(
        (
            "<client>",
            _element("id", client_id(session)),
            _element("address", session.address),
            _element("time", _milliseconds(session.since, now)),
            _element("flashver", session.agent) if session.agent else "",
            "</client>",
        )
    )


def _client(stream: StreamSummary, session: Session, use: StreamUse, now: datetime) -> str:
    """One line, as players have what the publisher sends within a moment: of whom nothing else is known."""
    times = [
        each.timestamp_seconds
        for each in (stream.video, stream.audio)
        if each is not None and each.timestamp_seconds is not None
    ]
    sound_behind_picture = times[1] - times[0] if len(times) == 2 else 0.0
    return "".join(
        (
            "<client>",
            _element("id", client_id(session)),
            _element("address", session.address),
            _element("time", _milliseconds(session.since, now)),
            _element("flashver", session.agent) if session.agent else "",
            _element("dropped", session.dropped),
            _element("avsync", round(sound_behind_picture * 1000)),
            _element("timestamp", round(max(times, default=0.0) * 1000) % _TIMESTAMPS),
            "<publishing/>" if publishes(use) else "",
            "<active/>" if not publishes(use) or session.id == stream.session else "",
            "</client>",
        )
    )


def _meta(video: Video | None, audio: Audio | None) -> Iterator[str]:
    """All that readers ask for, or nothing."""
    if video is None or video.codec is None or video.width is None or video.height is None:
        return
    level = video.level if video.level and re.fullmatch(r"\d+\.\d+", video.level) else None
    picture = (
        _element("width", video.width),
        _element("height", video.height),
        _element("frame_rate", round(video.frames_per_second)),
        _element("codec", _VIDEO_CODECS.get(video.codec, video.codec)),
        _known("profile", video.profile),
        _known("compat", video.compatibility),
        _known("level", level),
    )
    sound: tuple[str, ...] = ()
    if audio is not None and audio.codec is not None:
        sound = (
            _element("codec", _AUDIO_CODECS.get(audio.codec, audio.codec)),
            _known("profile", _AAC_PROFILES.get(audio.profile or "", audio.profile)),
            _known("channels", audio.channels),
            _known("sample_rate", audio.samples_per_second),
        )
    yield f"<meta><video>{''.join(picture)}</video><audio>{''.join(sound)}</audio></meta>"


def _count(stream: StreamSummary, clients: _Uses) -> int:
    """Of a stream: those that are listed, or all if there are more."""
    return max(len(clients), stream.players + 1)


def _bits(a_second: float) -> int:
    return min(int(a_second), _MOST_BITS)


def _milliseconds(since: datetime, now: datetime) -> int:
    return max(round((now - since).total_seconds() * 1000), 0)


def _element(name: str, value: str | int) -> str:
    text = value if isinstance(value, int) else escape(_UNFIT.sub("\N{REPLACEMENT CHARACTER}", value))
    return f"<{name}>{text}</{name}>"


def _known(name: str, value: str | int | None) -> str:
    return "" if value is None else _element(name, value)


class Side(StrEnum):
    """Which of a stream's clients are meant."""

    PUBLISHER = "publisher"
    SUBSCRIBER = "subscriber"
    CLIENT = "client"
    """Both."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Whom a call of ``rtmp_control`` means, of those from an address if it names one; None is left open."""

    side: Side
    app: str | None = None
    name: str | None = None
    client: int | None = None

    @property
    def is_open(self) -> bool:
        """It means everybody."""
        return (self.app, self.name, self.client) == (None, None, None)

    def among(self, sessions: Sequence[Session]) -> list[Session]:
        """Those of ``sessions`` that are meant, each once."""
        return [session for session in sessions if self._is_meant(session)]

    def _is_meant(self, session: Session) -> bool:
        if self.client not in (None, client_id(session)):
            return False
        return any(
            self.app in (None, use.app)
            and self.name in (None, use.name)
            and (self.side is Side.CLIENT or publishes(use) is (self.side is Side.PUBLISHER))
            for use in session.uses
        )
