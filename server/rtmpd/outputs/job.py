"""The inside of a process that does one thing with one recorded file, for whoever started it.

It reads its job as JSON from its input, and writes a line of JSON for each step that it has come further.
What would hold up an event loop, or fill the memory of a server that has no other use for it, runs like this.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sys
import threading
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from rtmpd.outputs.afterwork_words import AfterworkFailure

_NICENESS: Final = 10
"""The live streams of the machine come first."""

logger = logging.getLogger(__name__)

Report: TypeAlias = Callable[[Mapping[str, Any]], None]
"""Tells that it has come further."""


class JobFailed(Exception):
    """It cannot be done; the text is a sentence for people, and holds no secret."""

    def __init__(self, reason: AfterworkFailure, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail


def main(work: Callable[[dict[str, Any], Report], Mapping[str, Any]]) -> None:
    """Do it, and end the process."""
    with contextlib.suppress(OSError):
        os.nice(_NICENESS)
    job: dict[str, Any] = json.loads(sys.stdin.buffer.readline())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        outcome: dict[str, Any] = {"done": work(job, _say)}
    except JobFailed as failure:
        outcome = {"failed": str(failure.reason), "detail": failure.detail}
    except MemoryError:
        outcome = {"failed": str(AfterworkFailure.BUG), "detail": "there is not enough memory"}
    except Exception:  # For the log of whoever started this.
        logger.exception("recording process broke")
        outcome = {"failed": str(AfterworkFailure.BUG), "detail": "this is a bug of rtmpd; its log has more"}
    _say(outcome)
    sys.stdout.flush()
    # Threads of libraries are not waited for.
    os._exit(0)


def _say(said: Mapping[str, Any]) -> None:
    sys.stdout.write(json.dumps(said) + "\n")
    sys.stdout.flush()


def _end_with_parent() -> None:
    """The input ends with whoever holds its other end: nobody would hear what becomes of this then."""
    with contextlib.suppress(OSError):
        os.read(sys.stdin.fileno(), 1)
    os._exit(1)
