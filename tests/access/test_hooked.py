"""Our own rules first, and then the backend, also where both have to ask somebody."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import Coroutine
from typing import Any

import pytest

from rtmpd.access.backend import Backend, Surroundings
from rtmpd.access.hooked import HookedPolicy
from rtmpd.engine.key import StreamKey
from rtmpd.engine.origin import Origin
from rtmpd.exceptions import Refused
from rtmpd.hooks.rules import HookRules, Moment
from rtmpd.hooks.stats import HookStats
from rtmpd.net.http_message import HttpAnswer, HttpRequest
from rtmpd.reasons import Refusal
from rtmpd.rtmp.commands import ConnectParams
from rtmpd.serving.access import AccessRequest, Action, Grant

KEY = StreamKey("live", "show")
ASKED = AccessRequest(Action.PUBLISH, KEY, Origin(address="192.0.2.1"), ConnectParams())


class Slow:
    """Rules that have to ask somebody."""

    def __init__(self, refusal: Refusal | None = None) -> None:
        self.refusal = refusal
        self.asked = 0

    def authorize(self, request: AccessRequest) -> Coroutine[Any, Any, Grant]:
        self.asked += 1
        return self._find(request)

    def withdrawn(self, action: Action, key: StreamKey, origin: Origin) -> Refusal | None:
        return self.refusal

    async def _find(self, request: AccessRequest) -> Grant:
        await asyncio.sleep(0)
        if self.refusal is not None:
            raise Refused("NetStream.Publish.Rejected", "no", self.refusal)
        return Grant(request.key, account="mia", identity="jwt:mia")


class House:
    def __init__(self, policy: Slow, *, decides: bool = False) -> None:
        self.asked: list[bytes] = []

        async def call(request: HttpRequest, *, within: float, ca_file: str = "") -> HttpAnswer:
            self.asked.append(request.body)
            return HttpAnswer(200, b'{"allow": true, "name": "other"}')

        nothing: Any = None
        around = Surroundings(call, lambda: 0.0, nothing, HookStats(), nothing, nothing)
        rules = HookRules(urls={Moment.PUBLISH: ("http://backend.test/",)}, decides=decides)
        backend = Backend("live", rules, around)
        policy.check_led = lambda _request, _key: None
        self.hooked = HookedPolicy(policy, lambda _path: backend, frozenset)

    async def publish(self) -> Grant:
        answer = self.hooked.authorize(ASKED)
        assert not isinstance(answer, Grant)
        return await answer


async def test_rules_that_ask_somebody_are_asked_first() -> None:
    rules = Slow()
    house = House(rules)
    granted = await house.publish()
    assert (granted.key, granted.account) == (StreamKey("live", "other"), "mia")
    assert b'"proven": true' in house.asked[0]
    assert rules.asked == 1


@pytest.mark.parametrize("reason", [Refusal.NOT_PROVEN, Refusal.NOT_LOCAL, Refusal.NOBODY, None])
@pytest.mark.parametrize("decides", [True, False])
def test_what_a_backend_decided_needs_no_proof_later(reason: Refusal | None, decides: bool) -> None:
    hooked = House(Slow(reason), decides=decides).hooked
    stays = reason is None or (decides and reason is not Refusal.NOBODY)
    assert hooked.withdrawn(Action.PUBLISH, KEY, ASKED.origin) is (None if stays else reason)


async def test_what_they_refuse_is_refused() -> None:
    house = House(Slow(Refusal.KEY_WRONG), decides=True)
    with pytest.raises(Refused):
        await house.publish()
    assert house.asked == []


async def test_what_they_miss_the_backend_stands_in_for() -> None:
    assert (await House(Slow(Refusal.NOT_PROVEN), decides=True).publish()).key.name == "other"


@pytest.mark.filterwarnings("error")
def test_an_answer_that_nobody_awaits_leaves_nothing_behind() -> None:
    answer = House(Slow()).hooked.authorize(ASKED)
    assert not isinstance(answer, Grant)
    answer.close()
    del answer
    gc.collect()


@pytest.mark.filterwarnings("error")
async def test_one_that_is_cancelled_before_it_begins_leaves_nothing_behind() -> None:
    answer = House(Slow()).hooked.authorize(ASKED)
    assert not isinstance(answer, Grant)

    async def wait() -> None:
        with contextlib.closing(answer):
            await asyncio.sleep(0)
            await answer

    task = asyncio.create_task(wait())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    gc.collect()
