"""``rtmpd init``: what it writes is a configuration, and what it prints works with that."""

from __future__ import annotations

import re
import stat
from pathlib import Path

import pytest
import trustme
from typer.testing import CliRunner

from rtmpd.daemon import cli
from rtmpd.daemon.access_rules import ConfiguredRules
from rtmpd.daemon.secret_files import CREDENTIALS
from rtmpd.daemon.settings import load

CERTIFICATE = "\n"
"""None."""


@pytest.fixture
def init(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)

    def init(*arguments: str, typed: str = ""):
        return CliRunner().invoke(cli.app, ["init", *arguments], input=typed)

    return init


def written(file: str = "rtmpd.toml"):
    """The settings, and the rules that they come to."""
    config = load([Path(file)], {}).config
    return config, ConfiguredRules(config)


def told(text: str, what: str) -> str:
    (found,) = re.findall(rf"^{what} +(.+)$", text, re.MULTILINE)
    return found


def test_asked_nothing_it_makes_a_key_for_one_stream(init):
    text = init("--defaults").stdout
    _, rules = written()
    key = told(text, "key")
    found = rules.at("live/x").publish.find(key, 0.0)
    assert found
    assert found.name == "show"
    assert told(text, "ffmpeg") == f"rtmp://localhost/live/{key}"
    assert told(text, "watch") == "rtmp://localhost/live/show"
    assert told(text, "start") == "rtmpd serve -c rtmpd.toml"
    assert key not in Path("rtmpd.toml").read_text()
    assert "systemd" not in text


def test_it_asks_and_keeps_stream_keys_to_itself(init):
    typed = "stream.example.org\nstage/main\nrtmp://live.a.example/app/\nfirst?x=1\nhttp://b\nrtmps://b.example/c\nsecond\n\n"
    done = init("my.toml", typed=typed + CERTIFICATE)
    assert done.exit_code == 0
    config, _ = written("my.toml")
    targets = {
        name: (str(to.url), to.key, to.streams) for name, to in config.at("stage/main").targets.items()
    }
    assert targets == {
        "a": ("rtmp://live.a.example/app", "first?x=1", ("main",)),
        "b": ("rtmps://b.example/c", "second", ("main",)),
    }
    assert "write it as rtmp://host/app" in done.stderr
    assert stat.S_IMODE(Path("a.key").stat().st_mode) == 0o600
    assert "first" not in Path("my.toml").read_text()
    assert told(done.stdout, "watch") == "rtmp://stream.example.org/stage/main"
    assert "under systemd" in done.stdout.lower()


@pytest.mark.parametrize("key", ["#abc", "my key", "rtmp://a.example/app/ key"])
def test_what_is_no_stream_key_is_said_at_once(init, key: str):
    done = init("--defaults", "--push", "rtmp://a.example/app", typed=f"{key}\n")
    assert done.exit_code == 2
    assert "this is no stream key for rtmp://a.example/app" in done.stderr.replace("\n", " ")
    assert key not in done.stderr
    assert not list(Path().iterdir())


def test_targets_of_one_host_have_names_of_their_own(init):
    push = [part for _ in range(2) for part in ("--push", "rtmp://live.a.example/app")]
    assert init("--defaults", *push, typed="one\ntwo\n").exit_code == 0
    assert [Path(name).read_text() for name in ("a.key", "a-2.key")] == ["one\n", "two\n"]


def test_a_certificate_makes_encoders_use_tls(init, tmp_path: Path):
    issued = trustme.CA().issue_cert("stream.example.org")
    issued.private_key_pem.write_to_path(tmp_path / "key.pem")
    issued.cert_chain_pems[0].write_to_path(tmp_path / "chain.pem")
    text = init("--defaults", "--host", "stream.example.org", "--certificate", "chain.pem", "key.pem").stdout
    config, _ = written()
    assert config.rtmps.load_certificates({}) is not None
    assert told(text, "ffmpeg").startswith("rtmps://stream.example.org:1936/live/")
    assert told(text, "watch") == "rtmp://stream.example.org/live/show"


def test_what_a_server_would_not_start_with_is_not_written(init):
    done = init("--defaults", "--certificate", "chain.pem", "key.pem")
    assert done.exit_code == 78
    assert "chain.pem" in done.stderr
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize("there", ["rtmpd.toml", "a.key"])
def test_nothing_that_exists_is_overwritten(init, there: str):
    Path(there).write_text("mine")
    done = init("--defaults", "--push", "rtmp://live.a.example/app", typed="one\n")
    assert done.exit_code == 78
    assert f"{there}: File exists; name another file" in done.stderr
    assert [(path.name, path.read_text()) for path in Path().iterdir()] == [(there, "mine")]


@pytest.mark.parametrize(
    "arguments", [("--stream", "a b"), ("--host", "no host"), ("--host", "a/b"), ("--push", "http://x/y")]
)
def test_what_makes_no_sense_is_wrong_usage(init, arguments: tuple[str, str]):
    assert init("--defaults", *arguments, typed="key\n").exit_code == 2
    assert list(Path().iterdir()) == []


def test_what_has_to_be_quoted_is(init, tmp_path: Path):
    Path("my shows").mkdir()
    arguments = ("--stream", "live/\U0001f3a5", "--push", "rtmp://live.a.example/app", "my shows/r.toml")
    done = init("--defaults", *arguments, typed="one\n")
    assert told(done.stdout, "start") == "cd 'my shows' && rtmpd serve -c r.toml"
    loaded = load([Path("my shows/r.toml")], {CREDENTIALS: str(tmp_path / "my shows")})
    (target,) = loaded.config.at("live/x").targets.values()
    assert target.streams == ("\U0001f3a5",)


def test_a_file_elsewhere_is_started_from_there(init, tmp_path: Path):
    (tmp_path / "etc").mkdir()
    done = init("--defaults", "--push", "rtmp://live.a.example/app", "etc/r.toml", typed="one\n")
    assert told(done.stdout, "start") == "cd etc && rtmpd serve -c r.toml"
    assert load([Path("etc/r.toml")], {CREDENTIALS: str(tmp_path / "etc")}).config.at("live/x").targets
