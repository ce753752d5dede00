"""What waits for a packet sink: packets in order, with marks among them, bounded and charged."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import Final

from rtmpd.engine.budget import MemoryBudget
from rtmpd.engine.gop import PACKET_OVERHEAD_BYTES
from rtmpd.engine.packet import Packet
from rtmpd.engine.sink import TapOptions


class Mark(Enum):
    """What happened between two packets."""

    STARTED = "started"
    """A publication begins here, or was live already when the sink came."""
    SWITCHED = "switched"
    """Another publication goes on here for the one that had begun, in the time of the clock; also told by a
    ``GAP``.
    """
    GAP = "gap"
    """Packets are missing: video goes on with a keyframe of each track, with all headers before it if one was
    missed.
    """
    ENDED = "ended"
    """The publication that began with ``STARTED`` ends here."""


Item = Packet | Mark

_NOTHING: Final[tuple[list[Item], ...]] = ([Mark.STARTED], [Mark.STARTED, Mark.GAP])
"""What may be left of a publication when it ends."""


class PacketQueue:
    """References to packets, from their delivery until the sink has done with them.

    Once full it takes in nothing until the sink has taken all that waits and has done with half of the bound.
    """

    __slots__ = (
        "_behind",
        "_budget",
        "_items",
        "_last",
        "_options",
        "_queued_bytes",
        "_since",
        "_taken_bytes",
    )

    def __init__(self, options: TapOptions, budget: MemoryBudget) -> None:
        self._options = options
        self._budget = budget
        self._items: list[Item] = []
        self._last: Mark | None = None
        """The mark that came last, taken or not, if no packet came after it."""
        self._since: float | None = None
        """When the first packet came that waits."""
        self._queued_bytes = 0
        self._taken_bytes = 0
        """What the sink is at work on: of its last take."""
        self._behind = False
        """It was full, and has not been emptied since."""

    @property
    def waits(self) -> bool:
        """There is something to take."""
        return bool(self._items)

    @property
    def waiting_bytes(self) -> int:
        """Of the packets that wait."""
        return self._queued_bytes

    @property
    def held_bytes(self) -> int:
        """What the budget is charged."""
        return self._queued_bytes + self._taken_bytes

    # The stream

    def admits(self, size: int, now: float) -> bool:
        """Whether packets of ``size`` bytes may be put; if not, the gap that they leave is marked."""
        options = self._options
        held = self.held_bytes
        if self._behind:
            self._behind = self.waits or held * 2 > options.max_bytes
        since = self._since
        late = since is not None and now - since > options.max_seconds
        if late or held + size > options.max_bytes:
            self._behind = True
        if self._behind:
            self.mark(Mark.GAP)
        return not self._behind

    def put(self, packets: list[Packet], size: int, now: float) -> None:
        """Append packets of ``size`` bytes. The budget may take them back at once."""
        if packets:
            if self._since is None:
                self._since = now
            self._items += packets
            self._last = None
            self._queued_bytes += size
            self._budget.charge_queues(size)

    def mark(self, mark: Mark) -> None:
        """Append a mark. A publication of which nothing is left leaves none, or they would pile up."""
        items = self._items
        last = self._last
        if mark is Mark.SWITCHED and last in (Mark.GAP, Mark.SWITCHED):
            return  # The gap is larger.
        self._last = mark
        if mark is Mark.ENDED:
            for nothing in _NOTHING:
                if items[-len(nothing) :] == nothing:
                    del items[-len(nothing) :]
                    return
        if mark is not Mark.GAP or last is not Mark.GAP:
            items.append(mark)

    def give_back(self) -> list[Packet]:
        """Forget the packets that wait, and return them; gaps are marked in their place."""
        items, self._items = self._items, []
        lost = [item for item in items if isinstance(item, Packet)]
        self._last = None
        for item in items:
            self.mark(item if isinstance(item, Mark) else Mark.GAP)
        self._behind = self._behind or bool(lost)
        self._since = None
        size, self._queued_bytes = self._queued_bytes, 0
        self._budget.charge_queues(-size)
        return lost

    # The sink

    def take(self) -> list[Item]:
        """Everything that waits; what was taken before is done with."""
        items, self._items = self._items, []
        self._since = None
        done, self._taken_bytes, self._queued_bytes = self._taken_bytes, self._queued_bytes, 0
        self._budget.charge_queues(-done)
        return items

    def done(self) -> None:
        """What was taken is done with."""
        done, self._taken_bytes = self._taken_bytes, 0
        self._budget.charge_queues(-done)

    def close(self) -> None:
        """Forget everything."""
        self._items.clear()
        self._budget.charge_queues(-self.held_bytes)
        self._queued_bytes = self._taken_bytes = 0


def queue_bytes(packets: Iterable[Packet]) -> int:
    """What packets cost in a queue."""
    return sum([len(packet.payload) + PACKET_OVERHEAD_BYTES for packet in packets])
