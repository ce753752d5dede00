"""What is kept of a stream, shown to an audience that is behind: piece by piece, each in its time."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Final, Protocol

from rtmpd.engine.delayed import DelayedStream
from rtmpd.engine.packet import CACHED_HEADER, VIDEO, Packet
from rtmpd.outputs.kept import Edge, Kept, Piece

TICK: Final = 0.05
"""Seconds between two looks at what is due, of all that are shown something."""

_logger = logging.getLogger(__name__)


class Handle(Protocol):
    """A timer that has yet to run."""

    def cancel(self) -> None: ...


class Showing:
    """One audience, which is shown what is kept ``seconds`` after it came: from its beginning on, or from a
    piece on."""

    def __init__(
        self,
        audience: DelayedStream,
        kept: Kept,
        seconds: float,
        clock: Callable[[], float],
        *,
        least: float | None = None,
    ) -> None:
        """Who goes on as soon as may be behind what is lost, instead of in its time, comes as close to the
        encoder as ``least`` seconds; None is for nobody.
        """
        self.audience = audience
        self.seconds = seconds
        self._kept = kept
        self._clock = clock
        self._least = least
        self.next = 0
        """Number of the piece that is shown next."""
        self._order = 0
        """The same of the edge."""
        self._reading = self._turning = self._closed = False
        self._broken = False
        """Something was lost: pictures go on with a key frame."""
        self.jumps = 0
        """Times that it was, or could not be read."""
        audience.feed(self.end_now)

    @property
    def done(self) -> bool:
        """Nothing waits."""
        kept = self._kept
        return not self._reading and self.next >= kept.end and kept.edge(self._order) is None

    def begin_with(self, piece: Piece) -> None:
        """Begin there, and with the headers of then."""
        edge = self._kept.edge_before(piece.number)
        if edge is None:
            return
        self.next, self._order = piece.number, edge.order + 1
        self._pass(edge, self._clock())
        self._tell(piece)

    def follow(self, kept: Kept) -> None:
        """Go on with what is kept elsewhere, from its beginning on."""
        self._kept = kept
        self.next = self._order = 0

    def turn(self, now: float) -> None:
        """Show what is due."""
        self._turning = True
        try:
            self._show_due(now)
        finally:
            self._turning = False

    def end_now(self) -> None:
        """What waits is shown to nobody: it is over now."""
        kept = self._kept
        while (edge := kept.edge(self._order)) is not None:
            self._order = edge.order + 1
        self.next = kept.end
        self.audience.finish()

    def close(self) -> None:
        """Nobody is shown anything any more. Idempotent."""
        if not self._closed:
            self.end_now()
            self._closed = True
            self.audience.feed(None)

    # Inside

    def _show_due(self, now: float) -> None:
        kept = self._kept
        while not self._reading and not self._closed:
            edge = kept.edge(self._order)
            if edge is not None and edge.piece <= self.next:
                if edge.at + self.seconds > now:
                    return
                self._order = edge.order + 1
                self._pass(edge, now)
                continue
            piece = kept.piece(self.next)
            if piece is not None and piece.number != self.next:
                self._jump(piece, now)
            elif piece is None or piece.at + self.seconds > now:
                return
            else:
                if piece.number == kept.end - 1:
                    kept.cut()  # What still comes is another one.
                self.next = piece.number + 1
                self._reading = True
                kept.read(piece, partial(self._show, piece))

    def _jump(self, oldest: Piece, now: float) -> None:
        """What comes next is not kept any more."""
        self._broken = True
        self.jumps += 1
        piece = oldest
        if self._least is not None:
            piece = self._kept.keyed_from(oldest.number) or oldest
            self.seconds = max(min(self.seconds, now - piece.at), self._least)
        self.next = piece.number

    def _pass(self, edge: Edge, now: float) -> None:
        if edge.begins:
            self._broken = False
            self.audience.begin(edge.stats, now)
        else:
            self.audience.finish()

    def _tell(self, piece: Piece) -> None:
        for header in piece.headers:
            self.audience.push(header.restamped(piece.begins))

    def _show(self, piece: Piece, outcome: list[Packet] | Exception) -> None:
        self._reading = False
        audience = self.audience
        if self._closed or not audience.live:
            return
        packets = [] if isinstance(outcome, Exception) else outcome
        if not packets:
            self._broken = True
            self.jumps += 1
        elif self._broken and piece.keyed:
            self._broken = False
            self._tell(piece)
        for packet in packets:
            if not self._broken or packet.kind != VIDEO or packet.flags & CACHED_HEADER:
                audience.push(packet)
        if not self._turning:  # It came from the drive, and more may be due.
            self.turn(self._clock())


class Stage:
    """All that are shown something, by one timer."""

    def __init__(
        self, clock: Callable[[], float], call_later: Callable[[float, Callable[[], None]], Handle]
    ) -> None:
        self._clock = clock
        self._call_later = call_later
        self._turns: dict[Callable[[float], None], Callable[[], None]] = {}
        self._timer: Handle | None = None

    def add(self, turn: Callable[[float], None], failed: Callable[[], None]) -> None:
        """Have ``turn(now)`` called again and again; what it raises is logged, and ``failed`` called."""
        self._turns[turn] = failed
        if self._timer is None:
            self._timer = self._call_later(TICK, self._turn)

    def remove(self, turn: Callable[[float], None]) -> None:
        """Call it no more."""
        self._turns.pop(turn, None)
        if not self._turns:
            self.close()

    def close(self) -> None:
        """Call nobody any more."""
        self._turns.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _turn(self) -> None:
        self._timer = self._call_later(TICK, self._turn)
        now = self._clock()
        for turn, failed in list(self._turns.items()):
            try:
                turn(now)
            except Exception:
                _logger.exception("a delayed stream failed")
                failed()
