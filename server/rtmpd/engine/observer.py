"""The joint to whoever acts on the coming and going of publishers and players: relays, recorders, hooks."""

from __future__ import annotations

import logging
from collections.abc import Callable

from rtmpd.engine.claim import SwitchReason
from rtmpd.engine.health import HealthKind, HealthWarning
from rtmpd.engine.key import StreamKey
from rtmpd.engine.publication import Codecs, Publication
from rtmpd.engine.slate import Slate, SlateEnd
from rtmpd.engine.subscriber import Subscription
from rtmpd.engine.vod import VodPlay

_logger = logging.getLogger(__name__)


class StreamObserver:
    """Is told what happens to streams, in order, a turn of the event loop after it happened.

    So every method may attach, claim, detach and close; but by then the stream may have changed again: who
    decides something looks at the registry. Whatever was said to begin is said to end, be it in the same
    turn; the objects know their ``origin`` and, once they have ended, their ``ending``. An exception is
    logged and costs nobody else anything. What is not overridden does nothing.
    """

    def published(self, publication: Publication) -> None:
        """A publisher has come."""

    def unpublished(self, publication: Publication) -> None:
        """The publisher has left."""

    def media_started(self, publication: Publication, codecs: Codecs) -> None:
        """Its first frame has come: told with the first keyframe, or else within about a second."""

    def codecs_changed(self, publication: Publication, before: Codecs, after: Codecs) -> None:
        """Behind its first frame another codec begins, or a medium that was not there ``before``."""

    def warned(self, publication: Publication, kind: HealthKind, warning: HealthWarning) -> None:
        """Something is wrong with it."""

    def warning_over(self, publication: Publication, kind: HealthKind) -> None:
        """It has not been for ``CALM_AFTER``. The end of a publication ends its warnings without a word."""

    def held(self, publication: Publication) -> None:
        """It was on air and has ended, and the audience is kept for another one."""

    def resumed(self, publication: Publication, outage: float) -> None:
        """It goes on where the last one ended, ``outage`` seconds after the last media of that."""

    def switched(self, publication: Publication, why: SwitchReason, silent: float) -> None:
        """It goes on for the other encoder of the stream, which has sent no media for ``silent`` seconds."""

    def slate_shown(self, publication: Publication, slate: Slate, target: str) -> None:
        """It is silent or has ended, and something else is shown in its stead: to everybody, or to the push
        ``target`` alone if that is not empty.
        """

    def slate_over(
        self, publication: Publication, slate: Slate, target: str, why: SlateEnd, seconds: float
    ) -> None:
        """That is over, after so many seconds."""

    def ended(self, publication: Publication) -> None:
        """The stream is over for its audience; ``publication`` was on air last."""

    def play_started(self, subscription: Subscription) -> None:
        """Somebody has attached, a relay perhaps, whether there is a publisher or not."""

    def play_ended(self, subscription: Subscription) -> None:
        """It has left."""

    def vod_started(self, play: VodPlay) -> None:
        """Somebody plays a file, whatever becomes of the stream of that name."""

    def vod_ended(self, play: VodPlay) -> None:
        """That is over."""

    def wanted(self, first: Subscription) -> None:
        """The first player has come, whether there is a publisher or not."""

    def unwanted(self, last: Subscription) -> None:
        """The last player has left, whether there is a publisher or not."""


