"""How it is known that a file has changed, without reading it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TypeAlias

Stamp: TypeAlias = tuple[int, ...]
"""Another one as soon as the file, or what a link leads to, is another, has been written to, may be read by
others than before, or is not there."""


def stamp_at(path: Path) -> Stamp:
    """Of the file that is there now, or of its absence."""
    try:
        return stamp_of(path.stat())
    except OSError as error:
        return (error.errno or 0,)


def stamp_of(found: os.stat_result) -> Stamp:
    """Of a file that somebody has looked at."""
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
