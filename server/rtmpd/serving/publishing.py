"""From a client's publish to a live stream, and back."""

from __future__ import annotations

import logging
import math
from dataclasses import replace

from rtmpd.engine.claim import Lease, Place
from rtmpd.engine.origin import Origin
from rtmpd.engine.sessions import Use
from rtmpd.engine.sink import CloseReason
from rtmpd.engine.stats import StreamStats, count
from rtmpd.engine.terms import UNRECORDED
from rtmpd.exceptions import DeadlineExceeded, Refused
from rtmpd.reasons import SessionFailure, Word
from rtmpd.rtmp.constants import StatusCode
from rtmpd.rtmp.events import PublishRequested
from rtmpd.rtmp.url import asks_to_stand_by
from rtmpd.rtmp.via import check_publish
from rtmpd.serving import connection_log as log
from rtmpd.serving.access import Figures, Grant
from rtmpd.serving.peer import Peer
from rtmpd.serving.rejections import Encoder
from rtmpd.serving.takeover import await_silence

logger = logging.getLogger(__name__)


async def begin_to_publish(peer: Peer, event: PublishRequested, grant: Grant) -> Publisher:
    """Claim what was granted, of other servers first. Raises ``Refused`` when it may not be had.

    Nothing is promised to the encoder either way.
    """
    try:
        return await _begin(peer, event, grant)
    except BaseException:
        grant.abandon()
        raise


async def _begin(peer: Peer, event: PublishRequested, grant: Grant) -> Publisher:
    context = peer.context
    origin = peer.origin.asking(event.query).found_to_be(grant.account, grant.identity)
    check_publish(origin.via, context.instance_id)
    place = Place(grant.backup or asks_to_stand_by(event.query), grant.backup)
    context.rejections.check(Encoder(grant.key, origin.network, place.backup), context.clock())
    lease = await context.claims.claim(grant.key, origin)
    try:
        await await_silence(context, grant.key, origin, grant.claim or context.claim_policy, place)
        return Publisher(peer, event, origin, grant, place, lease)
    except BaseException:
        context.claims.release(lease)
        raise


