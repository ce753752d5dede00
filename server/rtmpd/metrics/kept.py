"""Series of what is kept of streams: their last seconds, and what is shown later."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from rtmpd.metrics.families import AnyFamily, Family

if TYPE_CHECKING:
    from rtmpd.outputs.kept import KeptLoss


class Kept(Protocol):
    """What is kept of one stream: ``rtmpd.outputs.kept.Kept``."""

    @property
    def memory_bytes(self) -> int: ...
    @property
    def disk_bytes(self) -> int: ...
    @property
    def reach(self) -> float: ...


class Keeper(Protocol):
    """``rtmpd.outputs.rings.Rings`` is one, ``rtmpd.outputs.delays.Delays`` another."""

    @property
    def kept(self) -> Sequence[Kept]: ...
    @property
    def losses(self) -> Mapping[KeptLoss, int]: ...
    @property
    def write_failures(self) -> int: ...


class Rewinds(Protocol):
    """Who has gone back: ``rtmpd.outputs.rewinds.Rewinds``."""

    @property
    def players(self) -> int: ...
    @property
    def jumps(self) -> int: ...


def collect_kept(keepers: Mapping[str, Keeper], rewinds: Rewinds | None) -> Iterator[AnyFamily]:
    """How much there is of each kind; nothing where nothing is kept."""
    if not keepers:
        return
    text = "Bytes of streams that are kept, as their last seconds or to be shown later."
    size = Family("gauge", "rtmpd_kept_bytes", text, ("kind", "place"))
    text = "From when the oldest came that is kept until now, of the stream of which most is."
    reach = Family("gauge", "rtmpd_kept_seconds", text, ("kind",))
    text = "Packets that were kept and given up before their time."
    lost = Family("counter", "rtmpd_kept_lost_packets", text, ("kind", "reason"))
    text = "Times that what is kept could not be written to the drive."
    failures = Family("counter", "rtmpd_kept_write_failures", text, ("kind",))
    for kind, keeper in sorted(keepers.items()):
        size.add((kind, "memory"), sum([each.memory_bytes for each in keeper.kept]))
        size.add((kind, "drive"), sum([each.disk_bytes for each in keeper.kept]))
        reach.add((kind,), max([each.reach for each in keeper.kept], default=0.0))
        for reason, packets in sorted(keeper.losses.items()):
            lost.add((kind, str(reason)), packets)
        failures.add((kind,), keeper.write_failures)
    yield from (size, reach, lost, failures)
    text = "Players of live streams that have gone back."
    yield Family("gauge", "rtmpd_rewound_players", text).with_value(0 if rewinds is None else rewinds.players)
    text = (
        "Times that players who have gone back went on later, as what they were to see was not kept any more."
    )
    yield Family("counter", "rtmpd_rewind_jumps", text).with_value(0 if rewinds is None else rewinds.jumps)
