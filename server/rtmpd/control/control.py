"""The joint between whoever is in charge and the server, in this process or in another."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from rtmpd.control.actor import Actor
from rtmpd.control.answers import PageQuery
from rtmpd.control.ban_answers import BanPage, BanRequest, NewBan
from rtmpd.control.change_answers import AuditPage, AuditQuery
from rtmpd.control.clip_answers import ClipQuery, HeldFile
from rtmpd.control.drain_answers import Drain, DrainRequest, Successor
from rtmpd.control.event_answers import EventQuery
from rtmpd.control.key_answers import (
    NewStreamKey,
    PublishToken,
    PublishTokenRequest,
    StreamKeyInfo,
    StreamKeyPage,
    StreamKeyQuery,
    StreamKeyRequest,
)
from rtmpd.control.log_answers import LogLevel, LogRequest
from rtmpd.control.record_answers import Record, RecordPage, RecordQuery
from rtmpd.control.recording_answers import (
    OpenedFile,
    RecordedFile,
    Recorder,
    RecordingPage,
    RecordingQuery,
)
from rtmpd.control.redirect_answers import Redirected, RedirectRequest
from rtmpd.control.relay_answers import NewRelay, PushRequest, Relay, RelayPage, RelayQuery
from rtmpd.control.report_answers import UsagePage, UsageQuery
from rtmpd.control.server_answers import ServerInfo
from rtmpd.control.session_answers import KickRequest, Session, SessionPage, SessionQuery
from rtmpd.control.settings_answers import Reload, ReloadRequest, SettingPage, SettingQuery
from rtmpd.control.stream_answers import Stream, StreamPage, StreamQuery
from rtmpd.engine.key import StreamKey
from rtmpd.metrics.families import AnyFamily


class Server(Protocol):
    """The server as a whole."""

    async def info(self, by: Actor) -> ServerInfo:
        """What it is, and how it gets on."""
        ...

    async def drain(self, request: DrainRequest, by: Actor) -> Drain:
        """End it once nobody publishes any more, or after a time; said again it is when to give up."""
        ...

    async def replace(self, by: Actor) -> Successor:
        """Have another process take over, which is started as this one was; nobody is refused meanwhile."""
        ...


class Streams(Protocol):
    """Streams that have a publisher, a player or another who waits."""

    async def list(self, query: StreamQuery, by: Actor) -> StreamPage:
        """Those that are wanted."""
        ...

    async def get(self, key: StreamKey, by: Actor) -> Stream:
        """One of them."""
        ...

    async def redirect(self, key: StreamKey, request: RedirectRequest, by: Actor) -> Redirected:
        """Lead all players of one to another, or to another server."""
        ...

    async def end_hold(self, key: StreamKey, by: Actor) -> None:
        """Tell the players of a stream that is kept for an encoder that it is over."""
        ...


class Sessions(Protocol):
    """Whoever is connected, and to whom this server is."""

    async def list(self, query: SessionQuery, by: Actor) -> SessionPage:
        """Those that are wanted."""
        ...

    async def at_address(self, address: str, by: Actor) -> Sequence[Session]:
        """Those of exactly one address, in full or as it is shown, the oldest first: for who acts on them."""
        ...

    async def get(self, number: int, by: Actor) -> Session:
        """One of them, by ``Origin.session``."""
        ...

    async def redirect(self, number: int, request: RedirectRequest, by: Actor) -> Redirected:
        """Lead whoever plays there to another stream, or to another server."""
        ...

    async def kick(self, number: int, request: KickRequest, by: Actor) -> None:
        """End a session, and ban where it came from if that is wanted: both or nothing."""
        ...


class Bans(Protocol):
    """Networks from which nobody is let in."""

    async def list(self, query: PageQuery, by: Actor) -> BanPage:
        """All that hold."""
        ...

    async def add(self, request: BanRequest, by: Actor) -> NewBan:
        """Let nobody in from there, instead of a ban that there is by hand."""
        ...

    async def lift(self, network: str, by: Actor) -> None:
        """Lift a ban, whoever made it."""
        ...


class Relays(Protocol):
    """What is pushed to other servers, and fetched from them."""

    async def list(self, query: RelayQuery, by: Actor) -> RelayPage:
        """Those that are wanted."""
        ...


class Pushes(Protocol):
    """Where streams are pushed to."""

    async def add(self, key: StreamKey, request: PushRequest, by: Actor) -> NewRelay:
        """Push a stream to one more address, whenever it is published, until it is removed."""
        ...

    async def remove(self, key: StreamKey, relay_id: str, by: Actor) -> None:
        """End a target. One of the configuration comes back with the next publish."""
        ...

    async def switch_off(self, key: StreamKey, relay_id: str, by: Actor) -> Relay:
        """Send nothing there, whoever publishes, until it is switched on."""
        ...

    async def switch_on(self, key: StreamKey, relay_id: str, by: Actor) -> Relay:
        """Send there again."""
        ...

    async def restart(self, key: StreamKey, relay_id: str, by: Actor) -> Relay:
        """Leave the other server and come back, or try again now."""
        ...


class Pulls(Protocol):
    """Where streams are fetched from."""

    async def switch_off(self, key: StreamKey, by: Actor) -> Relay:
        """Fetch a stream no more, whoever waits for it, until it is switched on."""
        ...

    async def switch_on(self, key: StreamKey, by: Actor) -> Relay:
        """Fetch it again."""
        ...

    async def restart(self, key: StreamKey, by: Actor) -> Relay:
        """Leave the other server, and ask anew which has the stream."""
        ...


class Keys(Protocol):
    """Stream keys, of the settings and those that come at run time. Nobody is told one twice."""

    async def list(self, query: StreamKeyQuery, by: Actor) -> StreamKeyPage:
        """Those that are wanted."""
        ...

    async def add(self, request: StreamKeyRequest, by: Actor) -> NewStreamKey:
        """One more, which is good from now on."""
        ...

    async def revoke(self, key_id: str, by: Actor) -> None:
        """Have one open nothing any more, and end who came by it."""
        ...

    async def lift(self, key_id: str, by: Actor) -> StreamKeyInfo:
        """Have a revoked key of the settings be good again."""
        ...

    async def publish_token(self, request: PublishTokenRequest, by: Actor) -> PublishToken:
        """A key for whoever shows a JWT, whoever they are."""
        ...


class Recordings(Protocol):
    """Files of streams that are recorded, and what records them."""

    async def list(self, query: RecordingQuery, by: Actor) -> RecordingPage:
        """Those that are wanted."""
        ...

    async def get(self, wanted: str, by: Actor) -> RecordedFile:
        """One of them, by its id."""
        ...

    async def open(self, wanted: str, by: Actor) -> OpenedFile:
        """The same, to be read: it does not go until it is closed."""
        ...

    async def delete(self, wanted: str, by: Actor) -> None:
        """Remove a finished one from this server."""
        ...

    async def retry(self, wanted: str, by: Actor) -> RecordedFile:
        """Try now what is still to be done with it."""
        ...

    async def start(self, key: StreamKey, by: Actor) -> Recorder:
        """Record a stream, from its next key frame on, for as long as it is published."""
        ...

    async def stop(self, key: StreamKey, by: Actor) -> Recorder:
        """Finish its file, and record it no more."""
        ...

    async def split(self, key: StreamKey, by: Actor) -> Recorder:
        """Go on in another file, from its next key frame on."""
        ...


class Reports(Protocol):
    """What has been, of what outlives a restart."""

    async def usage(self, query: UsageQuery, by: Actor) -> UsagePage:
        """Who watched how much, by day and stream."""
        ...


class Changes(Protocol):
    """What somebody in charge has changed, or was refused to."""

    async def list(self, query: AuditQuery, by: Actor) -> AuditPage:
        """Those that are wanted, the newest first."""
        ...


class Settings(Protocol):
    """What the server has been told to do."""

    async def list(self, query: SettingQuery, by: Actor) -> SettingPage:
        """Those that are in force, with where each is said."""
        ...

    async def reload(self, request: ReloadRequest, by: Actor) -> Reload:
        """Read the settings again and put them in place: all of them or none."""
        ...


class Log(Protocol):
    """What is written into the log."""

    async def level(self, by: Actor) -> LogLevel:
        """That is in force."""
        ...

    async def set_level(self, request: LogRequest, by: Actor) -> LogLevel:
        """Write more, or less, for a while."""
        ...

    async def end_level(self, by: Actor) -> LogLevel:
        """Write what the settings say, from now on."""
        ...


class Notice(NamedTuple):
    """One thing that is told to who follows."""

    id: str
    """Where to go on behind it."""
    name: str
    """Empty of what is followed itself."""
    json: bytes


class Following(Protocol):
    """Somebody follows what goes on. It goes on until ``close``."""

    @property
    def cut_off(self) -> bool:
        """They have been too slow, and are told nothing more."""
        ...

    @property
    def place(self) -> str:
        """Where to go on when all that was taken has been read."""
        ...

    async def take(self) -> Sequence[Notice]:
        """What there is to tell, once there is something; nothing where it is over."""
        ...

    def close(self) -> None:
        """They follow no more. Idempotent."""
        ...


class Events(Protocol):
    """What happens."""

    async def follow(self, query: EventQuery, after: str, by: Actor) -> Following:
        """Be told of it from now on, or behind ``after``, the id of an event; ``0`` is before all."""
        ...


class Figures(Protocol):
    """How it all gets on."""

    def follow(self, by: Actor) -> AsyncGenerator[bytes, None]:
        """Once a second, as JSON (``figures_answers.Figures``): to be closed by who reads no more."""
        ...


class Metrics(Protocol):
    """What is counted and measured."""

    async def families(self, by: Actor) -> Sequence[AnyFamily]:
        """The numbers of this moment, in no particular format."""
        ...


class Records(Protocol):
    """Sessions that are over."""

    async def list(self, query: RecordQuery, by: Actor) -> RecordPage:
        """Those that are wanted, of those that are kept."""
        ...

    async def get(self, number: int, by: Actor) -> Record:
        """One of them, by ``Origin.session``."""
        ...

    async def input(self, number: int, by: Actor) -> bytes:
        """The first that such a client sent, secrets blanked out, if it broke the protocol."""
        ...


class Clips(Protocol):
    """The last seconds of streams, and their newest pictures."""

    async def last(self, key: StreamKey, query: ClipQuery, by: Actor) -> HeldFile:
        """The last seconds, as FLV."""
        ...

    async def snapshot(self, key: StreamKey, by: Actor) -> HeldFile:
        """The newest key frame, as FLV."""
        ...

    async def picture(self, key: StreamKey, by: Actor) -> HeldFile:
        """The same as a JPEG."""
        ...


@dataclass(frozen=True, slots=True)
class Control:
    """What can be seen and done, by noun. Everything that is asked for says who wants it (``by``).

    Each raises ControlError where what is asked for is not there, or cannot be done. A stream may be named
    by a key that settings of apps would split elsewhere.
    """

    server: Server
    streams: Streams
    sessions: Sessions
    bans: Bans
    relays: Relays
    pushes: Pushes
    pulls: Pulls
    keys: Keys
    settings: Settings
    log: Log
    events: Events
    figures: Figures
    reports: Reports
    changes: Changes
    records: Records
    recordings: Recordings
    clips: Clips
    metrics: Metrics
