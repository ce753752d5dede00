"""One stream that is recorded: its packets, taken in time, and the drive, which has its own."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from rtmpd.engine.drops import DropReason
from rtmpd.engine.key import StreamKey
from rtmpd.engine.packet import Packet
from rtmpd.engine.packet_queue import Item
from rtmpd.engine.sink import CloseReason, PacketSink, StartPolicy, TapOptions
from rtmpd.engine.tap import Tap
from rtmpd.outputs.disk import Disk
from rtmpd.outputs.file_series import Batch, Begun, Failed, FileSeries, News, Outcome
from rtmpd.outputs.record_rules import RecordRule
from rtmpd.outputs.record_words import RecordingFailure, RecordingLoss, RecordStats, failure_of, problem_of
from rtmpd.outputs.recording import Recording, RecordingEnd

FLUSH: Final = 1.0
"""Seconds between writes: what a process that is killed loses."""
READY_BYTES: Final = 1024 * 1024
"""So much is written at once."""
STUCK: Final = 10.0
"""Seconds after which a drive that has not answered counts as stuck."""
RETRY: Final = 5.0
"""Seconds until a recording that failed is tried again."""

_SILENT: Final = f"the drive has not answered for {STUCK:.0f} seconds"
_QUIET: Final = 60
"""Looks after which it is told anew that something is lost."""
_LOSSES: Final = {
    DropReason.SINK_BEHIND: RecordingLoss.BEHIND,
    DropReason.SINK_MEMORY: RecordingLoss.MEMORY,
}

_logger = logging.getLogger(__name__)


class House(Protocol):
    """What a recorder wants of whoever has all of them."""

    @property
    def stats(self) -> RecordStats: ...

    @property
    def wall_clock(self) -> Callable[[], float]: ...

    @property
    def max_descriptor(self) -> int:
        """Descriptors from there on are for others."""

    def tap(self, key: StreamKey, sink: PacketSink, options: TapOptions) -> Tap: ...

    def charge(self, amount: int) -> None:
        """Bytes that are held beside the tap."""

    def phase(self) -> float:
        """Seconds until the first write: of those that begin together others for each."""

    def recovered(self, key: StreamKey) -> None:
        """A drive that was stuck has answered: it goes on in the same file."""

    def call_later(self, delay: float, callback: Callable[[], None]) -> Cancellable: ...

    def find_disk(self, recorder: Recorder) -> None:
        """Have ``Recorder.found`` or ``Recorder.not_found`` called."""

    def started(self, key: StreamKey, file: Begun, root: str) -> None:
        """A file was begun below ``root``."""

    def finished(self, recording: Recording) -> None: ...

    def failed(self, key: StreamKey, failure: Failed, root: str, *, again: bool) -> None:
        """Nothing can be written below ``root``; ``again`` if it could not before."""

    def over(self, recorder: Recorder) -> None:
        """All is written, or given up."""


class Cancellable(Protocol):
    """A timer."""

    def cancel(self) -> None: ...


@dataclass(frozen=True, slots=True)
class RecorderStatus:
    """How a recording gets on."""

    key: StreamKey
    root: str
    """The folder of its files."""
    path: str | None
    """The file that is written now; None while there is none."""
    part: int
    started_at: float | None
    """Unix time of the first frame of that file (s)."""
    bytes_written: int
    """Of that file, but for what was written together with its begin."""
    queue_bytes: int
    lost: int
    """Packets."""
    problem: str | None
    """Why nothing can be written; None if it can."""


class Recorder:
    """Records a stream from now on until ``end``. It takes packets once a second, or when there are many.

    What fails is tried again; meanwhile all that comes is lost.
    """

    def __init__(
        self, key: StreamKey, rule: RecordRule, house: House, mode: str, *, by_hand: bool = False
    ) -> None:
        """``mode`` is what its encoder wants kept, as in ``Terms``; ``by_hand``: somebody in charge does."""
        self.key = key
        self.rule = rule
        self.mode = mode
        self.by_hand = by_hand
        self.end_reason: RecordingEnd | None = None
        """Set once it is to end."""
        self._house = house
        self._series = FileSeries(key, rule, mode, house.max_descriptor)
        self._disk: Disk | None = None
        self._busy = self._split = self._anew = False
        self._last_words = self._finding = self._closed = False
        self._failure: Failed | None = None
        """Why all that comes is discarded, until it is tried again."""
        self._troubled = False
        """It has failed, and no file was begun since."""
        self._stuck_for = 0
        self._begun: Begun | None = None
        self._lost = 0
        self._written = 0
        """Bytes of the file that is written now."""
        self._counted: dict[DropReason, int] = {}
        self._quiet = _QUIET
        """Looks since something was lost."""
        self._rest: list[Item] = []
        """What was left in the tap at the end."""
        self._rest_bytes = self._flight_bytes = 0
        self._tap = house.tap(key, self, self._options())
        self._timer = house.call_later(house.phase(), self._tick)
        self._find_disk()

    @property
    def status(self) -> RecorderStatus:
        """How it gets on."""
        begun, problem = self._begun, None if self._failure is None else self._failure.problem
        if begun is None:
            return RecorderStatus(
                self.key, self.rule.root, None, 0, None, 0, self.held_bytes, self._lost, problem
            )
        return RecorderStatus(
            self.key,
            self.rule.root,
            begun.path,
            begun.part,
            begun.started_at,
            self._written,
            self.held_bytes,
            self._lost,
            problem,
        )

    @property
    def held_bytes(self) -> int:
        """What waits for the drive, or is on its way there."""
        return self._tap.held_bytes + self._rest_bytes + self._flight_bytes

    @property
    def disk(self) -> Disk | None:
        """Where it writes; None until that is known."""
        return self._disk

    @property
    def failing(self) -> bool:
        """Nothing can be written for now."""
        return self._failure is not None

    # What is wanted of it

    def split(self) -> None:
        """Go on in another file, from the next key frame on."""
        self._split = True

    def end(self, reason: RecordingEnd) -> None:
        """Write what there is, and finish the file. Idempotent."""
        if self.end_reason is not None:
            return
        self.end_reason = reason
        self._timer.cancel()
        self._rest_bytes = self._tap.waiting_bytes
        self._flight_bytes = self._tap.held_bytes - self._rest_bytes
        self._rest = self._tap.take()
        self._count_lost()
        self._tap.detach()
        # It is held all the same.
        self._house.charge(self._rest_bytes + self._flight_bytes)
        if self.failing and not self._busy:
            self._lose_rest(RecordingLoss.UNWRITABLE)
            if self._begun is None:
                self.abandon()
                return
        self._work()

    def give_back(self) -> None:
        """Forget what waits: there is more than there may be."""
        self._tap.give_back()
        self._lose_rest(RecordingLoss.MEMORY)

    def look(self) -> None:
        """Tell of what is lost, and of a drive that does not answer; call it about once a second."""
        lost = self._lost
        self._count_lost()
        if self._lost > lost and self._quiet >= _QUIET and not self.failing:
            fields = {"app": self.key.app, "stream": self.key.name, "queue_bytes": self.held_bytes}
            _logger.warning("recording behind", extra={"fields": fields})
        self._quiet = 0 if self._lost > lost else self._quiet + 1
        disk = self._disk
        silent = self._stuck_for >= STUCK if disk is None else disk.busy_for >= STUCK
        self._stuck_for = self._stuck_for + 1 if disk is None else 0
        if silent and not self.failing:
            self._fail(Failed(self.rule.root, RecordingFailure.STUCK, _SILENT))

    def abandon(self) -> None:
        """Wait no longer: what is not written is lost. Idempotent."""
        if not self._closed:
            self._closed = True
            self._timer.cancel()
            self._lose_rest(RecordingLoss.UNWRITABLE)
            self._house.charge(-self._rest_bytes - self._flight_bytes)
            self._rest_bytes = self._flight_bytes = 0
            self._tap.detach()
            self._house.over(self)

    # From the tap

    def ready(self) -> None:
        """There is much to take."""
        self._discard()
        self._work()

    def close(self, _reason: CloseReason) -> None:
        """The engine has ended the tap, for a bug of ours."""
        self.end(RecordingEnd.FAILED)

    # From the house

    def found(self, disk: Disk) -> None:
        """Its files are on this drive."""
        self._finding = False
        if self._closed:
            return
        if not self._busy and disk.busy_for >= STUCK:
            # Nobody more waits for it: what they hold would pile up.
            self._fail(Failed(self.rule.root, RecordingFailure.STUCK, _SILENT))
            return
        self._disk = disk
        if self.failing and not self._busy:
            self._begin_anew()
        self._work()

    def not_found(self, error: OSError) -> None:
        """Its drive cannot be found."""
        self._finding = False
        if not self._closed:
            self._fail(Failed(self.rule.root, failure_of(error), problem_of(error)))

    # Inside

    def _options(self) -> TapOptions:
        most = self.rule.max_queue_bytes
        return TapOptions(StartPolicy.GOP, most, ready_bytes=self._ready_bytes, slate=self.rule.slate)

    @property
    def _ready_bytes(self) -> int:
        return min(READY_BYTES, self.rule.max_queue_bytes // 4)

    def _tick(self) -> None:
        self._timer = self._house.call_later(FLUSH, self._tick)
        self._discard()
        self._work()

    def _discard(self) -> None:
        """What comes while nothing can be written; what is on its way is waited for."""
        if self.failing and not self._busy:
            self._lose(self._tap.take(), RecordingLoss.UNWRITABLE)
            self._tap.done()

    def _work(self) -> None:
        """Write what there is, if the drive is free."""
        disk, end = self._disk, self.end_reason
        if disk is None or self._busy or self._closed:
            return
        # A file that was only waited for is finished all the same.
        if self.failing and (end is None or self._begun is None):
            return
        items = self._tap.take() if end is None else self._rest
        if not items and end is None:
            return
        self._rest = []
        batch = Batch(items, self.rule, self._house.wall_clock(), self._split, self._anew, end)
        self._split = self._anew = False
        self._last_words, self._busy = end is not None, True
        series, histogram = self._series, self._house.stats.write_seconds

        def write() -> Callable[[], None]:
            outcome = series.write(batch)
            seconds = disk.busy_for

            def done() -> None:
                histogram.observe(seconds)
                self._done(outcome)

            return done

        try:
            disk.run(write, self._crashed)
        except RuntimeError as error:  # The process may have no more threads.
            self._done(Outcome([Failed(self.rule.root, RecordingFailure.DRIVE, str(error))]))

    def _crashed(self) -> None:
        """A bug, which has been logged."""
        text = "an error of the server's own"
        self._done(Outcome([Failed(self.rule.root, RecordingFailure.INTERNAL_ERROR, text)]))

    def _done(self, outcome: Outcome) -> None:
        self._busy = False
        self._tap.done()
        self._written += outcome.written
        self._house.stats.bytes_written += outcome.written
        self._add_lost(RecordingLoss.UNWRITABLE, outcome.lost)
        if self._failure is not None:  # It was stuck, and has answered.
            self._failure = None
            self._troubled = False
            self._house.recovered(self.key)
        for news in outcome.news:
            self._tell(news)
        if self._closed:
            return
        if self.end_reason is None:
            if self._tap.waiting_bytes >= self._ready_bytes:
                self._work()
        elif self._last_words or self.failing:
            self.abandon()
        else:
            self._work()

    def _tell(self, news: News) -> None:
        house = self._house
        match news:
            case Begun():
                self._troubled = False
                self._begun, self._written = news, 0
                house.started(self.key, news, self.rule.root)
            case Recording():
                self._begun = None
                house.finished(news)
            case Failed():
                self._begun = None
                self._fail(news)

    def _fail(self, failure: Failed) -> None:
        """Discard what comes, and try again."""
        again, self._failure = self._troubled, failure
        self._troubled = True
        self._house.failed(self.key, failure, self.rule.root, again=again)
        if self.end_reason is None:
            self._house.call_later(RETRY, self._retry)
        elif not self._busy:
            self.abandon()

    def _retry(self) -> None:
        if not self._closed and self.end_reason is None and self.failing:
            self._find_disk()

    def _find_disk(self) -> None:
        if not self._finding:
            self._finding = True
            self._house.find_disk(self)

    def _begin_anew(self) -> None:
        """As if the recording began now."""
        self._count_lost()
        self._tap.detach()
        self._counted.clear()
        self._tap = self._house.tap(self.key, self, self._options())
        self._anew = True
        self._failure = None

    def _count_lost(self) -> None:
        """What the tap has dropped since the last time."""
        for drop, loss in _LOSSES.items():
            dropped = self._tap.drops.get(drop, 0)
            self._add_lost(loss, dropped - self._counted.get(drop, 0))
            self._counted[drop] = dropped

    def _lose_rest(self, loss: RecordingLoss) -> None:
        if self._rest:
            self._lose(self._rest, loss)
            self._rest = []
            self._house.charge(-self._rest_bytes)
            self._rest_bytes = 0

    def _lose(self, items: list[Item], loss: RecordingLoss) -> None:
        self._add_lost(loss, sum(isinstance(item, Packet) for item in items))

    def _add_lost(self, loss: RecordingLoss, packets: int) -> None:
        self._lost += packets
        self._house.stats.lost[loss] += packets
