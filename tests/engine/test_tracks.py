"""Who is the default track after each message; ``h`` header, ``k`` keyframe, ``p`` other frame, ``e`` end."""

from __future__ import annotations

import pytest

from rtmpd.engine.tracks import Election
from rtmpd.media.tags import CODED_FRAME, END_OF_SEQUENCE, KEYFRAME, SEQUENCE_HEADER

FLAGS = {"h": SEQUENCE_HEADER, "k": CODED_FRAME | KEYFRAME, "p": CODED_FRAME, "e": END_OF_SEQUENCE}


def defaults(story: str) -> str:
    """Feed words like ``k1@40``; the default after each."""
    election = Election(16)
    found = []
    for word in story.split():
        what, at = word.split("@")
        flags = FLAGS[what[0]]
        elected = election.see(int(what[1:]), flags, int(at), begins=bool(flags & KEYFRAME))
        assert not elected or election.default == int(what[1:])
        found.append(str(election.default))
    return " ".join(found)


@pytest.mark.parametrize(
    ("story", "expected"),
    [
        pytest.param("h0@0 h1@0 k0@0 k1@0 p0@40", "0 0 0 0 0", id="in-order"),
        pytest.param("h1@0 h0@0 k1@0 k0@0", "1 0 0 0", id="lower-announced-before-any-frame"),
        pytest.param("k1@0 p0@40 p1@40 k0@80 k1@80", "1 1 1 0 0", id="lower-comes-at-its-keyframe"),
        pytest.param("k0@0 k1@0 k1@2000 k1@3000 k1@4000", "0 0 0 0 1", id="vanished"),
        pytest.param("k0@0 k1@0 p1@9000 k1@9040 k0@9100", "0 0 0 1 0", id="vanished-and-back"),
        pytest.param("h0@0 h2@0 k2@100 k2@2100 k2@4100", "0 0 0 0 2", id="announced-and-never-sent"),
        pytest.param("k0@0 k1@0 e0@0 k1@40", "0 0 0 1", id="ended"),
        pytest.param("k0@0 k2@0 e0@50 k2@90 k1@99", "0 0 0 2 1", id="lowest-of-the-rest"),
        pytest.param("k0@0 k1@0 k1@900000 k0@900000", "0 0 1 0", id="time-jumps"),
        pytest.param("k0@9000 k1@9000 k1@0 k0@0 k1@1000", "0 0 1 0 0", id="time-jumps-back"),
    ],
)
def test_the_lowest_track_that_flows_is_the_default(story: str, expected: str) -> None:
    assert defaults(story) == expected


def test_tracks_are_bounded() -> None:
    election = Election(2)
    for track in (0, 7):
        assert election.admit(track)
        election.see(track, CODED_FRAME, 0, begins=True)
    assert election.admit(7)
    assert not election.admit(1)
