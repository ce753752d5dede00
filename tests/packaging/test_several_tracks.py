"""Ladders and further tracks of sound as renditions, captions, and what encoders say between frames."""

from __future__ import annotations

import json

import pytest
from captions_kit import caption_unit
from engine_kit import AAC_HEADER, FULL_HD
from packaging_kit import Studio, multivariant, picture, rendition_of, told

from rtmpd.engine.packet import VIDEO
from rtmpd.media.captions import captions_in
from rtmpd.media.mp4_entries import Mp4Track
from rtmpd.media.timed_metadata import timed_metadata
from rtmpd.media.track_names import Picture, name_pictures
from rtmpd.packaging.feeds import Source
from rtmpd.packaging.layout import lay_out
from rtmpd.packaging.rendition import Rendition
from rtmpd.packaging.rules import HlsRules
from rtmpd.packaging.stats import HlsStats
from rtmpd.rtmp import amf

LADDER = "obs32/obs32-multitrack-pub"
VOD = "obs32/obs32-single-vod-pub"


def test_each_track_of_a_ladder_is_a_variant_with_what_it_is_measured_to_need():
    package = Studio(HlsRules(segment=1.0)).replay(LADDER)
    playlist = multivariant(package)
    assert playlist.files == ["360p_00000000.m3u8", "240p_00000000.m3u8", "144p_00000000.m3u8"]
    variants = playlist.tags("STREAM-INF")
    assert ["RESOLUTION=640x360" in variants[0], "RESOLUTION=426x240" in variants[1]] == [True, True]
    assert all('CODECS="avc1.' in each and ',mp4a.40.2"' in each for each in variants)
    assert [each.partition("FRAME-RATE=")[2][:6] for each in variants] == ["30.000", "30.000", "15.000"]
    assert all('AUDIO="audio"' in each for each in variants)
    needed = [int(each.partition("BANDWIDTH=")[2].partition(",")[0]) for each in variants]
    assert needed == sorted(needed, reverse=True)
    assert needed[0] > 1.5 * needed[1]
    (sound,) = playlist.tags("MEDIA")
    assert 'TYPE=AUDIO,GROUP-ID="audio"' in sound
    assert 'URI="audio_00000000.m3u8"' in sound


def test_segments_of_a_ladder_begin_together_and_have_the_same_numbers():
    package = Studio(HlsRules(segment=1.0)).replay(LADDER, join=1500)
    begins = [
        {segment.number: segment.begins for segment in rendition.shelf.segments()}
        for rendition in package.renditions
    ]
    common = set.intersection(*map(set, begins))
    # What the recording ends with is not whole yet of each.
    assert max(map(len, begins)) - len(common) <= 1 < 4 <= len(common)
    # To a frame: the smallest has fifteen a second.
    assert all(abs(each[number] - begins[0][number]) < 0.07 for each in begins for number in common)


def test_each_playlist_tells_how_far_the_others_are():
    package = Studio(HlsRules(segment=1.0)).replay(LADDER)
    rendition = rendition_of(package, "240p")
    reports = told(rendition).tags("RENDITION-REPORT")
    assert [each.partition(",")[0] for each in reports] == [
        'URI="360p_00000000.m3u8"',
        'URI="144p_00000000.m3u8"',
        'URI="audio_00000000.m3u8"',
    ]
    assert all("LAST-MSN=" in each and "LAST-PART=" in each for each in reports)


@pytest.mark.parametrize("kept", [False, True], ids=["left-out", "kept"])
def test_obs_track_for_recordings_is_left_out_unless_it_is_wanted(kept: bool):
    package = Studio(HlsRules(segment=1.0, vod_track=kept)).replay(VOD)
    names = [rendition.name for rendition in package.renditions]
    if kept:
        assert names == ["180p", "audio", "audio-2"]
        first, second = multivariant(package).tags("MEDIA")
        assert "DEFAULT=YES" in first
        assert 'NAME="Audio 2",DEFAULT=NO' in second
    else:
        assert names == ["main"]
        assert not multivariant(package).tags("MEDIA")


