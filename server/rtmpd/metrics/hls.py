"""Series of streams that are packaged for HLS, and of who watches them so."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, Literal, Protocol

from rtmpd.metrics.families import Family


class PackageStats(Protocol):
    """Of all packages: ``rtmpd.packaging.stats.HlsStats``."""

    packages: int
    parts: int
    late_parts: int
    late_tracks: int
    segments: int
    gaps: int
    long_gops: int
    corrections: int
    held_bytes: int
    pending_bytes: int
    relieved: int
    disk_failures: int

    @property
    def overfull(self) -> Mapping[str, int]: ...


class AnswerCounts(Protocol):
    """Of all requests: ``rtmpd.http.hls_counts.HlsCounts``."""

    @property
    def requests(self) -> Mapping[str, int]: ...
    @property
    def waits(self) -> Mapping[str, int]: ...
    @property
    def waiting(self) -> int: ...
    @property
    def bytes_out(self) -> int: ...
    @property
    def player_stalls(self) -> int: ...
    @property
    def player_watched_ms(self) -> int: ...


_PACKAGES: Final[Sequence[tuple[Literal["counter", "gauge"], str, str, str]]] = (
    ("gauge", "rtmpd_hls_packages", "Streams that are packaged for HLS now.", "packages"),
    ("counter", "rtmpd_hls_parts", "Parts of segments that were made.", "parts"),
    (
        "counter",
        "rtmpd_hls_late_parts",
        "Parts that came later behind the one before, by the clock, than their target and a fifth.",
        "late_parts",
    ),
    (
        "counter",
        "rtmpd_hls_late_tracks",
        "Times that tracks came when their stream was packaged already.",
        "late_tracks",
    ),
    ("counter", "rtmpd_hls_segments", "Segments that were made.", "segments"),
    (
        "counter",
        "rtmpd_hls_gaps",
        "Parts that ended before the next frame, because that one was late.",
        "gaps",
    ),
    (
        "counter",
        "rtmpd_hls_long_gops",
        "Segments that begin without a key frame, because none came in time.",
        "long_gops",
    ),
    ("counter", "rtmpd_hls_corrections", "Frames whose time was repaired.", "corrections"),
    ("gauge", "rtmpd_hls_held_bytes", "Bytes of segments in memory.", "held_bytes"),
    ("gauge", "rtmpd_hls_pending_bytes", "Bytes of frames that are in no part yet.", "pending_bytes"),
    (
        "counter",
        "rtmpd_hls_relieved_segments",
        "Segments that were given up before their time, because memory was short.",
        "relieved",
    ),
    (
        "counter",
        "rtmpd_hls_disk_failures",
        "Segments that a drive did not take, or not in time.",
        "disk_failures",
    ),
)


def collect_hls(packages: PackageStats | None, answers: AnswerCounts | None) -> Iterator[Family]:
    """All of it; nothing where no app has HLS."""
    if answers is None:
        return
    for kind, name, text, field in _PACKAGES:
        yield Family(kind, name, text).with_value(0 if packages is None else getattr(packages, field))
    yield Family(
        "counter",
        "rtmpd_hls_overfull",
        "How often so much of a stream was held that it was not waited any longer, by where.",
        ("where",),
    ).with_table({} if packages is None else packages.overfull)
    yield Family(
        "counter", "rtmpd_hls_requests", "Requests that were answered, by what for.", ("kind",)
    ).with_table(answers.requests)
    yield Family(
        "counter",
        "rtmpd_hls_waits",
        "Requests that waited for what comes next, by what became of them.",
        ("outcome",),
    ).with_table(answers.waits)
    yield Family("gauge", "rtmpd_hls_waiting", "Requests that wait now.").with_value(answers.waiting)
    yield Family(
        "counter", "rtmpd_hls_sent_bytes", "Bytes of playlists, parts and segments that were sent."
    ).with_value(answers.bytes_out)
    yield Family(
        "counter", "rtmpd_hls_player_stalls", "Stalls that pages have told of in their beacons."
    ).with_value(answers.player_stalls)
    yield Family(
        "counter", "rtmpd_hls_player_watched_seconds", "For how long these have watched."
    ).with_value(answers.player_watched_ms / 1000)
