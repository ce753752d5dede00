"""Who watches how much, by the minute, on clocks of the test."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import pytest

from rtmpd.daemon.usage_meter import OTHER, UsageMeter
from rtmpd.engine.key import StreamKey
from rtmpd.engine.observer import StreamObserver
from rtmpd.engine.origin import Origin
from rtmpd.engine.stats import ServerStats, StreamStats
from rtmpd.engine.vod import Viewers, VodPlay
from rtmpd.state.rows import MinuteRow

NOON = 1_800_000_000 - 1_800_000_000 % 3600


@dataclass
class FakeStream:
    """What the meter sees of one."""

    players: int = 0
    publication: object | None = "somebody"
    held_since: float | None = None
    stats: StreamStats = field(default_factory=StreamStats)

    def moves(self, received: int, sent: int) -> None:
        self.stats.video.bytes_in += received
        self.stats.totals.bytes_out += sent


class Scene:
    """Streams, and a meter that looks at them every second."""

    def __init__(self, max_streams: int = 200) -> None:
        self.streams: dict[StreamKey, FakeStream] = {}
        self.rows: list[MinuteRow] = []
        self.viewers = Viewers(ServerStats(), StreamObserver())
        self.meter = UsageMeter(self.streams, self.viewers, self.rows.append, max_streams)
        self.seconds = 0

    def stream(self, name: str = "cam", **figures: object) -> FakeStream:
        return self.streams.setdefault(StreamKey("live", name), FakeStream(**figures))

    def play_file(self, name: str = "film") -> VodPlay:
        play = VodPlay(StreamKey("live", name), Origin(), self.now)
        self.viewers.begin(play)
        return play

    def end(self, play: VodPlay) -> None:
        self.viewers.end(play, self.now)
        self.meter.vod_ended(play)

    @property
    def now(self) -> float:
        """As of the next look."""
        return 5000.0 + self.seconds

    def passes(self, seconds: int) -> None:
        for _ in range(seconds):
            self.meter.look(self.now, NOON + self.seconds)
            self.seconds += 1

    def taken(self) -> dict[tuple[str, int], MinuteRow]:
        """The rows so far, by stream and minute of the hour."""
        rows, self.rows[:] = list(self.rows), []
        return {(f"{row.app}/{row.name}", row.minute - NOON // 60): row for row in rows}


def test_a_minute_is_a_row_with_what_came_in_it():
    scene = Scene()
    stream = scene.stream(players=3)
    stream.moves(1000, 3000)  # Before anybody has looked.
    scene.passes(1)
    stream.moves(500, 1500)
    scene.passes(30)
    stream.players = 5
    scene.passes(30)
    rows = scene.taken()
    assert rows.keys() == {("live/cam", 0), ("/", 0)}
    row = rows["live/cam", 0]
    assert (row.hour, row.players, row.live_seconds) == (NOON, 5, 50.0)
    assert (row.player_seconds, row.bytes_in, row.bytes_out) == (3 * 30 + 5 * 20, 500, 1500)
    stream.stats = StreamStats()  # Somebody publishes anew.
    stream.moves(70, 80)
    scene.passes(60)
    row = scene.taken()["live/cam", 1]
    assert (row.bytes_in, row.bytes_out, row.player_seconds) == (70, 80, 300.0)


def test_all_streams_together_are_a_row_of_their_own():
    scene = Scene()
    one, other = scene.stream("one", players=2), scene.stream("other", players=0)
    scene.passes(31)
    one.players, other.players = 0, 2
    scene.passes(30)
    rows = scene.taken()
    assert rows["/", 0].players == 2
    assert rows["/", 0].player_seconds == 100.0
    assert rows["/", 0].live_seconds == 50.0


def test_who_waits_for_somebody_who_was_never_there_is_not_noted():
    scene = Scene()
    scene.stream("guess", players=4, publication=None)
    ended = scene.stream("ended", players=4, publication=None)
    ended.moves(10, 10)
    scene.stream("held", players=2, publication=None, held_since=1.0)
    scene.passes(61)
    rows = scene.taken()
    assert rows.keys() == {("live/held", 0), ("/", 0)}
    assert (rows["/", 0].players, rows["/", 0].live_seconds) == (2, 0.0)


def test_so_many_streams_of_an_hour_are_told_apart():
    scene = Scene(max_streams=2)
    for number in range(5):
        scene.stream(f"s{number}", players=1)
    scene.passes(61)
    rows = scene.taken()
    assert rows.keys() == {("live/s0", 0), ("live/s1", 0), (f"{OTHER.app}/{OTHER.name}", 0), ("/", 0)}
    assert rows["_other/_other", 0].players == 3
    assert rows["/", 0].players == 5
    del scene.streams[StreamKey("live", "s0")]
    scene.passes(3600)
    scene.taken()
    scene.passes(60)
    assert {name for name, _ in scene.taken()} == {"live/s1", "live/s2", "_other/_other", "/"}


def test_what_there_is_of_a_minute_is_given_at_the_end():
    scene = Scene()
    scene.stream(players=1)
    scene.passes(21)
    assert scene.rows == []
    scene.meter.flush()
    assert scene.taken()["live/cam", 0].player_seconds == 20.0
    scene.meter.flush()
    assert scene.rows == []


@pytest.mark.parametrize(("zone", "minutes"), [("UTC", 0), ("Asia/Kathmandu", 15), ("Asia/Kolkata", 30)])
def test_hours_begin_when_they_do_on_the_wall(monkeypatch: pytest.MonkeyPatch, zone: str, minutes: int):
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        scene = Scene()
        scene.stream(players=1)
        scene.passes(61)
        assert scene.rows[0].hour % 3600 == minutes * 60
        assert NOON - 3600 < scene.rows[0].hour <= NOON
    finally:
        monkeypatch.undo()
        time.tzset()


def test_plays_of_files_are_noted_to_the_second_and_the_byte():
    scene = Scene()
    seen_already = scene.play_file()
    seen_already.bytes_out = 100
    scene.passes(3)  # What was before the first look nobody has seen.
    short = scene.play_file()
    short.bytes_out = 700
    scene.passes(2)
    scene.end(short)
    scene.passes(20)
    seen_already.bytes_out = 150
    scene.end(seen_already)
    scene.meter.flush()
    rows = scene.taken()
    assert rows.keys() == {("live/film", 0), ("/", 0)}
    row = rows["live/film", 0]
    assert (row.file_seconds, row.bytes_out, row.players) == (2 + 25, 700 + 50, 1)
    assert (row.player_seconds, row.live_seconds) == (0.0, 0.0)


def test_what_is_live_and_its_file_are_told_apart():
    scene = Scene()
    scene.stream(players=2)
    scene.passes(1)
    play = scene.play_file("cam")
    scene.passes(30)
    scene.end(play)
    scene.meter.flush()
    row = scene.taken()["live/cam", 0]
    assert (row.player_seconds, row.file_seconds, row.players) == (60.0, 30.0, 3)
