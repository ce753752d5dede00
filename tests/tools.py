"""Programs that are not from pip: .ci/run installs them, and then none may be missing."""

from __future__ import annotations

import os
import shutil
from typing import NoReturn

import pytest


def missing(message: str) -> NoReturn:
    """Skip the test, or fail it where .ci/run has installed everything."""
    if os.environ.get("INTEROP_REQUIRED"):
        pytest.fail(message)
    pytest.skip(message)


def find_tool(name: str) -> str:
    """Path of a program; a missing one skips the test, or fails it where .ci/run has installed everything."""
    path = shutil.which(name)
    if path is None:
        missing(f"{name} is not installed; .ci/run installs it")
    return path
