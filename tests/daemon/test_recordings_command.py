"""``rtmpd recordings`` and ``rtmpd clip``, and a server that breaks off in the middle of a file."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from command_kit import run, run_here

CONTENT = bytes(range(256)) * 400
FOUND = {
    "id": "18564243540a617c",
    "state": "finished",
    "app": "live",
    "name": "show",
    "file": "show.flv",
    "path": "/recordings/show.flv",
    "started": "2026-11-26T20:15:00Z",
    "changed": "2026-11-26T20:16:00Z",
    "seconds": 3661.4,
    "bytes": len(CONTENT),
    "waits_for": "upload",
    "problem": "nobody answers at s3.example.com, and that for a good while already, as it seems",
    "uploaded": None,
}


class Server(ThreadingHTTPServer):
    """Has one recording, of which it sends so many bytes at a time."""

    most = len(CONTENT)
    asked: list[str | None]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        if self.path.endswith("/file") or "/last.flv?" in self.path:
            self._send_file()
            return
        found: Any = FOUND if FOUND["id"] in self.path else {"items": [FOUND], "next": None, "total": 1}
        body = json.dumps(found).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _send_file(self) -> None:
        wanted = self.headers.get("Range")
        self.server.asked.append(wanted)
        at = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
        self.send_response(206 if wanted else 200)
        self.send_header("Content-Length", str(len(CONTENT) - at))
        self.end_headers()
        self.wfile.write(CONTENT[at:][: self.server.most])

    def log_message(self, *_args: object) -> None: ...


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(("127.0.0.1", 0), Handler) as server:
        server.asked = []
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_a_download_that_breaks_off_goes_on(server: Server, tmp_path: Path) -> None:
    target, part = tmp_path / "copy.flv", tmp_path / "copy.flv.part"
    download = ("recordings", "download", "show.flv", "--to", str(target), "--url", server.url)
    server.most = 1000
    code, _, err = run_here(*download)
    assert code == 1
    assert "broke: 101400 bytes are missing; say it again to go on" in err
    assert part.read_bytes() == CONTENT[:1000]
    server.most = len(CONTENT)
    assert run_here(*download)[0] == 0
    assert (target.read_bytes(), part.exists()) == (CONTENT, False)
    assert server.asked == [None, "bytes=1000-"]
    assert target.stat().st_mtime == datetime.fromisoformat(str(FOUND["changed"])).timestamp()
    assert "is there already: name another file by --to" in run_here(*download)[2]
    nowhere = (*download[:4], str(tmp_path / "no" / "x.flv"), "--url", server.url)
    assert "x.flv.part cannot be written: No such file" in run_here(*nowhere)[2]


def test_a_clip_that_breaks_off_leaves_nothing(server: Server, tmp_path: Path) -> None:
    target = tmp_path / "show.flv"
    clip = ("clip", "live/show", "--url", server.url, "--to")
    server.most = 1000
    code, _, err = run_here(*clip, str(target))
    assert (code, list(tmp_path.iterdir())) == (1, [])
    assert "broke: 101400 bytes are missing" in err
    server.most = len(CONTENT)
    assert run_here(*clip, str(target)) == (0, f"{target}  {len(CONTENT)} bytes\n", "")
    assert target.read_bytes() == CONTENT
    assert "is there already: name another file by --to" in run_here(*clip, str(target))[2]
    # A folder in which it cannot be begun, as in a container whose root is read-only.
    assert "x.flv.part cannot be written: No such file" in run_here(*clip, str(tmp_path / "no" / "x.flv"))[2]


@pytest.mark.parametrize("command", [("clip", "live/show"), ("recordings", "download", "show.flv", "--json")])
def test_a_file_goes_to_standard_output_alone(server: Server, command: tuple[str, ...]) -> None:
    done = run(*command, "--to", "-", "--url", server.url)
    assert (done.returncode, done.stdout, done.stderr) == (0, CONTENT, b"")


def test_what_is_there_of_a_file_that_has_changed_since_is_no_part_of_it(
    server: Server, tmp_path: Path
) -> None:
    """Its encoder went on in it, say."""
    target, part = tmp_path / "copy.flv", tmp_path / "copy.flv.part"
    part.write_bytes(b"before" * 100)
    download = ("recordings", "download", "show.flv", "--to", str(target), "--url", server.url)
    assert run_here(*download)[0] == 0
    assert (target.read_bytes(), server.asked) == (CONTENT, [None])


def test_a_list_fits_the_terminal(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    code, out, _ = run_here("recordings", "list", "--url", server.url)
    first, *rest = out.splitlines()
    assert code == 0
    assert first.endswith("   1:01:01   102.4 kB  show.flv")
    assert all(len(line) <= 80 for line in (first, *rest))
    assert [line.strip() for line in rest] == [
        "of live/show",
        "waits for upload: nobody answers at s3.example.com, and that",
        "for a good while already, as it seems",
    ]
    gone = run_here("recordings", "delete", "other.flv", "--url", server.url)
    assert "there is no recording other.flv" in gone[2]