def test_renditions_are_called_as_players_call_tracks():
    """By their heights, and where these are the same by their frame rates, or else by their ids."""
    sizes = {0: (1280, 720, 30.0), 1: (1280, 720, 60.0), 2: (640, 360, 0.0), 3: (640, 360, 30.0)}
    frames = []
    for track, (width, height, rate) in sizes.items():
        of = Mp4Track(1, VIDEO, 90_000, b"", "avc1.64001f", width, height, rate)
        frames.append((Source(VIDEO, track), of))
    asked: list[str] = []
    package = Studio(HlsRules(segment=1.0)).replay(LADDER)

    def make(name: str, source: Source) -> Rendition:
        asked.append(name)
        return next(iter(package.renditions))

    lay_out(dict(frames), make, HlsStats())
    pictures = [Picture(track, *size) for track, size in sizes.items()]
    assert asked == ["720p30", "720p60", "360p_2", "360p_3"]
    assert asked == [name_pictures(pictures)[track] for track in sizes]


IDR = b"\0\0\0\x05\x65abcd"


@pytest.mark.parametrize(
    ("cc_data", "found"),
    [
        (b"\xfc\x94\x20", {"CC1"}),
        (b"\xfc\x80\x80\xfd\x80\x80", {"CC1"}),
        (b"\xfc\x80\x80\xfd\x94\x20", {"CC1", "CC3"}),
        (b"\xff\x01\x02\xfe\x03\x04", {"SERVICE1"}),
        (b"\xfc\x94\x20\xff\x01\x02", {"CC1"}),
        (b"\xf8\x94\x20", set()),
    ],
)
def test_captions_are_found_in_pictures(cc_data: bytes, found: set[str]):
    assert captions_in("avc1.640028", caption_unit(cc_data) + IDR) == found
    assert captions_in("avc1.640028", IDR + caption_unit(cc_data)) == set()
    assert captions_in("vp09.00.10.08", caption_unit(cc_data) + IDR) == set()


@pytest.mark.parametrize("cut", range(0, 40, 3))
def test_captions_that_are_cut_off_harm_nobody(cut: int):
    captions_in("avc1.640028", (caption_unit(b"\xfc\x94\x20" * 3) + IDR)[:cut])


def test_captions_are_announced():
    studio = Studio()
    publication = studio.publish(AAC_HEADER, FULL_HD)
    studio.go_on(publication, 1.0)
    package = studio.package()
    studio.go_on(publication, 1.0)
    assert "CLOSED-CAPTIONS=NONE" in multivariant(package).text
    studio.send(publication, picture(key=False)[:5] + caption_unit(b"\xfc\x94\x20") + IDR)
    studio.time += 40
    studio.go_on(publication, 1.0)
    (media,) = multivariant(package).tags("MEDIA")
    assert media.startswith('TYPE=CLOSED-CAPTIONS,GROUP-ID="captions",NAME="CC1",INSTREAM-ID="CC1"')
    assert 'CLOSED-CAPTIONS="captions"' in multivariant(package).text


def text_data(value: amf.AmfValue) -> bytes:
    return amf.encode_values("onTextData", value)


@pytest.mark.parametrize("asked", [False, True])
def test_what_encoders_say_comes_between_frames_when_it_is_asked_for(asked: bool):
    studio = Studio(HlsRules(timed_metadata=asked))
    publication = studio.publish()
    studio.go_on(publication, 2.0)
    package = studio.package()
    studio.go_on(publication, 1.0)
    publication.receive(
        studio.message(18, text_data({"text": "goal", "minute": 90.0})), studio.house.loop.now
    )
    studio.go_on(publication, 3.0)
    data = b"".join(segment.data or b"" for segment in studio.main().shelf.listed)
    if not asked:
        assert b"emsg" not in data
        return
    assert data.count(b"emsg\x01") == 1
    box = data[data.index(b"emsg") - 4 :]
    size = int.from_bytes(box[:4], "big")
    assert box[size + 4 : size + 8] == b"moof"
    assert b"https://aomedia.org/emsg/ID3\0\0ID3" in box[:size]
    (text,) = [json.loads(box[box.index(b"onTextData\0") + 11 : size])]
    assert text == {"text": "goal", "minute": 90}
    timescale, time = int.from_bytes(box[12:16], "big"), int.from_bytes(box[16:24], "big")
    # The first frame of all is at one second.
    assert time / timescale == pytest.approx(1.0 + 3.0 - 1.0, abs=0.1)
    assert package.multivariant() is not None


def test_only_texts_and_cue_points_that_can_be_read_are_told():
    assert timed_metadata(text_data("x")) == ("onTextData", '"x"')
    assert timed_metadata(amf.encode_values("onMetaData", {})) is None
    assert timed_metadata(text_data("x")[:-1]) is None
    assert timed_metadata(text_data("x" * 20_000)) is None
    assert timed_metadata(text_data([1.5, float("nan"), None, True])) == (
        "onTextData",
        "[1.5, null, null, true]",
    )
