"""The packets a late joiner needs to see a picture at once."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from rtmpd.engine.budget import MemoryBudget
from rtmpd.engine.burst import Burst, Images
from rtmpd.engine.packet import ASIDE, AUDIO, TRACK_SHIFT, TRACKED, VIDEO, Packet, track_id
from rtmpd.engine.segment import Encoding, Segment
from rtmpd.engine.stats import ServerStats, StreamStats
from rtmpd.media.tags import KEYFRAME
from rtmpd.media.tracks import ALL_TRACKS, DEFAULT_TRACK, TrackChoice

PACKET_OVERHEAD_BYTES: Final = 256
"""Charged for each packet beside its payload: the objects around it."""
_CHARGE_STEP_BYTES: Final = 16 * 1024
"""The budget is charged ahead in steps of this size, because once per packet is too often."""


@dataclass(frozen=True, slots=True)
class GopLimits:
    """What one stream's GOP cache may hold; ``max_bytes`` 0 turns it off."""

    max_bytes: int = 20 * 1024 * 1024
    """Payload bytes, with ``PACKET_OVERHEAD_BYTES`` for each packet."""
    audio_ms: int = 1_000
    """Span of audio kept while there is no keyframe: an audio-only stream."""


class GopCache:
    """The current GOP in order of arrival, audio and data interleaved.

    It is in one of three states. *Whole*: begins with a keyframe and everything since is there. *Still*: a
    GOP that outgrew its limits or had to give memory back; its keyframe alone is left, as a picture to show
    until the next one. *Without keyframe*: the last ``audio_ms`` of audio and nothing else. Never half a GOP.

    Of a video with several tracks each has its own keyframes: a whole cache reaches back to the newest one of
    every track that had one since the default track's last but one, and a joiner begins at that of its track.

    Beside the packets it keeps their images, as far as somebody was written them: see ``Images``.
    """

    __slots__ = (
        "_audio_from",
        "_budget",
        "_bytes",
        "_charged",
        "_first",
        "_image_mark",
        "_images",
        "_keyframes",
        "_limits",
        "_mark",
        "_packets",
        "_server_stats",
        "_start",
        "_stats",
        "has_keyframe",
        "whole",
    )

    def __init__(
        self, limits: GopLimits, budget: MemoryBudget, stats: StreamStats, server_stats: ServerStats
    ) -> None:
        self._limits = limits
        self._budget = budget
        self._stats = stats
        self._server_stats = server_stats
        self._packets: deque[Packet] = deque()
        # Packets are numbered in order of arrival, those that are gone included.
        self._first = 0
        """Number of the first packet held."""
        self._start = 0
        """Number of the default track's newest keyframe."""
        self._keyframes: dict[int, int] = {}
        """Number of the newest keyframe of each track; empty as long as there are no tracks."""
        self._audio_from = 0
        """Audio before this number cannot be decoded with the header that there is now."""
        self._bytes = 0
        self._images = Images()
        self._image_mark = 0
        """Size of the images at which they have to be charged."""
        self._charged = 0
        self._mark = 0
        """Size at which ``append`` has to look closer: the next charge or the limit."""
        self.has_keyframe = False
        self.whole = False
        """Has a keyframe and everything after it."""

    @property
    def packets(self) -> Sequence[Packet]:
        """What is held; live, so use it at once."""
        return self._packets

    @property
    def held_bytes(self) -> int:
        """Of all packets, with what each takes beside its payload."""
        return self._bytes

    @property
    def charged_bytes(self) -> int:
        """What the budget is charged for this cache."""
        return self._charged

    # What the publisher sends

    def append(self, packet: Packet) -> None:
        """Take in a frame or a data message; headers and metadata belong to the header cache."""
        if packet.flags & KEYFRAME and packet.kind == VIDEO:
            self._begin(packet.flags)
        if self.whole:
            self._packets.append(packet)
            self._bytes += len(packet.payload) + PACKET_OVERHEAD_BYTES
            if self._bytes > self._mark:
                self._grow()
        elif not self.has_keyframe and packet.kind == AUDIO and self._limits.max_bytes:
            self._append_audio(packet)

    def begin_tracks(self) -> None:
        """The video turns out to have several tracks; what came so far was track 0."""
        if self.whole and not self._keyframes:
            self._keyframes[0] = self._start

    def forget_audio(self) -> None:
        """The audio so far cannot be decoded with the header that has come."""
        self._audio_from = self._end
        self.forget_images()

    def forget_track(self, track: int) -> None:
        """The same of the video of another track than the default one, up to its next keyframe."""
        if self._keyframes.pop(track, None) is not None:
            self.forget_images()

    def clear(self) -> None:
        """Empty the cache: a new publication, a new sequence header."""
        self._first = self._start = self._end
        self._packets.clear()
        self._keyframes.clear()
        self._bytes = 0
        self._images.clear()
        self.has_keyframe = self.whole = False
        self._recharge()

    def apply(self, limits: GopLimits) -> None:
        """Other bounds from now on; what is held beyond them goes as if it had just come."""
        self._limits = limits
        if self.whole:
            self._grow()
        elif self._bytes > limits.max_bytes:
            self.clear()
        else:
            self._recharge()

    def trim(self) -> None:
        """Give memory back: the images go first, then a whole GOP becomes a still, a still or audio goes."""
        if not self._packets:
            return
        if self._images.size:
            self.forget_images()
            return
        self._stats.totals.gop_trims += 1
        self._server_stats.gop_trims += 1
        if self.whole and len(self._packets) > 1:
            self._keep_still()
        else:
            self.clear()

    # What subscribers are sent

    def begins(self, tracks: TrackChoice) -> bool:
        """Whether a joiner's video can begin in the cache and go on with live packets."""
        return self.whole and self._number(tracks) >= 0

    @property
    def tracks_begun(self) -> frozenset[int]:
        """Of a video with several tracks, those that a joiner of all is sent from a keyframe on."""
        return frozenset(self._keyframes)

    def keep(self, segment: Segment) -> None:
        """The newest of a whole GOP are ``segment``: joiners are written what live players were written."""
        images = segment.images
        if self._keyframes:
            # Of all tracks a joiner may be sent only a part.
            images = {
                encoding: image for encoding, image in images.items() if encoding.tracks.video != ALL_TRACKS
            }
        if images:
            packets = segment.packets
            self._images.keep(self._end - len(packets), packets, images)
            if self._images.size > self._image_mark:
                self._recharge()

    def burst(self, encoding: Encoding, *, audio: bool = True, video: bool = True) -> Burst:
        """What a joiner is written that wants ``audio`` and ``video``, of the tracks of its encoding."""
        start = self._number(encoding.tracks)
        if start < 0:
            # Nothing is held of the video it wants.
            start, video = self._start, False
        size = self._images.size
        burst = self._images.burst(encoding, start, audio=audio, video=video)
        if audio and video:
            # What live players were written since somebody joined last.
            for number, packets, image in self._images.take_written(burst):
                self._encode(burst, number, audio=True, video=True)
                burst.append(image, packets)
        self._encode(burst, self._end, audio=audio, video=video)
        if self._images.size != size:
            self._recharge()
        return burst

    def decodable(self) -> list[Packet]:
        """What a joiner of every track can decode of it."""
        return [p for number, p in enumerate(self._packets, self._first) if self._decodable(p, number)]

    def stills(self) -> list[Packet]:
        """The newest keyframe of each track, in order of arrival; empty if none is held."""
        numbers = self._keyframes.values() if self._keyframes else (self._start,)
        if not self.has_keyframe:
            return []
        return [self._packets[number - self._first] for number in sorted(numbers)]

    def recent_audio(self, timestamp: int) -> list[Packet]:
        """The audio of the last ``audio_ms`` before ``timestamp``, whatever else is held."""
        since = timestamp - self._limits.audio_ms
        return [
            packet
            for number, packet in enumerate(self._packets, self._first)
            if packet.kind == AUDIO and since <= packet.timestamp and number >= self._audio_from
        ]

    def forget_images(self) -> None:
        """Nobody is sent what is held for now."""
        self._images.clear()
        self._recharge()

    def forget(self, encoding: Encoding) -> None:
        """Nobody uses ``encoding`` any more."""
        self._images.forget(encoding)
        self._recharge()

    # Inside

    @property
    def _end(self) -> int:
        """Number of the next packet."""
        return self._first + len(self._packets)

    def _begin(self, flags: int) -> None:
        """A keyframe comes next."""
        if not self.whole or not flags & TRACKED or not self._keyframes:
            if flags & ASIDE:
                return
            self.clear()
            self.has_keyframe = self.whole = self._limits.max_bytes > 0
        elif not flags & ASIDE:
            keyframes = self._keyframes
            for track in [track for track, number in keyframes.items() if number < self._start]:
                del keyframes[track]
            self._start = self._end
        if self.whole and flags & TRACKED:
            self._keyframes[flags >> TRACK_SHIFT] = self._end
            self._cut(min(self._keyframes.values()))

    def _cut(self, number: int) -> None:
        """Forget the packets before ``number``."""
        if number == self._first:
            return
        packets = self._packets
        while packets and self._first < number:
            self._bytes -= len(packets.popleft().payload) + PACKET_OVERHEAD_BYTES
            self._first += 1
        self._images.cut(number)
        self._recharge()

    def _number(self, tracks: TrackChoice) -> int:
        """Number of the packet that a joiner begins with; -1 if there is none."""
        keyframes = self._keyframes
        if not keyframes or tracks.video == ALL_TRACKS:
            return self._first
        return self._start if tracks.video == DEFAULT_TRACK else keyframes.get(tracks.video, -1)

    def _decodable(self, packet: Packet, number: int) -> bool:
        """Whether what a decoder needs before this packet is held too."""
        if packet.kind == AUDIO:
            return number >= self._audio_from
        if packet.kind == VIDEO and self._keyframes:
            keyframe = self._keyframes.get(track_id(packet))
            return keyframe is not None and number >= keyframe
        return True

    def _encode(self, burst: Burst, stop: int, *, audio: bool, video: bool) -> None:
        """Add to a burst what there is of packets before the number ``stop``."""
        begun = burst.start + burst.count
        if begun == stop:
            return
        packets = islice(self._packets, begun - self._first, stop - self._first)
        if audio and video and not self._keyframes and self._audio_from <= begun:
            wanted = list(packets)
        else:
            wanted = [
                packet
                for number, packet in enumerate(packets, begun)
                if self._decodable(packet, number)
                and (packet.kind != AUDIO or audio)
                and (packet.kind != VIDEO or video)
            ]
        self._images.encode(burst, wanted, stop - begun)

    def _grow(self) -> None:
        if self._bytes > self._limits.max_bytes and self._first < self._start:
            # Other tracks wait for their next keyframes.
            self._keyframes = {
                track: number for track, number in self._keyframes.items() if number >= self._start
            }
            self._cut(self._start)
        if self._bytes > self._limits.max_bytes:
            self._stats.gop_overflows += 1
            if self._stats.on_air:
                self._stats.totals.gop_overflows += 1
                self._server_stats.gop_overflows += 1
            self._keep_still()
        else:
            self._recharge()

    def _keep_still(self) -> None:
        keyframe = self._packets[self._start - self._first]
        self.clear()
        size = len(keyframe.payload) + PACKET_OVERHEAD_BYTES
        if size <= self._limits.max_bytes:
            self.has_keyframe = True
            self._packets.append(keyframe)
            self._bytes = size
            self._recharge()

    def _append_audio(self, packet: Packet) -> None:
        limits = self._limits
        packets = self._packets
        packets.append(packet)
        self._bytes += len(packet.payload) + PACKET_OVERHEAD_BYTES
        first = self._first
        while packets and (
            not 0 <= packet.timestamp - packets[0].timestamp <= limits.audio_ms
            or self._bytes > limits.max_bytes
        ):
            self._bytes -= len(packets.popleft().payload) + PACKET_OVERHEAD_BYTES
            self._first += 1
        self._start = self._first
        if self._images.size and self._first != first:
            self.forget_images()
        elif self._bytes > self._mark:
            self._recharge()

    def _recharge(self) -> None:
        """Bring the budget's charge in line. Last thing in every change: relief may trim this very cache."""
        steps = -(-self._bytes // _CHARGE_STEP_BYTES)
        self._mark = min(steps * _CHARGE_STEP_BYTES, self._limits.max_bytes)
        image_steps = -(-self._images.size // _CHARGE_STEP_BYTES)
        self._image_mark = image_steps * _CHARGE_STEP_BYTES
        charge = (steps + image_steps) * _CHARGE_STEP_BYTES
        difference = charge - self._charged
        if difference:
            self._charged = charge
            self._budget.charge_gop(difference)
