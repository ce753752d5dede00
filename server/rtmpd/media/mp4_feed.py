"""Payloads of RTMP as samples of MP4, with their times: one track's, as plain payloads."""

from __future__ import annotations

from typing import Final, NamedTuple

from rtmpd.exceptions import NotForMp4
from rtmpd.media.correction import Correction
from rtmpd.media.decode_time import MAX_AHEAD_MS, SoundTime, StreamTime, VideoTime
from rtmpd.media.fmp4 import Sample
from rtmpd.media.mp4_entries import Mp4Track, read_mp4_track
from rtmpd.media.sound_frames import frame_samples
from rtmpd.media.tags import (
    CODEC_METADATA,
    CODED_FRAME,
    KEYFRAME,
    SEQUENCE_HEADER,
    parse_audio,
    parse_video,
)

_AUDIO: Final = 8
_VIDEO: Final = 9
_UNITS_PER_MS: Final = 90
_MS: Final = 1000
_LEGACY_BODY: Final = 5
"""Where frames begin: behind packet type and composition time, or behind a FourCC."""
_CODED_FRAMES: Final = 1
_MODEX: Final = 7
_WITH_COMPOSITION_TIME: Final = (b"avc1", b"hvc1")
_TEMPORAL_DELIMITER: Final = b"\x12\0"
_AAC: Final = 10
_ENHANCED: Final = 9
_LEAST_FRAMES: Final = 50
"""Sound without a sequence header is the same for so long: or a peer might have an init segment made for each
frame. Headers have a limit of their own.
"""


class Timed(NamedTuple):
    """A sample of a track, and when it is decoded, in its timescale."""

    track: Mp4Track
    """Another one than before (``!=``) where an init segment is due."""
    decode_time: int
    sample: Sample


