"""The compose file of deploy/public with Caddy's file; tests/interop runs the two, without containers."""

from __future__ import annotations

import re
import secrets
import string
from pathlib import Path
from typing import Any

import yaml

from rtmpd.access.keys import digest_of, new_key, spell_digest
from rtmpd.access.rules import Allow
from rtmpd.daemon.access_rules import ConfiguredRules
from rtmpd.daemon.settings import load

ROOT = Path(__file__).parents[2]
PUBLIC = ROOT / "deploy" / "public"
CADDYFILE = (PUBLIC / "Caddyfile").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load((PUBLIC / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOMAIN = "live.example.com"
KEY = new_key(secrets.token_bytes)


def filled(text: str) -> str:
    """What ``.env`` stands for in the compose file, as Compose writes it there."""
    short = re.sub(r"\$\{(\w+):\?[^}]*\}", r"${\1}", text)
    return string.Template(short).substitute(DOMAIN=DOMAIN, KEY=spell_digest(digest_of(KEY)))


def settings() -> dict[str, str]:
    return {name: filled(value) for name, value in SERVICES["rtmpd"]["environment"].items()}


def mounts(service: str) -> dict[str, str]:
    """Where volumes and files are, by their names."""
    parts = (each.split(":") for each in SERVICES[service]["volumes"])
    return {name: place for name, place, *_ in parts}


def said(option: str) -> str:
    """What the Caddyfile says of an option."""
    (found,) = re.findall(rf"^\s+{option} (\S+)", CADDYFILE, re.MULTILINE)
    return str(found)


def test_all_that_is_to_be_filled_in_stands_in_the_example_and_nothing_else() -> None:
    example = re.findall(r"^(\w+)=", (PUBLIC / ".env.example").read_text(), re.MULTILINE)
    used = set(re.findall(r"\$\{(\w+)", (PUBLIC / "compose.yaml").read_text()))
    assert set(example) == used
    assert re.findall(r"\{\$(\w+)\}", CADDYFILE) == ["DOMAIN"]
    assert SERVICES["caddy"]["environment"].keys() == {"DOMAIN"}


def test_every_root_is_read_only_and_nobody_gains_anything() -> None:
    for service in SERVICES.values():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
    assert {name for name, service in SERVICES.items() if service.get("user", "").startswith("0")} == {
        "volumes"
    }


def test_both_are_the_user_of_the_image_which_can_read_what_caddy_writes_for_itself() -> None:
    (user,) = re.findall(r"^USER (\S+)$", (ROOT / "deploy" / "Dockerfile").read_text(), re.MULTILINE)
    assert SERVICES["caddy"]["user"] == user
    assert "user" not in SERVICES["rtmpd"]
    program, owner, *folders = SERVICES["volumes"]["entrypoint"]
    assert (program, owner) == ("chown", user)
    written = {place for name, place in mounts("caddy").items() if name in COMPOSE["volumes"]}
    assert set(folders) == written == set(mounts("volumes").values())


def test_rtmpd_shows_the_certificate_that_it_has_waited_for() -> None:
    config = load((), settings()).config
    (certificate,) = config.rtmps.certificates
    here, there = mounts("rtmpd")["certificates"], mounts("caddy")["certificates"]
    chain = Path(certificate.chain_file)
    assert Path(certificate.key_file) == chain.with_suffix(".key")
    check = SERVICES["caddy"]["healthcheck"]["test"]
    assert check[:3] == ["CMD", "test", "-s"]
    assert filled(check[3]) == str(Path(there) / chain.relative_to(here))
    assert SERVICES["rtmpd"]["depends_on"]["caddy"] == {"condition": "service_healthy"}
    assert "certificates:/certificates:ro" in SERVICES["rtmpd"]["volumes"]
    # The folder has the name of who issues it, so it has to be this one.
    assert said("cert_issuer") == "acme"
    assert chain.parts[-4:] == (
        "certificates",
        "acme-v02.api.letsencrypt.org-directory",
        DOMAIN,
        f"{DOMAIN}.crt",
    )


def test_caddy_finds_rtmpd_and_the_world_finds_caddy() -> None:
    (listen,) = load((), settings()).config.http.listen
    upstream = re.findall(r"reverse_proxy unix/(\S+)", CADDYFILE)
    assert listen == f"unix:{upstream[0]}"
    assert mounts("rtmpd")["sockets"] == mounts("caddy")["sockets"] == str(Path(upstream[0]).parent)
    assert SERVICES["caddy"]["ports"] == [f"80:{said('http_port')}", f"443:{said('https_port')}"]
    assert load((), settings()).config.http.public_url == f"https://{DOMAIN}"


def test_live_show_is_published_with_the_key_and_nothing_else_is() -> None:
    config = load((), settings()).config
    rules = ConfiguredRules(config)
    assert {rules.at(path).publish.allow for path in ("live/show", "other/cam")} == {Allow.PROVEN}
    found = rules.at("live/x").publish.find(KEY, 0.0)
    assert found
    assert found.name == "show"
    (rtmps,) = config.rtmps.listen
    assert SERVICES["rtmpd"]["ports"] == [f"{port}:{port}" for port in [rtmps.lstrip(":")]]
