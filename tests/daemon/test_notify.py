from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from rtmpd.daemon import notify
from rtmpd.exceptions import ConfigError

PID = 4711


@pytest.fixture(params=["path", "abstract"])
def manager(request, tmp_path):
    """A service manager's socket: (address as in NOTIFY_SOCKET, the socket)."""
    if request.param == "abstract" and sys.platform != "linux":
        pytest.skip("abstract sockets are Linux's")
    name = str(tmp_path / "notify") if request.param == "path" else f"@rtmpd-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind("\0" + name[1:] if name.startswith("@") else name)
        sock.setblocking(False)
        yield name, sock


def test_states_reach_the_manager(manager):
    address, sock = manager
    notifier = notify.Notifier(address)
    notifier.ready("listening on :1935\nMAINPID=1")
    notifier.watchdog()
    notifier.stopping("ending connections", within=12.5)
    notifier.close()
    notifier.watchdog()
    received = [sock.recv(1000) for _ in range(3)]
    assert received == [
        b"READY=1\nSTATUS=listening on :1935 MAINPID=1",
        b"WATCHDOG=1",
        b"STOPPING=1\nEXTEND_TIMEOUT_USEC=12500000\nSTATUS=ending connections",
    ]
    with pytest.raises(BlockingIOError):
        sock.recv(1000)


@pytest.mark.parametrize("address", [None, "", "/nonexistent/notify", "/" + "x" * 200])
def test_without_a_manager_nothing_happens(address):
    notifier = notify.Notifier(address)
    notifier.ready()
    notifier.watchdog()
    notifier.close()


def test_a_manager_that_does_not_read_blocks_nobody(manager):
    address, sock = manager
    notifier = notify.Notifier(address)
    for _ in range(10_000):
        notifier.watchdog()
    sock.close()
    notifier.watchdog()
    notifier.close()


@pytest.mark.parametrize(
    ("environ", "interval"),
    [
        ({"WATCHDOG_USEC": "30000000"}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(PID)}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_watchdog_interval_is_half_of_what_is_allowed(environ, interval):
    assert notify.watchdog_interval(environ, PID) == interval


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"LISTEN_FDS": "1"},
        {"LISTEN_FDS": "1", "LISTEN_PID": "1"},
        {"LISTEN_FDS": "x", "LISTEN_PID": str(PID)},
    ],
)
def test_sockets_meant_for_another_process_are_left_alone(environ):
    assert notify.listen_fds(environ, PID) == []


def test_inherited_sockets_are_taken_over():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        fd = os.dup(listener.fileno())
        os.set_inheritable(fd, True)
        environ = {"LISTEN_FDS": "1", "LISTEN_PID": str(PID)}
        (inherited,) = notify.listen_fds(environ, PID, first=fd)
        with inherited:
            assert inherited.getsockname() == listener.getsockname()
            assert not inherited.getblocking()
            assert not inherited.get_inheritable()


@pytest.fixture
def path(tmp_path_factory):
    """Of a Unix socket: short, as some folders of tests are too deep."""
    return tmp_path_factory.mktemp("u") / "rtmp.sock"


def test_inherited_unix_sockets_are_taken_over(path):
    environ = {"LISTEN_FDS": "1", "LISTEN_PID": str(PID)}
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        (inherited,) = notify.listen_fds(environ, PID, first=os.dup(listener.fileno()))
    with inherited:
        assert inherited.getsockname() == str(path)
        assert not inherited.getblocking()


def test_what_does_not_listen_where_peers_come_is_refused(path):
    environ = {"LISTEN_FDS": "1", "LISTEN_PID": str(PID)}
    with socket.socket() as client, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        for sock in (client, udp):
            with pytest.raises(ConfigError, match="does not listen for TCP or on a path"):
                notify.listen_fds(environ, PID, first=os.dup(sock.fileno()))
    with socket.socket(socket.AF_UNIX) as silent, socket.socket(socket.AF_UNIX) as abstract:
        silent.bind(str(path))
        abstract.bind(f"\0{path}")
        abstract.listen()
        for sock in (silent, abstract):
            with pytest.raises(ConfigError, match="does not listen for TCP or on a path"):
                notify.listen_fds(environ, PID, first=os.dup(sock.fileno()))
    fd = os.open(os.devnull, os.O_RDONLY)
    with pytest.raises(ConfigError, match="Socket operation on non-socket"):
        notify.listen_fds(environ, PID, first=fd)
    os.close(fd)


def test_a_started_process_finds_descriptor_3():
    # As a manager does it: the socket is descriptor 3, LISTEN_PID the process that exec made.
    server = Path(notify.__file__).parents[2]
    program = (
        "import os; from rtmpd.daemon import notify\n"
        "for s in notify.listen_fds(os.environ, os.getpid()): print(*s.getsockname()); s.close()"
    )
    with socket.create_server(("127.0.0.1", 0)) as listener:
        script = f'LISTEN_PID=$$ LISTEN_FDS=1 exec "$0" -c "$1" 3<&{listener.fileno()}'
        done = subprocess.run(
            ["/bin/bash", "-c", script, sys.executable, program],
            env={**os.environ, "PYTHONPATH": str(server)},
            pass_fds=[listener.fileno()],
            capture_output=True,
            text=True,
            check=True,
            timeout=30,
        )
        host, port = listener.getsockname()
    assert done.stdout == f"{host} {port}\n"
