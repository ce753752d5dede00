"""A recorder as one would be written: it takes packets a batch at a time, and its file is whole."""

from __future__ import annotations

import pytest
from engine_kit import AAC_HEADER, AVC_HEADER, AVC_HEADER_2, KEY, House, inter, keyframe, metadata, sound
from golden_captures import load

from rtmpd.engine.packet import ASIDE, AUDIO, CACHED_HEADER, TRACKED, VIDEO, Packet, track_id
from rtmpd.engine.packet_queue import Mark
from rtmpd.engine.sink import CloseReason, StartPolicy, TapOptions
from rtmpd.media.flv import FlvReader, FlvTag
from rtmpd.media.flv_recording import FlvRecording
from rtmpd.media.tags import END_OF_SEQUENCE, KEYFRAME, MULTITRACK, SEQUENCE_HEADER, video_flags
from rtmpd.media.tracks import track_of
from rtmpd.rtmp.chunks import ChunkReader
from rtmpd.rtmp.constants import MessageType
from rtmpd.rtmp.limits import Limits
from rtmpd.rtmp.messages import Message

MEDIA = (MessageType.AUDIO, MessageType.VIDEO, MessageType.DATA_AMF0)


class Recorder:
    """An FLV file for each publication. ``work`` is a turn of the thread that writes."""

    def __init__(self, house: House, options: TapOptions | None = None) -> None:
        self.files: list[bytes] = []
        self.packets: list[Packet] = []
        self.gaps: list[int] = []
        """How many packets came before each."""
        self.wanted = True
        self._recording = FlvRecording()
        self.tap = house.registry.tap(KEY, self, options or TapOptions(), house.loop.now)

    def ready(self) -> None:
        assert not self.wanted
        self.wanted = True

    def close(self, reason: CloseReason) -> None:
        raise AssertionError(reason)

    def work(self) -> None:
        """Write one batch."""
        if self.wanted:
            items = self.tap.take()
            self.wanted = bool(items)
            for item in items:
                if isinstance(item, Packet):
                    self.packets.append(item)
                    self._write(item)
                else:
                    self._note(item)

    def finish(self) -> None:
        while self.wanted:
            self.work()

    def tags(self, number: int = 0) -> list[FlvTag]:
        """The file as it is read back, whole."""
        reader = FlvReader()
        tags = reader.receive_data(self.files[number])
        assert not reader.incomplete
        return tags

    def _write(self, packet: Packet) -> None:
        message = Message(packet.kind, packet.timestamp & 0xFFFFFFFF, 1, packet.payload)
        self.files[-1] += self._recording.take(message)

    def _note(self, mark: Mark) -> None:
        match mark:
            case Mark.STARTED:
                self._recording = FlvRecording()
                self.files.append(b"")
            case Mark.GAP:
                self.gaps.append(len(self.packets))
            case Mark.ENDED:
                self.files[-1] += self._recording.release()


def capture(name: str) -> list[Message]:
    """What OBS sent with several tracks."""
    messages = ChunkReader(Limits()).receive_data(load(f"obs32/obs32-{name}-pub").chunks)
    return [message for message in messages if message.type in MEDIA]


def of_media(packets: list[Message] | list[FlvTag]) -> list[tuple[int, bytes]]:
    return [(packet.type, packet.payload) for packet in packets if packet.type in (AUDIO, VIDEO)]


@pytest.fixture
def house() -> House:
    return House()


