"""Tracks that are wanted by name: what OBS 32 sent, and encoders that come back with other ladders."""

from __future__ import annotations

import pytest
from engine_kit import KEY, FakeSink, House
from obs_kit import only, recording, send, track_in

from rtmpd.engine.choosing import NamedTracks, find_tracks_of_file, pictures_of
from rtmpd.engine.limits import EngineLimits
from rtmpd.engine.packet import TRACK_SHIFT, TRACKED, VIDEO, Packet, RtmpWire, WireFormat
from rtmpd.engine.sink import CloseReason, PlayOptions
from rtmpd.engine.subscriber import Subscription
from rtmpd.exceptions import Refused
from rtmpd.media.codecs import video_info
from rtmpd.media.tags import KEYFRAME, SEQUENCE_HEADER, video_flags
from rtmpd.media.track_names import TrackWish, name_pictures
from rtmpd.media.tracks import DEFAULT, TrackChoice, plain_track
from rtmpd.reasons import Refusal
from rtmpd.rtmp import amf
from rtmpd.rtmp.chunk_writer import encode_message
from rtmpd.rtmp.chunks import ChunkReader
from rtmpd.rtmp.constants import MessageType
from rtmpd.rtmp.limits import Limits

CHUNK = 1 << 20
VP9_HEADER = bytes.fromhex("9076703039010000000014820202000000")
VP9_KEY = b"\x91vp09" + bytes(8)


class Viewer(FakeSink):
    """A player of RTMP that wants a track by name."""

    def __init__(self, house: House, name: str, *, nearest: bool = False, audience: bool = True) -> None:
        super().__init__()
        self.house = house
        self.refusals: list[Refused] = []
        refuse = None if nearest else self.refuse
        self.tracks = NamedTracks(TrackWish(name), house.registry, refuse)
        self.options = PlayOptions(audience=audience)
        self.subscription: Subscription

    @property
    def wire_format(self) -> WireFormat:
        return RtmpWire(CHUNK, 1, self.tracks.tracks)

    @wire_format.setter
    def wire_format(self, _: WireFormat) -> None:
        """Its own."""

    def play(self) -> Viewer:
        registry, now = self.house.registry, self.house.loop.now
        self.tracks.expect(registry.streams.get(KEY), now)
        outlet = self.connect(registry.outlets, self.house.loop.clock)
        self.subscription = registry.attach(KEY, self, outlet, self.options, now)
        self.tracks.join(self.subscription, now)
        return self

    def refuse(self, refusal: Refused) -> None:
        self.refusals.append(refusal)
        self.subscription.close(CloseReason.NO_TRACK)

    def video(self) -> list[bytes]:
        reader = ChunkReader(Limits())
        reader.receive_data(encode_message(1, 0, 0, CHUNK.to_bytes(4, "big"), 2, 128))
        messages = reader.receive_data(b"".join(self.writes))
        return [each.payload for each in messages if each.type == MessageType.VIDEO]

    def sizes(self) -> list[int]:
        """Heights of the headers that it was sent."""
        infos = [video_info(each) for each in self.video() if video_flags(each) & SEQUENCE_HEADER]
        return [info.height for info in infos if info is not None]


def sent(name: str, track: int) -> list[bytes]:
    mine = [
        m.payload for m in recording(name) if m.type == MessageType.VIDEO and track_in(m.payload) == track
    ]
    return [plain_track(VIDEO, payload) if track else payload for payload in mine]


@pytest.mark.parametrize(
    ("recorded", "name", "track"),
    [
        ("multitrack", "360p", 0),
        ("multitrack", "240p", 1),
        ("multitrack", "144p", 2),
        ("multitrack", "best", 0),
        ("multitrack-scenecut", "144p", 2),
        ("av1-multitrack", "best", 0),
        ("av1-multitrack", "144p", 1),
    ],
)
@pytest.mark.parametrize("join_at", [0, 3, 6, 200])
def test_who_wants_a_track_by_name_gets_that_whole_track(
    recorded: str, name: str, track: int, join_at: int
) -> None:
    house = House()
    viewer = Viewer(house, name)
    messages = recording(recorded)
    if join_at == 0:
        viewer.play()
    publication = house.publish()
    send(house, publication, messages[:join_at])
    if join_at:
        viewer.play()
    send(house, publication, messages[join_at:])
    header, *frames = viewer.video()
    whole = sent(recorded, track)
    assert header == whole[0]
    assert video_flags(frames[0]) & KEYFRAME
    assert frames == whole[whole.index(frames[0]) :]
    if join_at < 200:
        assert frames == whole[1:]
    assert viewer.subscription.on_fast_list


def test_a_name_that_is_not_there_is_refused_with_all_that_are() -> None:
    house = House()
    publication = house.publish()
    send(house, publication, recording("multitrack")[:400], 10.0)
    with pytest.raises(Refused) as refused:
        Viewer(house, "720p").play()
    assert refused.value.reason is Refusal.NO_TRACK
    assert refused.value.description == "cam has no track 720p: it has 360p, 240p, 144p."
    assert refused.value.code == "NetStream.Play.Failed"


