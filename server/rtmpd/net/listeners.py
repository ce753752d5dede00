"""Listening sockets: how they are opened, served and closed."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import grp
import os
import pwd
import socket
import stat
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol, TypeAlias

from rtmpd.exceptions import ConfigError
from rtmpd.net.addresses import Address
from rtmpd.net.entrances import Entrance

BACKLOG: Final = 4096
"""Connections that may wait to be accepted: all players of a popular stream come back at once."""
_ACCEPTS: Final = 64
"""Before others have a turn."""
_ACCEPT_AGAIN: Final = 1.0
"""Seconds until the next try when the machine has nothing left to accept with."""
_LOCK_PATIENCE: Final = 0.2
"""Seconds for which the lock on a folder is waited for: the event loop stands still meanwhile."""


def open_listener(place: Address | Entrance) -> socket.socket:
    """A non-blocking listening socket; raises ``ConfigError`` with what to do about it.

    An empty host gives one socket for IPv6 and IPv4 where the machine has both. The file that a Unix socket
    was, and nobody listens on any more, is replaced; nothing else is. Its owner and mode are those of the
    entrance.
    """
    entrance = place if isinstance(place, Entrance) else Entrance(place)
    address = entrance.address
    try:
        sock = _open(entrance)
    except OSError as error:
        hint = (
            "is another server running there?"
            if error.errno == errno.EADDRINUSE
            else "check the address and your rights"
        )
        # Without the address that socket.create_server adds in its own words.
        what = (error.strerror or str(error)).partition(" (while ")[0]
        raise ConfigError([f"cannot listen on {address}: {what}; {hint}"]) from error
    sock.setblocking(False)
    return sock


def bound_address(sock: socket.socket) -> Address:
    """Where a listening socket really listens (port 0 resolved, all addresses as an empty host)."""
    name = sock.getsockname()
    if sock.family == socket.AF_UNIX:
        return Address("", 0, name)
    host, port = name[:2]
    return Address("" if host in ("::", "0.0.0.0") else host, port)  # noqa: S104 - compared, not bound


def permit(entrance: Entrance, before: Entrance) -> None:
    """Give the file of a Unix socket that had those of ``before`` another owner and mode; nothing to a port.

    Raises ``ConfigError``.
    """
    path = entrance.address.path
    if not path:
        return
    try:
        _permit(path, entrance, others=bool(before.owner))
    except OSError as error:
        raise ConfigError([f"cannot listen on {entrance}: {error.strerror or error}"]) from error


Place: TypeAlias = "socket.socket | Listener"
"""Where somebody is to be served: a listening socket, or that of a listener that is about to close."""


class Server(Protocol):
    """Who accepts."""

    def close(self) -> None: ...


class _File:
    """That of a Unix socket, which goes with the last listener there."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._identity = _identity(path)
        self._listeners = 1

    def share(self) -> None:
        self._listeners += 1

    def leave(self) -> None:
        self._listeners -= 1
        if not self._listeners and self._identity and self._identity == _identity(self._path):
            with contextlib.suppress(OSError):
                Path(self._path).unlink()


class Listener:
    """A listening socket that is served. Of a Unix socket that is ours the file goes with it."""

    def __init__(self, server: Server, sock: socket.socket, address: Address, file: _File | None) -> None:
        self.address = address
        """Where it is bound."""
        self._server = server
        self._sock = sock
        self._file = file

    @classmethod
    async def start(
        cls,
        sock: Place,
        protocol: Callable[[], asyncio.BaseProtocol],
        backlog: int = BACKLOG,
        *,
        inherited: bool = False,
    ) -> Listener:
        """Have ``protocol`` serve each connection of ``sock``, which belongs to the listener from now on.

        Instead of a socket it may be a listener that is about to close: both accept there until then.
        ``inherited``: somebody else has bound it, whose file stays.
        """
        ours, address, file = _take_over(sock, inherited=inherited)
        try:
            server = await _serve(ours, protocol, backlog)
        except BaseException:
            ours.close()
            raise
        return cls(server, ours, address, _kept(file, sock))

    @classmethod
    def accept(cls, sock: Place, arrived: Callable[[socket.socket, object], None]) -> Listener:
        """Give each connection of ``sock`` with its peer's name to ``arrived``, before a byte of it is read.

        ``arrived`` owns it then. Otherwise as ``start``.
        """
        ours, address, file = _take_over(sock)
        return cls(_Acceptor(ours, arrived), ours, address, _kept(file, sock))

    @property
    def file(self) -> _File | None:
        """For who takes the place of this one."""
        return self._file

    def duplicate(self) -> socket.socket:
        """The same socket once more, for who takes the place of this one."""
        sock = self._sock.dup()
        sock.setblocking(False)
        return sock

    def disown(self) -> None:
        """Somebody else has the socket, too: the file of a Unix socket is theirs."""
        self._file = None

    def close(self) -> None:
        """Let nobody new in. Idempotent."""
        file, self._file = self._file, None
        if file is not None:
            file.leave()
        self._server.close()


def _take_over(sock: Place, *, inherited: bool = False) -> tuple[socket.socket, Address, _File | None]:
    if isinstance(sock, Listener):
        return sock.duplicate(), sock.address, sock.file
    address = bound_address(sock)
    return sock, address, _File(address.path) if address.path and not inherited else None


def _kept(file: _File | None, sock: Place) -> _File | None:
    if file is not None and isinstance(sock, Listener):
        file.share()
    return file


