"""What a server cannot make its client do: work without end, or keep answers that it does not read."""

from __future__ import annotations

import asyncio
import time

import pytest
from client_kit import Peer, scripted_server

import rtmpd
from rtmpd.rtmp.commands import Command
from rtmpd.rtmp.constants import MessageType
from rtmpd.rtmp.limits import Limits
from rtmpd.rtmp.messages import Message

AUDIO = MessageType.AUDIO
SOUND = b"\xaf\x01"


async def test_a_server_that_sends_too_many_messages_is_read_more_slowly() -> None:
    limits = Limits(ping_interval=0, max_messages=500, max_messages_burst=100, max_messages_per_turn=10)
    async with scripted_server() as server, await rtmpd.connect(server.url, limits=limits) as connection:
        player = await connection.play("cam")
        peer = server.peers[0]
        began = time.monotonic()
        for _ in range(2):
            for number in range(150):
                peer.session.send_message(Message(AUDIO, number, 1, SOUND), 6)
            peer.flush()
            got = []
            while len(got) < 150:
                message = await anext(player)
                if message.type == AUDIO:
                    got.append(message.timestamp)
            assert got == list(range(150)), "slowly, and whole"
        # 200 more than may come at once.
        assert time.monotonic() - began >= 0.3
        assert connection.state is rtmpd.ConnectionState.CONNECTED


async def test_others_have_their_turn_while_a_server_sends_much_at_once() -> None:
    limits = Limits(ping_interval=0, max_messages_per_turn=10)
    async with scripted_server() as server, await rtmpd.connect(server.url, limits=limits) as connection:
        player = await connection.play("cam")
        peer = server.peers[0]
        for number in range(400):
            peer.session.send_message(Message(AUDIO, number, 1, SOUND), 6)
        peer.session.notify_unpublished(1)
        peer.flush()
        mailbox = player._packets
        assert mailbox is not None
        most = before = 0
        while not mailbox.finished:
            await asyncio.sleep(0)
            most, before = max(most, len(mailbox._items) - before), len(mailbox._items)
        assert 0 < most <= 20
        assert [packet.timestamp async for packet in player if packet.type == AUDIO] == list(range(400))


async def test_a_server_that_reads_no_answers_is_left() -> None:
    async with (
        scripted_server() as server,
        await rtmpd.connect(server.url, limits=Limits(ping_interval=0, max_command_cost=1_000_000)) as client,
    ):
        peer = await server.peer()
        peer.transport.pause_reading()
        await asyncio.wait_for(ask_until_closed(peer, client), 20)
        with pytest.raises(rtmpd.ConnectionLost, match="does not read the answers"):
            await client.call("x")


async def ask_until_closed(peer: Peer, client: rtmpd.Connection) -> None:
    number = 0
    while client.state is not rtmpd.ConnectionState.CLOSED:
        for _ in range(100):
            number += 1
            peer.session.send_command(Command("x" * 60, number, None, ()))
        peer.flush()
        await asyncio.sleep(0)
