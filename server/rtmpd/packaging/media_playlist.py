"""Media playlists (RFC 8216bis): what a rendition's shelf holds, told to players."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Final

from rtmpd.packaging.plan import Plan
from rtmpd.packaging.shelf import Segment, Shelf

_VERSION: Final = 9
_PARTS_FOR: Final = 3
"""Target durations from the end for which parts are told one by one."""


class Names:
    """What the files of a rendition are called: no other run of it has the same."""

    __slots__ = ("_stem",)

    def __init__(self, rendition: str, run: str) -> None:
        self._stem = f"{rendition}_{run}_"

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
        self._lines: dict[int, str] = {}
        """Of whole segments, by number, without their parts."""

    def write(self, others: Iterable[tuple[str, int, int]], *, skip: bool, ended: bool) -> str:
        """``others`` are further renditions: their name, and number and part of their newest.

        With ``skip`` what is old is left out, if there is that much.
        """
        shelf, plan = self._shelf, self._plan
        listed = list(shelf.listed)
        skipped = self._skipped(listed) if skip else 0
        first = listed[0].number if listed else shelf.next - (shelf.open is not None)
        lines = self._head(first, listed)
        if skipped:
            lines.append(f"#EXT-X-SKIP:SKIPPED-SEGMENTS={skipped}")
        lines += self._bodies(listed[skipped:])
        if ended:
            lines.append("#EXT-X-ENDLIST")
        elif plan.part_target:
            lines += self._open_lines(listed[-1].init if listed else -1)
            lines += [
                f'#EXT-X-RENDITION-REPORT:URI="{name}.m3u8",LAST-MSN={number}'
                + (f",LAST-PART={part}" if part >= 0 else "")
                for name, number, part in others
            ]
        lines.append("")
        return "\n".join(lines)

    def parts_told_of(self) -> int:
        """Number of the first segment whose parts are told one by one."""
        listed, left = self._shelf.listed, float(_PARTS_FOR * self._plan.target_duration)
        if self._shelf.open is not None:
            left -= self._shelf.open.duration
        for segment in reversed(listed):
            if left <= 0:
                return segment.number + 1
            left -= segment.duration
        return listed[0].number if listed else 0

    # Inside

    def _head(self, first: int, listed: Sequence[Segment]) -> list[str]:
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
        if all(segment.independent for segment in listed):
            lines.append("#EXT-X-INDEPENDENT-SEGMENTS")
        return lines

    def _skipped(self, listed: Sequence[Segment]) -> int:
        """How many are farther from the end than an update has to tell."""
        left = self._plan.skip_until
        if self._shelf.open is not None:
            left -= self._shelf.open.duration
        for number in range(len(listed) - 1, -1, -1):
            if left <= 0:
                return number + 1
            left -= listed[number].duration
        return 0

    def _bodies(self, listed: Sequence[Segment]) -> list[str]:
        lines: list[str] = []
        with_parts = self.parts_told_of() if self._plan.part_target else self._shelf.next
        init = -1
        for segment in listed:
            if segment.discontinuity:
                lines.append("#EXT-X-DISCONTINUITY")
            if segment.init != init:
                init = segment.init
                lines.append(self._map(init))
            lines.append(_date(segment))
            if segment.number >= with_parts:
                lines += self._parts(segment)
            lines.append(self._segment(segment))
        oldest = listed[0].number if listed else 0
        for number in [number for number in self._lines if number < oldest]:
            del self._lines[number]
        return lines

    def _segment(self, segment: Segment) -> str:
        line = self._lines.get(segment.number)
        if line is None:
            line = f"#EXTINF:{segment.duration:.5f},\n{self._names.segment(segment.number)}"
            self._lines[segment.number] = line
        return line

    def _parts(self, segment: Segment) -> list[str]:
        return [
            f'#EXT-X-PART:DURATION={part.duration:.5f},URI="{self._names.part(segment.number, number)}"'
            + (",INDEPENDENT=YES" if part.independent else "")
            for number, part in enumerate(segment.parts)
        ]

    def _open_lines(self, init: int) -> list[str]:
        """The segment in the making, and what comes next."""
        segment = self._shelf.open
        if segment is None:
            return [self._hint(self._shelf.next, 0)]
        lines = ["#EXT-X-DISCONTINUITY"] if segment.discontinuity else []
        if segment.init != init:
            lines.append(self._map(segment.init))
        if segment.parts:
            lines.append(_date(segment))
            lines += self._parts(segment)
        lines.append(self._hint(segment.number, len(segment.parts)))
        return lines

    def _map(self, number: int) -> str:
        return f'#EXT-X-MAP:URI="{self._names.init(number)}"'

    def _hint(self, segment: int, part: int) -> str:
        return f'#EXT-X-PRELOAD-HINT:TYPE=PART,URI="{self._names.part(segment, part)}"'


def _date(segment: Segment) -> str:
    moment = datetime.fromtimestamp(segment.begins, UTC)
    return f"#EXT-X-PROGRAM-DATE-TIME:{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03}Z"


def _number(word: str) -> int | None:
    """As we write it, so that a file has one name."""
    if not word.isascii() or not word.isdecimal() or len(word) > 12 or (word[0] == "0" and word != "0"):
        return None
    return int(word)
