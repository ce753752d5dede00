"""Listening sockets: bound where they should be, and what is in their way."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import grp
import os
import pwd
import socket
import threading
from pathlib import Path

import pytest

from rtmpd.exceptions import ConfigError
from rtmpd.net.addresses import Address, peer_ip
from rtmpd.net.entrances import UNIX_MODE, Entrance
from rtmpd.net.listeners import Listener, bound_address, open_listener, permit

HAS_IPV6 = socket.has_dualstack_ipv6()


def test_a_listener_is_bound_and_does_not_block() -> None:
    with open_listener(Address("127.0.0.1", 0)) as sock:
        assert sock.getblocking() is False
        address = bound_address(sock)
        assert address.host == "127.0.0.1"
        assert address.port > 0


def test_a_listener_without_a_host_takes_both_families() -> None:
    with open_listener(Address("", 0)) as sock:
        address = bound_address(sock)
        assert address.host == ""
        for host in ("127.0.0.1", "::1") if HAS_IPV6 else ("127.0.0.1",):
            with socket.create_connection((host, address.port), timeout=5) as client:
                peer, name = sock.accept()
                with peer:
                    assert peer_ip(name) == host == client.getsockname()[0]


def test_a_taken_port_is_named_with_what_to_do() -> None:
    with open_listener(Address("127.0.0.1", 0)) as sock:
        taken = bound_address(sock)
        with pytest.raises(
            ConfigError,
            match=rf"cannot listen on {taken}: Address already in use; is another server running there\?",
        ):
            open_listener(taken)


@pytest.mark.skipif(not HAS_IPV6, reason="needs IPv6")
def test_a_port_taken_on_ipv6_alone_is_not_silently_listened_on_with_ipv4() -> None:
    with (
        socket.create_server(("::", 0), family=socket.AF_INET6) as sock,
        pytest.raises(ConfigError, match="is another server running there"),
    ):
        open_listener(Address("", sock.getsockname()[1]))


def test_a_kernel_without_ipv6_is_listened_on_with_ipv4(monkeypatch: pytest.MonkeyPatch) -> None:
    create_server = socket.create_server

    def no_ipv6(*args, family=socket.AF_INET, **options):
        if family == socket.AF_INET6:
            raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")
        return create_server(*args, family=family, **options)

    monkeypatch.setattr(socket, "has_dualstack_ipv6", lambda: True)
    monkeypatch.setattr(socket, "create_server", no_ipv6)
    with open_listener(Address("", 0)) as sock:
        assert sock.family == socket.AF_INET


def test_an_unknown_host_is_a_mistake_in_the_configuration() -> None:
    with pytest.raises(ConfigError, match=r"cannot listen on 203\.0\.113\.1:1935: .*check the address"):
        open_listener(Address("203.0.113.1", 1935))


@pytest.mark.parametrize("host", ["a" * 64, f"{'a' * 64}.invalid", ".invalid"])
def test_a_host_that_cannot_exist_is_one_too(host: str) -> None:
    with pytest.raises(ConfigError, match=f"cannot listen on {host}:1935: .*check the address"):
        open_listener(Address(host, 1935))


# -- Unix sockets


@pytest.fixture
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a Unix socket: short, as some folders of tests are too deep."""
    folder = tmp_path_factory.mktemp("u")
    return folder / "rtmp.sock"


def at(path: Path) -> Address:
    return Address("", 0, str(path))


def test_a_unix_socket_is_for_its_user_and_group(path: Path) -> None:
    with open_listener(at(path)) as sock:
        assert path.stat().st_mode & 0o777 == UNIX_MODE == 0o660
        assert (sock.getblocking(), bound_address(sock)) == (False, at(path))
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            peer, name = sock.accept()
            peer.close()
            assert peer_ip(name) == "unix"


def test_what_a_server_that_was_killed_has_left_is_replaced(path: Path) -> None:
    open_listener(at(path)).close()
    assert path.is_socket()
    with open_listener(at(path)), socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))


def test_a_server_that_lives_keeps_its_socket(path: Path) -> None:
    with open_listener(at(path)) as sock:
        with pytest.raises(ConfigError, match=rf"cannot listen on unix:{path}: .*is another server running"):
            open_listener(at(path))
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            sock.accept()[0].close()  # Of the one that asked.
            sock.accept()[0].close()


def test_a_server_that_is_too_busy_to_accept_keeps_its_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as sock, socket.socket(socket.AF_UNIX) as first:
        sock.bind(str(path))
        sock.listen(0)
        first.connect(str(path))
        with pytest.raises(ConfigError, match="is another server running"):
            open_listener(at(path))
        assert path.is_socket()


def test_a_file_that_is_no_socket_stays(path: Path) -> None:
    path.write_text("a diary")
    with pytest.raises(ConfigError, match="there is a file that is no socket; check the address"):
        open_listener(at(path))
    assert path.read_text() == "a diary"


