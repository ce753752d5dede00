"""Series per stream, for a bounded number of streams."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

from rtmpd.engine.claim import SOURCES, Place
from rtmpd.engine.drops import DropReason
from rtmpd.engine.health import Health
from rtmpd.engine.key import StreamKey
from rtmpd.engine.origin import Origin
from rtmpd.engine.packet import AUDIO
from rtmpd.engine.stats import StreamStats, TrackStats
from rtmpd.metrics.encoders import fates, said, track_fates
from rtmpd.metrics.families import Family

OTHER: Final = "_other"
"""App and stream label of the streams without series of their own."""

_OTHER_KEY: Final = StreamKey(OTHER, OTHER)

Labels = tuple[str, ...]
"""Values of a metric's labels after app and stream."""


class PublicationView(Protocol):
    """What is read of a publication; ``rtmpd.engine.publication.Publication`` is one."""

    @property
    def origin(self) -> Origin: ...

    @property
    def place(self) -> Place: ...


class StreamView(Protocol):
    """What is read of a stream; ``rtmpd.engine.stream.LiveStream`` is one."""

    @property
    def stats(self) -> StreamStats: ...

    @property
    def publication(self) -> PublicationView | None: ...

    @property
    def slate(self) -> object | None: ...

    @property
    def players(self) -> int: ...

    @property
    def health(self) -> Health: ...


def _worst_skew(values: Iterable[float]) -> float:
    return max(values, key=abs)


@dataclass(frozen=True, slots=True)
class _Gauge:
    name: str
    text: str
    read: Callable[[StreamView, float], Iterable[tuple[Labels, float | None]]]
    """Values by labels; None when there is nothing to tell yet."""
    combine: Callable[[Iterable[float]], float]
    """How streams become one: added up, or the worst of them."""
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Counter:
    name: str
    text: str
    read: Callable[[StreamStats], Iterable[tuple[Labels, int]]]
    labels: tuple[str, ...] = ()


