"""Series of recordings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol

from rtmpd.metrics.families import AnyFamily, Family, HistogramFamily

if TYPE_CHECKING:
    from rtmpd.outputs.record_words import RecordStats


class Recordings(Protocol):
    """``rtmpd.outputs.recordings.Recordings`` are some."""

    @property
    def stats(self) -> RecordStats: ...

    @property
    def queue_bytes(self) -> int: ...


def collect_recordings(recordings: Recordings | None) -> Iterator[AnyFamily]:
    """How many there are, and what has become of their files; nothing where nothing is recorded."""
    if recordings is None:
        return
    stats = recordings.stats
    text = "Streams that are recorded, or would be if their files could be written."
    yield Family("gauge", "rtmpd_recordings", text).with_value(stats.active)
    text = "Of them, those of which nothing can be written now."
    yield Family("gauge", "rtmpd_recordings_failing", text).with_value(stats.failing)
    text = "Bytes written to files of recordings."
    yield Family("counter", "rtmpd_recording_bytes", text).with_value(stats.bytes_written)
    text = "Files of recordings that were finished, by why they ended."
    yield Family("counter", "rtmpd_recording_files", text, ("reason",)).with_table(stats.finished)
    text = "Times that a recording could not be written."
    yield Family("counter", "rtmpd_recording_failures", text, ("reason",)).with_table(stats.failures)
    text = "Packets that are not in a recording."
    yield Family("counter", "rtmpd_recording_lost_packets", text, ("reason",)).with_table(stats.lost)
    text = "Bytes that wait for drives."
    yield Family("gauge", "rtmpd_recording_queue_bytes", text).with_value(recordings.queue_bytes)
    text = "Time that a drive takes for what one stream has to write at once."
    yield HistogramFamily.of("rtmpd_recording_write_seconds", text, stats.write_seconds)
