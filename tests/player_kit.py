"""What players of HTTP need to be tried: a page for those in browsers, somebody to be for VLC."""

from __future__ import annotations

import os
import tempfile
from http.server import BaseHTTPRequestHandler
from itertools import takewhile
from pathlib import Path

PLAYWRIGHT = "playwright-core@1.65.1"
NOBODY = 65534


class Page(BaseHTTPRequestHandler):
    """An empty page, on an origin of its own."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()

    def log_message(self, *_args: object) -> None:
        """Nobody wants to know."""


def as_somebody(home: Path) -> list[str]:
    """VLC does not run as root."""
    if os.geteuid():
        return []
    home.chmod(0o777)
    shared = Path(tempfile.gettempdir())
    for each in (home, *takewhile(lambda each: each != shared, home.parents)):
        each.chmod(each.stat().st_mode | 0o755)
    number = str(NOBODY)
    return ["setpriv", "--reuid", number, "--regid", number, "--clear-groups", "env", f"HOME={home}"]
