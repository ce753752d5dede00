"""What OBS 32 sent with several tracks, as players of each choice get it: recordings and transcripts."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import pytest
from engine_kit import (
    AAC_HEADER,
    AVC_HEADER,
    FakePublisher,
    FakeSink,
    House,
    NamedWire,
    inter,
    keyframe,
    sound,
)
from golden_captures import load

from rtmpd.engine.gop import GopLimits
from rtmpd.engine.origin import NOBODY
from rtmpd.engine.packet import AUDIO, VIDEO, PublishWire, RtmpWire
from rtmpd.engine.registry import EngineLimits
from rtmpd.engine.sink import CloseReason, PlayOptions, SlowPlayerPolicy, StartPolicy
from rtmpd.exceptions import ResourceExhausted
from rtmpd.media.codecs import video_info
from rtmpd.media.metadata import read_metadata
from rtmpd.media.tags import (
    CODED_FRAME,
    END_OF_SEQUENCE,
    KEYFRAME,
    MULTITRACK,
    SEQUENCE_HEADER,
    UNKNOWN,
    audio_flags,
    video_flags,
)
from rtmpd.media.tracks import ALL, DEFAULT, TrackChoice, plain_track, track_of
from rtmpd.rtmp.chunk_writer import encode_message
from rtmpd.rtmp.chunks import ChunkReader
from rtmpd.rtmp.constants import MessageType
from rtmpd.rtmp.limits import Limits
from rtmpd.rtmp.messages import Message

CHUNK = 1 << 20


@cache
def recording(name: str) -> tuple[Message, ...]:
    messages = ChunkReader(Limits()).receive_data(load(f"obs32/obs32-{name}-pub").chunks)
    media = (MessageType.AUDIO, MessageType.VIDEO, MessageType.DATA_AMF0)
    return tuple(message for message in messages if message.type in media)


class Viewer(FakeSink):
    """A player of RTMP that can say which messages it was sent."""

    def __init__(self, tracks: TrackChoice = DEFAULT) -> None:
        super().__init__(RtmpWire(CHUNK, 1, tracks))

    def messages(self) -> list[Message]:
        reader = ChunkReader(Limits())
        reader.receive_data(encode_message(1, 0, 0, CHUNK.to_bytes(4, "big"), 2, 128))
        return reader.receive_data(b"".join(self.writes))

    def of(self, kind: int) -> list[bytes]:
        return [message.payload for message in self.messages() if message.type == kind]


@dataclass
class Watched:
    """A recording played by somebody who waited and by somebody who joined."""

    early: Viewer
    late: Viewer
    house: House


def watch(name: str, tracks: TrackChoice = DEFAULT, join_at: int = 200, flush_every: int = 7) -> Watched:
    house = House()
    early, late = Viewer(tracks), Viewer(tracks)
    house.play(sink=early)
    publication = house.publish()
    for number, message in enumerate(recording(name)):
        if number == join_at:
            house.play(sink=late)
        publication.receive(message, house.loop.now)
        if number % flush_every == 0:
            house.loop.run(house.loop.now)
    house.loop.run(house.loop.now)
    return Watched(early, late, house)


def track_in(payload: bytes, kind: int = VIDEO) -> int:
    flags = video_flags(payload) if kind == VIDEO else audio_flags(payload)
    return track_of(payload) if flags & MULTITRACK else 0


def sent(name: str, kind: int, track: int) -> list[bytes]:
    """What the encoder sent of a track, as a stream without tracks."""
    payloads = [message.payload for message in recording(name) if message.type == kind]
    mine = [payload for payload in payloads if track_in(payload, kind) == track]
    return [plain_track(kind, payload) if track else payload for payload in mine]


RECORDINGS = {"multitrack": 3, "multitrack-scenecut": 3, "single-vod": 1, "av1-multitrack": 2}
"""With their video tracks."""
EVERY_TRACK = [(name, track) for name, tracks in RECORDINGS.items() for track in range(tracks)]


@pytest.mark.parametrize(("name", "track"), EVERY_TRACK)
def test_who_waits_gets_one_whole_track_of_each_medium(name: str, track: int) -> None:
    # The default one by not asking for any.
    early = watch(name, TrackChoice(track) if track else DEFAULT).early
    assert early.of(VIDEO) == sent(name, VIDEO, track)
    assert early.of(AUDIO) == sent(name, AUDIO, 0)
    assert not [p for p in early.of(VIDEO) if video_flags(p) & (MULTITRACK | UNKNOWN)]
    assert not [p for p in early.of(AUDIO) if audio_flags(p) & (MULTITRACK | UNKNOWN)]


@pytest.mark.parametrize(("name", "track"), EVERY_TRACK)
@pytest.mark.parametrize("join_at", [3, 100, 201, 307])
def test_who_joins_gets_the_header_and_begins_at_a_keyframe_of_its_track(
    name: str, track: int, join_at: int
) -> None:
    late = watch(name, TrackChoice(track) if track else DEFAULT, join_at).late
    header, *frames = late.of(VIDEO)
    whole = sent(name, VIDEO, track)
    assert header == whole[0]
    assert video_flags(frames[0]) & KEYFRAME
    assert frames == whole[whole.index(frames[0]) :]
    # Nobody waits for more than a group of pictures of its own track.
    skipped = [p for p in whole[whole.index(frames[0]) :] if video_flags(p) & KEYFRAME]
    assert len(skipped) >= 1
    first = next(m for m in late.messages() if m.type == MessageType.DATA_AMF0)
    assert first.timestamp == 0


def test_a_second_audio_track_is_played_by_name() -> None:
    early = watch("single-vod", TrackChoice(audio=1)).early
    assert early.of(AUDIO) == sent("single-vod", AUDIO, 1)
    assert early.of(AUDIO)[0] == bytes.fromhex("af00") + early.of(AUDIO)[0][2:]
    assert early.of(VIDEO) == sent("single-vod", VIDEO, 0)


@pytest.mark.parametrize("name", RECORDINGS)
def test_all_tracks_come_as_they_were_sent(name: str) -> None:
    watched = watch(name, ALL)
    for kind in (AUDIO, VIDEO):
        assert watched.early.of(kind) == [m.payload for m in recording(name) if m.type == kind]
    assert watched.house.stats.drops == {}


@pytest.mark.parametrize("join_at", [100, 201, 307])
def test_who_joins_all_tracks_begins_each_with_a_keyframe(join_at: int) -> None:
    late = watch("multitrack-scenecut", ALL, join_at).late
    seen: set[int] = set()
    for payload in late.of(VIDEO):
        flags, track = video_flags(payload), track_in(payload)
        if flags & CODED_FRAME and track not in seen:
            assert flags & KEYFRAME
            seen.add(track)
    assert seen == {0, 1, 2}


@pytest.mark.parametrize("name", ["multitrack", "av1-multitrack"])
def test_the_end_of_a_track_has_the_time_of_its_last_frame(name: str) -> None:
    # quirk(obs): stamped 0.
    video = [m for m in watch(name, ALL).early.messages() if m.type == MessageType.VIDEO]
    ends = [m.timestamp for m in video if video_flags(m.payload) & END_OF_SEQUENCE]
    assert ends
    assert set(ends) == {max(m.timestamp for m in video)}


def test_metadata_and_figures_are_those_of_the_track() -> None:
    watched = watch("multitrack", TrackChoice(1))
    (metadata,) = watched.early.of(MessageType.DATA_AMF0)
    assert read_metadata(metadata)["width"] == 426.0
    assert read_metadata(metadata)["audiocodecid"] == 10.0
    (header, *_) = watched.early.of(VIDEO)
    info = video_info(header)
    assert info is not None
    assert (info.width, info.height) == (426, 240)
    (metadata,) = watch("multitrack").early.of(MessageType.DATA_AMF0)
    assert read_metadata(metadata)["width"] == 640.0


def test_figures_are_the_default_tracks_and_others_have_their_own() -> None:
    stats = watch("multitrack").house.stream.stats
    assert (stats.video.codec, stats.width, stats.height) == ("avc1", 640, 360)
    assert (stats.keyframes, stats.keyframe_interval_ms, stats.keyframe_interval_max_ms) == (7, 1000, 1000)
    assert stats.video_frames == len(sent("multitrack", VIDEO, 0)) - 1
    assert stats.timestamp_regressions == 0
    tracks = {track: (t.codec, t.width, t.keyframe_interval_ms) for (_, track), t in stats.tracks.items()}
    assert tracks == {0: ("avc1", 640, 1000), 1: ("avc1", 426, 1000), 2: ("avc1", 256, 1000)}
    stats.sample(10.0)
    assert stats.frame_rate.over_1s == pytest.approx(stats.video_frames / 10, rel=0.01)
    smallest = stats.tracks[VIDEO, 2]
    assert smallest.frame_rate.over_1s == pytest.approx(smallest.frames / 10, rel=0.01)


def test_an_obs_that_is_stuck_has_sent_no_media() -> None:
    # quirk(obs): publish, onMetaData, and for ever nothing; at the end SequenceEnd of tracks never announced.
    house = House()
    publication = house.publish()
    for message in recording("stuck"):
        if message.type != MessageType.VIDEO:
            publication.receive(message, 0.0)
    house.registry.sample(6.0)
    assert list(house.stream.health.active) == ["no_media"]
    for message in recording("stuck"):
        publication.receive(message, 12.0)
    house.loop.run()
    publication.close(CloseReason.FINISHED)
    assert house.stats.publishes_without_media == 1


def test_a_push_gets_one_track_and_its_metadata_as_an_encoder_sends_it() -> None:
    house = House()
    target = Viewer()
    target.wire_format = PublishWire(CHUNK, 1)  # type: ignore[assignment]
    house.play(PlayOptions(audience=False), sink=target)
    house.send(house.publish(), *[(m.timestamp, m.payload) for m in recording("multitrack")[:200]])
    (metadata,) = target.of(MessageType.DATA_AMF0)
    assert metadata.startswith(b"\x02\x00\x0d@setDataFrame\x02\x00\x0aonMetaData")
    assert not [p for p in target.of(VIDEO) if video_flags(p) & MULTITRACK]


# Transcripts: a track is a digit, `k1` the keyframe of track 1


def head(track: int) -> bytes:
    return b"\x96\x00avc1" + bytes((track,)) + b"avcC"


def key(track: int) -> bytes:
    return b"\x96\x01avc1" + bytes((track,)) + b"\0\0\0" + f"k{track}".encode()


def p(track: int) -> bytes:
    return b"\xa6\x01avc1" + bytes((track,)) + b"\0\0\0" + f"p{track}".encode()


@dataclass(frozen=True)
class TrackWire(NamedWire):
    """Names what the real format would write."""

    def encode(self, packet):  # type: ignore[no-untyped-def]
        image = RtmpWire(CHUNK, 1, self.tracks).encode(packet)
        if not image:
            return b""
        payload = image[12:]
        flags = video_flags(payload) if packet.kind == VIDEO else audio_flags(payload)
        word = payload[-2:].decode() if flags & CODED_FRAME else "H" if flags & SEQUENCE_HEADER else "?"
        return f"{word}@{packet.timestamp} ".encode()


def viewer(house: House, tracks: TrackChoice = DEFAULT, start: StartPolicy = StartPolicy.GOP) -> FakeSink:
    return house.play(PlayOptions(start=start), sink=FakeSink(TrackWire(tracks=tracks)))[0]


@pytest.fixture
def house() -> House:
    return House()


def test_who_joins_with_a_track_is_not_shown_what_came_before_there_were_tracks(house: House) -> None:
    publication = house.publish()
    house.send(publication, (0, AVC_HEADER), (0, keyframe()), (40, inter()), (80, head(1)), (80, inter()))
    early, all_tracks, first = Viewer(TrackChoice(1)), Viewer(ALL), Viewer()
    for sink in (early, all_tracks, first):
        house.play(sink=sink)
    house.send(publication, (120, key(1)), (120, inter()), (160, p(1)))
    late = Viewer(TrackChoice(1))
    house.play(sink=late)
    frames = [plain_track(VIDEO, frame) for frame in (key(1), p(1))]
    assert early.of(VIDEO)[-2:] == late.of(VIDEO)[-2:] == frames
    for sink in (early, late):
        assert not [frame for frame in sink.of(VIDEO) if frame in (keyframe(), inter())]
    assert first.of(VIDEO) == [AVC_HEADER, keyframe(), inter(), inter(), inter()]
    assert all_tracks.of(VIDEO)[-6:] == [keyframe(), inter(), inter(), key(1), inter(), p(1)]


def test_the_lowest_track_stands_in_when_the_first_one_has_gone(house: House) -> None:
    publication = house.publish()
    watching = viewer(house)
    house.send(publication, (0, head(0)), (0, head(1)), (0, key(0)), (0, key(1)), (40, p(0)), (40, p(1)))
    assert watching.take() == "H@0 k0@0 p0@40"
    house.send(publication, (2000, key(1)), (4000, key(1)), (4040, p(1)))
    assert watching.take() == "H@4000 k1@4000 p1@4040"
    assert viewer(house).take() == "H@4000 k1@4000 p1@4040"
    assert house.stream.stats.keyframes == 2
    house.send(publication, (4080, p(0)), (6000, key(0)), (6000, key(1)), (6040, p(0)))
    assert watching.take() == "H@6000 k0@6000 p0@6040"
    assert viewer(house).take() == "H@6000 k0@6000 p0@6040"
    # A player that falls out and comes back while another track stands in gets that one's header.
    assert house.stats.drops.get("no_header") is None


def test_of_a_publication_that_goes_on_every_track_begins_anew(house: House) -> None:
    both = ((0, head(0)), (0, head(1)), (0, key(0)), (0, key(1)))
    house.send(house.publish(), *both)
    one, every = viewer(house), viewer(house, ALL)
    second = house.stream.add_publication(FakePublisher(), NOBODY, house.loop.now)
    house.send(second, *both, (40, p(0)), (40, p(1)))
    house.stream.switch(second)
    one.take()
    every.take()
    house.send(second, (80, key(1)), (80, key(0)), (80, p(1)), (120, p(0)), (120, p(1)), (160, key(1)))
    house.send(second, (200, p(0)), (200, p(1)))
    assert one.take() == "k0@40 p0@80 p0@160"
    assert every.take() == "k0@40 p0@80 k1@120 p0@160 p1@160"


def test_a_watched_player_follows_the_default_track_too(house: House) -> None:
    publication = house.publish()
    house.send(publication, (0, head(0)), (0, head(1)), (0, key(0)), (0, key(1)))
    watching = viewer(house, start=StartPolicy.KEYFRAME)
    watching.take()
    house.send(publication, (100, p(0)), (2000, key(1)), (2040, p(1)), (4000, key(1)), (4040, p(1)))
    assert watching.take() == "H@4000 k1@4000 p1@4040"
    # Frames of a track that it is not sent are no loss.
    assert house.stream.stats.totals.drops == {"waiting_keyframe": 1}


def test_a_track_begins_at_its_own_keyframe(house: House) -> None:
    publication = house.publish()
    house.send(publication, (0, head(0)), (0, head(1)), (0, key(0)))
    second, whole = viewer(house, TrackChoice(1)), viewer(house, ALL)
    house.send(publication, (0, p(1)), (40, p(0)), (80, p(1)), (500, key(1)), (540, p(1)), (540, p(0)))
    assert second.take() == "H@0 k1@500 p1@540"
    assert whole.take() == "H@0 H@0 k0@0 p0@40 k1@500 p1@540 p0@540"
    assert house.stream.stats.totals.drops == {"no_keyframe": 2}
    # Who joins begins each track where it can be decoded.
    house.send(publication, (1000, key(0)), (1040, p(1)), (1040, p(0)))
    assert viewer(house).take() == "H@1000 k0@1000 p0@1040"
    assert viewer(house, TrackChoice(1)).take() == "H@500 k1@500 p1@540 p1@1040"
    assert viewer(house, ALL).take() == "H@500 H@500 k1@500 p1@540 k0@1000 p1@1040 p0@1040"
    house.send(publication, (1500, key(1)), (1540, p(0)))
    assert viewer(house, TrackChoice(1)).take() == "H@1500 k1@1500"
    assert viewer(house).take() == "H@1000 k0@1000 p0@1040 p0@1540"


def test_a_track_whose_keyframes_are_rare_does_not_make_the_cache_grow(house: House) -> None:
    publication = house.publish()
    house.send(publication, (0, head(0)), (0, head(1)), (0, key(0)), (0, key(1)))
    for at in range(1000, 9000, 1000):
        house.send(publication, (at, key(0)), (at, p(1)), (at + 40, p(0)), (at + 40, p(1)))
    assert len(house.stream.intake.gop.packets) == 4
    assert viewer(house, TrackChoice(1)).take() == "H@8040"
    viewer(house, ALL)
    house.send(publication, (9000, key(0)), (9000, p(1)), (9040, p(0)))
    assert viewer(house, ALL).take() == "H@9000 H@9000 k0@9000 p0@9040"


def test_a_choice_of_no_such_track_gets_the_rest(house: House) -> None:
    publication = house.publish()
    house.send(publication, (0, head(0)), (0, head(1)), (0, key(0)), (0, key(1)))
    assert viewer(house, TrackChoice(7)).take() == ""


def test_every_choice_gets_a_stream_without_tracks_as_it_is(house: House) -> None:
    publication = house.publish()
    house.send(publication, (0, AVC_HEADER), (0, keyframe("k0")), (40, inter("p0")))
    for tracks in (DEFAULT, ALL, TrackChoice(3, 2)):
        assert viewer(house, tracks).take() == "H@0 k0@0 p0@40"


def test_plain_messages_are_track_0_once_there_are_tracks(house: House) -> None:
    publication = house.publish()
    first, second = viewer(house), viewer(house, TrackChoice(1))
    house.send(publication, (0, AVC_HEADER), (0, keyframe("k0")), (40, inter("p0")))
    house.send(
        publication, (80, head(1)), (80, inter("p0")), (90, p(1)), (100, key(1)), (120, keyframe("k0"))
    )
    assert first.take() == "H@0 k0@0 p0@40 p0@80 k0@120"
    assert second.take().endswith("H@80 k1@100")
    assert viewer(house, TrackChoice(1)).take() == "H@100 k1@100"
    assert viewer(house).take() == "H@120 k0@120"


def test_messages_of_many_tracks_are_cut_apart(house: House) -> None:
    def many(head: str, *parts: bytes) -> bytes:
        tracks = [bytes((n,)) + len(part).to_bytes(3, "big") + part for n, part in enumerate(parts)]
        return bytes.fromhex(head) + b"avc1" + b"".join(tracks)

    publication = house.publish()
    watching = viewer(house, TrackChoice(1))
    cts = b"\0\0\0"
    house.send(publication, (0, many("9610", b"avcC", b"avcC")), (0, many("9611", cts + b"k0", cts + b"k1")))
    house.send(publication, (40, many("a611", cts + b"p0", cts + b"p1")))
    assert watching.take() == "H@0 k1@0 p1@40"
    assert viewer(house).take() == "H@0 k0@0 p0@40"
    stats = house.stream.stats
    assert (stats.video.messages_in, stats.video_frames, stats.keyframes) == (3, 2, 1)


def test_tracks_past_the_bound_are_dropped_and_counted(house: House) -> None:
    publication = house.publish()
    house.send(publication, *[(0, head(track)) for track in range(20)], *[(0, key(t)) for t in range(20)])
    assert house.stats.drops == {"track_cap": 8}
    assert len(house.stream.stats.tracks) == 16


def test_choices_are_bounded_beside_the_default(house: House) -> None:
    publication = house.publish()
    house.send(publication, (0, head(0)), (0, key(0)))
    players = [viewer(house, TrackChoice(track)) for track in range(8)]
    assert len(players) == 8
    with pytest.raises(ResourceExhausted, match="8 sets of tracks") as refused:
        viewer(house, TrackChoice(8))
    assert refused.value.reason == "track_choices"
    viewer(house, TrackChoice(3))
    viewer(house)


def test_a_slow_player_of_a_track_comes_back_at_that_tracks_keyframe(house: House) -> None:
    publication = house.publish()
    house.send(publication, (0, head(0)), (0, head(1)), (0, key(0)), (0, key(1)))
    sink = FakeSink(TrackWire(tracks=TrackChoice(1)))
    policy = SlowPlayerPolicy(max_backlog_bytes=10, resume_backlog_bytes=5)
    house.play(PlayOptions(policy=policy), sink=sink)
    sink.take()
    sink.unsent = 100
    sink.pause()
    house.send(publication, (40, p(0)), (40, p(1)))
    sink.unsent = 0
    sink.resume()
    house.send(publication, (80, p(1)), (100, key(0)), (120, p(1)), (140, key(1)), (150, p(1)))
    assert sink.take() == "k1@140 p1@150"


def test_an_audio_track_can_take_over(house: House) -> None:
    publication = house.publish()
    track = b"\x95\x01mp4a\x01a1"
    first, second = viewer(house), viewer(house, TrackChoice(audio=1))
    house.send(publication, (0, AAC_HEADER), (0, b"\x95\x00mp4a\x01\x12\x10"), (0, sound("a0")))
    house.send(publication, (0, track), (20, sound("a0")), (20, track))
    assert first.take() == "H@0 a0@0 a0@20"
    assert second.take() == "H@0 a1@0 a1@20"
    house.send(publication, (3000, track), (3021, track))
    assert first.take() == "H@3021 a1@3021"


def test_a_new_header_of_another_track_outdates_its_frames_only(house: House) -> None:
    publication = house.publish()
    house.send(publication, (0, head(0)), (0, head(1)), (0, key(0)), (0, key(1)), (40, p(1)), (40, p(0)))
    house.send(publication, (80, head(1) + b"2"), (80, p(1)), (80, p(0)))
    assert viewer(house).take() == "H@0 k0@0 p0@40 p0@80"
    assert viewer(house, TrackChoice(1)).take() == "H@80"
    house.send(publication, (120, key(1)))
    assert viewer(house, TrackChoice(1)).take() == "H@120 k1@120"


def test_who_joins_all_tracks_is_not_written_what_live_players_could_decode(house: House) -> None:
    publication = house.publish()
    live = viewer(house, ALL)
    house.send(publication, (0, head(0)), (0, head(1)), (0, key(0)), (0, key(1)), (40, p(0)), (40, p(1)))
    house.send(publication, (1000, key(0)), (1040, p(1)), (1500, key(1)), (1540, p(1)), (2000, key(0)))
    house.send(publication, (2040, p(1)), (2080, p(0)))
    assert live.take().endswith("k0@2000 p1@2040 p0@2080")
    assert viewer(house, ALL).take() == "H@1500 H@1500 k1@1500 p1@1540 k0@2000 p1@2040 p0@2080"
    assert viewer(house, ALL).take() == "H@1500 H@1500 k1@1500 p1@1540 k0@2000 p1@2040 p0@2080"


def test_a_cache_that_grows_too_large_gives_up_other_tracks_first() -> None:
    house = House(EngineLimits(gop=GopLimits(max_bytes=2300)))
    publication = house.publish()
    house.send(publication, (0, head(0)), (0, head(1)), (0, key(0)), (0, key(1)))
    house.send(
        publication, *[(at, p(1)) for at in range(40, 240, 40)], (240, key(0)), (280, p(0)), (280, p(1))
    )
    assert viewer(house, TrackChoice(1)).take() == "H@280"
    assert viewer(house).take() == "H@240 k0@240 p0@280"
    assert house.stats.gop_overflows == 0


def test_who_gets_all_tracks_begins_with_the_default_one(house: House) -> None:
    publication = house.publish()
    house.send(publication, (0, head(0)), (0, head(1)), (0, key(0)), (0, key(1)))
    watching = viewer(house, ALL, StartPolicy.KEYFRAME)
    watching.take()
    house.send(publication, (40, key(1)), (40, p(0)), (80, key(0)), (80, key(1)))
    assert watching.take() == "k0@80 k1@80"


def stalled_and_back(house: House, *tracks: int) -> FakeSink:
    """A viewer of all tracks that had keyframes of these, lost what came next, and has drained since."""
    sink = FakeSink(TrackWire(tracks=ALL))
    policy = SlowPlayerPolicy(max_backlog_bytes=10, resume_backlog_bytes=5)
    house.play(PlayOptions(policy=policy), sink=sink)
    publication = house.stream.publication
    assert publication is not None
    house.send(publication, *[(0, head(t)) for t in tracks], *[(0, key(t)) for t in tracks])
    sink.unsent = 100
    sink.pause()
    house.send(publication, *[(40, p(track)) for track in tracks])
    sink.unsent = 0
    sink.resume()
    sink.take()
    return sink


def test_who_gets_all_tracks_goes_on_with_a_keyframe_of_each(house: House) -> None:
    publication = house.publish()
    sink = stalled_and_back(house, 0, 1, 2)
    (fanout,) = house.stream._audience._fanouts.values()
    house.send(publication, (80, key(0)), (80, p(1)), (120, p(0)), (160, key(1)), (200, p(1)), (200, p(2)))
    assert sink.take() == "k0@80 p0@120 k1@160 p1@200"
    assert len(fanout) == 0
    house.send(publication, (240, key(2)), (280, p(2)), (280, p(1)))
    assert sink.take() == "k2@240 p2@280 p1@280"
    assert len(fanout) == 1
    assert house.stream.stats.totals.drops == {"slow_video": 5}


def test_who_falls_behind_again_meanwhile_waits_for_each_anew(house: House) -> None:
    publication = house.publish()
    sink = stalled_and_back(house, 0, 1)
    house.send(publication, (80, key(0)))
    sink.unsent = 100
    sink.pause()
    house.send(publication, (120, p(0)))
    sink.unsent = 0
    sink.resume()
    house.send(publication, (160, key(1)), (160, p(0)), (200, key(0)), (240, p(1)))
    house.send(publication, (280, key(1)), (280, p(0)))
    assert sink.take() == "k0@80 k0@200 k1@280 p0@280"


def test_a_pause_holds_each_track_of_all_for_its_keyframe(house: House) -> None:
    publication = house.publish()
    sink, subscription = house.play(sink=FakeSink(TrackWire(tracks=ALL)))
    house.send(publication, (0, head(0)), (0, head(1)), (0, key(0)), (0, key(1)))
    subscription.set_paused(True)
    subscription.set_paused(False)
    sink.take()
    house.send(publication, (40, key(0)), (40, p(1)), (80, key(1)), (80, p(1)))
    assert sink.take() == "k0@40 k1@80 p1@80"


def test_a_joiner_of_all_waits_for_the_track_that_the_cache_has_no_keyframe_of(house: House) -> None:
    publication = house.publish()
    house.send(publication, (0, head(0)), (0, head(1)), (0, key(0)), (0, key(1)))
    for at in (1000, 2000, 3000):
        house.send(publication, (at, key(0)), (at, p(1)))
    sink = viewer(house, ALL)
    house.send(publication, (3040, p(0)), (3040, p(1)), (4000, key(1)), (4040, p(1)))
    assert sink.take() == "H@3000 H@3000 k0@3000 p0@3040 k1@4000 p1@4040"


def test_a_joiner_before_the_default_track_begins_waits_for_the_keyframes_of_others(house: House) -> None:
    publication = house.publish()
    house.send(publication, (0, head(0)), (0, head(1)), (0, key(1)))
    second, whole = viewer(house, TrackChoice(1)), viewer(house, ALL)
    house.send(publication, (40, p(1)), (80, key(0)), (80, p(1)), (120, key(1)), (120, p(1)))
    assert second.take() == "H@0 k1@120 p1@120"
    assert whole.take() == "H@0 H@0 k0@80 k1@120 p1@120"


def test_a_track_that_a_new_publisher_does_not_have_is_not_waited_for(house: House) -> None:
    publication = house.publish()
    sink = stalled_and_back(house, 0, 1)
    (fanout,) = house.stream._audience._fanouts.values()
    publication.close(CloseReason.FINISHED)
    house.send(house.publish(), (0, head(0)), (0, key(0)), (40, p(0)))
    assert sink.take() == "H@0 k0@0 p0@40"
    assert len(fanout) == 1


def test_what_a_plain_stream_has_no_message_for_is_left_out(house: House) -> None:
    publication = house.publish()
    watching = viewer(house)
    house.send(publication, (0, head(0)), (0, key(0)), (40, b"\x86\x04avc1\x00\x02\x00\x09colorInfo"))
    assert watching.take() == "H@0 k0@0"


def test_intervals_are_of_one_track_and_rates_end(house: House) -> None:
    house.play()
    publication = house.publish()
    house.send(publication, (0, head(0)), (0, head(1)), (0, key(0)), (0, key(1)), (4000, key(1)))
    stats = house.stream.stats
    assert stats.keyframe_interval_ms is None
    house.send(publication, (5000, key(1)))
    assert stats.keyframe_interval_ms == 1000
    stats.sample(1.0)
    assert stats.tracks[VIDEO, 1].frame_rate.over_1s > 0
    publication.close(CloseReason.FINISHED)
    assert stats.tracks[VIDEO, 1].frame_rate.over_1s == 0


def test_a_publisher_that_is_closed_for_one_track_leaves_nothing_of_the_others() -> None:
    """The second one costs the last memory, and itself the name."""
    house = House(EngineLimits(memory_bytes=100_000))
    budget = house.registry.budget
    budget.charge_partials(60_000)
    publication = house.publish()
    house.registry.add_reliever(lambda _: publication.close(CloseReason.MEMORY))
    body = b"".join(bytes((track,)) + (30_000).to_bytes(3, "big") + bytes(30_000) for track in range(3))
    house.send(publication, (0, b"\x95\x11Opus" + body))
    assert publication.closed
    assert dict(house.registry.streams) == {}
    assert budget.used == 60_000


def test_who_joins_is_told_of_all_tracks_that_it_is_sent() -> None:
    (told,) = watch("multitrack", ALL).late.of(MessageType.DATA_AMF0)
    table = read_metadata(told)["videoTrackIdInfoMap"]
    assert isinstance(table, dict)
    assert sorted(table) == ["1", "2"]
    (told,) = watch("multitrack").late.of(MessageType.DATA_AMF0)
    assert "videoTrackIdInfoMap" not in read_metadata(told)
    (told,) = watch("multitrack", TrackChoice(2)).late.of(MessageType.DATA_AMF0)
    assert (read_metadata(told)["width"], read_metadata(told)["videocodecid"]) == (256.0, 7.0)


def test_tracks_that_come_after_the_metadata_are_in_it_and_go_with_it() -> None:
    house = House()
    publication = house.publish()
    messages = [m for m in recording("multitrack") if m.type != MessageType.AUDIO]
    for message in messages[:30]:
        publication.receive(message, house.loop.now)
    headers = house.stream.headers
    assert "videoTrackIdInfoMap" in read_metadata(headers.metadata)
    publication.receive(Message(18, 0, 1, b"\x02\x00\x0f@clearDataFrame\x02\x00\nonMetaData"), 0.0)
    assert headers.metadata == b""
