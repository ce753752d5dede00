"""One process of this server takes over from another: what they say to each other, and who does what when.

The one that comes is started by the one before, or finds its socket in a private folder. It asks for the
listening sockets (``hello``), prepares itself while the one before goes on, and says that it is ``ready``.
Then the one before lets nobody in any more, while connections queue on the sockets, and the other one serves
them and says so (``serving``). Until then whatever goes wrong has the one before go on as before.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Final, Protocol

from rtmpd import __version__
from rtmpd.daemon.doors import Given
from rtmpd.daemon.neighbour import Answer, Handler, Neighbour
from rtmpd.exceptions import ConfigError, HandoverFailed
from rtmpd.net.entrances import Entrance
from rtmpd.net.messages import Message, pair, peer_uid

logger = logging.getLogger(__name__)

VERSIONS: Final = (1,)
"""Of what is said, newest first. A message more is none more: who does not know one says so."""
PATIENCE: Final = 30.0
"""Seconds from the first word of another process until it serves, and for its start before."""
_FAREWELL: Final = 1.0
"""Seconds for the answer to the last word."""
_MAX_SOCKETS: Final = 60
_FOLDER: Final = "handover"
_SOCKET: Final = "socket"
_DETACH: Final = """
import os, sys
if os.fork():
    os._exit(0)
for number in map(int, os.listdir("/proc/self/fd")):
    if number > 2 and number != int(sys.argv[1]):
        try:
            os.close(number)
        except OSError:
            pass
