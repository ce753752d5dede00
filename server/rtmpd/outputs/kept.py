"""The newest packets of a stream: in memory as far as they may be, on a drive beyond, in pieces.

A piece is half a second of the stream, and begins at a key frame or without one. Those in memory hold the
very packets that players are sent. Between pieces the stream may begin or end.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from rtmpd.engine.budget import MemoryBudget
from rtmpd.engine.gop import PACKET_OVERHEAD_BYTES
from rtmpd.engine.packet import CACHED_HEADER, VIDEO, Packet
from rtmpd.engine.stats import StreamStats
from rtmpd.media.tags import KEYFRAME
from rtmpd.net.scratch import Written
from rtmpd.outputs.spool import Spool
from rtmpd.reasons import Word

PIECE_MS: Final = 500
"""A piece is not longer."""
PIECE_BYTES: Final = 256 * 1024
"""Nor larger, but for its first packet."""
_LONGEST_STEP_MS: Final = 10_000
_SPILL_BYTES: Final = 32 * 1024 * 1024
"""Of one stream what may wait to be written; beyond it the oldest is lost."""
EDGE_BYTES: Final = 1024
"""What an edge is, with the figures that it holds: encoders that come and go make many."""


class KeptLoss(Word):
    """Why something that was kept is given up before its time."""

    NO_ROOM = "no_room", "it does not fit into what the settings let a stream have in memory and on the drive"
    MEMORY = "memory", "memory was short (`memory.max_bytes`), and there is no drive for it"


@dataclass(slots=True, eq=False)
class Piece:
    """Packets that came together."""

    number: int
    at: float
    """Clock reading at which its first came."""
    begins: int
    """Time of that (64-bit ms)."""
    keyed: bool
    """Somebody can begin with it."""
    headers: tuple[Packet, ...]
    """What decoders need before it."""
    ends: int = 0
    """Time of its last packet."""
    size: int = 0
    """Payloads, and the overhead of each packet."""
    count: int = 0
    """Packets."""
    packets: list[Packet] | None = field(default_factory=list)
    """None once they are on the drive, or given up."""
    place: Written | None = None
    spilling: bool = False


@dataclass(frozen=True, slots=True)
class Edge:
    """There the stream begins, or ends."""

    order: int
    """How many came before it."""
    piece: int
    """Number of the piece behind it."""
    at: float
    """Clock reading at which it came."""
    begins: bool
    stats: StreamStats
    """Figures of what begins or ends."""


@dataclass(frozen=True, slots=True)
class KeptLimits:
    """How much is kept of a stream."""

    seconds: float
    memory_bytes: int
    disk_bytes: int = 0


class Kept:
    """What is kept of one stream; beyond memory in ``spool``, as long as it has a folder."""

    def __init__(
        self,
        limits: KeptLimits,
        budget: MemoryBudget,
        spool: Spool,
        clock: Callable[[], float],
        piece_ms: int = PIECE_MS,
        losses: Counter[KeptLoss] | None = None,
    ) -> None:
        """Packets that are given up before their time are added to ``losses``, which others may share."""
        self._piece_ms = piece_ms
        self.limits = limits
        self._budget = budget
        self._spool = spool
        self._clock = clock
        self._pieces: deque[Piece] = deque()
        self._edges: deque[Edge] = deque()
        self._next = 0
        self._full = True
        """The next packet begins a piece."""
        self.memory_bytes = 0
        """What the budget is charged."""
        self.disk_bytes = 0
        self._spilling = 0
        self.losses: Counter[KeptLoss] = Counter() if losses is None else losses
        self.lost = 0
        """Packets of this stream that were given up before their time."""
        self.headers: tuple[Packet, ...] = ()
        """Of what comes now."""

    @property
    def is_writing(self) -> bool:
        """Something is on its way to the drive."""
        return self._spilling > 0

    @property
    def end(self) -> int:
        """Number of the next piece that is begun."""
        return self._next

    def add(self, packets: list[Packet]) -> None:
        """What has come now."""
        now = self._clock()
        size = 0
        for packet in packets:
            cost = len(packet.payload) + PACKET_OVERHEAD_BYTES
            size += cost
            keyed = packet.kind == VIDEO and bool(packet.flags & KEYFRAME)
            piece = self._pieces[-1] if self._pieces else None
            full = piece is None or self._full or self._is_cut(piece, packet, keyed=keyed)
            if piece is None or full:
                begins = packet.timestamp
                piece = Piece(self._next, now, begins, keyed or not self._has_video, self.headers)
                self._next += 1
                self._full = False
                self._pieces.append(piece)
            if piece.packets is not None:
                piece.packets.append(packet)
            piece.ends = max(piece.ends, packet.timestamp)
            piece.size += cost
            piece.count += 1
        self.memory_bytes += size
        self._budget.charge_queues(size)
        self._trim(now)

    def cut(self) -> None:
        """What comes next does not follow on what came last."""
        self._full = True

    def mark(self, stats: StreamStats, *, begins: bool) -> None:
        """The stream, whose figures are ``stats``, begins or ends here."""
        self.cut()
        order = self._edges[-1].order + 1 if self._edges else 0
        self._edges.append(Edge(order, self._next, self._clock(), begins, stats))
        self._charge(EDGE_BYTES)

    def edge(self, order: int) -> Edge | None:
        """The first edge from that one on that there still is."""
        edges = self._edges
        if not edges or order > edges[-1].order:
            return None
        return edges[max(order - edges[0].order, 0)]

    def edge_before(self, number: int) -> Edge | None:
        """The last one before a piece."""
        return next((edge for edge in reversed(self._edges) if edge.piece <= number), None)

    def age(self, now: float) -> None:
        """Forget what is too old by now."""
        self._trim(now)

    def piece(self, number: int) -> Piece | None:
        """The piece of that number, of one that is gone the oldest there is; None beyond the newest."""
        if not self._pieces or number >= self._next:
            return None
        return self._pieces[max(number - self._pieces[0].number, 0)]

    def last(self, seconds: float) -> Piece | None:
        """The piece to begin with from which at least so much of the stream follows; the oldest if less is
        there. By the stream's time, across jumps.
        """
        oldest, later, span = None, None, 0.0
        for piece in reversed(self._pieces):
            step = piece.ends - piece.begins
            if later is not None and 0 <= later.begins - piece.begins <= _LONGEST_STEP_MS:
                step = later.begins - piece.begins
            span += step
            later = piece
            if piece.keyed:
                oldest = piece
                if span >= seconds * 1000.0:
                    break
        return oldest

    def came_at(self, time: int) -> float | None:
        """Clock reading at which what has that time (64-bit ms) came; None if nothing is kept.

        What is older than all that came with the oldest, and what has not come yet comes now.
        """
        if not self._pieces:
            return None
        if time > self._pieces[-1].ends:
            return self._clock()
        piece = self._last(lambda piece: piece.begins <= time) or self._pieces[0]
        return piece.at + min(max(time - piece.begins, 0), self._piece_ms) / 1000

    def before(self, moment: float) -> Piece | None:
        """The last piece to begin with that came up to ``moment``; the oldest if all came later."""
        return self._last(lambda piece: piece.keyed and piece.at <= moment) or self.keyed_from(0)

    def keyed_from(self, number: int) -> Piece | None:
        """The first piece to begin with from that number on."""
        return next((piece for piece in self._pieces if piece.keyed and piece.number >= number), None)

    @property
    def reach(self) -> float:
        """Seconds from when the oldest piece came until now."""
        return self._clock() - self._pieces[0].at if self._pieces else 0.0

    def forget_before(self, number: int) -> None:
        """Nobody asks any more for what is older."""
        while self._pieces and self._pieces[0].number < number:
            self._forget(self._pieces.popleft())

    def give_back(self) -> None:
        """Memory is short: half of it goes to the drive, or is lost."""
        goal = self.memory_bytes // 2
        while self.memory_bytes > goal and self._pieces:
            self._lose(KeptLoss.MEMORY)

    def read(self, piece: Piece, done: Callable[[list[Packet] | Exception], None]) -> None:
        """The packets of a piece: at once, or when they have been read."""
        if piece.packets is not None:
            done(list(piece.packets))
        elif piece.place is None:
            done([])
        else:
            self._spool.read(piece.place, done)

    def close(self) -> None:
        """Nothing is kept any more."""
        while self._pieces:
            self._forget(self._pieces.popleft())
        while self._edges:
            self._drop_edge()

    # Inside

    @property
    def _has_video(self) -> bool:
        return any(header.kind == VIDEO for header in self.headers)

    def _is_cut(self, piece: Piece, packet: Packet, *, keyed: bool) -> bool:
        if piece.packets is None:
            return True
        if packet.flags & CACHED_HEADER:
            return False
        return keyed or piece.size >= PIECE_BYTES or not 0 <= packet.timestamp - piece.begins < self._piece_ms

    def _last(self, fits: Callable[[Piece], bool]) -> Piece | None:
        return next((piece for piece in reversed(self._pieces) if fits(piece)), None)

    def _trim(self, now: float) -> None:
        pieces, limits = self._pieces, self.limits
        # More than is asked for: what is asked for begins with the key frame before.
        while (number := self._second_begin()) and pieces[number].at <= now - limits.seconds:
            for _ in range(number):
                self._forget(pieces.popleft())
        if limits.disk_bytes and self._spool.usable:
            self._spill()
            while self.disk_bytes > limits.disk_bytes and len(pieces) > 1:
                self._lose(KeptLoss.NO_ROOM)
        while self.memory_bytes - self._spilling > limits.memory_bytes and len(pieces) > 1:
            self._lose(KeptLoss.NO_ROOM)
        first, edges = pieces[0].number if pieces else self._next, self._edges
        # One is left before what there is: it says whose that is.
        while len(edges) > 1 and edges[1].piece <= first and edges[1].at <= now - limits.seconds:
            self._drop_edge()

    def _second_begin(self) -> int:
        """How many pieces lie before the second that one can begin with; 0 if there is none."""
        for number, piece in enumerate(self._pieces):
            if number and piece.keyed:
                return number
        return 0

    def _spill(self) -> None:
        """Have the oldest in memory written, until the rest may stay."""
        over = self.memory_bytes - self._spilling - self.limits.memory_bytes * 3 // 4
        if over <= 0 or self._spilling > _SPILL_BYTES:
            return
        for piece in self._pieces:
            if over <= 0 or piece is self._pieces[-1]:
                return
            if piece.packets is not None and not piece.spilling:
                piece.spilling = True
                self._spilling += piece.size
                over -= piece.size
                self._write(piece, piece.packets)

    def _write(self, piece: Piece, packets: list[Packet]) -> None:
        def written(outcome: Written | Exception) -> None:
            self._settle(piece)
            if isinstance(outcome, Exception):
                return  # It stays in memory for as long as there is room.
            if piece.packets is None:  # It was forgotten meanwhile.
                outcome.file.leave()
                return
            piece.place = outcome
            piece.packets = None
            self.disk_bytes += outcome.size
            self._charge(-piece.size)

        self._spool.write(packets, written)

    def _lose(self, why: KeptLoss) -> None:
        """Give up the oldest piece."""
        piece = self._pieces.popleft()
        self.lost += piece.count
        self.losses[why] += piece.count
        self._forget(piece)

    def _settle(self, piece: Piece) -> None:
        """It is written, or need not be."""
        if piece.spilling:
            piece.spilling = False
            self._spilling -= piece.size

    def _forget(self, piece: Piece) -> None:
        self._settle(piece)
        if piece.packets is not None:
            piece.packets = None
            self._charge(-piece.size)
        if piece.place is not None:
            self.disk_bytes -= piece.place.size
            piece.place.file.leave()
            piece.place = None

    def _drop_edge(self) -> None:
        self._edges.popleft()
        self._charge(-EDGE_BYTES)

    def _charge(self, size: int) -> None:
        self.memory_bytes += size
        self._budget.charge_queues(size)
