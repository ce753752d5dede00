from __future__ import annotations

import json
import logging
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from typer.testing import CliRunner

from rtmpd import __version__
from rtmpd.access.keys import KeyRing
from rtmpd.access.rules import Allow, PathRules, Rules
from rtmpd.access.signed_urls import SignedUrls
from rtmpd.access.users import Users
from rtmpd.daemon import banner as banner_module
from rtmpd.daemon import cli, reference, settings
from rtmpd.daemon.access_side import AccessSide
from rtmpd.daemon.banner import Admission
from rtmpd.daemon.config import Config
from rtmpd.daemon.hook_side import HookContext
from rtmpd.daemon.keys import walk
from rtmpd.daemon.logs import LogOutput
from rtmpd.daemon.settings import Settings
from rtmpd.engine.flusher import Flusher
from rtmpd.engine.registry import Registry
from rtmpd.engine.stats import ServerStats
from rtmpd.exceptions import ConfigError
from rtmpd.hooks.rules import HookRules, Moment
from rtmpd.net.addresses import Address
from rtmpd.net.entrances import Entrance

LOCAL = PathRules(Rules(Allow.LOCAL), Rules(Allow.ANYONE))


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch):
    for name in ("RTMPD_CONFIG", "RTMPD_LOG__LEVEL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def run():
    def run(*arguments: str):
        return CliRunner().invoke(cli.app, arguments)

    return run


@pytest.fixture
def bad(tmp_path):
    path = tmp_path / "bad.toml"
    path.write_text('[rtmp]\nlisen = ":1"\nchunk_size = 5\n[log]\nformat = "xml"\n')
    return path


@pytest.fixture
def worker(monkeypatch):
    """Stands in for the server: ``worker.run`` can be set, ``worker.seen`` is the configuration it got."""
    module = ModuleType("rtmpd.daemon.worker")
    module.seen = None

    def run(loaded: Settings, read: Callable[[], Settings], log: LogOutput, before: object) -> int:
        module.seen, module.read = loaded.config, read
        return 0

    module.run = run
    monkeypatch.setitem(sys.modules, "rtmpd.daemon.worker", module)
    monkeypatch.setattr("rtmpd.daemon.worker", module, raising=False)
    return module


def test_version_names_what_matters_in_a_bug_report(run):
    result = run("--version")
    assert result.exit_code == 0
    assert re.fullmatch(
        rf"rtmpd {re.escape(__version__)} \((compiled|pure Python), CPython 3\.\d+\.\d+, uvloop [\d.]+\)\n",
        result.output,
    )


def test_check_prints_every_key_aligned_with_its_origin(run, tmp_path, monkeypatch):
    path = tmp_path / "c.toml"
    path.write_text("[metrics]\nmax_streams = 7\n")
    monkeypatch.setenv("RTMPD_LOG__LEVEL", "debug")
    result = run("check", "-c", str(path), "--set", "rtmp.listen=127.0.0.1:0")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    table = {name: (value, origin) for name, value, origin in (re.split(r"  +", line) for line in lines)}
    assert list(table) == [key.name for key in walk()]
    assert table["metrics.max_streams"] == ("7", f"{path}:2")
    assert table["log.level"] == ('"debug"', "RTMPD_LOG__LEVEL")
    assert table["rtmp.listen"] == ('["127.0.0.1:0"]', "--set")
    assert table["log.format"] == ('"text"', "default")
    assert len({line.index(table[line.split()[0]][1], len(line.split()[0])) for line in lines}) == 1


def test_check_says_what_holds_for_a_stream_and_which_key_says_it(run, tmp_path, monkeypatch):
    path = tmp_path / "c.toml"
    path.write_text(
        '[apps."*"]\npush = ["rtmp://h/a/{name}"]\n[apps."live/church-7".pull]\nfrom = "rtmp://o/a/b"\n'
    )
    monkeypatch.setenv("RTMPD_APPS__LIVE__PULL__LINGER", "1m")
    result = run("check", "/live//church-7", "-c", str(path), "--set", "apps.live.pull.timeout=3")
    assert result.exit_code == 0
    rows = [re.split(r"  +", line) for line in result.stdout.splitlines()]
    assert [row for row in rows if ".pu" in row[0]][:6] == [
        ["apps.*.push", '["rtmp://h/a/{name}"]', f"{path}:2"],
        ["apps.live/church-7.pull.from", '["rtmp://o/a/***"]', f"{path}:4"],
        ["apps.live/church-7.pull.on_demand", "true", "default"],
        ["apps.live/church-7.pull.names", '["*"]', "default"],
        ["apps.live.pull.linger", '"60s"', "RTMPD_APPS__LIVE__PULL__LINGER"],
        ["apps.live.pull.timeout", '"3s"', "--set"],
    ]


@pytest.mark.parametrize("path", ["", "live/a b", "live/..", "@live", "rtmp://localhost/live/x"])
def test_what_cannot_be_a_path_is_wrong_usage(run, path):
    assert run("check", path).exit_code == 2


def test_check_prints_a_table_on_a_terminal(run, monkeypatch):
    monkeypatch.setattr("rich.console.Console.is_terminal", property(lambda console: True))
    monkeypatch.setattr(cli, "_stdout_is_terminal", lambda: True)
    monkeypatch.setenv("COLUMNS", "60")
    result = run("check")
    assert result.exit_code == 0
    assert "rtmp.listen" in result.stdout
    assert '[":1935"]' in result.stdout, "a value in brackets is not markup"
    assert "…" not in result.stdout, "nothing is cut short in a narrow one"


@pytest.mark.parametrize("command", ["check", "serve"])
def test_a_certificate_that_cannot_be_used_is_a_mistake(run, tmp_path, worker, command):
    pair = f'[{{"chain_file": "{tmp_path}/missing.pem", "key_file": "{tmp_path}/missing.key"}}]'
    result = run(command, "--set", f"rtmps.certificates={pair}")
    assert result.exit_code == os.EX_CONFIG
    assert result.stderr.endswith(f"cannot be used: {tmp_path}/missing.pem: No such file or directory\n")


@pytest.mark.parametrize("command", ["check", "serve"])
def test_every_mistake_is_printed_and_nothing_runs(run, bad, worker, command):
    result = run(command, "-c", str(bad))
    assert result.exit_code == os.EX_CONFIG
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert len(lines) == 3
    assert all(re.match(rf"rtmpd: {re.escape(str(bad))}:\d: ", line) for line in lines)
    assert "did you mean rtmp.listen?" in result.stderr
    assert worker.seen is None


def test_files_can_be_named_by_the_environment(run, bad, tmp_path, monkeypatch):
    monkeypatch.setenv("RTMPD_CONFIG", str(bad))
    assert run("check").exit_code == os.EX_CONFIG
    first, second = tmp_path / "a first.toml", tmp_path / "second.toml"
    first.write_text("[metrics]\nmax_streams = 7\n")
    second.write_text('[log]\nlevel = "debug"\n')
    monkeypatch.setenv("RTMPD_CONFIG", f"{first}:{second}")
    printed = run("check").stdout
    assert f"{first}:2" in printed
    assert f"{second}:2" in printed


def test_several_files_and_the_last_wins(run, tmp_path):
    first, second = tmp_path / "1.toml", tmp_path / "2.toml"
    first.write_text("[metrics]\nmax_streams = 7\n")
    second.write_text("[metrics]\nmax_streams = 8\n")
    assert re.search(
        r"max_streams +8 +\S+2\.toml:2", run("check", "-c", str(first), "-c", str(second)).stdout
    )
    assert re.search(
        r"max_streams +7 +\S+1\.toml:2", run("check", "-c", str(second), "-c", str(first)).stdout
    )
    assert re.search(r"max_streams +8 +\S+2\.toml:2", run("check", "-c", str(tmp_path)).stdout)


@pytest.mark.parametrize("command", ["check", "serve"])
def test_a_file_that_cannot_be_read_is_a_mistake_like_others(run, tmp_path, worker, command):
    secret = tmp_path / "secret.toml"
    secret.touch(mode=0)
    if os.access(secret, os.R_OK):  # As root everything can be read, but for what is below a file.
        secret /= "below"
    result = run(command, "-c", str(secret))
    assert (result.exit_code, len(result.stderr.splitlines())) == (os.EX_CONFIG, 1)
    assert result.stderr.startswith(f"rtmpd: {secret}: cannot be read: ")


def test_mistakes_in_keys_and_certificates_are_told_together(run, tmp_path):
    pair = f'[{{"chain_file": "{tmp_path}/chain", "key_file": "{tmp_path}/key"}}]'
    assignments = (f"apps.live.publish.keys_file={tmp_path}/keys", f"rtmps.certificates={pair}")
    result = run("check", *(word for each in assignments for word in ("--set", each)))
    assert [line.split(":")[1].strip() for line in result.stderr.splitlines()] == [
        f"{tmp_path}/keys",
        f"the certificate {tmp_path}/chain with the key {tmp_path}/key cannot be used",
    ]


@pytest.mark.parametrize("group", [(), ("key",), ("notify",), ("bench",)])
def test_every_command_is_named_with_a_whole_sentence(run, group):
    _, _, commands = run(*group, "--help").stdout.partition("Commands:")
    assert commands
    assert "..." not in commands


@pytest.mark.parametrize("command", ["check", "serve"])
def test_so_is_a_file_of_keys(run, tmp_path, worker, command):
    keys = tmp_path / "keys"
    keys.write_text("show m3kq8vwz5tnx2cfhj7yb9dgr4as6pue2x\n")
    result = run(command, "--set", f"apps.live.publish.keys_file={keys}")
    assert (result.exit_code, worker.seen) == (78, None)
    assert result.stderr.startswith(f"rtmpd: {keys}:1: its second word is not sha256:")
    assert "m3kq" not in result.output + result.stderr


def test_check_prints_schema_and_template(run):
    schema = json.loads(run("check", "--schema").stdout)
    assert set(schema["properties"]) == set(Config.model_fields)
    assert run("check", "--template").stdout == reference.template()


def test_check_prints_a_file_as_it_is_to_be_written_now(run, tmp_path):
    path = tmp_path / "c.toml"
    path.write_text('[apps.live]\npush = ["rtmp://h/a/b"]\n')
    assert (
        run("check", "--migrate", "-c", str(path)).stdout
        == '[apps.live]\npush.config-1.url = "rtmp://h/a/b"\n'
    )
    result = run("check", "--migrate")
    assert (result.exit_code, result.stdout) == (os.EX_CONFIG, "")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--schema", "--template"), "--template means nothing beside --schema"),
        (("--migrate", "live"), "a path means nothing beside --migrate"),
        (("--template", "--set", "log.level=info"), "--set means nothing beside --template"),
        (("",), "the path of an app or a stream is empty"),
        (("live/a b",), "the path of an app or a stream holds a character that is not allowed"),
        (("live/\udcff",), "the path of an app or a stream holds a character that is not allowed"),
    ],
)
def test_check_says_what_it_cannot_show(run, arguments, told):
    result = run("check", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert told in " ".join(result.stderr.split())


def test_check_tells_of_folders_that_nobody_makes(run, tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "there").mkdir()
    settings = (
        "apps.live.record.start=always",
        f"apps.live.record.root={tmp_path}/gone",
        f'apps."live/b".record.root={tmp_path}/there',
        f"apps.live.vod.root={tmp_path}/none/{{app}}/x",
        f'apps."live/b".vod.root={tmp_path}/there/{{app}}',
        f"apps.live.hls.directory={tmp_path}/file",
        "apps.live.hls.dvr=2h",
        f"spool.path={tmp_path}/spool",
    )
    result = run("check", "-q", *[word for each in settings for word in ("--set", each)])
    told = (
        "record.root: {}/gone is not there: nothing is recorded",
        "vod.root: {}/none/{{app}}/x is not there: no file is played",
        "hls.directory: {}/file is no folder: no playlists are written",
    )
    lines = [f"rtmpd: apps.live.{each.format(tmp_path)} until it is there" for each in told]
    spool = f"rtmpd: spool.path: {tmp_path}/spool is not there: what does not fit into memory is lost"
    lines.append(f"{spool} until it is there")
    assert (result.exit_code, result.stderr.splitlines()) == (0, lines)


def test_check_tells_what_hls_does_otherwise_than_may_be_meant(run, tmp_path):
    settings = (
        f"apps.*.hls.directory={tmp_path}",
        "apps.live.hls.protect=true",
        "apps.live.hls.variants={name},show_480",
        "apps.live/show.hls.variants=show,show_480",
    )
    result = run("check", "-q", *[word for each in settings for word in ("--set", each)])
    told = [
        "protect: files in directory are for whomever the web server gives them to",
        "variants: 'show_480' has no {name}: all streams of the app have this one as a quality",
    ]
    expected = [f"rtmpd: apps.live.hls.{each}" for each in told]
    assert (result.exit_code, result.stderr.splitlines()) == (0, expected)


def test_check_says_nothing_of_a_spool_that_nothing_goes_to(run, tmp_path):
    result = run("check", "-q", "--set", f"spool.path={tmp_path}/spool", "--set", "apps.live.ring.seconds=5")
    assert (result.exit_code, result.output) == (0, "")


@pytest.mark.parametrize(
    ("name", "body", "told"),
    [
        ("gone.svg", None, "cannot be read: No such file or directory"),
        (".", None, "cannot be read: Is a directory"),
        ("text.png", b"no picture", "is no PNG, JPEG, WebP, GIF or SVG"),
        ("large.png", b"\x89PNG\r\n\x1a\n" + bytes(256 * 1024), "is larger than 256 KiB"),
    ],
)
@pytest.mark.parametrize("command", ["check", "serve"])
def test_a_logo_that_cannot_be_shown_is_a_mistake(run, worker, tmp_path, command, name, body, told):
    logo = tmp_path / name
    if body is not None:
        logo.write_bytes(body)
    result = run(command, "--set", f"apps.live.page.logo={logo}")
    assert (result.exit_code, result.stderr) == (78, f"rtmpd: apps.live.page.logo: {logo} {told}\n")
    assert worker.seen is None


def test_a_logo_is_looked_at_when_settings_are_read_again(run, worker, tmp_path):
    logo = tmp_path / "logo.gif"
    logo.write_bytes(b"GIF89a")
    assert run("serve", "--set", f"apps.live.page.logo={logo}").exit_code == 0
    assert worker.read().config.apps["live"].page.logo == str(logo)
    logo.unlink()
    with pytest.raises(ConfigError, match="cannot be read"):
        worker.read()


def test_a_quiet_check_tells_mistakes_alone(run, tmp_path):
    path = tmp_path / "rtmpd.toml"
    path.write_text("player.max_players = 5")
    quiet = run("check", "-q", "-c", str(path), "--set", "log.level=error")
    assert (quiet.exit_code, quiet.output) == (0, "")
    path.write_text("player.max_player = 5")
    told = run("check", "--quiet", "-c", str(path))
    assert (told.exit_code, told.stdout, "max_player: there is no such key" in told.stderr) == (78, "", True)


def test_serve_hands_the_configuration_to_the_worker_and_exits_as_it_says(run, worker):
    assert run("serve", "--set", "log.level=error", "--set", "metrics.max_streams=3").exit_code == 0
    assert worker.seen.log.level == "error"
    assert worker.seen.metrics.max_streams == 3
    worker.run = lambda loaded, read, log, before: 4
    assert run("serve").exit_code == 4


def test_serve_sets_logging_up_around_the_worker(run, worker):
    def look(loaded: Settings, read: Callable[[], Settings], log: LogOutput, before: object) -> int:
        return logging.getLogger().level

    worker.run = look
    assert run("serve", "--set", "log.level=error").exit_code == logging.ERROR
    assert logging.getLogger().level != logging.ERROR


@pytest.fixture
def renamed(monkeypatch):
    """A key has another name in this version."""
    renames = {"log.verbosity": ("log.level", __version__)}
    monkeypatch.setattr(settings, "load", partial(settings.load, renames=renames))


@pytest.mark.usefixtures("renamed")
def test_an_old_name_is_told_by_check_and_once_by_the_log(run, worker, caplog, tmp_path):
    path = tmp_path / "rtmpd.toml"
    path.write_text('[log]\nverbosity = "warning"\n')
    result = run("check", "-c", str(path))
    assert result.exit_code == 0
    assert re.search(rf"^log\.level +\"warning\" +{re.escape(str(path))}:2$", result.stdout, re.MULTILINE)
    assert result.stderr.startswith(f"rtmpd: {path}:2: log.verbosity has another name now: write log.level; ")
    assert run("serve", "-c", str(path)).exit_code == 0
    assert worker.seen.log.level == "warning"
    (record,) = [each for each in caplog.records if each.getMessage() == "old name of a setting"]
    assert record.fields == {"origin": f"{path}:2", "old": "log.verbosity", "new": "log.level"}


def test_a_port_in_use_is_told_without_a_traceback_and_may_be_tried_again(run, worker):
    def fail(loaded: Settings, read: Callable[[], Settings], log: LogOutput, before: object) -> int:
        raise ConfigError(["cannot listen on 127.0.0.1:1935: address in use"])

    worker.run = fail
    result = run("serve")
    assert (result.exit_code, result.stderr) == (
        1,
        "rtmpd: cannot listen on 127.0.0.1:1935: address in use\n",
    )


def test_a_bug_is_not_hidden(run, worker):
    def fail(loaded: Settings, read: Callable[[], Settings], log: LogOutput, before: object) -> int:
        raise ZeroDivisionError

    worker.run = fail
    assert isinstance(run("serve").exception, ZeroDivisionError)


@pytest.mark.parametrize("arguments", [["serve", "--port", "1"], ["frobnicate"], ["check", "-c"]])
def test_wrong_usage_exits_2(run, arguments):
    assert run(*arguments).exit_code == 2


def test_help_and_a_mistyped_command_know_those_that_are_not_made_yet(run):
    listed = run("--help").stdout.partition("Commands:\n")[2]
    assert [line.split()[0] for line in listed.splitlines()] == [*cli._COMMANDS]
    assert "'probe'" in run("probee").stderr


# -- banner


def banner(
    rtmp: Sequence[Address],
    rtmps: Sequence[Address],
    admin: Sequence[Address],
    rules: PathRules,
    hooks: HookRules | None = None,
    **others: Admission,
) -> str:
    places = {"rtmp": rtmp, "rtmps": rtmps, "admin": admin}
    opened = [(protocol, Entrance(each)) for protocol, those in places.items() for each in those]
    live = Admission(rules, hooks or HookRules())
    return banner_module.banner(opened, {"live": live, **others, "": live})


ASKED = {Moment.PUBLISH: ("http://backend.test/",)}
NEAR = "anyone on this machine and private networks"
HIDDEN = "(that is everybody where port forwarding hides addresses)"


@pytest.mark.parametrize(
    ("rules", "hooks", "who", "key"),
    [
        (Rules(Allow.PROVEN), {"decides": True}, "whoever the backend lets in", "of your backend"),
        (Rules(Allow.LOCAL), {"decides": True}, "whoever the backend lets in", "of your backend"),
        (Rules(Allow.ANYONE), {}, "whoever the backend lets in", "of your backend"),
        (
            Rules(Allow.PROVEN, ring=KeyRing()),
            {},
            "whoever has a key / if the backend agrees",
            "from rtmpd key new",
        ),
        (
            Rules(Allow.LOCAL),
            {},
            f"{NEAR} / if the backend agrees / {HIDDEN}; / for others: rtmpd key new",
            "of your backend",
        ),
        (
            Rules(Allow.LOCAL, ring=KeyRing()),
            {"urls": {}},
            f"{NEAR} / and whoever has a key / {HIDDEN}",
            "test",
        ),
        (
            Rules(Allow.PROVEN),
            {"urls": {Moment.CONNECT: ("http://b.test/",)}, "decides": True},
            "whoever has a key / if the backend agrees",
            "from rtmpd key new",
        ),
        (Rules(Allow.NOBODY), {"decides": True}, "nobody", "of your backend"),
    ],
)
def test_banner_says_what_a_backend_decides(rules: Rules, hooks: dict[str, Any], who: str, key: str):
    paths = PathRules(rules, Rules(Allow.ANYONE))
    text = banner([Address("", 1935)], [], [], paths, HookRules(**{"urls": ASKED, **hooks}))
    said = who.replace(" / ", "\n            ")
    assert f"Stream Key {key},\n" in text
    assert f"  publish   to live: {said}\n  play      from live: anyone who can reach this server" in text
    assert max(map(len, text.splitlines())) <= 80


def test_banner_names_the_apps_where_it_is_somebody_else():
    linked = Rules(Allow.PROVEN, links=SignedUrls(["m3kq8vwz5tnx2cfhj7yb9dgr4as6pue2x"]))
    studio = Admission(PathRules(linked, Rules(Allow.ANYONE)))
    many = dict.fromkeys(("church", "desk", "mast", "studio"), studio)
    text = banner([Address("127.0.0.1", 1935)], [], [], LOCAL, **many, open=Admission(LOCAL))
    assert text.endswith(
        "\n  publish   to live: anyone on this machine"
        "\n            to church, desk, mast and 1 more: whoever has a link"
        "\n  play      from live: anyone on this machine"
    )


def test_banner_says_what_holds_for_all_other_apps(tmp_path: Path):
    (tmp_path / "rtmpd.toml").write_text(
        """
        [apps.live.publish]
        allow = "nobody"
        [apps."*".hooks]
        on_play = "http://127.0.0.1:9/"
        """
    )
    config = settings.load([tmp_path / "rtmpd.toml"], {}).config
    nobody: Any = None
    about = HookContext(nobody, time.monotonic, nobody, nobody, "")
    registry = Registry(Flusher(nobody, nobody, time.monotonic, time.monotonic), ServerStats())
    side = AccessSide(config, time.monotonic, registry, about)
    text = banner_module.banner([("rtmp", Entrance(Address("127.0.0.1", 1935)))], side.admissions())
    assert "to live: nobody\n            to other apps: anyone on this machine\n" in text
    assert text.endswith("from live: whoever the backend lets in")


@pytest.mark.parametrize(
    ("entrances", "near", "all_", "advice"),
    [
        (["127.0.0.1:1937 proxy=require"], NEAR, "whom a proxy lets through", ""),
        (
            ["192.0.2.1:1937 proxy=require", "127.0.0.1:1935"],
            NEAR,
            "whom a proxy lets through",
            "127.0.0.1",
        ),
        (["unix:/run/rtmp proxy=require"], NEAR, "whom a proxy lets through", ""),
        ([":1937 proxy=accept"], f"{NEAR}\n", "who can reach this server", "localhost:1937"),
    ],
)
def test_banner_knows_that_others_come_through_a_proxy(
    entrances: list[str], near: str, all_: str, advice: str
):
    opened = [("rtmp", Entrance.parse(each)) for each in entrances]
    opened.append(("admin", Entrance.parse("unix:/run/http proxy=require")))
    text = banner_module.banner(opened, {"live": Admission(LOCAL)})
    assert "metrics   unix:/run/http (proxy=require)\n" in text
    assert f"(proxy={entrances[0].partition('=')[2]})" in text
    assert f"publish   to live: {near}" in text
    assert text.endswith(f"play      from live: anyone {all_}")
    assert (f"Server rtmp://{advice}/live\n" in text) if advice else ("OBS" not in text)


def test_banner_says_what_to_type_and_who_may():
    text = banner([Address("", 1935)], [], [Address("127.0.0.1", 9935)], LOCAL)
    assert "every address, port 1935" in text
    assert "Server rtmp://localhost/live\n" in text
    assert "Stream Key test" in text
    assert "Keyframe Interval 2 s" in text
    assert "from elsewhere" in text
    assert "console   http://127.0.0.1:9935/\n  metrics   http://127.0.0.1:9935/metrics\n" in text
    assert "publish   to live: anyone on this machine and private networks" in text
    assert "(that is everybody where port forwarding hides addresses)" in text
    assert "for others: rtmpd key new" in text
    assert "play      from live: anyone who can reach this server" in text
    assert "for the metrics" not in text
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize(
    ("admin", "at"),
    [
        (["0.0.0.0:9935", "127.0.0.1:9936"], "http://127.0.0.1:9936/"),
        ([":9935"], "http://localhost:9935/"),
        (["unix:/run/admin.sock", "127.0.0.1:9935 proxy=require"], None),
        ([], None),
    ],
)
def test_banner_names_the_console_where_a_browser_gets_there(admin: list[str], at: str | None):
    found = [("admin", Entrance.parse(each)) for each in admin]
    text = banner_module.banner([("rtmp", Entrance.parse(":1935")), *found], {"live": Admission(LOCAL)})
    assert re.findall(r"^  console   (\S+)$", text, re.MULTILINE) == ([at] if at else [])


@pytest.mark.parametrize(
    ("http", "public_url", "at"),
    [
        (":8935", "", "http://localhost:8935/live/test"),
        ("192.0.2.1:8935", "", "http://192.0.2.1:8935/live/test"),
        (":8935", "https://video.example/x", "https://video.example/x/live/test"),
        (":8935 proxy=require", "", None),
    ],
)
def test_banner_names_the_page_of_a_stream(http: str, public_url: str, at: str | None):
    opened = [("rtmp", Entrance.parse(":1935")), ("http", Entrance.parse(http))]
    apps = {"live": Admission(LOCAL)}
    text = banner_module.banner(opened, apps, public_url=public_url)
    assert re.findall(r"^  browser   (\S+)$", text, re.MULTILINE) == ([at] if at else [])
    hls = [f"{at}/index.m3u8"] if at else []
    assert re.findall(r"^  HLS       (\S+)$", text, re.MULTILINE) == hls
    text = banner_module.banner(opened, apps, public_url=public_url, paged=False, packaged=False)
    assert "browser" not in text
    assert "HLS" not in text


def test_banner_follows_the_bound_addresses():
    text = banner([Address("127.0.0.1", 40001), Address("::1", 40001)], [], [], LOCAL)
    assert "127.0.0.1:40001, [::1]:40001" in text
    assert "rtmp://127.0.0.1:40001/live" in text
    assert "publish   to live: anyone on this machine\n  play      from live: anyone on this machine" in text
    assert "metrics" not in text
    assert "from elsewhere" not in text


def test_banner_warns_of_open_metrics():
    text = banner([Address("192.0.2.1", 1935)], [], [Address("", 9935)], LOCAL)
    assert "rtmp://192.0.2.1/live" in text
    assert "http://localhost:9935/metrics" in text
    assert "tokens    rtmpd admin-token new, for whoever is to ask\n            port 9935" in text
    assert max(map(len, text.splitlines())) <= 80


def test_banner_says_who_needs_a_key():
    rules = PathRules(Rules(Allow.PROVEN), Rules(Allow.NOBODY))
    text = banner([Address("", 1935)], [], [], rules)
    assert "Stream Key from rtmpd key new,\n" in text
    assert "ffplay rtmp://localhost/live/NAME\n" in text
    assert "publish   to live: whoever has a key\n  play      from live: nobody" in text
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize(
    ("rules", "key", "who"),
    [
        (Rules(Allow.PROVEN, users=Users({"mia": "x"}, bytes(16))), "test", "a user and password"),
        (
            Rules(Allow.PROVEN, links=SignedUrls(["m3kq8vwz5tnx2cfhj7yb9dgr4as6pue2x"])),
            "from rtmpd token",
            "a link",
        ),
        (
            Rules(Allow.PROVEN, ring=KeyRing(), links=SignedUrls(["m3kq8vwz5tnx2cfhj7yb9dgr4as6pue2x"])),
            "from rtmpd key new",
            "a key or a link",
        ),
    ],
)
def test_banner_says_what_proves_who_may_publish(rules: Rules, key: str, who: str):
    text = banner([Address("", 1935)], [], [], PathRules(rules, Rules(Allow.ANYONE)))
    assert f"Stream Key {key},\n" in text
    assert f"publish   to live: whoever has {who}\n" in text
    assert f"ffplay rtmp://localhost/live/{'test' if key == 'test' else 'NAME'}\n" in text
    assert max(map(len, text.splitlines())) <= 80


def test_banner_names_unix_sockets():
    sockets = Address("", 0, "/run/rtmpd/rtmp"), Address("", 0, "/run/rtmpd/http")
    text = banner([sockets[0]], [], [sockets[1]], LOCAL)
    assert "RTMP      unix:/run/rtmpd/rtmp\n" in text
    assert "OBS" not in text
    assert "curl --unix-socket /run/rtmpd/http http://localhost/metrics" in text
    assert "console" not in text
    assert "publish   to live: anyone on this machine\n" in text
    assert "for the metrics" not in text
    text = banner([sockets[0], Address("", 1935)], [], [], LOCAL)
    assert "unix:/run/rtmpd/rtmp, every address, port 1935" in text
    assert "Server rtmp://localhost/live\n" in text


# -- completion


def test_the_shell_completes_commands(monkeypatch):
    for name, value in (
        ("COMP_WORDS", "rtmpd se"),
        ("COMP_CWORD", "1"),
        ("_RTMPD_COMPLETE", "complete_bash"),
    ):
        monkeypatch.setenv(name, value)
    done = subprocess.run(
        [Path(sys.executable).with_name("rtmpd")], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.stdout.split() == ["serve"]


def test_a_place_for_the_state_that_cannot_be_used_is_a_remark_and_no_mistake(run, tmp_path):
    (tmp_path / "file").touch()
    result = run("check", "-q", "--set", f"state.dir={tmp_path}/file")
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == f"rtmpd: state.dir: {tmp_path}/file is no folder\n"
    assert run("check", "-q", "--set", f"state.dir={tmp_path}/new").stderr == ""
