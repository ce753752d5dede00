"""Tables of tracks in onMetaData, made of headers that OBS and ffmpeg sent."""

from __future__ import annotations

from golden_captures import load

from rtmpd.media.metadata import live_metadata, of_tracks, read_metadata
from rtmpd.media.tags import MULTITRACK, SEQUENCE_HEADER, audio_flags, video_flags
from rtmpd.media.track_maps import with_track_maps
from rtmpd.media.tracks import ALL, DEFAULT, TrackChoice, track_of
from rtmpd.rtmp import amf
from rtmpd.rtmp.chunks import ChunkReader
from rtmpd.rtmp.limits import Limits
from rtmpd.rtmp.messages import Message


def told(name: str) -> tuple[bytes, dict[int, bytes], dict[int, bytes]]:
    """Metadata and headers of video and audio by track."""
    metadata = b""
    found: dict[int, dict[int, bytes]] = {8: {}, 9: {}}
    for message in ChunkReader(Limits()).receive_data(load(name).chunks):
        if message.type == 18 and not metadata:
            metadata = live_metadata(message) or b""
        if message.type in found:
            read = video_flags if message.type == 9 else audio_flags
            flags = read(message.payload)
            if flags & SEQUENCE_HEADER:
                track = track_of(message.payload) if flags & MULTITRACK else 0
                found[message.type].setdefault(track, message.payload)
    return metadata, found[9], found[8]


def test_each_track_but_the_first_is_described_by_its_header() -> None:
    metadata, video, audio = told("obs32/obs32-multitrack-pub")
    said = read_metadata(with_track_maps(metadata, video, audio))
    assert (said["width"], said["height"]) == (640.0, 360.0)
    avc = float(int.from_bytes(b"avc1", "big"))
    assert said["videoTrackIdInfoMap"] == {
        "1": {"videocodecid": avc, "width": 426.0, "height": 240.0, "framerate": 30.0},
        "2": {"videocodecid": avc, "width": 256.0, "height": 144.0, "framerate": 15.0},
    }
    assert "audioTrackIdInfoMap" not in said


def test_tracks_of_audio_are_described_too() -> None:
    said = read_metadata(with_track_maps(*told("obs32/obs32-single-vod-pub")))
    (table,) = [said["audioTrackIdInfoMap"]]
    assert table == {
        "1": {
            "audiocodecid": float(int.from_bytes(b"mp4a", "big")),
            "audiosamplerate": 48000.0,
            "audiochannels": 2.0,
            "stereo": True,
        }
    }
    assert "videoTrackIdInfoMap" not in said


def test_what_the_publisher_says_stands() -> None:
    table = {"1": {"width": 1.0}}
    message = Message(18, 0, 1, amf.encode_values("onMetaData", {"videoTrackIdInfoMap": table}))
    payload = live_metadata(message)
    assert payload is not None
    _, video, audio = told("obs32/obs32-multitrack-pub")
    assert with_track_maps(payload, video, audio) == payload


def test_a_player_of_one_track_is_told_of_that_as_if_there_were_no_others() -> None:
    metadata = with_track_maps(*told("obs32/obs32-multitrack-pub"))
    assert of_tracks(metadata, ALL) == metadata
    assert of_tracks(metadata, DEFAULT) == told("obs32/obs32-multitrack-pub")[0]
    second = read_metadata(of_tracks(metadata, TrackChoice(1)))
    assert (second["width"], second["height"], second["videocodecid"]) == (426.0, 240.0, 7.0)
    assert second["audiocodecid"] == 10.0
    metadata = with_track_maps(*told("obs32/obs32-single-vod-pub"))
    assert read_metadata(of_tracks(metadata, TrackChoice(audio=1)))["audiocodecid"] == 10.0


def test_nothing_is_added_where_there_is_one_track() -> None:
    metadata, video, audio = told("obs29-pub")
    assert with_track_maps(metadata, video, audio) is metadata