def test_a_recording_has_everything_and_changes_of_headers_in_their_place(house: House) -> None:
    recorder = Recorder(house)
    for _ in range(2):
        publication = house.publish()
        sent: list[tuple[int, bytes]] = [(500, AAC_HEADER), (500, AVC_HEADER)]
        for number in range(30):
            time = 500 + 40 * number
            if number == 17:
                sent.append((time, AVC_HEADER_2))
            sent += [(time, keyframe(f"K{number}") if number % 10 in (0, 7) else inter(f"P{number}"))]
            sent += [(time + 20, sound(f"a{number}"))]
        house.send(publication, (0, metadata(width=640.0)))
        for number, media in enumerate(sent):
            house.send(publication, media)
            if number % 9 == 0:
                recorder.work()
        publication.close(CloseReason.FINISHED)
        recorder.finish()
        tags = recorder.tags(-1)
        assert b"onMetaData" in tags[0].payload
        media_tags = [tag for tag in tags if tag.type != MessageType.DATA_AMF0]
        assert [tag.payload for tag in media_tags] == [payload for _, payload in sent]
        assert [tag.timestamp for tag in media_tags] == [time - 500 for time, _ in sent]
    assert (len(recorder.files), recorder.gaps, recorder.tap.dropped) == (2, [], 0)


@pytest.mark.parametrize("name", ["multitrack", "multitrack-scenecut", "single-vod", "av1-multitrack"])
def test_a_recording_has_every_track(house: House, name: str) -> None:
    recorder = Recorder(house)
    publication = house.publish()
    messages = capture(name)
    for number, message in enumerate(messages):
        publication.receive(message, house.loop.now)
        if number % 7 == 0:
            house.loop.run(house.loop.now)
            recorder.work()
    publication.close(CloseReason.FINISHED)
    recorder.finish()
    assert of_media(recorder.tags()) == of_media(messages)
    for packet in recorder.packets:
        if packet.flags & MULTITRACK:
            assert packet.flags & TRACKED
            assert track_id(packet) == track_of(packet.payload)
            assert bool(packet.flags & ASIDE) == (track_id(packet) > 0)


@pytest.mark.parametrize("start", StartPolicy)
@pytest.mark.parametrize("join_at", [0, 3, 100, 201, 307])
def test_a_recorder_that_joins_or_is_too_slow_writes_what_can_be_decoded(
    house: House, start: StartPolicy, join_at: int
) -> None:
    publication = house.publish()
    recorder: Recorder | None = None
    for number, message in enumerate(capture("multitrack-scenecut")):
        if number == join_at:
            recorder = Recorder(house, TapOptions(start=start, max_bytes=100_000))
        publication.receive(message, house.loop.now)
        house.loop.run(house.loop.now)
        if recorder is not None:
            assert recorder.tap.held_bytes == house.registry.budget.queue_bytes <= 110_000
            if number % 60 == 0:
                recorder.work()
    publication.close(CloseReason.FINISHED)
    assert recorder is not None
    recorder.finish()
    assert recorder.gaps
    assert len(recorder.tags()) == len(recorder.packets)
    assert recorder.tap.dropped == sum(house.stats.drops.values()) > 0
    if start is not StartPolicy.LIVE:
        assert_decodable(recorder)


def assert_decodable(recorder: Recorder) -> None:
    """Each track has its header first, and begins with a keyframe after every gap."""
    described: set[tuple[int, int]] = set()
    begun: set[int] = set()
    for number, packet in enumerate(recorder.packets):
        if number in recorder.gaps:
            begun.clear()
        track = track_id(packet)
        if packet.flags & SEQUENCE_HEADER:
            described.add((packet.kind, track))
        elif packet.kind in (AUDIO, VIDEO) and not packet.flags & (CACHED_HEADER | END_OF_SEQUENCE):
            assert (packet.kind, track) in described
            if packet.kind == VIDEO:
                assert track in begun or video_flags(packet.payload) & KEYFRAME
                begun.add(track)


def test_two_recorders_of_one_stream_refer_to_the_same_media(house: House) -> None:
    quick, slow = Recorder(house), Recorder(house, TapOptions(max_bytes=2000))
    publication = house.publish()
    house.send_headers(publication)
    for time in range(0, 800, 40):
        house.send(publication, (time, keyframe(f"K{time}") if time % 200 == 0 else inter(f"P{time}")))
        quick.work()
        if time == 480:
            slow.finish()
    publication.close(CloseReason.FINISHED)
    quick.finish()
    slow.finish()
    assert slow.gaps
    assert not quick.gaps
    assert {id(packet) for packet in slow.packets} <= {id(packet) for packet in quick.packets}
