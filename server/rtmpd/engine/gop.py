"""The packets a late joiner needs to see a picture at once."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from rtmpd.engine.budget import MemoryBudget
from rtmpd.engine.burst import Burst
from rtmpd.engine.packet import AUDIO, VIDEO, Packet
from rtmpd.engine.segment import Encoding, Segment
from rtmpd.engine.stats import ServerStats, StreamStats
from rtmpd.media.tags import KEYFRAME

PACKET_OVERHEAD_BYTES: Final = 256
"""Charged for each packet beside its payload: the objects around it."""
_CHARGE_STEP_BYTES: Final = 16 * 1024
"""The budget is charged ahead in steps of this size, because once per packet is too often."""


@dataclass(frozen=True, slots=True)
class GopLimits:
    """What one stream's GOP cache may hold; ``max_bytes`` 0 turns it off."""

    max_bytes: int = 16 * 1024 * 1024
    """Payload bytes, with ``PACKET_OVERHEAD_BYTES`` for each packet."""
    max_ms: int = 20_000
    max_packets: int = 2_500
    audio_ms: int = 1_000
    """Span of audio kept while there is no keyframe: an audio-only stream."""


class GopCache:
    """The current GOP in order of arrival, audio and data interleaved.

    It is in one of three states. *Whole*: begins with a keyframe and everything since is there. *Still*: a
    GOP that outgrew its limits or had to give memory back; its keyframe alone is left, as a picture to show
    until the next one. *Without keyframe*: the last ``audio_ms`` of audio and nothing else. Never half a GOP.

    Beside the packets it keeps their images, as far as somebody was written them: see ``Burst``.
    """

    __slots__ = (
        "_budget",
        "_bursts",
        "_bytes",
        "_charged",
        "_image_bytes",
        "_image_mark",
        "_limits",
        "_mark",
        "_packets",
        "_server_stats",
        "_stats",
        "_until",
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
        self._bytes = 0
        self._bursts: dict[tuple[Encoding, bool, bool], Burst] = {}
        """By encoding and whether audio and video are in it."""
        self._image_bytes = 0
        """Of all bursts together."""
        self._image_mark = 0
        """Size of the images at which they have to be charged."""
        self._charged = 0
        self._mark = 0
        """Size at which ``append`` has to look closer: the next charge or the limit."""
        self._until = 0
        """Timestamp (ms) up to which a whole GOP may reach."""
        self.has_keyframe = False
        self.whole = False
        """Has a keyframe and everything after it."""

    @property
    def packets(self) -> Sequence[Packet]:
        """What is held; live, so use it at once."""
        return self._packets

    @property
    def charged_bytes(self) -> int:
        """What the budget is charged for this cache."""
        return self._charged

    def append(self, packet: Packet) -> None:
        """Take in a frame or a data message; headers and metadata belong to the header cache."""
        limits = self._limits
        packets = self._packets
        if packet.flags & KEYFRAME and packet.kind == VIDEO:
            self.clear()
            self.has_keyframe = self.whole = limits.max_bytes > 0
            self._until = packet.timestamp + limits.max_ms
        if self.whole:
            packets.append(packet)
            self._bytes += len(packet.payload) + PACKET_OVERHEAD_BYTES
            if (
                self._bytes > self._mark
                or len(packets) > limits.max_packets
                or packet.timestamp > self._until
            ):
                self._grow(packet)
        elif not self.has_keyframe and packet.kind == AUDIO and limits.max_bytes:
            self._append_audio(packet)

    def keep(self, encoding: Encoding, segment: Segment) -> None:
        """The newest of a whole GOP are ``segment``: what live players were written, joiners will be, too."""
        image = segment.known_image(encoding)
        if image is None:
            return  # Nobody was written all of it.
        before = len(self._packets) - len(segment.packets)
        burst = self._bursts.get((encoding, True, True))
        if burst is None:
            if before:
                return  # The first joiner has what is missing encoded.
            burst = self._bursts[encoding, True, True] = Burst(encoding)
        if burst.count == before:
            burst.append(image, segment.packets)
            self._image_bytes += len(image)
            if self._image_bytes > self._image_mark:
                self._recharge()

    def burst(self, encoding: Encoding, *, audio: bool = True, video: bool = True) -> Burst:
        """What a joiner is written that wants ``audio`` and ``video``."""
        burst = self._bursts.get((encoding, audio, video))
        if burst is None:
            burst = self._bursts[encoding, audio, video] = Burst(encoding)
        missing = len(self._packets) - burst.count
        if missing:
            size = burst.size
            packets = islice(self._packets, burst.count, None)
            wanted = [p for p in packets if (p.kind != AUDIO or audio) and (p.kind != VIDEO or video)]
            burst.encode(wanted, missing)
            self._image_bytes += burst.size - size
            self._recharge()
        return burst

    def forget(self, encoding: Encoding) -> None:
        """Nobody uses ``encoding`` any more."""
        for key in [key for key in self._bursts if key[0] is encoding]:
            self._image_bytes -= self._bursts.pop(key).size
        self._recharge()

    def clear(self) -> None:
        """Empty the cache: a new publication, a new sequence header."""
        self._packets.clear()
        self._bytes = 0
        self._forget_images()
        self.has_keyframe = self.whole = False
        self._recharge()

    def trim(self) -> None:
        """Give memory back: the images go first, then a whole GOP becomes a still, a still or audio goes."""
        if not self._packets:
            return
        if self._image_bytes:
            self._forget_images()
            self._recharge()
            return
        self._stats.gop_trims += 1
        self._server_stats.gop_trims += 1
        if self.whole and len(self._packets) > 1:
            self._keep_still()
        else:
            self.clear()

    def _grow(self, newest: Packet) -> None:
        limits = self._limits
        packets = self._packets
        if (
            self._bytes > limits.max_bytes
            or len(packets) > limits.max_packets
            or newest.timestamp - packets[0].timestamp > limits.max_ms
        ):
            self._stats.gop_overflows += 1
            self._server_stats.gop_overflows += 1
            self._keep_still()
        else:
            self._recharge()

    def _keep_still(self) -> None:
        keyframe = self._packets[0]
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
        first = packets[0]
        while packets and (
            not 0 <= packet.timestamp - packets[0].timestamp <= limits.audio_ms
            or len(packets) > limits.max_packets
            or self._bytes > limits.max_bytes
        ):
            self._bytes -= len(packets.popleft().payload) + PACKET_OVERHEAD_BYTES
        if self._bursts and (not packets or packets[0] is not first):
            self._forget_images()
            self._recharge()
        elif self._bytes > self._mark:
            self._recharge()

    def _forget_images(self) -> None:
        self._bursts.clear()
        self._image_bytes = 0

    def _recharge(self) -> None:
        """Bring the budget's charge in line. Last thing in every change: relief may trim this very cache."""
        steps = -(-self._bytes // _CHARGE_STEP_BYTES)
        self._mark = min(steps * _CHARGE_STEP_BYTES, self._limits.max_bytes)
        image_steps = -(-self._image_bytes // _CHARGE_STEP_BYTES)
        self._image_mark = image_steps * _CHARGE_STEP_BYTES
        charge = (steps + image_steps) * _CHARGE_STEP_BYTES
        difference = charge - self._charged
        if difference:
            self._charged = charge
            self._budget.charge_gop(difference)
