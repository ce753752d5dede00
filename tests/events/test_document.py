"""docs/notifications.md shows what is sent: run this file to write its examples anew."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from events_evening import evening
from events_kit import DOCUMENT, NOON, SECRET, block, verified

from rtmpd.daemon.settings import load
from rtmpd.events.formats import request_of
from rtmpd.events.model import Delivery, EventKind
from rtmpd.events.settings import Address
from rtmpd.events.signature import parse_secrets, signed


def sections(text: str) -> str:
    """The document with the examples as they are now."""
    events = evening()
    body = request_of(
        Delivery(events[EventKind.PUBLISHED], 1, "5f0c1e9a2b7d4436"), Address("http://a/"), NOON
    ).body
    example = f"```json\n{json.dumps(json.loads(body), indent=2)}\n```\n"
    rows = [f"| `{kind}` | `{json.dumps(dict(events[kind].facts))}` |\n" for kind in EventKind]
    data = "| event | `data` |\n| --- | --- |\n" + "".join(rows)
    for name, made_now in (("example", example), ("data", data)):
        begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->\n"
        before, _, rest = text.partition(begin)
        _, _, after = rest.partition(end)
        text = f"{before}{begin}\n{made_now}\n{end}{after}"
    return text


def test_the_examples_are_what_is_sent() -> None:
    text = DOCUMENT.read_text()
    assert sections(text) == text, "run this file to write them anew"


def test_everything_happens() -> None:
    assert evening().keys() == set(EventKind)


@pytest.mark.skipif(shutil.which("node") is None, reason="there is no Node")
@pytest.mark.parametrize(
    ("body", "now", "right"), [("{}", NOON, True), ("{} ", NOON, False), ("{}", NOON + 301, False)]
)
def test_the_receiver_in_node_knows_who_has_sent_it(body: str, now: float, right: bool) -> None:
    headers = dict(signed(parse_secrets(f"{SECRET} whsec_{'A' * 32}"), "an-id", int(NOON), b"{}"))
    call = f"verified({json.dumps(headers)}, {json.dumps(body)}, {json.dumps(SECRET)}, {now})"
    done = subprocess.run(
        ["node", "-e", f"{block('js')}\nconsole.log({call})"], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"{str(right).lower()}\n"
    assert verified(headers, body.encode(), SECRET, now) == right


def test_the_settings_that_are_shown_can_be_used(tmp_path: Path) -> None:
    text = re.sub(r'"/etc/rtmpd/(.*)"', rf'"{tmp_path}/\1"', block("toml"))
    (tmp_path / "backend-secret").write_text(f"{SECRET}\n")
    (tmp_path / "discord-url").write_text("https://discord.com/api/webhooks/1/abc\n")
    (tmp_path / "rtmpd.toml").write_text(text)
    config = load([tmp_path / "rtmpd.toml"], {}).config
    assert [target.format for target in config.notify.values()] == ["native", "discord", "ntfy"]


if __name__ == "__main__":
    DOCUMENT.write_text(sections(DOCUMENT.read_text()))
