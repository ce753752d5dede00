"""MediaMTX's API, made of what there is, as NOALBS reads it among others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import noalbs
import pytest
from compat_kit import ENCODER, PLAYER, audio, holding, session, stream, survey, video

from rtmpd.compat import mediamtx
from rtmpd.control.session_answers import SessionKind

GOLDEN = Path(__file__).parent / "golden"


def documents() -> dict[str, Any]:
    found = survey()
    return {
        "info": mediamtx.info(found.server),
        "paths": mediamtx.page(mediamtx.paths(found, ["live"]), None, None),
        "rtmpconns": mediamtx.page(mediamtx.connections(found.sessions, tls=False), None, None),
        "error": mediamtx.error("path not found"),
    }


@pytest.mark.parametrize("name", documents())
def test_documents_are_those_of_mediamtx(name: str) -> None:
    golden = json.loads((GOLDEN / "mediamtx.json").read_text())
    told = documents()[name]
    assert told == golden[name]
    assert list(told) == list(golden[name])


def path(*streams: Any, apps: tuple[str, ...] = (), **other: Any) -> Any:
    return mediamtx.path(survey(streams or None, **other), apps)


def test_noalbs_counts_the_bytes_of_an_encoder_and_of_nobody_else() -> None:
    assert noalbs.bytes_of_path(path()) == 19_710_000
    with pytest.raises(noalbs.Unreadable):
        noalbs.bytes_of_path(path(holding()))


def test_a_held_stream_is_not_ready() -> None:
    told = path(holding())
    assert [told[each] for each in ("ready", "available", "online")] == [False] * 3
    assert [told[each] for each in ("readyTime", "source", "tracks")] == [None, None, []]
    assert [each["id"] for each in told["readers"]] == [PLAYER]


@pytest.mark.parametrize(
    ("apps", "name"),
    [
        ((), "all_others"),
        (("live",), "live"),
        (("li", "live", "live/show"), "live/show"),
        (("x",), "all_others"),
    ],
)
def test_a_path_names_its_settings(apps: tuple[str, ...], name: str) -> None:
    assert path(apps=apps)["confName"] == name


@pytest.mark.parametrize(
    ("sessions", "source"),
    [
        ([session()], {"type": "rtmpConn", "id": ENCODER}),
        ([session(tls=True)], {"type": "rtmpsConn", "id": ENCODER}),
        ([session(SessionKind.PULL, id=ENCODER)], {"type": "rtmpSource", "id": ""}),
        ([], {"type": "rtmpConn", "id": ENCODER}),
    ],
)
def test_the_source_of_a_path(sessions: list[Any], source: dict[str, str]) -> None:
    assert path(sessions=sessions)["source"] == source


@pytest.mark.parametrize(
    ("codec", "track"),
    [
        (
            {"codec": "hvc1", "profile": "Main 10", "level": "5.1"},
            ("H265", {"width": 1920, "height": 1080, "profile": "Main 10", "level": "5.1"}),
        ),
        (
            {"codec": "av01", "profile": "High", "level": "4.1"},
            ("AV1", {"width": 1920, "height": 1080, "profile": 1, "level": 9, "tier": 0}),
        ),
        ({"codec": "vp09", "profile": "2"}, ("VP9", {"profile": 2})),
        ({"codec": "vp08"}, ("VP8", None)),
        ({"codec": "vp6f"}, ("Generic", None)),
    ],
)
def test_tracks_of_video(codec: dict[str, Any], track: tuple[str, Any]) -> None:
    told = path(stream(video=video(**codec), audio=None))
    assert told["tracks"] == [track[0]]
    assert told["tracks2"] == [{"codec": track[0], "codecProps": track[1]}]


@pytest.mark.parametrize(
    ("codec", "track"),
    [
        ({"codec": "Opus"}, ("Opus", {"channelCount": 2})),
        ({"codec": "ac-3"}, ("AC3", {"sampleRate": 48000, "channelCount": 2})),
        (
            {"codec": "pcmu", "samples_per_second": 8000, "channels": 1},
            ("G711", {"muLaw": True, "sampleRate": 8000, "channelCount": 1}),
        ),
        ({"codec": "pcm"}, ("LPCM", {"bitDepth": 16, "sampleRate": 48000, "channelCount": 2})),
        ({"codec": ".mp3"}, ("MPEG-1/2 Audio", None)),
        ({"codec": "nellymoser"}, ("Generic", None)),
    ],
)
def test_tracks_of_audio(codec: dict[str, Any], track: tuple[str, Any]) -> None:
    (told,) = path(stream(video=None, audio=audio(**codec)))["tracks2"]
    assert told == {"codec": track[0], "codecProps": track[1]}


def test_connections_are_those_of_clients_by_how_they_came() -> None:
    everybody = [
        session(),
        session(SessionKind.PENDING, id=PLAYER, uses=(), tls=True),
        session(SessionKind.PUSH, connection=0),
    ]
    (plain,) = mediamtx.connections(everybody, tls=False)
    (secure,) = mediamtx.connections(everybody, tls=True)
    assert (plain["id"], plain["state"], plain["path"]) == (ENCODER, "publish", "live/show")
    assert (secure["id"], secure["state"], secure["path"]) == (PLAYER, "idle", "")
    assert secure["remoteAddr"] == "[2001:db8::7]:0"
    assert mediamtx.connection(everybody[0], tls=True) is None
    assert mediamtx.connection(everybody[2], tls=False) is None


@pytest.mark.parametrize(
    ("per_page", "number", "pages", "items"),
    [
        (None, None, 1, 7),
        ("3", None, 3, 3),
        ("3", "2", 3, 1),
        ("3", "3", 3, 0),
        ("7", "0", 1, 7),
        ("2147483647", "2147483647", 1, 0),
    ],
)
def test_lists_come_in_pages(per_page: str | None, number: str | None, pages: int, items: int) -> None:
    told = mediamtx.page([{}] * 7, per_page, number)
    assert (told["itemCount"], told["pageCount"], len(told["items"])) == (7, pages, items)


@pytest.mark.parametrize(
    ("per_page", "number"),
    [("0", None), ("-1", None), ("x", None), ("1", "x"), ("1", "2147483648"), ("٣", "0")],
)
def test_pages_that_are_none(per_page: str, number: str | None) -> None:
    with pytest.raises(ValueError):
        mediamtx.page([{}], per_page, number)
    assert mediamtx.page([], "5", None) == {"itemCount": 0, "pageCount": 0, "items": []}


def test_players_by_http_are_among_the_connections() -> None:
    found = [session(SessionKind.PLAYER, protocol=protocol) for protocol in ("http-flv", "ws-flv")]
    told = mediamtx.connections(found, tls=False)
    assert [(each["state"], each["path"]) for each in told] == [("read", "live/show")] * 2
    assert mediamtx.connection(found[0], tls=False) == told[0]


def test_who_plays_a_file_reads_no_path() -> None:
    viewer = session(SessionKind.PLAYER, "live/show", file=True)
    assert mediamtx.connections([viewer], tls=False)[0]["path"] == "live/show"
    assert path(sessions=[session(), viewer])["readers"] == []
