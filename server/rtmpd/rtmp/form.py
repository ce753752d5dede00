"""Which form of the hot modules runs: compiled by mypyc, or the same files as pure Python."""

from __future__ import annotations

import platform
from importlib.machinery import EXTENSION_SUFFIXES

from rtmpd.rtmp import chunks


def form() -> str:
    """``compiled`` or ``pure Python``, by what the module that every byte goes through was loaded from."""
    return "compiled" if (chunks.__file__ or "").endswith(tuple(EXTENSION_SUFFIXES)) else "pure Python"


def described() -> str:
    """The form and what runs it, such as ``compiled, CPython 3.11.7``."""
    return f"{form()}, {platform.python_implementation()} {platform.python_version()}"
