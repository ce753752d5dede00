"""A packet sink's place in a stream: every packet of every track, as long as it keeps up."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from rtmpd.engine.budget import MemoryBudget
from rtmpd.engine.drops import DropReason
from rtmpd.engine.gop import PACKET_OVERHEAD_BYTES
from rtmpd.engine.packet import CACHED_HEADER, VIDEO, Packet
from rtmpd.engine.packet_queue import Item, Mark, PacketQueue, queue_bytes
from rtmpd.engine.segment import Segment
from rtmpd.engine.sink import CloseReason, PacketSink, StartPolicy, TapOptions
from rtmpd.engine.subscriber import Seat
from rtmpd.engine.sync import VideoSync
from rtmpd.media.tracks import ALL_TRACKS

_NO_BOUND: Final = 1 << 62

_logger = logging.getLogger(__name__)


class _Gone:
    """The sink of whoever has left, so that what is held after it holds no sink."""

    def ready(self) -> None:
        """Nobody is there."""

    def close(self, reason: CloseReason) -> None:
        """Nobody is there."""


_GONE: Final = _Gone()


class Tap:
    """A packet sink's place in a stream, returned by ``Registry.tap``.

    Its queue holds the very packets that players are sent, headers and their changes among them. The policy
    of slow players is not for it: past its bounds it misses everything, which a ``Mark.GAP`` says, until it
    has caught up; then audio and data go on at once and video with a keyframe. Every method may be called
    from inside ``PacketSink.ready``.
    """

    __slots__ = (
        "_headers_missed",
        "_idle",
        "_leave",
        "_lost_to",
        "_options",
        "_queue",
        "_seat",
        "_sink",
        "_sync",
        "attached",
        "drops",
    )

    def __init__(
        self,
        seat: Seat,
        sink: PacketSink,
        options: TapOptions,
        budget: MemoryBudget,
        leave: Callable[[Tap], None],
    ) -> None:
        self._seat = seat
        self._sink: PacketSink = sink
        self._options = options
        self._queue = PacketQueue(options, budget)
        self._leave = leave
        self.attached = True
        self.drops: dict[DropReason, int] = {}
        """Packets kept from this sink because it was behind, memory was short or a keyframe had to come."""
        self._sync = VideoSync(options.start, ALL_TRACKS)
        self._lost_to = DropReason.WAITING_KEYFRAME
        """Why video has to begin with a keyframe."""
        self._headers_missed = False
        """It gets all that there are before its next frame."""
        self._idle = False
        """The sink waits to be told."""

    @property
    def dropped(self) -> int:
        """All ``drops``."""
        return sum(self.drops.values())

    @property
    def waiting_bytes(self) -> int:
        """What is there to take: payloads, and ``PACKET_OVERHEAD_BYTES`` for each packet."""
        return self._queue.waiting_bytes

    @property
    def held_bytes(self) -> int:
        """What waits or is being worked on: payloads, and ``PACKET_OVERHEAD_BYTES`` for each packet."""
        return self._queue.held_bytes

    def take(self) -> list[Item]:
        """Everything since the last take, in order; to ask for it is to have done with what was taken then.

        Once it was empty the sink is told when there is more. Always empty when detached.
        """
        items = self._queue.take()
        self._idle = not items or self._options.ready_bytes > 0
        return items

    def done(self) -> None:
        """What was taken is done with, and more is not asked for yet."""
        self._queue.done()

    def detach(self) -> None:
        """Leave the stream and forget what waits: no further call on the sink. Idempotent."""
        if self.attached:
            self.attached = False
            self._sink = _GONE
            self._queue.close()
            self._leave(self)

    def close(self, reason: CloseReason) -> None:
        """Detach and tell the sink to close. Idempotent."""
        if self.attached:
            sink = self._sink
            self.detach()
            try:
                sink.close(reason)
            except Exception:
                _logger.exception("a sink of %s failed to close", self._seat.key)
                self._seat.books.server.sink_errors += 1

    # Below: called by Audience and Registry.

    def join(self, now: float) -> None:
        """Queue what a joiner is given. The sink looks for itself."""
        seat = self._seat
        if seat.live:
            self._queue.mark(Mark.STARTED)
        if self._passes_over():
            return
        opening = seat.intake.opening_packets(self._options.start)
        size = queue_bytes(opening.packets)
        if size > self._options.max_bytes:
            opening = seat.intake.opening_packets(StartPolicy.KEYFRAME)
            size = queue_bytes(opening.packets)
        self._sync.open(opening.synced, opening.begun)
        self._queue.put(opening.packets, size, now)

    def notify(self, mark: Mark) -> None:
        """A publisher has come or left."""
        if self.attached:
            self._queue.mark(mark)
            self._tell()

    def deliver(self, segment: Segment, now: float) -> None:
        """Queue what of ``segment`` the sink can use."""
        if self._passes_over():
            return
        queue, packets = self._queue, segment.packets
        size = segment.payload_bytes + PACKET_OVERHEAD_BYTES * len(packets)
        if not queue.admits(size, now):
            self._miss(packets, DropReason.SINK_BEHIND)
        elif self._sync.synced:
            queue.put(packets, size, now)
        else:
            chosen = self._choose(packets, now)
            queue.put(chosen, queue_bytes(chosen), now)
        self._tell()

    def give_back(self) -> None:
        """Memory is short: forget what waits."""
        lost = self._queue.give_back()
        if lost:
            self._miss(lost, DropReason.SINK_MEMORY)

    def _passes_over(self) -> bool:
        """Whether what is delivered is a slate, and none of its business: then headers and a keyframe are."""
        if not self._seat.covered or self._options.slate:
            return False
        self._sync.lose()
        self._headers_missed = True
        return True

    def _choose(self, packets: list[Packet], now: float) -> list[Packet]:
        """Those that can be decoded, with headers that were missed before the first frame."""
        chosen: list[Packet] = []
        for packet in packets:
            if packet.flags & CACHED_HEADER:
                if not self._headers_missed:
                    chosen.append(packet)
            elif packet.kind == VIDEO and not self._admits(packet, now):
                self._drop(self._lost_to)
            else:
                if self._headers_missed:
                    self._headers_missed = False
                    chosen += self._seat.headers.packets(packet.timestamp)
                chosen.append(packet)
        return chosen

    def _admits(self, packet: Packet, now: float) -> bool:
        return self._sync.admit(packet, self._seat.intake, None, _NO_BOUND, now) is None

    def _miss(self, packets: list[Packet], reason: DropReason) -> None:
        """None of these is queued, or no longer."""
        self._sync.lose()
        self._lost_to = DropReason.SINK_BEHIND
        for packet in packets:
            if packet.flags & CACHED_HEADER:
                self._headers_missed = True
            else:
                self._drop(reason)

    def _drop(self, reason: DropReason) -> None:
        self.drops[reason] = self.drops.get(reason, 0) + 1
        self._seat.books.drop(reason)

    def _tell(self) -> None:
        queue = self._queue
        if self._idle and queue.waits and queue.waiting_bytes >= self._options.ready_bytes:
            self._idle = False
            try:
                self._sink.ready()
            except Exception:
                _logger.exception("a sink of %s failed", self._seat.key)
                self._seat.books.server.sink_errors += 1
                self.close(CloseReason.INTERNAL_ERROR)
