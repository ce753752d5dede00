"""What listeners are told: one event for each thing that happened, counted by session."""

from __future__ import annotations

from dataclasses import replace

import pytest
from engine_kit import AAC_HEADER, AVC_HEADER, HEVC_HEADER, KEY, House, keyframe, sound
from events_evening import STATUS

from rtmpd.engine.key import StreamKey
from rtmpd.engine.origin import Origin, SessionIds
from rtmpd.engine.sessions import SessionHandle, SessionTable
from rtmpd.engine.sink import CloseReason, Ending, PlayOptions
from rtmpd.engine.vod import VodPlay
from rtmpd.events.feed import Counter, EventFeed
from rtmpd.events.model import Event, EventKind, spell_time

NOON = 1_700_000_000.0
ENCODER = Origin(
    session=0x018BCFE5_6800_7000_8000_000000000001,
    address="192.0.2.1",
    connection=1,
    listener="127.0.0.1:1935",
    agent="FMLE/3.0",
    account="Studio 2",
)
PLAYER = Origin(session=2, address="192.0.2.2")
ADMIN = Origin(address="192.0.2.3", account="ops")


class Listener:
    """Keeps what it wants to hear."""

    def __init__(self, *kinds: EventKind) -> None:
        self.kinds = kinds or tuple(EventKind)
        self.events: list[Event] = []
        self.fails = False

    def wants(self, kind: EventKind, _key: StreamKey) -> bool:
        return kind in self.kinds

    def hear(self, event: Event) -> None:
        if self.fails:
            raise OSError("no room")
        self.events.append(event)

    @property
    def words(self) -> list[str]:
        return [f"{event.kind} {event.sequence}" for event in self.events]


class Handle:
    """Somebody who is connected."""

    origin = PLAYER

    def dismiss(self, reason: CloseReason, by: Origin | None = None) -> None:
        """Stays."""


class Newsroom:
    """A feed at a registry, with a clock that moves only when told."""

    def __init__(self) -> None:
        self.house = House()
        self.ids = 0
        """How many were given out."""
        self._new_id = SessionIds(self.wall_clock, bytes)
        registry, clock = self.house.registry, self.house.loop.clock
        self.feed = EventFeed(registry.sessions, self.new_id, clock, self.wall_clock)
        registry.observe(self.feed)

    def new_id(self) -> int:
        self.ids += 1
        return self._new_id()

    def wall_clock(self) -> float:
        return NOON + self.house.loop.now

    def listen(self, *kinds: EventKind) -> Listener:
        listener = Listener(*kinds)
        self.feed.add_listener(listener)
        return listener

    def run(self) -> None:
        self.house.loop.run(self.house.loop.now)


def test_an_evening_with_an_encoder_and_a_player() -> None:
    room = Newsroom()
    house, listener = room.house, room.listen()
    publication = house.publish(origin=ENCODER)
    house.loop.now = 0.25
    house.send(publication, (0, AAC_HEADER), (0, AVC_HEADER), (0, keyframe()), (0, sound()))
    sink, subscription = house.play(PlayOptions(origin=PLAYER))
    house.loop.now = 1.5
    house.send(publication, (40, HEVC_HEADER), (2000, keyframe("0123456789")))
    subscription.close(CloseReason.KICKED, by=ADMIN)
    publication.close(CloseReason.FINISHED)
    room.run()
    assert [(event.sequence, str(event.kind), dict(event.facts)) for event in listener.events] == [
        (1, "published", {}),
        (
            2,
            "first_media",
            {"video": "avc1", "audio": "mp4a", "width": None, "height": None, "after": 0.25},
        ),
        (1, "player_joined", {"file": False}),
        (2, "first_viewer", {}),
        (
            3,
            "codec_changed",
            {"video": "hvc1", "audio": "mp4a", "video_before": "avc1", "audio_before": "mp4a"},
        ),
        (
            4,
            "codec_changed",
            {"video": "avc1", "audio": "mp4a", "video_before": "hvc1", "audio_before": "mp4a"},
        ),
        (
            3,
            "player_left",
            {
                "reason": "kicked",
                "by": "ops",
                "duration": 1.25,
                "bytes": sum(map(len, sink.writes)),
                "dropped": 0,
                "file": False,
            },
        ),
        (4, "last_viewer_left", {}),
        (
            5,
            "unpublished",
            {
                "reason": "finished",
                "by": None,
                "duration": 1.5,
                "bytes": publication.stats.audio.bytes_in + publication.stats.video.bytes_in,
                "video_frames": 2,
            },
        ),
        (6, "ended", {"reason": "finished", "by": None}),
    ]
    assert len({event.id for event in listener.events}) == len(listener.events)
    assert listener.events == sorted(listener.events, key=lambda event: event.id)