class _Acceptor:
    """Accepts, where asyncio would begin to read at once."""

    def __init__(self, sock: socket.socket, arrived: Callable[[socket.socket, object], None]) -> None:
        self._sock = sock
        self._arrived = arrived
        self._loop = asyncio.get_running_loop()
        self._pause: asyncio.TimerHandle | None = None
        self._watch()

    def close(self) -> None:
        if self._pause is not None:
            self._pause.cancel()
        if self._sock.fileno() >= 0:
            self._loop.remove_reader(self._sock)
            self._sock.close()

    def _watch(self) -> None:
        self._pause = None
        self._loop.add_reader(self._sock, self._accept)

    def _accept(self) -> None:
        for _ in range(_ACCEPTS):
            try:
                sock, name = self._sock.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError:
                # No file or no memory is left, which would be so again in this very moment.
                self._loop.remove_reader(self._sock)
                self._pause = self._loop.call_later(_ACCEPT_AGAIN, self._watch)
                return
            sock.setblocking(False)
            self._arrived(sock, name)
            if self._sock.fileno() < 0:
                return


async def _serve(
    sock: socket.socket, protocol: Callable[[], asyncio.BaseProtocol], backlog: int
) -> asyncio.Server:
    # asyncio listens once more, with a backlog of its own unless told.
    loop = asyncio.get_running_loop()
    if sock.family != socket.AF_UNIX:
        return await loop.create_server(protocol, sock=sock, backlog=backlog)
    if sys.version_info >= (3, 13):  # From there on the loop would remove the file, ours or not.
        return await loop.create_unix_server(protocol, sock=sock, backlog=backlog, cleanup_socket=False)
    return await loop.create_unix_server(protocol, sock=sock, backlog=backlog)


def _open(entrance: Entrance) -> socket.socket:
    address = entrance.address
    if address.path:
        return _open_unix(address.path, entrance)
    if not address.host:
        return _open_on_all(address.port)
    host = address.host
    # As bytes: of a text Python wants to know what it is called in other alphabets, which loads a lot.
    family, _, _, _, where = socket.getaddrinfo(
        host.encode() if host.isascii() else host,
        address.port,
        type=socket.SOCK_STREAM,
        flags=socket.AI_PASSIVE,
    )[0]
    return socket.create_server(where[:2], family=family, backlog=BACKLOG)


def _open_on_all(port: int) -> socket.socket:
    if socket.has_dualstack_ipv6():
        try:
            return socket.create_server(
                ("", port), family=socket.AF_INET6, backlog=BACKLOG, dualstack_ipv6=True
            )
        except OSError as error:
            # A kernel booted without IPv6 still says it has it. Any other error would be the same without.
            if error.errno not in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL):
                raise
    return socket.create_server(("", port), backlog=BACKLOG)


def _open_unix(path: str, entrance: Entrance) -> socket.socket:
    folder = os.open(Path(path).parent, os.O_RDONLY | os.O_CLOEXEC)
    sock = socket.socket(socket.AF_UNIX)
    try:
        # Of two servers that start at once and find the file of a third, one must not take the other's.
        _lock(folder)
        _remove_stale(path)
        sock.bind(path)
        try:
            # Before anybody can connect.
            _permit(path, entrance)
            sock.listen(BACKLOG)
        except BaseException:
            Path(path).unlink()
            raise
    except BaseException:
        sock.close()
        raise
    finally:
        os.close(folder)
    return sock


def _permit(path: str, entrance: Entrance, *, others: bool = False) -> None:
    """Raises OSError that says what to do. ``others``: it may belong to whom the entrance does not name."""
    user, _, group = entrance.owner.partition(":")
    uid = _find(user, lambda: pwd.getpwnam(user).pw_uid, "user", os.geteuid() if others else -1)
    gid = _find(group, lambda: grp.getgrnam(group).gr_gid, "group", os.getegid() if others else -1)
    # The shipped unit of systemd gives nothing away, and a file that is as it should be needs nothing.
    status = Path(path).stat()
    if uid not in (-1, status.st_uid) or gid not in (-1, status.st_gid):
        try:
            os.chown(path, uid, gid)
        except OSError as error:
            # EINVAL: this namespace knows nobody of that number, as with PrivateUsers=yes.
            if error.errno not in (errno.EPERM, errno.EINVAL):
                raise
            who = entrance.owner or "its own user"
            text = (
                f"it may not give its file to {who}: only root may, or to a group that it is in; "
                "under systemd write Group= in the unit"
            )
            raise PermissionError(error.errno, text) from None
    Path(path).chmod(entrance.mode)


def _find(name: str, look_up: Callable[[], int], kind: str, otherwise: int) -> int:
    if not name:
        return otherwise
    if name.isdecimal():
        return int(name)
    try:
        return look_up()
    except KeyError:
        raise OSError(errno.EINVAL, f"this machine has no {kind} {name}") from None


def _lock(folder: int) -> None:
    """Have a folder to ourselves. Servers keep it for a moment, but whoever may read it may lock it."""
    give_up_at = time.monotonic() + _LOCK_PATIENCE
    while True:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= give_up_at:
                raise BlockingIOError(errno.EAGAIN, "somebody keeps its folder locked") from None
            time.sleep(_LOCK_PATIENCE / 20)
        else:
            return


def _remove_stale(path: str) -> None:
    """Remove the file of a Unix socket that nobody listens on; raises OSError for anything else there."""
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise FileExistsError(errno.EEXIST, "there is a file that is no socket")
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            Path(path).unlink()
            return
        except BlockingIOError:  # So many wait there already.
            pass
    raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))


def _identity(path: str) -> tuple[int, int] | None:
    """Tells the file there from one that takes its place later; None without a file."""
    if not path:
        return None
    try:
        found = os.lstat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino
