"""One connection that somebody has made to us, whatever it speaks, and the server's counts that it is in."""

from __future__ import annotations

import asyncio
import math
import socket
from typing import Final, Protocol

from rtmpd.engine.key import StreamKey
from rtmpd.engine.origin import NOBODY, Origin
from rtmpd.engine.outlet import Outlet
from rtmpd.engine.sessions import SessionFigures, Use
from rtmpd.engine.sink import CloseReason
from rtmpd.engine.stats import count
from rtmpd.exceptions import Refused
from rtmpd.reasons import Refusal, Word
from rtmpd.rtmp.commands import ConnectParams
from rtmpd.rtmp.rates import TokenBucket
from rtmpd.serving import accounts
from rtmpd.serving.access import Action
from rtmpd.serving.accounts import End
from rtmpd.serving.peer import ServerContext, Session
from rtmpd.serving.requests import Requests

UNHEARD: Final = asyncio.Protocol()
"""Whom a transport reports to that is of no interest to us."""
_NEVER: Final = -math.inf
"""One for all connections: each time that it is written it is a number more."""


class Gate(Protocol):
    """Who may come in: the server's connection counts."""

    def enter(self, guest: Guest, fileno: int, *, named: bool = True) -> Refusal | None:
        """Count the connection in, or return the reason why it is turned away.

        Not ``named`` is whom a proxy has not named yet: the limits of networks are not for it.
        """
        ...

    def rename(self, guest: Guest, before: str, network: str) -> Refusal | None:
        """It is of that network, not of the one ``before``; or why nobody of it may come in."""
        ...

    def leave(self, guest: Guest) -> None: ...

    def shared_cost(self, guest: Guest) -> TokenBucket | None:
        """What the commands of the connection's network may cost together; None is any cost."""
        ...

    def check_publish(self, guest: Guest) -> None:
        """Raise ``Refused`` if the connection's network has asked to publish too often of late."""
        ...

    def check_play(self, guest: Guest) -> None:
        """Raise ``Refused`` if the connection asks to play too often."""
        ...

    def identified(self, guest: Guest, state: str) -> None:
        """The connection has published or played: it is no longer a stranger."""
        ...

    def look_by(self, deadline: float) -> None:
        """Look at the connections by then, and not only when it is time anyway."""
        ...

    def regular_look(self, deadline: float) -> float:
        """When they are looked at anyway, from ``deadline`` on."""
        ...


class Guest(asyncio.Protocol):
    """What the server counts, and may do to each of them; what is asked in whatever protocol is answered by
    ``requests``.
    """

    __slots__ = (
        "_gate",
        "_socket",
        "context",
        "ended",
        "known",
        "look_at",
        "outlet",
        "partial_bytes",
        "plays_paid_at",
        "requests",
        "session",
        "state",
        "transport",
    )
    transport: asyncio.Transport
    session: Session
    outlet: Outlet
    requests: Requests
    _socket: socket.socket

    def __init__(self, context: ServerContext, gate: Gate, known: Origin = NOBODY) -> None:
        self.context = context
        self.known = known
        """What is known of the client before it is connected: by which listener it comes, or all of it."""
        self.state = "pending"
        """``pending``, then ``publishing`` or ``playing`` by what it did first."""
        self.ended: End | None = None
        """None while it is open; then nothing is processed and nothing more is said."""
        self.plays_paid_at = _NEVER
        """When what it has spent of the rate of plays is saved up again; for the gate."""
        self._gate = gate
        self.look_at = math.inf
        """Clock reading at which ``look`` wants to be called."""
        self.partial_bytes = 0
        """What of the session's is charged to the memory budget."""

    # For the server

    @property
    def publishes(self) -> bool:
        return bool(self.requests.publishers)

    def request_reconnect(self, _server: str = "", _description: str = "", /) -> bool:
        """Ask the client to connect anew, to a server if one is given; False if it does not know how."""
        return False

    def look(self, now: float) -> None:
        """Act on every deadline that has passed; when ``look_at`` is reached."""
        raise NotImplementedError

    def shutdown(self, patience: float = math.inf) -> None:
        """The server ends: say so. Who is still owed media gets it, for ``patience`` seconds at most."""
        raise NotImplementedError

    def abort(self, reason: CloseReason, detail: Word | None = None) -> None:
        """Close the connection at once; unsent bytes are lost."""
        raise NotImplementedError

    # For whoever looks at sessions

    @property
    def origin(self) -> Origin:
        return self.requests.origin

    @property
    def uses(self) -> tuple[Use, ...]:
        return accounts.uses(self.requests)

    def figures(self) -> SessionFigures:
        return accounts.figures(self, self.requests)

    async def redirect(self, before: StreamKey | None, to: StreamKey) -> int:
        return 0 if self.over else await self.requests.redirect(self, before, to)

    def dismiss(self, reason: CloseReason, by: Origin | None = None) -> None:
        """End it in order, because ``by`` wants it so: whoever publishes or plays is told."""
        if not self.over:
            # Over first: what the engine ends of it need not end it once more.
            self.ended = End(reason, by=by)
            self.requests.dismiss(reason, by)
            self._finish(self.ended)

    # For the requests, the publishes and the plays

    @property
    def over(self) -> bool:
        return self.ended is not None

    @property
    def introduced(self) -> bool:
        return self.requests.introduced

    @property
    def connect_params(self) -> ConnectParams:
        return self.requests.connect_params

    def look_by(self, deadline: float) -> None:
        self.look_at = min(self.look_at, deadline)
        self._gate.look_by(deadline)

    def check(self, action: Action) -> None:
        if action is Action.PUBLISH:
            self._gate.check_publish(self)
        else:
            self._gate.check_play(self)

    def identified(self, state: str) -> None:
        self._gate.identified(self, state)

    def refused(self, action: Action, refusal: Refused) -> None:
        count(self.context.stats.refusals, refusal.reason)
        self.context.stats.levels.note_refused(action, refusal.reason)
        self.end(CloseReason.REFUSED, refusal.reason)

    def backlog(self) -> int:
        return self.transport.get_write_buffer_size()

    def end(self, reason: CloseReason, detail: Word | None = None) -> None:
        if not self.over:
            self._finish(End(reason, detail))

    def flush(self) -> None:
        raise NotImplementedError

    def advance(self) -> None:
        raise NotImplementedError

    def answered(self) -> None:
        raise NotImplementedError

    def read_in_rounds(self, wanted: bool) -> None:
        raise NotImplementedError

    # Asyncio

    def pause_writing(self) -> None:
        self.outlet.pause_writing(self.context.clock())

    def resume_writing(self) -> None:
        self.outlet.resume_writing(self.context.clock())

    # Inside

    def _finish(self, end: End) -> None:
        """End it in order."""
        raise NotImplementedError

    def _charge_partials(self, held: int) -> None:
        """Have the budget know what is held unfinished or unanswered; it may close us for it."""
        difference = held - self.partial_bytes
        self.partial_bytes = held
        self.context.registry.budget.charge_partials(difference)
