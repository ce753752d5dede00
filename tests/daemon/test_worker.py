"""What the worker has wired together: the service manager, signals, files, the collector, the sampler."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
from collections.abc import Iterator

import pytest
from client_kit import AVC_HEADER, keyframe
from rtmpd_process import RtmpdProcess, assert_clean_exit, rtmpd

import rtmpd as client
from rtmpd.daemon import ending, logs, looks, worker
from rtmpd.daemon.access_side import AccessSide
from rtmpd.daemon.config import Config
from rtmpd.daemon.settings import Settings
from rtmpd.engine.registry import Registry

TIMEOUT = 15.0


@pytest.fixture
def manager(tmp_path):
    """A service manager: the address for NOTIFY_SOCKET, and the socket that it reads."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "notify"))
        sock.settimeout(TIMEOUT)
        yield str(tmp_path / "notify"), sock


def shell(script: str) -> list[str]:
    """A launcher that runs a line of shell first."""
    return ["/bin/bash", "-c", f'{script}; exec "$@"', "launcher"]


# -- the service manager


def test_the_manager_hears_that_we_are_ready_then_that_we_live_then_that_we_end(manager):
    address, sock = manager
    environment = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "100000"}
    with rtmpd("shutdown.drain_timeout=3s", environment=environment) as server:
        ready = sock.recv(1000).decode()
        assert re.fullmatch(rf"READY=1\nSTATUS=rtmpd \S+ on 127\.0\.0\.1:{server.port('rtmp')}", ready)
        assert server.get("/readyz") == "ready\n"
        assert {sock.recv(1000) for _ in range(5)} == {b"WATCHDOG=1"}
        assert_clean_exit(server)
    sock.setblocking(False)
    told = []
    with contextlib.suppress(BlockingIOError):
        while True:
            told.append(sock.recv(1000).decode())
    within = round((3.0 + ending.STOP_MARGIN) * 1e6)
    assert f"STOPPING=1\nEXTEND_TIMEOUT_USEC={within}\nSTATUS=ending connections" in told


def test_an_unwatched_server_does_not_say_that_it_lives(manager):
    address, sock = manager
    with rtmpd(environment={"NOTIFY_SOCKET": address}) as server:
        assert_clean_exit(server)
    assert sock.recv(1000).startswith(b"READY=1")
    assert sock.recv(1000).startswith(b"STOPPING=1")


def test_a_socket_that_is_handed_over_is_served_instead_of_the_configured_address():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        launcher = shell(f"export LISTEN_PID=$$ LISTEN_FDS=1; exec 3<&{listener.fileno()}")
        with rtmpd(launcher=launcher, pass_fds=[listener.fileno()]) as server:
            assert server.port("rtmp") == listener.getsockname()[1]
            assert "connections_accepted_total 0" in server.get("/metrics")
            with socket.create_connection(listener.getsockname(), timeout=TIMEOUT):
                server.wait_for_metric("rtmpd_connections_accepted_total", lambda value: value == 1)
            assert_clean_exit(server)


def test_a_unix_socket_that_is_handed_over_is_served_and_its_file_left(tmp_path_factory):
    path = tmp_path_factory.mktemp("u") / "rtmp.sock"
    with socket.create_server(("127.0.0.1", 0)) as port, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        numbers = [port.fileno(), listener.fileno()]
        # To where neither is in the other's way.
        high = "exec 50<&{} 51<&{}; exec 3<&50 4<&51".format(*numbers)
        launcher = shell(f"export LISTEN_PID=$$ LISTEN_FDS=2; {high}")
        with rtmpd(launcher=launcher, pass_fds=numbers) as server:
            server.log.wait_for({"event": "listening", "protocol": "rtmp", "address": f"unix:{path}"})
            with socket.socket(socket.AF_UNIX) as peer:
                peer.settimeout(TIMEOUT)
                peer.connect(str(path))
                peer.sendall(b"no handshake")
                server.log.wait_for({"event": "protocol error", "client": "unix"})
                assert peer.recv(1) == b""
            assert_clean_exit(server)
    assert path.is_socket()


def test_streams_that_are_always_fetched_are_fetched_from_the_start():
    with socket.create_server(("127.0.0.1", 0)) as origin:
        origin.settimeout(TIMEOUT)
        port = origin.getsockname()[1]
        settings = [
            f'apps.live.pull.from=["rtmp://127.0.0.1:{port}/live/cam"]',
            "apps.live.pull.on_demand=false",
            'apps.live.pull.names=["cam"]',
        ]
        with rtmpd(*settings) as server:
            connection, _ = origin.accept()
            connection.close()
            assert_clean_exit(server)


# -- signals


