"""The files of one recording, written one after the other. Nothing here is for the event loop."""

from __future__ import annotations

import errno
import sys
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from rtmpd.engine.key import StreamKey
from rtmpd.engine.packet import (
    ASIDE,
    CACHED_HEADER,
    STREAM_METADATA,
    TRACKED,
    VIDEO,
    Packet,
    track_id,
)
from rtmpd.engine.packet_queue import Item, Mark
from rtmpd.media.codec_names import spoken
from rtmpd.media.headers import Headers
from rtmpd.media.metadata import announces
from rtmpd.media.tags import CODED_FRAME, KEYFRAME, audio_codec, parse_video, video_codec
from rtmpd.media.timeline import Timeline
from rtmpd.media.tracks import ALL_TRACKS
from rtmpd.outputs.appending import open_last
from rtmpd.outputs.flv_file import FlvFile, Place
from rtmpd.outputs.flv_head import HEAD_BYTES, SOUND_INDEX, Told
from rtmpd.outputs.named_tracks import NamedTracks
from rtmpd.outputs.names import NameTemplate
from rtmpd.outputs.record_rules import RecordRule, RecordTime
from rtmpd.outputs.record_words import RecordingFailure, failure_of, problem_of
from rtmpd.outputs.recording import Recording, RecordingEnd

_VIDEO_PATIENCE: Final = 3000
"""How long sound alone is not begun with where the encoder announces video (ms)."""
_KEY_PATIENCE: Final = 30_000
"""How long a split waits for a key frame, and a beginning where there is a header of video (ms): some
encoders send none."""
SHORTEST: Final = 1.0
"""Seconds from one file to the next, unless that one is worth its head: encoders whose time runs ahead are to
have no more files than others."""
_LONGEST: Final = 24 * 24 * 3600 * 1000
"""Another file begins behind so much (ms): FLV counts 2^31."""
_LONGEST_WAIT: Final = 600
"""Nothing that is written came longer ago (s): timestamps that say so jump."""
_REORDERED: Final = 16
"""So many pictures may be shown in another order than they come."""
_TAG_HEAD: Final = 64
"""Bytes of a picture that say when it is shown."""
_MAX_HEADERS: Final = 256
"""That the next file begins with: more than the engine lets a stream have at a time."""
_MAX_STEP: Final = 10_000
"""A longer step ahead (ms) is one of the clock's, or else of an encoder that is out of its mind."""
_WITH_GAP: Final = "appendWithGap"
_APPENDING: Final = ("append", _WITH_GAP)
_ROOM_AGAIN: Final = 2
"""A drive that was full is one no more when it has so many times what it has to have left."""


@dataclass(frozen=True, slots=True)
class Begun:
    """A file was begun."""

    path: str
    started_at: float
    part: int


@dataclass(frozen=True, slots=True)
class Failed:
    """Nothing can be written for now."""

    path: str
    reason: RecordingFailure
    problem: str


News = Begun | Recording | Failed


@dataclass(frozen=True, slots=True)
class Batch:
    """What there is to write."""

    items: Sequence[Item]
    rule: RecordRule
    at: float
    """Unix time (s) at which its last packet came."""
    split: bool = False
    """Somebody has asked for another file."""
    anew: bool = False
    """Something is missing before: it begins as what a joiner is sent."""
    end: RecordingEnd | None = None
    """Nothing follows."""


@dataclass(slots=True)
class Outcome:
    """What has become of a batch."""

    news: list[News] = field(default_factory=list)
    written: int = 0
    """Bytes."""
    lost: int = 0
    """Packets that could not be written."""


