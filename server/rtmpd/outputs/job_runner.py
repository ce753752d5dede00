"""Runs a process that does one thing with one recorded file: see ``rtmpd.outputs.job``."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import re
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable, Mapping
from typing import Any, Final

from rtmpd.outputs.afterwork_words import AfterworkFailure
from rtmpd.outputs.job import JobFailed

SILENCE: Final = 900.0
"""Seconds without a word after which a process is ended."""
_MAX_LINE: Final = 65_536
_LAST_WORDS: Final = 20
"""Lines of what it complains about that are kept."""
_WITHHELD: Final = re.compile(
    r"RTMPD_.*|NOTIFY_SOCKET|WATCHDOG_(?:PID|USEC)|LISTEN_(?:PID|FDS|FDNAMES)|CREDENTIALS_DIRECTORY"
)
"""Of our environment: settings, which may be secrets, and what systemd hands to the server alone."""

_FAILURES: Final = {str(failure): failure for failure in AfterworkFailure}

logger = logging.getLogger(__name__)


async def run_job(
    module: str,
    job: Mapping[str, Any],
    environ: Mapping[str, str],
    hear: Callable[[Mapping[str, Any]], None],
    silence: float = SILENCE,
) -> Mapping[str, Any]:
    """What came of it. ``hear`` is told each step that it has come further. Raises JobFailed.

    Who stops waiting ends the process.
    """
    kept = {name: value for name, value in environ.items() if not _WITHHELD.fullmatch(name)}
    try:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", module),
            stdin=PIPE,
            stdout=PIPE,
            stderr=PIPE,
            env=kept,
            limit=_MAX_LINE,
        )
    except OSError as error:
        text = f"no process could be started for it: {error.strerror or error}"
        raise JobFailed(AfterworkFailure.CRASHED, text) from None
    complaints: list[str] = []
    listening = asyncio.create_task(_collect(process, complaints), name="job-complaints")
    try:
        return await _talk(process, job, hear, silence, complaints, listening)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        listening.cancel()
        await process.wait()


async def _talk(
    process: Process,
    job: Mapping[str, Any],
    hear: Callable[[Mapping[str, Any]], None],
    silence: float,
    complaints: list[str],
    listening: asyncio.Task[None],
) -> Mapping[str, Any]:
    if process.stdin is None or process.stdout is None:
        raise TypeError("the process has no pipes")
    with contextlib.suppress(ConnectionError):
        process.stdin.write(json.dumps(job).encode() + b"\n")
        await process.stdin.drain()
    while True:
        try:
            async with asyncio.timeout(silence):
                line = await process.stdout.readline()
        except TimeoutError:
            text = f"the process came no further for {silence:g} s, and was ended"
            raise JobFailed(AfterworkFailure.SILENT, text) from None
        if not line:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    await asyncio.shield(listening)
            fields = {"said": " | ".join(complaints)}
            logger.warning("recording job crashed", extra={"fields": fields})
            raise JobFailed(AfterworkFailure.CRASHED, "the process that did it ended without a word")
        said: dict[str, Any] = json.loads(line)
        if "done" in said:
            outcome: Mapping[str, Any] = said["done"]
            return outcome
        if "failed" in said:
            reason = _FAILURES[said["failed"]]
            if reason is AfterworkFailure.BUG:
                fields = {"said": " | ".join(complaints)}
                logger.error("recording job failed", extra={"fields": fields})
            raise JobFailed(reason, said["detail"])
        hear(said)


async def _collect(process: Process, complaints: list[str]) -> None:
    """The last of what it complains about. Its secrets came by its input, and it prints none."""
    if process.stderr is None:
        return
    while True:
        try:
            line = await process.stderr.readline()
        except ValueError:  # A line without an end.
            continue
        if not line:
            return
        complaints.append(line.decode(errors="replace").rstrip())
        del complaints[:-_LAST_WORDS]
