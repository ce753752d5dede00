"""What is told of sessions that are over."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, Field

from rtmpd.control.answers import Answer, Page, PageQuery
from rtmpd.control.fields import check_network
from rtmpd.control.session_answers import SessionKind, UseKind


class RecordedUse(Answer):
    """A publish or a play that is over."""

    action: UseKind
    """A push plays."""
    app: str
    """Of the stream."""
    name: str
    """Of the stream."""
    since: datetime
    """When it began."""
    seconds: float
    """How long it lasted."""
    bytes: int
    """Of media: published, or sent to who played."""
    video: str | None
    """Codec of what was published, as its FourCC; null of a play, and where there was none."""
    audio: str | None
    """The same."""
    dropped: int
    """Packets kept from who played, because it was behind or waited for a key frame."""
    reason: str
    """Why it ended; the list of reasons is in the operations manual."""
    by: str | None
    """Who wanted it so, if it was somebody else."""
    file: bool = False
    """A file was played, and nothing that was live."""


class RecordedTcp(Answer):
    """What the kernel knew of a connection at its end."""

    round_trip_seconds: float
    """Smoothed."""
    round_trip_min_seconds: float
    """The shortest of late."""
    retransmitted_segments: int
    """Sent again since the connection began."""


class Record(Answer):
    """A session that is over."""

    id: str
    """Its number, as the log has it."""
    kind: SessionKind
    """pending: it neither published nor played."""
    protocol: str
    """rtmp; http-flv, ws-flv, http-mp4 and ws-mp4 are FLV and MP4 by HTTP and WebSocket; push and pull are
    connections that this server has made."""
    since: datetime
    """When it began."""
    until: datetime
    """When it was over."""
    seconds: float
    """How long it lasted."""
    address: str
    """IP address of the client; of a relay the other server."""
    listener: str
    """Where it came in; empty for a relay."""
    tls: bool
    """As far as it is ended here, and not in a proxy."""
    agent: str
    """What it called itself."""
    account: str
    """Whom it was found to be; empty where nobody asked."""
    query: str
    """What may be shown of what it asked for."""
    bytes_in: int
    """Received; of a pull media alone."""
    bytes_out: int
    """Sent; of a push media alone."""
    dropped: int
    """Packets kept from what it played."""
    peak_backlog_bytes: int
    """Most that was seen waiting to be sent to it."""
    reason: str
    """Why it ended; the list of reasons is in the operations manual."""
    detail: str | None
    """Why more exactly, where that is known: a word of the reasons of failures and refusals."""
    by: str | None
    """Who wanted it so, if it was somebody else."""
    last_command: str
    """The name of the last command that came, other for one that is not known; empty without any."""
    tcp: RecordedTcp | None
    """Null of a relay, and where the system does not tell."""
    uses: tuple[RecordedUse, ...]
    """What it published and played, in the order in which that ended."""
    more_uses: int
    """Publishes and plays beyond these 32."""
    input_bytes: int
    """How many of the first bytes that it sent are kept: none unless it broke the protocol."""


class RecordPage(Page):
    """Sessions that are over, the youngest first."""

    items: tuple[Record, ...]
    """One part of them."""


class RecordQuery(PageQuery):
    """Which sessions are wanted."""

    app: Annotated[str, Field(max_length=256)] | None = None
    """That published or played in this app alone."""
    stream: Annotated[str, Field(max_length=1024)] | None = None
    """That published or played this stream alone, such as live/show."""
    kind: SessionKind | None = None
    """Of this kind alone."""
    address: Annotated[str, AfterValidator(check_network)] | None = None
    """From this address or network alone."""
    account: Annotated[str, Field(max_length=256)] | None = None
    """Of this account alone."""
    reason: Annotated[str, Field(max_length=64)] | None = None
    """That ended for this reason, or with this detail, alone."""
