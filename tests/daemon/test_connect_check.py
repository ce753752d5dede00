"""``rtmpd check --connect``: who is called, and what is said of whom."""

from __future__ import annotations

import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme
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
            from = ["rtmp://127.0.0.1:{house.port}/{{app}}/{{name}}"]
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
        ("apps.edge.pull", "edge"): True,
    }
    told = f"{trials} {findings}"
    assert "answers in" in told
    assert f"port {closed_port}" in told
    assert "secretkey" not in told


@pytest.mark.parametrize(
    ("days", "works", "words"), [(30, True, "expires in"), (7, False, "expires in"), (-2, False, "expired")]
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