def test_an_event_as_json() -> None:
    room = Newsroom()
    listener = room.listen()
    room.house.publish(origin=ENCODER)
    room.run()
    (event,) = listener.events
    assert event.as_json() == {
        "event": "published",
        "id": event.id,
        "time": "2023-11-14T22:13:20.000Z",
        "app": "live",
        "name": "cam",
        "session": "018bcfe5-6800-7000-8000-000000000001",
        "sequence": 1,
        "client": {
            "protocol": "rtmp",
            "address": "192.0.2.1",
            "listener": "127.0.0.1:1935",
            "tls": False,
            "agent": "FMLE/3.0",
            "account": "Studio 2",
            "query": "",
        },
        "data": {},
    }


@pytest.mark.parametrize(
    ("at", "spelt"), [(0.0, "1970-01-01T00:00:00.000Z"), (NOON + 0.0625, "2023-11-14T22:13:20.062Z")]
)
def test_times_are_those_of_rfc_3339(at: float, spelt: str) -> None:
    assert spell_time(at) == spelt


def test_who_wants_nothing_costs_nothing() -> None:
    room = Newsroom()
    listener = room.listen(EventKind.ENDED)
    publication = room.house.publish(origin=ENCODER)
    room.house.play()
    room.run()
    assert room.ids == 0
    publication.close(CloseReason.FINISHED)
    room.run()
    assert (listener.words, room.ids) == (["ended 1"], 1)


def test_viewers_are_told_of_when_the_first_comes_and_when_the_last_has_left() -> None:
    room = Newsroom()
    listener = room.listen(EventKind.FIRST_VIEWER, EventKind.LAST_VIEWER_LEFT)
    first, second = (room.house.play(PlayOptions(origin=Origin(session=each)))[1] for each in (2, 3))
    first.detach()
    second.detach()
    room.run()
    told = [(str(event.kind), event.origin.session) for event in listener.events]
    assert told == [("first_viewer", 2), ("last_viewer_left", 3)]


def test_relays_are_no_players() -> None:
    room = Newsroom()
    listener = room.listen()
    _, subscription = room.house.play(PlayOptions(audience=False))
    subscription.detach()
    room.run()
    assert listener.events == []


def test_one_that_fails_costs_the_others_nothing(caplog: pytest.LogCaptureFixture) -> None:
    room = Newsroom()
    bad, good = room.listen(), room.listen()
    bad.fails = True
    room.house.publish(origin=ENCODER)
    room.run()
    assert good.words == ["published 1"]
    assert "a listener failed at an event of live/cam" in caplog.text


def test_who_is_taken_out_hears_nothing_more() -> None:
    room = Newsroom()
    listener = room.listen()
    room.house.publish(origin=ENCODER)
    room.feed.remove_listener(listener)
    room.feed.remove_listener(listener)
    room.run()
    assert listener.events == []


def test_a_push_tells_its_state_in_the_session_of_the_publisher() -> None:
    room = Newsroom()
    listener = room.listen()
    room.house.publish(origin=ENCODER)
    room.run()
    status = replace(STATUS, key=KEY, remote="rtmp://example.com/app", reason="cannot connect")
    room.feed.push_changed(status, ENCODER)
    assert listener.words == ["published 1", "push_state 2"]
    assert listener.events[-1].facts == {
        "target": "twitch",
        "remote": "rtmp://example.com/app",
        "state": "backoff",
        "reason": "cannot connect",
        "status": "",
    }


def test_a_warning_is_told_with_its_figures() -> None:
    room = Newsroom()
    listener = room.listen(EventKind.WARNING_RAISED, EventKind.WARNING_CLEARED)
    publication = room.house.publish(origin=ENCODER)
    room.house.registry.sample(7.0)
    room.house.send(publication, (0, keyframe()))
    room.house.registry.sample(8.0)
    room.house.registry.sample(18.0)
    room.run()
    assert [dict(event.facts) for event in listener.events] == [
        {"warning": "no_media", "seconds": 7.0},
        {"warning": "no_media"},
    ]


def test_sessions_are_counted_while_they_are_there_and_not_for_ever() -> None:
    there: dict[int, SessionHandle] = {}
    table = SessionTable()
    table.add_shelf(there)
    counter = Counter(table)
    there[1] = Handle()
    counter.next(1)
    for session in range(2, 20_000):
        counter.next(session)
        assert len(counter._counts) <= 8193
    assert counter.next(1) == 2
    assert counter.next(19_999) == 2
    assert counter.next(2) == 1


def test_who_plays_a_file_is_told_as_a_player() -> None:
    room = Newsroom()
    house, listener = room.house, room.listen()
    viewers = house.registry.viewers
    play = VodPlay(KEY, PLAYER, house.loop.now)
    viewers.begin(play)
    play.bytes_out, play.ending = 70, Ending(CloseReason.KICKED, ADMIN)
    viewers.end(play, house.loop.now + 2.5)
    room.run()
    ended = {"reason": "kicked", "by": "ops", "duration": 2.5, "bytes": 70, "dropped": 0, "file": True}
    assert [(str(event.kind), dict(event.facts)) for event in listener.events] == [
        ("player_joined", {"file": True}),
        ("player_left", ended),
    ]
    assert {event.origin for event in listener.events} == {PLAYER}