class TrackFeed:
    """Takes the payloads of one track in their order, headers too, and gives its frames as samples.

    ``held``: a frame is given when the next has come, and lasts until then, so that samples follow each other
    without a hole, but for one of more than ``MAX_AHEAD_MS``. Otherwise it is given at once, and lasts as
    long as frames of its track usually do.
    """

    def __init__(self, kind: int, track_id: int, stream: StreamTime, *, held: bool = True) -> None:
        """``kind`` is 8 for audio, 9 for video; ``track_id`` counts from 1."""
        self.track: Mp4Track | None = None
        """What the frames that are taken now are of; None until the first (key) frame behind its header."""
        self.refused = ""
        """Why nothing comes of the track, a sentence for people; empty while something does."""
        self._kind = kind
        self._track_id = track_id
        self._stream = stream
        self._holds = held
        self._header = b""
        self._hdr = b""
        self._delimited = False
        """Frames may begin with a temporal delimiter, which MP4 does without (AV1 in ISOBMFF section 2.4)."""
        self._head = -1
        """The first byte of the sound before."""
        self._frames = 0
        """Of sound since it was read what they are of."""
        self._changed = True
        """The header is another one than the track was read from."""
        self._waiting: tuple[Mp4Track, int, int, bool, bytes, int] | None = None
        """The frame that waits for the next: as ``_give`` was given it."""
        self._video = VideoTime(stream)
        self._sound = SoundTime(stream, 1)

    def take(self, timestamp: int, payload: bytes, flags: int) -> Timed | None:
        """Take a payload stamped ``timestamp`` (ms, 64-bit), flagged as ``media.tags`` does.

        What comes out is the frame before it, or the frame itself, or nothing. Never raises.
        """
        if flags & CODED_FRAME:
            if self._kind == _VIDEO:
                return self._take_picture(timestamp, payload, flags & KEYFRAME != 0)
            return self._take_sound(timestamp, payload)
        if flags & SEQUENCE_HEADER:
            self._changed = self._changed or payload != self._header
            self._header = payload
        elif flags & CODEC_METADATA and self._kind == _VIDEO:
            self._changed = self._changed or payload != self._hdr
            self._hdr = payload
        return None

    @property
    def held_bytes(self) -> int:
        """Of the frame that waits for the next."""
        return 0 if self._waiting is None else len(self._waiting[4])

    def flush(self) -> Timed | None:
        """The frame that waits for the next, with the duration that frames of its track usually have."""
        waiting = self._waiting
        if waiting is None:
            return None
        self._waiting = None
        track, time, offset, sync, data, usual = waiting
        if self._kind == _VIDEO:
            self._video.shown_until(time + usual)
        return Timed(track, time, Sample(usual, offset, sync, data))

    def _take_picture(self, timestamp: int, payload: bytes, is_sync: bool) -> Timed | None:
        body, composition_time, nanos = _LEGACY_BODY, 0, 0
        head = payload[0]
        if not head & 0x80 or (head & 15 == _CODED_FRAMES and payload[1:5] in _WITH_COMPOSITION_TIME):
            if head & 0x80:
                body = _LEGACY_BODY + 3
            if len(payload) > body:
                composition_time = payload[body - 3] << 16 | payload[body - 2] << 8 | payload[body - 1]
                if composition_time & 0x800000:
                    composition_time -= 0x1000000
        elif head & 15 == _MODEX:
            tag = parse_video(payload)
            body, composition_time, nanos = tag.body_offset, tag.composition_time, tag.timestamp_nanos
        if len(payload) <= body:
            self._stream.corrections[Correction.EMPTY] += 1
            return None
        if self._changed and is_sync:
            self._read_track(payload)
        track = self.track
        if track is None:
            return None
        if self._delimited and payload[body : body + 2] == _TEMPORAL_DELIMITER:
            body += 2
        time = self._video.next(timestamp, nanos)
        offset = composition_time * _UNITS_PER_MS
        return self._give(track, time, offset, is_sync, payload[body:], self._video.step)

    def _take_sound(self, timestamp: int, payload: bytes) -> Timed | None:
        body = 1
        head = payload[0]
        if head >> 4 == _AAC:
            body = 2
        elif head >> 4 == _ENHANCED:
            body = _LEGACY_BODY if head & 15 == _CODED_FRAMES else parse_audio(payload).body_offset
        if len(payload) <= body:
            self._stream.corrections[Correction.EMPTY] += 1
            return None
        self._frames += 1
        if head != self._head and not self._changed:
            # Sound that has no sequence header may say here that it is another.
            if self._frames < _LEAST_FRAMES:
                return None
            self._changed = True
        if self._changed:
            self._head = head
            self._frames = 0
            self._read_track(payload)
        track = self.track
        if track is None:
            return None
        data = payload[body:]
        samples = track.frame_samples or frame_samples(track.codec, data)
        # No frame is longer than a second, but a peer may say so.
        if not 0 < samples <= track.timescale:
            self._stream.corrections[Correction.EMPTY] += 1
            return None
        time = self._sound.next(timestamp, samples)
        return None if time < 0 else self._give(track, time, 0, True, data, samples)

    def _give(
        self, track: Mp4Track, time: int, composition_offset: int, is_sync: bool, data: bytes, usual: int
    ) -> Timed | None:
        if not self._holds:
            return Timed(track, time, Sample(usual, composition_offset, is_sync, data))
        waiting = self._waiting
        self._waiting = (track, time, composition_offset, is_sync, data, usual)
        if waiting is None:
            return None
        before, began, offset, sync, frame, duration = waiting
        lasted = time - began
        # A track that was silent for longer has a hole.
        if before.timescale == track.timescale and lasted * _MS <= MAX_AHEAD_MS * track.timescale:
            duration = lasted
        return Timed(before, began, Sample(duration, offset, sync, frame))

    def _read_track(self, frame: bytes) -> None:
        try:
            track = read_mp4_track(self._kind, self._header, self._track_id, self._hdr, frame)
        except NotForMp4 as error:
            # Another frame may say more.
            self.track = None
            self._changed = True
            self.refused = str(error)
            return
        self._changed = False
        self.refused = ""
        if track != self.track:
            if self._kind == _AUDIO:
                self._sound.change_rate(track.timescale)
            self.track = track
            self._delimited = track.codec.startswith("av01")
