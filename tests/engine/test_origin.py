from __future__ import annotations

import uuid

import pytest

from rtmpd.engine.origin import NOBODY, Origin, SessionIds


class World:
    """A wall clock and dice that show what they are told to."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.25
        self.dice = b"\xff" * 8

    def session(self, ids: SessionIds) -> uuid.UUID:
        return uuid.UUID(Origin(session=ids()).session_id)

    @property
    def ids(self) -> SessionIds:
        return SessionIds(lambda: self.now, lambda size: self.dice[:size])


def test_a_session_is_a_uuid_of_its_time() -> None:
    world = World()
    session = world.session(world.ids)
    assert (session.version, session.variant) == (7, uuid.RFC_4122)
    assert session.int >> 80 == 1_700_000_000_250
    assert str(session) == "018bcfe5-68fa-7000-bfff-ffffffffffff"


def test_sessions_rise_with_time_whatever_the_dice_show() -> None:
    world = World()
    ids = world.ids
    sessions = [ids(), ids()]
    world.now += 0.000_01
    world.dice = bytes(8)
    sessions.append(ids())
    world.now -= 3600.0
    sessions.append(ids())
    world.now += 7200.0
    sessions.append(ids())
    assert sorted(sessions) == sessions
    assert len(set(sessions)) == len(sessions)
    texts = [Origin(session=session).session_id for session in sessions]
    assert sorted(texts) == texts


def test_two_servers_do_not_agree() -> None:
    world = World()
    first = world.ids()
    world.dice = b"\x80" + bytes(7)
    assert world.ids() != first


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("", ""),
        ("token=abc", ""),
        ("c2VjcmV0==", ""),
        ("track=all&key=secret&audio=1", "track=all&audio=1"),
        ("key=secret?authmod=adobe&track=2", "track=2"),
        ("track=secret", ""),
        ("track=1234", ""),
        ("mytrack=1", ""),
        ("track=1\n", ""),
    ],
)
def test_only_what_cannot_be_a_secret_is_shown_of_a_query(query: str, shown: str) -> None:
    assert NOBODY.asking(query).query == shown


def test_who_asks_nothing_of_his_own_is_not_described_twice() -> None:
    origin = Origin(address="192.0.2.1")
    assert origin.asking("token=abc") is origin
