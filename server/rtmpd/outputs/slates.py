"""All slates that are on air: each paced by its own time, all by one timer."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, Protocol

from rtmpd.engine.cover import Cover
from rtmpd.engine.covered import Covered
from rtmpd.engine.packet import ASIDE, AUDIO, TRACK_SHIFT, TRACKED, Packet
from rtmpd.engine.publication import Publication
from rtmpd.engine.slate import Slate, SlateEnd
from rtmpd.media.silence import silence_for
from rtmpd.media.tags import SEQUENCE_HEADER, audio_flags
from rtmpd.outputs.slate_file import SlateFile

logger = logging.getLogger(__name__)

STILL_MS: Final = 1000
"""From one time that a still is sent to the next: a decoder needs something to show."""
_LEAST_WAIT: Final = 0.01
"""Seconds between two looks: what is due meanwhile goes out together."""
_LATE_MS: Final = 1000
"""What is later than that, as the process stood still, is not made up for."""
_OF_TRACK: Final = ASIDE | TRACKED | ~((1 << TRACK_SHIFT) - 1)


class Handle(Protocol):
    """A timer that has yet to run."""

    def cancel(self) -> None: ...


class Show:
    """One slate on air: what is due when."""

    def __init__(self, frames: Iterator[tuple[int, Packet]], now: float) -> None:
        """``frames`` have their times (ms) behind the first, and never end."""
        self._frames = frames
        self._began = now
        self._skipped = 0
        """What its time was put forward by (ms)."""
        self._next = next(frames)

    @property
    def due(self) -> float:
        """Clock reading at which there is something to send."""
        return self._began + (self._next[0] + self._skipped) / 1000

    def play(self, cover: Cover, now: float) -> None:
        """Send what is due."""
        late = round((now - self.due) * 1000)
        if late > _LATE_MS:
            self._skipped += late
        elapsed = (now - self._began) * 1000 - self._skipped
        while self._next[0] <= elapsed and not cover.over:
            time, packet = self._next
            cover.push(packet, time + self._skipped, now)
            self._next = next(self._frames)


class Slates:
    """Shows something where an encoder sends nothing. ``call_later(seconds, callback)`` is the loop's."""

    def __init__(
        self, clock: Callable[[], float], call_later: Callable[[float, Callable[[], None]], Handle]
    ) -> None:
        self.files: Mapping[str, SlateFile] = {}
        """By the names that the rules of streams have."""
        self._clock = clock
        self._call_later = call_later
        self._shows: dict[Covered, tuple[Cover, Show]] = {}
        self._timer: Handle | None = None

    def cue(self, stream: Covered, lost: Publication) -> None:
        """``Registry.prompter``."""
        rules = stream.limits.slate
        if rules is None:
            return
        file = self.files.get(rules.file)
        if file is not None:
            self._begin(stream, Slate.FILE, file.headers, _rounds(file))
        elif rules.still:
            headers = stream.headers.packets(0)
            frames = _still(lost.intake.gop.stills(), headers)
            if frames is not None:
                self._begin(stream, Slate.STILL, headers, frames)

    def close(self) -> None:
        """Nothing is shown any more."""
        for stream in list(self._shows):
            stream.end_slate(SlateEnd.WITHDRAWN)

    def _begin(
        self, stream: Covered, slate: Slate, headers: Sequence[Packet], frames: Iterator[tuple[int, Packet]]
    ) -> None:
        now = self._clock()
        show = Show(frames, now)
        cover = stream.cover_with(slate, headers, now, lambda: self._end(stream))
        self._shows[stream] = cover, show
        show.play(cover, now)
        self._arm()

    def _end(self, stream: Covered) -> None:
        self._shows.pop(stream, None)
        if not self._shows and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self) -> None:
        if self._timer is None and self._shows:
            due = min([show.due for _, show in self._shows.values()])
            self._timer = self._call_later(max(due - self._clock(), _LEAST_WAIT), self._play)

    def _play(self) -> None:
        self._timer = None
        now = self._clock()
        for stream, (cover, show) in list(self._shows.items()):
            try:
                show.play(cover, now)
            except Exception:  # It costs this stream its slate, and nobody else anything.
                logger.exception("the slate of %s failed", stream.key)
                stream.end_slate(SlateEnd.WITHDRAWN)
        self._arm()


def _rounds(file: SlateFile) -> Iterator[tuple[int, Packet]]:
    """A file, again and again."""
    begin = 0
    while True:
        for packet in file.packets:
            yield begin + packet.timestamp, packet
        begin += file.duration
        if file.changes:
            for header in file.headers:
                yield begin, header


def _still(pictures: Sequence[Packet], headers: Sequence[Packet]) -> Iterator[tuple[int, Packet]] | None:
    """The last picture of each track again and again, and silence; None if there is neither."""
    sounds = [sound for header in headers if (sound := _silence(header)) is not None]
    if not pictures and not sounds:
        return None
    return _held(pictures, sounds)


def _silence(header: Packet) -> tuple[Packet, int, int] | None:
    """A frame for the track of a sequence header: how many samples it lasts, of how many in a second."""
    if header.kind != AUDIO or not header.flags & SEQUENCE_HEADER:
        return None
    silence = silence_for(header.payload)
    if silence is None:
        return None
    flags = audio_flags(silence.payload) | (header.flags & _OF_TRACK)
    return Packet(AUDIO, 0, silence.payload, flags), silence.samples, silence.rate


def _held(
    pictures: Sequence[Packet], sounds: Sequence[tuple[Packet, int, int]]
) -> Iterator[tuple[int, Packet]]:
    counts = [0] * len(sounds)
    begin = 0
    while True:
        for picture in pictures:
            yield begin, picture
        begin += STILL_MS
        while counts:
            times = [
                count * samples * 1000 // rate
                for count, (_, samples, rate) in zip(counts, sounds, strict=True)
            ]
            time = min(times)
            if time >= begin:
                break
            track = times.index(time)
            counts[track] += 1
            yield time, sounds[track][0]
