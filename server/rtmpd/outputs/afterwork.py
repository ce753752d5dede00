"""What is done with finished recordings, in processes of their own: MP4 files, and uploads."""

from __future__ import annotations

import logging
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
from rtmpd.outputs.job_runner import run_job
from rtmpd.outputs.recording import Recording

MAX_AT_ONCE: Final[Mapping[Step, int]] = {Step.REMUX: 1, Step.UPLOAD: 2}
"""Processes of each kind."""
FIRST_RETRY: Final = 10.0
LONGEST_RETRY: Final = 3600.0
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
    """A file with which something has failed."""

    delay: float = FIRST_RETRY
    until: float = 0.0
    """Not to be tried before that, by the clock."""


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
        self.look()

    def look(self) -> None:
        """Begin what can be begun; call it every second or so, and when there is something new."""
        if self._closing or not len(self._catalog):
            return
        now = self._around.clock()
        for entry in self._catalog.waiting():
            known = entry.known
            if known is None or entry.path in self._running:
                continue
            if self._trouble.get(entry.path, _Trouble()).until > now:
                continue
            if self._count(known.step) < MAX_AT_ONCE[known.step]:
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
            self.look()

    async def _remux(self, entry: Entry, known: Known, rules: AfterworkRules) -> None:
        after = Step.NONE if rules.upload is None else Step.UPLOAD
        if rules.mp4 is None:
            self._catalog.note(entry.path, replace(known, step=after, problem=""))
            return
        target = str(Path(entry.path).with_suffix(".mp4"))
        job = {"source": entry.path, "target": target}
        outcome = await self._around.run(_MODULES[Step.REMUX], job, self._around.environ, lambda _said: None)
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
        outcome = await self._around.run(_MODULES[Step.UPLOAD], job, self._around.environ, hear)
        uploaded = str(outcome["uploaded"])
        self._succeeded(entry, Step.UPLOAD, entry.size, uploaded, uploaded)
        if rules.delete:
            self._around.remove(entry, RemovalReason.UPLOADED)

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
            trouble = self._trouble.setdefault(entry.path, _Trouble())
            retry_in = trouble.delay
            trouble.until = self._around.clock() + trouble.delay
            trouble.delay = min(trouble.delay * 2, LONGEST_RETRY)
            self._catalog.note(entry.path, replace(now.known, problem=detail))
        fields = _fields(entry, step) | {"reason": reason, "detail": detail, "retry_in": retry_in}
        logger.warning("recording job not done", extra={"fields": fields})

    def _give_up(self, entry: Entry, known: Known, detail: str) -> None:
        self._trouble.pop(entry.path, None)
        wanted = self._around.rules_of(known.recording).upload
        after = Step.UPLOAD if known.step is Step.REMUX and wanted is not None else Step.NONE
        self._catalog.note(entry.path, replace(known, step=after, upload_id="", problem=detail))


def _fields(entry: Entry, step: Step) -> dict[str, object]:
    key = entry.key or StreamKey("", "")
    return {"app": key.app, "stream": key.name, "file": entry.relative, "step": step}
