"""An image needs a container engine to be built; what can be read and run without one is tested here."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

from rtmpd_process import rtmpd

from rtmpd.access.rules import Allow
from rtmpd.daemon.access_rules import ConfiguredRules
from rtmpd.daemon.admin_request import port_here
from rtmpd.daemon.settings import load
from rtmpd.net.addresses import Address

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "deploy" / "Dockerfile").read_text().replace("\\\n", " ")


def instruction(name: str) -> list[str]:
    """The arguments of every such instruction of the last stage, and of the one that it is made from."""
    stages = re.split(r"^FROM ", DOCKERFILE, flags=re.MULTILINE)
    assert stages[-1].startswith("base\n")
    (base,) = (each for each in stages if each.partition("\n")[0].endswith(" AS base"))
    return re.findall(rf"^{name}\s+(.+)$", base + stages[-1], re.MULTILINE)


def test_python_itself_gets_the_signals() -> None:
    """Exec form: a JSON list, no shell between the engine and the server."""
    (entrypoint,), (command,) = instruction("ENTRYPOINT"), instruction("CMD")
    assert json.loads(entrypoint) + json.loads(command) == ["rtmpd", "serve"]
    assert instruction("STOPSIGNAL") == ["SIGTERM"]


def test_the_user_is_a_number_and_not_root() -> None:
    (user,) = instruction("USER")
    assert all(int(number) > 0 for number in user.split(":"))


def test_everything_that_is_copied_is_let_in() -> None:
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE)
    sources = {source.removeprefix("./") for line in copied for source in line.split()}
    assert sources
    assert sources == allowed
    assert all((ROOT / source).exists() for source in sources)


def test_the_health_check_follows_the_settings_of_the_server() -> None:
    (arguments,) = (text.partition("CMD")[2] for text in instruction("HEALTHCHECK"))
    assert json.loads(arguments) == ["rtmpd", "health"]
    with rtmpd() as server:
        environment = {"RTMPD_ADMIN__LISTEN": f"127.0.0.1:{server.port('admin')}"}
        check = [str(Path(sys.executable).with_name("rtmpd")), "health"]
        assert subprocess.run(check, env=environment, timeout=20, check=False).returncode == 0
        server.terminate()
        dead = subprocess.run(check, env=environment, capture_output=True, timeout=20, check=False)
        assert dead.returncode == 1


def test_the_image_ends_before_docker_stop_kills_it() -> None:
    environment = dict(re.findall(r"(\w+)=(\S+)", " ".join(instruction("ENV"))))
    settings = {name: value for name, value in environment.items() if name.startswith("RTMPD_")}
    assert load((), settings).config.shutdown.drain_timeout < 10.0


def test_recordings_and_the_spool_have_a_place_and_what_they_need() -> None:
    compose = (ROOT / "deploy" / "compose.yaml").read_text()
    places = {each: f"/var/lib/rtmpd/{each}" for each in ("recordings", "spool")}
    made = re.search(r"install --directory --owner=10001 --group=10001([^&]+)&&", instruction("RUN")[0])
    assert made
    assert set(made[1].split()) == {"/var/lib/rtmpd", *places.values()}
    for volume, folder in places.items():
        assert f"- {volume}:{folder}\n" in compose
        assert f"\n  {volume}:\n" in compose.partition("\nvolumes:")[2]
    (extras,) = re.findall(r"install '\.\[([\w,]+)\]'", DOCKERFILE)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert set(extras.split(",")) == project["optional-dependencies"].keys() - {"contract", "dev"}
    shown = dict(re.findall(r"^ +# (RTMPD_(?:APPS__LIVE__R|SPOOL)\S+): (.+)$", compose, re.MULTILINE))
    config = load((), shown).config
    record, ring = config.at("live").record, config.at("live").ring
    assert (record.wanted, record.root, record.keep.max_bytes) == (True, places["recordings"], 100 << 30)
    assert (ring.seconds, ring.disk_bytes, config.spool.path) == (600.0, 1 << 30, places["spool"])


def test_compose_takes_no_encoder_without_a_key_and_says_how_to_make_one(tmp_path: Path) -> None:
    compose = (ROOT / "deploy" / "compose.yaml").read_text()
    path = "/var/lib/rtmpd/keys"
    # A new volume takes over what the image has there.
    assert any(f"--mode=644 /dev/null {path}" in each for each in instruction("RUN"))
    assert f"keys:{Path(path).parent}\n" in compose
    keys = tmp_path / "keys"
    keys.touch()
    said = re.findall(r"^ +(RTMPD_\S+): (.+)$", compose, re.MULTILINE)
    config = load((), {name: value.replace(path, str(keys)) for name, value in said}).config
    # Without a token commands inside ask there: they look for a loopback address.
    assert port_here(config).address == Address("127.0.0.1", 9936)
    empty = ConfiguredRules(config)
    assert {empty.at(each).publish.allow for each in ("live/show", "other/cam")} == {Allow.PROVEN}
    (command,) = re.findall(r"^# .* exec rtmpd (rtmpd key new .*)$", compose, re.MULTILINE)
    done = subprocess.run(
        [Path(sys.executable).with_name("rtmpd"), *command.replace(path, str(keys)).split()[1:]],
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
    )
    (key,) = re.findall(r"^key +(\w+)$", done.stdout, re.MULTILINE)
    found = ConfiguredRules(config).at("live/x").publish.find(key, 0.0)
    assert found
    assert found.name == "show"
