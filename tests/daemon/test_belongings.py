"""What was decided while a server ran goes on in the next process."""

from __future__ import annotations

import json
from typing import Any

from policy_kit import NOW
from relay_kit import KEY, Server, rule, serve

from rtmpd.access.bans import Ban, BanRules
from rtmpd.access.guard import Guard
from rtmpd.access.keys import Key, digest_of
from rtmpd.access.manual_bans import parse_network
from rtmpd.access.runtime_keys import RuntimeKey, RuntimeKeys
from rtmpd.daemon.belongings import Belongings
from rtmpd.engine.stats import ServerStats
from rtmpd.reasons import Problem
from rtmpd.serving.access import Action


def belongings_of(server: Server, now: float = 0.0) -> Belongings:
    guard = Guard(lambda: now, ServerStats())
    guard.apply(BanRules(attempts=1, first=600.0, local=True))
    return Belongings(guard, server.push, server.pull, RuntimeKeys(lambda: NOW))


def handed(of: Belongings, now: float = 0.0) -> dict[str, Any]:
    """As it goes to another process."""
    told: dict[str, Any] = json.loads(json.dumps(of.handed(now)))
    return told


class Keeper:
    """Of what is to outlive the process."""

    def __init__(self) -> None:
        self.networks: list[str] = []

    def keep(self, ban: Ban) -> None:
        self.networks.append(ban.network)

    def forget(self, network: str) -> None:
        raise AssertionError


def younger(rows: list[list[object]]) -> list[object]:
    """The same as a process would say it that knows more, and with what nobody understands."""
    return [[*row, "more"] for row in rows] + [7, [], None, [None] * 9]


async def test_what_was_decided_is_so_in_the_next_process_of_whatever_version() -> None:
    url = "rtmp://127.0.0.1:1/live/s3cret"
    origin = rule("rtmp://127.0.0.1:1/live/{name}")
    async with serve("a", push=[url], pull=origin) as one, serve("b", push=[url], pull=origin) as other:
        before, after = belongings_of(one, 1000.0), belongings_of(other, 50.0)
        keys = before.keys
        keys.add(RuntimeKey(Action.PUBLISH, "live/a", Key(digest_of("a"), "a", "Ann", NOW + 60.0, True), NOW))
        keys.add(RuntimeKey(Action.PLAY, "live/b", Key(digest_of("b"), "b"), NOW, is_token=True))
        keys.revoke(digest_of("c"), named=True)
        keys.revoke(digest_of("d"), named=False)
        for track in (None, "all", 2):
            off = one.push.add(KEY, f"rtmp://127.0.0.1:1/live/other-{track}", track)
        one.push.switch_off(KEY, off.id)
        one.push.switch_off(KEY, "config-1")
        one.pull.switch_off(KEY)
        before.guard.ban(parse_network("192.0.2.7"), 60.0, "spam")
        before.guard.restore([Ban("198.51.100.7", 900.0, 1300.0, 4, None, count=3)])
        before.guard.guessed("203.0.113.7", Problem.TOKEN_WRONG)
        told = handed(before, 1000.0)
        assert "s3cret" not in str([told["off"], told["bans"]])
        after.guard.keeper = kept = Keeper()
        after.take({name: younger(rows) for name, rows in told.items()} | {"news": 1}, 50.0)
        assert handed(after, 50.0) == told
        assert [(ban.network, ban.reason, ban.count, ban.until) for ban in after.guard.bans()] == [
            ("198.51.100.7", None, 3, 350.0),
            ("192.0.2.7", "spam", 1, 110.0),
            ("203.0.113.7", None, 1, 650.0),
        ]
        assert [(each.key, each.state) for each in other.pull.statuses()] == [(KEY, "off")]
        assert kept.networks == ["198.51.100.7", "192.0.2.7"]
        # Who guesses tokens may publish.
        assert [after.guard.turns_away(f"{net}.7") for net in ("192.0.2", "203.0.113")] == [True, False]
        assert all(each.pull.switch_on(KEY) for each in (one, other))
        tracks = {row[2].rpartition("-")[2]: row[3] for row in other.push.added()}
        assert tracks == {"None": None, "all": "all", "2": 2}
        assert {each.id for each in other.push.statuses()} == {each.id for each in one.push.statuses()}


async def test_an_older_process_says_less() -> None:
    async with serve("a") as server:
        after = belongings_of(server)
        after.take(
            {"bans": [["192.0.2.7", 60.0, "spam"]], "pushes": [["live", "cam", "rtmp://h/a/b", None]]}, 0.0
        )
        (ban,) = after.guard.bans()
        assert (ban.network, ban.until, ban.reason, ban.count) == ("192.0.2.7", 60.0, "spam", 1)
        ((app, name, _, track, relay_id, on),) = server.push.added()
        assert (app, name, track, relay_id, on) == ("live", "cam", None, "api-1", True)
        after.take({}, 0.0)
        after.take({"bans": "none", "pushes": {"a": 1}, "keys": None}, 0.0)
