"""SRS's API, made of what there is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from compat_kit import ENCODER, PLAYER, audio, holding, server, session, stream, survey, video

from rtmpd.compat import srs
from rtmpd.control.session_answers import SessionKind
from rtmpd.control.stream_answers import StreamState
from rtmpd.hooks.srs import stream_id

GOLDEN = Path(__file__).parent / "golden"
SHOW = stream_id("live/show")


def documents() -> dict[str, Any]:
    found = survey()
    return {
        "versions": srs.versions(found.server),
        "summaries": srs.summaries(found.server),
        "vhosts": srs.vhosts(found),
        "streams": srs.streams(found, 0, 10),
        "clients": srs.clients(found, 0, 10),
    }


@pytest.mark.parametrize("name", documents())
def test_documents_are_those_of_srs(name: str) -> None:
    golden = json.loads((GOLDEN / "srs.json").read_text())
    told = documents()[name]
    assert told == golden[name]
    assert list(told) == list(golden[name])


def test_one_is_told_as_in_the_list() -> None:
    found = survey()
    told = documents()
    assert srs.stream(found, SHOW)["stream"] == told["streams"]["streams"][0]
    assert srs.client(found, PLAYER)["client"] == told["clients"]["clients"][1]
    (vhost,) = told["vhosts"]["vhosts"]
    assert srs.vhost(found, vhost["id"])["vhost"] == vhost


def test_what_is_not_there_has_a_code() -> None:
    found = survey()
    assert srs.stream(found, "vid-0000000") == {"code": 2048}
    assert srs.client(found, "7") == {"code": 2049}
    assert srs.vhost(found, "vid-0000000") == {"code": 2014}


def test_ids_are_those_that_backends_are_told() -> None:
    told = documents()
    (of_stream,) = told["streams"]["streams"]
    assert of_stream["id"] == SHOW
    assert of_stream["publish"] == {"active": True, "cid": ENCODER}
    assert [each["id"] for each in told["clients"]["clients"]] == [ENCODER, PLAYER]
    assert {each["stream"] for each in told["clients"]["clients"]} == {SHOW}


@pytest.mark.parametrize(
    ("start", "count", "first", "number"),
    [(0, 0, "s00", 10), (0, 5, "s00", 10), (5, 12, "s05", 12), (20, 10, "s20", 5), (30, 10, "", 0)],
)
def test_lists_come_in_parts(start: int, count: int, first: str, number: int) -> None:
    found = survey([stream(name=f"s{n:02}") for n in range(25)])
    names = [each["name"] for each in srs.streams(found, start, count)["streams"]]
    assert (next(iter(names), ""), len(names)) == (first, number)


@pytest.mark.parametrize(
    ("text", "number"),
    [(None, 0), ("", 0), ("7", 7), (" 12x", 12), ("-3", 0), ("x", 0), ("9" * 40, 10**18 - 1), ("٣", 0)],
)
def test_numbers_are_read_as_there(text: str | None, number: int) -> None:
    assert srs.number(text) == number


def test_a_stream_without_an_encoder_is_not_active() -> None:
    (held, idle) = srs.streams(survey([holding(), holding(state=StreamState.IDLE)]), 0, 10)["streams"]
    for told in (held, idle):
        assert (told["publish"], told["video"], told["audio"]) == ({"active": False}, None, None)
        assert (told["recv_bytes"], told["kbps"]["recv_30s"], told["frames"]) == (0, 0, 0)


def test_what_no_header_says_is_said_as_there() -> None:
    plain = stream(
        video=video(codec="vp08", profile=None, level=None, width=None, height=None),
        audio=audio(codec="speex", profile=None, channels=None, samples_per_second=None),
    )
    (told,) = srs.streams(survey([plain]), 0, 10)["streams"]
    other = {"codec": "Other", "profile": "Other"}
    assert told["video"] == {**other, "level": "Other", "width": 0, "height": 0}
    assert told["audio"] == {**other, "sample_rate": 0, "channel": 0}
    (told,) = srs.streams(survey([stream(video=video(level="4.0"), audio=audio(profile="HE-AAC"))]), 0, 10)[
        "streams"
    ]
    assert (told["video"]["level"], told["audio"]["profile"]) == ("4", "HE")


def test_relays_and_who_has_not_asked_yet_are_no_clients() -> None:
    everybody = [
        session(),
        session(SessionKind.PENDING),
        session(SessionKind.PUSH, connection=0),
        session(SessionKind.PULL, connection=0),
    ]
    assert [each["id"] for each in srs.clients(survey(sessions=everybody), 0, 10)["clients"]] == [ENCODER]


@pytest.mark.parametrize(
    ("version", "numbers"), [("1.2.3", (1, 2, 3)), ("2.0", (2, 0, 0)), ("1.0.0rc1", (0, 0, 0))]
)
def test_versions(version: str, numbers: tuple[int, ...]) -> None:
    data = srs.versions(server(version=version))["data"]
    assert (data["major"], data["minor"], data["revision"]) == numbers
    assert data["version"] == f"rtmpd {version}"
