"""All streams that are made fragments of MP4: from the first who is sent them to the last."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from rtmpd.engine.flv_wire import EVERYTHING
from rtmpd.engine.key import StreamKey
from rtmpd.engine.limits import counted
from rtmpd.engine.mp4_wire import Mp4Wish
from rtmpd.engine.registry import Registry
from rtmpd.engine.sink import CloseReason, PlayOptions, TapOptions
from rtmpd.exceptions import ResourceExhausted
from rtmpd.media.tracks import DEFAULT
from rtmpd.packaging.fragment_stats import FragmentStats
from rtmpd.packaging.fragmenter import Fragmenter
from rtmpd.reasons import Refusal
from rtmpd.rtmp.constants import StatusCode

LINGER: Final = 5.0
"""Seconds that fragments are made on for nobody: a page that is loaded anew finds them."""

_Handle = tuple[StreamKey, Mp4Wish, float | None, int]
"""What is made of which stream, and for whom: delay and number of an audience as in ``PlayOptions``."""


class Fragments:
    """One fragmenter for each stream and wish that somebody has."""

    def __init__(
        self, registry: Registry, clock: Callable[[], float], new_timeline: Callable[[], str]
    ) -> None:
        """``new_timeline`` gives names that are used once."""
        self._registry = registry
        self._clock = clock
        self._new_timeline = new_timeline
        self._all: dict[_Handle, Fragmenter] = {}
        self.stats = FragmentStats()

    def __len__(self) -> int:
        return len(self._all)

    def find(self, key: StreamKey, wish: Mp4Wish, options: PlayOptions) -> Fragmenter:
        """Whose audience somebody with these ``options`` is attached to, at once.

        Raises ``ResourceExhausted`` where players of the stream have too many wishes.
        """
        handle = (key, wish, options.delay, options.apart)
        found = self._all.get(handle)
        if found is not None and not found.over:
            found.idle_since = None
            return found
        self._check(key, wish)
        source = TapOptions(delay=options.delay, apart=options.apart)
        made = Fragmenter(self._registry, key, wish, source, self._clock, self._new_timeline, self.stats)
        self._all[handle] = made
        return made

    def look(self) -> None:
        """End those that nobody is sent; call it about once a second."""
        now = self._clock()
        for handle, fragmenter in list(self._all.items()):
            if fragmenter.watched:
                fragmenter.idle_since = None
            elif fragmenter.idle_since is None:
                fragmenter.idle_since = now
            elif now - fragmenter.idle_since >= LINGER:
                fragmenter.close(CloseReason.FINISHED)
            if fragmenter.over:
                del self._all[handle]

    def close(self) -> None:
        """Make nothing more."""
        for fragmenter in self._all.values():
            fragmenter.close(CloseReason.SHUTDOWN)
        self._all.clear()

    def _check(self, key: StreamKey, wish: Mp4Wish) -> None:
        """Of the whole stream there are two sorts of fragments; those of less are bounded, as for others."""
        if not _is_particular(wish):
            return
        most = self._registry.limits_at(key).max_track_choices
        made = {each.wish for each in self._all.values() if each.key == key and _is_particular(each.wish)}
        if wish not in made and len(made) >= most:
            text = f"The players of this stream have chosen {counted(most, 'set')} of tracks already."
            raise ResourceExhausted(StatusCode.PLAY_FAILED, text, Refusal.TRACK_CHOICES)


def _is_particular(wish: Mp4Wish) -> bool:
    return wish.tracks != DEFAULT or wish.only != EVERYTHING
