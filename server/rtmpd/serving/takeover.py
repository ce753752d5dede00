"""A second publish of a name: its answer waits until it is known whether the first one is still there."""

from __future__ import annotations

import asyncio
from typing import Final

from rtmpd.engine.claim import ClaimPolicy, Place
from rtmpd.engine.key import StreamKey
from rtmpd.engine.origin import Origin
from rtmpd.serving.peer import ServerContext

MAX_CLAIMANTS: Final = 4
"""Publishes that wait for one and the same name; others are refused at once."""
_LOOK: Final = 0.05
"""Seconds between looks at who has the name: one that works is seen by then, and the second is refused."""
_SOON: Final = 50
"""As many are looked after so soon. If more wait, for whatever names, each look comes later in proportion."""
_MARGIN: Final = 0.001
"""Seconds beyond, so that no rounding says that it was not long enough."""


async def await_silence(
    context: ServerContext, key: StreamKey, origin: Origin, policy: ClaimPolicy, place: Place
) -> None:
    """Return when there is nothing to wait for any more: the name may be claimed, with whatever outcome.

    That is at once where it is free, where nobody may take it over or may do so now; else as soon as who has
    it has sent media or left, or has been silent for as long as ``policy`` says.
    """
    contest = context.registry.contest(key, origin, context.clock(), policy, place)
    if contest is None:
        return
    holder, patience = contest
    if holder.claimants >= MAX_CLAIMANTS:
        return
    deadline = context.clock() + patience + _MARGIN
    seen = holder.stats.last_media_at
    holder.claimants += 1
    context.stats.publishes_waiting += 1
    try:
        await asyncio.sleep(0)  # First, as all that waits in a request.
        while not holder.closed and holder.stats.last_media_at == seen:
            left = deadline - context.clock()
            if left <= 0.0:
                return
            crowd = max(context.stats.publishes_waiting / _SOON, 1.0)
            await asyncio.sleep(min(left, _LOOK * crowd))
    finally:
        context.stats.publishes_waiting -= 1
        holder.claimants -= 1