os.execv(sys.argv[2], sys.argv[2:])
"""
"""A process that is nobody's child but the system's: the service manager is to notice its end. It has one
file of ours, and none that the event loop has left open in it."""
_OURS: Final = frozenset({"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "WATCHDOG_PID"})
"""Of our environment, what the service manager has said to this process."""
OPTION: Final = "--replace-from"


@dataclass(frozen=True, slots=True)
class Handed:
    """What a process gets that takes over."""

    doors: Given
    inherited: list[socket.socket]
    """Of the service manager."""
    pid: int
    version: str
    serving_since: float | None
    """In seconds since 1970, if it says so."""


class House(Protocol):
    """The server that is handed over."""

    def copies(self) -> tuple[Given, Sequence[socket.socket]]:
        """The listening sockets once more: of the settings, and inherited ones."""

    def stop_accepting(self) -> None:
        """Let nobody in any more by RTMP."""

    async def resume_accepting(self, given: Given, inherited: Sequence[socket.socket]) -> None:
        """Go on as if nothing had been."""

    def belongings(self) -> Message:
        """What is to be known by who takes over."""

    def handed_over(self, neighbour: Neighbour, pid: int) -> None:
        """The other one serves: end, as soon as nobody is left."""

    def neighbour_gone(self) -> None: ...

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """Answers to questions about our streams."""

    @property
    def serving_since(self) -> float:
        """When the first of the processes started that took over from each other, in seconds since 1970."""

    @property
    def obstacle(self) -> str | None:
        """Why it cannot be handed over now."""


class _Stage(Enum):
    WAITING = 1
    GREETED = 2
    LEAVING = 3
    """Nobody is let in here any more, nor by the other one yet."""
    OVER = 4


class Departure:
    """Has one other process take over, and goes on with what there is if it does not."""

    def __init__(self, sock: socket.socket, house: House, changing: asyncio.Lock) -> None:
        self._house = house
        self._changing = changing
        self._stage = _Stage.WAITING
        self._given: Given = {}
        self._inherited: Sequence[socket.socket] = ()
        self._problem = "it has ended without a word: see the log"
        self._pid, self._version = 0, ""
        self._tasks: set[asyncio.Task[None]] = set()
        loop = asyncio.get_running_loop()
        self.outcome: asyncio.Future[tuple[int, str]] = loop.create_future()
        """Process and version of who has taken over; raises HandoverFailed."""
        self.outcome.add_done_callback(lambda future: future.cancelled() or future.exception())
        handlers = {
            "hello": self._hello,
            "failed": self._failed,
            "ready": self._ready,
            "serving": self._serving,
        }
        self._neighbour = Neighbour(sock, {**house.handlers, **handlers}, self._left)
        self._deadline = loop.call_later(PATIENCE, self._late)

    @property
    def going_on(self) -> bool:
        return self._stage is not _Stage.OVER

    def abandon(self, why: str) -> None:
        """Somebody wants the end of this process."""
        if self.going_on:
            self._problem = why
            self._neighbour.close()
            self._left()

    async def say_ended(self, *, cut: bool) -> None:
        """Tell who has taken over how this process has ended, whose exit code nobody sees."""
        if not self.going_on:
            with contextlib.suppress(HandoverFailed):
                await self._neighbour.ask("ended", within=_FAREWELL, cut=cut)

    # What the other one says

    async def _hello(self, message: Message, _files: list[socket.socket]) -> Answer:
        if self._stage is not _Stage.WAITING:
            raise HandoverFailed("that has been said")
        spoken = message.get("versions")
        version = next((each for each in VERSIONS if isinstance(spoken, list) and each in spoken), None)
        if version is None:
            raise HandoverFailed(
                f"rtmpd {__version__} knows hand-overs of version {VERSIONS[0]}, and not of {spoken}: "
                "restart the service instead"
            )
        if (obstacle := self._house.obstacle) is not None:
            raise HandoverFailed(obstacle)
        self._pid, self._version = _pid(message), str(message.get("rtmpd"))
        await self._changing.acquire()
        self._stage = _Stage.GREETED
        given, inherited = self._house.copies()
        if len(given) + len(inherited) > _MAX_SOCKETS:
            raise HandoverFailed(f"there are more than {_MAX_SOCKETS} listening sockets: restart instead")
        doors = [[protocol, str(entrance)] for (protocol, _), (entrance, _) in given.items()]
        sockets = [sock for _, sock in given.values()]
        answer = {
            "version": version,
            "rtmpd": __version__,
            "pid": os.getpid(),
            "doors": doors,
            "serving_since": self._house.serving_since,
        }
        return answer, [*sockets, *inherited]

    async def _failed(self, message: Message, _files: list[socket.socket]) -> Answer:
        problems = message.get("problems")
        self._problem = "; ".join(map(str, problems)) if isinstance(problems, list) else self._problem
        return {}, ()

    async def _ready(self, _message: Message, _files: list[socket.socket]) -> Answer:
        if self._stage is not _Stage.GREETED:
            raise HandoverFailed("say hello first")
        self._stage = _Stage.LEAVING
        self._given, self._inherited = self._house.copies()
        self._house.stop_accepting()
        return {"belongings": self._house.belongings()}, ()

    async def _serving(self, _message: Message, _files: list[socket.socket]) -> Answer:
        if self._stage is not _Stage.LEAVING:
            raise HandoverFailed("say that you are ready first")
        self._finish()
        self._house.handed_over(self._neighbour, self._pid)
        self.outcome.set_result((self._pid, self._version))
        return {}, ()

    # Ends

    def _late(self) -> None:
        self.abandon(f"it has not begun to serve within {PATIENCE:g} s")

    def _left(self) -> None:
        stage = self._stage
        if stage is _Stage.OVER:
            self._house.neighbour_gone()
            return
        given, inherited = self._given, self._inherited
        self._given, self._inherited = {}, ()
        self._finish()
        fields = {"pid": self._pid or None, "version": self._version or None, "reason": self._problem}
        logger.warning("hand-over failed", extra={"fields": fields})
        if stage is _Stage.LEAVING:
            task = asyncio.get_running_loop().create_task(self._house.resume_accepting(given, inherited))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        self.outcome.set_exception(HandoverFailed(f"the new process does not take over: {self._problem}"))

    def _finish(self) -> None:
        self._deadline.cancel()
        if self._stage in (_Stage.GREETED, _Stage.LEAVING):
            self._changing.release()
        self._stage = _Stage.OVER
        for sock in (*(sock for _, sock in self._given.values()), *self._inherited):
            sock.close()


class Arrival:
    """Takes over from another process, at the other end of ``sock``."""

    def __init__(
        self, sock: socket.socket, handlers: Mapping[str, Handler], left: Callable[[], None]
    ) -> None:
        self.neighbour = Neighbour(sock, handlers, left)

    async def hello(self) -> Handed:
        """Raises HandoverFailed."""
        fields = {"versions": list(VERSIONS), "rtmpd": __version__, "pid": os.getpid()}
        answer, sockets = await self.neighbour.ask("hello", (), PATIENCE, **fields)
        return _handed(answer, sockets)

    async def ready(self) -> Message:
        """Have the other one let nobody in any more; what it leaves to us. Raises HandoverFailed."""
        answer, _ = await self.neighbour.ask("ready")
        belongings = answer.get("belongings")
        return belongings if isinstance(belongings, dict) else {}

    async def serving(self) -> None:
        """Everybody is let in here. Raises HandoverFailed."""
        await self.neighbour.ask("serving")

    async def failed(self, problems: Sequence[str]) -> None:
        """It does not come to that."""
        with contextlib.suppress(HandoverFailed):
            await self.neighbour.ask("failed", problems=list(problems))


def _handed(answer: Message, sockets: Sequence[socket.socket]) -> Handed:
    """What the other one hands over; a listener that it names in a way that we do not know is left closed.

    Raises HandoverFailed where it cannot be known which socket is which.
    """
    named = answer.get("doors")
    if not isinstance(named, list) or len(named) > len(sockets):
        for sock in sockets:
            sock.close()
        raise HandoverFailed("what the other process hands over is not understood: restart the service")
    doors: Given = {}
    for row, sock in zip(named, sockets, strict=False):
        sock.setblocking(False)
        try:
            protocol, text, *_ = row
            entrance = Entrance.parse(str(text))
        except (ConfigError, TypeError, ValueError):
            sock.close()
        else:
            doors[str(protocol), entrance.address] = entrance, sock
    inherited = list(sockets[len(named) :])
    for sock in inherited:
        sock.setblocking(False)
    since = answer.get("serving_since")
    serving_since = float(since) if isinstance(since, int | float) else None
    return Handed(doors, inherited, _pid(answer), str(answer.get("rtmpd")), serving_since)


def _pid(message: Message) -> int:
    pid = message.get("pid")
    return pid if isinstance(pid, int) else 0


def tell_failure(number: int, problems: Sequence[str]) -> None:
    """Say so at the other end of a descriptor before there is an event loop."""
    with contextlib.suppress(OSError), socket.socket(fileno=os.dup(number)) as sock:
        import json

        sock.send(json.dumps({"ask": "failed", "number": 0, "problems": list(problems)}).encode())


async def start_successor(arguments: Sequence[str]) -> socket.socket:
    """Start this program anew, as another process; our end of what connects both. Raises HandoverFailed.

    ``arguments`` are those of this process, its interpreter left out.
    """
    ours, theirs = pair()
    environment = {name: value for name, value in os.environ.items() if name not in _OURS}
    command = [*_program(arguments), *_without(arguments[1:]), OPTION, str(theirs.fileno())]
    try:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", "-c", _DETACH, str(theirs.fileno())),
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            env=environment,
            pass_fds=[theirs.fileno()],
        )
        await process.wait()
    except OSError as error:
        ours.close()
        raise HandoverFailed(f"{sys.executable} cannot be started: {error.strerror or error}") from None
    finally:
        theirs.close()
    return ours


def _program(arguments: Sequence[str]) -> list[str]:
    """What runs the rest: a script by itself, which has a name then and its interpreter of now."""
    script = Path(arguments[0])
    return (
        [str(script)]
        if script.is_absolute() and os.access(script, os.X_OK)
        else [sys.executable, arguments[0]]
    )


def _without(arguments: Sequence[str]) -> list[str]:
    """What a process before us was started with besides."""
    found = [each for each in arguments if each != "--replace"]
    while OPTION in found:
        place = found.index(OPTION)
        del found[place : place + 2]
    return found


class Meeting:
    """The socket in a private folder at which another process may take over."""

    def __init__(self, folder: str, met: Callable[[socket.socket], None]) -> None:
        self._path = socket_path(folder)
        self._met = met
        self._sock: socket.socket | None = None

    def open(self) -> None:
        """Raises ConfigError."""
        path = self._path
        try:
            path.parent.mkdir(mode=0o700, exist_ok=True)
            found = path.parent.stat()
            if found.st_uid != os.geteuid() or found.st_mode & 0o077:
                raise PermissionError(1, "somebody else may enter it: it has to be ours, with mode 0700")
            with contextlib.suppress(FileNotFoundError):
                if _connect(path) is None:
                    path.unlink()
            sock = self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            sock.setblocking(False)
            sock.bind(str(path))
            sock.listen(1)
        except OSError as error:
            self.close()
            text = f"shutdown.runtime_dir: {path.parent}: {error.strerror or error}"
            raise ConfigError([text]) from error
        asyncio.get_running_loop().add_reader(sock, self._accept)

    def close(self) -> None:
        """Idempotent."""
        sock, self._sock = self._sock, None
        if sock is None:
            return
        asyncio.get_running_loop().remove_reader(sock)
        sock.close()
        with contextlib.suppress(OSError):
            self._path.unlink()

    def _accept(self) -> None:
        if self._sock is None:
            return
        try:
            sock, _ = self._sock.accept()
        except OSError:
            return
        if peer_uid(sock) != os.geteuid():
            logger.warning("hand-over refused", extra={"fields": {"uid": peer_uid(sock)}})
            sock.close()
            return
        self._met(sock)


def socket_path(folder: str) -> Path:
    return Path(folder, _FOLDER, _SOCKET)


def received(number: int) -> socket.socket:
    """The end that ``start_successor`` has given this process. Raises HandoverFailed."""
    try:
        os.set_inheritable(number, False)
        return socket.socket(fileno=number)
    except OSError as error:
        raise HandoverFailed(f"{OPTION} {number}: {error.strerror}: it is for rtmpd itself") from None


def find_predecessor(folder: str) -> socket.socket | None:
    """A connection to the process that runs now; None if none does. Raises HandoverFailed."""
    if not folder:
        raise HandoverFailed("--replace: shutdown.runtime_dir is to name the folder of the process that runs")
    try:
        sock = _connect(socket_path(folder))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise HandoverFailed(f"--replace: {socket_path(folder)}: {error.strerror or error}") from None
    if sock is not None and peer_uid(sock) != os.geteuid():
        sock.close()
        raise HandoverFailed("--replace: the process that runs is another user's")
    return sock


def _connect(path: Path) -> socket.socket | None:
    """None if nobody listens. Raises OSError, FileNotFoundError if there is nothing."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        sock.connect(str(path))
    except ConnectionRefusedError:
        sock.close()
        return None
    except BaseException:
        sock.close()
        raise
    return sock
