"""Every session of the process, whatever protocol it speaks, found by its number."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple, Protocol, runtime_checkable

from rtmpd.engine.key import StreamKey
from rtmpd.engine.origin import Origin
from rtmpd.engine.sink import CloseReason
from rtmpd.reasons import Word


class Use(NamedTuple):
    """What a session does with one stream."""

    publishes: bool
    """Else it plays, or is sent what is published to push it on."""
    key: StreamKey
    since: float
    """Clock reading."""
    file: bool = False
    """It plays a file of that name, and not what is published."""


class SessionFigures(NamedTuple):
    """How a session gets on, at one moment. Sizes in bytes."""

    bytes_in: int
    """Received, all that is not media included."""
    bytes_out: int
    """The same of what was sent, or waits in the process to be."""
    dropped: int
    """Packets kept from what it plays now, because it was behind or waited for a keyframe."""
    backlog_bytes: int
    """Handed to its transport, and not to the kernel yet."""
    behind_since: float | None
    """Clock reading from which on it is beyond what its slow-player policy allows; None while it is not."""
    tcp_info: bytes
    """What the kernel knows of its socket: see ``net.tcp_info``; empty where it is no TCP socket."""


class SessionEnd(NamedTuple):
    """How a session ended that clients made, and what it came to."""

    origin: Origin
    reason: CloseReason
    detail: Word | None
    """Why, where more is known."""
    by: Origin | None
    """Who wanted it so; None is the peer itself, or a rule of ours."""
    introduced: bool
    """It has asked to connect; who has not is a scanner, or a health check."""
    figures: SessionFigures
    peak_backlog_bytes: int
    """Most that was seen waiting to be sent."""
    last_command: str
    """The name of its last command, ``other`` for one that is not known; empty without any."""
    input: bytes
    """The first that it sent, if that was kept, secrets included."""


class SessionObserver(Protocol):
    """The joint to whoever records sessions."""

    def session_ended(self, end: SessionEnd) -> None:
        """A session is over; what it published and played is told to have ended in the turn behind this."""
        ...


class SessionHandle(Protocol):
    """What may be done with a session from outside: one connection, or what stands for one."""

    @property
    def origin(self) -> Origin:
        """Who is on the other side."""
        ...

    @property
    def uses(self) -> tuple[Use, ...]:
        """What it does now; nothing before it has asked, and again when that is over."""
        ...

    def figures(self) -> SessionFigures:
        """How it gets on; nobody has it counted for that."""
        ...

    def dismiss(self, reason: CloseReason, by: Origin | None = None) -> None:
        """End it, because ``by`` wants it so: the other side is told, if its protocol can. Idempotent."""
        ...


@runtime_checkable
class Redirectable(SessionHandle, Protocol):
    """A session whose plays can go on elsewhere."""

    async def redirect(self, before: StreamKey | None, to: StreamKey) -> int:
        """Have those who play ``before``, or whatever they play, go on with ``to``; how many do.

        Raises ``Refused`` for one who may not.
        """
        ...

    def request_reconnect(self, server: str = "", description: str = "", /) -> bool:
        """Ask the client to connect anew, to ``server`` if one is given; False if it does not know how."""
        ...


class SessionTable:
    """Who is connected, by the number of the session (``Origin.session``).

    Each protocol keeps a shelf of its own: what is on it is in the table, and nothing else is.
    """

    def __init__(self) -> None:
        self._shelves: list[Mapping[int, SessionHandle]] = []
        self.observer: SessionObserver | None = None
        """Is told of sessions that end."""

    def add_shelf(self, shelf: Mapping[int, SessionHandle]) -> None:
        """Have ``shelf`` in the table, with whatever is on it from now on. Its owner bounds it."""
        self._shelves.append(shelf)

    def find(self, session: int) -> SessionHandle | None:
        """The session of that number; None if it is over, or never was."""
        for shelf in self._shelves:
            handle = shelf.get(session)
            if handle is not None:
                return handle
        return None

    def __iter__(self) -> Iterator[SessionHandle]:
        """All of them, as they are now: whoever is walked past may be dismissed."""
        return iter([handle for shelf in self._shelves for handle in shelf.values()])

    def __len__(self) -> int:
        return sum(len(shelf) for shelf in self._shelves)
