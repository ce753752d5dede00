import os
import shutil

import pytest
from ffmpeg import FFmpeg
from live_fixtures import clip, server, url

__all__ = ["clip", "server", "url"]


def find_tool(name: str) -> str:
    """Path of a program; a missing one skips the test, or fails it where .ci/run has installed everything."""
    path = shutil.which(name)
    if path is None:
        report = pytest.fail if os.environ.get("INTEROP_REQUIRED") else pytest.skip
        report(f"{name} is not installed; .ci/run installs it")
    return path


@pytest.fixture(scope="session")
def debian_ffmpeg() -> FFmpeg:
    """The system's ffmpeg. Debian builds it with librtmp, the library in OBS."""
    return FFmpeg(find_tool("ffmpeg"))


@pytest.fixture(scope="session")
def rtmpdump() -> str:
    return find_tool("rtmpdump")


@pytest.fixture(scope="session")
def gst_launch() -> str:
    return find_tool("gst-launch-1.0")
