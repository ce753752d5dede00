"""Publishing a file: pace, rounds, reconnects, endings."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from client_kit import (
    AAC_HEADER,
    AVC_HEADER,
    Peer,
    Script,
    ScriptedServer,
    accept,
    keyframe,
    scripted_server,
    stranger,
)
from net_kit import eventually

from rtmpd.client.connect import connect
from rtmpd.exceptions import (
    ClientError,
    ConnectFailed,
    ConnectionClosed,
    ConnectionLost,
    FlvError,
    HandshakeError,
    PublishRejected,
    StreamFailed,
)
from rtmpd.media import flv
from rtmpd.net.backoff import Backoff
from rtmpd.rtmp import commands
from rtmpd.rtmp.amf import EcmaArray, encode_values
from rtmpd.rtmp.constants import StatusCode, StatusLevel
from rtmpd.rtmp.events import ConnectRequested, PublishEnded, PublishRequested, ServerEvent
from rtmpd.rtmp.messages import Message
from rtmpd.rtmp.url import RtmpUrl
from rtmpd.tools import file_publisher
from rtmpd.tools.file_publisher import FilePublisher, Pacer, PublishPlan, PublishState
from rtmpd.tools.flv_files import FlvSource
from rtmpd.tools.route import Route

AUDIO, VIDEO, DATA = 8, 9, 18
SET_DATA_FRAME = encode_values("@setDataFrame")
METADATA = encode_values("onMetaData", EcmaArray(duration=2.0))
END = b"\x17\x02\0\0\0"
Tag = tuple[int, int, bytes]

HEADERS: list[Tag] = [(DATA, 0, METADATA), (VIDEO, 0, AVC_HEADER), (AUDIO, 0, AAC_HEADER)]


def frames(count: int, size: int = 100, gop: int = 5) -> list[Tag]:
    """Video every 40 ms, sound right behind it."""
    tags: list[Tag] = []
    for number in range(count):
        body = number.to_bytes(4, "big") + bytes(size)
        head = b"\x17\x01\0\0\0" if number % gop == 0 else b"\x27\x01\0\0\0"
        tags += [(VIDEO, 40 * number, head + body), (AUDIO, 40 * number + 1, b"\xaf\x01" + body[:20])]
    return tags


@pytest.fixture
def save(tmp_path: Path) -> Callable[[list[Tag]], FlvSource]:
    def save(tags: list[Tag]) -> FlvSource:
        path = tmp_path / "clip.flv"
        path.write_bytes(flv.encode_header(True, True) + b"".join(flv.encode_tag(*tag) for tag in tags))
        return FlvSource(str(path))

    return save


def heard(peer: Peer) -> list[Tag]:
    """Media that the server got, metadata as it stands in files."""
    return [
        (event.type, event.timestamp, event.payload.removeprefix(SET_DATA_FRAME))
        for event in peer.heard
        if isinstance(event, Message) and event.type in (AUDIO, VIDEO, DATA)
    ]


class Desk:
    """Runs a publisher against a server and keeps what it was told."""

    def __init__(self, source: FlvSource, url: str) -> None:
        self.failures: list[ClientError] = []
        self.moves: list[str] = []
        self.source = source
        self._route = Route(
            RtmpUrl.parse(f"{url}/cam"),
            partial(connect, timeout=3.0),
            lambda url: self.moves.append(str(url)),
        )

    def publisher(self, plan: PublishPlan) -> FilePublisher:
        backoff = Backoff(lambda: 0.0, initial=0.002, maximum=0.002)
        return FilePublisher(
            self.source, self._route, plan, backoff, lambda error, delay: self.failures.append(error)
        )


def breaking(
    at: int, times: int = 1, how: Callable[[Peer], None] = lambda peer: peer.transport.abort()
) -> Script:
    """Grants everything, but ends the first connections in their ``at``-th frame of video."""
    broken: list[Peer] = []

    def script(peer: Peer, event: ServerEvent) -> None:
        accept(peer, event)
        if isinstance(event, Message) and event.type == VIDEO and peer not in broken:
            seen = sum(isinstance(event, Message) and event.type == VIDEO for event in peer.heard)
            if seen == at and len(broken) < times:
                broken.append(peer)
                how(peer)

    return script


def ask_to_move(peer: Peer, tc_url: str) -> None:
    code = StatusCode.CONNECT_RECONNECT_REQUEST
    peer.session.send_command(commands.on_status(StatusLevel.STATUS, code, "", tcUrl=tc_url))
    peer.flush()


async def publish(
    desk: Desk, plan: PublishPlan, server: ScriptedServer, peer_number: int = 0
) -> tuple[FilePublisher, Peer]:
    publisher = desk.publisher(plan)
    await publisher.run()
    peer = await server.peer(peer_number)
    await peer.closed.wait()
    return publisher, peer


Save = Callable[[list[Tag]], FlvSource]


async def test_a_file_arrives_as_it_is_and_is_ended_in_order(save: Save) -> None:
    clip = [*HEADERS, *frames(20), (VIDEO, 800, END)]
    async with scripted_server() as server:
        publisher, peer = await publish(Desk(save(clip), server.url), PublishPlan(fast=True), server)
    assert heard(peer) == clip
    assert any(isinstance(event, PublishEnded) for event in peer.heard)
    progress = publisher.progress
    assert (progress.state, progress.packets, progress.reconnects) == (PublishState.DONE, len(clip), 0)
    assert (progress.position, progress.duration) == (0.761, 2.0)
    assert progress.bytes == sum(len(payload) for _, _, payload in clip)


async def test_it_is_paced_by_its_timestamps(save: Save) -> None:
    clip = [*HEADERS, *frames(6)]
    async with scripted_server() as server:
        began = asyncio.get_running_loop().time()
        await publish(Desk(save(clip), server.url), PublishPlan(), server)
        assert asyncio.get_running_loop().time() - began >= 0.2


def test_pacing() -> None:
    pacer = Pacer()
    assert pacer.delay(1000, 50.0) == 0
    assert pacer.delay(1040, 50.0) == pytest.approx(0.04)
    assert pacer.delay(1040, 50.5) == pytest.approx(-0.46)
    pacer.start(1040, 60.0)
    assert pacer.delay(1080, 60.01) == pytest.approx(0.03)


async def test_a_loop_goes_on_in_time_and_repeats_no_header(save: Save) -> None:
    clip = [*HEADERS, *frames(4), (VIDEO, 160, END)]
    rounds = 3
    async with scripted_server() as server:
        desk = Desk(save(clip), server.url)
        publisher = desk.publisher(PublishPlan(loop=True, fast=True))
        publishing = asyncio.create_task(publisher.run())
        peer = await server.peer()
        await eventually(lambda: len(heard(peer)) >= len(HEADERS) + rounds * 8)
        publishing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await publishing
        await peer.closed.wait()
    media = heard(peer)
    assert media[: len(HEADERS)] == HEADERS
    video = [(time, payload) for kind, time, payload in media[len(HEADERS) :] if kind == VIDEO][:12]
    assert [payload for _, payload in video] == [
        payload for kind, _, payload in frames(4) if kind == VIDEO
    ] * 3
    times = [time for time, _ in video]
    assert times == [0, 40, 80, 120, 161, 201, 241, 281, 322, 362, 402, 442]
    assert publisher.progress.round >= rounds
    assert any(isinstance(event, PublishEnded) for event in peer.heard), "cancelled, it ends in order"


async def test_a_header_that_changes_in_a_loop_is_sent_again(save: Save) -> None:
    other = b"\x17\x00\0\0\0other"
    clip = [(VIDEO, 0, AVC_HEADER), *frames(2), (VIDEO, 80, other), (VIDEO, 80, keyframe())]
    async with scripted_server() as server:
        publisher = Desk(save(clip), server.url).publisher(PublishPlan(loop=True, fast=True))
        publishing = asyncio.create_task(publisher.run())
        peer = await server.peer()
        await eventually(lambda: len(heard(peer)) >= 2 * len(clip))
        publishing.cancel()
        await asyncio.wait([publishing])
    headers = [payload for kind, _, payload in heard(peer) if kind == VIDEO and payload[1] == 0]
    assert headers[:4] == [AVC_HEADER, other, AVC_HEADER, other]


async def test_after_a_break_it_resumes_at_a_key_frame_behind_the_headers(save: Save) -> None:
    clip = [*HEADERS, *frames(200, size=100_000)]
    async with scripted_server(breaking(at=12)) as server:
        desk = Desk(save(clip), server.url)
        publisher, second = await publish(desk, PublishPlan(fast=True), server, peer_number=1)
        first = await server.peer(0)
    assert len(desk.failures) == 1
    assert isinstance(desk.failures[0], ConnectionLost)
    assert (publisher.progress.reconnects, publisher.progress.state) == (1, PublishState.DONE)
    again = heard(second)
    (_, _, metadata), (_, audio_time, audio), (_, video_time, video), (_, resumed, frame) = again[:4]
    assert (metadata, audio, video) == (METADATA, AAC_HEADER, AVC_HEADER)
    assert audio_time == video_time == resumed > heard(first)[-1][1]
    assert frame[0] == 0x17
    assert again[-1] == clip[-1]
    assert [tag[:2] for tag in again[3:]] == [tag[:2] for tag in clip if tag[1] >= resumed]


async def test_sound_alone_resumes_at_once(save: Save) -> None:
    clip = [(AUDIO, 0, AAC_HEADER), *((AUDIO, 20 * n, b"\xaf\x01" + bytes(100_000)) for n in range(200))]

    def script(peer: Peer, event: ServerEvent) -> None:
        accept(peer, event)
        if isinstance(event, Message) and len(heard(peer)) == 5 and peer is server.peers[0]:
            peer.transport.abort()

    async with scripted_server(script) as server:
        _, peer = await publish(Desk(save(clip), server.url), PublishPlan(fast=True), server, peer_number=1)
    assert heard(peer)[0][2] == AAC_HEADER
    assert heard(peer)[-1] == clip[-1]


async def test_a_publish_that_the_server_ends_is_tried_again(save: Save) -> None:
    def end(peer: Peer) -> None:
        peer.session.send_command(
            commands.on_status(StatusLevel.ERROR, StatusCode.PUBLISH_BAD_NAME, "kicked"), 1
        )

    async with scripted_server(breaking(at=3, how=end)) as server:
        desk = Desk(save([*HEADERS, *frames(200, size=100_000)]), server.url)
        await publish(desk, PublishPlan(fast=True), server, peer_number=1)
    assert [type(error) for error in desk.failures] == [StreamFailed]
    assert "kicked" in str(desk.failures[0])


async def test_it_leaves_with_a_key_frame_when_its_server_wants_it_elsewhere(save: Save) -> None:
    clip = [*HEADERS, *frames(200, size=50_000)]
    async with scripted_server() as there:

        def send_away(peer: Peer) -> None:
            ask_to_move(peer, f"{there.url}?token=x")

        async with scripted_server(breaking(at=3, how=send_away)) as here:
            desk = Desk(save(clip), here.url)
            publisher, first = await publish(desk, PublishPlan(fast=True), here)
            second = await there.peer()
            await second.closed.wait()
    sent_here, sent_there = heard(first), heard(second)
    assert sent_here == clip[: len(sent_here)]
    assert {(kind, payload) for kind, _, payload in sent_there[: len(HEADERS)]} == {
        (kind, payload) for kind, _, payload in HEADERS
    }
    assert sent_there[len(HEADERS) :] == clip[len(sent_here) :], "nothing is lost, and nothing sent twice"
    assert sent_there[len(HEADERS)][2].startswith(b"\x17\x01")
    assert PublishEnded(1) in first.heard
    assert desk.moves == [f"{there.url}/cam"]
    [asked] = [event for event in second.heard if isinstance(event, ConnectRequested)]
    assert asked.params.app_query == "token=x"
    assert (publisher.progress.moves, publisher.progress.reconnects, desk.failures) == (1, 0, [])


async def test_where_it_is_sent_nobody_answers(save: Save, unused_tcp_port: int) -> None:
    """Then it goes back to where it came from."""

    def send_away(peer: Peer) -> None:
        ask_to_move(peer, f"rtmp://127.0.0.1:{unused_tcp_port}/live")

    async with scripted_server(breaking(at=3, how=send_away)) as server:
        desk = Desk(save([*HEADERS, *frames(200, size=50_000)]), server.url)
        _, second = await publish(desk, PublishPlan(fast=True), server, peer_number=1)
    assert [type(failure) for failure in desk.failures] == [ConnectFailed]
    assert heard(second)[-1][1] == 40 * 199 + 1


async def test_it_gives_up_after_the_retries(save: Save, unused_tcp_port_factory: Callable[[], int]) -> None:
    desk = Desk(save([*HEADERS, *frames(5)]), f"rtmp://127.0.0.1:{unused_tcp_port_factory()}/live")
    publisher = desk.publisher(PublishPlan(retries=2))
    with pytest.raises(ConnectFailed):
        await publisher.run()
    assert len(desk.failures) == 2
    assert publisher.unsent_bytes == 0


async def test_failures_count_from_the_last_steady_time(save: Save, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_publisher, "STEADY_SECONDS", 0.0)
    async with scripted_server(breaking(at=3, times=4)) as server:
        desk = Desk(save([*HEADERS, *frames(500, size=100_000)]), server.url)
        publisher, _ = await publish(desk, PublishPlan(fast=True, retries=1), server, peer_number=4)
    assert publisher.progress.reconnects == len(desk.failures) == 4


async def test_a_refusal_is_final_at_first(save: Save) -> None:
    def script(peer: Peer, event: ServerEvent) -> None:
        if isinstance(event, PublishRequested):
            peer.session.reject_publish(event.stream_id, StatusCode.PUBLISH_BAD_NAME, "no such key", 0)
        else:
            accept(peer, event)

    async with scripted_server(script) as server:
        desk = Desk(save([*HEADERS, *frames(5)]), server.url)
        with pytest.raises(PublishRejected, match="no such key"):
            await desk.publisher(PublishPlan()).run()
    assert desk.failures == []


async def test_a_name_still_held_by_our_broken_connection_is_asked_for_again(save: Save) -> None:
    broken = breaking(at=3)

    def script(peer: Peer, event: ServerEvent) -> None:
        if isinstance(event, PublishRequested) and len(server.peers) == 2:
            peer.session.reject_publish(event.stream_id, StatusCode.PUBLISH_BAD_NAME, "busy", 0)
        else:
            broken(peer, event)

    async with scripted_server(script) as server:
        desk = Desk(save([*HEADERS, *frames(200, size=100_000)]), server.url)
        await publish(desk, PublishPlan(fast=True), server, peer_number=2)
    assert [type(error) for error in desk.failures] == [ConnectionLost, PublishRejected]


async def test_what_speaks_no_rtmp_is_not_asked_twice(save: Save) -> None:
    async with stranger(b"HTTP/1.1 400 Bad Request\r\n\r\n") as url:
        desk = Desk(save([*HEADERS, *frames(5)]), url)
        with pytest.raises(HandshakeError, match="HTTP"):
            await desk.publisher(PublishPlan()).run()
    assert desk.failures == []


async def test_what_the_server_never_read_is_not_published(save: Save) -> None:
    """The connection breaks when all has been sent: nothing could be sent again, so it is a failure."""

    def script(peer: Peer, event: ServerEvent) -> None:
        accept(peer, event)
        if isinstance(event, Message) and event.type == DATA:
            peer.transport.abort()

    async with scripted_server(script) as server:
        desk = Desk(save([*HEADERS, *frames(5)]), server.url)
        publisher = desk.publisher(PublishPlan(fast=True))
        with pytest.raises(ConnectionClosed):
            await publisher.run()
    assert publisher.progress.state is not PublishState.DONE


async def test_a_rest_without_a_key_frame_is_not_published(save: Save) -> None:
    """After the break there is nothing to go on with, and the reason of the break is that of the failure."""

    def script(peer: Peer, event: ServerEvent) -> None:
        accept(peer, event)
        if isinstance(event, Message) and event.type == DATA:
            peer.session.end_publish(1, StatusCode.PUBLISH_FAILED, "shutting down")

    async with scripted_server(script) as server:
        desk = Desk(save([*HEADERS, *frames(200, size=100_000, gop=200)]), server.url)
        publisher = desk.publisher(PublishPlan(fast=True))
        with pytest.raises(StreamFailed, match="shutting down"):
            await publisher.run()
    assert len(server.peers) == 2
    assert publisher.progress.state is not PublishState.DONE


@pytest.mark.parametrize("answers", [False, True])
async def test_a_server_that_ends_while_it_is_asked_says_why(
    save: Save, monkeypatch: pytest.MonkeyPatch, answers: bool
) -> None:
    clip = [*HEADERS, *frames(5)]

    def end(peer: Peer) -> None:
        peer.session.end_publish(1, StatusCode.PUBLISH_FAILED, "shutting down")

    def answer(peer: Peer) -> None:
        """Answer and end in one breath."""
        said = b"".join(peer.session.data_to_send())
        if b"_result" in said:
            end(peer)
            said += b"".join(peer.session.data_to_send())
        peer.transport.write(said)

    def script(peer: Peer, event: ServerEvent) -> None:
        accept(peer, event)
        if isinstance(event, Message) and event.payload == clip[-1][2]:
            if answers:
                monkeypatch.setattr(peer, "flush", partial(answer, peer))
            else:
                end(peer)

    async with scripted_server(script) as server:
        publisher = Desk(save(clip), server.url).publisher(PublishPlan(fast=True))
        with pytest.raises(StreamFailed, match="shutting down"):
            await publisher.run()


async def test_a_server_that_answers_nothing_meanwhile_is_believed(
    save: Save, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_publisher, "_CONFIRM_SECONDS", 0.05)
    muted: list[Peer] = []

    def script(peer: Peer, event: ServerEvent) -> None:
        accept(peer, event)
        if isinstance(event, Message) and event.type == VIDEO and peer not in muted:
            muted.append(peer)
            monkeypatch.setattr(peer, "flush", lambda: None)

    async with scripted_server(script) as server:
        publisher, peer = await publish(
            Desk(save([*HEADERS, *frames(5)]), server.url), PublishPlan(fast=True), server
        )
    assert publisher.progress.state is PublishState.DONE
    assert len(heard(peer)) == 13


async def test_a_file_without_frames_is_no_endless_loop(save: Save) -> None:
    async with scripted_server() as server:
        desk = Desk(save(HEADERS), server.url)
        with pytest.raises(FlvError, match="nothing to publish"):
            await desk.publisher(PublishPlan(loop=True, fast=True)).run()


async def test_jumps_are_joined(save: Save) -> None:
    clip = [
        (VIDEO, 0, AVC_HEADER),
        (VIDEO, 0, keyframe()),
        (VIDEO, 40, keyframe()),
        (VIDEO, 10**7, keyframe()),
    ]
    async with scripted_server() as server:
        publisher, peer = await publish(Desk(save(clip), server.url), PublishPlan(), server)
    assert [time for _, time, _ in heard(peer)] == [0, 0, 40, 80]
    assert publisher.progress.jumps == 1


async def test_tags_of_no_known_type_are_left_out(save: Save) -> None:
    clip = [(15, 0, b"x"), (VIDEO, 0, AVC_HEADER), (VIDEO, 0, keyframe())]
    async with scripted_server() as server:
        _, peer = await publish(Desk(save(clip), server.url), PublishPlan(fast=True), server)
    assert heard(peer) == clip[1:]
