"""Push targets that are sent a stream later than it comes."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from relay_kit import KEY, Server, eventually, inter, keyframe, publishing, serve, watching

from rtmpd.outputs.delays import Delays
from rtmpd.relay.template import RelayTemplate

DELAY = 1.0


def delaying(server: Server, *seconds: float) -> Delays:
    loop = asyncio.get_running_loop()
    delays = Delays(server.registry, lambda _key: seconds, loop.time, loop.call_later)
    server.registry.observe(delays)
    delays.apply("", 16 * 1024 * 1024, 0)
    return delays


async def test_a_target_is_called_when_there_is_something_to_send_and_left_when_all_has_been_sent() -> None:
    async with serve("b") as b:
        template = replace(RelayTemplate.parse(b.url()), delay=3 * DELAY)
        async with serve("a", push={"later": template}) as a:
            delays = delaying(a, 3 * DELAY)
            loop = asyncio.get_running_loop()
            async with watching(b) as there, watching(a) as here:
                began = loop.time()
                async with publishing(a) as encoder:
                    await eventually(here.has(keyframe(b"K0")))  # At once, as players are not behind.
                    await eventually(lambda: a.pushes().reason == "waits for its delay")
                    await encoder.send_video(inter(b"P1"), 40)
                    # The end is not late, and a target on a busy machine takes a while to be reached.
                    await asyncio.sleep(2 * DELAY)
                ended = loop.time()
                # The encoder has left before anything was sent.
                await eventually(there.has(inter(b"P1")))
                assert loop.time() - began >= 3 * DELAY
                assert there.payloads.index(keyframe(b"K0")) < there.payloads.index(inter(b"P1"))
                await eventually(lambda: not b.live)
                assert loop.time() - ended >= 3 * DELAY - 0.1
            delays.look()
            await eventually(lambda: KEY not in a.registry.streams)
            await eventually(lambda: not a.push.statuses())
            delays.close()


async def test_as_late_as_players_are_or_at_once() -> None:
    async with serve("b") as b, serve("c") as c:
        now = replace(RelayTemplate.parse(c.url()), delay=0.0)
        async with serve("a", push={"as": RelayTemplate.parse(b.url()), "now": now}) as a:
            a.registry.apply(replace(a.registry.limits, delay=DELAY))
            delays = delaying(a, DELAY)
            async with watching(b) as later, watching(c) as soon, watching(a) as here, publishing(a):
                await eventually(soon.has(keyframe(b"K0")))
                assert not later.messages
                assert not here.messages
                await eventually(later.has(keyframe(b"K0")))
                await eventually(here.has(keyframe(b"K0")))
            delays.close()


async def test_a_target_that_is_removed_while_it_waits_is_never_called() -> None:
    async with serve("b") as b:
        template = replace(RelayTemplate.parse(b.url()), delay=60.0)
        async with serve("a", push={"later": template}) as a:
            delays = delaying(a, 60.0)
            async with publishing(a):
                await eventually(lambda: a.pushes().reason == "waits for its delay")
                assert a.push.remove(KEY, "later")
                await eventually(lambda: not a.push.statuses())
            delays.close()
        assert not b.live
