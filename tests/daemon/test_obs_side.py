"""Where OBS is sent, by how it has reached the server and what the settings say."""

from __future__ import annotations

import json
from collections import Counter
from random import Random
from typing import Any

import pytest
from obs_config_kit import request, written

from rtmpd.access.obs_tokens import LIFE, ObsTokens
from rtmpd.daemon.config import Config
from rtmpd.daemon.obs_side import ObsDesk
from rtmpd.engine.key import StreamKey
from rtmpd.engine.origin import Origin
from rtmpd.http.obs import Caller
from rtmpd.net.addresses import Address
from rtmpd.serving.access import AccessRequest, Action, Grant

KEY = StreamKey("live", "show")
BOUND = {"rtmp": [Address("", 1935)], "rtmps": [Address("", 1936)]}


class Anybody:
    def authorize(self, request: AccessRequest) -> Grant:
        return Grant(request.key)

    def withdrawn(self, action: Action, key: StreamKey, origin: Origin) -> None:
        return None

    def as_public(self, action: Action, key: StreamKey) -> StreamKey:
        return key


class House:
    def __init__(self, bound: dict[str, list[Address]] | None = None, **obs: Any) -> None:
        ladder = [{"height": 360, "kbps": 800}]
        config = Config.model_validate({"apps": {"live": {"ladder": ladder, "obs": obs}}})
        there = BOUND if bound is None else bound
        self.now = 0.0
        self.tokens = ObsTokens(Anybody(), lambda: (), lambda: self.now, Random(0).randbytes)
        self.counts: Counter[str] = Counter()
        self.desk = ObsDesk(lambda: config, self.tokens, lambda name: there.get(name, []), self.counts)

    def ask(self, host: str = "tv.example", *, is_secure: bool = False) -> dict[str, Any]:
        caller = Caller("live", Origin(), host, is_secure)
        told: dict[str, Any] = json.loads(
            self.desk.configure(self.desk.read(written(request())), KEY, caller)
        )
        assert told["status"]["result"] == "success"
        return told

    def urls(self, host: str = "tv.example", *, is_secure: bool = False) -> list[str]:
        ends = self.ask(host, is_secure=is_secure)["ingest_endpoints"]
        return [f"{each['protocol']} {each['url_template'].removesuffix('/{stream_key}')}" for each in ends]


def test_what_was_typed_for_another_app_is_in_no_log(caplog: pytest.LogCaptureFixture) -> None:
    desk = House().desk
    question = desk.read(written(request()))
    typed = StreamKey("other", question.key)
    told = desk.configure(question, typed, Caller("other", Origin(), "tv.example", False))
    assert "Nothing is set up here" in told.decode()
    (line,) = caplog.records
    fields = line.__dict__["fields"]
    assert (fields["app"], fields["stream"], fields["reason"]) == ("other", None, "no_ladder")


def test_who_asks_by_https_is_sent_where_nobody_listens_in() -> None:
    plain, secure = "RTMP rtmp://tv.example/live", "RTMPS rtmps://tv.example:1936/live"
    assert House().urls() == [plain, secure]
    assert House().urls(is_secure=True) == [secure, plain]
    assert House({"rtmp": BOUND["rtmp"]}).urls(is_secure=True) == [plain]


@pytest.mark.parametrize(
    ("host", "address", "url"),
    [
        ("192.0.2.7", Address("192.0.2.7", 1940), "rtmp://192.0.2.7:1940/live"),
        ("2001:db8::7", Address("", 1935), "rtmp://[2001:db8::7]/live"),
    ],
)
def test_the_host_is_the_one_that_it_has_asked(host: str, address: Address, url: str) -> None:
    assert House({"rtmp": [address]}).urls(host) == [f"RTMP {url}"]


def test_nobody_is_sent_where_nobody_comes_by() -> None:
    assert House({"rtmp": [Address("", 0, "/run/rtmp.sock")]}).urls() == []
    assert House().urls("") == []


def test_a_server_of_the_settings_is_the_only_one() -> None:
    assert House(server="rtmp://one.example/live/").urls(is_secure=True) == ["RTMP rtmp://one.example/live"]


def test_without_tokens_the_key_stays_as_it_was_typed() -> None:
    house = House(tokens=False)
    told = house.ask()
    assert {each["authentication"] for each in told["ingest_endpoints"]} == {None}
    assert (told["meta"]["config_id"], len(house.tokens)) == ("", 0)


def test_only_who_was_not_let_in_is_sent_to_the_next_server() -> None:
    house = House(next_server="rtmp://two.example/live")
    assert house.urls() == ["RTMP rtmp://tv.example/live", "RTMPS rtmps://tv.example:1936/live"]
    assert house.urls() == ["RTMP rtmp://two.example/live"]
    house.now += LIFE
    assert len(house.urls()) == 2
    assert house.counts["configured"] == 3


@pytest.mark.parametrize(
    ("obs", "ladder"),
    [
        ({"server": "http://tv.example/live"}, []),
        ({"server": "rtmp://u:p@tv.example/live"}, []),
        ({"keyint": 0}, []),
        ({"audio_kbps": 10_000}, []),
        ({}, [{"height": 360}]),
        ({}, [{"height": 360, "kbps": 800, "width": 640}]),
        ({}, [{"height": 360.5, "kbps": 800}]),
        ({}, [{"height": 360, "kbps": True}]),
        ({}, [{"height": 360, "kbps": 800, "fps": 0.5}]),
        ({}, [{"height": 360, "kbps": 800, "codec": "vp9"}]),
        ({}, ["720p"]),
        ({}, [{"height": 360, "kbps": 800}] * 11),
    ],
)
def test_settings_that_cannot_be_are_refused(obs: dict[str, Any], ladder: list[Any]) -> None:
    with pytest.raises(ValueError, match="apps"):
        Config.model_validate({"apps": {"live": {"ladder": ladder, "obs": obs}}})
