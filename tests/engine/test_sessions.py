"""Sessions of all protocols are found by their number."""

from __future__ import annotations

from dataclasses import dataclass, field

from rtmpd.engine.origin import Origin
from rtmpd.engine.sessions import SessionHandle, SessionTable
from rtmpd.engine.sink import CloseReason, Ending


@dataclass
class Segments:
    """A session of a protocol to come."""

    origin: Origin
    shelf: dict[int, SessionHandle] = field(default_factory=dict)
    ending: Ending | None = None

    def dismiss(self, reason: CloseReason, by: Origin | None = None) -> None:
        self.ending = Ending(reason, by)
        del self.shelf[self.origin.session]


def test_a_session_is_found_whatever_shelf_it_is_on_and_only_while_it_is_there() -> None:
    table = SessionTable()
    one: dict[int, SessionHandle] = {}
    other: dict[int, SessionHandle] = {}
    table.add_shelf(one)
    table.add_shelf(other)
    first, second = Segments(Origin(session=1)), Segments(Origin(session=2, protocol="hls"))
    one[1], other[2] = first, second
    assert (table.find(1), table.find(2), table.find(3)) == (first, second, None)
    assert (list(table), len(table)) == ([first, second], 2)
    del one[1]
    assert (table.find(1), list(table), len(table)) == (None, [second], 1)


def test_everybody_may_be_dismissed_while_walking_past() -> None:
    table = SessionTable()
    shelf: dict[int, SessionHandle] = {}
    table.add_shelf(shelf)
    sessions = [Segments(Origin(session=number), shelf) for number in range(5)]
    shelf.update((each.origin.session, each) for each in sessions)
    admin = Origin(account="ann", protocol="http")
    for handle in table:
        handle.dismiss(CloseReason.KICKED, admin)
    assert len(table) == 0
    assert {str(each.ending) for each in sessions} == {"kicked by ann"}
