"""Tracks that somebody wants by name: which they are, and what becomes of that when the headers change."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from rtmpd.engine.headers import HeaderCache
from rtmpd.engine.key import StreamKey
from rtmpd.engine.packet import TRACKED, VIDEO, Packet, track_id
from rtmpd.engine.registry import Registry
from rtmpd.engine.stats import StreamStats
from rtmpd.engine.stream import LiveStream
from rtmpd.engine.subscriber import Seat, Subscription
from rtmpd.exceptions import Refused
from rtmpd.media.metadata import read_metadata
from rtmpd.media.tags import SEQUENCE_HEADER
from rtmpd.media.track_names import Picture, TrackWish, read_picture, spell_names
from rtmpd.media.tracks import DEFAULT_TRACK, TrackChoice
from rtmpd.reasons import Refusal
from rtmpd.rtmp.constants import StatusCode

SETTLED_AFTER: Final = 3.0
"""Seconds from the begin of a stream after which a track that is not there is not waited for."""


def pictures_of(headers: HeaderCache, stats: StreamStats) -> list[Picture]:
    """The tracks of video of which there are headers; ``stats`` are those of their publication."""
    pictures = []
    for packet in headers.sequence_headers(VIDEO):
        track = _track(packet)
        picture = read_picture(track, packet.payload)
        if picture is None:
            continue
        if not picture.height and track <= 0:  # VP9's header does not say.
            picture = _with_told_size(picture, headers.metadata)
        figures = stats.tracks.get((VIDEO, track))
        if figures is not None:
            picture = picture._replace(bit_rate=figures.byte_rate.over_10s)
        pictures.append(picture)
    return pictures


def find_tracks(wish: TrackWish, seat: Seat, now: float, *, nearest: bool = False) -> TrackChoice | None:
    """The tracks that ``wish`` means of a live stream; None while that is not known yet.

    With ``nearest`` another one stands in for a track that is not there; else raises ``Refused``, with all
    that are.
    """
    settled = now - seat.live_since >= SETTLED_AFTER
    if not (seat.intake.shows_video or settled):
        return None
    pictures = pictures_of(seat.headers, seat.books.stream)
    tracks = wish.among(pictures, nearest=nearest)
    if tracks is None and settled:
        raise _not_there(wish, seat.key, pictures)
    return tracks


def find_tracks_of_file(wish: TrackWish, key: StreamKey, opening: Iterable[Packet]) -> TrackChoice:
    """The same of a file called ``key`` with these headers, of which all is known."""
    pictures = [
        picture
        for packet in opening
        if packet.kind == VIDEO and packet.flags & SEQUENCE_HEADER
        if (picture := read_picture(_track(packet), packet.payload)) is not None
    ]
    tracks = wish.among(pictures)
    if tracks is None:
        raise _not_there(wish, key, pictures)
    return tracks


class NamedTracks:
    """The tracks of one subscription that wants one by its name.

    It begins once that is known, which is with the first frame of video. Who has begun stays: when other
    headers come it goes on with the track of that name, or the nearest.
    """

    __slots__ = ("_known", "_nearest", "_refused", "_registry", "_subscription", "_wish", "tracks")

    def __init__(
        self,
        wish: TrackWish,
        registry: Registry,
        refused: Callable[[Refused], None] | None = None,
    ) -> None:
        """``refused`` is told of a track that is not there where that is found out later than by ``expect``:
        the subscription is to be closed then. Without it the nearest stands in for it.
        """
        self._wish = wish
        self._registry = registry
        self._refused = refused
        self._nearest = refused is None
        self._known = False
        self._subscription: Subscription | None = None
        self.tracks = TrackChoice(DEFAULT_TRACK, wish.audio)
        """As they are known; for the wire format of the sink."""

    def expect(self, stream: LiveStream | None, now: float) -> None:
        """Look for the track before the subscription is made. Raises ``Refused`` if it is not there."""
        if stream is not None and stream.seat.live:
            tracks = find_tracks(self._wish, stream.seat, now, nearest=self._nearest or stream.seat.covered)
            if tracks is not None:
                self.tracks, self._known = tracks, True

    def settle(self, stream: LiveStream | None, key: StreamKey, now: float) -> TrackChoice:
        """The tracks of ``key``, for who cannot wait. Raises ``Refused`` also while they are not known."""
        self.expect(stream, now)
        if not self._known:
            text = f"It is not known yet whether {key.name} has a track {self._wish.name}: come again later."
            raise Refused(StatusCode.PLAY_FAILED, text, Refusal.NO_TRACK)
        return self.tracks

    def join(self, subscription: Subscription, now: float) -> None:
        """Let it flow, once the track is known."""
        self.leave()
        self._subscription = subscription
        seat = subscription.seat
        if self._known:
            seat.choosers[self] = seat.headers.version
            subscription.join(now)
        else:
            seat.choosers[self] = -1
            if self.choose_tracks():
                seat.choosers[self] = seat.headers.version

    def leave(self) -> None:
        """It is over for this subscription, or goes on elsewhere: then ``join`` follows."""
        if self._subscription is not None:
            self._subscription.seat.choosers.pop(self, None)
            self._subscription = None

    def move(self) -> None:
        """It goes on with another stream, with the nearest track of that."""
        self.leave()
        self._known, self._nearest = False, True

    # For the audience

    def choose_tracks(self) -> bool:
        """Look which track it is now; whether that is known."""
        subscription = self._subscription
        if subscription is None or not subscription.attached:
            return True
        seat = subscription.seat
        if not seat.live:
            return False
        nearest = self._nearest or self._known or seat.covered
        try:
            tracks = find_tracks(self._wish, seat, seat.now, nearest=nearest)
            if tracks is not None and tracks != self.tracks and subscription.audience:
                most = self._registry.limits_at(subscription.key).max_track_choices
                self._registry.streams[subscription.key].check_tracks(tracks, most)
        except Refused as refusal:
            if self._refused is not None:
                self._refused(refusal)
            return True
        if tracks is None:
            return False
        changed, self.tracks, self._known = tracks != self.tracks, tracks, True
        if changed:
            seat.rewire(subscription)
        subscription.join(seat.now)
        return True


def _track(packet: Packet) -> int:
    return track_id(packet) if packet.flags & TRACKED else DEFAULT_TRACK


def _not_there(wish: TrackWish, key: StreamKey, pictures: list[Picture]) -> Refused:
    has = f": it has {spell_names(pictures)}" if pictures else ""
    return Refused(StatusCode.PLAY_FAILED, f"{key.name} has no track {wish.name}{has}.", Refusal.NO_TRACK)


def _with_told_size(picture: Picture, metadata: bytes) -> Picture:
    told = read_metadata(metadata)
    width, height = told.get("width"), told.get("height")
    if isinstance(width, float) and isinstance(height, float) and 0 < width < 1e5 and 0 < height < 1e5:
        return picture._replace(width=int(width), height=int(height))
    return picture
