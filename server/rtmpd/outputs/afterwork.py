"""What is done with finished recordings, in processes of their own: MP4 files, and uploads."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path, PurePath
from typing import Any, Final, Protocol

from rtmpd.engine.key import StreamKey
from rtmpd.exceptions import UsageError
from rtmpd.net.tasks import TaskSet
from rtmpd.outputs.afterwork_rules import AfterworkRules, UploadRules, object_key
from rtmpd.outputs.afterwork_words import FINAL, AfterworkFailure, RemovalReason, Step
from rtmpd.outputs.catalog import Catalog, Entry, Known
from rtmpd.outputs.job import JobFailed
from rtmpd.outputs.job_runner import SILENCE, run_job
from rtmpd.outputs.recording import Recording

MAX_AT_ONCE: Final[Mapping[Step, int]] = {Step.REMUX: 1, Step.UPLOAD: 2}
"""Processes of each kind."""
FIRST_RETRY: Final = 10.0
LONGEST_RETRY: Final = 3600.0
_SLOWEST: Final = 10_000_000
"""Bytes that a drive does in a second: at the end of a large file a process has nothing to say for long."""
_FOR_ALL: Final = frozenset(
    {
        AfterworkFailure.NOT_INSTALLED,
        AfterworkFailure.CREDENTIALS,
        AfterworkFailure.NO_BUCKET,
        AfterworkFailure.UNREACHABLE,
        AfterworkFailure.SERVER_ERROR,
    }
)
"""Failures that other files of the app would meet with just now, too."""
_MODULES: Final = {Step.REMUX: "rtmpd.outputs.mp4_job", Step.UPLOAD: "rtmpd.outputs.s3_job"}
_DELETES: Final = {Step.REMUX: RemovalReason.REMUXED, Step.UPLOAD: RemovalReason.UPLOADED}

logger = logging.getLogger(__name__)


class RunJob(Protocol):
    """``job_runner.run_job``."""

    async def __call__(
        self,
        module: str,
        job: Mapping[str, Any],
        environ: Mapping[str, str],
        hear: Callable[[Mapping[str, Any]], None],
        silence: float,
        /,
    ) -> Mapping[str, Any]: ...


@dataclass(slots=True)
class AfterworkStats:
    """What it has come to since the start."""

    done: dict[Step, int] = field(default_factory=lambda: dict.fromkeys(MAX_AT_ONCE, 0))
    bytes: dict[Step, int] = field(default_factory=lambda: dict.fromkeys(MAX_AT_ONCE, 0))
    """Of the files that were made, or stored."""
    failures: dict[tuple[Step, AfterworkFailure], int] = field(default_factory=dict)
    running: dict[Step, int] = field(default_factory=lambda: dict.fromkeys(MAX_AT_ONCE, 0))


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What it works with."""

    clock: Callable[[], float]
    environ: Mapping[str, str]
    rules_of: Callable[[Recording], AfterworkRules]
    remove: Callable[[Entry, RemovalReason], None]
    """Have a file taken away that is needed here no more."""
    run: RunJob = run_job


@dataclass(slots=True)
class _Trouble:
    """Something has failed, and is not to be tried before ``until``, by the clock."""

    delay: float = 0.0
    until: float = 0.0

    def grow(self, now: float) -> None:
        """It has failed again: longer each time, but not for what was under way beside it."""
        if self.until <= now:
            self.delay = min(self.delay * 2, LONGEST_RETRY) or FIRST_RETRY
            self.until = now + self.delay


