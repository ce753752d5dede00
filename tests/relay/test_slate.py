"""What another server is sent while the encoder of a push is away: the slate of all, or one of its own."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from pathlib import Path

import pytest
from client_kit import accept, scripted_server
from engine_kit import AVC_HEADER_2
from relay_kit import (
    KEY,
    Server,
    Viewer,
    crashing,
    eventually,
    keyframe,
    logged,
    publishing,
    serve,
    watching,
)
from slate_kit import FILE, Witness, read_slate, slate_bytes

from rtmpd.engine.sink import CloseReason
from rtmpd.engine.slate import Slate, SlateRules
from rtmpd.engine.sources import Life
from rtmpd.outputs.slates import Slates
from rtmpd.relay.template import RelayTemplate

OWN = SlateRules(FILE, seconds=30.0)
STALL = 0.2


def with_slates(server: Server, folder: Path, of_all: SlateRules | None = None) -> Slates:
    """Slates that come soon."""
    loop = asyncio.get_running_loop()
    slates = Slates(loop.time, loop.call_later)
    slates.files = {FILE: read_slate(folder, slate_bytes())}
    registry = server.registry
    registry.prompter.asked = slates.cue
    registry.apply(replace(registry.limits, stall=STALL, slate=of_all))
    return slates


def slates_in(viewer: Viewer) -> int:
    return sum(payload[5:6] == b"S" for payload in viewer.payloads)


def times(viewer: Viewer) -> list[int]:
    return [message.timestamp for message in viewer.messages if message.type == 9]


def own(url: str, rules: SlateRules = OWN) -> dict[str, RelayTemplate]:
    return {"twitch": replace(RelayTemplate.parse(url), slate=rules)}


async def test_a_target_has_a_slate_of_its_own_and_players_do_not(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with serve("b") as b, serve("a", push=own(b.url()), grace=0.1) as a:
        with_slates(a, tmp_path)
        witness = Witness()
        a.registry.observe(witness)
        async with watching(b) as there, watching(a) as here:
            async with crashing(a):
                await eventually(there.has(keyframe(b"K0")))
                await eventually(here.has(keyframe(b"K0")))
                published = b.stream.publication
            await eventually(lambda: slates_in(there) > 3)
            # Long after players have been told that it is over.
            await eventually(lambda: KEY not in a.registry.streams or a.stream.life is Life.IDLE)
            assert (a.pushes().state, a.pushes().slate) == ("live", Slate.FILE)
            assert slates_in(here) == 0
            async with crashing(a, b"K1"):
                await eventually(there.has(keyframe(b"K1")))
                assert a.pushes().slate is None
                assert b.stream.publication is published
                assert times(there) == sorted(times(there))
                assert there.payloads.index(AVC_HEADER_2) < there.payloads.index(keyframe(b"K1"))
                assert a.pushes().retries == 0
                assert a.context.stats.publishers == 1
                assert a.context.stats.bytes_out > 0
            await eventually(lambda: a.pushes().slate is not None)
            assert a.push.remove(KEY, "twitch")
            await eventually(lambda: not b.live)
    told = [" ".join(word.split()[:3]) for word in witness.told if word.startswith(("shown", "over"))]
    assert told == ["shown twitch file", "over twitch resumed", "shown twitch file", "over twitch ended"]
    assert a.context.stats.slates.shown == {}  # Figures of streams; of targets there is rtmpd_relay_slate.
    said = logged(caplog)
    assert "slate on air {'app': 'live', 'stream': 'cam', 'target': 'twitch', " in said
    assert "slate off air {'app': 'live', 'stream': 'cam', 'target': 'twitch', " in said


async def test_the_target_is_shown_it_while_the_encoder_is_silent(tmp_path: Path) -> None:
    async with serve("b") as b, serve("a", push=own(b.url(), SlateRules(still=True))) as a:
        with_slates(a, tmp_path)
        async with watching(b) as there, publishing(a) as encoder:
            await eventually(there.has(keyframe(b"K0")))
            await eventually(lambda: there.payloads.count(keyframe(b"K0")) > 1)
            assert a.pushes().slate is Slate.STILL
            await encoder.send_video(keyframe(b"K1"), 40)
            await eventually(there.has(keyframe(b"K1")))
            assert times(there) == sorted(times(there))
            # For everybody else it has the time that it has.
            async with watching(a) as joiner:
                await eventually(joiner.has(keyframe(b"K1")))
                assert times(joiner)[-1] == 40 < times(there)[-1]
        await eventually(lambda: not b.live)


async def test_it_is_over_after_its_time_or_when_the_encoder_stops_in_order(tmp_path: Path) -> None:
    rules = SlateRules(FILE, seconds=0.5)
    async with serve("b") as b, serve("a", push=own(b.url(), rules)) as a:
        with_slates(a, tmp_path)
        async with watching(b) as there:
            async with crashing(a):
                await eventually(there.has(keyframe(b"K0")))
            await eventually(lambda: slates_in(there) > 0)
            await eventually(lambda: not b.live)
        async with watching(b) as again, publishing(a):
            await eventually(again.has(keyframe(b"K0")))
        await eventually(lambda: not b.live)
        assert slates_in(again) == 0


async def test_a_target_that_breaks_off_meanwhile_is_connected_to_again_and_shown_the_slate(
    tmp_path: Path,
) -> None:
    async with serve("b") as b, serve("a", push=own(b.url())) as a:
        with_slates(a, tmp_path)
        async with crashing(a):
            await eventually(lambda: b.live)
        await eventually(lambda: a.pushes().slate is not None)
        first = b.stream.publication
        assert first is not None
        session = b.registry.sessions.find(first.origin.session)
        assert session is not None
        session.dismiss(CloseReason.KICKED)
        await eventually(lambda: b.live and b.stream.publication is not first)
        async with watching(b) as there:
            await eventually(lambda: slates_in(there) > 1)
        assert a.pushes().retries == 1
        assert a.push.remove(KEY, "twitch")
        await eventually(lambda: not b.live)


async def test_the_slate_of_all_is_sent_to_targets_whoever_watches(tmp_path: Path) -> None:
    async with serve("b") as b, serve("a", push=[b.url()], grace=0.1, slate_for=30.0) as a:
        with_slates(a, tmp_path, SlateRules(FILE, seconds=30.0))
        async with watching(b) as there:
            async with crashing(a):
                await eventually(there.has(keyframe(b"K0")))
                published = b.stream.publication
            await eventually(lambda: slates_in(there) > 3)
            await asyncio.sleep(0.2)  # Longer than grace.
            assert a.push_is("live")()
            # One that breaks off has failed, and is shown the slate again.
            session = b.registry.sessions.find(published.origin.session) if published else None
            assert session is not None
            session.dismiss(CloseReason.KICKED)
            await eventually(lambda: b.live and b.stream.publication is not published)
            assert a.pushes().retries == 1
        assert a.registry.end_hold(KEY)
        await eventually(lambda: not b.live)


async def test_a_server_that_hangs_up_at_once_is_not_asked_again_and_again(tmp_path: Path) -> None:
    async with scripted_server(accept) as remote, serve("a", push=own(f"{remote.url}/x")) as a:
        with_slates(a, tmp_path)
        async with crashing(a):
            await eventually(lambda: a.push.statuses() and a.pushes().state != "connecting")
        await eventually(lambda: a.pushes().state in ("backoff", "live"))
        a.push.remove(KEY, "twitch")
        await eventually(lambda: a.push.statuses() == [])
