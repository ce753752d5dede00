"""What outlives a real server: killed, without room on its disk, and with files that are in the way."""

from __future__ import annotations

import json
import os
import resource
import signal
import sqlite3
import urllib.request
from contextlib import closing
from pathlib import Path
from typing import Any

from rtmpd_process import RtmpdProcess, assert_clean_exit, rtmpd

from rtmpd.state.database import FILE


def post(server: RtmpdProcess, path: str, body: object) -> Any:
    request = urllib.request.Request(
        f"http://127.0.0.1:{server.port('admin')}/api/v1{path}",
        json.dumps(body).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as response:
        return json.load(response)


def ban(server: RtmpdProcess, network: str) -> Any:
    return post(server, "/bans", {"network": network, "seconds": 3600})


def banned(server: RtmpdProcess) -> list[str]:
    return [each["network"] for each in json.loads(server.get("/api/v1/bans"))["items"]]


def test_what_was_answered_outlives_a_kill(tmp_path: Path) -> None:
    with rtmpd(f"state.dir={tmp_path}") as server:
        post(server, "/streams/live/show/push", {"url": "rtmp://127.0.0.1:1/live/s3cret-of-theirs"})
        key = post(server, "/keys", {"app": "live", "name": "show"})["key"]
        assert ban(server, "203.0.113.7")["kept"] is True
        os.kill(server.pid, signal.SIGKILL)
        server.wait()
    with rtmpd(f"state.dir={tmp_path}") as server:
        server.log.wait_for({"event": "state opened", "bans": 1, "pushes": 1, "keys": 1})
        (push,) = json.loads(server.get("/api/v1/relays"))["items"]
        assert (push["id"], push["remote"]) == ("api-1", "rtmp://127.0.0.1:1/live")
        content = (tmp_path / FILE).read_bytes()
        assert b"s3cret-of-theirs" in content
        assert key.encode() not in content
        assert "s3cret-of-theirs" not in str(server.log)
        assert banned(server) == ["203.0.113.7"]
        assert server.metric("rtmpd_state_writable") == 1.0
        assert json.loads(server.get("/api/v1/server"))["state"]["writable"] is True
        change, *others = json.loads(server.get("/api/v1/audit"))["items"]
        assert len(others) == 2
        assert (change["change"], change["target"], change["result"]) == ("ban", "203.0.113.7", "done")
        assert (change["protocol"], change["address"]) == ("http", "127.0.0.1")
        assert_clean_exit(server)


def test_a_disk_without_room_costs_what_should_be_kept_and_nothing_else(tmp_path: Path) -> None:
    """The kernel lets the server write no further in any file, as a full disk and a quota do."""
    with rtmpd(f"state.dir={tmp_path}") as server:
        server.log.wait_for({"event": "state opened"})
        limits = resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (4096, -1))
        assert ban(server, "203.0.113.7")["kept"] is False
        assert banned(server) == ["203.0.113.7"]
        told = server.log.wait_for({"event": "state not writable"})
        assert told["reason"] in {"io", "full"}
        assert server.metric("rtmpd_state_writable") == 0.0
        assert json.loads(server.get("/api/v1/server"))["state"]["writable"] is False
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, limits)
        post(server, "/streams/live/show/push", {"url": "rtmp://127.0.0.1:1/live/x"})
        assert ban(server, "203.0.113.8")["kept"] is True
        server.log.wait_for({"event": "state written again"})
        assert len(server.log.find({"event": "state not writable"})) == 1
        assert len(server.log.find({"event": "state opened"})) == 1
        assert_clean_exit(server)
    with closing(sqlite3.connect(tmp_path / FILE)) as connection:
        assert connection.execute("SELECT network FROM bans ORDER BY 1").fetchall() == [
            ("203.0.113.7",),
            ("203.0.113.8",),
        ]
        # An end in order is none of theirs.
        assert connection.execute("SELECT id FROM pushes").fetchall() == [("api-1",)]


def test_a_file_that_is_damaged_keeps_nobody_from_being_served(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"SQLite format 3\0" + b"\xff" * 8192)
    with rtmpd(f"state.dir={tmp_path}") as server:
        assert server.log.wait_for({"event": "state not writable"})["reason"] == "corrupt"
        assert server.get("/readyz") == "ready\n"
        assert ban(server, "203.0.113.7")["kept"] is False
        assert_clean_exit(server)
