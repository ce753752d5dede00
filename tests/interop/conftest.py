import pytest
from ffmpeg import FFmpeg
from live_fixtures import clip, server, url
from tools import find_tool

__all__ = ["clip", "server", "url"]


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
