"""make run on a machine that lacks something: what it says, and that it works once that is there."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PYTHON = """#!/bin/sh
# A python3 whose venv leaves a python without pip and fails, as long as a file "broken" is there.
case "$1 $2" in
  "-m venv") mkdir -p "$3/bin" && cp "$0" "$3/bin/python" && test ! -e broken && touch "$3/pip" ;;
  "-m pip") test -e "$(dirname "$(dirname "$0")")/pip" ;;
esac
"""


@pytest.fixture
def checkout(tmp_path):
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "server").mkdir()
    python = tmp_path / "python3"
    python.write_text(PYTHON)
    python.chmod(0o755)
    return tmp_path


def make(checkout: Path, target: str) -> subprocess.CompletedProcess[str]:
    command = ["make", f"PYTHON={checkout}/python3", target]
    # As nobody's child: the make that runs these tests would have this one say where it is.
    environment = {key: value for key, value in os.environ.items() if not key.startswith("MAKE")}
    return subprocess.run(
        command, cwd=checkout, env=environment, capture_output=True, text=True, timeout=30, check=False
    )


@pytest.mark.skipif(not shutil.which("make"), reason="make is not installed")
def test_a_debian_without_venv_is_told_what_to_install_and_works_after_that(checkout):
    (checkout / "broken").touch()
    for _ in range(2):
        failed = make(checkout, ".venv/.runtime")
        assert failed.returncode != 0
        assert "apt install python3-venv" in failed.stderr
        assert not (checkout / ".venv").exists()
    (checkout / "broken").unlink()
    done = make(checkout, ".venv/.runtime")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "Installing rtmpd and what it needs into .venv ...\n"
    assert make(checkout, ".venv/.runtime").stdout.startswith("make: "), "nothing is left to do"
