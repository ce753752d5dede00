"""Settings in force as MediaMTX tells its own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rtmpd.compat import mediamtx_settings
from rtmpd.daemon.mediamtx_settings import HeldSettings
from rtmpd.daemon.settings import load

GOLDEN = Path(__file__).parent / "golden"


ORIGIN = "apps.live.pull.from=rtmp://origin/live/{name}"


def held(*settings: str) -> HeldSettings:
    config = load([], {}, settings).config
    return HeldSettings(lambda: config)


def test_settings_are_those_of_mediamtx() -> None:
    golden = json.loads((GOLDEN / "mediamtx_settings.json").read_text())
    default = held("compat.mediamtx.listen=127.0.0.1:9997")
    assert mediamtx_settings.global_settings(default.server()) == golden["global"]
    assert mediamtx_settings.path_settings("live", default.path("live")) == golden["path"]
    assert {"name": "live", **mediamtx_settings.path_defaults(default.path("x"))} == golden["path"]


@pytest.mark.parametrize(
    ("setting", "name", "told"),
    [
        ("log.level=warning", "logLevel", "warn"),
        ("log.format=json", "logStructured", True),
        ("rtmp.limits.idle_publisher_timeout=500ms", "readTimeout", "0.5s"),
        ("player.disconnect_after=90s", "writeTimeout", "90s"),
        ("admin.listen=[]", "metrics", False),
        ("admin.listen=127.0.0.1:1", "apiAddress", "127.0.0.1:1"),
        ("rtmp.listen=127.0.0.1:1,:2", "rtmpAddress", "127.0.0.1:1"),
        ('rtmps.certificates=[{"chain_file": "a", "key_file": "b"}]', "rtmpEncryption", "optional"),
    ],
)
def test_what_settings_say_for_all(setting: str, name: str, told: Any) -> None:
    assert mediamtx_settings.global_settings(held(setting).server())[name] == told


@pytest.mark.parametrize(
    ("setting", "name", "told"),
    [
        ("apps.live.pull.from=rtmp://u:secret@origin/live/{name}?key=secret", "sourceOnDemand", True),
        ("apps.live.pull.timeout=3s", "sourceOnDemandStartTimeout", "3s"),
        ("apps.live.pull.linger=7s", "sourceOnDemandCloseAfter", "7s"),
        ("player.max_players_per_stream=7", "maxReaders", 7),
        ("apps.*.handover.on_duplicate=takeover", "overridePublisher", True),
    ],
)
def test_what_settings_say_for_a_path(setting: str, name: str, told: Any) -> None:
    origin = () if "pull.from" in setting else (ORIGIN,)
    answer = mediamtx_settings.path_settings("live", held(*origin, setting).path("live"))
    assert answer[name] == told
    assert "secret" not in str(answer)


def test_where_a_path_comes_from_is_told_without_secrets() -> None:
    source = (
        held("apps.live.pull.from=rtmp://u:secret@origin/live/{name}?key=secret,rtmp://b/live/{name}")
        .path("live")
        .source
    )
    assert source.startswith("rtmp://")
    assert "origin/live" in source
    assert "secret" not in source


def test_names_are_those_of_tables_and_that_of_all_others() -> None:
    known = held(ORIGIN, "apps.b.handover.grace=3s", "apps.*.handover.grace=3s").apps()
    assert mediamtx_settings.names(known) == ["b", "live", "all_others"]
