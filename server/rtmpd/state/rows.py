"""What is stored, row by row. Times are seconds since 1970."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, TypeAlias

Place: TypeAlias = tuple[str, tuple[str, ...]]
"""A table, and what tells its rows apart."""


@dataclass(frozen=True, slots=True)
class BanRow:
    """A network that nobody is let in from."""

    TABLE: ClassVar[str] = "bans"
    KEYS: ClassVar[tuple[str, ...]] = ("network",)

    network: str
    since: float
    until: float
    reason: str | None = None
    """In the words of who banned it; None if it has failed to prove who it is."""
    count: int = 1
    """How many bans in a row it has had."""


@dataclass(frozen=True, slots=True)
class PushRow:
    """A push target that was added at run time, or switched off. Its address may hold a stream key."""

    TABLE: ClassVar[str] = "pushes"
    KEYS: ClassVar[tuple[str, ...]] = ("app", "name", "id")

    app: str
    name: str
    id: str
    url: str
    """Empty: the settings have it."""
    track: str | None = None
    """As JSON; None is the usual one."""
    enabled: int = 1
    """Not switched off."""

    def __repr__(self) -> str:
        return f"PushRow({self.app!r}, {self.name!r}, {self.id!r})"


@dataclass(frozen=True, slots=True)
class KeyRow:
    """A stream key that was added at run time: its digest, and what it opens."""

    TABLE: ClassVar[str] = "keys"
    KEYS: ClassVar[tuple[str, ...]] = ("digest",)

    digest: str
    """SHA-256, in hexadecimal."""
    action: str
    path: str
    """App and name of the stream."""
    label: str
    until: float | None
    """When it expires."""
    backup: int
    since: float
    is_token: int
    """Whoever showed a JWT has got it."""


@dataclass(frozen=True, slots=True)
class RevokedRow:
    """A stream key that opens nothing any more, wherever it stands."""

    TABLE: ClassVar[str] = "revoked"
    KEYS: ClassVar[tuple[str, ...]] = ("digest",)

    digest: str


@dataclass(frozen=True, slots=True)
class RecordingRow:
    """A file of a recording that is finished, and what is still to be done with it."""

    TABLE: ClassVar[str] = "recordings"
    KEYS: ClassVar[tuple[str, ...]] = ("path",)

    path: str
    root: str
    """The folder of the recordings, which it lies in."""
    app: str
    name: str
    part: int
    started: float
    duration: float
    """Of its media, in seconds."""
    size: int
    changed: float
    """When it was finished."""
    codecs: str
    """With blanks between."""
    reason: str
    """Why it ended: a word."""
    step: str
    """What is to be done next: a word."""
    uploaded: str
    """Where it is stored; empty if it is not."""
    upload_id: str
    """Of an upload in parts that has begun."""
    problem: str
    """Why the step was not done when it was last tried."""


KeptRow: TypeAlias = BanRow | PushRow | KeyRow | RevokedRow | RecordingRow
"""What must not be lost: there is one of each name."""


def place_of(row: KeptRow) -> Place:
    """What another row would take the place of."""
    return row.TABLE, tuple(str(getattr(row, name)) for name in row.KEYS)


@dataclass(frozen=True, slots=True)
class MinuteRow:
    """What a stream had in one minute, or a part of it; added to the hour that it is of.

    ``app`` and ``name`` are empty for all streams together.
    """

    TABLE: ClassVar[str] = "usage"

    hour: int
    """When the hour began, by the clock on this machine's wall."""
    minute: int
    """In minutes since 1970."""
    app: str
    name: str
    players: int
    """Most at a time."""
    player_seconds: float
    """All of them together."""
    live_seconds: float
    """With a publisher, or an audience that was kept for one."""
    bytes_in: int
    bytes_out: int
    file_seconds: float = 0.0
    """Of those who play files, all together; ``player_seconds`` are of what is live."""


@dataclass(frozen=True, slots=True)
class AuditRow:
    """Who has changed what, or was refused to."""

    TABLE: ClassVar[str] = "audit"

    at: float
    instance: str
    """Of the process."""
    actor: str
    """Empty where nobody is asked who he is."""
    client: str
    """The address that it came from; empty where it has none."""
    protocol: str
    change: str
    target: str
    reason: str
    result: str
    problem: str | None = None
    """Why it was refused: a word."""
    detail: str | None = None
    """The same as a sentence."""
    before: str | None = None
    """How it was."""
    after: str | None = None
    """How it is now."""


LooseRow: TypeAlias = MinuteRow | AuditRow
"""What may be lost, when it cannot be written for long."""
