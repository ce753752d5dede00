"""``[apps.NAME.run.PROCESS]``: what people write, and which processes come of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from rtmpd.daemon import reference
from rtmpd.daemon.changes import compare
from rtmpd.daemon.fields import Effect
from rtmpd.daemon.settings import Settings, load
from rtmpd.events.model import EventKind
from rtmpd.exceptions import ConfigError
from rtmpd.processes.rules import Restart, RunRule, Start

Read = Callable[[str], Settings]
COMMAND = 'command = ["ffmpeg", "-i", "{play_url}", "{publish_url}"]\n'


@pytest.fixture
def read(tmp_path: Path) -> Read:
    def read(text: str) -> Settings:
        path = tmp_path / "rtmpd.toml"
        path.write_text(text)
        return load([path], {})

    return read


def rules(settings: Settings, path: str) -> dict[str, RunRule]:
    return settings.config.at(path).processes(path.rpartition("/")[2])


def test_a_process_needs_nothing_but_a_command(read: Read) -> None:
    (rule,) = rules(read(f"[apps.live.run.480p]\n{COMMAND}"), "live/show").values()
    assert rule.command.arguments == ("ffmpeg", "-i", "{play_url}", "{publish_url}")
    assert rule == RunRule(rule.command)
    assert (rule.start, rule.restart, rule.renditions) == (Start.MEDIA, Restart.ALWAYS, False)


def test_which_streams_have_which_processes(read: Read) -> None:
    settings = read(
        f"""
        [apps."*".run.log]
        command = ["logger"]
        publish = []
        [apps.live.run.480p]
        {COMMAND}
        streams = ["show", "news"]
        [apps.live.run.log]
        enabled = false
        [apps."live/news".run.480p]
        start = "viewer"
        """
    )
    assert rules(settings, "other/show").keys() == {"log"}
    assert rules(settings, "live/show").keys() == {"480p"}
    assert rules(settings, "live/cam").keys() == set()
    (news,) = rules(settings, "live/news").values()
    assert (news.start, news.command.arguments[0]) == (Start.VIEWER, "ffmpeg")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("start = 'viewer'", "apps.live.run.p.command is missing: name the program and its arguments"),
        ("command = ['x', '{nmae}']", "apps.live.run.p.command: {nmae} is not known"),
        ("command = ['sh', '-c', 'x {name}']", "apps.live.run.p.command: a shell would run"),
        ("command = ['x']\npublish = ['{app}']", "apps.live.run.p.command: 'app' is no app and name"),
        ("command = ['x']\npublish = ['{app}/{nam}']", "{nam} in publish is not known"),
        ("command = ['x']\npublish = ['a/b c']", "it is the name of no stream"),
        ("command = ['x']\nstart = 'soon'", "apps.live.run.p.start"),
        ("comand = ['x']", "command"),
    ],
)
def test_mistakes_are_named(read: Read, text: str, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(f"[apps.live.run.p]\n{text}\n")
    assert problem in str(caught.value)


def test_a_name_is_fit_for_labels(read: Read) -> None:
    with pytest.raises(ConfigError, match="the name of a process is of letters, digits, - and _"):
        read(f'[apps.live.run."a b"]\n{COMMAND}')


def test_a_change_holds_at_once(read: Read) -> None:
    before, after = read(f"[apps.live.run.p]\n{COMMAND}"), read("[apps.live.run.p]\ncommand = ['x']\n")
    assert compare(before.config, after.config) == {Effect.AT_ONCE: ["apps.live.run.p.command"]}


def test_what_is_shown_reads_back(read: Read) -> None:
    settings = read(f"[apps.live.run.p]\n{COMMAND}stop_timeout = '1m'\n")
    shown = {key: value for key, value, *_ in reference.rows(settings)}
    assert shown["apps.live.run.p.command"] == '["ffmpeg", "-i", "{play_url}", "{publish_url}"]'
    assert shown["apps.live.run.p.stop_timeout"] == '"60s"'


@pytest.mark.parametrize(("table", "more"), [("run", ""), ("exec", 'on = ["published"]')])
def test_no_secret_of_a_command_is_shown(read: Read, table: str, more: str) -> None:
    command = '["curl", "-u", "me:pw", "-H", "Authorization: Bearer X"]'
    settings = read(f"[apps.live.{table}.p]\ncommand = {command}\n{more}\n")
    shown = {key: value for key, value, *_ in reference.rows(settings)}[f"apps.live.{table}.p.command"]
    assert shown == '["curl", "-u", "me:***", "-H", "Authorization: Bearer ***"]'


def test_hooks_are_run_for_what_they_name(read: Read) -> None:
    text = '[apps.live.exec.note]\ncommand = ["note", "{event}"]\non = ["published", "ended"]\n'
    config = read(text + '[apps."live/news".exec.note]\ntimeout = "5s"\n').config
    (rule,) = config.at("live/news").commands("news").values()
    assert (rule.kinds, rule.timeout) == ({EventKind.PUBLISHED, EventKind.ENDED}, 5.0)
    assert config.at("other/show").commands("show") == {}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("on = ['ended']", "apps.live.exec.h.command is missing: name the program"),
        ("command = ['x']", "apps.live.exec.h.on is missing: name the events"),
        ("command = ['x']\non = ['publish']", "is no event: published, first_media"),
        (
            "command = ['x', '{play_url}']\non = ['ended']",
            "{play_url} is not known: {app}, {name}, {event}, {file}, ",
        ),
    ],
)
def test_mistakes_about_hooks_are_named(read: Read, text: str, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(f"[apps.live.exec.h]\n{text}\n")
    assert problem in str(caught.value)
