"""Media playlists (RFC 8216bis): what a rendition's shelf holds, told to players."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Final

from rtmpd.packaging.plan import Plan
from rtmpd.packaging.shelf import Segment, Shelf

_VERSION: Final = 9
_PARTS_FOR: Final = 3
"""Target durations from the end for which parts are told one by one."""
_PARTED: Final = 2
"""Whole segments whose parts are told; some parsers count them."""


class Names:
    """What the files of a rendition are called, its playlist included: no other run of it has the same."""

    __slots__ = ("_stem", "playlist")

    def __init__(self, rendition: str, run: str) -> None:
        self._stem = f"{rendition}_{run}_"
        self.playlist = f"{rendition}_{run}.m3u8"

    def init(self, number: int) -> str:
        return f"{self._stem}init_{number}.mp4"

    def segment(self, number: int) -> str:
        return f"{self._stem}{number}.mp4"

    def part(self, segment: int, number: int) -> str:
        return f"{self._stem}{segment}_{number}.mp4"

    def read(self, name: str) -> tuple[int, int] | None:
        """Segment and part (-1: all of it) of a name; an init segment's number as (-1, number)."""
        if not (name.startswith(self._stem) and name.endswith(".mp4")):
            return None
        words = name[len(self._stem) : -4].split("_")
        if len(words) == 2 and words[0] == "init":
            number = _number(words[1])
            return None if number is None else (-1, number)
        numbers = [_number(word) for word in words]
        match numbers:
            case [int(segment)]:
                return segment, -1
            case [int(segment), int(part)]:
                return segment, part
        return None


class MediaPlaylist:
    """Writes the playlist of one rendition."""

    def __init__(self, shelf: Shelf, plan: Plan, names: Names) -> None:
        self._shelf = shelf
        self._plan = plan
        self._names = names
        self._begins: dict[bool, tuple[tuple[int, ...], str]] = {}
        """What does not change with each part, of the whole playlist and of updates, and of what."""

    def write(self, others: Iterable[tuple[str, int, int]], *, skip: bool, ended: bool) -> tuple[str, str]:
        """The playlist in two pieces, of which the first is the same object as long as nothing changes in it.

        ``others`` are further renditions: their playlist, and number and part of their newest. With ``skip``
        what is old is left out, if there is that much.
        """
        shelf, plan = self._shelf, self._plan
        listed = shelf.listed
        first = listed[0].number if listed else shelf.next - (shelf.open is not None)
        parted = max(self.parts_told_of() if plan.part_target else shelf.next, first)
        skipped = self._skipped() if skip else 0
        end = min(parted - first, len(listed))
        begin = self._settled(first, skipped, end)
        init = listed[end - 1].init if end > skipped else -1
        lines = self._bodies(islice(listed, max(end, skipped), None), init, parts=True)
        if ended:
            lines.append("#EXT-X-ENDLIST")
        elif plan.part_target:
            lines += self._open_lines()
            lines += [
                f'#EXT-X-RENDITION-REPORT:URI="{name}",LAST-MSN={number}'
                + (f",LAST-PART={part}" if part >= 0 else "")
                for name, number, part in others
            ]
        lines.append("")
        return begin, "\n".join(lines)

    def parts_told_of(self) -> int:
        """Number of the first segment whose parts are told one by one: of the newest there are, and not of
        more than three target durations.
        """
        listed, left = self._shelf.listed, float(_PARTS_FOR * self._plan.target_duration)
        if self._shelf.open is not None:
            left -= self._shelf.open.duration
        first = self._shelf.next - (self._shelf.open is not None)
        for segment in islice(reversed(listed), _PARTED):
            if left <= 0:
                break
            left -= segment.duration
            first = segment.number
        return first

    # Inside

    def _head(self, first: int) -> list[str]:
        plan, shelf = self._plan, self._shelf
        control = f"HOLD-BACK={plan.hold_back:.3f}"
        lines = ["#EXTM3U", f"#EXT-X-VERSION:{_VERSION}", f"#EXT-X-TARGETDURATION:{plan.target_duration}"]
        if plan.part_target:
            control = (
                f"CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK={plan.part_hold_back:.5f},"
                f"CAN-SKIP-UNTIL={plan.skip_until:.3f},{control}"
            )
        lines.append(f"#EXT-X-SERVER-CONTROL:{control}")
        if plan.part_target:
            lines.append(f"#EXT-X-PART-INF:PART-TARGET={plan.part_target:.5f}")
        lines.append(f"#EXT-X-MEDIA-SEQUENCE:{first}")
        if shelf.discontinuities:
            lines.append(f"#EXT-X-DISCONTINUITY-SEQUENCE:{shelf.discontinuities}")
        if shelf.independent:
            lines.append("#EXT-X-INDEPENDENT-SEGMENTS")
        return lines

    def _settled(self, first: int, skipped: int, end: int) -> str:
        """The head, and segments whose parts are not told, up to a place in the list."""
        shelf = self._shelf
        key = (first, skipped, end, shelf.losses, shelf.independent)
        kept = self._begins.get(bool(skipped))
        if kept is not None and kept[0] == key:
            return kept[1]
        lines = self._head(first)
        if skipped:
            lines.append(f"#EXT-X-SKIP:SKIPPED-SEGMENTS={skipped}")
        lines += self._bodies(islice(shelf.listed, skipped, max(end, skipped)), -1, parts=False)
        lines.append("")
        text = "\n".join(lines)
        self._begins[bool(skipped)] = key, text
        return text

    def _skipped(self) -> int:
        """How many are farther from the end than an update has to tell."""
        listed, left = self._shelf.listed, self._plan.skip_until
        if self._shelf.open is not None:
            left -= self._shelf.open.duration
        for back, segment in enumerate(reversed(listed)):
            if left <= 0:
                return len(listed) - back
            left -= segment.duration
        return 0

    def _bodies(self, segments: Iterable[Segment], init: int, *, parts: bool) -> list[str]:
        """``init`` is the number of the init segment that was told of before; -1 for none."""
        lines: list[str] = []
        for segment in segments:
            if segment.discontinuity:
                lines.append("#EXT-X-DISCONTINUITY")
            if segment.init != init:
                init = segment.init
                lines.append(_map(self._names, init))
            lines.append(_date(segment))
            if parts and self._plan.part_target:
                lines += self._parts(segment)
            lines += _segment(self._names, segment)
        return lines

    def _parts(self, segment: Segment) -> list[str]:
        return [
            f'#EXT-X-PART:DURATION={part.duration:.5f},URI="{self._names.part(segment.number, number)}"'
            + (",INDEPENDENT=YES" if part.independent else "")
            for number, part in enumerate(segment.parts)
        ]

    def _open_lines(self) -> list[str]:
        """The segment in the making, and what comes next."""
        segment, listed = self._shelf.open, self._shelf.listed
        init = listed[-1].init if listed else -1
        if segment is None:
            return [self._hint(self._shelf.next, 0)]
        lines = ["#EXT-X-DISCONTINUITY"] if segment.discontinuity else []
        if segment.init != init:
            lines.append(_map(self._names, segment.init))
        if segment.parts:
            lines.append(_date(segment))
            lines += self._parts(segment)
        lines.append(self._hint(segment.number, len(segment.parts)))
        return lines

    def _hint(self, segment: int, part: int) -> str:
        return f'#EXT-X-PRELOAD-HINT:TYPE=PART,URI="{self._names.part(segment, part)}"'


