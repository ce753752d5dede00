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
MAX_WAITING: Final = 4
"""Clips that somebody waits for, the one that is being made included."""


class Clips:
    """Makes them, one after the other, in a thread. ``rings()`` is None where no stream has one."""

    def __init__(
        self, registry: Registry, rings: Callable[[], Rings | None], clock: Callable[[], float]
    ) -> None:
        self._registry = registry
        self._rings = rings
        self._workers = Workers("clips", 1)
        self._one = asyncio.Lock()
        self._waiting = 0
        self.pictures = Pictures(clock)

    def has_ring(self, key: StreamKey) -> bool:
        """Whether anything of the stream is kept."""
        rings = self._rings()
        return rings is not None and rings.find(key) is not None

    async def last(self, key: StreamKey, seconds: float) -> bytes | None:
        """The last seconds as FLV, from the key frame before on; None if nothing is kept of the stream.

        Raises NotPossible where that is too large.
        """
        rings = self._rings()
        ring = None if rings is None else rings.find(key)
        if ring is None:
            return None
        if self._waiting >= MAX_WAITING:
            text = f"{MAX_WAITING} clips are being made, one after the other: ask again in a moment"
            raise TryLater(Problem.CLIPS_BUSY, text, 2.0)
        self._waiting += 1
        try:
            return await self._make(ring, seconds)
        finally:
            self._waiting -= 1

    async def _make(self, ring: Ring, seconds: float) -> bytes | None:
        async with self._one:
            pieces = _pieces_from(ring, seconds)
            if not pieces:
                return None
            if sum([piece.size for piece in pieces]) > MAX_CLIP_BYTES:
                text = f"this clip would be larger than {MAX_CLIP_BYTES >> 20} MiB: ask for fewer seconds"
                raise NotPossible(Problem.BAD_REQUEST, text)
            headers = pieces[0].headers
            packets = [packet for piece in pieces for packet in await _read(ring, piece)]
            return await self._workers.run(lambda: as_flv(headers, packets))

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
        """Nothing more is made."""
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
    parts += [
        flv.encode_tag(packet.kind, max(packet.timestamp - begin, 0), packet.payload)
        for packet in packets
        if packet.payload and not packet.flags & (STREAM_METADATA | ORDERS)
    ]
    return b"".join(parts)


def _pieces_from(ring: Ring, seconds: float) -> list[Piece]:
    """Those of the last ``seconds``, and one by which a picture can begin."""
    piece = ring.kept.last(seconds)
    found: list[Piece] = []
    while piece is not None:
        found.append(piece)
        piece = ring.kept.piece(piece.number + 1)
    return found


async def _read(ring: Ring, piece: Piece) -> list[Packet]:
    future: asyncio.Future[list[Packet]] = asyncio.get_running_loop().create_future()

    def done(outcome: list[Packet] | Exception) -> None:
        if not future.done():
            future.set_result([] if isinstance(outcome, Exception) else outcome)

    ring.kept.read(piece, done)
    return await future
