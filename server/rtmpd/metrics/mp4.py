"""Series of streams that are made MP4."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol

from rtmpd.metrics.families import AnyFamily, Family


class FragmentCounts(Protocol):
    """``rtmpd.packaging.fragment_stats.FragmentStats``."""

    @property
    def fragments(self) -> int: ...
    @property
    def corrected(self) -> Mapping[str, int]: ...


class Fragments(Protocol):
    """``rtmpd.packaging.fragments.Fragments``."""

    @property
    def stats(self) -> FragmentCounts: ...
    def __len__(self) -> int: ...


def collect_mp4(fragments: Fragments | None) -> Iterator[AnyFamily]:
    """How much is made; nothing as long as nobody has asked for any."""
    if fragments is None:
        return
    text = "Streams that are made MP4 now, each as often as players want something else of it."
    yield Family("gauge", "rtmpd_mp4_streams", text).with_value(len(fragments))
    text = "Fragments that were made, each once for all who were sent it."
    yield Family("counter", "rtmpd_mp4_fragments", text).with_value(fragments.stats.fragments)
    text = "Frames whose time was corrected for MP4, by why."
    corrected = Family("counter", "rtmpd_mp4_corrections", text, ("correction",))
    for why, frames in sorted(fragments.stats.corrected.items()):
        corrected.add((why,), frames)
    yield corrected
