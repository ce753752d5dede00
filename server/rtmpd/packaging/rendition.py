"""One media playlist and its files, rendered once for everybody."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from rtmpd.net.scratch import Scratch
from rtmpd.packaging.archive import DriveArchive
from rtmpd.packaging.media_playlist import MediaPlaylist, Names
from rtmpd.packaging.plan import Plan
from rtmpd.packaging.rendered import Rendered, Renderer
from rtmpd.packaging.rules import HlsRules
from rtmpd.packaging.segmenter import Segmenter
from rtmpd.packaging.shelf import Shelf
from rtmpd.packaging.stats import HlsStats

_LATE: Final = 1.2
"""Part targets behind the part before."""


class Rendition:
    """Of a package; ``packaging.package`` gives it samples, by way of its ``segmenter``."""

    def __init__(
        self,
        name: str,
        run: str,
        plan: Plan,
        rules: HlsRules,
        stats: HlsStats,
        charge: Callable[[int], None],
        scratch: Scratch | None = None,
    ) -> None:
        """With ``scratch`` what is not in memory any more is there, as far as the rules want it."""
        self.name = name
        self.plan = plan
        self.ended = False
        """The playlist says that nothing more comes."""
        self.others: Sequence[Rendition] = ()
        """Further ones of the stream, of which playlists tell how far they are."""
        least = 3.0 * plan.target_duration
        window = max(rules.window, least)
        self._archive = DriveArchive(scratch, rules.dvr_bytes, stats) if scratch and rules.dvr else None
        listed = window if self._archive is None else max(window, rules.dvr)
        self.shelf = Shelf(listed, least, charge, self._archive, window)
        self.segmenter = Segmenter(self.shelf, plan, stats)
        self.names = Names(name, run)
        self._playlist = MediaPlaylist(self.shelf, plan, self.names)
        self._stats = stats
        self._rendered: dict[bool, Rendered] = {}
        self._renderers = {False: Renderer(), True: Renderer()}
        self._listeners: dict[int, Callable[[], None]] = {}
        self._listener = 0
        self._seen = (0, -1)
        self._part_at: float | None = None

    @property
    def part_target(self) -> float:
        """Seconds; 0 where there are no parts."""
        return self.plan.part_target

    @property
    def target_duration(self) -> float:
        """Seconds."""
        return self.plan.target_duration

    @property
    def awaited(self) -> bool:
        """Somebody waits for what comes next."""
        return bool(self._listeners)

    @property
    def begun(self) -> bool:
        """There is a segment that players can begin with."""
        return bool(self.shelf.listed)

    def playlist(self, skip: bool) -> Rendered:
        """The playlist of now, or with ``skip`` what is new of it; one object until something changes."""
        rendered = self._rendered.get(skip)
        if rendered is None:
            others = [(each.names.playlist, *each.newest()) for each in self.others]
            begin, rest = self._playlist.write(others, skip=skip, ended=self.ended)
            rendered = self._rendered[skip] = self._renderers[skip].render(begin, rest)
        return rendered

    def position(self) -> tuple[int, int]:
        """The number of the segment in the making, and of its part that comes next."""
        segment = self.shelf.open
        return (self.shelf.next, 0) if segment is None else (segment.number, len(segment.parts))

    def newest(self) -> tuple[int, int]:
        """Segment and part of the newest part that there is; -1 for what is not."""
        number, part = self.position()
        if part:
            return number, part - 1
        before = self.shelf.find(number - 1)
        return (number - 1, -1 if before is None else len(before.parts) - 1)

    def parts_of(self, number: int) -> int:
        """How many parts a segment has that is whole and whose parts are still told; else 0."""
        segment = self.shelf.find(number)
        if segment is None or segment.data is None or number < self._playlist.parts_told_of():
            return 0
        return len(segment.parts)

    def file(self, name: str) -> bytes | None:
        """A file by its name, if it is there."""
        read = self.names.read(name)
        if read is None:
            return None
        number, part = read
        if number < 0:
            return self.shelf.inits.get(part)
        segment = self.shelf.find(number)
        if segment is None:
            return None
        return segment.data if part < 0 else segment.part(part)

    def expects(self, name: str) -> bool:
        """Whether that file is not there yet, and comes next."""
        read = self.names.read(name)
        return not self.ended and bool(self.part_target) and read == self.position()

    def read(self, name: str, done: Callable[[bytes | None], None]) -> bool:
        """See ``Package.read``."""
        read = self.names.read(name)
        segment = None if read is None or read[1] >= 0 else self.shelf.find(read[0])
        if segment is None or self._archive is None:
            return False
        return self._archive.read(segment, done)

    def on_change(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Have ``callback`` called after each new part or segment, and at the end; call what is returned to
        hear no more."""
        self._listener += 1
        number = self._listener
        self._listeners[number] = callback
        return lambda: (self._listeners.pop(number, None), None)[1]

    # Below: called by the package.

    def settle(self, now: float) -> bool:
        """Something may have come: tell whoever listens; whether anything had."""
        segment = self.shelf.open
        seen = (self.shelf.next, -1 if segment is None else len(segment.parts))
        if seen == self._seen:
            return False
        self._seen = seen
        self._stats.late_parts += (
            self._part_at is not None and now - self._part_at > _LATE * self.part_target > 0.0
        )
        self._part_at = now
        self.changed()
        return True

    def pause(self) -> None:
        """What comes next does not come late: the stream waits for an encoder."""
        self._part_at = None

    def changed(self) -> None:
        """The playlist is another one."""
        self._rendered.clear()
        for callback in list(self._listeners.values()):
            callback()

    def end(self) -> None:
        """Nothing more comes."""
        self.segmenter.flush()
        self.ended = True
        self.changed()

    def drop(self) -> None:
        """Forget everything."""
        self.ended = True
        self.shelf.clear()
        self.changed()
