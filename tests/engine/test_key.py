from __future__ import annotations

import pytest

from rtmpd.engine.key import StreamKey


@pytest.mark.parametrize(
    ("path", "tables", "key"),
    [
        ("live/cam", (), ("live", "cam")),
        ("live/room/cam", (), ("live", "room/cam")),
        ("live/room/cam", ("live/room",), ("live/room", "cam")),
        ("live/room/cam", ("live", "live/room", "live/room/cam"), ("live/room", "cam")),
        ("live/room/cam", ("live/roo", "room", "room/cam", "e/room"), ("live", "room/cam")),
        ("a/b/c/d", ("a/b", "a/b/c"), ("a/b/c", "d")),
        ("live", ("live",), ("live", "")),
        ("", (), ("", "")),
    ],
)
def test_the_app_is_the_longest_leading_part_with_a_table(
    path: str, tables: tuple[str, ...], key: tuple[str, str]
) -> None:
    found = StreamKey.of_path(path, tables)
    assert (found.app, found.name) == key
    assert found.strip("/") == path


def test_a_stream_is_its_path_wherever_that_is_split() -> None:
    long, short = StreamKey("live/room", "cam"), StreamKey("live", "room/cam")
    assert long == short
    assert {long: "found"}[short] == "found"
    assert long == "live/room/cam"
    assert long != StreamKey("live", "room")
