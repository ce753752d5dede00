"""The server that runs here, at the hands of somebody at a terminal."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from client_kit import AVC_HEADER, keyframe
from net_kit import eventually
from rtmpd_process import assert_clean_exit, rtmpd
from typer.testing import CliRunner

import rtmpd as library
from rtmpd.daemon import cli
from rtmpd.daemon.relay_lines import show
from rtmpd.daemon.status_text import lines, spell_time


def ask(*arguments: str) -> tuple[int, str]:
    """Exit status and output."""
    result = CliRunner().invoke(cli.app, arguments)
    return result.exit_code, result.output


def end(path: str, *settings: str):
    arguments = [part for setting in settings for part in ("--set", setting)]
    return CliRunner().invoke(cli.app, ["end", path, *arguments])


async def test_a_stream_whose_encoder_was_lost_ends_when_somebody_says_so():
    with rtmpd("apps.live.handover.grace=60s") as server:
        admin = f"admin.listen=127.0.0.1:{server.port('admin')}"
        async with await library.connect(server.url("x").rpartition("/")[0]) as viewer:
            player = await viewer.play("cam")
            encoder = await library.connect(server.url("x").rpartition("/")[0])
            stream = await encoder.publish("cam")
            await stream.send_video(AVC_HEADER, 0)
            await stream.send_video(keyframe(), 0)
            told = end("live/cam", admin)
            assert (told.exit_code, told.output) == (
                1,
                "rtmpd: live/cam is not held: it has an encoder, or nobody waits for one\n",
            )
            encoder.abort()
            await encoder.close()
            server.log.wait_for({"event": "stream held", "stream": "cam", "seconds": 60.0})
            told = end("live/cam", admin)
            assert (told.exit_code, told.output) == (0, "the players of live/cam are told that it is over\n")
            assert [message.payload async for message in player if message.type == 9] == [
                AVC_HEADER,
                keyframe(),
            ]
            server.log.wait_for({"event": "stream held no more", "reason": "ended"})
        assert_clean_exit(server)


@pytest.mark.parametrize(
    ("path", "setting", "told"),
    [
        ("live", "admin.listen=127.0.0.1:1", "live names an app: write app and stream, such as live/test"),
        ("live/cam", "admin.listen=127.0.0.1:1", "127.0.0.1:1 does not answer: Connection refused"),
        (
            "live/cam",
            "admin.listen=:9935",
            (
                "no address of admin.listen is this machine's alone, and elsewhere it takes a token: "
                'add one such as "127.0.0.1:9936", or name a file with one by --token-file'
            ),
        ),
    ],
)
def test_what_cannot_be_asked_is_told(path: str, setting: str, told: str):
    result = end(path, setting)
    assert (result.exit_code, result.output) == (1, f"rtmpd: {told}\n")


async def test_who_is_on_is_seen_and_thrown_out_and_banned(tmp_path: Path):
    recorded = (f"apps.live.record.root={tmp_path}", "apps.live.record.start=always", "apps.live.delay=1")
    with rtmpd("apps.live.publish.allow=anyone", *recorded) as server:
        admin = ("--set", f"admin.listen=127.0.0.1:{server.port('admin')}")
        async with await library.connect(server.url("x").rpartition("/")[0]) as encoder:
            stream = await encoder.publish("cam")
            await stream.send_video(AVC_HEADER, 0)
            await stream.send_video(keyframe(), 0)
            server.wait_for_live(server.url("cam"))
            await eventually(lambda: list(tmp_path.rglob("*.part")) != [])
            code, told = ask("status", *admin)
            assert code == 0
            assert "\nlive/cam  live" in told
            assert told.splitlines()[-1].endswith(" rec -1s")
            code, told = ask("status", "--json", *admin)
            (shown,) = json.loads(told)["streams"]
            assert (code, shown["video"]["codec"]) == (0, "avc1")
            code, told = ask("kick", "live/cam", "--ban", "1m", *admin)
            assert (code, told) == (
                1,
                "rtmpd: this machine is never banned: its own programs connect from there\n",
            )
            assert ask("kick", "live/cam", "--reason", "late", *admin) == (0, f"{shown['session']} is out\n")
            server.log.wait_for({"event": "publish ended", "reason": "kicked", "by": "127.0.0.1"})
            server.log.wait_for({"event": "change made", "target": shown["session"], "reason": "late"})
        assert ask("kick", shown["session"], *admin)[0] == 1
        code, told = ask("ban", "192.0.2.0/24", "--for", "90s", "--json", *admin)
        assert (code, json.loads(told)["remaining_seconds"] > 80) == (0, True)
        assert ask("unban", "192.0.2.0/24", *admin) == (0, "192.0.2.0/24 may come again\n")
        assert ask("log-level", *admin) == (0, "debug\n")
        code, told = ask("log-level", "info", "--for", "90s", "--trace", "192.0.2.7", *admin)
        assert (code, told.startswith("info, with the dialogue with 192.0.2.7/32 until 2")) == (0, True)
        assert ask("log-level", "--back", *admin) == (0, "debug\n")
        code, told = ask("status", "--json", *admin)
        assert json.loads(told)["server"]["log"] == {"level": "debug", "trace": "", "until": None}
        assert ask("unban", "192.0.2.0/24", *admin) == (1, "rtmpd: 192.0.2.0/24 is not banned\n")
        assert_clean_exit(server)


async def test_stream_keys_come_and_are_ended_and_who_came_by_one_with_it():
    with rtmpd(
        "apps.live.publish.keys.show=sha256:3ba2a8bb17be76cb3ad1a4f4ea6a3fe9e9d4d8b0a1a1c7dd1f5cf8be7e65dd1e"
    ) as server:
        admin = ("--set", f"admin.listen=127.0.0.1:{server.port('admin')}")
        code, told = ask("key", "add", "live/cam", "--for", "1h", "--label", "Ann", "--json", *admin)
        made = json.loads(told)
        assert (code, len(made["key"])) == (0, 33)
        async with await library.connect(server.url("x").rpartition("/")[0]) as encoder:
            stream = await encoder.publish(made["key"])
            await stream.send_video(AVC_HEADER, 0)
            await stream.send_video(keyframe(), 0)
            server.wait_for_live(server.url("cam"))
            code, told = ask("key", "held", *admin)
            header, named, added = sorted(told.splitlines(), key=lambda line: ("Ann" in line, "show" in line))
            assert (code, header.split()) == (0, ["id", "action", "stream", "from", "label", "until"])
            assert named.split()[1:] == ["publish", "live/show", "settings"]
            assert added.split()[:5] == [made["info"]["id"], "publish", "live/cam", "added", "Ann"]
            assert ask("key", "end", made["info"]["id"], *admin)[0] == 0
            server.log.wait_for({"event": "allowed no more", "stream": "cam", "reason": "key_revoked"})
            server.log.wait_for({"event": "publish ended", "stream": "cam", "reason": "withdrawn"})
        number = named.split()[0]
        assert ask("key", "lift", number, *admin) == (1, "rtmpd: this key is not revoked\n")
        assert ask("key", "end", number, *admin) == (0, f"{number} opens nothing any more\n")
        assert ask("reload", *admin)[0] == 0
        assert "settings, ended" in ask("key", "held", *admin)[1]
        assert ask("key", "lift", number, *admin) == (0, f"{number} is good again\n")
        code, told = ask("key", "add", "live/cam", *admin)
        assert (code, "rtmp://SERVER/live," in told, "good until the server ends" in told) == (0, True, True)
        key = told.split()[1]
        assert key not in str(server.log)
        assert_clean_exit(server)


async def test_push_targets_are_listed_and_switched_and_come_and_go(tmp_path: Path):
    push, pull = "push.there.url=rtmp://127.0.0.1:1/app/s3cret", "pull.from=rtmp://127.0.0.1:1/app/{name}"
    with rtmpd(f"apps.live.{push}", f"apps.far.{pull}", f"state.dir={tmp_path / 'state'}") as server:
        admin = ("--set", f"admin.listen=127.0.0.1:{server.port('admin')}")
        assert ask("target", "list", *admin) == (0, "Nothing is pushed.\n")
        switched_off = "live/cam  there  rtmp://127.0.0.1:1/app  off: switched off by hand\n"
        assert ask("target", "off", "live/cam", "there", *admin) == (0, switched_off)
        assert ask("target", "list", "live/cam", *admin) == (0, switched_off)
        code, told = ask("target", "restart", "live/cam", "there", *admin)
        assert (code, told) == (1, "rtmpd: it is off: switch it on\n")
        assert ask("reload", *admin)[0] == 0
        assert ask("target", "list", "live/other", "--json", *admin) == (0, '{\n  "items": []\n}\n')
        code, told = ask("target", "on", "live/cam", "there", "--json", *admin)
        assert (code, json.loads(told)["state"]) == (0, "idle")
        url = "rtmp://127.0.0.1:1/app/k3y"
        (tmp_path / "url").write_text(f"{url}\n")
        file = ("--url-file", str(tmp_path / "url"))
        added = "live/cam  api-1  rtmp://127.0.0.1:1/app  idle\n"
        assert ask("target", "add", "live/cam", *file, *admin) == (0, added)
        assert ask("target", "list", *admin) == (0, added)
        removed = "live/cam is pushed to api-1 no more\n"
        assert ask("target", "remove", "live/cam", "api-1", *admin) == (0, removed)
        code, told = ask("target", "add", "live/cam", url, "--track", "all", *admin)
        assert (code, "leave the URL out" in told, "api-2" in told) == (0, True, True)
        assert ask("pull", "list", *admin) == (0, "Nothing is pulled.\n")
        assert ask("pull", "off", "far/cam", *admin) == (0, "far/cam  off: switched off by hand\n")
        assert ask("pull", "list", "far/cam", *admin) == (0, "far/cam  off: switched off by hand\n")
        assert ask("pull", "restart", "far/cam", *admin) == (1, "rtmpd: it is off: switch it on\n")
        assert ask("pull", "on", "far/cam", *admin) == (0, "far/cam  idle\n")
        told = "rtmpd: live/cam is fetched from no other server\n"
        assert ask("pull", "off", "live/cam", *admin) == (1, told)
        result = CliRunner().invoke(cli.app, ["target", "add", "live/cam", *admin], input="rtmp://x/y\n")
        assert (result.exit_code, "names no stream" in result.output) == (1, True)
        assert ask("target", "add", "live/cam", url, *file, *admin)[0] == 2
        assert_clean_exit(server)


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (
            ("kick", "cam"),
            1,
            "rtmpd: cam is neither the number of a session nor app and stream, such as live/test",
        ),
        (("log-level", "loud"), 1, "does not answer"),
        (("log-level", "info", "--back"), 2, "means nothing beside a level"),
        (("log-level", "--trace", "192.0.2.1"), 2, "needs a level"),
        (("ban", "192.0.2.1", "--for", "soon"), 2, "'soon' is not a duration"),
        (("status",), 1, "rtmpd: 127.0.0.1:1 does not answer: Connection refused"),
    ],
)
def test_what_cannot_be_done_is_said(arguments: tuple[str, ...], code: int, told: str):
    status, output = ask(*arguments, "--set", "admin.listen=127.0.0.1:1")
    assert (status, told in output) == (code, True), output


def test_a_status_fits_a_terminal_and_tells_what_is_wrong():
    began = (datetime.now(UTC) - timedelta(hours=2, minutes=3, seconds=30)).isoformat()
    totals = {"publishers": 1, "players": 12, "bans": 0, "bytes_in": 999, "bytes_out": 1_234_567}
    server: dict[str, Any] = {
        "version": "1",
        "form": "compiled",
        "uptime_seconds": 90_061.0,
        "ready": False,
        "unready_reason": "shutting down",
        "state": {"writable": False, "reason": "corrupt", "problem": "it is damaged: move it away"},
        "totals": totals,
    }
    video = {
        "codec": "hvc1",
        "width": 1920,
        "height": 1080,
        "bits_per_second_10s": 6e6,
        "frames_per_second": 59.94,
    }
    warning = {"kind": "k", "text": "It is bad.", "remedy": "Mend it.", "figures": {"seconds": 9.8}}
    live = {"app": "live", "name": "show", "state": "live", "since": began, "held_since": None, "players": 12}
    live |= {"recorded": True, "delay_seconds": 2.5}
    idle = {**live, "name": "b", "state": "idle", "since": None, "video": None, "audio": None, "warnings": []}
    idle |= {"recorded": False, "delay_seconds": 0.0}
    told = list(lines(server, [{**live, "video": video, "audio": None, "warnings": [warning]}, idle]))
    assert told == [
        "rtmpd 1 (compiled), up for 1 d 1 h; takes nobody: shutting down",
        "publishers 1, players 12, bans 0, in 999 bytes, out 1.2 MB",
        "! what should outlive a restart is not stored: corrupt",
        "  it is damaged: move it away",
        "",
        "stream     state  for        video           audio  kbit/s  fps   players  also",
        "live/show  live   2 h 3 min  hvc1 1920x1080  -      6000    59.9  12       rec -2.5s",
        "  ! It is bad.",
        "    Mend it.",
        "live/b     idle              -               -      -       -     12",
    ]
    assert list(lines(server, []))[-1] == "No streams."
    left: dict[str, Any] = {"pid": 42, "version": "0.9", "publishers": 1, "players": 3, "problem": None}
    server["predecessor"] = left | {"until": "2026-11-26T17:37:14.1Z"}
    told = list(lines(server, [idle | {"carried_by": "predecessor"}, idle | {"carried_by": "this"}]))
    until = ", until 17:37 UTC at the latest"
    assert told[2] == f"* process 42 before this one (rtmpd 0.9) has publishers 1, players 3{until}"
    assert [row.split()[1] for row in told[-2:]] == ["idle*", "idle"]
    server["predecessor"] = left | {"publishers": None, "until": None, "problem": "it does not say why"}
    told = list(lines(server, []))
    assert told[2] == "! process 42 before this one (rtmpd 0.9) serves who stayed there: it does not say why"
    assert [spell_time(each) for each in (0.4, 61.0, 3600.0)] == ["0 s", "1 min 1 s", "1 h"]


def test_with_a_token_it_asks_where_others_may_ask_too(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("RTMPD_ADMIN_TOKEN", "m3kq8vwz5tnx2cfhj7yb9dgr4as6pue2x")
    result = end("live/cam", "admin.listen=0.0.0.0:1")
    assert (result.exit_code, result.output) == (
        1,
        "rtmpd: 127.0.0.1:1 does not answer: Connection refused\n",
    )
    # An address of this machine alone comes first.
    result = end("live/cam", 'admin.listen=["0.0.0.0:1", "127.0.0.1:2"]')
    assert "127.0.0.1:2 does not answer" in result.output


def test_what_another_server_says_moves_no_cursor(capsys: pytest.CaptureFixture[str]):
    said = {
        "kind": "push",
        "app": "live",
        "name": "cam",
        "id": "there",
        "remote": "rtmp://x",
        "state": "failed",
    }
    show({**said, "reason": "the server refused: \x1b[2Jall\nis well"}, as_json=False)
    assert capsys.readouterr().out == (
        "live/cam  there  rtmp://x  failed: the server refused: \ufffd[2Jall\ufffdis well\n"
    )
