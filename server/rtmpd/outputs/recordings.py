"""All recordings: which streams have one, and who is told of their files."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Final

from rtmpd.engine.claim import SwitchReason
from rtmpd.engine.key import StreamKey
from rtmpd.engine.observer import StreamObserver
from rtmpd.engine.publication import Codecs, Publication
from rtmpd.engine.registry import Registry
from rtmpd.engine.sink import CloseReason, PacketSink, TapOptions
from rtmpd.engine.tap import Tap
from rtmpd.engine.terms import UNRECORDED
from rtmpd.exceptions import UsageError
from rtmpd.net.inquiries import Inquiries
from rtmpd.net.tasks import TaskSet
from rtmpd.outputs.disk import Disk, Disks
from rtmpd.outputs.file_series import Begun, Failed
from rtmpd.outputs.record_rules import RecordRule, RecordStart
from rtmpd.outputs.record_words import RecordStats, failure_of, problem_of
from rtmpd.outputs.recorder import FLUSH, Cancellable, Recorder, RecorderStatus
from rtmpd.outputs.recording import Recording, RecordingEnd, RecordingListener
from rtmpd.outputs.repair import repair_all

MAX_DISK_BYTES: Final = 256 * 1024 * 1024
"""What may wait for one drive, of all streams together."""
_MAX_REPAIRS: Final = 16
"""Folders that are looked through at a time, each by a thread."""
_PHASE: Final = 0.618034
"""Recordings that begin together write one after the other."""

_logger = logging.getLogger(__name__)


class Recordings(StreamObserver):
    """A recorder for each stream that ``rule_of`` says is to have one, or somebody in charge wants one of.

    In the running event loop. ``leaving()``: another process of this server takes over, and encoders that
    come again come there: their recordings end here, and begin there. Files with descriptors from
    ``max_descriptor`` on are not begun: others have what is left of those that the process may open.
    """

    def __init__(
        self,
        registry: Registry,
        rule_of: Callable[[StreamKey], RecordRule | None],
        leaving: Callable[[], bool],
        clock: Callable[[], float],
        wall_clock: Callable[[], float] = time.time,
        max_descriptor: int = sys.maxsize,
    ) -> None:
        self.max_descriptor = max_descriptor
        self.stats = RecordStats()
        self.wall_clock = wall_clock
        self._registry = registry
        self._rule_of = rule_of
        self._leaving = leaving
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._disks = Disks(self._loop)
        self._tasks = TaskSet()
        self._repairs = Inquiries(self._find_cut_off, (OSError,), "repair of {}", most=_MAX_REPAIRS)
        self._repaired: set[str] = set()
        """Folders whose files that were cut off have been finished, or are being."""
        self._listeners: list[RecordingListener] = []
        self._active: dict[StreamKey, Recorder] = {}
        self._ending: set[Recorder] = set()
        self._stopped: set[StreamKey] = set()
        """Somebody has stopped their recording, which stays so until they end."""
        self._phase = 0.0
        self._settled = asyncio.Event()
        self._closing = False

    @property
    def queue_bytes(self) -> int:
        """What waits for drives now."""
        return sum(recorder.held_bytes for recorder in self._all())

    def add_listener(self, listener: RecordingListener) -> None:
        """Tell ``listener`` of files from now on."""
        self._listeners.append(listener)

    # Somebody in charge

    def start(self, key: StreamKey) -> None:
        """Record a live stream from its last key frame on. Raises UsageError with a sentence."""
        rule = self._rule_of(key)
        if rule is None or rule.start is RecordStart.NEVER:
            raise UsageError(f'{key} may not be recorded: set apps."{key.app}".record.start')
        if key in self._active:
            raise UsageError(f"{key} is recorded already")
        if self._closing or not self._is_ours(key):
            raise UsageError(f"nobody publishes {key} here")
        self._stopped.discard(key)
        self._begin(key, rule, self._mode(key), by_hand=True)

    def stop(self, key: StreamKey) -> None:
        """Finish its file, and record it no more until it is published anew. Raises UsageError."""
        recorder = self._recorder(key)
        self._stopped.add(key)
        self._end(recorder, RecordingEnd.STOPPED)

    def split(self, key: StreamKey) -> None:
        """Have its recording go on in another file from its next key frame on. Raises UsageError."""
        self._recorder(key).split()

    def active(self, key: StreamKey) -> RecorderStatus | None:
        """How its recording gets on; None while it has none."""
        recorder = self._active.get(key)
        return None if recorder is None else recorder.status

    def statuses(self) -> list[RecorderStatus]:
        """All of them."""
        return [recorder.status for recorder in self._active.values()]

    # The daemon

    def apply(self, roots: Iterable[str]) -> None:
        """Follow what ``rule_of`` says now: recordings come, go, and follow other rules.

        What was cut off in ``roots`` before is finished, by a thread.
        """
        for root in roots:
            self._repair(root)
        for key, recorder in list(self._active.items()):
            rule = self._rule_of(key)
            if rule is None or not _is_due(rule, recorder.mode, by_hand=recorder.by_hand):
                self._end(recorder, RecordingEnd.STOPPED)
            elif _begins_anew(rule, recorder.rule) and self._is_ours(key):
                self._end(recorder, RecordingEnd.STOPPED)
                self._begin(key, rule, recorder.mode, by_hand=recorder.by_hand)
            else:
                recorder.rule = rule
        for key in list(self._registry.streams):
            self._look_at(key)

    def look(self) -> None:
        """Mind what waits for drives; call it about once a second."""
        waiting: dict[Disk | None, list[Recorder]] = {}
        for recorder in list(self._all()):
            recorder.look()
            waiting.setdefault(recorder.disk, []).append(recorder)
        for recorders in waiting.values():
            held = sum(recorder.held_bytes for recorder in recorders)
            for recorder in sorted(recorders, key=lambda each: -each.held_bytes):
                if held <= MAX_DISK_BYTES:
                    break
                held -= recorder.held_bytes
                recorder.give_back()
                held += recorder.held_bytes
        self.stats.failing = sum(recorder.failing for recorder in self._active.values())

    async def close(self, grace: float) -> None:
        """Finish all files within ``grace`` seconds; what is not is repaired at the next start."""
        self._closing = True
        for recorder in list(self._active.values()):
            self._end(recorder, RecordingEnd.SHUTDOWN)
        if self._ending:
            self._settled.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(grace):
                    await self._settled.wait()
        for recorder in list(self._ending):
            recorder.abandon()
        await self._tasks.wait_closed()

    # The registry's observer

    def accompany(self, publication: Publication) -> None:
        """It is about to begin. See ``Registry.accompany``."""
        self._look_at(publication.key)

    def published(self, publication: Publication) -> None:
        self._look_at(publication.key)

    def media_started(self, publication: Publication, _codecs: Codecs) -> None:
        self._look_at(publication.key)

    def resumed(self, publication: Publication, _outage: float) -> None:
        self._look_at(publication.key)

    def switched(self, publication: Publication, _why: SwitchReason, _silent: float) -> None:
        self._look_at(publication.key)

    def held(self, publication: Publication) -> None:
        if self._leaving() and (recorder := self._active.get(publication.key)) is not None:
            self._end(recorder, RecordingEnd.PUBLISH_ENDED)

    def ended(self, publication: Publication) -> None:
        self._stopped.discard(publication.key)
        recorder = self._active.get(publication.key)
        if recorder is not None:
            ending = publication.ending
            shutdown = ending is not None and ending.reason is CloseReason.SHUTDOWN
            self._end(recorder, RecordingEnd.SHUTDOWN if shutdown else RecordingEnd.PUBLISH_ENDED)

    # For the recorders

    def tap(self, key: StreamKey, sink: PacketSink, options: TapOptions) -> Tap:
        """A place in the stream."""
        return self._registry.tap(key, sink, options, self._clock())

    def charge(self, amount: int) -> None:
        """See ``House``."""
        self._registry.budget.charge_queues(amount)

    def call_later(self, delay: float, callback: Callable[[], None]) -> Cancellable:
        """A timer."""
        return self._loop.call_later(delay, callback)

    def phase(self) -> float:
        """See ``House``."""
        self._phase = (self._phase + _PHASE) % 1.0
        return FLUSH * (1.0 - self._phase)

    def recovered(self, key: StreamKey) -> None:
        """See ``House``."""
        fields = {"app": key.app, "stream": key.name}
        _logger.info("recording goes on", extra={"fields": fields})

    def find_disk(self, recorder: Recorder) -> None:
        """See ``House``."""
        self._tasks.start(self._find_disk(recorder), name=f"disk of {recorder.key}")

    def started(self, key: StreamKey, file: Begun, root: str) -> None:
        """See ``House``."""
        self._repair(root)
        fields = {"app": key.app, "stream": key.name, "path": file.path, "part": file.part}
        _logger.info("recording started", extra={"fields": fields})
        self._tell(lambda listener: listener.recording_started(key, file.path, file.started_at))

    def finished(self, recording: Recording) -> None:
        """See ``House``."""
        self.stats.finished[recording.end] += 1
        fields = {
            "app": recording.key.app,
            "stream": recording.key.name,
            "path": recording.path,
            "reason": recording.end,
            "duration": round(recording.duration, 3),
            "size": recording.size,
            "codecs": ", ".join(recording.codecs),
        }
        _logger.info("recording finished", extra={"fields": fields})
        self._tell(lambda listener: listener.recording_finished(recording))

    def failed(self, key: StreamKey, failure: Failed, root: str, *, again: bool) -> None:
        """See ``House``."""
        # It may leave a file cut off, which is finished with the next that can be begun there.
        self._repaired.discard(root)
        self.stats.failures[failure.reason] += 1
        if again:
            return
        fields = {
            "app": key.app,
            "stream": key.name,
            "path": failure.path,
            "reason": failure.reason,
            "problem": failure.problem,
        }
        _logger.warning("recording failed; trying again", extra={"fields": fields})
        self._tell(lambda listener: listener.recording_failed(key, failure.path, failure.problem))

    def over(self, recorder: Recorder) -> None:
        """See ``House``."""
        self._ending.discard(recorder)
        if not self._ending:
            self._settled.set()
        if self._active.get(recorder.key) is recorder:
            self.stats.active -= 1
            del self._active[recorder.key]

    # Inside

    def _look_at(self, key: StreamKey) -> None:
        """Begin to record a stream that is to be."""
        if key in self._active or key in self._stopped or self._closing or not self._is_ours(key):
            return
        rule, mode = self._rule_of(key), self._mode(key)
        if rule is not None and _is_due(rule, mode, by_hand=False):
            self._begin(key, rule, mode)

    def _on_air(self, key: StreamKey) -> Publication | None:
        """Who is on air by publishing it to this process."""
        stream = self._registry.streams.get(key)
        publication = None if stream is None else stream.publication
        return None if publication is None or publication.origin.is_borrowed else publication

    def _is_ours(self, key: StreamKey) -> bool:
        return self._on_air(key) is not None

    def _mode(self, key: StreamKey) -> str:
        publication = self._on_air(key)
        return "live" if publication is None else publication.mode

    def _begin(self, key: StreamKey, rule: RecordRule, mode: str, *, by_hand: bool = False) -> None:
        self.stats.active += 1
        self._active[key] = Recorder(key, rule, self, mode, by_hand=by_hand)

    def _end(self, recorder: Recorder, reason: RecordingEnd) -> None:
        del self._active[recorder.key]
        self.stats.active -= 1
        self._ending.add(recorder)
        recorder.end(reason)

    def _repair(self, root: str) -> None:
        """Finish what was cut off below ``root``, unless that has been done."""
        if root not in self._repaired:
            self._repaired.add(root)
            self._tasks.start(self._repair_all(root), name=f"repair of {root}")

    async def _repair_all(self, root: str) -> None:
        try:
            found = await self._repairs.ask(root)
        except OverflowError:
            found = OSError("too many drives do not answer")
        if isinstance(found, Exception):
            # It is tried again with the first file that can be begun there.
            self._repaired.discard(root)
            error = found if isinstance(found, OSError) else OSError(str(found))
            fields = {"path": root, "reason": failure_of(error), "problem": problem_of(error)}
            _logger.warning("nothing can be recorded", extra={"fields": fields})

    def _find_cut_off(self, root: str) -> None:
        """In a thread that may take as long as it likes."""

        def tell(recording: Recording) -> None:
            self._loop.call_soon_threadsafe(self.finished, recording)

        def complain(path: str, error: OSError) -> None:
            self._loop.call_soon_threadsafe(self._not_repaired, path, error)

        with suppress(RuntimeError):  # The event loop has ended meanwhile.
            repair_all(root, tell, complain)
        if not os.access(root, os.W_OK | os.X_OK):
            raise OSError(errno.EACCES, os.strerror(errno.EACCES), root)

    def _not_repaired(self, path: str, error: OSError) -> None:
        fields = {"path": path, "problem": problem_of(error)}
        _logger.warning("recording not repaired", extra={"fields": fields})

    def _recorder(self, key: StreamKey) -> Recorder:
        recorder = self._active.get(key)
        if recorder is None:
            raise UsageError(f"{key} is not recorded")
        return recorder

    def _all(self) -> list[Recorder]:
        return [*self._active.values(), *self._ending]

    async def _find_disk(self, recorder: Recorder) -> None:
        try:
            disk = await self._disks.find(recorder.rule.root)
        except OSError as error:
            recorder.not_found(error)
        else:
            recorder.found(disk)

    def _tell(self, tell: Callable[[RecordingListener], None]) -> None:
        for listener in self._listeners:
            try:
                tell(listener)
            except Exception:
                _logger.exception("a listener of recordings failed")


def _is_due(rule: RecordRule, mode: str, *, by_hand: bool) -> bool:
    """Whether a stream is to be recorded whose encoder publishes it in this ``mode``."""
    match rule.start:
        case RecordStart.ALWAYS:
            return by_hand or mode != UNRECORDED
        case RecordStart.ASKED:
            return by_hand or mode not in ("live", UNRECORDED)
        case RecordStart.MANUAL:
            return by_hand
        case RecordStart.NEVER:
            return False


def _begins_anew(rule: RecordRule, before: RecordRule) -> bool:
    """Whether what is recorded cannot go on by another rule."""
    fixed = (rule.root, rule.tracks, rule.max_queue_bytes, rule.slate)
    return fixed != (before.root, before.tracks, before.max_queue_bytes, before.slate)