def test_who_has_waited_is_told_the_same_once_nothing_more_may_come() -> None:
    house = House()
    viewer = Viewer(house, "720p").play()
    publication = house.publish()
    send(house, publication, recording("multitrack")[:100], 2.0)
    assert (viewer.calls, viewer.writes) == (["started"], [])
    send(house, publication, recording("multitrack")[100:200], 2.0)
    assert viewer.calls == ["started", "close:no_track"]
    assert "it has 360p, 240p, 144p" in viewer.refusals[0].description
    assert not house.stream.seat.choosers or viewer.tracks.choose_tracks()


def test_a_track_that_comes_late_is_waited_for() -> None:
    house = House()
    viewer = Viewer(house, "240p").play()
    publication = house.publish()
    messages = recording("multitrack")
    send(house, publication, only(messages[:60], 0, 2), 1.0)
    assert viewer.writes == []
    late = [m for m in messages[:60] if m.type == MessageType.VIDEO and track_in(m.payload) == 1]
    send(house, publication, [late[0], *messages[60:]])
    assert viewer.sizes() == [240]
    assert len(viewer.video()) > 20


def test_a_stream_of_one_picture_has_the_name_of_that() -> None:
    house = House()
    publication = house.publish()
    send(house, publication, only(recording("multitrack"), 0)[:300], 10.0)
    viewer = Viewer(house, "360p").play()
    assert viewer.tracks.tracks == DEFAULT
    assert viewer.sizes() == [360]
    with pytest.raises(Refused, match=r"has no track 240p: it has 360p\."):
        Viewer(house, "240p").play()


def test_a_picture_whose_header_says_no_size_has_that_of_the_metadata() -> None:
    house = House()
    publication = house.publish()
    told = amf.encode_values("@setDataFrame", "onMetaData", {"width": 1280.0, "height": 720.0})
    house.send(publication, (0, told), (0, VP9_HEADER), (0, VP9_KEY))
    pictures = pictures_of(house.stream.headers, publication.stats)
    assert name_pictures(pictures) == {-1: "720p"}


def test_sound_alone_is_all_there_is_of_the_best_picture() -> None:
    house = House()
    viewer, other = Viewer(house, "best").play(), Viewer(house, "720p").play()
    publication = house.publish()
    send(house, publication, [m for m in recording("multitrack")[:300] if m.type != MessageType.VIDEO], 4.0)
    assert viewer.writes
    assert other.refusals[0].description == "cam has no track 720p."


@pytest.mark.parametrize(
    ("name", "tracks", "heights"),
    [
        ("240p", (0, 1, 2), [240, 240]),
        ("240p", (0, 2), [240, 144]),
        ("best", (1, 2), [360, 240]),
        ("144p", (0,), [144, 360]),
    ],
)
def test_who_has_begun_stays_when_the_encoder_returns_with_another_ladder(
    name: str, tracks: tuple[int, ...], heights: list[int]
) -> None:
    house = House()
    viewer = Viewer(house, name).play()
    messages = recording("multitrack")
    send(house, house.publish(), messages[:300], 4.0)
    first = house.stream.publication
    assert first is not None
    first.close(CloseReason.CONNECTION_LOST)
    house.loop.now += 1.0
    send(house, house.publish(), only(messages, *tracks), 4.0)
    assert viewer.calls == ["started", "ended", "started"]
    assert viewer.sizes()[0] == heights[0]
    assert viewer.sizes()[-1] == heights[1]
    last = [each for each in viewer.video() if not video_flags(each) & SEQUENCE_HEADER]
    wanted = {360: 0, 240: 1, 144: 2}[heights[1]]
    assert last[-1] == sent("multitrack", wanted)[-1]


def test_a_relay_is_sent_the_nearest_lower_picture() -> None:
    house = House()
    viewer = Viewer(house, "300p", nearest=True, audience=False).play()
    send(house, house.publish(), recording("multitrack"))
    assert viewer.sizes() == [240]
    assert viewer.video() == sent("multitrack", 1)


def test_who_has_left_is_not_asked_again() -> None:
    house = House()
    viewer = Viewer(house, "240p").play()
    publication = house.publish()
    send(house, publication, recording("multitrack")[:100])
    assert list(house.stream.seat.choosers) == [viewer.tracks]
    viewer.subscription.detach()
    viewer.tracks.leave()
    assert not house.stream.seat.choosers
    written = len(viewer.writes)
    send(house, publication, recording("multitrack")[100:])
    assert len(viewer.writes) == written


def test_names_count_among_the_sets_of_tracks_that_players_may_choose() -> None:
    house = House(EngineLimits(max_track_choices=1))
    first, second = Viewer(house, "240p").play(), Viewer(house, "144p").play()
    send(house, house.publish(), recording("multitrack")[:100])
    assert first.sizes() == [240]
    assert second.calls[-1] == "close:no_track"
    assert second.refusals[0].reason is Refusal.TRACK_CHOICES


def test_a_file_says_at_once_what_it_has() -> None:
    opening = [
        Packet(
            VIDEO, 0, message.payload, SEQUENCE_HEADER | TRACKED | track_in(message.payload) << TRACK_SHIFT
        )
        for message in recording("multitrack")[:10]
        if message.type == MessageType.VIDEO and video_flags(message.payload) & SEQUENCE_HEADER
    ]
    assert find_tracks_of_file(TrackWish("144p"), KEY, opening) == TrackChoice(2)
    with pytest.raises(Refused, match=r"cam has no track 720p: it has 360p, 240p, 144p\."):
        find_tracks_of_file(TrackWish("720p"), KEY, opening)