@pytest.fixture
def hang_ups_default() -> Iterator[None]:
    """Whoever started the tests may have SIGHUP ignored, as nohup does, and a server inherits that."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("hang_ups_default")
def test_a_hang_up_ends_nothing():
    with rtmpd() as server:
        server.send_signal(signal.SIGHUP)
        server.log.wait_for({"event": "settings read", "by": "signal", "changed": 0})
        assert server.get("/readyz") == "ready\n"
        assert_clean_exit(server)


def test_a_hang_up_that_came_ignored_stays_ignored():
    with rtmpd(launcher=shell("trap '' HUP")) as server:
        server.send_signal(signal.SIGHUP)
        assert_clean_exit(server)
        assert not server.log.find({"event": "settings read"})


@contextlib.asynccontextmanager
async def stalled_player(server: RtmpdProcess):
    """Somebody who plays a stream and reads none of it, with more waiting than any kernel takes."""
    url = server.url("show")
    async with await client.connect(url) as source, await client.connect(url) as sink:
        player = await sink.play()
        stream = await source.publish()
        await stream.send(9, AVC_HEADER, 0)
        for number in range(1000):
            await stream.send(9, keyframe(bytes(1_000_000)), number * 40)
            # In a thread, as the loop has to send meanwhile.
            missed = await asyncio.to_thread(
                server.metric, "rtmpd_dropped_packets_total", reason="slow_video"
            )
            if missed:
                break
        yield player


async def test_the_end_says_whom_it_waits_for_and_a_second_signal_is_the_end_at_once():
    with rtmpd("shutdown.drain_timeout=5m") as server:
        async with stalled_player(server):
            server.send_signal(signal.SIGINT)
            server.log.wait_for({"event": "stopping", "publishers": 1, "players": 1})
            line = server.log.wait_for({"event": "waiting; once more ends at once", "players": 1})
            assert line["up_to"] == 299.0
            with pytest.raises(urllib.error.HTTPError, match="503"):
                server.get("/readyz")
            server.send_signal(signal.SIGINT)
            assert server.wait() == ending.EX_CUT
            assert server.log.find({"event": "connections cut off"})
            assert server.log.find({"event": "stopped"})


async def test_the_first_signal_alone_waits_no_longer_than_it_may():
    with rtmpd("shutdown.drain_timeout=1500ms") as server:
        async with stalled_player(server):
            assert server.terminate() == ending.EX_CUT
            (line,) = server.log.find({"event": "stopped"})
            assert isinstance(line["duration"], float)
            assert 1.5 <= line["duration"] < ending.STOP_MARGIN + 1.5


# -- files


def test_the_limit_of_files_is_raised_to_the_hard_one():
    with rtmpd(launcher=shell("ulimit -Sn 256; ulimit -Hn 1024")) as server:
        assert server.metric("process_max_fds") == 1024
        assert_clean_exit(server)


def test_too_few_files_are_said_and_refused_in_order_and_leave_the_admin_port_its_own():
    with rtmpd(launcher=shell("ulimit -n 80")) as server, contextlib.ExitStack() as connections:
        server.log.wait_for(
            {
                "event": "too few files for rtmp.limits.max_connections",
                "max_connections": 16,
                "configured": 10_000,
            }
        )
        address = ("127.0.0.1", server.port("rtmp"))
        for _ in range(30):
            connections.enter_context(socket.create_connection(address, timeout=TIMEOUT))
        server.wait_for_metric("rtmpd_refusals_total", lambda value: value == 14, reason="max_connections")
        assert server.get("/healthz") == "ok\n"
        connections.close()
        assert_clean_exit(server)


def test_enough_files_are_no_line():
    with rtmpd(launcher=shell("ulimit -n 10100")) as server:
        assert_clean_exit(server)
        assert not server.log.find({"event": "too few files for rtmp.limits.max_connections"})


# -- the loop


def test_the_collector_leaves_what_exists_alone_and_comes_rarely():
    program = """
import gc, os, signal, sys, threading, time
from rtmpd.daemon import cli

def watch():
    while not gc.get_freeze_count():
        time.sleep(0.01)
    print(gc.get_threshold()[0], gc.get_freeze_count())
    os.kill(os.getpid(), signal.SIGTERM)

threading.Thread(target=watch, daemon=True).start()
cli.main()
"""
    settings = [
        "--set",
        "rtmp.listen=127.0.0.1:0",
        "--set",
        "admin.listen=[]",
        "--set",
        "http.listen=[]",
        "--set",
        "log.format=json",
    ]
    done = subprocess.run(
        [sys.executable, "-c", program, "serve", *settings],
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=True,
    )
    threshold, frozen = map(int, done.stdout.split())
    assert threshold == 20_000
    assert frozen > 10_000


def test_the_lag_of_the_loop_is_measured():
    with rtmpd() as server:
        server.wait_for_metric("rtmpd_event_loop_lag_seconds_count", lambda value: value > 2)


def test_a_sampler_that_fails_once_goes_on(monkeypatch, caplog):
    """A bug in one round must not end the deadlines of slow players for good, nor keep keys as they were."""
    rounds = []
    seen = []

    def sample(registry: Registry, now: float) -> None:
        rounds.append(now)
        if len(rounds) == 1:
            raise ZeroDivisionError
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(looks, "_INTERVAL", 0.01)
    monkeypatch.setattr(Registry, "sample", sample)
    monkeypatch.setattr(AccessSide, "look", lambda _access: seen.append(len(rounds)))
    monkeypatch.setattr(worker.gc, "freeze", lambda: None)
    monkeypatch.setattr(worker.gc, "set_threshold", lambda *numbers: None)
    config = Config.model_validate(
        {
            "rtmp": {"listen": ["127.0.0.1:0"]},
            "admin": {"listen": []},
            "http": {"listen": []},
            "log": {"format": "json"},
        }
    )
    rescue = threading.Timer(TIMEOUT, os.kill, (os.getpid(), signal.SIGTERM))
    rescue.start()
    try:
        with logs.configured("info", "json") as log:
            assert worker.run(Settings(config, {}), lambda: Settings(config, {}), log) == 0
    finally:
        rescue.cancel()
    assert len(rounds) >= 2
    assert seen[0] == 1
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert record.message == "sampling failed"
    assert record.exc_info is not None