@dataclass(slots=True)
class Told:
    """What a playlist says of a segment, for who has it elsewhere."""

    number: int
    init: int
    begins: float
    duration: float
    discontinuity: bool
    lost: bool = False

    @classmethod
    def of(cls, segment: Segment) -> Told:
        """Of one that is whole."""
        return cls(
            segment.number,
            segment.init,
            segment.begins,
            segment.duration,
            segment.discontinuity,
        )


def write_plain(
    plan: Plan, names: Names, told: Sequence[Told], discontinuities: int, *, independent: bool, ended: bool
) -> str:
    """A playlist without parts of these segments, of which there is one at least; ``independent``: all begin
    with key frames, and will.
    """
    lines = [
        "#EXTM3U",
        f"#EXT-X-VERSION:{_VERSION}",
        f"#EXT-X-TARGETDURATION:{plan.target_duration}",
        f"#EXT-X-MEDIA-SEQUENCE:{told[0].number}",
    ]
    if discontinuities:
        lines.append(f"#EXT-X-DISCONTINUITY-SEQUENCE:{discontinuities}")
    if independent:
        lines.append("#EXT-X-INDEPENDENT-SEGMENTS")
    init = -1
    for each in told:
        if each.discontinuity:
            lines.append("#EXT-X-DISCONTINUITY")
        if each.init != init:
            init = each.init
            lines.append(_map(names, init))
        lines.append(_date(each))
        lines += _segment(names, each)
    if ended:
        lines.append("#EXT-X-ENDLIST")
    lines.append("")
    return "\n".join(lines)


def _segment(names: Names, segment: Segment | Told) -> list[str]:
    gap = ["#EXT-X-GAP"] if segment.lost else []
    return [*gap, f"#EXTINF:{segment.duration:.5f},", names.segment(segment.number)]


def _map(names: Names, number: int) -> str:
    return f'#EXT-X-MAP:URI="{names.init(number)}"'


def _date(segment: Segment | Told) -> str:
    moment = datetime.fromtimestamp(segment.begins, UTC)
    return f"#EXT-X-PROGRAM-DATE-TIME:{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03}Z"


def _number(word: str) -> int | None:
    """As we write it, so that a file has one name."""
    if not word.isascii() or not word.isdecimal() or len(word) > 12 or (word[0] == "0" and word != "0"):
        return None
    return int(word)
