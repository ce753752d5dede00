"""Streams of a server of real parts that are kept, by a clock of a test's own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from engine_kit import inter, keyframe
from net_kit import HEADERS, Client, House, eventually

from rtmpd.engine.key import StreamKey
from rtmpd.outputs.kept import KeptLimits
from rtmpd.outputs.rewinds import SPARE, Rewinds
from rtmpd.outputs.rings import Rings
from rtmpd.serving.access import PlayRules
from rtmpd.serving.rewinding import Moment

KEY = StreamKey("live", "cam")
MIB = 1024 * 1024


class Attic:
    """Whoever keeps what streams have been; a second of theirs takes no time."""

    def __init__(self, seconds: float = 60.0) -> None:
        self.now = 0.0
        self._limits = KeptLimits(seconds + SPARE, 64 * MIB)
        self._rings: Rings | None = None
        self._rewinds: Rewinds | None = None

    @asynccontextmanager
    async def keeping(self, house: House) -> AsyncIterator[None]:
        """Keep what is published in ``house``."""
        rings = self._rings = Rings(house.registry, lambda _key: self._limits, self.clock)
        house.registry.observe(rings)
        loop = asyncio.get_running_loop()
        self._rewinds = Rewinds(house.registry, rings, self.clock, loop.call_later)
        try:
            yield
        finally:
            self._rewinds.close()
            rings.close()

    def clock(self) -> float:
        return self.now

    def find(self, key: StreamKey, moment: Moment) -> int:
        assert self._rewinds is not None
        if moment.ago is None:
            return self._rewinds.at(key, moment.time)
        return self._rewinds.back(key, moment.ago)

    @property
    def players(self) -> int:
        """Who has gone back."""
        return 0 if self._rewinds is None else self._rewinds.players

    async def publish(self, house: House, seconds: int) -> Client:
        """An encoder that has sent two pictures a second for so long."""
        encoder = await (await house.client()).publish()
        encoder.send(*HEADERS)
        await eventually(lambda: self._rings is not None and self._rings.find(KEY) is not None)
        await self.go_on(house, encoder, 0, seconds)
        return encoder

    async def go_on(self, house: House, encoder: Client, begin: int, end: int) -> None:
        for second in range(begin, end):
            for time, payload in ((0, keyframe(f"K{second}")), (500, inter(f"P{second}"))):
                before = house.stream().stats.video.messages_in
                encoder.send((second * 1000 + time, payload))
                await eventually(lambda before=before: house.stream().stats.video.messages_in > before)
                self.now += 0.5


@asynccontextmanager
async def kept_stream(house: House, attic: Attic, seconds: int) -> AsyncIterator[Client]:
    """An encoder, that has published for so long what ``attic`` keeps."""
    async with attic.keeping(house):
        yield await attic.publish(house, seconds)


def rules(*, rewind: bool = True) -> PlayRules:
    """Players may go back, or not."""
    return PlayRules(rewind=rewind)
