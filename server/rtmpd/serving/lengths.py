"""How long a file is, for clients that ask before they play it (getStreamLength)."""

from __future__ import annotations

from typing import Final, Protocol

from rtmpd.engine.key import StreamKey
from rtmpd.exceptions import Refused
from rtmpd.rtmp.events import LengthRequested, PlayRequested
from rtmpd.rtmp.url import clean_path
from rtmpd.serving.access import Action, Grant
from rtmpd.serving.authorization import authorize
from rtmpd.serving.file_playing import find_file
from rtmpd.serving.peer import Peer

_KEPT: Final = 10.0
"""Seconds for which what was granted to who asked is good for the play that follows."""


class Asker(Peer, Protocol):
    """The connection that asks."""

    def check(self, action: Action) -> None:
        """Raise ``Refused`` if it has asked for that too often."""
        ...


class Lengths:
    """Answers one client. Whoever decides who may play is asked once, for the length and for the play."""

    __slots__ = ("_asked", "_at", "_grant")

    def __init__(self) -> None:
        self._asked = ("", "")
        self._grant: Grant | None = None
        self._at = 0.0

    async def answer(self, client: Asker, event: LengthRequested) -> float:
        """Seconds; 0 for what is live, or is not there. Raises ``Refused`` as for the play."""
        context = client.context
        key = StreamKey.of_path(clean_path(client.connect_params.app, event.name), context.apps)
        if not context.library.offers(key):
            return 0.0
        self.forget()
        request = PlayRequested(0, event.name, event.query, -2.0, -1.0, reset=True)
        client.check(Action.PLAY)
        grant = await authorize(client, request)
        self._grant, self._asked, self._at = grant, (event.name, event.query), context.clock()
        try:
            recording = await find_file(client, request, grant.key)
        except Refused:
            return 0.0
        if recording is None:
            return 0.0
        recording.close()
        return recording.duration / 1000

    def take(self, event: PlayRequested, now: float) -> Grant | None:
        """What was granted already to who plays what it has asked about a moment ago; good once."""
        if self._asked != (event.name, event.query) or now - self._at > _KEPT:
            self.forget()
        grant, self._grant = self._grant, None
        return grant

    def forget(self) -> None:
        """Nothing comes of what was granted."""
        grant, self._grant = self._grant, None
        if grant is not None:
            grant.abandon()