class FileSeries:
    """Takes the packets of one recording, from the mark of its begin to that of its end."""

    def __init__(
        self, key: StreamKey, rule: RecordRule, mode: str = "live", max_descriptor: int = sys.maxsize
    ) -> None:
        """``mode`` is what its encoder wants kept, as in ``Terms``. Files whose descriptors are not below
        ``max_descriptor`` are not begun.
        """
        self._max_descriptor = max_descriptor
        self._key = key
        self._rule = rule
        self._tracks = NamedTracks(rule.tracks)
        self._mode = mode
        self._file: FlvFile | None = None
        self._part = 0
        self._timeline = Timeline()
        self._headers = Headers()
        self._metadata = b""
        self._codecs: dict[tuple[int, int], str] = {}
        """By medium and track."""
        self._latest: dict[tuple[int, int], int] = {}
        """Time in the file, by medium and track (ms)."""
        self._pictures: deque[tuple[int, bytes]] = deque(maxlen=_REORDERED)
        """How the newest begin, with their times in the file (ms)."""
        self._waiting: set[int] | None = None
        """Tracks of video whose key frame has come since the file began; None where any frame may come."""
        self._video = False
        self._since: int | None = None
        """Timestamp of the first sound that nothing was begun with."""
        self._due_since: int | None = None
        """Time in the file at which it was to be split (ms)."""
        self._indexed = 0
        self._started_at = self._begun_at = self._at = 0.0
        self._seen = (0, 0.0)
        """Timestamp of the frame before (ms), and the Unix time (s) at which it had come."""
        self._split = self._over = self._was_full = False
        self._taken = self._kept = 0
        """Items of the batch that have had their turn, and of them those that are written."""
        self._outcome = Outcome()

    def write(self, batch: Batch) -> Outcome:
        """Write all of it. What fails is told in the outcome, and never raised."""
        outcome = self._outcome = Outcome()
        self._rule = batch.rule
        self._split = self._split or batch.split
        self._at = batch.at
        self._taken = self._kept = 0
        if batch.anew:
            self._begin_anew()
        try:
            self._write(batch)
        except OSError as error:
            self._fail(error)
            outcome.lost = sum(isinstance(item, Packet) for item in batch.items[self._kept :])
        except BaseException:
            if self._file is not None:
                self._file.close()
                self._file = None
            raise
        return outcome

    def _write(self, batch: Batch) -> None:
        newest = max((item.timestamp for item in batch.items if isinstance(item, Packet)), default=0)
        for item in batch.items:
            self._take(item, newest)
            self._taken += 1
        self._flush()
        if batch.end is not None:
            self._finish(batch.end)

    def _begin_anew(self) -> None:
        """After a failure. Whoever was only waited for has left a file."""
        with suppress(OSError):
            self._finish(RecordingEnd.FAILED)
        self._headers = Headers()
        self._tracks = NamedTracks(self._rule.tracks)
        self._metadata = b""
        self._video, self._since = False, None

    # Items

    def _take(self, item: Item, newest: int) -> None:
        """One after the other; ``newest`` is the latest timestamp of all."""
        if self._over:
            return
        if isinstance(item, Mark):
            self._note(item)
            return
        for packet, payload in self._tracks.of(item):
            if packet.flags & CACHED_HEADER:
                self._take_header(packet, payload)
            elif packet.flags & CODED_FRAME:
                self._take_frame(packet, payload, newest)
            elif self._file is not None and payload:
                time = self._timeline.place_other(packet.kind, packet.timestamp & 0xFFFFFFFF)
                self._file.add(packet.kind, time, payload, keyframe=False)

    def _note(self, mark: Mark) -> None:
        if mark is Mark.ENDED:
            self._over = True
        elif mark in (Mark.GAP, Mark.SWITCHED):
            self._expect_hole()

    def _expect_hole(self) -> None:
        """Before the next frame something is missing."""
        # Players know no pictures that are shown before others that came earlier.
        shown = max((time + parse_video(head).composition_time for time, head in self._pictures), default=0)
        if self._rule.time is RecordTime.GAPLESS:
            self._timeline.join(shown)
        else:
            self._timeline.expect_hole(shown)

    def _take_header(self, packet: Packet, payload: bytes) -> None:
        if packet.flags & STREAM_METADATA:
            # quirk(ffmpeg): in its place it would be a data stream, so the newest stands at the beginning.
            self._metadata = payload
            if self._file is not None:
                self._file.metadata = payload
            return
        new = self._headers.keep(packet.kind, payload)
        self._headers.forget_oldest(_MAX_HEADERS)
        if not new or self._file is None:
            return
        time = self._timeline.place_other(packet.kind, packet.timestamp & 0xFFFFFFFF)
        self._file.add(packet.kind, time, payload, keyframe=False)

    def _take_frame(self, packet: Packet, payload: bytes, newest: int) -> None:
        video = packet.kind == VIDEO
        keyframe = video and packet.flags & KEYFRAME != 0
        main = self._is_main(packet)
        file = self._file
        if file is None:
            if not self._may_begin(packet, video=video, main=main):
                return
            file = self._begin(newest - packet.timestamp)
        elif main and self._splits(file, video=video, keyframe=keyframe):
            self._flush()
            self._finish(RecordingEnd.SPLIT)
            file = self._begin(newest - packet.timestamp)
            self._waiting = set() if keyframe else None
        self._video = self._video or video
        if video and self._waiting is not None:
            if keyframe:
                self._waiting.add(track_id(packet))
            elif track_id(packet) not in self._waiting:
                return
        self._add_frame(file, packet, payload, keyframe=keyframe and main)

    def _add_frame(self, file: FlvFile, packet: Packet, payload: bytes, *, keyframe: bool) -> None:
        kind = packet.kind
        step = packet.timestamp - self._seen[0]
        # Where nothing came for as long by the clock it is a pause, and else a jump.
        if _MAX_STEP < step <= (self._at - self._seen[1]) * 1000 + _MAX_STEP:
            self._expect_hole()
        self._seen = (packet.timestamp, self._at)
        time = self._timeline.place_frame(kind, packet.timestamp & 0xFFFFFFFF)
        track = (kind, track_id(packet))
        last = self._latest.get(track)
        if last is not None and time <= last:
            # Two pictures at one time are none that a file can tell apart.
            time = last + (kind == VIDEO)
        self._latest[track] = time
        self._codecs[track] = video_codec(payload) if kind == VIDEO else audio_codec(payload)
        if kind == VIDEO:
            file.told.video = True
            self._pictures.append((time, payload[:_TAG_HEAD]))
        else:
            file.told.audio = True
            if not self._video and time >= self._indexed:
                self._indexed = time + SOUND_INDEX
                keyframe = True
        file.add(kind, time, payload, keyframe=keyframe)
        file.note(max(file.told.last, time), max(self._timeline.end, time))

    def _is_main(self, packet: Packet) -> bool:
        """Of the track that files begin with."""
        if not packet.flags & TRACKED:
            return True
        tracks = self._tracks.choice
        chosen = tracks.video if packet.kind == VIDEO else tracks.audio
        return chosen != ALL_TRACKS or not packet.flags & ASIDE

    def _may_begin(self, packet: Packet, *, video: bool, main: bool) -> bool:
        if video or not main:
            return main
        patience = 0
        if any(message[0] == VIDEO for message in self._headers.messages(0)):
            patience = _KEY_PATIENCE
        elif announces(self._metadata, VIDEO):
            patience = _VIDEO_PATIENCE
        if self._since is None:
            self._since = packet.timestamp
        return not 0 <= packet.timestamp - self._since < patience

    def _splits(self, file: FlvFile, *, video: bool, keyframe: bool) -> bool:
        """Whether another file begins here."""
        rule = self._rule
        now = file.told.duration
        late = 0 < rule.split_after * 1000 <= now or now >= _LONGEST
        if not (self._split or late or 0 < rule.split_bytes <= file.size):
            return False
        if file.size < 2 * HEAD_BYTES and abs(self._at - self._begun_at) < SHORTEST:
            return False
        if self._due_since is None:
            self._due_since = now
        overdue = now - self._due_since >= _KEY_PATIENCE
        return keyframe or (not video and not self._video) or overdue

    # Files

    def _begin(self, ago: int) -> FlvFile:
        """Another file, with a frame that came so many ms before the last."""
        rule, key = self._rule, self._key
        started_at = self._at - min(ago / 1000, _LONGEST_WAIT)
        self._part += 1
        self._split = False
        self._timeline = Timeline()
        self._latest.clear()
        self._pictures.clear()
        self._waiting, self._due_since, self._indexed = None, None, 0
        self._started_at = started_at
        levels = NameTemplate.parse(rule.name).levels(key, started_at, self._part)
        try:
            file = self._open_last(levels, started_at) or self._create(levels, started_at)
        except BaseException:
            self._part -= 1
            raise
        self._file, self._begun_at = file, self._at
        self._was_full = False
        self._outcome.news.append(Begun(file.path, self._started_at, self._part))
        for kind, payload, _ in self._headers.messages(0):
            if self._codecs.get((kind, 0)) is None or self._is_current(kind, payload):
                file.add(kind, self._timeline.position, payload, keyframe=False)
        return file

    def _create(self, levels: list[str], started_at: float) -> FlvFile:
        rule, key = self._rule, self._key
        # Readers of a file that is not finished are to look for both.
        told = Told(key.app, key.name, self._part, started_at, audio=True, video=True)
        file = FlvFile(
            Place.create(rule.root, levels, self._max_descriptor), told, self._metadata, rule.fsync
        )
        told.audio = told.video = False
        try:
            self._check_room(file, _ROOM_AGAIN if self._was_full else 1)
        except OSError:
            file.discard()
            raise
        return file

    def _open_last(self, levels: list[str], started_at: float) -> FlvFile | None:
        """The last file of the stream, for an encoder that wants to append; None for others."""
        mode, self._mode = self._mode, "live"
        if mode not in _APPENDING:
            return None
        file = open_last(self._rule.root, levels, self._key, self._rule.fsync, self._max_descriptor)
        if file is None:
            return None
        told = file.told
        since = told.duration
        if mode == _WITH_GAP:
            since = max(since, round((started_at - told.started_at) * 1000))
        if since >= _LONGEST:
            file.finish()
            return None
        self._timeline = Timeline(since)
        self._part, self._started_at, self._indexed = told.part, told.started_at, since
        self._metadata = file.metadata = file.metadata or self._metadata
        return file

    def _is_current(self, kind: int, payload: bytes) -> bool:
        """A codec that needs no header may have come behind one that does."""
        codec = self._codecs[kind, 0]
        return codec == (video_codec(payload) if kind == VIDEO else audio_codec(payload))

    def _flush(self) -> None:
        file = self._file
        if file is not None:
            before = file.flushed_size
            self._check_room(file, 1)
            file.flush()
            self._outcome.written += file.flushed_size - before
        self._kept = self._taken

    def _check_room(self, file: FlvFile, times: int) -> None:
        least = self._rule.min_free * times
        if least and file.free_bytes() < least:
            raise OSError(errno.ENOSPC, f"less than {least} bytes are left (record.min_free)")

    def _finish(self, end: RecordingEnd) -> None:
        file, self._file = self._file, None
        if file is None:
            return
        if file.empty:
            file.discard()
            self._part -= 1
            news = self._outcome.news
            news[:] = [each for each in news if not (isinstance(each, Begun) and each.path == file.path)]
            return
        path = file.path
        try:
            path = file.finish()
        finally:
            file.close()
        self._outcome.news.append(
            Recording(
                key=self._key,
                path=path,
                root=self._rule.root,
                part=file.told.part,
                started_at=self._started_at,
                duration=file.told.duration / 1000,
                size=file.size,
                codecs=self._spoken(),
                end=end,
            )
        )

    def _spoken(self) -> tuple[str, ...]:
        """Video first."""
        names = [spoken(self._codecs[track]) for track in sorted(self._codecs, key=lambda each: -each[0])]
        return tuple(dict.fromkeys(names))

    def _fail(self, error: OSError) -> None:
        reason = failure_of(error)
        self._was_full = reason is RecordingFailure.FULL
        path = self._rule.root if self._file is None else self._file.path
        with suppress(OSError):
            self._finish(RecordingEnd.FAILED)
        self._outcome.news.append(Failed(path, reason, problem_of(error)))