def _seconds(milliseconds: int | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000


def _of_live(stream: StreamView, value: float | None) -> float | None:
    """What is said of a publication, while there is one."""
    return None if stream.publication is None else value


def _tracks(
    stream: StreamView, read: Callable[[TrackStats], float | None]
) -> Iterable[tuple[Labels, float | None]]:
    if stream.publication is None:
        return []
    return [
        (("audio" if kind == AUDIO else "video", str(track)), read(figures))
        for (kind, track), figures in stream.stats.tracks.items()
    ]


def _on_air(stream: StreamView) -> Iterable[tuple[Labels, float | None]]:
    publication = stream.publication
    if publication is None or not (publication.place.backup or stream.stats.totals.switches):
        return []
    source = publication.place.source
    return [((each,), float(each == source)) for each in SOURCES]


def _age(stream: StreamView, now: float) -> float | None:
    last = stream.stats.last_media_at
    return None if last is None else max(0.0, now - last)


_GAUGES: Final = (
    _Gauge(
        "rtmpd_stream_live",
        "1 while the stream has a publisher.",
        lambda stream, _: [((), float(stream.publication is not None))],
        sum,
    ),
    _Gauge(
        "rtmpd_stream_on_air",
        "1 for the encoder that players see, of a stream that has had a main one and a backup.",
        lambda stream, _: _on_air(stream),
        sum,
        ("source",),
    ),
    _Gauge(
        "rtmpd_stream_slate",
        "1 while the stream shows a slate instead of its encoder.",
        lambda stream, _: [((), float(stream.slate is not None))],
        sum,
    ),
    _Gauge(
        "rtmpd_stream_players",
        "Players attached to the stream.",
        lambda stream, _: [((), float(stream.players))],
        sum,
    ),
    _Gauge(
        "rtmpd_stream_received_bytes_per_second",
        "Media bitrate of the publisher, smoothed over 10 s.",
        lambda stream, _: [
            (("audio",), stream.stats.audio.byte_rate.over_10s),
            (("video",), stream.stats.video.byte_rate.over_10s),
        ],
        sum,
        ("media",),
    ),
    _Gauge(
        "rtmpd_stream_video_frames_per_second",
        "Video frame rate of the publisher, smoothed over 1 s (the lowest of several streams).",
        lambda stream, _: [((), stream.stats.frame_rate.over_1s if stream.stats.video.messages_in else None)],
        min,
    ),
    _Gauge(
        "rtmpd_stream_keyframe_interval_seconds",
        "Timestamp distance of the last two keyframes (the longest of several streams).",
        lambda stream, _: [((), _of_live(stream, _seconds(stream.stats.keyframe_interval_ms)))],
        max,
    ),
    _Gauge(
        "rtmpd_stream_keyframe_interval_max_seconds",
        "Longest distance of two keyframes since the publish began.",
        lambda stream, _: [((), _of_live(stream, _seconds(stream.stats.keyframe_interval_max_ms)))],
        max,
    ),
    _Gauge(
        "rtmpd_stream_av_skew_seconds",
        "Last video timestamp minus last audio timestamp (the farthest from 0 of several streams).",
        lambda stream, _: [((), _of_live(stream, _seconds(stream.stats.skew_ms)))],
        _worst_skew,
    ),
    _Gauge(
        "rtmpd_stream_last_media_age_seconds",
        "Time since the last audio or video message (the longest of several streams).",
        lambda stream, now: [((), _age(stream, now))],
        max,
    ),
    _Gauge(
        "rtmpd_stream_health",
        "1 for each warning about the stream that holds.",
        lambda stream, _: [((str(kind),), 1.0) for kind in stream.health.active],
        sum,
        ("kind",),
    ),
    _Gauge(
        "rtmpd_stream_track_received_bytes_per_second",
        "Bitrate of one track of a medium that has several, smoothed over 10 s.",
        lambda stream, _: _tracks(stream, lambda track: track.byte_rate.over_10s),
        sum,
        ("media", "track"),
    ),
    _Gauge(
        "rtmpd_stream_track_frames_per_second",
        "Frame rate of one track of a medium that has several, smoothed over 1 s.",
        lambda stream, _: _tracks(stream, lambda track: track.frame_rate.over_1s),
        min,
        ("media", "track"),
    ),
    _Gauge(
        "rtmpd_stream_track_keyframe_interval_seconds",
        "Timestamp distance of the last two keyframes of one track of a medium that has several.",
        lambda stream, _: _tracks(stream, lambda track: _seconds(track.keyframe_interval_ms)),
        max,
        ("media", "track"),
    ),
    _Gauge(
        "rtmpd_stream_encoder_delay_seconds",
        "Time from picture to network within OBS, as it says of its last key frame.",
        lambda stream, _: [((), _of_live(stream, said(stream.stats).delay))],
        max,
    ),
    _Gauge(
        "rtmpd_stream_encoder_uplink_delay_seconds",
        "Time from picture to server, beyond the least of the publication.",
        lambda stream, _: [((), _of_live(stream, said(stream.stats).uplink))],
        max,
    ),
)

_COUNTERS: Final = (
    _Counter(
        "rtmpd_stream_received_bytes",
        "Payload bytes that the publisher sent.",
        lambda stats: [
            (("audio",), stats.audio.bytes_in),
            (("data",), stats.data_bytes_in),
            (("video",), stats.video.bytes_in),
        ],
        ("media",),
    ),
    _Counter(
        "rtmpd_stream_received_messages",
        "Messages that the publisher sent; one video message is one frame or one header.",
        lambda stats: [
            (("audio",), stats.audio.messages_in),
            (("data",), stats.data_messages_in),
            (("video",), stats.video.messages_in),
        ],
        ("media",),
    ),
    _Counter(
        "rtmpd_stream_sent_bytes",
        "Bytes handed to the stream's players, chunk headers included.",
        lambda stats: [((), stats.totals.bytes_out)],
    ),
    _Counter(
        "rtmpd_stream_sent_messages",
        "Messages handed to the stream's players.",
        lambda stats: [((), stats.totals.messages_out)],
    ),
    _Counter("rtmpd_stream_keyframes", "Video keyframes received.", lambda stats: [((), stats.keyframes)]),
    _Counter(
        "rtmpd_stream_switches",
        "Changes from the main encoder to the backup, and back, by which went on.",
        lambda stats: [((source,), number) for source, number in stats.totals.switches.items()],
        ("source",),
    ),
    _Counter(
        "rtmpd_stream_dropped_packets",
        "Media packets that did not go out, one for each player that missed it.",
        lambda stats: [((str(reason),), stats.totals.drops.get(reason, 0)) for reason in DropReason],
        ("reason",),
    ),
    _Counter(
        "rtmpd_stream_timestamp_regressions",
        "Messages stamped earlier than the one before of their medium.",
        lambda stats: [((), stats.timestamp_regressions)],
    ),
    _Counter(
        "rtmpd_stream_timestamp_gaps",
        "Messages stamped more than a second after the one before of their medium.",
        lambda stats: [((), stats.timestamp_gaps)],
    ),
    _Counter(
        "rtmpd_stream_sequence_header_changes",
        "Sequence headers that replaced a different one.",
        lambda stats: [((), stats.sequence_header_changes)],
    ),
    _Counter(
        "rtmpd_stream_unknown_packets",
        "Media messages relayed without being understood.",
        lambda stats: [((), stats.unknown_packets)],
    ),
    _Counter(
        "rtmpd_stream_gop_cache_overflows",
        "GOPs longer than the cache may hold.",
        lambda stats: [((), stats.totals.gop_overflows)],
    ),
    _Counter(
        "rtmpd_stream_encoder_frames",
        "Frames of OBS by what became of them, as it says.",
        fates,
        ("fate",),
    ),
    _Counter(
        "rtmpd_stream_encoder_track_frames",
        "Frames that were given to the encoder of a track, and those that it has skipped, as OBS says.",
        track_fates,
        ("track", "fate"),
    ),
)


@dataclass(slots=True)
class _Overflow:
    """Counters of all streams that never had series of their own; they only grow."""

    totals: dict[tuple[str, Labels], int] = field(default_factory=dict)
    _seen: dict[StreamKey, dict[tuple[str, Labels], int]] = field(default_factory=dict)
    """What has been added already, of the streams that are still there."""

    def update(self, streams: Mapping[StreamKey, StreamStats]) -> None:
        """Add what each stream counted since the last scrape.

        A publish that starts over on its name starts its counters over, so a smaller value is all new.
        """
        before, self._seen = self._seen, {}
        for key, stats in streams.items():
            values = {
                (counter.name, labels): value
                for counter in _COUNTERS
                for labels, value in counter.read(stats)
            }
            known = before.get(key, {})
            for series, value in values.items():
                last = known.get(series, 0)
                self.totals[series] = self.totals.get(series, 0) + (value - last if value >= last else value)
            self._seen[key] = values


class StreamMetrics:
    """Series labelled app and stream for so many streams, first come, first served.

    The label values of a name that was never published come from strangers, so names that players only wait
    for get no series.
    """

    def __init__(self, streams: Mapping[StreamKey, StreamView], clock: Callable[[], float]) -> None:
        self._streams = streams
        self._clock = clock
        self._shown: set[StreamKey] = set()
        self._overflow = _Overflow()

    def collect(self, max_streams: int) -> Iterator[Family]:
        """All families; the samples of every stream are from the same moment.

        A stream gets no series while ``max_streams`` have some; what it has it keeps while it lives.
        """
        now = self._clock()
        published = {
            key: stream
            for key, stream in self._streams.items()
            if stream.publication is not None or stream.stats.last_media_at is not None
        }
        self._shown &= published.keys()
        for key in published:
            if len(self._shown) >= max_streams:
                break
            if key != _OTHER_KEY:
                self._shown.add(key)
        shown = {key: stream for key, stream in published.items() if key in self._shown}
        others = {key: stream for key, stream in published.items() if key not in self._shown}
        self._overflow.update({key: stream.stats for key, stream in others.items()})
        yield _info(shown)
        yield _track_info(shown)
        for gauge in _GAUGES:
            yield _collect_gauge(gauge, shown, list(others.values()), now)
        for counter in _COUNTERS:
            yield self._collect_counter(counter, shown)

    def _collect_counter(self, counter: _Counter, shown: Mapping[StreamKey, StreamView]) -> Family:
        family = Family("counter", counter.name, counter.text, ("app", "stream", *counter.labels))
        for key, stream in shown.items():
            for labels, value in counter.read(stream.stats):
                family.add((key.app, key.name, *labels), value)
        for (name, labels), total in self._overflow.totals.items():
            if name == counter.name:
                family.add((_OTHER_KEY.app, _OTHER_KEY.name, *labels), total)
        return family


def _info(shown: Mapping[StreamKey, StreamView]) -> Family:
    family = Family(
        "gauge",
        "rtmpd_stream_info",
        "Always 1; how the publisher came and what it sends.",
        ("app", "stream", "protocol", "video_codec", "audio_codec", "resolution"),
    )
    for key, stream in shown.items():
        stats = stream.stats
        if stream.publication is not None:
            protocol = stream.publication.origin.protocol
            size = _resolution(stats.width, stats.height)
            family.add(
                (key.app, key.name, protocol, stats.video.codec or "", stats.audio.codec or "", size), 1
            )
    return family


def _track_info(shown: Mapping[StreamKey, StreamView]) -> Family:
    family = Family(
        "gauge",
        "rtmpd_stream_track_info",
        "Always 1; the tracks of media that have several.",
        ("app", "stream", "media", "track", "codec", "resolution"),
    )
    for key, stream in shown.items():
        if stream.publication is not None:
            for (kind, track), figures in stream.stats.tracks.items():
                media = "audio" if kind == AUDIO else "video"
                size = _resolution(figures.width, figures.height)
                family.add((key.app, key.name, media, str(track), figures.codec or "", size), 1)
    return family


def _resolution(width: int | None, height: int | None) -> str:
    return f"{width}x{height}" if width and height else ""


def _collect_gauge(
    gauge: _Gauge, shown: Mapping[StreamKey, StreamView], others: list[StreamView], now: float
) -> Family:
    family = Family("gauge", gauge.name, gauge.text, ("app", "stream", *gauge.labels))
    for key, stream in shown.items():
        for labels, value in gauge.read(stream, now):
            if value is not None:
                family.add((key.app, key.name, *labels), value)
    combined: dict[Labels, list[float]] = {}
    for stream in others:
        for labels, value in gauge.read(stream, now):
            if value is not None:
                combined.setdefault(labels, []).append(value)
    for labels, values in combined.items():
        family.add((_OTHER_KEY.app, _OTHER_KEY.name, *labels), gauge.combine(values))
    return family
