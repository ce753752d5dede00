"""Whether a file has changed, as far as can be told without reading it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from rtmpd.net.file_stamps import stamp_at, stamp_of


def rewrite(path: Path) -> None:
    path.write_text("a longer one")


def put_another_in_its_place(path: Path) -> None:
    """As long, and as old."""
    before = path.stat()
    other = path.with_name("other")
    other.write_text("later")
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.replace(path)


def let_others_read(path: Path) -> None:
    before = path.stat().st_ctime_ns
    while path.stat().st_ctime_ns == before:  # Of some kernels it counts in steps of milliseconds.
        path.chmod(0o644)


@pytest.mark.parametrize("change", [rewrite, put_another_in_its_place, let_others_read, Path.unlink])
@pytest.mark.parametrize("linked", [False, True])
def test_whatever_becomes_of_a_file_is_seen(
    tmp_path: Path, change: Callable[[Path], None], linked: bool
) -> None:
    path = looked_at = tmp_path / "file"
    path.write_text("first")
    path.chmod(0o600)
    if linked:
        looked_at = tmp_path / "link"
        looked_at.symlink_to(path)
    before = stamp_at(looked_at)
    assert before == stamp_at(looked_at) == stamp_of(path.stat())
    change(path)
    assert stamp_at(looked_at) != before