class Publisher:
    """A connection's publication: the engine ends it through ``close``, the connection through ``release``.

    ``receive(message, now)`` is the publication's own method, because every message of the stream goes
    through it.
    """

    __slots__ = (
        "__weakref__",
        "_lease",
        "_peer",
        "_publication",
        "_since",
        "ends_at",
        "in_rounds",
        "receive",
        "stream_id",
    )

    def __init__(
        self, peer: Peer, event: PublishRequested, origin: Origin, grant: Grant, place: Place, lease: Lease
    ) -> None:
        """Take the granted name of the registry, and own ``lease`` from then on. Raises ``Refused``."""
        context = peer.context
        self._peer = peer
        self.stream_id = event.stream_id
        self._since = context.clock()
        self._lease = lease
        policy = grant.claim or context.claim_policy
        rules = context.publish_rules(grant.key)
        self.ends_at = self._since + rules.max_duration if rules.max_duration else math.inf
        """Clock reading at which it has lasted for as long as it may."""
        self.in_rounds = rules.in_rounds
        """Its socket may be read in rounds."""
        media = replace(rules.media, reject=rules.media.reject.under(grant.media))
        self._publication = context.registry.claim(
            *(grant.key, self, origin, self._since, policy, grant.max_players, media, place),
            _kept(event.mode, grant.record),
        )
        self.receive = self._publication.receive
        fields = log.of_stream(origin, grant.key) | {
            "agent": origin.agent,
            "account": origin.account or None,
            "source": place.source if place.backup else None,
        }
        logger.info("publish started", extra={"fields": fields})

    @property
    def watched(self) -> bool:
        """Somebody is written what is published as it comes: a player, a relay."""
        return self._publication.watched

    @property
    def use(self) -> Use:
        """What it is to whoever looks at the session."""
        return Use(True, self._publication.key, self._since)

    def figures(self) -> Figures:
        """How it gets on."""
        stats = self._publication.stats
        received = stats.audio.bytes_in + stats.video.bytes_in + stats.data_bytes_in
        return Figures(last_timestamp(stats), received, 0)

    def close(self, reason: CloseReason) -> None:
        """The engine has ended the publication: tell the encoder, which only a closed connection stops."""
        if reason is CloseReason.IDLE:
            self._fail_silent()
            return
        rejection = self._publication.rejection
        if rejection is not None:
            self._reject(rejection)
            return
        text = f"The server ended this stream: {reason}."
        if reason is CloseReason.MAX_DURATION:
            text = f"A stream may last for {spell_seconds(self.ends_at - self._since)} here, as this one has."
        if reason is CloseReason.WITHDRAWN:
            text = "You may not publish this stream any more: ask whoever runs the server."
        self._peer.session.end_publish(self.stream_id, StatusCode.PUBLISH_FAILED, text)
        self._peer.end(reason)

    def look(self, now: float) -> None:
        """Act on the deadline, if it has passed."""
        if self.ends_at <= now:
            self.dismiss(CloseReason.MAX_DURATION, None)

    def dismiss(self, reason: CloseReason, by: Origin | None) -> None:
        """End the publication, because ``by`` wants it so: the engine tells the encoder through ``close``."""
        self._publication.dismiss(reason, by)

    def release(self, reason: CloseReason, detail: Word | None = None) -> None:
        """The client or its connection ended the publication: free the name. The last call.

        ``detail`` is for the log.
        """
        self.ends_at = math.inf
        publication, context = self._publication, self._peer.context
        try:
            publication.close(reason)
        finally:
            context.claims.release(self._lease)
        stats, origin = publication.stats, publication.origin
        of_stream = log.of_stream(origin, publication.key)
        fields = of_stream | {
            "duration": round(context.clock() - self._since, 3),
            "bytes": stats.audio.bytes_in + stats.video.bytes_in + stats.data_bytes_in,
            "codecs": codecs(stats),
            "agent": origin.agent,
            "account": origin.account or None,
            "reason": detail or reason,
            "by": log.who(publication.ending),
        }
        if stats.last_media_at is None:
            # Never seen by anybody, and the person at the encoder may think it was.
            logger.warning("published without media", extra={"fields": of_stream})
        logger.info("publish ended", extra={"fields": fields})
        # Each has us, and we it: nobody would be free before the cyclic collector comes by.
        del self.receive, self._publication, self._peer

    def _reject(self, rejection: Refused) -> None:
        """What it sends is beyond its limits: say which, as to a publish that is refused."""
        peer, publication = self._peer, self._publication
        context, origin = peer.context, publication.origin
        log.media_rejected(origin, publication.key, rejection)
        count(context.stats.refusals, rejection.reason)
        encoder = Encoder(publication.key, origin.network, publication.place.backup)
        context.rejections.note(encoder, rejection, context.clock())
        peer.session.end_publish(self.stream_id, rejection.code, rejection.description)
        peer.end(CloseReason.MEDIA_REJECTED, rejection.reason)

    def _fail_silent(self) -> None:
        if self._publication.stats.last_media_at is None:
            error = DeadlineExceeded(
                SessionFailure.FIRST_MEDIA_TIMEOUT, "published, then sent no audio and no video"
            )
        else:
            error = DeadlineExceeded(
                SessionFailure.PUBLISHER_IDLE, "the publisher sends neither audio nor video any more"
            )
        self._peer.session.fail(error)
        self._peer.advance()


def _kept(mode: str, record: bool | None) -> str:
    """What is to be kept, of what the encoder wants and what it was granted."""
    if record is None or (record and mode != "live"):
        return mode
    return "record" if record else UNRECORDED


def codecs(stats: StreamStats) -> str:
    """The codecs of a stream for a log line, such as ``avc1+mp4a``."""
    return "+".join(codec for codec in (stats.video.codec, stats.audio.codec) if codec) or "none"


def spell_seconds(seconds: float) -> str:
    """A time for people, such as ``4 h``."""
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= size and not round(seconds, 3) % size:
            return f"{seconds / size:.0f} {unit}"
    return f"{round(seconds, 3):g} s"


def last_timestamp(stats: StreamStats) -> int:
    """Of the last media, in milliseconds of the publisher's clock."""
    return max(stats.audio.timestamp or 0, stats.video.timestamp or 0)
