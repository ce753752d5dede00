"""What processes write: cut into lines, freed of secrets, and never too much of it."""

from __future__ import annotations

import asyncio

from rtmpd.processes.output import Output
from rtmpd.rtmp.scrubbing import Scrubber


class Pipe(asyncio.ReadTransport):
    def __init__(self) -> None:
        super().__init__()
        self.calls: list[str] = []

    def pause_reading(self) -> None:
        self.calls.append("pause")

    def resume_reading(self) -> None:
        self.calls.append("resume")

    def close(self) -> None:
        self.calls.append("close")


class Ear:
    def __init__(self, lines_per_minute: int = 60) -> None:
        self.now = 0.0
        self.told: list[str] = []
        self.left_out: list[int] = []
        self.pipe = Pipe()
        self.output = Output(
            Scrubber(("s3cret-token",)),
            lambda: self.now,
            lines_per_minute,
            self.told.append,
            self.left_out.append,
        )
        self.output.connection_made(self.pipe)

    def hear(self, *parts: bytes) -> None:
        for part in parts:
            self.output.data_received(part)


async def test_lines_however_they_are_cut_and_without_secrets() -> None:
    whole = "one\r\n\n\ttwo   s3cret-token!\nth\u00e9\xa0ree\nfour".encode()
    for size in (1, 2, 3, len(whole)):
        ear = Ear()
        ear.hear(*(whole[at : at + size] for at in range(0, len(whole), size)))
        ear.output.connection_lost(None)
        assert ear.told == ["one", "two ***!", "th\u00e9 ree", "four"]
        assert ear.output.over.done()


async def test_progress_that_overwrites_itself_is_not_told() -> None:
    ear = Ear()
    ear.hear(b"frame=1\rframe=2\r", b"frame=3\rdone\n")
    assert ear.told == ["done"]
    assert ear.left_out == []


async def test_a_line_without_an_end_is_not_kept_whole() -> None:
    ear = Ear()
    for _ in range(100):
        ear.hear(bytes(b"x" * 10_000))
    ear.hear(b"\nnext\n")
    assert [len(line) for line in ear.told] == [200, 4]


async def test_more_lines_than_may_be_are_counted() -> None:
    ear = Ear(lines_per_minute=3)
    ear.hear(b"a\nb\nc\nd\ne\n")
    assert (ear.told, ear.left_out) == (["a", "b", "c"], [])
    ear.now = 61.0
    ear.hear(b"f\n" + b"g\n" * 5)
    assert (ear.told, ear.left_out) == (["a", "b", "c", "f", "g", "g"], [3])
    ear.output.connection_lost(None)
    assert ear.left_out == [3, 2]


async def test_none_are_told_where_none_may_be() -> None:
    ear = Ear(lines_per_minute=0)
    ear.hear(b"a\n")
    ear.output.connection_lost(None)
    assert (ear.told, ear.left_out) == ([], [1])


async def test_a_flood_of_short_lines_is_read_more_slowly() -> None:
    """A line costs more than its bytes."""
    ear = Ear()
    ear.hear(b"y\n" * 3000)
    assert ear.pipe.calls == ["pause"]


async def test_a_flood_is_read_slowly() -> None:
    ear = Ear()
    ear.hear(bytes(128 * 1024))
    assert ear.pipe.calls == []
    ear.hear(bytes(4 * 1024))
    assert ear.pipe.calls == ["pause"]
    await asyncio.sleep(0.1)  # A thirty-second of a second is owed.
    assert ear.pipe.calls == ["pause", "resume"]
