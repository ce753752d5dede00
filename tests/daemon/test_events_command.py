"""``rtmpd events``: lines for people and for programs, of a server that may go and come again."""

from __future__ import annotations

import asyncio
import json
import queue
import socket
import threading
from typing import Any

import pytest
from control_kit import Desk
from events_kit import CAM, made
from net_kit import eventually
from typer.testing import CliRunner

from rtmpd.daemon import admin_request, cli, event_text, events_command
from rtmpd.engine.key import StreamKey
from rtmpd.events.model import NO_STREAM, EventKind
from rtmpd.events.ring import KeptEvent
from rtmpd.exceptions import AdminRequestFailed


def as_told(kind: EventKind, key: StreamKey = CAM, **facts: Any) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(KeptEvent(made(kind, key, **facts), 1).json)
    return parsed


async def test_it_goes_on_when_the_server_comes_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(events_command, "_FIRST_PAUSE", 0.01)
    seen: queue.Queue[tuple[str, str]] = queue.Queue()
    place: list[str] = []

    def read() -> None:
        port = admin_request.port_at(f"http://{place[0]}")
        for told in events_command._follow(port, "/events?kinds=published", ""):
            seen.put((told.name, told.data))
            if "enough" in told.data:
                return

    desk = Desk()
    async with desk.client() as client:
        place.append(str(client._base_url).removeprefix("http://").rstrip("/"))
        reading = asyncio.ensure_future(asyncio.to_thread(read))
        await eventually(lambda: desk.streams.stats.followers == 1)
        desk.ring.hear(made(EventKind.PUBLISHED, StreamKey("live", "a")))
        await eventually(lambda: seen.qsize() == 1)
    again = Desk(place=place[0])
    again.ring.instance = "another"
    again.ring.hear(made(EventKind.PUBLISHED, StreamKey("live", "b")))
    async with again.client():
        await eventually(lambda: again.streams.stats.followers == 1)
        again.ring.hear(made(EventKind.PUBLISHED, StreamKey("live", "enough")))
        await reading
    told = [seen.get() for _ in range(5)]
    assert [name for name, _ in told] == ["", "end", "missed", "", ""]
    assert [json.loads(data).get("name") for _, data in told] == ["a", None, None, "b", "enough"]
    said = capsys.readouterr().err
    assert ("the server is gone (it has ended the connection)" in said, "it answers again" in said) == (
        True,
        True,
    )


async def test_what_is_refused_is_no_reason_to_try_again(unused_tcp_port: int) -> None:
    async with Desk().client() as client:
        port = admin_request.port_at(str(client._base_url))
        with pytest.raises(AdminRequestFailed, match="there is no such event"):
            await asyncio.to_thread(lambda: next(events_command._follow(port, "/events?kinds=no", "")))
    result = CliRunner().invoke(cli.app, ["events", "--set", f'admin.listen=["127.0.0.1:{unused_tcp_port}"]'])
    assert (result.exit_code, "does not answer: Connection refused" in result.stderr) == (1, True)


def test_lines_of_a_stream_are_told_as_the_standard_has_it() -> None:
    lines = [b"retry: 2000\n", b": \n", b"id: a-1\n", b"\n", b"\n", b"id: a-2\r\n", b"data: {}\r\n", b"\r\n"]
    told = [tuple(each) for each in admin_request._told(lines)]
    assert told == [("a-1", "", ""), ("a-2", "", "{}")]
    assert list(admin_request._told([b"event: end\n", b"data:1\n"])) == []  # Cut off in the middle.


@pytest.mark.parametrize(
    ("said", "lines"),
    [
        (
            as_told(EventKind.PUBLISHED),
            ["live/cam is being published: By Studio 2 with FMLE/3.0", "          (compatible; FMSc/1.0)."],
        ),
        (
            as_told(EventKind.PUBLISHED) | {"event": "newer", "title": "live/cam sings", "text": ""},
            ["live/cam sings"],
        ),
        (
            as_told(
                EventKind.AUDIT,
                NO_STREAM,
                change="reload",
                target="",
                result="done",
                reason=None,
                before=None,
                after="log.level",
                problem=None,
                detail=None,
            ),
            ["Studio 2: reload: After: log.level."],
        ),
    ],
    ids=lambda each: each["event"] if isinstance(each, dict) else "",
)
def test_people_read_sentences(said: dict[str, Any], lines: list[str]) -> None:
    shown = event_text.spell(said, 70).splitlines()
    assert [shown[0][10:], *shown[1:]] == lines
    assert max(map(len, shown)) <= 70


def test_what_a_server_says_moves_no_cursor() -> None:
    said = as_told(EventKind.PUBLISHED) | {"title": "all\x1b[2J\nis well", "text": "\rreally"}
    assert (
        event_text.spell(said)[10:]
        == "all\N{REPLACEMENT CHARACTER}[2J\N{REPLACEMENT CHARACTER}is well: \N{REPLACEMENT CHARACTER}really"
    )


def test_people_are_told_what_they_missed() -> None:
    gone = {"reason": "gone", "number": 3, "since": "2023-11-14T22:13:20Z"}
    assert event_text.spell_missed(gone).startswith("3 events were missed, up to ")
    assert event_text.spell_missed(gone | {"reason": "other_start"}).startswith("the server has been started")


def test_a_server_that_is_quiet_for_longer_than_it_takes_to_answer_is_not_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(admin_request, "_TIMEOUT", 0.1)
    # Without a length its end is that of the connection, and http.client lets go of the socket.
    head = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: text/event-stream\r\n\r\n"
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with listener.accept()[0] as client:
                client.recv(65536)
                client.sendall(head + b"id: a-1\n\n")
                left.wait(0.3)  # Three times what an answer may take.
                client.sendall(b"id: a-2\ndata: {}\n\n")

        left = threading.Event()
        server = threading.Thread(target=serve)
        server.start()
        port = admin_request.port_at(f"http://127.0.0.1:{listener.getsockname()[1]}")
        try:
            told = [each.id for each in port.follow("/events", "")]
        finally:
            left.set()
            server.join()
    assert told == ["a-1", "a-2"]
