"""``rtmpd`` with a window: run as a program, it answers each line on standard input with what is inside it.

The answer is one line of JSON on standard output: see ``Inside``. The server knows nothing of it: a thread
looks. When standard input ends, so does the process: no server outlives the script that started it.

    python looked_into.py FILES TRACED serve --set log.format=json ...

FILES is the limit of open files (0: as it is), TRACED is 1 to count what Python allocates, which costs time.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import sys
import threading
import tracemalloc
from collections import Counter
from pathlib import Path
from typing import Final, TypedDict

_PAGE: Final = os.sysconf("SC_PAGE_SIZE")
_LOOP_TYPES: Final = frozenset({"TimerHandle", "Task", "TCPTransport", "UVTimer"})
"""Of asyncio, uvloop and C, which are counted besides everything of ours."""


class Inside(TypedDict):
    """What a server holds at one moment. Nothing is collected before: garbage counts."""

    rss_bytes: int
    traced_bytes: int
    """Allocated by Python; 0 unless TRACED."""
    files: int
    objects: dict[str, int]
    """Living instances by class, of classes of ours and of tasks, timers and transports."""


def look() -> Inside:
    """Into this process."""
    traced, _ = tracemalloc.get_traced_memory()
    counts: Counter[str] = Counter()
    for thing in gc.get_objects():
        kind = type(thing)
        if kind.__name__ == "TimerHandle" and thing.cancelled():
            continue  # No timer any more; who cancelled it has a reference for a while.
        if kind.__module__.startswith("rtmpd.") or kind.__name__ in _LOOP_TYPES:
            counts[kind.__qualname__] += 1
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return {
        "rss_bytes": pages * _PAGE,
        "traced_bytes": traced,
        "files": sum(1 for _ in Path("/proc/self/fd").iterdir()),
        "objects": dict(counts),
    }


def _answer() -> None:
    for _ in sys.stdin:
        sys.stdout.write(json.dumps(look()) + "\n")
        sys.stdout.flush()
    os._exit(0)


def main() -> None:
    files, traced, *arguments = sys.argv[1:]
    if int(files):
        resource.setrlimit(resource.RLIMIT_NOFILE, (int(files), int(files)))
    if int(traced):
        tracemalloc.start()
    threading.Thread(target=_answer, name="window", daemon=True).start()
    from rtmpd.daemon import cli

    sys.argv = ["rtmpd", *arguments]
    cli.main()


if __name__ == "__main__":
    main()
