"""A stream is watched: playlists that wait for what comes, parts that come, and one session for all of it."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

from hls_kit import FRAMES, Encoder, HlsSite, hls_site, key
from net_kit import eventually

from rtmpd.engine.sources import Life
from rtmpd.packaging.rules import HlsRules


async def end(there: HlsSite, encoder: Encoder) -> None:
    """It ends its stream, and that is seen."""
    await encoder.client.close()
    await eventually(lambda: there.house.stream().life is Life.IDLE)
    there.packages.look()


async def test_playlists_and_files_are_as_the_package_has_them() -> None:
    async with hls_site() as there:
        await there.encoder()
        watcher = await there.viewer()
        assert watcher.browser.headers["content-type"] == "application/vnd.apple.mpegurl"
        assert watcher.browser.headers["cache-control"] == "no-store"
        text = await watcher.playlist()
        assert text.startswith("#EXTM3U")
        assert "token" not in text
        package = there.packages.find(key(), 0.0)
        assert package is not None
        for name in watcher.files:
            if name == watcher.hinted:
                continue
            assert await watcher.get(name) == package.file(name)
            assert watcher.status == 200
            headers = watcher.browser.headers
            assert headers["content-type"] == "video/mp4"
            assert "immutable" in headers["cache-control"]
            assert headers["etag"] == f'"{name}"'
            assert headers["server"] == "rtmpd"
            assert "transfer-encoding" not in headers


async def test_a_reload_that_blocks_is_answered_by_the_part_it_waits_for() -> None:
    async with hls_site() as there:
        encoder = await there.encoder()
        watcher = await there.viewer()
        await watcher.playlist()
        for _ in range(6):
            msn, part = watcher.comes_next
            before = watcher.text
            watcher.ask(watcher.uri, f"_HLS_msn={msn}&_HLS_part={part}")
            await eventually(lambda: there.hls.counts.waiting == 1)
            await encoder.go_on(5)
            watcher.text = (await watcher.read()).decode()
            assert watcher.text != before
            assert watcher.comes_next > (msn, part)
            assert f"_{msn}_{part}.mp4" in watcher.text
        assert there.hls.counts.waiting == 0


async def test_a_part_that_is_hinted_comes_when_it_is_there() -> None:
    async with hls_site() as there:
        encoder = await there.encoder()
        watcher = await there.viewer()
        for _ in range(3):
            await watcher.playlist()
            name = watcher.hinted
            watcher.ask(name)
            await eventually(lambda: there.hls.counts.waiting == 1)
            await encoder.go_on(5)
            body = await watcher.read()
            package = there.packages.find(key(), 0.0)
            assert package is not None
            assert watcher.status == 200
            assert body == package.file(name)
            assert body[4:8] in (b"moof", b"styp", b"emsg", b"prft")


async def test_who_watches_is_no_stranger_however_it_is_answered() -> None:
    async with hls_site() as there:
        await there.encoder()
        # As ffmpeg asks: never without aiohttp.
        watcher = await there.viewer(Range="bytes=0-")
        connections = there.house.stats.connections
        assert connections["pending"] == 0
        watcher.browser = await there.site.browser()
        await watcher.playlist()
        assert (connections["pending"], connections["playing"]) == (0, 2)


async def test_what_renditions_have_is_counted_once_for_a_viewer() -> None:
    async with hls_site() as there:
        await there.encoder()
        await there.viewer()
        (viewer,) = there.hls.viewers._by_session.values()
        counted = []
        # What there was is not fetched, what comes is; the last one is another's, which has begun anew.
        for made in (50, 80, 80, 10):
            viewer.offer("720p", made)
            counted.append(viewer.figures().bytes_out)
        assert counted == [0, 30, 30, 40]
        for number in range(100):
            viewer.offer(f"{number}p", 1)
        assert len(viewer._offered) <= 32


async def test_who_watches_is_a_player_and_a_session_until_no_playlist_is_asked_for() -> None:
    async with hls_site() as there:
        encoder = await there.encoder()
        watcher = await there.viewer()
        stats, sessions = there.house.stats, there.house.registry.sessions
        assert (stats.players, stats.other_players["hls"]) == (1, 1)
        assert stats.time_to_first_frame.count == 0
        await watcher.playlist()
        assert stats.time_to_first_frame.count == 1
        (session,) = [each for each in sessions if each.origin.protocol == "hls"]
        assert [use.key for use in session.uses] == [key()]
        for name in watcher.files[:-1]:
            await watcher.get(name)
        assert session.figures().bytes_out == 0
        known = watcher.parts
        await encoder.go_on(20)
        await watcher.playlist()
        # Whatever connection it comes by, it fetches what is new to it.
        watcher.browser = await there.site.browser()
        news = [len(await watcher.get(name)) for name in watcher.parts if name not in known]
        assert session.figures().bytes_out == sum(news) > 1000
        (viewer,) = there.hls.viewers._by_session.values()
        viewer.seen_at -= 19.0
        there.hls.look()
        assert stats.players == 1
        viewer.seen_at -= 2.0
        held = there.house.registry.budget.used
        there.hls.look()
        assert stats.players == 0
        assert there.house.registry.budget.used == held  # As it may go on.
        # It had only paused.
        await encoder.go_on(5)
        assert "#EXTM3U" in await watcher.playlist()
        assert stats.players == 1
        assert stats.plays_total == 2


async def test_who_comes_when_a_stream_that_has_ended_is_live_anew_is_shown_what_is_live() -> None:
    async with hls_site(hls=HlsRules(segment=1.0, grace=0.0)) as there:
        first = await there.encoder()
        early = await there.viewer()
        await end(there, first)
        assert "#EXT-X-ENDLIST" in await early.playlist()
        await there.encoder()
        # Who watches the old one has it until somebody comes.
        assert "#EXT-X-ENDLIST" in await early.playlist()
        late = await there.viewer()
        assert "#EXT-X-ENDLIST" not in await late.playlist()
        for name in late.files[:-1]:
            await late.get(name)
            assert late.status == 200


async def test_names_of_a_run_that_is_over_are_of_nothing_however_they_are_asked_for() -> None:
    async with hls_site(hls=HlsRules(segment=1.0, grace=0.0)) as there:
        first = await there.encoder()
        early = await there.viewer()
        await early.playlist()
        name = early.files[0]
        await end(there, first)
        await there.encoder()
        late = await there.viewer()
        # A cache has nothing of the new one by an old name, and players no number of another count.
        assert late.uri.partition("?")[0] != early.uri.partition("?")[0]
        for asked in (name, early.uri, f"{early.uri}&_HLS_msn=3"):
            await early.get(asked)
            assert early.status == 404
            assert early.browser.headers["cache-control"] == "no-store"


async def test_media_of_a_stream_that_is_over_are_waited_for_by_nobody() -> None:
    async with hls_site() as there:
        for path in ("/live/cam/main_00000000_3.mp4", "/live/cam/main_00000000_init_0.mp4"):
            browser = await there.site.get(path)
            assert browser.status == 404
            assert "kept no more" in await browser.body()
        assert there.house.stats.plays_total == 0


async def test_who_goes_back_keeps_what_has_ended_as_long_as_they_fetch_it() -> None:
    async with hls_site(hls=HlsRules(segment=1.0, grace=0.0, idle=30.0)) as there:
        encoder = await there.encoder()
        watcher = await there.viewer()
        await watcher.playlist()
        name = watcher.files[0]
        await end(there, encoder)
        package = there.packages._packages[key()]
        for status in (200, 200, 404):
            package._wanted_at -= 20.0 if status == 200 else 31.0
            there.packages.look()
            await watcher.get(name)
            assert watcher.status == status


async def test_who_waits_when_a_package_is_dropped_is_told_of_nothing() -> None:
    async with hls_site() as there:
        await there.encoder()
        watcher = await there.viewer()
        await watcher.playlist()
        msn, part = watcher.comes_next
        watcher.ask(watcher.uri, f"_HLS_msn={msn}&_HLS_part={part}")
        await eventually(lambda: there.hls.counts.waiting == 1)
        there.packages._packages[key()].drop()
        await watcher.read()
        assert (watcher.status, watcher.browser.headers["cache-control"]) == (404, "no-store")


async def test_requests_behind_one_that_waits_are_answered_in_their_order() -> None:
    async with hls_site() as there:
        encoder = await there.encoder()
        watcher = await there.viewer()
        await watcher.playlist()
        await watcher.playlist()
        msn, part = watcher.comes_next
        name = watcher.files[0]
        watcher.ask(watcher.uri, f"_HLS_msn={msn}&_HLS_part={part}")
        await eventually(lambda: there.hls.counts.waiting == 1)
        watcher.ask(name)
        watcher.ask("nothing.m3u8")
        watcher.ask(name)
        await asyncio.sleep(0.05)
        assert there.hls.counts.waiting == 1
        await encoder.go_on(5)
        assert b"#EXTM3U" in await watcher.read()
        first = await watcher.read()
        assert first[4:8] == b"ftyp"
        await watcher.read()
        assert watcher.status == 403
        assert await watcher.read() == first


async def test_who_goes_back_is_sent_what_is_on_the_drive(tmp_path: Path) -> None:
    rules = HlsRules(segment=1.0, window=3.0, dvr=60.0, dvr_bytes=1 << 30)
    async with hls_site(hls=rules) as there:
        there.packages.apply(str(tmp_path))
        encoder = await there.encoder(seconds=3)
        watcher = await there.viewer()
        await watcher.playlist()
        # Behind those that the first viewer was shown in haste.
        name = [each for each in watcher.files if re.fullmatch(r"main_[^_]+_\d+\.mp4", each)][-1]
        whole = await watcher.get(name)
        package = there.packages.find(key(), 0.0)
        assert package is not None
        for _ in range(12):
            await encoder.go_on(FRAMES)
        await eventually(lambda: package.file(name) is None)
        held = there.house.context.registry.budget.used
        await watcher.playlist()
        assert name in watcher.files
        assert await watcher.get(name) == whole
        assert watcher.browser.headers["etag"] == f'"{name}"'
        assert watcher.browser.headers["cache-control"].endswith("immutable")
        await eventually(lambda: there.house.context.registry.budget.used <= held)
        assert await watcher.get(name.replace(".mp4", "7.mp4"))
        assert watcher.status == 404


async def test_a_stream_that_is_published_in_variants_alone_is_watched_by_its_own_name() -> None:
    async with hls_site(hls=HlsRules(segment=1.0, variants=("{name}_low",))) as there:
        assert (await there.site.get("/live/cam/index.m3u8", "HEAD")).status == 404
        encoder = await there.encoder(name="cam_low")
        assert (await there.site.get("/live/cam/index.m3u8", "HEAD")).status == 200
        watcher = await there.viewer()
        assert watcher.uri.startswith("v1-main_00000000.m3u8?")
        await watcher.playlist()
        assert (await watcher.get(watcher.files[-2]))[4:8] in (b"moof", b"styp")
        stats = there.house.stats
        assert (stats.players, stats.other_players["hls"]) == (1, 1)
        await encoder.go_on(60)
        first = watcher.text
        assert await watcher.playlist() != first
