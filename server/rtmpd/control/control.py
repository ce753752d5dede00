"""The joint between whoever is in charge and the server, in this process or in another."""

from __future__ import annotations

from typing import Protocol

from rtmpd.control.actor import Actor
from rtmpd.control.answers import PageQuery
from rtmpd.control.ban_answers import Ban, BanPage, BanRequest
from rtmpd.control.relay_answers import PushRequest, Relay, RelayPage, RelayQuery
from rtmpd.control.server_answers import ServerInfo
from rtmpd.control.session_answers import KickRequest, Session, SessionPage, SessionQuery
from rtmpd.control.settings_answers import Reload, ReloadRequest
from rtmpd.control.stream_answers import Stream, StreamPage, StreamQuery
from rtmpd.engine.key import StreamKey


class Control(Protocol):
    """What can be seen and done. What changes something says who wants it (``by``).

    Each raises ControlError where what is asked for is not there, or cannot be done. A stream may be named
    by a key that settings of apps would split elsewhere.
    """

    async def server(self) -> ServerInfo:
        """The server as a whole."""
        ...

    async def streams(self, query: StreamQuery) -> StreamPage:
        """Streams that have a publisher, a player or another who waits."""
        ...

    async def stream(self, key: StreamKey) -> Stream:
        """One of them."""
        ...

    async def end_hold(self, key: StreamKey, by: Actor) -> None:
        """Tell the players of a stream that is kept for an encoder that it is over."""
        ...

    async def sessions(self, query: SessionQuery) -> SessionPage:
        """Whoever is connected, and to whom this server is."""
        ...

    async def session(self, number: int) -> Session:
        """One of them, by ``Origin.session``."""
        ...

    async def kick(self, number: int, request: KickRequest, by: Actor) -> None:
        """End a session, and ban where it came from if that is wanted: both or nothing."""
        ...

    async def bans(self, query: PageQuery) -> BanPage:
        """All that hold."""
        ...

    async def ban(self, request: BanRequest, by: Actor) -> Ban:
        """Let nobody in from there, instead of a ban that there is by hand."""
        ...

    async def unban(self, network: str, by: Actor) -> None:
        """Lift a ban, whoever made it."""
        ...

    async def relays(self, query: RelayQuery) -> RelayPage:
        """What is pushed to other servers, and fetched from them."""
        ...

    async def add_push(self, key: StreamKey, request: PushRequest, by: Actor) -> Relay:
        """Push a stream to one more address, whenever it is published, until it is removed."""
        ...

    async def remove_push(self, key: StreamKey, relay_id: str, by: Actor) -> None:
        """End a target. One of the configuration comes back with the next publish."""
        ...

    async def reload(self, request: ReloadRequest, by: Actor) -> Reload:
        """Read the settings again and put them in place: all of them or none."""
        ...
