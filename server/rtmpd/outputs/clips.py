"""What is made of the last seconds, and of the newest picture: FLV files, and a JPEG."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from rtmpd.engine.key import StreamKey
from rtmpd.engine.packet import AUDIO, CACHED_HEADER, DATA, ORDERS, STREAM_METADATA, VIDEO, Packet
from rtmpd.engine.registry import Registry
from rtmpd.exceptions import NotPossible, TryLater
from rtmpd.media import flv
from rtmpd.media.metadata import recorded_metadata
from rtmpd.media.tags import KEYFRAME
from rtmpd.net.workers import Workers
from rtmpd.outputs.kept import Piece
from rtmpd.outputs.pictures import Pictures
from rtmpd.outputs.ring import Ring
from rtmpd.outputs.rings import Rings
from rtmpd.reasons import Problem

MAX_CLIP_BYTES: Final = 256 * 1024 * 1024
"""A clip is made in memory."""
MAX_HELD: Final = 4
"""Clips that somebody waits for or is sent, the one that is being made included."""


class Clips:
    """Makes them, one after the other, in a thread. ``rings()`` is None where no stream has one."""

    def __init__(
        self, registry: Registry, rings: Callable[[], Rings | None], clock: Callable[[], float]
    ) -> None:
        self._registry = registry
        self._rings = rings
        self._workers = Workers("clips", 1)
        self._one = asyncio.Lock()
        self._held = 0
        self.pictures = Pictures(clock, registry.budget.charge_queues)

    def has_ring(self, key: StreamKey) -> bool:
        """Whether anything of the stream is kept."""
        rings = self._rings()
        return rings is not None and rings.find(key) is not None

    async def last(self, key: StreamKey, seconds: float) -> tuple[bytes, Callable[[], None]] | None:
        """The last seconds as FLV, from the key frame before on; None if nothing is kept of the stream.

        They are charged to the memory budget until what comes with them is called, once. Raises NotPossible
        where that is too large, and TryLater where there is no room.
        """
        rings = self._rings()
        ring = None if rings is None else rings.find(key)
        if ring is None:
            return None
        if self._held >= MAX_HELD:
            text = f"{MAX_HELD} clips are being made, one after the other, or sent: ask again in a moment"
            raise TryLater(Problem.CLIPS_BUSY, text, 2.0)
        self._held += 1
        made = None
        try:
            made = await self._make(ring, seconds)
        finally:
            if made is None:
                self._held -= 1
        if made is None:
            return None

        def let_go() -> None:
            self._held -= 1
            self._registry.budget.charge_queues(-len(made))

        return made, let_go

    async def _make(self, ring: Ring, seconds: float) -> bytes | None:
        """One that is charged to the budget."""
        async with self._one:
            pieces = _pieces_from(ring, seconds)
            if not pieces:
                return None
            size = sum([piece.size for piece in pieces])
            if size > MAX_CLIP_BYTES:
                text = f"this clip would be larger than {MAX_CLIP_BYTES >> 20} MiB: ask for fewer seconds"
                raise NotPossible(Problem.BAD_REQUEST, text)
            self._check_room(size)
            # Before memory is short for it: what is there now is to be in it.
            there = [_in_memory(piece) for piece in pieces]
            headers, made, held = pieces[0].headers, b"", 2 * size
            budget = self._registry.budget
            budget.charge_queues(held)
            try:
                packets = [
                    packet
                    for piece, packets in zip(pieces, there, strict=True)
                    for packet in packets or await _read(ring, piece)
                ]
                made = await self._workers.run(lambda: as_flv(headers, packets))
            finally:
                budget.charge_queues(len(made) - held)
            return made

    def _check_room(self, size: int) -> None:
        """Raise TryLater where more would have to go for a clip than old seconds of rings."""
        rings, budget = self._rings(), self._registry.budget
        spare = 0 if rings is None else rings.spare_bytes
        if budget.used - spare + 2 * size > budget.target:
            text = f"memory.max_bytes has no room now for a clip of {size >> 20} MiB: ask for fewer seconds"
            raise TryLater(Problem.NO_MEMORY, text, 10.0)

    async def snapshot(self, key: StreamKey) -> bytes | None:
        """The newest key frame as FLV, None if there is none."""
        found = self._newest_key_frame(key)
        if found is None:
            return None
        headers, frame = found
        return await self._workers.run(lambda: as_flv(headers, [frame]))

    async def picture(self, key: StreamKey) -> bytes | None:
        """The same as a JPEG. Raises ControlError where it cannot be made, or not now."""
        found = self._newest_key_frame(key)
        if found is None:
            return None
        headers, frame = found
        return await self.pictures.picture(key, frame, lambda: as_flv(headers, [frame]))

    def close(self) -> None:
        """Nothing more is made, nor kept."""
        self.pictures.close()
        self._workers.close()

    def _newest_key_frame(self, key: StreamKey) -> tuple[Sequence[Packet], Packet] | None:
        stream = self._registry.streams.get(key)
        if stream is None or stream.publication is None:
            return None
        frames = stream.intake.gop.decodable()
        frame = next((each for each in frames if each.kind == VIDEO and each.flags & KEYFRAME), None)
        if frame is None:
            return None
        return stream.headers.packets(frame.timestamp, audio=False), frame


def as_flv(headers: Sequence[Packet], packets: Sequence[Packet]) -> bytes:
    """A file of ``packets``, whose times begin at 0; ``headers`` come first."""
    frames = [packet for packet in packets if packet.kind != DATA and not packet.flags & CACHED_HEADER]
    begin = min([packet.timestamp for packet in frames], default=0)
    end = max([packet.timestamp for packet in frames], default=0)
    kinds = {packet.kind for packet in frames}
    metadata = next((packet.payload for packet in headers if packet.flags & STREAM_METADATA), b"")
    parts = [
        flv.encode_header(AUDIO in kinds, VIDEO in kinds),
        flv.encode_tag(DATA, 0, recorded_metadata(metadata, (end - begin) / 1000)),
    ]
    parts += [
        flv.encode_tag(packet.kind, 0, packet.payload)
        for packet in headers
        if packet.kind != DATA and packet.payload
    ]
    for packet in packets:
        if packet.payload and not packet.flags & (STREAM_METADATA | ORDERS):
            # Joined once, as they may be a lot of memory.
            size = len(packet.payload)
            head = flv.tag_head(packet.kind, max(packet.timestamp - begin, 0), size)
            parts += (head, packet.payload, flv.tag_tail(size))
    return b"".join(parts)


def _pieces_from(ring: Ring, seconds: float) -> list[Piece]:
    """Those of the last ``seconds``, and one by which a picture can begin."""
    piece = ring.kept.last(seconds)
    found: list[Piece] = []
    while piece is not None:
        found.append(piece)
        piece = ring.kept.piece(piece.number + 1)
    return found


def _in_memory(piece: Piece) -> list[Packet]:
    """Its packets; none if they have to be read."""
    return [] if piece.packets is None else list(piece.packets)


async def _read(ring: Ring, piece: Piece) -> list[Packet]:
    future: asyncio.Future[list[Packet]] = asyncio.get_running_loop().create_future()

    def done(outcome: list[Packet] | Exception) -> None:
        if not future.done():
            future.set_result([] if isinstance(outcome, Exception) else outcome)

    ring.kept.read(piece, done)
    return await future
