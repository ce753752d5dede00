"""A stream whose encoder sends nothing may show something else: what goes on air for it, and comes off."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice, pairwise
from typing import Final

from rtmpd.engine.audience import Crowd
from rtmpd.engine.books import Books
from rtmpd.engine.broadcast import Broadcast
from rtmpd.engine.budget import MemoryBudget
from rtmpd.engine.chronicle import Chronicle
from rtmpd.engine.cover import Cover, time_shown
from rtmpd.engine.flusher import Flusher
from rtmpd.engine.health import Health
from rtmpd.engine.intake import Intake
from rtmpd.engine.key import StreamKey
from rtmpd.engine.limits import EngineLimits
from rtmpd.engine.observer import StreamObserver
from rtmpd.engine.packet import AUDIO, DATA, SWITCH, VIDEO, Packet
from rtmpd.engine.publication import GAP_MS, Publication
from rtmpd.engine.slate import MOST_UNWATCHED, Slate, SlateEnd
from rtmpd.engine.sources import Sources, Standby
from rtmpd.engine.stats import ServerStats, StreamStats, Totals
from rtmpd.media.tags import CODED_FRAME, KEYFRAME

_REORDERED: Final = 16
"""So many pictures may be shown in another order than they come."""
_FRAME: Final = CODED_FRAME | KEYFRAME
_USUAL_STEP: Final = 40
"""Milliseconds from one frame to the next where a single one is known."""


class Covered(Broadcast):
    """What is on air of a stream: a publication, or a slate in its stead.

    A slate is no publication: who has the name, what it sends and for how long it has been silent stays
    what it is, and its encoder is what is told of the stream. It stands by meanwhile, if it is still
    there, and goes on with its next key frame.
    """

    __slots__ = (
        "_budget",
        "_chronicle",
        "_crowd",
        "_cue",
        "_observer",
        "_server_stats",
        "_sources",
        "_totals",
        "_unused",
    )

    def __init__(
        self,
        key: StreamKey,
        flusher: Flusher,
        budget: MemoryBudget,
        server_stats: ServerStats,
        limits: EngineLimits,
        observer: StreamObserver,
        cue: Callable[[Covered, Publication], None],
        branch: str,
    ) -> None:
        """``cue(stream, publication)`` is called where ``limits`` have a slate and that publication is silent
        or has ended; it may call ``cover_with``. ``branch`` names whoever alone is sent the stream.
        """
        self._sources = Sources()
        self._server_stats = server_stats
        self._totals = Totals()
        self._chronicle = Chronicle(key, self._totals, server_stats, observer, branch)
        self._budget = budget
        self._observer = observer
        self._cue = cue
        self._sources.apply(limits)
        books = Books(StreamStats(self._totals, 0.0), server_stats)
        self._crowd = Crowd()
        intake = Intake.within(limits, key, books, budget, 0.0)
        self._unused: Intake | None = intake
        """For the first publication: nobody has published yet."""
        super().__init__(key, intake, flusher, budget, limits, observer, self._crowd)

    @property
    def cover(self) -> Cover | None:
        """What is shown in the stead of an encoder; it may be over, and nothing else there yet."""
        return self._sources.cover

    @property
    def slate(self) -> Cover | None:
        """The same as long as it is not over."""
        cover = self._sources.cover
        return None if cover is None or cover.over else cover

    @property
    def own(self) -> Intake | None:
        """Of the encoder on air, or of the last that was; None if all of that is gone."""
        on_air = self._sources.on_air
        if on_air is not None:
            return on_air.intake
        return self.intake if self._sources.cover is None else None

    @property
    def health(self) -> Health:
        """What is wrong with what is published."""
        on_air = self._sources.on_air
        return (self.intake if on_air is None else on_air.intake).checkup.health

    def cover_with(
        self, slate: Slate, headers: Iterable[Packet], now: float, told: Callable[[], None]
    ) -> Cover:
        """Show something else from now on: its ``headers``, and what is pushed to the cover. To be called
        from ``cue``; the first frame has to be a key frame, where there is video."""
        self._flush_pending()
        sources, told_before, before = self._sources, self.headers, self.intake
        lost = sources.on_air or sources.last
        begin = sources.moment(now, self._due())
        intake = self._new_intake(now)
        intake.books.stream.on_air = False
        for header in headers:
            intake.take_in_header(header.restamped(begin))
        changed = [
            header.restamped(begin)
            for header in intake.headers.packets(begin)
            if not told_before.told(header)
        ]
        cover = sources.cover = Cover(self, intake, slate, begin, now, told)
        if sources.on_air is not None:
            sources.on_air.channel = Standby(self, sources.on_air)
        before.gop.forget_images()
        self._show(intake)
        if sources.on_air is None:
            before.clear()
        if changed and self._queueing:
            self._pending += [Packet(DATA, begin, b"", SWITCH), *changed]
            self._flush_pending()
        if lost is not None:
            self._chronicle.slate_on(lost, slate)
        return cover

    def end_slate(self, why: SlateEnd) -> None:
        """Send nothing more of the slate; an encoder that comes back goes on as if it were still shown."""
        sources = self._sources
        self._end_cover(sources.on_air or sources.last, why)

    # Inside

    def _due(self) -> int:
        """When the next frame would be shown if what is on air went on (64-bit ms); 0 where none is kept."""
        return max(_due(self.intake, VIDEO), _due(self.intake, AUDIO))

    def _new_intake(self, now: float) -> Intake:
        """For a publication, or a cover, that begins ``now``."""
        unused = self._unused
        if unused is not None:
            self._unused = None
            unused.begin(now)
            return unused
        books = Books(StreamStats(self._totals, now), self._server_stats)
        return Intake.within(self.limits, self.key, books, self._budget, now)

    def _show(self, intake: Intake) -> None:
        """What is delivered from now on is of a slate, and counted as what the encoder's audience gets."""
        audience = self._audience
        intake.headers.succeed(self.headers)
        self.intake, self.headers, books = intake, intake.headers, audience.books
        audience.tune(intake)
        audience.books, audience.covered = books, True

    def _uncover(self, lost: Publication | None, why: SlateEnd) -> None:
        """The slate is off the air; ``lost`` is whom it stood in for."""
        cover = self._sources.cover
        if cover is not None:
            self._end_cover(lost, why)
            self._sources.cover = None
            self._audience.covered = False
            cover.intake.clear()

    def _end_cover(self, lost: Publication | None, why: SlateEnd) -> None:
        cover = self._sources.cover
        if cover is not None and cover.end() and lost is not None:
            self._chronicle.slate_off(lost, cover.slate, why, cover.shown_for)

    def _prompt(self, now: float) -> None:
        """Have a slate shown where it is time for one; call it about once a second."""
        sources, rules = self._sources, self.limits.slate
        cover, lost = sources.cover, sources.on_air or (sources.last if sources.holding else None)
        if cover is not None:
            if rules is None or now - cover.since >= rules.seconds:
                self.end_slate(SlateEnd.WITHDRAWN if rules is None else SlateEnd.EXPIRED)
        elif lost is not None and lost.silent_for(now) >= self.limits.stall:
            self._miss(lost)

    def _miss(self, lost: Publication) -> None:
        """It is silent, or has ended. One that has shown nothing has nothing to be gone on from."""
        if self.limits.slate is not None and self._sources.cover is None and lost.latest is not None:
            self._cue(self, lost)

    def _keeps_unwatched(self) -> bool:
        """Whether the stream is kept for an encoder even while nobody is attached."""
        return self.limits.slate is not None and self._server_stats.held_streams < MOST_UNWATCHED


def _due(intake: Intake, kind: int) -> int:
    """When the next frame of a medium would be shown: a step behind the last, be that the newest or not.

    Who shows a picture before others that came earlier, or two at once, complains, or leaves one out.
    """
    newest = islice(reversed(intake.gop.packets), 2 * _REORDERED)
    frames = [packet for packet in newest if packet.kind == kind and packet.flags & _FRAME]
    if not frames:
        return 0
    steps = [after.timestamp - before.timestamp for after, before in pairwise(frames)]
    # What came before the encoder's clock was set has another time.
    steady = next((number for number, step in enumerate(steps) if not 0 <= step <= GAP_MS), len(steps))
    step = next((step for step in steps[:steady] if step), _USUAL_STEP)
    return max([time_shown(frame) for frame in frames[: steady + 1]]) + step
