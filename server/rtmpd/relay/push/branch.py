"""A stream as one push target is sent it: with a slate of its own, which nobody else sees."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from rtmpd.engine.claim import ClaimPolicy, seconds_held
from rtmpd.engine.cover import Cover
from rtmpd.engine.handover import LOSSES
from rtmpd.engine.key import StreamKey
from rtmpd.engine.packet import DATA, VIDEO, Packet
from rtmpd.engine.packet_queue import Mark
from rtmpd.engine.publication import Publication
from rtmpd.engine.registry import Registry
from rtmpd.engine.sink import CloseReason, Ending, TapOptions
from rtmpd.engine.slate import SlateRules
from rtmpd.engine.sources import Life
from rtmpd.engine.stream import LiveStream
from rtmpd.engine.tap import Tap
from rtmpd.engine.terms import Terms

_OPTIONS: Final = TapOptions(slate=False)


class _Kept(ClaimPolicy):
    """The target is kept for an encoder that was lost, for as long as its slate is shown."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def cover(self, _key: StreamKey, ending: Ending, /) -> float:
        return self._seconds if ending.reason in LOSSES else 0.0


class Branch:
    """Takes the packets of a stream and is one itself, in no registry, with one push as its audience.

    What is on air of the stream is one publication here after another. Where it is silent or ends, and may
    come back, the slate is shown and the push goes on, whatever players are shown meanwhile.
    """

    def __init__(
        self, registry: Registry, key: StreamKey, target: str, rules: SlateRules, clock: Callable[[], float]
    ) -> None:
        """``target`` is the name of the push, for the log."""
        self._registry = registry
        self._key = key
        self._target = target
        self._clock = clock
        self._policy = _Kept(rules.seconds)
        self._rules = rules
        self._stream: LiveStream | None = None
        self._source: Publication | None = None
        """What is passed on, or was last."""
        self._publication: Publication | None = None
        self._tap: Tap | None = None

    @property
    def stream(self) -> LiveStream:
        """What the push attaches to."""
        if self._stream is None:
            self._stream = self._registry.branches.add(self._key, self._target, self._rules, self._released)
        return self._stream

    @property
    def slate(self) -> Cover | None:
        """What is shown now, if something is."""
        return None if self._stream is None else self._stream.slate

    @property
    def is_holding(self) -> bool:
        """The target is kept for an encoder that was lost."""
        return self._stream is not None and self._stream.life is Life.HOLDING

    @property
    def lost(self) -> Publication | None:
        """The publication that the target is kept for; None if there is one, or nothing to wait for."""
        return self._source if self.is_holding else None

    def follow(self, source: Publication) -> None:
        """Pass on what is published, from now on."""
        self._source = source
        if self._tap is None:
            self._tap = self._registry.tap(source.key, self, _OPTIONS, self._clock())
            self.ready()

    def leave(self, source: Publication) -> None:
        """It has ended; whether it is waited for is up to its end, and to the rules of its stream."""
        if self._publication is None:
            return
        ending = source.ending
        kept = seconds_held(source.policy, source.key, ending) > 0.0
        reason = CloseReason.FINISHED if ending is None else ending.reason
        if kept and reason not in LOSSES:
            reason = CloseReason.CONNECTION_LOST
        publication, self._publication = self._publication, None
        publication.close(reason)

    def end(self) -> None:
        """Nobody is sent anything any more. Idempotent."""
        if self._tap is not None:
            self._tap.detach()
            self._tap = None
        if self._publication is not None:
            self._publication.close(CloseReason.FINISHED)
            self._publication = None
        if self._stream is not None:
            self._stream.end_hold()

    # The tap's sink

    def ready(self) -> None:
        while self._tap is not None and (items := self._tap.take()):
            for item in items:
                if isinstance(item, Packet):
                    self._pass_on(item)
                elif item is Mark.ENDED and self._tap is not None:
                    self._tap.detach()
                    self._tap = None
                elif item is Mark.GAP and self._publication is not None:
                    self._publication.intake.gop.clear()

    def close(self, _reason: CloseReason) -> None:
        self._tap = None

    # Inside

    def _pass_on(self, packet: Packet) -> None:
        publication, now = self._publication, self._clock()
        if publication is None:
            if self._source is None:
                return
            terms = Terms(self._policy)
            publication = self.stream.add_publication(_Owner(), self._source.origin, now, terms)
            self._publication = publication
        stats = publication.stats
        if packet.kind != DATA:
            figures = stats.video if packet.kind == VIDEO else stats.audio
            figures.messages_in += 1
            figures.timestamp = packet.timestamp
            stats.last_media_at = now
        # Whoever else has it finds its time as it is.
        publication.channel.push(packet.restamped(packet.timestamp))

    def _released(self, stream: LiveStream) -> None:
        if self._stream is stream:
            self._stream = None


class _Owner:
    """Of what is passed on."""

    def close(self, _reason: CloseReason) -> None:
        """It ends with its stream."""
