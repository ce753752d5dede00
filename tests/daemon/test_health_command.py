from __future__ import annotations

import http.server
import os
import socket
import threading

import pytest
from rtmpd_process import assert_clean_exit, rtmpd
from typer.testing import CliRunner

from rtmpd.daemon import cli


def health(*settings: str, environment: dict[str, str] | None = None):
    arguments = [part for setting in settings for part in ("--set", setting)]
    return CliRunner().invoke(cli.app, ["health", *arguments], env=environment)


@pytest.fixture
def nobody():
    """A port of this machine where nobody listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()[1]


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", ""])
def test_a_server_that_lives_is_well_wherever_it_listens(host):
    with rtmpd(f"admin.listen={host}:0") as server:
        told = health(f"admin.listen={host}:{server.port('admin')}")
        assert (told.exit_code, told.output) == (0, "ok\n")
        assert_clean_exit(server)


def test_the_environment_of_a_container_says_where():
    with rtmpd() as server:
        environment = {
            "RTMPD_ADMIN__LISTEN": f"127.0.0.1:{server.port('admin')}",
            "http_proxy": "http://127.0.0.1:1",
        }
        assert health(environment=environment).exit_code == 0
        assert_clean_exit(server)


def test_without_an_admin_port_it_is_enough_that_somebody_lets_us_in():
    with rtmpd() as server:
        assert health("admin.listen=[]", f"rtmp.listen=127.0.0.1:{server.port('rtmp')}").exit_code == 0
        server.wait_for_metric("rtmpd_connections_accepted_total", lambda value: value == 1)
        assert_clean_exit(server)


def test_unix_sockets_are_asked_too(tmp_path_factory):
    folder = tmp_path_factory.mktemp("u")
    admin, rtmp = f"unix:{folder}/admin", f"unix:{folder}/rtmp"
    with rtmpd(
        f'admin.listen=["127.0.0.1:0", "{admin}"]', f'rtmp.listen=["127.0.0.1:0", "{rtmp}"]'
    ) as server:
        server.log.wait_for({"event": "listening", "protocol": "admin", "address": admin})
        assert health(f"admin.listen={admin}").output == "ok\n"
        assert health("admin.listen=[]", f"rtmp.listen={rtmp}").exit_code == 0
        server.wait_for_metric("rtmpd_connections_accepted_total", lambda value: value == 1)
        assert_clean_exit(server)
    assert list(folder.iterdir()) == []
    told = health(f"admin.listen={admin}")
    assert (told.exit_code, told.stderr) == (
        1,
        f"rtmpd: {admin} does not answer: No such file or directory\n",
    )


def test_a_server_that_is_gone_is_told(nobody):
    for settings in (
        [f"admin.listen=127.0.0.1:{nobody}"],
        ["admin.listen=[]", f"rtmp.listen=127.0.0.1:{nobody}"],
    ):
        told = health(*settings)
        assert told.exit_code == 1
        assert told.stderr == f"rtmpd: 127.0.0.1:{nobody} does not answer: Connection refused\n"


def test_another_server_at_the_address_is_told():
    class Silent(http.server.BaseHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Silent) as other:
        threading.Thread(target=other.handle_request, daemon=True).start()
        told = health(f"admin.listen=127.0.0.1:{other.server_port}")
    assert (told.exit_code, told.stderr) == (1, f"rtmpd: 127.0.0.1:{other.server_port} answers 501\n")


def test_a_port_that_nobody_can_know_and_a_mistake_are_told():
    assert "nobody can ask there" in health("admin.listen=127.0.0.1:0").stderr
    assert health("admin.listn=127.0.0.1:1").exit_code == os.EX_CONFIG
