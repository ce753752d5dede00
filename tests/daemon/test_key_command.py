"""``rtmpd key``: what is printed works where it says that it goes."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rtmpd.access.keys import digest_of, parse_until, spell_digest
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
    found = ConfiguredRules(load([file], {}).config).at(f"{app}/x").publish.find(key, 0.0)
    assert found
    assert found.name == name
    assert f"rtmp://SERVER/{path}\n" in text
    assert run("new").stdout != text


@pytest.mark.parametrize("stream", ["live/a b", "live/", "/", ""])
def test_what_cannot_be_a_name_is_wrong_usage(run, stream: str):
    assert run("new", stream).exit_code == 2


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
    assert f"rtmpd key new live/show --into {tmp_path}/none` makes one" in done.stderr
    (tmp_path / "file").touch()
    done = run("list", "--set", f"apps.live.publish.keys_file={tmp_path}/file/none")
    assert done.stderr.endswith("/none: cannot be read: Not a directory\n")


# -- files of keys


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    path = tmp_path / "keys"
    path.write_text(
        f"# the studios\nshow {spell_digest(b'1' * 32)} label=Mia\n\ntalk {spell_digest(b'2' * 32)}"
    )
    path.chmod(0o640)
    return path


def test_new_writes_its_line_into_a_file_that_can_be_used_then(run, tmp_path: Path):
    file = tmp_path / "keys"
    for stream in ("live/show", "talk"):
        text = run("new", stream, "--into", str(file)).stdout
        (key,) = re.findall(r"^key +(\w+)$", text, re.MULTILINE)
        assert f'keys_file = "{file}"' in text
        rules = ConfiguredRules(load([], {}, [f"apps.live.publish.keys_file={file}"]).config)
        found = rules.at("live/x").publish.find(key, 0.0)
        assert found
        assert found.name == stream.removeprefix("live/")
        assert key not in file.read_text()
    assert file.stat().st_mode & 0o777 == 0o644
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("into", [True, False])
def test_new_says_of_a_key_what_it_is_told(run, tmp_path: Path, into: bool):
    said = ("--label", "Studio \\2, upstairs", "--until", "2999-01-31", "--backup")
    keys, file = tmp_path / "keys", tmp_path / "rtmpd.toml"
    text = run("new", "show", *said, *(("--into", str(keys)) if into else ())).stdout
    (lines,) = re.findall(r"^configuration +(.+\n.+)\n", text, re.MULTILINE)
    file.write_text(lines)
    (key,) = re.findall(r"^key +(\w+)$", text, re.MULTILINE)
    found = ConfiguredRules(load([file], {}).config).at("live/x").publish.find(key, 0.0)
    assert found
    assert (found.label, found.until, found.backup) == (
        "Studio \\2, upstairs",
        parse_until("2999-01-31"),
        True,
    )


@pytest.mark.parametrize(
    ("option", "problem"),
    [
        (("--label", 'a"b'), "may have no quotation marks"),
        (("--label", "a\nb"), "printable characters"),
        (("--until", "soon"), "is no time"),
        (("--until", "2025-01-31"), "is over already"),
        (("--until", '2999-01-31"20:00:00Z'), "may have no quotation marks"),
    ],
)
def test_new_takes_nothing_that_no_file_can_say(run, tmp_path: Path, option: tuple[str, str], problem: str):
    done = run("new", "show", "--into", str(tmp_path / "keys"), *option)
    assert done.exit_code == 2
    assert problem in " ".join(done.stderr.split())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("into", [(), ("--into", 'my "keys"')])
def test_what_new_prints_can_be_pasted(run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, into):
    monkeypatch.chdir(tmp_path)
    text = run("new", "my-app/hall/left", *into).stdout
    (lines,) = re.findall(r"^configuration +(.+\n.+)\n", text, re.MULTILINE)
    publish = tomllib.loads(lines)["apps"]["my-app"]["publish"]
    assert publish.get("keys_file") == (str(tmp_path / into[1]) if into else None)
    assert list(publish.get("keys", {})) == ([] if into else ["hall/left"])


def test_new_adds_to_a_file_and_leaves_the_rest_of_it_alone(run, keys: Path):
    before = keys.read_text()
    assert run("new", "show", "--into", str(keys)).exit_code == 0
    assert re.fullmatch(re.escape(before) + r"\nshow sha256:\w{64}\n", keys.read_text())
    assert keys.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("kind", ["settings", "folder", "nowhere"])
def test_new_breaks_nothing_that_is_no_file_of_keys(run, tmp_path: Path, kind: str):
    path = tmp_path / "there"
    match kind:
        case "settings":
            path.write_text("[apps.live]\n")
        case "folder":
            path.mkdir()
        case "nowhere":
            path = path / "file"
    done = run("new", "--into", str(path))
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.startswith(f"rtmpd: {path}:")
    assert not path.is_file() or path.read_text() == "[apps.live]\n"


def test_revoke_takes_a_line_out_of_a_file_and_nothing_else(run, tmp_path: Path, keys: Path):
    link = tmp_path / "link"
    link.symlink_to(keys)
    done = run("revoke", "313131", "--set", f"apps.live.publish.keys_file={link}")
    assert done.exit_code == 0
    assert f"taken out of {link}" in done.stdout
    assert keys.read_text() == f"# the studios\n\ntalk {spell_digest(b'2' * 32)}"
    assert keys.stat().st_mode & 0o777 == 0o640
    assert link.is_symlink()
    assert sorted(each.name for each in tmp_path.iterdir()) == ["keys", "link"]


def test_revoke_takes_out_the_first_line_that_windows_wrote(run, keys: Path):
    keys.write_text(f"show {spell_digest(b'1' * 32)}\n", encoding="utf-8-sig")
    assert run("revoke", "313131", "--set", f"apps.live.publish.keys_file={keys}").exit_code == 0
    assert keys.read_bytes() == b""


@pytest.mark.parametrize("stream", ["live/#show", "live/" + "x" * 300])
def test_new_does_not_write_a_line_that_nobody_reads(run, keys: Path, stream: str):
    before = keys.read_text()
    done = run("new", stream, "--into", str(keys))
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.startswith(f"rtmpd: {keys}:")
    assert keys.read_text() == before


def test_revoke_says_what_it_cannot_take_out_itself(run, tmp_path: Path, keys: Path):
    digest = spell_digest(b"1" * 32)
    file = tmp_path / "rtmpd.toml"
    file.write_text(f'[apps.live.publish]\nkeys_file = "{keys}"\nkeys.show = ["{digest}"]\n')
    done = run("revoke", digest.upper(), "-c", str(file))
    assert done.exit_code == 1
    assert f"{file}:3: take {digest} out of apps.live.publish.keys.show" in done.stderr
    assert "taken out of" in done.stdout
    assert digest not in keys.read_text()
    done = run("revoke", "323232", "--set", f"apps.live.play.keys.talk={spell_digest(b'2' * 32)}")
    assert "rtmpd: still good. --set: take " in done.stderr


def test_revoke_wants_to_know_which(run, tmp_path: Path):
    file = tmp_path / "keys"
    file.write_text(f"a {spell_digest(b'1' * 31 + b'2')}\nb {spell_digest(b'1' * 31 + b'3')}\n")
    before = file.read_text()
    options = ("--set", f"apps.live.publish.keys_file={file}")
    assert "no key begins with 323232" in run("revoke", "323232", *options).stderr
    several = run("revoke", "313131", *options)
    assert (several.exit_code, "several keys begin with 313131" in several.stderr) == (1, True)
    for key in ("31313", KEY):
        done = run("revoke", key, *options)
        assert (done.exit_code, KEY in done.stderr) == (2, False)
    assert file.read_text() == before


def test_list_says_which_keys_have_expired(run):
    table = f'{{"sha256": "{spell_digest(b"1" * 32)}", "until": "2020-01-31"}}'
    lines = run("list", "--set", f"apps.live.publish.keys.show=[{table}]").stdout.splitlines()
    assert lines[1].endswith("  2020-02-01 00:00 UTC, expired")
