"""The programs of docs/signed-urls.md make links that are good, in each language that this machine speaks."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from command_kit import run_here

from rtmpd.access.signed_urls import SignedUrls, make_query
from rtmpd.exceptions import ProofFailed
from rtmpd.rtmp.url import RtmpUrl, parse_query

PAGE = (Path(__file__).parents[2] / "docs" / "signed-urls.md").read_text()
SECRET = "m3kq8vwz5tnx2cfhj7yb9dgr4as6pue2x"
COMMANDS = {
    "sh": ("sh",),
    "python": (sys.executable,),
    "js": ("node",),
    "php": ("php",),
    "go": ("go", "run"),
}
"""What runs a file of each language; the code is that of the page."""
ALWAYS_THERE = {"sh", "python"}


def samples() -> dict[str, str]:
    found = dict(re.findall(r"^```(\w+)\n(.+?)^```$", PAGE, re.MULTILINE | re.DOTALL))
    del found["toml"]
    return found


def test_every_sample_is_run() -> None:
    assert samples().keys() == COMMANDS.keys()


@pytest.mark.parametrize("language", COMMANDS)
def test_a_sample_makes_a_link_that_is_good_for_an_hour(language: str, tmp_path: Path) -> None:
    command = COMMANDS[language]
    if shutil.which(command[0]) is None and language not in ALWAYS_THERE:
        pytest.skip(f"there is no {command[0]} here")
    program = tmp_path / f"sign.{language}"
    program.write_text(samples()[language])
    before = time.time()
    done = subprocess.run([*command, str(program)], capture_output=True, text=True, timeout=60, check=True)
    url = RtmpUrl.parse(done.stdout.strip())
    assert (url.app, url.name) == ("live", "show")
    fields = parse_query(url.query)
    until = SignedUrls([SECRET]).verify(fields, "publish", "live/show", "203.0.113.7", before)
    assert before + 3599 <= until <= time.time() + 3600
    with pytest.raises(ProofFailed):
        SignedUrls([SECRET]).verify(fields, "play", "live/show", "203.0.113.7", before)


def test_the_configuration_and_the_commands_on_the_page_go_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (text,) = re.findall(r"^```toml\n(.+?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    file = tmp_path / "rtmpd.toml"
    file.write_text(text)
    (tmp_path / "link-secrets").write_text(SECRET)
    monkeypatch.setitem(os.environ, "CREDENTIALS_DIRECTORY", str(tmp_path))
    commands = re.findall(r"^rtmpd (token .+)$", PAGE, re.MULTILINE)
    assert len(commands) == 2
    for command in commands:
        words = command.replace("/etc/rtmpd/rtmpd.toml", str(file)).split()
        status, link, _ = run_here(*words)
        assert status == 0
        url = RtmpUrl.parse(link.strip())
        verified = SignedUrls([SECRET]).verify(
            parse_query(url.query), words[1], words[2], "192.0.2.7", time.time()
        )
        assert verified > time.time() + 890


def test_the_link_at_the_top_is_a_real_one() -> None:
    assert make_query(SECRET, "publish", "live/show", 1_800_000_000) in PAGE


def test_every_refusal_is_on_the_page() -> None:
    server = SignedUrls([SECRET], max_lifetime=60.0)
    told = set()
    for query, now in {
        "exp=1": 0.0,
        make_query(SECRET, "play", "live/show", 90): 0.0,
        make_query(SECRET, "publish", "live/show", 90): 90.0,
        make_query(SECRET, "publish", "live/show", 91): 0.0,
        make_query(SECRET, "publish", "live/show", 92, "10.0.0.1"): 80.0,
    }.items():
        with pytest.raises(ProofFailed) as caught:
            server.verify(parse_query(query), "publish", "live/show", "203.0.113.7", now)
        told.add(re.split(r":| on | than | 60", str(caught.value))[0])
    table = PAGE.partition("## When a link is refused")[2]
    rows = re.findall(r"^\| (The [^|]+) \|", table, re.MULTILINE)
    assert len(told) == len(rows) == 5
    assert all(any(row.startswith(start) for row in rows) for start in told)
