"""Which form of the hot modules runs: compiled by mypyc, or the same files as pure Python."""

from __future__ import annotations

import platform
from importlib.machinery import EXTENSION_SUFFIXES
from importlib.util import find_spec


def form() -> str:
    """``compiled`` or ``pure Python``, by what the module that every byte goes through is loaded from."""
    spec = find_spec("rtmpd.rtmp.chunks")
    origin = spec.origin if spec else None
    return "compiled" if (origin or "").endswith(tuple(EXTENSION_SUFFIXES)) else "pure Python"


def described() -> str:
    """The form and what runs it, such as ``compiled, CPython 3.11.7``."""
    return f"{form()}, {platform.python_implementation()} {platform.python_version()}"
