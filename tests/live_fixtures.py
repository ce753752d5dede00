"""Fixtures of the tests that run the real server: one server and one set of clips for all of them."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from media_clips import Recipe, make_clip
from rtmpd_process import RtmpdProcess, assert_clean_exit, rtmpd

ClipMaker = Callable[[Recipe], Path]


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> ClipMaker:
    """The clip of a recipe, encoded once per run, whatever the number of test processes."""
    run = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        run = run.parent
    directory = run / "clips"
    directory.mkdir(exist_ok=True)
    return lambda recipe: make_clip(recipe, directory)


@pytest.fixture(scope="session")
def server() -> Iterator[RtmpdProcess]:
    """A server shared by tests that use names of their own; it must end cleanly after all of them."""
    with rtmpd("http.listen=127.0.0.1:0", "http.origins=*") as process:
        yield process
        assert_clean_exit(process)


_numbers = itertools.count(1)


@pytest.fixture
def url(server: RtmpdProcess) -> str:
    """The address of a stream that no other test uses."""
    return server.url(f"stream{next(_numbers)}")
