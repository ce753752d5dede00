"""The statistics page of nginx-rtmp, as NOALBS reads it, and whom its control means."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import noalbs
import pytest
from compat_kit import ENCODER, PLAYER, holding, session, stream, survey, video
from noalbs import Scene

from rtmpd.compat.nginx_rtmp import Choice, Side, client_id, stat
from rtmpd.control.session_answers import SessionKind
from rtmpd.control.stream_answers import StreamState, StreamSummary

GOLDEN = Path(__file__).parent / "golden"


def test_the_page_is_that_of_nginx_rtmp() -> None:
    assert stat(survey(), ["live", "other"]) == (GOLDEN / "stat.xml").read_bytes().decode()


def test_noalbs_knows_what_an_encoder_sends() -> None:
    page = stat(survey())
    assert noalbs.scene(page, "live", "show") is Scene.NORMAL
    assert noalbs.source_info(page, "live", "show") == "1080p30 | H264 High 4.1 | AAC 48000Hz, 2 channels"
    assert noalbs.scene(page, "live", "other") is noalbs.scene(page, "other", "show") is Scene.OFFLINE


@pytest.mark.parametrize(
    ("bits", "scene"),
    [
        (0.0, Scene.PREVIOUS),
        (1_000.0, Scene.PREVIOUS),
        (150_000.0, Scene.OFFLINE),
        (700_000.0, Scene.LOW),
        (2_500_000.7, Scene.NORMAL),
        (1e12, Scene.NORMAL),
    ],
)
def test_noalbs_switches_by_the_bitrate_of_the_video(bits: float, scene: Scene) -> None:
    page = stat(survey([stream(video=video(bits_per_second_10s=bits))]))
    assert noalbs.scene(page, "live", "show") is scene


@pytest.mark.parametrize(
    ("what", "streams", "scene", "told"),
    [
        ("no stream", [], Scene.OFFLINE, False),
        ("holding", [holding()], Scene.OFFLINE, False),
        ("waited for", [holding(state=StreamState.IDLE)], Scene.OFFLINE, False),
        ("no media yet", [stream(video=None, audio=None)], Scene.PREVIOUS, False),
        ("audio only", [stream(video=None)], Scene.PREVIOUS, False),
        ("video only", [stream(audio=None)], Scene.NORMAL, True),
        ("no size yet", [stream(video=video(width=None, height=None))], Scene.NORMAL, False),
        ("no height yet", [stream(video=video(height=None))], Scene.NORMAL, False),
        ("no codec yet", [stream(video=video(codec=None))], Scene.NORMAL, False),
        ("a codec of old", [stream(video=video(codec="vp6f", profile=None, level=None))], Scene.NORMAL, True),
        ("odd levels", [stream(video=video(codec="av01", level=""))], Scene.NORMAL, True),
        ("names", [stream(video=video(profile="<High> & 10", level="x"))], Scene.NORMAL, True),
        ("another one", [stream(name="a"), stream(), holding(name="z")], Scene.NORMAL, True),
        ("60 streams", [stream(name=f"s{n}") for n in range(60)] + [stream()], Scene.NORMAL, True),
    ],
)
def test_noalbs_reads_every_page(what: str, streams: list[StreamSummary], scene: Scene, told: bool) -> None:
    page = stat(survey(streams))
    assert noalbs.scene(page, "live", "show") is scene
    assert (noalbs.source_info(page, "live", "show") is not None) is told


def test_a_page_has_an_app_even_if_there_is_none() -> None:
    """NOALBS logs an error for a page without, each time that it asks."""
    assert noalbs.streams(stat(survey([]))) == []


SPOILT = [
    (r"<name>show</name>", ""),
    (r"<bw_video>\d+", "<bw_video>1.5"),
    (r"<bw_video>\d+", "<bw_video>4294967296"),
    (r"<bw_video>\d+</bw_video>", ""),
    (r"<live>.*</live>", ""),
    (r"<application>.*</application>", ""),
    (r"<width>\d+</width>", ""),
    (r"<codec>H264</codec>", ""),
    (r"<compat>\d+", "<compat>"),
    (r"<audio>.*</audio>", ""),
    (r"<nclients>2</nclients>", "<bw_video>1</bw_video>"),
]


@pytest.mark.parametrize(("old", "new"), SPOILT)
def test_the_reader_is_as_strict_as_noalbs(old: str, new: str) -> None:
    page = stat(survey())
    spoilt = re.sub(old, new, page, count=1, flags=re.DOTALL)
    assert spoilt != page
    with pytest.raises(noalbs.Unreadable):
        noalbs.scene(spoilt, "live", "show")


def test_only_who_is_active_is_online() -> None:
    page = stat(survey())
    assert noalbs.scene(page.replace("<active/>", ""), "live", "show") is Scene.OFFLINE


def read(page: str) -> ET.Element:
    return ET.fromstring(page)


@pytest.mark.parametrize("text", ["\0\x07\ufffe\ud800", "<&>\"'", "Größe \U0001f3a5", "\t \n"])
def test_whatever_a_client_calls_itself_is_xml(text: str) -> None:
    page = stat(survey(sessions=[session(agent=text)])).encode()
    (told,) = ET.fromstring(page).findall(".//flashver")
    assert told.text == re.sub("[\0\x07\ufffe\ud800]", "\ufffd", text)


def test_numbers_are_whole_and_no_less_than_nothing() -> None:
    page = read(stat(survey([stream(since=None, video=video(timestamp_seconds=5e6))])))
    for name in ("time", "bw_in", "bw_out", "bw_audio", "timestamp", "nclients", "uptime", "pid"):
        found = page.findall(f".//{name}")
        assert found
        assert all(re.fullmatch(r"\d+", each.text or "") for each in found), name
    assert [each.text for each in page.findall(".//timestamp")] == ["705032704"] * 2


def test_clients_are_listed_with_what_they_do() -> None:
    backup = session(id=PLAYER, connection=9)
    other = session(SessionKind.PLAYER, "live/other", connection=10)
    page = read(stat(survey(sessions=[session(), backup, other, session(SessionKind.PENDING)])))
    told = [
        (each.findtext("id"), each.find("publishing") is not None, each.find("active") is not None)
        for each in page.findall(".//client")
    ]
    assert told == [("6", True, True), ("9", True, False)]


def test_all_are_counted_if_not_all_are_listed() -> None:
    page = read(stat(survey([stream(players=5000)])))
    assert [each.text for each in page.findall(".//nclients")] == ["5001", "5001"]
    assert len(page.findall(".//client")) == 2


def test_a_relay_has_a_number_too() -> None:
    pull = session(SessionKind.PULL, connection=0, id=ENCODER)
    other = session(SessionKind.PULL, connection=0, id=PLAYER)
    assert client_id(pull) != client_id(other)
    assert 1 << 40 < client_id(pull) < 1 << 53
    assert client_id(session(id=PLAYER)) == 6


def test_who_sees_some_streams_sees_no_sums_of_others() -> None:
    page = read(stat(survey(), partial=True))
    told = {name: page.findtext(name) for name in ("naccepted", "bw_in", "bytes_in", "bw_out", "bytes_out")}
    sums = {"bw_in": "2628000", "bytes_in": "19710000", "bw_out": "2628000", "bytes_out": "19710000"}
    assert told == {"naccepted": "2", **sums}


PUSH = "01932c07-a5fa-7d2e-8f10-5d4b0c6e3a93"
EVERYBODY = [
    session(),
    session(SessionKind.PLAYER),
    session(SessionKind.PENDING, id=PUSH, connection=8),
    session(SessionKind.PUSH, id=PUSH, connection=0, address="live.example.com"),
]


@pytest.mark.parametrize(
    ("choice", "meant"),
    [
        (Choice(Side.PUBLISHER), [ENCODER]),
        (Choice(Side.SUBSCRIBER), [PLAYER, PUSH]),
        (Choice(Side.CLIENT), [ENCODER, PLAYER, PUSH]),
        (Choice(Side.CLIENT, app="live"), [ENCODER, PLAYER, PUSH]),
        (Choice(Side.CLIENT, app="li"), []),
        (Choice(Side.CLIENT, app="live", name="show"), [ENCODER, PLAYER, PUSH]),
        (Choice(Side.CLIENT, name="sho"), []),
        (Choice(Side.CLIENT, client=7), [PLAYER]),
        (Choice(Side.PUBLISHER, client=7), []),
    ],
)
def test_the_control_means(choice: Choice, meant: list[str]) -> None:
    assert [each.id for each in choice.among(EVERYBODY)] == meant


@pytest.mark.parametrize("told", [{}, {"app": ""}, {"name": "x"}, {"client": 0}])
def test_a_choice_of_everybody_is_known(told: dict[str, Any]) -> None:
    assert Choice(Side.CLIENT, **told).is_open is (not told)


def test_who_plays_files_is_told_as_nginx_rtmp_does_of_play() -> None:
    viewers = [session(SessionKind.PLAYER, each, file=True) for each in ("live/show", "vod/film", "vod/film")]
    page = stat(survey(sessions=[session(), *viewers]))
    assert noalbs.scene(page, "live", "show") is Scene.NORMAL
    apps = {app.findtext("name"): app for app in read(page).iter("application")}
    assert apps["live"].findtext("live/stream/nclients") == "2"  # As the stream has it; of the file apart.
    assert len(apps["live"].findall("live/stream/client")) == 1
    (film,) = apps["vod"].findall("play/stream")
    assert (film.findtext("name"), film.findtext("nclients")) == ("film", "2")
    assert [client.findtext("flashver") for client in film.findall("client")] == ["LNX 9,0,124,2"] * 2
    assert apps["vod"].findtext("play/nclients") == "2"
    assert read(stat(survey())).find(".//play") is None
