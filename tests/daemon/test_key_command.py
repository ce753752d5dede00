"""``rtmpd key``: what is printed works where it says that it goes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rtmpd.access.keys import digest_of, spell_digest
from rtmpd.daemon import cli
from rtmpd.daemon.access_rules import ConfiguredRules
from rtmpd.daemon.settings import load

KEY = "m3kq8vwz5tnx2cfhj7yb9dgr4as6pue2x"


@pytest.fixture
def run():
    def run(*arguments: str, typed: str = ""):
        return CliRunner().invoke(cli.app, ["key", *arguments], input=typed)

    return run


@pytest.mark.parametrize(
    ("arguments", "path"),
    [([], "live/test"), (["show"], "live/show"), (["in.door/a.b"], "in.door/a.b"), (["a/b/c"], "a/b/c")],
)
def test_what_new_prints_is_a_configuration_and_a_key(run, tmp_path: Path, arguments: list[str], path: str):
    text = run("new", *arguments).stdout
    file = tmp_path / "rtmpd.toml"
    lines = [line[15:] for line in text.splitlines() if re.match(r'.{15}(\[apps|"?[\w./]+"? = \[)', line)]
    file.write_text("\n".join(lines))
    (key,) = re.findall(r"^key +(\w+)$", text, re.MULTILINE)
    app, _, name = path.partition("/")
    assert text.count(key) == 3
    found = ConfiguredRules(load([file], {}).config, 0.0).at(f"{app}/x").publish.find(key, 0.0, 0.0)
    assert found
    assert found.name == name
    assert f"rtmp://SERVER/{path}\n" in text
    assert run("new").stdout != text


def test_what_cannot_be_a_name_is_wrong_usage(run):
    assert run("new", "live/a b").exit_code == 2


def test_hash_reads_a_key_and_prints_what_is_kept(run):
    done = run("hash", typed=f"{KEY}\n")
    assert (done.exit_code, done.stdout) == (0, f"{spell_digest(digest_of(KEY))}\n")


@pytest.mark.parametrize("password", ["hunter2", "correcthorsebatterystaple", ""])
def test_what_a_person_thought_of_is_no_key(run, password: str):
    done = run("hash", typed=f"{password}\n")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "rtmpd key new" in done.stderr
    assert not password or password not in done.stderr


def test_list_names_all_keys_and_shows_none(run, tmp_path: Path):
    keys = tmp_path / "keys"
    keys.write_text(f'talk {spell_digest(b"2" * 32)} label="Studio 2"\n')
    file = tmp_path / "rtmpd.toml"
    file.write_text(
        f"""
        [apps.live.publish]
        keys_file = "{keys}"
        [apps.live.publish.keys]
        show = [{{sha256 = "{spell_digest(b"1" * 32)}", until = "2027-01-31"}}]
        [apps."a/b".play.keys]
        cam = ["{spell_digest(b"3" * 32)}"]
        """
    )
    assert run("list", "-c", str(file)).stdout.splitlines() == [
        "action   table  stream  label     sha256  until",
        "publish  live   show              313131  2027-02-01 00:00 UTC",
        "publish  live   talk    Studio 2  323232",
        "play     a/b    cam               333333",
    ]


def test_a_file_that_cannot_be_read_is_a_mistake(run, tmp_path: Path):
    done = run("list", "--set", f"apps.live.publish.keys_file={tmp_path}/none")
    assert done.exit_code == 78
    assert "none: cannot be read" in done.stderr
