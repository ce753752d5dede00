"""fMP4 out of FLV files and recordings of encoders, as what streams live is muxed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import count, pairwise
from pathlib import Path

from golden_captures import load

from rtmpd.media.correction import Correction
from rtmpd.media.decode_time import StreamTime
from rtmpd.media.flv import FlvReader
from rtmpd.media.fmp4 import Run, fragment, init_segment
from rtmpd.media.mp4_entries import Mp4Track
from rtmpd.media.mp4_feed import Timed, TrackFeed
from rtmpd.media.tags import MULTITRACK, audio_flags, video_flags
from rtmpd.media.tracks import plain_track, track_of
from rtmpd.rtmp.chunks import ChunkReader
from rtmpd.rtmp.limits import Limits

AUDIO, VIDEO = 8, 9
Message = tuple[int, int, bytes]
"""Type, time (ms), payload."""


@dataclass(frozen=True)
class Muxed:
    """What became of a stream."""

    tracks: list[Mp4Track]
    timed: list[Timed]
    corrections: dict[Correction, int]
    """Those that were needed."""
    refused: dict[int, str]
    """By message type, why nothing came of it."""

    def of(self, kind: int) -> list[Timed]:
        return [each for each in self.timed if each.track.kind == kind]

    def file(self, samples: int = 16) -> bytes:
        """With so many samples in a fragment."""
        pieces = [init_segment(self.tracks)]
        for number, start in enumerate(range(0, len(self.timed), samples), 1):
            pieces.append(fragment(number, runs(self.timed[start : start + samples])))
        return b"".join(pieces)


def runs(timed: Sequence[Timed]) -> list[Run]:
    """The samples as a run for each track; none of them has a hole."""
    found = []
    for track_id in sorted({each.track.track_id for each in timed}):
        mine = [each for each in timed if each.track.track_id == track_id]
        for before, after in pairwise(mine):
            assert before.decode_time + before.sample.duration == after.decode_time
        found.append(Run(track_id, mine[0].decode_time, [each.sample for each in mine]))
    return found


def mux(messages: Iterable[Message], *, held: bool = True) -> Muxed:
    """All of a stream with one plain track of each medium."""
    stream = StreamTime()
    numbers = count(1)
    feeds: dict[int, TrackFeed] = {}
    timed: list[Timed] = []
    for kind, timestamp, payload in messages:
        if kind not in (AUDIO, VIDEO):
            continue
        feed = feeds.get(kind)
        if feed is None:
            feed = feeds[kind] = TrackFeed(kind, next(numbers), stream, held=held)
        flags = video_flags(payload) if kind == VIDEO else audio_flags(payload)
        given = feed.take(timestamp, payload, flags)
        if given is not None:
            timed.append(given)
    timed += [given for feed in feeds.values() if (given := feed.flush())]
    return Muxed(
        [feed.track for feed in feeds.values() if feed.track is not None],
        timed,
        {what: number for what, number in stream.corrections.items() if number},
        {kind: feed.refused for kind, feed in feeds.items() if feed.refused},
    )


def flv_messages(path: Path) -> list[Message]:
    return [(tag.type, tag.timestamp, tag.payload) for tag in FlvReader().receive_data(path.read_bytes())]


def capture_messages(name: str, track: int = 0) -> list[Message]:
    """What a recorded encoder has sent of one track of each medium."""
    reader = ChunkReader(Limits())
    found = []
    for message in reader.receive_data(load(name).chunks):
        payload = message.payload
        if message.type not in (AUDIO, VIDEO) or not payload:
            continue
        flags = video_flags(payload) if message.type == VIDEO else audio_flags(payload)
        if flags & MULTITRACK:
            if track_of(payload) != track:
                continue
            payload = plain_track(message.type, payload)
        elif track:
            continue
        if payload:
            found.append((int(message.type), message.timestamp, payload))
    return found
