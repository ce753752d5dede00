"""What is told of the server as a whole."""

from __future__ import annotations

from datetime import datetime

from rtmpd.control.answers import Answer
from rtmpd.control.drain_answers import Drain
from rtmpd.control.log_answers import LogLevel


class Totals(Answer):
    """Of the process, since it started or now."""

    connections: dict[str, int]
    """RTMP connections that are open, by state: pending, publishing, playing."""
    connections_total: int
    """All that have come in."""
    publishers: int
    """Publications there are, on air or not."""
    publishes_total: int
    """All that there were."""
    players: int
    """Players there are, those included that wait for a stream."""
    plays_total: int
    """All that there were."""
    streams_published: int
    """Streams that have a publisher."""
    streams_held: int
    """Streams whose players are kept for an encoder that was lost."""
    streams_on_slate: int
    """Streams that show a slate instead of their encoder."""
    bytes_in: int
    """Received from clients."""
    bytes_out: int
    """Sent to clients and push targets, or about to be."""
    bits_per_second_in_10s: float
    """Received from clients, over about 10 seconds."""
    bits_per_second_out_10s: float
    """Sent to clients and push targets, over about 10 seconds."""
    refusals: dict[str, int]
    """Requests that were not granted, by reason."""
    bans: int
    """Networks that are banned."""
    unsent_bytes: int
    """Of slow connections: accepted and not sent."""
    media_bytes: int
    """Held in memory."""
    media_limit_bytes: int
    """What may be; 0 is any amount."""


class Process(Answer):
    """What the server's process takes."""

    id: int
    """Its number on its machine."""
    memory_bytes: int | None
    """Resident; null where the system does not tell."""
    cpu_seconds: float
    """User and system, since it started."""
    cpu_cores: float
    """Cores that it has kept busy since somebody asked before, if that is a second ago at least."""


class Machine(Answer):
    """Where it runs."""

    cores: int
    """Of its processors."""
    memory_bytes: int
    """All that there is."""
    load_1m: float
    """Processes that run or wait to, over a minute."""
    load_5m: float
    """Over 5 minutes."""
    load_15m: float
    """Over 15 minutes."""


class State(Answer):
    """What outlives a restart."""

    writable: bool
    """It was written when that was tried last."""
    reason: str | None
    """Why not; null if it was."""
    problem: str | None
    """The same in words, with what to do; null if it was."""
    bytes: int
    """Size of the file."""


class Predecessor(Answer):
    """The process before this one, which it has taken over from, while somebody is left there."""

    pid: int
    """Its number."""
    version: str
    """Of its rtmpd."""
    since: datetime | None
    """When it was taken over from; null before it has said so."""
    until: datetime | None
    """When those who are left are told that the server ends, at the latest; null before it has said so."""
    publishers: int | None
    """Encoders that it has; null where it does not say."""
    players: int | None
    """Players that it has; null where it does not say."""
    streams: int | None
    """Streams that are published there; null where it does not say."""
    problem: str | None
    """Why it does not say more; null if it does."""


class PublicHttp(Answer):
    """Where browsers play streams, and find the page of each."""

    url: str | None
    """Where the world finds it, http.public_url; null where that is not said: then at the port, on the host
    that this was asked on."""
    scheme: str
    """http or https."""
    port: int | None
    """Null behind a URL."""
    prefix: str
    """Of all paths there; empty, or with a slash before it and none behind."""


class ServerInfo(Answer):
    """The server."""

    instance: str
    """Names this run of the server: another one after each start."""
    version: str
    """Of rtmpd."""
    form: str
    """How it runs: compiled or pure Python."""
    python: str
    """Version of Python."""
    started: datetime
    """When the process started."""
    serving_since: datetime
    """When the first one started of those that took over from each other, one by one, up to this one."""
    uptime_seconds: float
    """Since then."""
    ready: bool
    """It takes new connections."""
    unready_reason: str | None
    """Why not; null if it does."""
    rtmp_port: int | None
    """Where it takes RTMP; what stands before it, such as a container's runtime, may have another one.
    Null where it is not taken at a port."""
    http: PublicHttp | None
    """Where browsers play; null where they cannot."""
    state: State | None
    """What outlives a restart; null if nothing does."""
    log: LogLevel
    """What is written into the log."""
    drain: Drain | None
    """Whom it waits for before it ends; null while it does not end."""
    predecessor: Predecessor | None
    """The process that this one has taken over from; null where none is left."""
    totals: Totals
    process: Process
    machine: Machine
