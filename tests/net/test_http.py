"""aiohttp as it is imported: without what its client would read for whoever does not call."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import trustme

PROGRAM = """
import os, ssl
before = dict(os.environ)
import rtmpd.net.http
from aiohttp import connector
assert os.environ == before
for context in (connector._SSL_CONTEXT_VERIFIED, ssl.create_default_context()):
    print(context.cert_store_stats()["x509"])
"""


def authorities_read(**environment: str) -> tuple[int, int]:
    """How many aiohttp's client has read, and how many are read by somebody else after it."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("SSL_CERT")}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=inherited | environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    of_client, of_others = map(int, done.stdout.split())
    return of_client, of_others


def test_the_client_that_nobody_uses_reads_no_authorities(tmp_path: Path) -> None:
    file = tmp_path / "authority.pem"
    trustme.CA().cert_pem.write_to_path(str(file))
    assert authorities_read(SSL_CERT_FILE=str(file), SSL_CERT_DIR=str(tmp_path / "none")) == (0, 1)


def test_an_environment_that_names_none_stays_so() -> None:
    of_client, _ = authorities_read()
    assert of_client == 0
