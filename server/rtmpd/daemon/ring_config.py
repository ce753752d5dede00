"""The last seconds of streams, ``[apps.NAME.ring]``, and what does not fit into memory, ``[spool]``."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import AfterValidator, Field

from rtmpd.daemon.fields import Effect, FileName, Seconds, Section, Size

_MIB: Final = 1024 * 1024
_LEAST_DELAY: Final = 1.0
_LONGEST_DELAY: Final = 86_400.0


def _check_delay(seconds: float) -> float:
    if 0.0 < seconds < _LEAST_DELAY or seconds > _LONGEST_DELAY:
        raise ValueError(f"{seconds:g} s is no delay: it is 0, or from 1 second to a day")
    return seconds


Delay = Annotated[Seconds, AfterValidator(_check_delay)]


class RingConfig(Section):
    """The last seconds of each stream, kept at hand: for clips ("clip that"), over the API."""

    seconds: Seconds = 0.0
    """How much is kept, from the key frame before on; also for as long after the stream has ended. 0 keeps
    nothing."""
    memory_bytes: Annotated[Size, Field(ge=_MIB)] = 64 * _MIB
    """What of it may be in memory, for each stream, and within memory.max_bytes: 60 seconds at 8 Mbit/s. What
    is older goes to the drive, or is lost."""
    disk_bytes: Size = 0
    """What of it may be on the drive, for each stream; needs spool.path."""
    rewind: Annotated[bool, Effect.PLAYS] = False
    """Players may begin in what is kept: ?start=-30 behind the name is 30 seconds ago, and stays so. Then 10
    seconds more are kept, and the delay of the stream besides."""


class SpoolConfig(Section):
    """Where goes what is kept of streams and does not fit into memory. Files there have no name, and are gone
    with the process, however that ends."""

    path: FileName = ""
    """Folder on a drive; empty is nowhere."""
    delay_memory_bytes: Annotated[Size, Field(ge=_MIB)] = 256 * _MIB
    """What of a stream that is shown later (apps.NAME.delay) waits in memory, within memory.max_bytes: 120
    seconds at 17 Mbit/s. What is more waits on the drive, or is lost."""
    delay_disk_bytes: Size = 4096 * _MIB
    """What of it waits on the drive, where there is a path."""
