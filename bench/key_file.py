"""A file of stream keys: how long it takes to read, what it holds, and what a look-up costs.

It runs in this process and starts nothing.
"""

from __future__ import annotations

import gc
import random
import statistics
import tempfile
import time
import tracemalloc
from pathlib import Path
from typing import Annotated

import common
import typer

from rtmpd.access import keys
from rtmpd.access.key_file import KeyFile

_NOW = 1_800_000_000.0
_MAX_NAME_BYTES = 255


def main(
    count: Annotated[int, typer.Option("--keys", min=1, help="Lines of the file.")] = 10_000,
    labels: Annotated[bool, typer.Option("--labels", help="With a label on each line.")] = False,
    repeat: common.Repeat = 9,
) -> None:
    """Print the figures of a file of stream keys."""
    dice = random.Random(1)
    texts = [keys.new_key(dice.randbytes) for _ in range(count)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "keys"
        with path.open("w") as file:
            for number, text in enumerate(texts):
                label = f' label="Studio {number}"' if labels else ""
                file.write(f"show{number} {keys.spell_digest(keys.digest_of(text))}{label}\n")
        times = [_time_reading(path) for _ in range(repeat)]
        held, peak = _measure_memory(path)
        ring = KeyFile(path, _MAX_NAME_BYTES).ring
    for name, value in common.machine().items():
        print(f"- {name}: {value}")
    print(f"- keys: {count:,}, {'with' if labels else 'without'} labels")
    print(f"- read in: {statistics.median(times) * 1e3:.1f} ms, at most {max(times) * 1e3:.1f}")
    print(f"- held: {held / 1e6:.2f} MB, at most while it is read {peak / 1e6:.2f} MB")
    wrong = [text[::-1] for text in texts]
    for what, presented in (("found", texts), ("not found", wrong)):
        started = time.perf_counter()
        for text in presented:
            ring.find(text, _NOW)
        print(f"- a key {what} in: {(time.perf_counter() - started) / count * 1e9:,.0f} ns")


def _time_reading(path: Path) -> float:
    started = time.perf_counter()
    KeyFile(path, _MAX_NAME_BYTES)
    return time.perf_counter() - started


def _measure_memory(path: Path) -> tuple[int, int]:
    """Bytes that are held after it was read, and the most while it was."""
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    file = KeyFile(path, _MAX_NAME_BYTES)
    held, peak = (each - before for each in tracemalloc.get_traced_memory())
    tracemalloc.stop()
    assert len(file.ring)
    return held, peak


if __name__ == "__main__":
    typer.run(main)
