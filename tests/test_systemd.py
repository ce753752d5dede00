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


def test_what_the_docs_put_into_folders_of_the_service_has_them(service):
    """The server makes none of them: nothing is to be written beside a drive that is not mounted."""
    folders = {f"/var/lib/{each}" for each in service["StateDirectory"].split()}
    for document in (UNITS.parent / "docs").glob("*.md"):
        named = re.findall(r'^(?:root|path) = "(/var/lib/rtmpd/[^"]*)"', document.read_text(), re.MULTILINE)
        assert set(named) <= folders, document


def test_settings_are_checked_before_a_reload_with_the_files_that_the_server_has(service):
    """Credentials, too: what is run by ExecReload= is shown none of them before systemd 257."""
    text = (UNITS / "rtmpd.service").read_text()
    check, have_read = re.findall(r"^ExecReload=(.+)$", text, re.MULTILINE)
    # systemd puts a number in place of a whole word alone.
    assert check.split()[:4] == ["+/usr/bin/nsenter", "--mount", "--target", "$MAINPID"]
    settings = service["ExecStart"].partition(" serve ")[2]
    assert check.split()[4:] == ["/opt/rtmpd/bin/rtmpd", "check", "-q", *settings.split()]
    assert have_read.split() == ["/bin/kill", "-HUP", "$MAINPID"]


def test_the_socket_is_the_default_port():
    (port,) = re.findall(r"^ListenStream=(\d+)$", (UNITS / "rtmpd.socket").read_text(), re.MULTILINE)
    assert [each.address.port for each in Config().rtmp.entrances()] == [int(port)]
