"""``[notify.NAME]``: who is told, what of it is a secret, and what is wrong with it in words."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_kit import run_here

from rtmpd.daemon import reference
from rtmpd.daemon.settings import load
from rtmpd.engine.key import StreamKey
from rtmpd.events.model import EventKind
from rtmpd.events.settings import Format
from rtmpd.exceptions import ConfigError

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
URL = "notify.x.url=https://example.com/hook"


def test_everything_is_told_but_players_and_viewers_unless_somebody_asks() -> None:
    config = load((), {}, [URL, "notify.y.url=http://localhost/", "notify.y.events=*"]).config
    usual, everything = (each.to_settings() for each in config.notify.values())
    assert set(EventKind) - usual.kinds == {
        EventKind.PLAYER_JOINED,
        EventKind.PLAYER_LEFT,
        EventKind.FIRST_VIEWER,
        EventKind.LAST_VIEWER_LEFT,
        EventKind.AUDIT,
        EventKind.TEST,
    }
    assert set(EventKind) - everything.kinds == {EventKind.TEST}
    assert usual.wants(EventKind.HELD, StreamKey("any", "stream"))
    assert (usual.address.format, usual.timeout, usual.keep, usual.max_queued) == (
        Format.NATIVE,
        10,
        900,
        1000,
    )


def test_it_comes_from_the_environment_and_secrets_from_files(tmp_path: Path) -> None:
    for name, text in (("url", "https://ntfy.example.com/topic"), ("token", "tk_hush")):
        (tmp_path / name).write_text(f"# from somewhere\n{text}\n")
    environment = {
        "CREDENTIALS_DIRECTORY": str(tmp_path),
        "RTMPD_NOTIFY__PHONE__URL_FILE": "url",
        "RTMPD_NOTIFY__PHONE__TOKEN_FILE": "token",
        "RTMPD_NOTIFY__PHONE__FORMAT": "ntfy",
        "RTMPD_NOTIFY__PHONE__EVENTS": "held, ended",
        "RTMPD_NOTIFY__PHONE__STREAMS": "live/show,church",
        "RTMPD_NOTIFY__PHONE__KEEP": "1h",
    }
    settings = load((), environment).config.notify["phone"].to_settings()
    assert settings.address.url == "https://ntfy.example.com/topic"
    assert settings.address.token == "tk_hush"
    assert settings.kinds == {EventKind.HELD, EventKind.ENDED}
    assert settings.streams == ("live/show", "church")
    assert settings.keep == 3600.0


@pytest.mark.parametrize("name", ["nginx-rtmp", "srs"])
def test_of_dialects_it_is_what_they_have_words_for(name: str) -> None:
    usual, everything = (
        load((), {}, [URL, f"notify.x.format={name}", *more]).config.notify["x"].to_settings().kinds
        for more in ([], ["notify.x.events=*"])
    )
    assert usual == {EventKind.PUBLISHED, EventKind.UNPUBLISHED, EventKind.RECORDING_FINISHED}
    assert everything == usual | {EventKind.PLAYER_JOINED, EventKind.PLAYER_LEFT}


def test_what_is_secret_is_not_shown() -> None:
    secrets = ("hush-in-the-path", "hush-in-the-query", SECRET, "tk_hush")
    given = [
        f"notify.x.url=https://me:{secrets[0]}@example.com/{secrets[0]}?k={secrets[1]}",
        f"notify.x.secret={SECRET}",
        f"notify.x.token={secrets[3]}",
    ]
    settings = load((), {}, given)
    shown = {name: value for name, value, *_ in reference.rows(settings) if name.startswith("notify.")}
    assert len(shown) == 11
    assert shown["notify.x.url"] == '"https://example.com/***"'
    assert shown["notify.x.secret"] == shown["notify.x.token"] == '"***"'
    assert not any(secret in repr(settings.config.notify["x"].to_settings()) for secret in secrets)


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        (["notify.x.events=held"], "notify.x.url is missing: name who is told"),
        (
            ["notify.x.url=example.com/hush"],
            "notify.x.url: a URL of a backend starts with http:// or https://",
        ),
        ([URL, "notify.x.events=hold"], "notify.x.events: 'hold' is no event: they are published, "),
        ([URL, "notify.x.streams=a/../b"], "notify.x.streams: 'a/../b' is no path: write live for an app"),
        (
            [URL, "notify.x.secret=hush"],
            "notify.x.secret: has 3 bytes, and not 24 to 64; make one with",
        ),
        ([URL, "notify.x.token=hush hush"], "notify.x.token: is no token: it has spaces"),
        ([URL, "notify.x.max_queued=1"], "notify.x.max_queued: '1' is out of range: it must be at least 2"),
        ([URL, "notify.x.keep=0"], "notify.x.keep: '0' is out of range: it must be more than 0 seconds"),
        ([URL, "notify.x.format=slack"], "notify.x.format: 'slack' is not one of "),
        (
            [URL, "notify.x.format=ntfy", "notify.x.url=https://ntfy.sh/a/hush"],
            "notify.x.url is no topic of ntfy",
        ),
        (
            [URL, "notify.x.format=srs", "notify.x.events=held"],
            "notify.x.events has nothing that srs has words for: it has for published, unpublished, player_",
        ),
        (
            [URL, "notify.x.format=discord", f"notify.x.secret={SECRET}"],
            "notify.x.secret is of no use: what is sent as discord is not signed",
        ),
        (
            ['notify."a b".url=http://localhost/'],
            "notify.a b.url: the name of a target is of letters,",
        ),
        ([URL, "notify.x.adress=hush"], "notify.x.adress: there is no such key; rtmpd check lists all keys"),
        (["notify.url=http://localhost/hush"], "notify.url is a section, not a key"),
    ],
)
def test_what_is_wrong_is_told_without_secrets(given: list[str], problem: str) -> None:
    with pytest.raises(ConfigError) as told:
        load((), {}, given)
    (text,) = told.value.problems
    assert text.startswith(f"--set: {problem}")
    assert "hush" not in text


def test_editors_know_it() -> None:
    document = json.loads(run_here("check", "--schema")[1])
    properties = document["$defs"]["NotifyConfig"]["properties"]
    assert {"url", "url_file", "secret", "secret_file", "token", "token_file", "events"} <= properties.keys()
    assert properties["events"]["description"] == 'Which events; "*" is all.'


def test_the_template_has_it_commented_out(tmp_path: Path) -> None:
    text = run_here("check", "--template")[1]
    lines = text[text.index("# [notify.NAME]") :].split("\n\n# One app, ")[0].splitlines()
    file = tmp_path / "rtmpd.toml"
    file.write_text("\n".join(line[2:] for line in lines if line.startswith(("# [", "# url", "# events ="))))
    assert load([file], {}).config.notify.keys() == {"NAME"}
