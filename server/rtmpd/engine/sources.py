"""The publications of a stream: which is on air, which goes on next, and where the packets of others go."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from rtmpd.engine.channel import Channel
from rtmpd.engine.cover import Cover
from rtmpd.engine.drops import DropReason
from rtmpd.engine.intake import Intake
from rtmpd.engine.limits import EngineLimits
from rtmpd.engine.packet import CACHED_HEADER, VIDEO, Packet
from rtmpd.engine.publication import GAP_MS, Home, Publication


class Life(StrEnum):
    """What the audience of a stream has."""

    IDLE = "idle"
    """Nothing, and knows it."""
    LIVE = "live"
    """A publication is on air."""
    HOLDING = "holding"
    """The last one has ended, and nobody was told: another may go on."""


class Sources:
    """All publications of a stream. At most one is on air; who stands by and is due to follow is the heir."""

    __slots__ = (
        "_until",
        "backup_after",
        "cover",
        "handback",
        "heir",
        "holding",
        "kept",
        "last",
        "on_air",
        "publications",
        "seconds",
    )

    def __init__(self) -> None:
        self.backup_after = 0.0
        self.handback = 0.0
        """Seconds: see ``EngineLimits``."""
        self.publications: tuple[Publication, ...] = ()
        """In order of arrival."""
        self.on_air: Publication | None = None
        self.heir: Publication | None = None
        """Goes on air as soon as it can."""
        self.holding = False
        """The audience waits for one to go on."""
        self.seconds = 0.0
        """For which it does without an heir."""
        self.kept = False
        """It began to wait when there was none."""
        self._until: float | None = None
        """Clock reading at which that ends; None until somebody has looked."""
        self.last: Publication | None = None
        """It was on air and has ended, and the audience waits for another to go on."""
        self.cover: Cover | None = None
        """Is shown instead of whoever is on air, or was last."""

    @property
    def held_since(self) -> float | None:
        """Clock reading at which its audience began to wait, up to a second late; None while it does not, or
        nobody has looked."""
        return self._until - self.seconds if self.holding and self._until is not None else None

    def apply(self, limits: EngineLimits) -> None:
        """Other rules from now on."""
        self.backup_after, self.handback = limits.backup_after, limits.handback

    @property
    def life(self) -> Life:
        if self.on_air is not None:
            return Life.LIVE
        return Life.HOLDING if self.holding else Life.IDLE

    def add(self, publication: Publication) -> bool:
        """One more; whether it goes on air at once. If not it stands by."""
        idle = not self.publications and not self.holding
        self.publications = (*self.publications, publication)
        if not idle and self.on_air is None:
            self.heir = publication
        return idle

    def remove(self, publication: Publication) -> bool:
        """It has ended; whether it was on air. If others stand by, the newest is to go on."""
        self.publications = tuple([each for each in self.publications if each is not publication])
        if self.heir is publication:
            self.heir = None
        if self.on_air is not publication:
            return False
        self.on_air = None
        self.last = publication
        if self.heir is None and self.publications:
            self.heir = self.publications[-1]
        return True

    def put_on_air(self, publication: Publication) -> None:
        """Instead of who is."""
        self.on_air = publication
        self.heir = None
        self.last = None
        self.holding = False

    def hold(self, seconds: float) -> bool:
        """Have the audience wait for the heir, or ``seconds`` if there is none; False if for neither."""
        self.holding = self.heir is not None or seconds > 0.0
        self.seconds = seconds
        self.kept = self.holding and self.heir is None
        self._until = None
        return self.holding

    def overdue(self, now: float) -> bool:
        """Whether the audience has waited for long enough; to be asked about once a second."""
        if not self.holding:
            return False
        if self._until is None:
            self._until = now + self.seconds
        return now >= self._until and self.heir is None

    def let_go(self) -> Publication | None:
        """The audience waits no more, for who goes on behind the one returned: the next has its own time."""
        self.holding = False
        last, self.last = self.last, None
        return last

    def awaits(self, publication: Publication) -> bool:
        """Whether it is the heir."""
        return self.heir is publication

    def urgent(self, publication: Publication, now: float) -> bool:
        """Whether a backup has to go on as soon as it can."""
        on_air = self.on_air
        if not publication.place.backup:
            return False
        return on_air is None or (not on_air.place.backup and on_air.silent_for(now) >= self.backup_after)

    def handed_back(self, publication: Publication, steady_for: float) -> bool:
        """Whether the main one is to go on instead of the backup, with its next keyframe."""
        on_air = self.on_air
        if on_air is None or publication.place.backup or not on_air.place.backup:
            return False
        return steady_for >= self.handback

    def end_of_air(self) -> int | None:
        """The time on air (64-bit ms) behind all that was; None if there was nothing."""
        latest = self._latest
        return None if latest is None else latest[0] + 1

    def time_on_air(self, packet: Packet, now: float, due: int = 0) -> int:
        """When a packet is (64-bit ms) that comes ``now``, behind all that was on air, which would have gone
        on when ``due``.
        """
        return packet.timestamp if self._latest is None else self.moment(now, due)

    def moment(self, now: float, due: int) -> int:
        """The same of whatever comes ``now`` and has no time of its own."""
        time, at = self._latest or (0, now)
        return max(time + max(round((now - at) * 1000.0), 1), due)

    @property
    def _latest(self) -> tuple[int, float] | None:
        """Time on air of the newest that there was (64-bit ms), and the clock reading when it came."""
        if self.cover is not None:
            return self.cover.latest
        before = self.last if self.on_air is None else self.on_air
        return None if before is None else before.latest


_LONG_AGO: Final = -1e9
PAUSE: Final = 0.5
"""Seconds without a message after which an encoder that stands by has to show anew that it is well."""


class Standby(Channel):
    """Off air: packets go into the publication's own caches, until it may go on.

    In the time that it had on air last, as what is in the caches from then.
    """

    __slots__ = ("_intake", "_last_at", "_offset", "_publication", "_since", "_stream")

    def __init__(self, stream: Home, publication: Publication) -> None:
        self._stream = stream
        self._publication = publication
        self._offset = publication.offset
        self._intake = publication.intake
        self._intake.books.stream.on_air = False
        self._last_at = _LONG_AGO
        """When its last message came."""
        self._since = 0.0
        """When the first one came of those that came without a pause."""

    def push(self, packet: Packet) -> None:
        packet.timestamp += self._offset
        now = self._publication.stats.last_media_at
        if packet.flags & CACHED_HEADER:
            self._intake.take_in_header(packet)
            return
        if now is None:  # Data, before anything that one can go on with.
            self._intake.take_in(packet)
            return
        if now - self._last_at >= PAUSE:
            self._since = now
        self._last_at = now
        if not self._stream.switched(self._publication, packet, now - self._since):
            self._intake.take_in(packet)


class Rebased(Channel):
    """On air behind another publication, in its time."""

    __slots__ = ("_intake", "_offset", "_since", "_stream")

    def __init__(self, stream: Home, intake: Intake, offset: int, since: int) -> None:
        self._stream = stream
        self._intake = intake
        self._offset = offset
        """What the publication's own time is put forward by (ms)."""
        self._since = since
        """Time on air of its first frame there (64-bit ms)."""

    def push(self, packet: Packet) -> None:
        packet.timestamp += self._offset
        # Of two media that are sent together one lags. A larger step back is the publisher's own.
        if 0 < self._since - packet.timestamp <= GAP_MS and not packet.flags & CACHED_HEADER:
            self._intake.books.refuse(DropReason.BEFORE_SWITCH)
        else:
            self._stream.push(packet)


CATCH_UP_BYTES: Final = 4 * 1024 * 1024


def catch_up(publication: Publication, sources: Sources, packet: Packet) -> list[Packet]:
    """What a backup that goes on with ``packet`` sends first: its newest GOP so far, in the time on air.

    Of it nobody is shown what lies before the end of what was on air: pictures that only others need follow
    that end millisecond by millisecond, sound and data are left out. Empty where there is no GOP, none that
    follows upon something, or one of more than ``CATCH_UP_BYTES``: then the next keyframe has to come.
    """
    begin, gop = sources.end_of_air(), publication.intake.gop
    # It is asked with every packet until a keyframe comes.
    if begin is None or not gop.whole or gop.held_bytes > CATCH_UP_BYTES:
        return []
    frames = gop.decodable()
    if not frames:
        return []
    latest = publication.stats.last_media_at
    now = sources.time_on_air(packet, publication.started_at if latest is None else latest)
    offset, room = now - packet.timestamp, max(now - begin, 0)
    found: list[Packet] = []
    for frame in frames:
        time = frame.timestamp + offset
        if time < begin and frame.kind != VIDEO:
            continue
        found.append(frame.restamped(max(time, begin + min(len(found), room))))
    return found
