"""docs/hooks.md shows what backends are sent and answer: this is where its transcripts are made.

``WRITE_DOCS=1 pytest tests/docs/test_hooks_page.py``, which ``make docs`` runs, writes them anew.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import pytest
from backend_kit import OK, Asked, answer, answer_json, backend
from hooks_kit import Stage, stage, urls
from net_kit import HEADERS, eventually

from rtmpd.engine.origin import Origin
from rtmpd.hooks.dialects import MOMENTS
from rtmpd.hooks.model import Progress, RecordedFile, Visit
from rtmpd.hooks.rules import DialectName, Moment

PAGE = Path(__file__).parents[2] / "docs" / "hooks.md"
NO = answer("403 Forbidden")
Say = Callable[[Asked], bytes]
ENCODER = Origin(session=1, address="127.0.0.1", listener="0.0.0.0:1935", connection=7)
"""Whom a file is of."""


def native(asked: Asked) -> bytes:
    said = asked.json
    match said["hook"], said["name"]:
        case "on_publish", "k7-secret":
            more = {"push": ["rtmp://relay.example.com/live/{name}"], "max_kbps": 6000, "max_players": 500}
            return answer_json({"allow": True, "name": "show", "ttl": 60, "takeover": True, **more})
        case "on_publish", _:
            return answer_json({"allow": False, "reason": "This stream key expired 3 minutes ago."})
    return answer_json({"allow": True})


def nginx_rtmp(asked: Asked) -> bytes:
    match asked.form["call"], asked.form.get("name"):
        case "publish", "k7-secret":
            return answer("302 Found", "", "Location: show")
        case "publish", "pushed":
            return answer("302 Found", "", "Location: rtmp://192.0.2.9/live/pushed")
        case "publish", _:
            return NO
    return OK


def srs(asked: Asked) -> bytes:
    match asked.json["action"], asked.json.get("stream"):
        case "on_publish", "wrong":
            return answer_json({"code": 1, "msg": "no"})
        case "on_forward", _:
            return answer_json({"code": 0, "data": {"urls": ["rtmp://192.0.2.9/live/show"]}})
    return answer(body="0")


def mediamtx(asked: Asked) -> bytes:
    return OK if asked.json["password"] == "right" else answer("401 Unauthorized")


BACKENDS: dict[DialectName, tuple[Say, Sequence[str]]] = {
    DialectName.NATIVE: (native, ("k7-secret", "wrong")),
    DialectName.NGINX_RTMP: (nginx_rtmp, ("k7-secret?token=abc", "pushed", "wrong")),
    DialectName.SRS: (srs, ("show?token=abc", "wrong")),
    DialectName.MEDIAMTX: (mediamtx, ("show?user=mia&pass=right", "show?user=mia&pass=wrong")),
}
"""What says what, and the names that an encoder asks for one after the other."""


async def converse(dialect: DialectName) -> str:
    """What is said in the course of some publishes and a play, as a reader is shown it."""
    say, names = BACKENDS[dialect]
    said: list[tuple[Asked, bytes]] = []

    def note(asked: Asked) -> bytes:
        said.append((asked, say(asked)))
        return said[-1][1]

    moments = MOMENTS[dialect]
    async with (
        backend(note) as server,
        stage(dialect, urls(server, *moments), update_interval=0.05) as there,
    ):
        if Moment.RECORD_DONE in moments:
            file = RecordedFile("/var/lib/rtmpd/recordings/live/show/2026-11-26_20-15-00_1.flv", 45_000_000)
            encoder = Visit("publish", "live", "show", origin=ENCODER)
            there.asker.tell(Moment.RECORD_DONE, encoder, Progress(61.2, file=file))
        for name in names:
            await _visit(there, name, server.asked, updates=Moment.UPDATE in moments and name is names[0])
    return "\n".join(_shown(*each) for each in _in_order(said))


async def _visit(there: Stage, name: str, asked: list[Asked], *, updates: bool) -> None:
    """An encoder, and if it comes in a player, who leave again."""
    encoder, status = await there.publish(name)
    if status.endswith("Publish.Start"):
        encoder.send(*HEADERS, (40, HEADERS[0][1]))
        public = next(iter(there.house.registry.streams)).name
        await eventually(lambda: not updates or any(b"update" in each.body for each in asked))
        player, _ = await there.play(public if "?" not in name else f"{public}?{name.partition('?')[2]}")
        await player.close()
        await eventually(lambda: there.house.open_connections == 1)
    await encoder.close()
    await eventually(lambda: there.house.open_connections == 0)
    await eventually(lambda: len(there.asker._telling) == 0)


def _in_order(said: list[tuple[Asked, bytes]]) -> list[tuple[Asked, bytes]]:
    """Each kind of request once, and each answer to it, in the order of the moments."""
    found: dict[tuple[str, bytes], tuple[Asked, bytes]] = {}
    for asked, reply in said:
        kind = re.search(rb'"hook": "(\w+)"|"action": "(\w+)"|call=(\w+)', asked.body)
        assert kind is not None
        if b"update_play" in asked.body:  # It lasts too short to be asked about for sure.
            continue
        found.setdefault((str(kind[0]), reply), (asked, reply))
    return sorted(found.values(), key=lambda each: _rank(each[0].body))


_ORDER: Final = (
    *(
        b"on_connect",
        b"call=connect",
        b'on_publish"',
        b"call=publish&",
        b"on_forward",
        b'on_play"',
        b"call=play&",
    ),
    *(b"on_update", b"update_publish", b"update_play", b'"publish"', b'"read"'),
    *(b"on_publish_done", b"publish_done", b"on_unpublish", b"on_play_done", b"play_done", b"on_stop"),
    *(b"on_record_done", b"record_done", b"on_dvr"),
    *(b"on_done", b"call=done", b"on_disconnect", b"disconnect", b"on_close"),
)


def _rank(body: bytes) -> int:
    return next(rank for rank, mark in enumerate(_ORDER) if mark in body)


_TELLTALE: Final = (
    (r'"(session|client_id|id)": "[0-9a-f-]{36}"', r'"\1": "0199c5d3-7a4b-7cde-8f01-23456789abcd"'),
    (r'"connection": \d+', '"connection": 7'),
    (r"clientid=\d+", "clientid=7"),
    (r"epoch=[1-9]\d+", "epoch=3318970955"),
    (r'"listener": "[^"]*"', '"listener": "0.0.0.0:1935"'),
    (r'"duration": [\d.]+', '"duration": 61.2'),
    (r"time=\d+&", "time=30&"),
    (r'"timestamp": \d+', '"timestamp": 61000'),
    (r"timestamp=\d+", "timestamp=31000"),
    (r'"(bytes_in|bytes_out|send_bytes|recv_bytes)": \d+', r'"\1": 3400000'),
)
"""What is another one each time, and what stands for it."""


def _shown(asked: Asked, reply: bytes) -> str:
    body = asked.body.decode()
    for pattern, text in _TELLTALE:
        body = re.sub(pattern, text, body)
    kind = asked.headers["content-type"]
    head, _, said = reply.decode().partition("\r\n\r\n")
    status, *fields = head.split("\r\n")
    location = [field for field in fields if field.startswith("Location")]
    answered = "\n".join([status, *location, *([said] if said else [])])
    return f"```http\nPOST /hook HTTP/1.1\nContent-Type: {kind}\n\n{body}\n```\n\n```http\n{answered}\n```\n"


def replaced(page: str, dialect: DialectName, text: str) -> str:
    begin, end = f"<!-- {dialect}: make docs -->\n", f"<!-- end of {dialect} -->\n"
    before, begun, rest = page.partition(begin)
    _, ended, after = rest.partition(end)
    assert begun, f"docs/hooks.md has no place for {dialect}"
    assert ended
    return f"{before}{begin}\n{text}\n{end}{after}"


@pytest.mark.parametrize("dialect", list(DialectName))
async def test_the_transcripts_are_what_was_said(dialect: DialectName) -> None:
    page = PAGE.read_text()
    now = replaced(page, dialect, await converse(dialect))
    if "WRITE_DOCS" in os.environ:
        PAGE.write_text(now)
    assert now == PAGE.read_text(), "make docs writes them anew"


def test_every_moment_of_every_dialect_is_shown() -> None:
    marks = {
        DialectName.NATIVE: dict(zip(Moment, Moment, strict=True)),
        DialectName.NGINX_RTMP: {
            Moment.CONNECT: "call=connect",
            Moment.PUBLISH: "call=publish&",
            Moment.PLAY: "call=play&",
            Moment.UPDATE: "call=update_publish",
            Moment.PUBLISH_DONE: "call=publish_done",
            Moment.PLAY_DONE: "call=play_done",
            Moment.DONE: "call=done",
            Moment.DISCONNECT: "call=disconnect",
            Moment.RECORD_DONE: "call=record_done",
        },
        DialectName.SRS: {
            Moment.CONNECT: "on_connect",
            Moment.PUBLISH: "on_publish",
            Moment.PLAY: "on_play",
            Moment.FORWARD: "on_forward",
            Moment.PUBLISH_DONE: "on_unpublish",
            Moment.PLAY_DONE: "on_stop",
            Moment.DISCONNECT: "on_close",
            Moment.RECORD_DONE: "on_dvr",
        },
        DialectName.MEDIAMTX: {Moment.PUBLISH: '"publish"', Moment.PLAY: '"read"'},
    }
    page = PAGE.read_text()
    for dialect, moments in MOMENTS.items():
        shown = page.partition(f"<!-- {dialect}: make docs -->")[2].partition("<!-- end of")[0]
        assert [moment for moment in moments if marks[dialect][moment] not in shown] == []
