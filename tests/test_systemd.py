"""The units of systemd/: valid, confined, and in step with the configuration's defaults."""

from __future__ import annotations

import configparser
import re
import subprocess
from pathlib import Path

import pytest
from tools import find_tool

from rtmpd.daemon.config import Config

UNITS = Path(__file__).parent.parent / "systemd"


@pytest.fixture
def service() -> configparser.SectionProxy:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str
    parser.read(UNITS / "rtmpd.service")
    return parser["Service"]


def analyze(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [find_tool("systemd-analyze"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_units_are_valid(tmp_path):
    # The program is not installed here, which alone would be a complaint.
    for unit in ("rtmpd.service", "rtmpd.socket"):
        text = (UNITS / unit).read_text().replace("/opt/rtmpd/bin/rtmpd", "/bin/true")
        (tmp_path / unit).write_text(text)
    done = analyze("verify", "--man=no", tmp_path / "rtmpd.service", tmp_path / "rtmpd.socket")
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_the_service_is_confined():
    done = analyze("security", "--offline=true", "--no-pager", UNITS / "rtmpd.service")
    match = re.search(r"Overall exposure level for rtmpd.service: ([\d.]+) (\w+)", done.stdout)
    assert match, done.stdout + done.stderr
    assert match[2] == "OK"
    assert float(match[1]) < 2


def test_the_service_is_given_the_time_to_end_and_the_files_to_serve(service):
    config = Config()
    assert float(service["TimeoutStopSec"].removesuffix("s")) > config.shutdown.drain_timeout
    assert int(service["LimitNOFILE"]) > config.rtmp.limits.max_connections


def test_processes_of_streams_are_left_to_the_server(service):
    assert service["KillMode"] == "mixed"
    assert service["OOMPolicy"] == "continue"


def test_the_socket_is_the_default_port():
    (port,) = re.findall(r"^ListenStream=(\d+)$", (UNITS / "rtmpd.socket").read_text(), re.MULTILINE)
    assert [each.address.port for each in Config().rtmp.entrances()] == [int(port)]
