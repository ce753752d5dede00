"""How many files recordings and plays of files may open: others need some, too."""

from __future__ import annotations

import errno


def check_descriptor(fd: int, end: int) -> None:
    """Raise OSError, EMFILE, if ``fd`` is not below ``end``: it was the lowest that was free."""
    if fd >= end:
        raise OSError(errno.EMFILE, "the process has too many files open")
