"""Which tracks of a stream are recorded, of a rule that may call one by its name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from rtmpd.engine.packet import (
    DIFFERS,
    STREAM_METADATA,
    TRACKED,
    VIDEO,
    Packet,
    payload_for,
    track_id,
)
from rtmpd.engine.publication import GAP_MS
from rtmpd.engine.tracks import VANISHED_MS
from rtmpd.media.tags import CODEC_METADATA, CODED_FRAME, KEYFRAME, SEQUENCE_HEADER
from rtmpd.media.track_names import Picture, TrackWish, read_picture
from rtmpd.media.tracks import DEFAULT_TRACK, TrackChoice

_HEADER: Final = SEQUENCE_HEADER | CODEC_METADATA
_MOST: Final = 64
"""Tracks that are told apart; a stream has far fewer (``stream.headers.max_tracks``)."""


class NamedTracks:
    """Takes the packets of a stream in order, and gives those that are wanted, as they are written.

    A track that is wanted by name is looked for with the first frame of video, and again when headers come or
    the track stops: the nearest stands in for one that is not there. The other begins with a key frame.
    """

    def __init__(self, wish: TrackWish) -> None:
        self._wish = wish
        self._decided = self._fixed = wish.fixed is not None
        self._stale = False
        """Other headers have come since it was looked."""
        self._waits = False
        """A track that stands in for another has had no key frame yet."""
        self._pictures: dict[int, Picture] = {}
        self._time = 0
        """For how long video has come (ms), without its gaps."""
        self._before = 0
        """Timestamp of the frame before (ms)."""
        self._seen: dict[int, int] = {}
        """When each track was seen last, in that time."""
        self._headers: dict[tuple[int, int], Packet] = {}
        """By track and sort; of what is not recorded too."""
        self._metadata: Packet | None = None
        self.choice = wish.fixed or TrackChoice(DEFAULT_TRACK, wish.audio)
        """The tracks, as far as they are known."""

    def of(self, packet: Packet) -> Iterator[tuple[Packet, bytes]]:
        """What is to be written when ``packet`` comes, with its payload."""
        if not self._fixed:
            if packet.flags & STREAM_METADATA:
                self._metadata = packet
            elif packet.kind == VIDEO:
                if packet.flags & _HEADER:
                    self._keep(packet)
                    return
                if packet.flags & CODED_FRAME:
                    yield from self._follow(packet)
                    if self._waits:
                        return
        payload = _payload(packet, self.choice)
        if payload is not None:
            yield packet, payload

    def _keep(self, packet: Packet) -> None:
        track = _track(packet)
        if track not in self._seen and len(self._seen) >= _MOST:
            return
        self._seen[track] = self._time
        self._headers[track, packet.flags & _HEADER] = packet
        picture = read_picture(track, packet.payload)
        if picture is not None:
            self._pictures[track] = picture
        self._stale = True

    def _follow(self, frame: Packet) -> Iterator[tuple[Packet, bytes]]:
        """Look which track it is, if that may have changed: the headers of another come before its frames."""
        track, step, self._before = _track(frame), frame.timestamp - self._before, frame.timestamp
        self._time += min(max(step, 0), GAP_MS)
        if track in self._seen:
            self._stale = self._stale or not self._flows(track)
            self._seen[track] = self._time
        if self._stale or not self._decided or not self._flows(self.choice.video):
            yield from self._choose(frame.timestamp)
        if self._waits and frame.flags & KEYFRAME and track == self.choice.video:
            self._waits = False

    def _choose(self, now: int) -> Iterator[tuple[Packet, bytes]]:
        there = [picture for track, picture in self._pictures.items() if self._flows(track)]
        choice = self._wish.among(there, nearest=True) or self.choice
        self._waits = self._waits or (self._decided and choice != self.choice)
        self._decided, self._stale, self.choice = True, False, choice
        if self._metadata is not None:
            yield self._metadata, payload_for(self._metadata, choice) or b""
        for (track, _), header in self._headers.items():
            if track == choice.video and (payload := _payload(header, choice)) is not None:
                yield header.restamped(now), payload

    def _flows(self, track: int) -> bool:
        return track not in self._seen or self._time - self._seen[track] <= VANISHED_MS


def _track(packet: Packet) -> int:
    return track_id(packet) if packet.flags & TRACKED else DEFAULT_TRACK


def _payload(packet: Packet, choice: TrackChoice) -> bytes | None:
    if packet.flags & DIFFERS:
        return payload_for(packet, choice)
    return packet.payload
