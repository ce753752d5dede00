"""``rtmpd check --connect``: who is called, and what is said of whom."""

from __future__ import annotations

import json
import shutil
import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme
from backend_kit import OK, Asked, answer, backend
from net_kit import serve
from typer.testing import CliRunner

from rtmpd.daemon import cli, connect_check
from rtmpd.daemon.settings import load


def settings(folder: Path, text: str):
    file = folder / "rtmpd.toml"
    file.write_text(text)
    return load([file], {}).config


@pytest.fixture
def closed_port():
    """A port that nobody else gets meanwhile, and on which nobody listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()[1]


async def test_relays_are_called_without_a_publish_or_play(tmp_path: Path, closed_port: int):
    async with serve() as house:
        config = settings(
            tmp_path,
            f"""
            [apps."*".push.all]
            url = "rtmp://127.0.0.1:{house.port}/{{app}}/{{name}}"
            [apps.live.push.there]
            url = "rtmp://127.0.0.1:{house.port}/app"
            key = "secretkey"
            [apps.live.push.off]
            url = "rtmp://127.0.0.1:{closed_port}/off/secretkey"
            enabled = false
            [apps.live.push.gone]
            url = "rtmp://127.0.0.1:{closed_port}/gone/secretkey"
            [apps.edge.pull]
            from = [
                "rtmp://127.0.0.1:{house.port}/{{app}}/{{name}}",
                "rtmp://127.0.0.1:{house.port}/{{app}}/b",
            ]
            """,
        )
        trials = connect_check.trials(config, {})
        findings = await connect_check.run(trials)
        assert house.stats.plays_total == house.stats.publishes_total == 0
    said = {
        (trial.key, trial.label.rpartition("/")[2]): finding.works
        for trial, finding in zip(trials, findings, strict=True)
    }
    assert said == {
        ("apps.*.push.all", "live"): True,
        ("apps.live.push.there", "app"): True,
        ("apps.live.push.gone", "gone"): False,
        ("apps.edge.pull number 1", "edge"): True,
        ("apps.edge.pull number 2", "edge"): True,
    }
    told = f"{trials} {findings}"
    assert "answers in" in told
    assert f"port {closed_port}" in told
    assert "secretkey" not in told


@pytest.mark.parametrize(
    ("days", "works", "words"),
    [
        (30, True, "expires in"),
        (7, False, "expires in"),
        (1, False, "expires in 1 day"),
        (-2, False, "expired"),
    ],
)
async def test_certificates_are_judged_by_their_end(tmp_path: Path, days: int, works: bool, words: str):
    issued = trustme.CA().issue_cert("a.example", not_after=datetime.now(UTC) + timedelta(days=days, hours=1))
    issued.private_key_pem.write_to_path(tmp_path / "key.pem")
    issued.cert_chain_pems[0].write_to_path(tmp_path / "chain.pem")
    pair = f'{{chain_file = "{tmp_path}/chain.pem", key_file = "{tmp_path}/key.pem"}}'
    trials = connect_check.trials(settings(tmp_path, f"[rtmps]\ncertificates = [{pair}]"), {})
    (finding,) = await connect_check.run(trials)
    assert finding.works is works
    assert f"a.example: {words}" in finding.text
    assert "1 days" not in finding.text


async def test_who_is_notified_is_asked_without_being_told_anything(tmp_path: Path, closed_port: int):
    def say(asked: Asked) -> bytes:
        right = asked.headers.get("authorization") == "Bearer tk_right"
        known = {"/own": False, "/topic/auth": right, "/webhook": True}.get(asked.path, False)
        return OK if known else answer("404 Not Found")

    async with backend(say) as server:
        here = f"http://127.0.0.1:{server.port}"
        config = settings(
            tmp_path,
            f"""
            [notify.own]
            url = "{here}/own"
            [notify.phone]
            format = "ntfy"
            url = "{here}/topic"
            token = "tk_right"
            [notify.stranger]
            format = "ntfy"
            url = "{here}/topic"
            token = "tk_wrong"
            [notify.channel]
            format = "discord"
            url = "{here}/webhook"
            [notify.gone]
            url = "http://127.0.0.1:{closed_port}/secret"
            [notify.off]
            url = "http://127.0.0.1:{closed_port}/secret"
            enabled = false
            """,
        )
        trials = connect_check.trials(config, {})
        findings = await connect_check.run(trials)
        assert {(asked.line.split()[0], asked.body) for asked in server.asked} == {("GET", b"")}
    said = {trial.key: finding for trial, finding in zip(trials, findings, strict=True)}
    assert {key: finding.works for key, finding in said.items()} == {
        "notify.own": True,
        "notify.phone": True,
        "notify.stranger": False,
        "notify.channel": True,
        "notify.gone": False,
    }
    unknown = "ntfy answers HTTP 404: it does not know the URL, or not the token"
    assert said["notify.stranger"].text == unknown
    assert said["notify.gone"].text.endswith("Connection refused")
    assert not any(secret in f"{trials} {findings}" for secret in ("tk_", "topic", "webhook", "/secret"))


async def test_servers_of_backends_are_called_and_asked_nothing(tmp_path: Path, closed_port: int):
    async with backend(lambda _: answer("404 Not Found")) as server:
        config = settings(
            tmp_path,
            f"""
            [apps."*".hooks]
            on_publish = ["http://127.0.0.1:{server.port}/secret?token=a", "http://127.0.0.1:{server.port}/b"]
            [apps.live.hooks]
            on_play = "http://127.0.0.1:{closed_port}/secret"
            """,
        )
        trials = connect_check.trials(config, {})
        findings = await connect_check.run(trials)
        assert [(asked.line, asked.body) for asked in server.asked] == [("GET / HTTP/1.1", b"")]
    said = {trial.key: finding for trial, finding in zip(trials, findings, strict=True)}
    assert {key: finding.works for key, finding in said.items()} == {
        "apps.*.hooks": True,
        "apps.live.hooks": False,
    }
    assert said["apps.live.hooks"].text.endswith("Connection refused")
    assert "secret" not in f"{trials} {findings}"


async def test_programs_are_looked_for(tmp_path: Path):
    (tmp_path / "plain").touch(mode=0o644)
    config = settings(
        tmp_path,
        f"""
        [apps.live.run.copy]
        command = ["sh", "-c", "exit"]
        [apps.live.run.gone]
        command = ["no-such-program", "secret"]
        [apps.live.run.off]
        command = ["no-such-program"]
        enabled = false
        [apps.live.exec.note]
        on = ["published"]
        command = ["{tmp_path}/plain"]
        """,
    )
    trials = connect_check.trials(config, {})
    findings = await connect_check.run(trials)
    assert {trial.key: found for trial, found in zip(trials, findings, strict=True)} == {
        "apps.live.run.copy": connect_check.Finding(True, f"is {shutil.which('sh')}"),
        "apps.live.run.gone": connect_check.Finding(
            False, "there is no program 'no-such-program': install it, or write its whole path"
        ),
        "apps.live.exec.note": connect_check.Finding(
            False, f"'{tmp_path}/plain' may not be run: look at its mode"
        ),
    }


async def test_key_sets_are_fetched_and_read(tmp_path: Path, closed_port: int):
    right = {"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "a", "x": "A" * 43}]}
    (tmp_path / "right.json").write_text(json.dumps(right))
    (tmp_path / "wrong.json").write_text("{}")
    sources = (
        f"{tmp_path}/right.json",
        f"{tmp_path}/wrong.json",
        f"https://127.0.0.1:{closed_port}/k?a=secret",
    )
    config = settings(
        tmp_path,
        "".join(
            f"""
            [apps.a{number}.{action}.jwt]
            issuer = "https://id.example.com"
            audience = "rtmpd"
            algorithms = ["EdDSA"]
            jwks = "{source}"
            """
            for number, source in enumerate(sources)
            for action in ("publish", "play")
        ),
    )
    trials = connect_check.trials(config, {})
    findings = await connect_check.run(trials)
    assert [trial.key for trial in trials] == [f"apps.a{number}.publish.jwt.jwks" for number in range(3)]
    assert [finding.works for finding in findings] == [True, False, False]
    assert "no key set" in findings[1].text
    assert findings[2].text.endswith("Connection refused")
    assert "secret" not in f"{trials} {findings}"


def test_the_command_says_it_line_by_line(tmp_path: Path, closed_port: int):
    file = tmp_path / "rtmpd.toml"
    file.write_text(f'[apps.live]\npush = ["rtmp://127.0.0.1:{closed_port}/live/secretkey"]')
    done = CliRunner().invoke(cli.app, ["check", "--connect", "-c", str(file)])
    assert done.exit_code == 1
    assert done.stdout.startswith(f"FAILED  apps.live.push.config-1  rtmp://127.0.0.1:{closed_port}/live: ")
    assert "secretkey" not in done.stdout


def test_nobody_to_call_is_no_failure(tmp_path: Path):
    (tmp_path / "rtmpd.toml").write_text("")
    done = CliRunner().invoke(cli.app, ["check", "--connect", "-c", str(tmp_path / "rtmpd.toml")])
    assert (done.exit_code, done.stdout) == (0, "The settings name nobody to connect to.\n")
