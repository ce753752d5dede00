"""Streams as MP4 by GET and by WebSocket: what comes first, what is shared, what changes, how it ends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

import pytest
from engine_kit import inter, keyframe, metadata, sound
from fragment_kit import PICTURE, SMALLER, SOUND, boxes, told
from http_kit import Archive, Browser, Site, frame, site
from net_kit import PATIENCE, Client, eventually

from rtmpd.engine.delayed import DelayedStream
from rtmpd.engine.key import StreamKey
from rtmpd.engine.mp4_wire import Mp4Wish
from rtmpd.engine.registry import Registry
from rtmpd.engine.sink import CloseReason, PlayOptions
from rtmpd.http.mp4 import Mp4Answers
from rtmpd.packaging.fragment_rules import Cut, FragmentRules
from rtmpd.packaging.fragmenter import Fragmenter
from rtmpd.packaging.fragments import LINGER, Fragments
from rtmpd.serving.server import ConnectionLimits

PATH = "/live/cam.mp4"
HEADERS = ((0, PICTURE), (0, SOUND))
KEY = StreamKey("live", "cam")


class Kitchen:
    """Who makes MP4 of the streams of a site."""

    def __init__(self, there: Site) -> None:
        self.there = there
        self.rule: FragmentRules | None = FragmentRules(Cut.FRAME, 0.2)
        self.late = 0.0
        """Added to the clock by which it is looked who is idle."""
        names = count(1)
        registry: Registry = there.house.registry
        clock = there.house.context.clock
        self.fragments = Fragments(registry, lambda: clock() + self.late, lambda: f"time{next(names)}")

    def rules(self, path: str) -> FragmentRules | None:
        assert path.count("/")
        return self.rule

    def find(self, key: StreamKey, wish: Mp4Wish, options: PlayOptions) -> Fragmenter:
        return self.fragments.find(key, wish, options)

    @property
    def audiences(self) -> list[DelayedStream]:
        stream = self.there.house.registry.streams.get(KEY)
        return [] if stream is None else list(stream.apart.values())

    def rest(self) -> None:
        """Nobody watches for long."""
        self.fragments.look()
        self.late += LINGER
        self.fragments.look()


@asynccontextmanager
async def kitchen(**settings: Any) -> AsyncIterator[tuple[Site, Kitchen]]:
    async with site(**settings) as there:
        cook = Kitchen(there)
        there.http.ways.offer(".mp4", Mp4Answers(cook).answer)
        yield there, cook
        cook.fragments.close()
        assert there.house.registry.budget.queue_bytes == 0


async def on_air(there: Site, *media: tuple[int, bytes]) -> Client:
    encoder = await (await there.house.client()).publish()
    encoder.send((0, metadata(videocodecid=7.0, audiocodecid=10.0)), *HEADERS, *media)
    stats = there.house.stream().stats
    await eventually(lambda: stats.video.messages_in + stats.audio.messages_in == 2 + len(media))
    return encoder


BEGIN = ((0, keyframe("A")), (20, sound("a")), (40, inter("B")))


class Film:
    """What comes of an endless file, in words."""

    def __init__(self, browser: Browser) -> None:
        self.browser = browser
        self._data = b""

    async def until(self, last: str) -> str:
        text = ""
        async with asyncio.timeout(PATIENCE):
            while last not in text.split():
                data = await self.browser.reader.read(1 << 16)
                assert data, f"the end behind {text}"
                self._data += data
                whole = 0
                while len(self._data) - whole >= 8:
                    size = int.from_bytes(self._data[whole : whole + 4], "big")
                    if whole + size > len(self._data):
                        break
                    whole += size
                if self._data[whole - 8 : whole] and _ends_whole(self._data[:whole]):
                    text = f"{text} {told(self._data[:whole])}".strip()
                    self._data = self._data[whole:]
        return text


def _ends_whole(data: bytes) -> bool:
    return [kind for kind, _ in boxes(data)][-1] in ("moov", "mdat")


async def film(there: Site, query: str = "") -> Film:
    return Film(await there.get(PATH + query))


async def message(browser: Browser) -> str | dict[str, Any]:
    """The next one: what is told, or a fragment or an init segment in words."""
    opcode, payload = await browser.frame()
    if opcode == 0x81:
        found: dict[str, Any] = json.loads(payload)
        return found
    assert opcode == 0x82
    return told(payload)


async def messages(browser: Browser, number: int) -> list[str | dict[str, Any]]:
    return [await message(browser) for _ in range(number)]


async def closed(browser: Browser) -> tuple[int, str]:
    """Code and reason of its end."""
    opcode, payload = await browser.frame()
    assert opcode == 0x88
    return int.from_bytes(payload[:2], "big"), payload[2:].decode()


async def test_a_late_joiner_is_sent_an_init_segment_and_the_gop_at_once() -> None:
    async with kitchen() as (there, _):
        encoder = await on_air(there, *BEGIN)
        player = await film(there)
        assert (player.browser.status, player.browser.headers["content-type"]) == (200, "video/mp4")
        assert await player.until("v:B@1040") == "<video+audio> v:A@1000 a:a@1020 v:B@1040"
        encoder.send((43, sound("b")), (80, inter("C")))
        assert await player.until("v:C@1080") == "a:b@1043 v:C@1080"
        assert there.house.stats.time_to_first_frame.count == there.house.stats.players == 1
        encoder.call("FCUnpublish", 6, "cam")
        assert await player.browser.closed() == b""
        await eventually(lambda: not there.house.stats.players)


async def test_by_websocket_each_is_a_message_and_an_init_segment_is_told_before() -> None:
    async with kitchen() as (there, _):
        encoder = await on_air(there, *BEGIN)
        page = await there.socket(PATH)
        assert await messages(page, 5) == [
            {
                "type": "init",
                "timeline": "time2",
                "mime": 'video/mp4; codecs="avc1.42c01e,mp4a.40.2"',
                "tracks": [
                    {"id": 1, "kind": "video", "codec": "avc1.42c01e", "width": 640, "height": 360},
                    {"id": 2, "kind": "audio", "codec": "mp4a.40.2", "sample_rate": 44100, "channels": 2},
                ],
                "fragment": "frame",
                "delay": 0.0,
            },
            "<video+audio>",
            "v:A@1000",
            "a:a@1020",
            "v:B@1040",
        ]
        encoder.send((80, inter("C")))
        assert await message(page) == "v:C@1080"
        page.writer.write(frame(9, b"are you there"))
        assert await page.frame() == (0x8A, b"are you there")
        await encoder.close()
        assert await closed(page) == (1000, "Nobody publishes this stream any more.")


async def test_all_with_one_wish_are_sent_the_same_and_it_is_made_once() -> None:
    async with kitchen() as (there, cook):
        encoder = await on_air(there, *BEGIN)
        first, second, page = await film(there), await film(there), await there.socket(PATH)
        begin = "<video+audio> v:A@1000 a:a@1020 v:B@1040"
        assert await first.until("v:B@1040") == await second.until("v:B@1040") == begin
        assert len(await messages(page, 5)) == 5
        assert (len(cook.fragments), cook.fragments.stats.fragments) == (1, 3)
        encoder.send((80, keyframe("C")))
        assert await first.until("v:C@1080") == await second.until("v:C@1080") == "v:C@1080"
        late = await film(there)
        assert await late.until("v:C@1080") == "<video+audio> v:C@1080"
        assert there.house.stream().players == 4


async def test_parts() -> None:
    async with kitchen() as (there, cook):
        encoder = await on_air(there, *BEGIN)
        page = await there.socket(f"{PATH}?fragment=part")
        encoder.send((200, inter("C")), (220, keyframe("D")), (440, inter("E")))
        begin = await messages(page, 3)
        assert isinstance(begin[0], dict)
        assert begin[0]["fragment"] == "part"
        assert begin[1:] == ["<video+audio>", "v:A@1000+v:B+v:C+a:a@1020"]
        late = await film(there, "?fragment=part")
        assert await late.until("v:D@1220+v:E") == "<video+audio> v:D@1220+v:E"
        cook.rule = FragmentRules(Cut.PART, 0.2)
        by_default = await film(there)
        assert await by_default.until("v:D@1220+v:E")
        assert len(cook.fragments) == 1
        answer = await there.get(f"{PATH}?fragment=half")
        assert (answer.status, await answer.body()) == (
            400,
            "Write fragment=frame or fragment=part, or leave it out.\n",
        )


@pytest.mark.parametrize(
    ("query", "type_", "begin"),
    [
        ("?only=audio", "audio/mp4", "<audio> a:a@1000"),
        ("?only=video", "video/mp4", "<video> v:A@1000 v:B@1040"),
    ],
)
async def test_one_medium_alone(query: str, type_: str, begin: str) -> None:
    async with kitchen() as (there, _):
        await on_air(there, *BEGIN)
        player = await film(there, query)
        assert player.browser.headers["content-type"] == type_
        assert await player.until(begin.split()[-1]) == begin


async def test_who_comes_first_waits_and_is_told_when_nobody_comes() -> None:
    async with kitchen(wait_timeout=0.1) as (there, cook):
        player = await there.get(PATH)
        assert (player.status, await player.body()) == (404, "Nobody published cam within 0.1 s.\n")
        page = await there.socket(PATH)
        assert await closed(page) == (1000, "Nobody published cam within 0.1 s.")
        cook.rest()
        assert not there.house.registry.streams
    async with kitchen() as (there, _):
        waiting = (await there.browser()).ask(PATH)
        await eventually(lambda: there.house.stats.players)
        await on_air(there, *BEGIN)
        assert await waiting.head() == 200
        assert await Film(waiting).until("v:B@1040") == "<video+audio> v:A@1000 a:a@1020 v:B@1040"


async def test_another_size_is_told_by_websocket_and_ends_a_file() -> None:
    async with kitchen() as (there, _):
        encoder = await on_air(there, *BEGIN)
        page, player = await there.socket(PATH), await film(there)
        await messages(page, 5)
        await player.until("v:B@1040")
        encoder.send((80, SMALLER), (80, keyframe("C")), (103, sound("c")))
        change, init, *rest = await messages(page, 4)
        assert isinstance(change, dict)
        assert (change["timeline"], change["tracks"][0]["width"]) == ("time2", 320)
        assert (init, rest) == ("<video+audio>", ["v:C@1080", "a:c@1102"])
        assert await player.browser.closed() == b""
        late = await film(there)
        assert await late.until("a:c@1102") == "<video+audio> v:C@1080 a:c@1102"


async def test_a_stream_that_comes_back_begins_another_time() -> None:
    async with kitchen() as (there, _):
        encoder = await on_air(there, *BEGIN)
        page = await there.socket(PATH)
        begin = await messages(page, 5)
        await encoder.close()
        await closed(page)
        await on_air(there, *BEGIN)
        again = await messages(await there.socket(PATH), 5)
        assert again[1:] == begin[1:]
        assert isinstance(begin[0], dict)
        assert again[0] == begin[0] | {"timeline": "time3"}


async def test_a_codec_that_mp4_cannot_hold_is_said() -> None:
    async with kitchen() as (there, cook):
        encoder = await (await there.house.client()).publish()
        encoder.send((0, PICTURE), (0, b"\xb2speex"), (0, keyframe("A")), (20, b"\xb2speex"))
        await eventually(lambda: there.house.stream().stats.audio.messages_in == 2)
        answer = await there.get(PATH)
        assert answer.status == 415
        text = (await answer.body()).strip()
        assert text.endswith(".")
        page = await there.socket(PATH)
        assert await closed(page) == (4415, text)
        player = await film(there, "?only=video")
        assert await player.until("v:A@1000") == "<video> v:A@1000"
        assert there.house.stats.players_closed[CloseReason.CODEC] == 2
        cook.rest()


async def test_a_codec_that_comes_later_ends_who_watches() -> None:
    async with kitchen() as (there, _):
        encoder = await on_air(there, *BEGIN)
        page, player = await there.socket(PATH), await film(there)
        await messages(page, 5)
        await player.until("v:B@1040")
        # Sound without a header that is another one each moment is not believed.
        encoder.send(*[(43 + round(number * 23.22), sound("a")) for number in range(60)])
        await messages(page, 60)
        encoder.send((1500, b"\xb2speex"))
        assert (await closed(page))[0] == 4415
        await player.browser.closed()


async def test_what_nobody_watches_is_made_no_more() -> None:
    async with kitchen() as (there, cook):
        encoder = await on_air(there, *BEGIN)
        player = await film(there)
        await player.until("v:B@1040")
        stream = there.house.stream()
        assert len(stream.taps) == len(cook.audiences) == 1
        cook.rest()
        assert len(cook.fragments) == 1
        player.browser.writer.close()
        await eventually(lambda: not stream.players)
        cook.fragments.look()
        assert len(cook.fragments) == 1
        cook.rest()
        assert (len(cook.fragments), len(stream.taps), cook.audiences) == (0, 0, [])
        made = cook.fragments.stats.fragments
        encoder.send((80, inter("C")))
        await eventually(lambda: stream.stats.video.messages_in == 4)
        assert cook.fragments.stats.fragments == made
        again = await film(there)
        assert await again.until("v:C@1080") == "<video+audio> v:A@1000 a:a@1020 v:B@1040 v:C@1080"


async def test_it_is_played_and_not_published() -> None:
    async with kitchen() as (there, cook):
        answer = await there.get(PATH, "POST")
        assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD, OPTIONS")
        assert "POST FLV" in await answer.body()
        assert (await there.get(PATH, "HEAD")).status == 404
        await on_air(there, *BEGIN)
        answer = await there.get(PATH, "HEAD")
        assert (answer.status, answer.headers["content-type"]) == (200, "video/mp4")
        cook.rule = None
        assert (await there.get(PATH)).status == 404
        assert not len(cook.fragments)


async def test_players_are_told_apart_and_kicked_and_leave_records() -> None:
    async with kitchen() as (there, _):
        archive = Archive(there.house)
        encoder = await on_air(there, *BEGIN)
        page, player = await there.socket(PATH), await film(there)
        await messages(page, 5)
        await player.until("v:B@1040")
        handles = {handle.origin.protocol: handle for handle in there.house.registry.sessions}
        assert {"http-mp4", "ws-mp4"} < set(handles)
        assert there.house.stats.other_players == {"http-mp4": 1, "ws-mp4": 1}
        for protocol in ("http-mp4", "ws-mp4"):
            handles[protocol].dismiss(CloseReason.KICKED, None)
        assert await closed(page) == (1008, "The server ended this play: kicked.")
        assert await player.browser.closed() == b""
        await eventually(lambda: len(archive.records) == 2)
        assert {record.origin.protocol for record in archive.records} == {"http-mp4", "ws-mp4"}
        await encoder.close()
        await eventually(lambda: len(archive.records) == 3)


async def test_who_chooses_less_than_everything_is_bounded() -> None:
    async with kitchen() as (there, cook):
        await on_air(there, *BEGIN)
        for track in range(1, 9):
            (await there.browser()).ask(f"{PATH}?track={track}")
        await eventually(lambda: len(cook.fragments) == 8)
        answer = await there.get(f"{PATH}?track=9")
        assert answer.status == 503
        assert "8 sets of tracks" in await answer.body()
        plain = await film(there)
        assert await plain.until("v:B@1040")


async def test_a_track_is_made_by_its_name() -> None:
    from obs_kit import recording

    async with kitchen() as (there, _):
        encoder = await (await there.house.client()).publish()
        encoder.say(*recording("multitrack")[:60])
        stats = there.house.stats
        await eventually(lambda: there.house.stream().seat.intake.shows_video)
        player = await there.get("/live/cam@240p.mp4")
        assert player.status == 200
        async with asyncio.timeout(PATIENCE):
            head = await player.reader.readuntil(b"avc1")
            entry = await player.reader.readexactly(32)
        assert b"moov" in head
        assert (int.from_bytes(entry[24:26], "big"), int.from_bytes(entry[26:28], "big")) == (426, 240)
        there.house.stream().seat.live_since -= 10.0
        other = await there.get("/live/cam@720p.mp4")
        assert (other.status, await other.body()) == (
            404,
            "cam has no track 720p: it has 360p, 240p, 144p.\n",
        )
        assert stats.players == 1
    async with kitchen() as (there, _):
        waiting = await there.get("/live/cam@240p.mp4")
        assert waiting.status == 404
        assert "not known yet whether cam has a track 240p" in await waiting.body()


async def test_plays_cost_more_than_any_request_does() -> None:
    async with kitchen(connections=ConnectionLimits(max_command_cost_per_address=200)) as (there, _):
        await on_air(there, *BEGIN)
        begun = asyncio.get_running_loop().time()
        for _ in range(14):
            assert (await there.get(PATH)).status == 200
        assert asyncio.get_running_loop().time() - begun > 0.3
