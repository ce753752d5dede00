"""``rtmpd notify``: a target is tried as the server would reach it."""

from __future__ import annotations

import asyncio

import pytest
from backend_kit import Backend, answer, backend, unused_port
from command_kit import run_here
from events_kit import SECRET, verified


async def tried(*arguments: str) -> tuple[int, str, str]:
    """The command beside the loop of the backend."""
    return await asyncio.to_thread(run_here, "notify", *arguments)


def at(server: Backend, *settings: str) -> list[str]:
    given = (f"notify.x.url={server.url}", *settings)
    return [word for setting in given for word in ("--set", setting)]


async def test_a_test_is_signed_and_says_that_it_is_one() -> None:
    async with backend() as server:
        done = await tried("test", "x", *at(server, f"notify.x.secret={SECRET}", "notify.x.token=tk"))
        assert done == (0, "x has taken it\n", "")
        (asked,) = server.asked
        assert asked.json["event"] == "test"
        assert asked.headers["authorization"] == "Bearer tk"
        assert verified(asked.headers, asked.body, SECRET, now=int(asked.headers["webhook-timestamp"]))


async def test_why_it_was_not_taken_is_told() -> None:
    async with backend(answer("401 Unauthorized")) as server:
        done = await tried("test", "x", *at(server))
    assert done == (1, "", "rtmpd: x: it answered HTTP 401\n")


async def test_who_cannot_be_reached_is_told_without_the_secret() -> None:
    port = unused_port()
    done = await tried("test", "x", "--set", f"notify.x.url=http://127.0.0.1:{port}/hush")
    text = f"rtmpd: x: cannot connect to http://127.0.0.1:{port}/***: Connection refused\n"
    assert done == (1, "", text)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (
            ["--set", "notify.x.url=http://x/", "--set", "notify.x.format=srs"],
            "srs has no words for a test: rtmpd check --connect tries the connection",
        ),
        ([], "nobody of this name is notified, and nobody else: see [notify.NAME]"),
        (["--set", "notify.a.url=http://a/", "--set", "notify.b.url=http://b/"], "notified, but a, b"),
    ],
)
def test_a_name_that_is_not_there(given: list[str], told: str) -> None:
    status, _, errors = run_here("notify", "test", "x", *given)
    assert status == 2
    assert told in " ".join(errors.split())
