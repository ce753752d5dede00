"""HTTP and WebSocket players that begin in the past of a stream."""

from __future__ import annotations

from http_kit import site
from net_kit import eventually
from rewind_kit import Attic, kept_stream, rules


async def test_a_player_begins_in_the_past_and_ends_as_much_later() -> None:
    attic = Attic()
    async with (
        site(past=attic, play_rules=lambda _key: rules()) as there,
        kept_stream(there.house, attic, 30) as encoder,
    ):
        player = await there.get("/live/cam.flv?start=-10")
        assert player.status == 200
        assert await player.until("K20@20000") == ["AAC@20000", "AVC@20000", "K20@20000"]
        assert player.media == (True, True)
        attic.now += 2.0
        assert (await player.until("K22@22000"))[0] == "P20@20500"
        await encoder.close()
        await eventually(lambda: not there.house.stats.publishers)
        attic.now += 9.0
        await player.until("P29@29500")
        attic.now += 2.0
        assert await player.closed() == b""


async def test_by_websocket_too() -> None:
    attic = Attic()
    async with (
        site(past=attic, play_rules=lambda _key: rules()) as there,
        kept_stream(there.house, attic, 30) as encoder,
    ):
        player = await there.socket("/live/cam.flv?start=-10")
        while b"K20" not in (await player.frame())[1]:
            pass
        await encoder.close()


async def test_what_is_no_time_is_a_bad_request() -> None:
    async with site(play_rules=lambda _key: rules()) as there:
        player = await there.get("/live/cam.flv?start=soon")
        assert player.status == 400
        assert "start=-30 is 30 seconds ago" in await player.body()
