from __future__ import annotations

import gc
from collections.abc import Generator

import pytest
from hypothesis import settings

# How long a busy machine takes over an example says nothing about the code.
settings.register_profile("rtmpd", deadline=None)
settings.load_profile("rtmpd")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is loaded here stays: a million objects that the collector of cycles need not look through."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()
