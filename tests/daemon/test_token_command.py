"""``rtmpd token``: what it prints lets in, and it tells no secret."""

from __future__ import annotations

import re
import time
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from typer.testing import CliRunner

from rtmpd.access.signed_urls import SignedUrls
from rtmpd.daemon import cli
from rtmpd.rtmp.url import RtmpUrl, parse_query

SECRET = "m3kq8vwz5tnx2cfhj7yb9dgr4as6pue2x"
OTHER = "z7a2kxhkv7c2r2bq789uv37gdvpukb87b"


@pytest.fixture
def run(tmp_path: Path):
    path = tmp_path / "rtmpd.toml"
    path.write_text(
        f"""
        [apps.live.publish.signed_urls]
        secrets = ["{SECRET}", "{OTHER}"]
        max_lifetime = "2h"
        [apps."live/eu".play.signed_urls]
        secrets = ["{OTHER}"]
        """
    )

    def run(*arguments: str):
        done = CliRunner().invoke(cli.app, ["token", *arguments, "-c", str(path)])
        assert SECRET not in done.output
        assert OTHER not in done.output
        return done

    return run


@pytest.mark.parametrize(
    ("arguments", "secret", "action", "path", "seconds"),
    [
        (["publish", "show"], SECRET, "publish", "live/show", 3600),
        (["publish", "live/eu/show", "--for", "90s"], SECRET, "publish", "live/eu/show", 90),
        (["play", "live/eu/show", "--for", "48h"], OTHER, "play", "live/eu/show", 48 * 3600),
    ],
)
def test_a_link_is_good_for_what_was_said(run, arguments, secret: str, action: str, path: str, seconds: int):
    before = time.time()
    done = run(*arguments, "--server", "rtmps://stream.example.com:1936/")
    assert done.exit_code == 0
    url = RtmpUrl.parse(done.stdout.strip())
    assert (url.scheme, url.host, url.port, f"{url.app}/{url.name}") == (
        "rtmps",
        "stream.example.com",
        1936,
        path,
    )
    fields = parse_query(url.query)
    until = SignedUrls([secret]).verify(fields, action, path, "203.0.113.7", before)
    assert before + seconds - 1 <= until <= time.time() + seconds
    assert re.search(r"good until +\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC\n", done.stderr)


def test_what_goes_into_obs(run):
    done = run("publish", "live/show")
    query = done.stdout.strip().partition("?")[2]
    assert done.stdout.startswith("rtmp://SERVER/live/show?exp=")
    assert f"Server rtmp://SERVER/live,\n               Stream Key show?{query}\n" in done.stderr


def test_a_name_of_several_levels_goes_where_a_key_goes(run):
    told = run("publish", "live/hall/left").stderr
    assert "Server rtmp://SERVER/live,\n               Stream Key hall/left?exp=" in told


def test_a_link_for_one_network(run):
    fields = parse_query(run("publish", "show", "--ip", "2001:db8::/64").stdout.strip().partition("?")[2])
    assert fields["ip"] == "2001:db8::/64"
    assert SignedUrls([SECRET]).verify(fields, "publish", "live/show", "2001:db8::7", time.time())


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["publish", "show", "--for", "3h"], 2, "the server takes links for 7200s at most"),
        (["play", "live/eu/x", "--for", "876001h"], 2, "a link is good for 100 years at most"),
        (["publish", "show", "--for", "soon"], 2, "'soon' is not a duration"),
        (["publish", "show", "--for", "0"], 2, "a link is good for a second at least"),
        (["publish", "show", "--ip", "here"], 2, "write an address, or a network"),
        (["publish", "a b"], 2, "this cannot be the name of a stream"),
        (["publish", "show", "--server", "http://x"], 2, "an RTMP URL starts with rtmp://"),
        (["publish", "show", "--server", "rtmp://x/live"], 2, "write the server alone"),
        (["play", "show"], 78, "secrets of [apps.live.play.signed_urls]"),
        (["publish", "eu.1/a/b"], 78, 'secrets of [apps."eu.1".publish.signed_urls]'),
    ],
)
def test_what_cannot_be_made(run, arguments, code: int, told: str):
    done = run(*arguments)
    assert (done.exit_code, done.stdout) == (code, "")
    assert told in " ".join(done.stderr.split())


@pytest.mark.parametrize(
    ("presented", "told"),
    [
        (b"\xff\n", "- cannot be read: not a text"),
        (b"a.b.c\n", "This is no whole token"),
        (None, "no key set"),
    ],
)
def test_why_a_jwt_is_good_for_no_link(tmp_path: Path, presented: bytes | None, told: str):
    (tmp_path / "jwks").write_text("{}")
    where = {"issuer": "me", "audience": "us", "algorithms": "ES256", "jwks": f"{tmp_path}/jwks"}
    said = [f"--set=apps.live.publish.jwt.{name}={value}" for name, value in where.items()]
    said.append(f"--set=apps.live.publish.signed_urls.secrets={SECRET}")
    whole = jwt.encode({"exp": time.time() + 60}, ec.generate_private_key(ec.SECP256R1()), "ES256")
    done = CliRunner().invoke(
        cli.app, ["token", "publish", "show", "--jwt", "-", *said], input=presented or whole.encode()
    )
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.startswith("rtmpd: ")
    assert told in done.stderr
    assert len(done.stderr.splitlines()) == 1