class Afterwork:
    """Does what is to be done, the oldest file first, and again after a while where it fails.

    The queue is the catalog: what waits there is done, whichever process has put it there.
    """

    def __init__(self, catalog: Catalog, around: Surroundings) -> None:
        self.stats = AfterworkStats()
        self._catalog = catalog
        self._around = around
        self._running: dict[str, Step] = {}
        self._trouble: dict[str, _Trouble] = {}
        """By file."""
        self._obstacles: dict[tuple[Step, str], _Trouble] = {}
        """By step and app: what all their files would meet with."""
        self._idle_until = 0.0
        """Before that nothing can be begun but what is new, which ``_queued`` tells."""
        self._queued = 0
        self._tasks = TaskSet()
        self._closing = False

    def first_step(self, recording: Recording) -> Step:
        """What is to be done first with a file that is finished."""
        rules = self._around.rules_of(recording)
        is_flv = PurePath(recording.path).suffix == ".flv"
        if rules.mp4 is not None and is_flv:
            return Step.REMUX
        return Step.NONE if rules.upload is None else Step.UPLOAD

    def retry(self, path: str) -> None:
        """Try a file now that has failed."""
        self._trouble.pop(path, None)
        entry = self._catalog.at(path)
        if entry is not None and entry.known is not None:
            self._obstacles.pop(_obstacle(entry.known), None)
        self._look_again()

    def look(self) -> None:
        """Begin what can be begun; call it every second or so, and when there is something new."""
        if self._closing or not len(self._catalog):
            return
        now, queued = self._around.clock(), self._catalog.queued
        if now < self._idle_until and queued == self._queued:
            return
        self._queued = queued
        for entry, known in self._due(now):
            self._running[entry.path] = known.step
            self._tasks.start(self._do(entry, known), name=f"recording-{known.step}")
        for step in MAX_AT_ONCE:
            self.stats.running[step] = self._count(step)

    def leave(self) -> None:
        """Another process goes on with all that waits by now."""
        self._catalog.leave_waiting()
        self._tasks.cancel()

    async def close(self) -> None:
        """Begin nothing more, and end what runs: the next process goes on with it."""
        self._closing = True
        await self._tasks.wait_closed()

    # Inside

    def _look_again(self) -> None:
        self._idle_until = 0.0
        self.look()

    def _due(self, now: float) -> list[tuple[Entry, Known]]:
        """What may be begun now, and first what was not tried before: what fails again and again holds up no
        other.
        """
        self._idle_until = math.inf
        return [found for step in MAX_AT_ONCE for found in self._due_for(step, now)]

    def _due_for(self, step: Step, now: float) -> list[tuple[Entry, Known]]:
        free = MAX_AT_ONCE[step] - self._count(step)
        due: list[tuple[Entry, Known]] = []
        again: list[tuple[Entry, Known]] = []
        for entry in self._catalog.waiting_for(step):
            if len(due) >= free:
                break
            known, trouble = entry.known, self._trouble.get(entry.path)
            if known is None or entry.path in self._running:
                continue
            obstacle = self._obstacles.get(_obstacle(known))
            later = max((each.until for each in (trouble, obstacle) if each is not None), default=now)
            if later > now:
                self._idle_until = min(self._idle_until, later)
            else:
                (due if trouble is None else again).append((entry, known))
        return (due + again)[:free]

    def _count(self, step: Step) -> int:
        return sum(each is step for each in self._running.values())

    async def _do(self, entry: Entry, known: Known) -> None:
        rules = self._around.rules_of(known.recording)
        try:
            if known.step is Step.REMUX:
                await self._remux(entry, known, rules)
            elif rules.upload is None:  # The settings want it no more.
                self._catalog.note(entry.path, replace(known, step=Step.NONE, upload_id="", problem=""))
            else:
                await self._upload(entry, known, rules.upload)
        except JobFailed as failure:
            self._failed(entry, failure.reason, failure.detail)
        except UsageError as error:
            self._failed(entry, AfterworkFailure.REJECTED, str(error))
        except Exception:
            logger.exception("recording job broke", extra={"fields": _fields(entry, known.step)})
            self._failed(entry, AfterworkFailure.BUG, "this is a bug of rtmpd; its log has more")
        finally:
            del self._running[entry.path]
            self._look_again()

    async def _remux(self, entry: Entry, known: Known, rules: AfterworkRules) -> None:
        after = Step.NONE if rules.upload is None else Step.UPLOAD
        if rules.mp4 is None:
            self._catalog.note(entry.path, replace(known, step=after, problem=""))
            return
        target = str(Path(entry.path).with_suffix(".mp4"))
        job = {"source": entry.path, "target": target, "spare": rules.mp4.min_free}
        outcome = await self._run(entry, Step.REMUX, job, lambda _said: None)
        made = replace(
            known.recording, path=target, size=int(outcome["size"]), duration=float(outcome["duration"])
        )
        self._catalog.add(Known(made, after, changed_at=entry.changed_at))
        self._succeeded(entry, Step.REMUX, made.size, target)
        if not rules.mp4.keep_flv:
            self._around.remove(entry, RemovalReason.REMUXED)

    async def _upload(self, entry: Entry, known: Known, rules: UploadRules) -> None:
        job = {
            "path": entry.path,
            "size": entry.size,
            "bucket": rules.bucket,
            "key": object_key(rules.key, known.recording),
            "endpoint": rules.endpoint,
            "region": rules.region,
            "path_style": rules.path_style,
            "access_key_id": rules.credentials.access_key_id,
            "secret_access_key": rules.credentials.secret_access_key,
            "session_token": rules.credentials.session_token,
            "ca_file": rules.ca_file,
            "part_bytes": rules.part_bytes,
            "options": dict(rules.options),
            "upload_id": known.upload_id,
        }
        hear = partial(self._hear_upload, entry.path)
        outcome = await self._run(entry, Step.UPLOAD, job, hear)
        uploaded = str(outcome["uploaded"])
        self._succeeded(entry, Step.UPLOAD, entry.size, uploaded, uploaded)
        if rules.delete:
            self._around.remove(entry, RemovalReason.UPLOADED)

    async def _run(
        self, entry: Entry, step: Step, job: Mapping[str, Any], hear: Callable[[Mapping[str, Any]], None]
    ) -> Mapping[str, Any]:
        silence = SILENCE + entry.size / _SLOWEST
        return await self._around.run(_MODULES[step], job, self._around.environ, hear, silence)

    def _hear_upload(self, path: str, said: Mapping[str, Any]) -> None:
        entry = self._catalog.at(path)
        if "upload_id" in said and entry is not None and entry.known is not None:
            self._catalog.note(path, replace(entry.known, upload_id=str(said["upload_id"])))

    def _succeeded(self, entry: Entry, step: Step, size: int, where: str, uploaded: str = "") -> None:
        self.stats.done[step] += 1
        self.stats.bytes[step] += size
        self._trouble.pop(entry.path, None)
        now = self._catalog.at(entry.path)
        if now is not None and now.known is not None:
            self._obstacles.pop(_obstacle(now.known), None)
            done = replace(now.known, step=Step.NONE, upload_id="", problem="", uploaded=uploaded)
            self._catalog.note(entry.path, done)
        fields = _fields(entry, step) | {"to": where, "bytes": size}
        logger.info("recording job done", extra={"fields": fields})

    def _failed(self, entry: Entry, reason: AfterworkFailure, detail: str) -> None:
        now = self._catalog.at(entry.path)
        if now is None or now.known is None:  # It was removed meanwhile.
            self._trouble.pop(entry.path, None)
            return
        step = now.known.step
        counted = step, reason
        self.stats.failures[counted] = self.stats.failures.get(counted, 0) + 1
        retry_in: float | None = None
        if reason is AfterworkFailure.GONE:
            # If something is there all the same, the next look at the folder finds what it is now.
            self._trouble.pop(entry.path, None)
            self._catalog.remove(entry.path)
        elif reason in FINAL[step]:
            self._give_up(now, now.known, detail)
        else:
            clock = self._around.clock()
            troubles = [self._trouble.setdefault(entry.path, _Trouble())]
            if reason in _FOR_ALL:
                troubles.append(self._obstacles.setdefault(_obstacle(now.known), _Trouble()))
            for trouble in troubles:
                trouble.grow(clock)
            retry_in = max(trouble.until for trouble in troubles) - clock
            self._catalog.note(entry.path, replace(now.known, problem=detail))
        fields = _fields(entry, step) | {"reason": reason, "detail": detail, "retry_in": retry_in}
        logger.warning("recording job not done", extra={"fields": fields})

    def _give_up(self, entry: Entry, known: Known, detail: str) -> None:
        self._trouble.pop(entry.path, None)
        wanted = self._around.rules_of(known.recording).upload
        after = Step.UPLOAD if known.step is Step.REMUX and wanted is not None else Step.NONE
        self._catalog.note(entry.path, replace(known, step=after, upload_id="", problem=detail))


def _obstacle(known: Known) -> tuple[Step, str]:
    return known.step, known.recording.key.app


def _fields(entry: Entry, step: Step) -> dict[str, object]:
    key = entry.key or StreamKey("", "")
    return {"app": key.app, "stream": key.name, "file": entry.relative, "step": step}
