"""Where events are made of what engine and relays tell, for as many listeners as there are."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, Protocol

from rtmpd.engine.claim import SwitchReason
from rtmpd.engine.health import HealthKind, HealthWarning
from rtmpd.engine.key import StreamKey
from rtmpd.engine.observer import StreamObserver
from rtmpd.engine.origin import Origin, spell_session
from rtmpd.engine.publication import Codecs, Publication
from rtmpd.engine.sessions import SessionTable
from rtmpd.engine.sink import Ending
from rtmpd.engine.slate import Slate, SlateEnd
from rtmpd.engine.subscriber import Subscription
from rtmpd.engine.vod import VodPlay
from rtmpd.events.model import Event, EventKind, Fact
from rtmpd.relay.status import RelayStatus

if TYPE_CHECKING:
    from rtmpd.outputs.recording import Recording

_logger = logging.getLogger(__name__)

_LEAST_REMEMBERED: Final = 4096
"""Sessions whose events are counted, over ones included, before those that are over are looked for."""


class EventListener(Protocol):
    """Joint to whoever is told of events: notifications, hooks of processes, records of sessions."""

    def wants(self, kind: EventKind, key: StreamKey, /) -> bool:
        """Whether to hear of such events of that stream; asked each time, so it may change."""

    def hear(self, event: Event, /) -> None:
        """Take note of an event, at once: no method may block. What it raises is logged."""


class Counter:
    """Counts the events of each session, for as long as it is there and a good while longer; those of 0, who
    is nobody's, always.
    """

    def __init__(self, sessions: SessionTable) -> None:
        self._sessions = sessions
        self._counts: dict[int, int] = {}
        self._most = _LEAST_REMEMBERED

    def next(self, session: int) -> int:
        """The number of one more event."""
        number = self._counts[session] = self._counts.get(session, 0) + 1
        if len(self._counts) > self._most:
            self._forget()
        return number

    def _forget(self) -> None:
        """Forget the older half of those that are over; look again when there are as many more."""
        over = [each for each in self._counts if each and self._sessions.find(each) is None]
        for session in over[: len(over) // 2]:
            del self._counts[session]
        self._most = len(self._counts) + _LEAST_REMEMBERED


class EventFeed(StreamObserver):
    """Hears engine and relays, and tells its listeners, in order, a turn after it happened.

    An event that nobody wants is never made. ``new_id()`` gives numbers as ``SessionIds`` does, ``clock()``
    is that of the engine, ``wall_clock()`` seconds since 1970.
    """

    def __init__(
        self,
        sessions: SessionTable,
        new_id: Callable[[], int],
        clock: Callable[[], float],
        wall_clock: Callable[[], float],
    ) -> None:
        self._new_id = new_id
        self._clock = clock
        self._wall_clock = wall_clock
        self._counter = Counter(sessions)
        self._listeners: tuple[EventListener, ...] = ()

    def add_listener(self, listener: EventListener) -> None:
        """Tell ``listener`` what happens from now on."""
        self._listeners = (*self._listeners, listener)

    def remove_listener(self, listener: EventListener) -> None:
        """Tell it nothing more. Idempotent."""
        self._listeners = tuple([each for each in self._listeners if each is not listener])

    # Told by the engine

    def published(self, publication: Publication) -> None:
        self._tell(EventKind.PUBLISHED, publication, dict)

    def media_started(self, publication: Publication, codecs: Codecs) -> None:
        self._tell(EventKind.FIRST_MEDIA, publication, lambda: self._first_media(publication, codecs))

    def codecs_changed(self, publication: Publication, before: Codecs, after: Codecs) -> None:
        facts: dict[str, Fact] = {
            "video": after.video,
            "audio": after.audio,
            "video_before": before.video,
            "audio_before": before.audio,
        }
        self._tell(EventKind.CODEC_CHANGED, publication, lambda: facts)

    def unpublished(self, publication: Publication) -> None:
        self._tell(EventKind.UNPUBLISHED, publication, lambda: self._unpublished(publication))

    def held(self, publication: Publication) -> None:
        self._tell(EventKind.HELD, publication, lambda: _end(publication.ending))

    def resumed(self, publication: Publication, outage: float) -> None:
        self._tell(EventKind.RESUMED, publication, lambda: {"outage": round(outage, 3)})

    def switched(self, publication: Publication, why: SwitchReason, silent: float) -> None:
        facts: dict[str, Fact] = {
            "source": publication.place.source,
            "reason": str(why),
            "silent": round(silent, 3),
        }
        self._tell(EventKind.SOURCE_SWITCHED, publication, lambda: facts)

    def slate_shown(self, publication: Publication, slate: Slate, target: str) -> None:
        facts: dict[str, Fact] = {"slate": str(slate), "target": target or None}
        self._tell(EventKind.SLATE_STARTED, publication, lambda: facts)

    def slate_over(
        self, publication: Publication, slate: Slate, target: str, why: SlateEnd, seconds: float
    ) -> None:
        facts: dict[str, Fact] = {
            "slate": str(slate),
            "target": target or None,
            "reason": str(why),
            "duration": round(seconds, 3),
        }
        self._tell(EventKind.SLATE_ENDED, publication, lambda: facts)

    def ended(self, publication: Publication) -> None:
        self._tell(EventKind.ENDED, publication, lambda: _end(publication.ending))

    def play_started(self, subscription: Subscription) -> None:
        if subscription.audience:
            self._tell(EventKind.PLAYER_JOINED, subscription, lambda: {"file": False})

    def play_ended(self, subscription: Subscription) -> None:
        if subscription.audience:
            self._tell(EventKind.PLAYER_LEFT, subscription, lambda: self._player_left(subscription))

    def vod_started(self, play: VodPlay) -> None:
        self._tell(EventKind.PLAYER_JOINED, play, lambda: {"file": True})

    def vod_ended(self, play: VodPlay) -> None:
        self._tell(EventKind.PLAYER_LEFT, play, lambda: self._viewer_left(play))

    def wanted(self, first: Subscription) -> None:
        self._tell(EventKind.FIRST_VIEWER, first, dict)

    def unwanted(self, last: Subscription) -> None:
        self._tell(EventKind.LAST_VIEWER_LEFT, last, dict)

    def warned(self, publication: Publication, kind: HealthKind, warning: HealthWarning) -> None:
        figures = {
            name: value if isinstance(value, str) else round(value, 3)
            for name, value in warning.figures.items()
        }
        self._tell(EventKind.WARNING_RAISED, publication, lambda: {"warning": str(kind), **figures})

    def warning_over(self, publication: Publication, kind: HealthKind) -> None:
        self._tell(EventKind.WARNING_CLEARED, publication, lambda: {"warning": str(kind)})

    # Told by relays

    def push_changed(self, status: RelayStatus, origin: Origin) -> None:
        """A push target is in another state; ``origin`` is of whom it pushes, or pushed last."""
        facts: dict[str, Fact] = {
            "target": status.id,
            "remote": status.remote,
            "state": str(status.state),
            "reason": status.reason,
            "status": status.status,
        }
        self._make(EventKind.PUSH_STATE, status.key, origin, lambda: facts)

    # Told by recorders; ``origin`` is of whom it records

    def recording_started(self, key: StreamKey, path: str, origin: Origin) -> None:
        """A file was begun."""
        self._make(EventKind.RECORDING_STARTED, key, origin, lambda: {"path": path})

    def recording_finished(self, recording: Recording, origin: Origin) -> None:
        """It is whole, and has its name."""
        facts: dict[str, Fact] = {
            "path": recording.path,
            "part": recording.part,
            "duration": round(recording.duration, 3),
            "bytes": recording.size,
            "codecs": " ".join(recording.codecs),
            "reason": str(recording.end),
        }
        self._make(EventKind.RECORDING_FINISHED, recording.key, origin, lambda: facts)

    def recording_failed(self, key: StreamKey, path: str, problem: str, origin: Origin) -> None:
        """Nothing can be written there for now."""
        self._make(EventKind.RECORDING_FAILED, key, origin, lambda: {"path": path, "problem": problem})

    # Told by who is in charge

    def audited(self, by: Origin, key: StreamKey, facts: Mapping[str, Fact]) -> None:
        """``by`` has changed something about a stream, or NO_STREAM, or was refused to."""
        self._make(EventKind.AUDIT, key, by, lambda: dict(facts))

    # Facts

    def _first_media(self, publication: Publication, codecs: Codecs) -> dict[str, Fact]:
        stats = publication.stats
        return {
            "video": codecs.video,
            "audio": codecs.audio,
            "width": stats.width,
            "height": stats.height,
            "after": self._since(publication.started_at),
        }

    def _unpublished(self, publication: Publication) -> dict[str, Fact]:
        stats = publication.stats
        return {
            **_end(publication.ending),
            "duration": self._since(publication.started_at),
            "bytes": stats.audio.bytes_in + stats.video.bytes_in + stats.data_bytes_in,
            "video_frames": stats.video_frames,
        }

    def _player_left(self, subscription: Subscription) -> dict[str, Fact]:
        return {
            **_end(subscription.ending),
            "duration": self._since(subscription.since),
            "bytes": subscription.bytes_out,
            "dropped": subscription.dropped,
            "file": False,
        }

    def _viewer_left(self, play: VodPlay) -> dict[str, Fact]:
        return {
            **_end(play.ending),
            "duration": round(play.until - play.since, 3),
            "bytes": play.bytes_out,
            "dropped": 0,
            "file": True,
        }

    def _since(self, moment: float) -> float:
        return round(max(self._clock() - moment, 0.0), 3)

    # Telling

    def _tell(
        self,
        kind: EventKind,
        about: Publication | Subscription | VodPlay,
        facts: Callable[[], dict[str, Fact]],
    ) -> None:
        if self._listeners:
            self._make(kind, about.key, about.origin, facts)

    def _make(
        self, kind: EventKind, key: StreamKey, origin: Origin, facts: Callable[[], dict[str, Fact]]
    ) -> None:
        interested = [listener for listener in self._listeners if listener.wants(kind, key)]
        if not interested:
            return
        event = Event(
            kind,
            spell_session(self._new_id()),
            self._wall_clock(),
            key,
            origin,
            self._counter.next(origin.session),
            facts(),
        )
        for listener in interested:
            try:
                listener.hear(event)
            except Exception:  # It costs this listener an event, and nobody else anything.
                _logger.exception("a listener failed at an event of %s", key)


def _end(ending: Ending | None) -> dict[str, Fact]:
    """Why it ended, and who wanted it so, if somebody did."""
    if ending is None:
        return {"reason": None, "by": None}
    return {"reason": str(ending.reason), "by": None if ending.by is None else ending.by.who}