class Announcer(StreamObserver):
    """Passes on what it is told to every observer, from outside of whatever the engine is doing.

    ``call_soon(callback)`` runs a callback in the next turn of the event loop.
    """

    def __init__(self, call_soon: Callable[[Callable[[], None]], object]) -> None:
        self._call_soon = call_soon
        self._observers: list[StreamObserver] = []
        self._owners: list[StreamObserver] = []
        """Of them, those that are not told of what is borrowed."""
        self._pending: list[tuple[StreamKey, bool, Callable[[StreamObserver], None]]] = []

    def observe(self, observer: StreamObserver, *, borrowed: bool) -> None:
        """Tell ``observer`` what happens from now on, also with ``Origin.is_borrowed`` if ``borrowed``."""
        self._observers.append(observer)
        if not borrowed:
            self._owners.append(observer)

    def published(self, publication: Publication) -> None:
        if self._observers:
            self._announce_publication(publication, lambda observer: observer.published(publication))

    def unpublished(self, publication: Publication) -> None:
        if self._observers:
            self._announce_publication(publication, lambda observer: observer.unpublished(publication))

    def held(self, publication: Publication) -> None:
        if self._observers:
            self._announce_publication(publication, lambda observer: observer.held(publication))

    def resumed(self, publication: Publication, outage: float) -> None:
        if self._observers:
            self._announce_publication(publication, lambda observer: observer.resumed(publication, outage))

    def switched(self, publication: Publication, why: SwitchReason, silent: float) -> None:
        if self._observers:
            self._announce_publication(
                publication, lambda observer: observer.switched(publication, why, silent)
            )

    def slate_shown(self, publication: Publication, slate: Slate, target: str) -> None:
        if self._observers:
            self._announce_publication(
                publication, lambda observer: observer.slate_shown(publication, slate, target)
            )

    def slate_over(
        self, publication: Publication, slate: Slate, target: str, why: SlateEnd, seconds: float
    ) -> None:
        if self._observers:
            self._announce_publication(
                publication, lambda observer: observer.slate_over(publication, slate, target, why, seconds)
            )

    def ended(self, publication: Publication) -> None:
        if self._observers:
            self._announce_publication(publication, lambda observer: observer.ended(publication))

    def media_started(self, publication: Publication, codecs: Codecs) -> None:
        if self._observers:
            self._announce_publication(
                publication, lambda observer: observer.media_started(publication, codecs)
            )

    def codecs_changed(self, publication: Publication, before: Codecs, after: Codecs) -> None:
        if self._observers:
            self._announce_publication(
                publication, lambda observer: observer.codecs_changed(publication, before, after)
            )

    def warned(self, publication: Publication, kind: HealthKind, warning: HealthWarning) -> None:
        if self._observers:
            self._announce_publication(
                publication, lambda observer: observer.warned(publication, kind, warning)
            )

    def warning_over(self, publication: Publication, kind: HealthKind) -> None:
        if self._observers:
            self._announce_publication(publication, lambda observer: observer.warning_over(publication, kind))

    def play_started(self, subscription: Subscription) -> None:
        if self._observers:
            self._announce(subscription, lambda observer: observer.play_started(subscription))

    def play_ended(self, subscription: Subscription) -> None:
        if self._observers:
            self._announce(subscription, lambda observer: observer.play_ended(subscription))

    def vod_started(self, play: VodPlay) -> None:
        if self._observers:
            self._announce(play, lambda observer: observer.vod_started(play))

    def vod_ended(self, play: VodPlay) -> None:
        if self._observers:
            self._announce(play, lambda observer: observer.vod_ended(play))

    def wanted(self, first: Subscription) -> None:
        if self._observers:
            self._announce(first, lambda observer: observer.wanted(first))

    def unwanted(self, last: Subscription) -> None:
        if self._observers:
            self._announce(last, lambda observer: observer.unwanted(last))

    def _announce_publication(self, publication: Publication, tell: Callable[[StreamObserver], None]) -> None:
        self._announce(publication, tell, borrowed=publication.origin.is_borrowed)

    def _announce(
        self,
        of: Publication | Subscription | VodPlay,
        tell: Callable[[StreamObserver], None],
        *,
        borrowed: bool = False,
    ) -> None:
        if not self._pending:
            self._call_soon(self._tell_all)
        self._pending.append((of.key, borrowed, tell))

    def _tell_all(self) -> None:
        pending, self._pending = self._pending, []
        for key, borrowed, tell in pending:
            for observer in self._observers:
                if borrowed and observer in self._owners:
                    continue
                try:
                    tell(observer)
                except Exception:
                    _logger.exception("an observer of %s failed", key)
