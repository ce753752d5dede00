"""Connections of relays are in the table of sessions while they are live, and are ended by their number."""

from __future__ import annotations

import uuid

import pytest
from relay_kit import KEY, Server, eventually, keyframe, logged, publishing, rule, serve, watching

from rtmpd.engine.origin import Origin
from rtmpd.engine.sink import CloseReason
from rtmpd.net.tcp_info import parse_tcp_info

ADMIN = Origin(protocol="http", address="192.0.2.7", account="ann")


def numbers(server: Server, protocol: str) -> list[int]:
    """Of the sessions of one protocol that are in the table."""
    return [each.origin.session for each in server.registry.sessions if each.origin.protocol == protocol]


def kick(server: Server, caplog: pytest.LogCaptureFixture, message: str) -> int:
    """Throw out whoever has the number in the only line of that message."""
    (record,) = [record for record in caplog.records if record.msg == message]
    session = uuid.UUID(record.__dict__["fields"]["session"]).int
    handle = server.registry.sessions.find(session)
    assert handle is not None
    handle.dismiss(CloseReason.KICKED, by=ADMIN)
    return session


async def test_a_push_is_kicked_and_comes_again(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "rtmpd")
    async with serve("b") as b, serve("a", push=[b.url()]) as a, publishing(a):
        await eventually(a.push_is("live"))
        session = kick(a, caplog, "push live")
        await eventually(lambda: a.pushes().reason == "this server ended it: kicked by ann")
        assert session not in numbers(a, "push")
        await eventually(lambda: len(b.context.stats.publishes_ended) == 1)
        await eventually(a.push_is("live"))
        assert a.pushes().retries == 1
        (again,) = numbers(a, "push")
        assert again != session
        a.push.remove(KEY, "config-1")
        await eventually(lambda: numbers(a, "push") == [])
    assert "'reason': 'this server ended it: kicked by ann'" in logged(caplog)


async def test_a_pull_is_kicked_and_comes_again(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "rtmpd")
    async with serve("b") as b, publishing(b), serve("a", pull=rule(b.url())) as a:
        async with watching(a) as viewer:
            await eventually(viewer.has(keyframe(b"K0")))
            session = kick(a, caplog, "pull live")
            assert a.context.stats.publishes_ended == {"kicked": 1}
            await eventually(lambda: session not in numbers(a, "pull"))
            await eventually(lambda: a.pull_is("live")() and numbers(a, "pull"))
            assert numbers(a, "pull") != [session]
        await eventually(lambda: numbers(a, "pull") == [])
    assert "'reason': 'this server ended the stream: kicked by ann'" in logged(caplog)


async def test_relays_tell_what_they_do_and_how_they_get_on() -> None:
    async with (
        serve("b") as b,
        publishing(b),
        serve("c") as c,
        serve("a", pull=rule(b.url()), push=[c.url()]) as a,
    ):
        async with watching(a) as viewer:
            await eventually(viewer.has(keyframe(b"K0")))
            await eventually(lambda: a.push_is("live")() and len(numbers(a, "push")) == 1)
            (pull,) = [each for each in a.registry.sessions if each.origin.protocol == "pull"]
            (push,) = [each for each in a.registry.sessions if each.origin.protocol == "push"]
            assert [(use.publishes, use.key) for use in pull.uses] == [(True, KEY)]
            assert [(use.publishes, use.key) for use in push.uses] == [(False, KEY)]
            await eventually(lambda: push.figures().bytes_out > len(keyframe(b"K0")))
            for handle in (pull, push):
                figures = handle.figures()
                assert (figures.dropped, figures.backlog_bytes, figures.behind_since) == (0, 0, None)
                assert figures.bytes_in > 3000  # The handshake.
                assert parse_tcp_info(figures.tcp_info) is not None
        a.push.remove(KEY, "config-1")
        await eventually(lambda: numbers(a, "push") == [])
        assert push.uses == ()
        assert push.figures().bytes_out > 0


async def test_a_relay_that_breaks_off_leaves_the_table() -> None:
    async with serve("b") as b, serve("a", push=[b.url()]) as a, publishing(a):
        await eventually(lambda: len(numbers(a, "push")) == 1)
        (before,) = numbers(a, "push")
        for connection in list(b.registry.sessions):
            connection.dismiss(CloseReason.INTERNAL_ERROR)
        await eventually(lambda: before not in numbers(a, "push"))
