"""``[apps.NAME.hooks]``: what people write, whom that asks, and what is never shown of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from rtmpd.daemon import reference
from rtmpd.daemon.settings import Settings, load
from rtmpd.exceptions import ConfigError
from rtmpd.hooks.rules import Moment

URL = "http://127.0.0.1:8080/auth"


@pytest.fixture
def read(tmp_path: Path):
    def read(text: str) -> Settings:
        path = tmp_path / "rtmpd.toml"
        path.write_text(text)
        return load([path], {})

    return read


def problems(read, text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read(text)
    assert "q7secret" not in str(caught.value)
    return [problem.partition("rtmpd.toml:")[2] for problem in caught.value.problems]


def test_whom_a_stream_asks(read) -> None:
    config = read(
        f"""
        [apps."*".hooks]
        on_publish = "{URL}"
        ttl = "1m"
        [apps.live.hooks]
        dialect = "srs"
        on_play = ["{URL}", "{URL}2"]
        [apps."live/quiet".hooks]
        on_publish = []
        on_play = []
        """
    ).config
    at = {path: config.at(path).hooks.to_rules() for path in ("other", "live/show", "live/quiet")}
    assert at["other"].urls == {Moment.PUBLISH: (URL,)}
    assert at["live/show"].urls == {Moment.PUBLISH: (URL,), Moment.PLAY: (URL, f"{URL}2")}
    assert at["live/quiet"].urls == {}
    assert {rules.ttl for rules in at.values()} == {60.0}
    assert [rules.dialect for rules in at.values()] == ["native", "srs", "srs"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (
            f'dialect = "mediamtx"\non_connect = "{URL}"',
            "3: apps.live.hooks.on_connect means nothing to mediamtx: take it out, or name another dialect",
        ),
        (
            f'dialect = "srs"\non_update = "{URL}"',
            "3: apps.live.hooks.on_update means nothing to srs: take it out, or name another dialect",
        ),
        (
            f'method = "get"\non_publish = "{URL}"',
            '2: apps.live.hooks.method is for dialect = "nginx-rtmp" alone: take it out',
        ),
        (
            f'decides = true\non_publish_done = "{URL}"',
            "2: apps.live.hooks.decides = true, and there is nobody to ask: name on_publish or on_play",
        ),
        (
            f'decides = true\non_connect = "{URL}"',
            "2: apps.live.hooks.decides = true, and there is nobody to ask: name on_publish or on_play",
        ),
        (
            'on_publish = "ftp://host/q7secret"',
            (
                "2: apps.live.hooks.on_publish: a URL of a backend starts with http:// or https:// "
                "and a host; write it as http://host:port/path"
            ),
        ),
    ],
)
def test_what_cannot_be_meant(read, text: str, found: str) -> None:
    assert problems(read, f"[apps.live.hooks]\n{text}") == [found]


def test_what_apps_have_in_common_may_stand_once(read) -> None:
    text = '[apps."*".hooks]\ndecides = true\nmethod = "get"'
    config = read(f'{text}\n[apps.live.hooks]\ndialect = "nginx-rtmp"\non_publish = "{URL}"').config
    rules = config.at("live/show").hooks.to_rules()
    assert (rules.decides, rules.get) == (True, True)
    assert len(problems(read, text)) == 2


def test_a_client_is_not_left_waiting_for_ever(read) -> None:
    (found,) = problems(read, '[apps.live.hooks]\ntimeout = "2m"')
    assert "at most 1m" in found


def test_of_a_url_only_the_server_is_shown(read, tmp_path: Path) -> None:
    (tmp_path / "url").write_text("https://user:q7secret@example.com/q7secret?key=q7secret\n")
    settings = read(
        f'[apps.live.hooks]\non_publish_file = "{tmp_path}/url"\non_play = "http://[::1]:80/q7secret"'
    )
    shown = "\n".join(f"{key} = {value}" for key, value, *_ in reference.rows(settings))
    assert '["https://example.com/***"]' in shown
    assert '["http://[::1]:80/***"]' in shown
    assert "q7secret" not in shown
    rules = settings.config.at("live").hooks.to_rules()
    assert rules.urls[Moment.PUBLISH] == ("https://user:q7secret@example.com/q7secret?key=q7secret",)
    assert "q7secret" not in repr(rules)
