"""What is told of sessions, and how they are ended."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, Field

from rtmpd.control.answers import Answer, Carrier, Model, Page, PageQuery
from rtmpd.control.fields import BanSeconds, Reason, check_network


class SessionKind(StrEnum):
    """What a session is for."""

    PENDING = "pending"
    """It neither publishes nor plays, or not yet."""
    PUBLISHER = "publisher"
    PLAYER = "player"
    PUSH = "push"
    """A connection of this server to one that it pushes to."""
    PULL = "pull"
    """A connection of this server to one that it fetches from."""


class UseKind(StrEnum):
    PUBLISH = "publish"
    PLAY = "play"


class StreamUse(Answer):
    """What a session does with one stream."""

    app: str
    """Of the stream."""
    name: str
    """Of the stream."""
    action: UseKind
    """A push plays."""
    since: datetime
    """When it began to."""
    file: bool = False
    """It plays the file of that name, and not what is published."""


class TcpConnection(Answer):
    """What the kernel knows of a connection."""

    round_trip_seconds: float
    """Smoothed."""
    round_trip_deviation_seconds: float
    """How far round trips are from that."""
    round_trip_min_seconds: float
    """The shortest of late."""
    retransmitted_segments: int
    """Sent again since the connection began."""
    congestion_window_segments: int
    """May be on their way at a time."""
    unacknowledged_segments: int
    """Are on their way."""
    segment_bytes: int
    """Of the largest that is sent."""
    not_sent_bytes: int
    """Accepted by the kernel and not sent."""
    received_seconds_ago: float
    """Since the last data of the peer."""


class Session(Answer):
    """One connection, of whatever protocol."""

    id: str
    """Its number, as the log has it."""
    kind: SessionKind
    carried_by: Carrier
    protocol: str
    """rtmp; http-flv, ws-flv, http-mp4 and ws-mp4 are FLV and MP4 by HTTP and WebSocket, http who has asked
    for nothing yet; push and pull are connections that this server has made."""
    since: datetime
    """When it began."""
    address: str
    """IP address of the client, as far as privacy.addresses shows it; of a relay the other server."""
    listener: str
    """Where it came in; empty for a relay."""
    tls: bool
    """As far as it is ended here, and not in a proxy."""
    connection: int
    """How many had come in since the server started, this one included; 0 for one that this server made."""
    agent: str
    """What it calls itself."""
    account: str
    """Whom it was found to be; empty where nobody asked."""
    uses: tuple[StreamUse, ...]
    """What it publishes and plays."""
    bytes_in: int
    """Received."""
    bytes_out: int
    """Sent, or about to be."""
    dropped: int
    """Packets kept from what it plays, because it was behind or waited for a key frame."""
    backlog_bytes: int
    """Accepted for it, and not handed to the kernel yet."""
    behind_seconds: float | None
    """For which it has been slower than a player may be; null while it is not."""
    tcp: TcpConnection | None
    """Null where there is no TCP socket, or the system does not tell."""


class SessionPage(Page):
    """Sessions, the oldest first."""

    items: tuple[Session, ...]
    """One part of them."""


class SessionQuery(PageQuery):
    """Which sessions are wanted."""

    app: Annotated[str, Field(max_length=256)] | None = None
    """That publish or play in this app alone."""
    stream: Annotated[str, Field(max_length=1024)] | None = None
    """That publish or play this stream alone, such as live/show."""
    kind: SessionKind | None = None
    """Of this kind alone."""
    address: Annotated[str, AfterValidator(check_network)] | None = None
    """From this address or network alone, or as one is shown. Of truncated addresses their network counts,
    and hashed ones are not found by networks."""


class KickRequest(Model):
    """How a session is to be ended."""

    ban: BanSeconds | None = None
    """Seconds for which its address (of IPv6: its /64) is banned besides."""
    reason: Reason = ""
    """Why, for others in charge; the client is not told."""
