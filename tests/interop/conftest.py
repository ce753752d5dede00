import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from ffmpeg import FFmpeg
from live_fixtures import clip, server, url
from nginx_rtmp import NginxRtmp, find_module, nginx_rtmp
from node_media_server import NodeMediaServer, install
from node_media_server import node_media_server as start_node_media_server
from tools import find_tool, missing

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


@pytest.fixture
def nginx(tmp_path: Path) -> Iterator[NginxRtmp]:
    module = find_module()
    if module is None:
        missing("libnginx-mod-rtmp is not installed; .ci/run installs it")
    directory = tmp_path / "nginx"
    directory.mkdir()
    with nginx_rtmp(find_tool("nginx"), module, directory) as running:
        yield running


@pytest.fixture(scope="session")
def node_media_server_program(pytestconfig: pytest.Config) -> Path:
    """Downloaded once into pytest's cache, which is ignored by git."""
    npm = find_tool("npm")
    try:
        return install(npm, pytestconfig.cache.mkdir("npm"))
    except (OSError, subprocess.SubprocessError) as error:
        missing(f"npm cannot install node-media-server: {error}")


@pytest.fixture
def node_media_server(node_media_server_program: Path, tmp_path: Path) -> Iterator[NodeMediaServer]:
    with start_node_media_server(find_tool("node"), node_media_server_program, tmp_path) as running:
        yield running