def test_a_link_to_a_socket_is_not_followed(path: Path) -> None:
    open_listener(at(path)).close()
    link = path.with_name("link")
    link.symlink_to(path)
    with pytest.raises(ConfigError, match="no socket"):
        open_listener(at(link))


def test_no_folder(path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file or directory; check the address and your rights"):
        open_listener(at(path.parent / "none" / "x"))


def test_a_folder_that_somebody_keeps_locked_holds_nobody_up(path: Path) -> None:
    folder = os.open(path.parent, os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)
    with pytest.raises(ConfigError, match=f"cannot listen on unix:{path}: somebody keeps its folder locked;"):
        open_listener(at(path))
    os.close(folder)
    open_listener(at(path)).close()


def test_a_folder_that_is_locked_for_a_moment_is_waited_for(path: Path) -> None:
    folder = os.open(path.parent, os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)
    unlocking = threading.Timer(0.03, os.close, (folder,))
    unlocking.start()
    open_listener(at(path)).close()
    unlocking.join()


def serve(path: Path) -> Listener:
    return asyncio.run(Listener.start(open_listener(at(path)), asyncio.Protocol))


def test_the_file_goes_with_the_listener(path: Path) -> None:
    listener = serve(path)
    assert path.is_socket()
    listener.close()
    listener.close()
    assert not path.exists()


def test_the_file_of_a_successor_stays(path: Path) -> None:
    listener = serve(path)
    path.rename(path.with_name("old"))
    with open_listener(at(path)):
        listener.close()
        assert path.is_socket()


# -- Their owner and mode


def mode_and_group(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_mode & 0o777, found.st_gid


def test_its_mode_is_as_said(path: Path) -> None:
    with open_listener(Entrance(at(path), mode=0o606)):
        assert path.stat().st_mode & 0o777 == 0o606


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
@pytest.mark.parametrize(
    ("owner", "uid", "gid"),
    [
        ("nobody", pwd.getpwnam("nobody").pw_uid, os.getegid()),
        (":daemon", os.geteuid(), grp.getgrnam("daemon").gr_gid),
        ("nobody:daemon", pwd.getpwnam("nobody").pw_uid, grp.getgrnam("daemon").gr_gid),
        ("12345:54321", 12345, 54321),
    ],
)
def test_its_owner_is_as_said(path: Path, owner: str, uid: int, gid: int) -> None:
    with open_listener(Entrance(at(path), owner=owner)):
        assert (path.stat().st_uid, path.stat().st_gid) == (uid, gid)


@pytest.mark.parametrize(
    ("owner", "told"),
    [("no-such-user", "this machine has no user no-such-user"), (":none-such", "no group none-such")],
)
def test_an_owner_that_does_not_exist_is_told_and_leaves_no_file(path: Path, owner: str, told: str) -> None:
    with pytest.raises(ConfigError, match=rf"cannot listen on unix:{path}: .*{told}; check the address"):
        open_listener(Entrance(at(path), owner=owner))
    assert not path.exists()


@pytest.fixture(params=[errno.EPERM, errno.EINVAL], ids=["forbidden", "not in this namespace"])
def no_chown(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    def chown(*_arguments: object) -> None:
        raise OSError(request.param, os.strerror(request.param))

    monkeypatch.setattr(os, "chown", chown)


@pytest.mark.usefixtures("no_chown")
def test_an_owner_to_whom_it_may_not_be_given_is_told(path: Path) -> None:
    told = (
        "not give its file to nobody: only root may, or to a group that it is in; under systemd write Group="
    )
    with pytest.raises(ConfigError, match=told):
        open_listener(Entrance(at(path), owner="nobody"))
    assert not path.exists()


@pytest.mark.usefixtures("no_chown")
def test_what_belongs_to_whom_it_should_is_given_to_nobody(path: Path) -> None:
    with open_listener(Entrance(at(path), owner=f"{os.geteuid()}:{os.getegid()}")):
        assert path.is_socket()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_owner_and_mode_change_while_it_is_open(path: Path) -> None:
    plain, given = Entrance(at(path)), Entrance(at(path), mode=0o666, owner=":daemon")
    with open_listener(plain):
        permit(given, plain)
        assert mode_and_group(path) == (0o666, grp.getgrnam("daemon").gr_gid)
        permit(plain, given)
        assert mode_and_group(path) == (UNIX_MODE, os.getegid())


async def test_a_listener_takes_the_place_of_another_and_its_file(path: Path) -> None:
    first = await Listener.start(open_listener(at(path)), asyncio.Protocol)
    second = Listener.accept(first, lambda sock, _name: sock.close())
    first.close()
    reader, writer = await asyncio.open_unix_connection(str(path))
    assert await reader.read() == b""
    writer.close()
    third = await Listener.start(second, asyncio.Protocol)
    third.close()  # As if something had gone wrong with another one.
    reader, writer = await asyncio.open_unix_connection(str(path))
    assert await reader.read() == b""
    writer.close()
    second.close()
    assert await asyncio.to_thread(path.exists) is False
