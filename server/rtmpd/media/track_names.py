"""Tracks of a video by names that people use, such as ``720p``, and which of them somebody wants.

A name says the height of the picture. It is known once the sequence header of the track is: tracks that are
equally high are told apart by their frame rates where the headers say these, else by their ids.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple
from urllib.parse import parse_qsl

from rtmpd.exceptions import UsageError
from rtmpd.media.codecs import video_info
from rtmpd.media.tags import MAX_TRACKS
from rtmpd.media.tracks import ALL, ALL_TRACKS, DEFAULT, DEFAULT_TRACK, TrackChoice

BEST: Final = "best"
"""The name of the largest picture, of several such the one with the most bits."""
MARK: Final = "@"
"""Between the name of a stream and the track that is wanted of it."""
_ALL: Final = "all"
_HEIGHT: Final = re.compile(r"([1-9]\d{1,4})p(?:\d{1,3}|_\d{1,3})?", re.ASCII)
_NAME: Final = re.compile(rf"{BEST}|{_HEIGHT.pattern}|track_\d{{1,3}}", re.ASCII)


class Picture(NamedTuple):
    """What is known of one track of video."""

    track: int
    """Its id; ``DEFAULT_TRACK`` of a video without tracks."""
    width: int = 0
    """Pixels after cropping, as ``height``; 0 when its header does not say."""
    height: int = 0
    frame_rate: float = 0.0
    """Frames a second as the header says; 0 when it does not."""
    bit_rate: float = 0.0
    """As far as it was measured, in any unit; it only decides between pictures of one size."""


def read_picture(track: int, payload: bytes) -> Picture | None:
    """What a sequence header of a track says, plain or as a Multitrack payload of one; None of others."""
    info = video_info(payload)
    return None if info is None else Picture(track, info.width, info.height, info.frame_rate)


def name_pictures(pictures: Iterable[Picture]) -> dict[int, str]:
    """A name for each track by its id, none twice; the largest picture first."""
    by_height: dict[int, list[Picture]] = {}
    for picture in sorted(pictures, key=_size, reverse=True):
        by_height.setdefault(picture.height, []).append(picture)
    names: dict[int, str] = {}
    for height, equals in by_height.items():
        rates = [round(each.frame_rate) for each in equals]
        by_rate = 0 not in rates and len(set(rates)) == len(rates)
        for each in equals:
            if not height:
                names[each.track] = f"track_{max(each.track, 0)}"
            elif len(equals) == 1:
                names[each.track] = f"{height}p"
            elif by_rate:
                names[each.track] = f"{height}p{round(each.frame_rate)}"
            else:
                names[each.track] = f"{height}p_{each.track}"
    return names


def find_picture(name: str, pictures: Sequence[Picture], *, nearest: bool = False) -> Picture | None:
    """The track that is called ``name``, or None.

    Of several that are as high as ``720p`` says it is the best one, and ``720p60`` is also a single one of
    so many frames. With ``nearest`` the next lower one stands in for one that is not there, or else the
    lowest; None only where there are none at all.
    """
    if not pictures:
        return None
    if name == BEST:
        return max(pictures, key=_size)
    names = name_pictures(pictures)
    for picture in pictures:
        if names[picture.track] == name:
            return picture
    spelled = _HEIGHT.fullmatch(name)
    wanted = int(spelled[1]) if spelled else 0
    equals = [each for each in pictures if spelled and name in _aliases(each)]
    if equals or not nearest:
        return max(equals, key=_size, default=None)
    lower = [each for each in pictures if each.height <= wanted]
    return max(lower, key=_size) if lower else min(pictures, key=_size)


def spell_names(pictures: Iterable[Picture]) -> str:
    """All names for people, the largest picture first: ``1080p, 720p``."""
    return ", ".join(name_pictures(pictures).values())


class TrackWish(NamedTuple):
    """Which tracks somebody wants, of whom it may not be known yet which they are."""

    video: int | str = DEFAULT_TRACK
    """As in ``TrackChoice``, or a name."""
    audio: int = DEFAULT_TRACK

    @classmethod
    def parse(cls, query: str, *, multitrack: bool = False) -> TrackWish:
        """Of a stream name's query: ``track=720p``, ``track=best``, ``track=2``, ``track=all``, ``audio=1``;
        the rest is not ours to read.

        ``multitrack`` says that the peer has announced to understand all tracks, which it then gets unless
        it names one. A value that is no track counts as none.
        """
        named = dict(parse_qsl(query))
        return cls.of(named.get("track"), named.get("audio"), ALL if multitrack else DEFAULT)

    @classmethod
    def of(cls, track: str | None, audio: str | None, otherwise: TrackChoice = DEFAULT) -> TrackWish:
        """The same of the two values; who says neither has what is ``otherwise``."""
        video = read_track(track)
        sound = read_track(audio)
        if isinstance(sound, str):
            sound = None
        if video is None and sound is None:
            return cls(*otherwise)
        if sound is None:
            sound = ALL_TRACKS if video == ALL_TRACKS else DEFAULT_TRACK
        return cls(DEFAULT_TRACK if video is None else video, sound)

    @property
    def name(self) -> str:
        """What the track of video is called that is wanted; empty if it is not wanted by name."""
        return self.video if isinstance(self.video, str) else ""

    @property
    def fixed(self) -> TrackChoice | None:
        """The tracks, where they are not wanted by name."""
        return None if isinstance(self.video, str) else TrackChoice(self.video, self.audio)

    def among(self, pictures: Sequence[Picture], *, nearest: bool = False) -> TrackChoice | None:
        """The tracks, of a video that has these; None if the one is not there. ``nearest`` as in
        ``find_picture``; a video of which nothing is known has one track, the best.
        """
        if isinstance(self.video, int):
            return TrackChoice(self.video, self.audio)
        found = find_picture(self.video, pictures, nearest=nearest)
        if found is not None:
            return TrackChoice(found.track, self.audio)
        alone = not pictures and (nearest or self.video == BEST)
        return TrackChoice(DEFAULT_TRACK, self.audio) if alone else None


EVERY_TRACK: Final = TrackWish(*ALL)
"""All of both media, byte for byte."""


def read_track(text: str | None) -> int | str | None:
    """A track as people write it: an id, ``ALL_TRACKS`` for ``all``, or a name; None if it is none."""
    if text is None:
        return None
    if text == _ALL:
        return ALL_TRACKS
    if text.isascii() and text.isdecimal() and len(text) <= 3:
        track = int(text)
        return track if track < MAX_TRACKS else None
    return text if _NAME.fullmatch(text) else None


def check_track(track: object) -> str:
    """A track of video as settings have it, as text. Raises UsageError if it is none."""
    text = str(track) if isinstance(track, str) or type(track) is int else ""
    if read_track(text) is None:
        raise UsageError(
            f'a track is a name such as "720p", "{BEST}", "{_ALL}" or a number from 0 to {MAX_TRACKS - 1}'
        )
    return text


def check_audio_track(track: object) -> str:
    """The same of audio, whose tracks have no names."""
    text = str(track) if isinstance(track, str) or type(track) is int else ""
    if not isinstance(read_track(text), int):
        raise UsageError(f'a track of audio is "{_ALL}" or a number from 0 to {MAX_TRACKS - 1}')
    return text


def split_name(name: str, query: str) -> tuple[str, str]:
    """A stream's name and query, of one that may say which track is wanted: ``show@720p`` with ``key=x`` is
    ``show`` with ``key=x&track=720p``.

    A name has no other use for an ``@``; what stands behind it and is no track stays where it is.
    """
    stream, mark, track = name.rpartition(MARK)
    if not mark or not stream or read_track(track) is None:
        return name, query
    field = f"track={track}"
    return stream, f"{query}&{field}" if query else field


def _size(picture: Picture) -> tuple[int, float, int]:
    return picture.width * picture.height, picture.bit_rate, -picture.track


def _aliases(picture: Picture) -> tuple[str, ...]:
    height = f"{picture.height}p"
    return (height, f"{height}{round(picture.frame_rate)}") if picture.frame_rate else (height,)
