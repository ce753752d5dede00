from __future__ import annotations

import pytest
from engine_kit import (
    AAC_HEADER,
    AVC_END,
    AVC_HEADER,
    AVC_HEADER_2,
    FakeSink,
    House,
    inter,
    keyframe,
    message,
    metadata,
    sound,
)

from rtmpd.engine.packet import RtmpWire
from rtmpd.engine.sink import CloseReason
from rtmpd.exceptions import UsageError
from rtmpd.rtmp.amf import EcmaArray, encode_values
from rtmpd.rtmp.messages import Message


@pytest.fixture
def house() -> House:
    return House()


def unwrapped(house: House, *timestamps: int) -> list[int]:
    """64-bit timestamps that a player sees for audio stamped ``timestamps``."""
    sink, _ = house.play()
    publication = house.publish()
    house.send(publication, *[(at, b"\x2fmp3") for at in timestamps])
    return [int(word.split("@")[1]) for word in sink.words]


@pytest.mark.parametrize("first", [0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF])
def test_the_first_timestamp_is_itself(house: House, first: int) -> None:
    assert unwrapped(house, first) == [first]


def test_time_goes_on_past_32_bits(house: House) -> None:
    assert unwrapped(house, 0xFFFFFFF0, 0x10, 0xFFFFFFFF, 0x20) == [
        0xFFFFFFF0,
        0x100000010,
        0xFFFFFFFF,
        0x100000020,
    ]


def test_a_step_back_is_a_step_back_not_a_wrap(house: House) -> None:
    assert unwrapped(house, 5000, 0, 40) == [5000, 0, 40]


def test_obs_ends_its_sequence_at_0_and_time_does_not_follow(house: House) -> None:
    # quirk(obs): SequenceEnd is stamped 0 (protocol 2.10); players are told the time of the last frame.
    far = 0x90000000
    sink, _ = house.play()
    publication = house.publish()
    house.send_headers(publication, far)
    house.send(publication, (far, keyframe()), (0, AVC_END), (far + 40, inter()))
    assert sink.words[-3:] == [f"K@{far}", f"END@{far}", f"P@{far + 40}"]
    assert publication.stats.timestamp_regressions == 0
    assert publication.stats.video.timestamp == far + 40


def test_jumps_are_counted_by_medium_and_passed_on(house: House) -> None:
    publication = house.publish()
    house.send_headers(publication)
    stats = publication.stats
    house.send(publication, (100, keyframe()), (60, sound()), (140, inter()), (80, sound()))
    assert (stats.timestamp_regressions, stats.timestamp_gaps) == (0, 0)
    house.send(publication, (1140, inter()), (2141, inter()), (70, sound()))
    assert (stats.timestamp_regressions, stats.timestamp_gaps) == (1, 1)
    assert stats.skew_ms == 2141 - 70


def test_ingest_is_counted_by_medium(house: House) -> None:
    publication = house.publish()
    house.loop.now = 7.0
    house.send(publication, (0, metadata(width=1.0)), (0, AAC_HEADER), (0, AVC_HEADER))
    house.send(publication, (0, keyframe()), (20, sound()), (40, inter()), (2000, keyframe()))
    stats = publication.stats
    assert (stats.audio.messages_in, stats.video.messages_in, stats.data_messages_in) == (2, 4, 1)
    assert stats.audio.bytes_in == len(AAC_HEADER) + len(sound())
    assert stats.video.bytes_in == len(AVC_HEADER) + 3 * len(keyframe())
    assert (stats.audio.headers, stats.video.headers, stats.keyframes) == (1, 1, 2)
    assert (stats.keyframe_interval_ms, stats.keyframe_interval_max_ms) == (2000, 2000)
    assert (stats.video.codec, stats.audio.codec) == ("avc1", "mp4a")
    assert (stats.last_media_at, stats.keyframe_at) == (7.0, 7.0)


def test_the_longest_keyframe_interval_is_remembered(house: House) -> None:
    publication = house.publish()
    house.send_headers(publication)
    house.send(publication, *[(at, keyframe()) for at in (0, 2000, 7000, 8000)])
    stats = publication.stats
    assert (stats.keyframe_interval_ms, stats.keyframe_interval_max_ms) == (1000, 5000)


def test_sequence_headers_changed_and_repeated_are_counted(house: House) -> None:
    publication = house.publish()
    house.send(publication, *[(0, header) for header in (AVC_HEADER, AVC_HEADER, AVC_HEADER_2, AAC_HEADER)])
    stats = publication.stats
    assert stats.sequence_header_changes == 1


def test_unknown_packets_are_counted_and_relayed(house: House) -> None:
    sink = house.play()[0]
    publication = house.publish()
    house.send(publication, (0, b"\x9ehvc1what"), (0, b"\x9fOpus"))
    assert publication.stats.unknown_packets == 2
    assert len(sink.words) == 2


def test_codecs_without_headers_are_named_from_their_frames(house: House) -> None:
    publication = house.publish()
    house.send(publication, (0, b"\x12h263"))
    publication.receive(Message(8, 0, 1, b"\x2fmp3"), 0.0)
    stats = publication.stats
    assert (stats.video.codec, stats.audio.codec) == ("h263", ".mp3")


def test_metadata_reaches_players_without_its_wrapper(house: House) -> None:
    sink = house.play(sink=FakeSink(RtmpWire(65536, 1)))[0]
    publication = house.publish()
    house.send(publication, (5, metadata(width=640.0, duration=9.0)))
    image = b"".join(sink.writes)
    assert image[12:].startswith(b"\x02\x00\x0aonMetaData\x08")
    assert b"width" in image
    assert b"duration" not in image


def test_other_data_messages_pass_as_they_are(house: House) -> None:
    sink = house.play(sink=FakeSink(RtmpWire(65536, 1)))[0]
    publication = house.publish()
    cue = b"\x02\x00\x0aonCuePoint\x05"
    house.send(publication, (5, cue))
    publication.receive(Message(18, 6, 1, b"\x02\x00\x0d@setDataFrame" + cue), 0.0)
    publication.receive(Message(15, 7, 1, b"\x00" + cue), 0.0)
    house.loop.run()
    header = "05 0000%02x 00000e 12 01000000"
    assert b"".join(sink.writes) == b"".join(bytes.fromhex(header % at) + cue for at in (5, 6, 7))


def test_metadata_that_cannot_be_read_or_is_too_large_is_dropped(house: House) -> None:
    sink = house.play()[0]
    publication = house.publish()
    house.send(publication, (0, b"\x02\x00\x0aonMetaData\x08\xff"), (0, metadata() + bytes(70_000)))
    assert sink.words == []
    assert house.stats.drops == publication.stats.totals.drops == {"bad_metadata": 2}


def test_control_messages_are_none_of_its_business(house: House) -> None:
    with pytest.raises(UsageError, match="type 4"):
        house.publish().receive(Message(4, 0, 0, b""), 0.0)


def test_what_comes_after_the_end_is_ignored(house: House) -> None:
    sink = house.play()[0]
    publication = house.publish()
    publication.close(CloseReason.FINISHED)
    publication.close(CloseReason.KICKED)
    house.send(publication, (0, b"\x2fmp3"))
    assert sink.words == []
    assert house.stats.publishes_ended == {"finished": 1}
    assert house.stats.publishers == 0


def test_a_publisher_takes_its_metadata_back(house: House) -> None:
    publication = house.publish()
    house.send(publication, (0, metadata(width=1.0)))
    assert house.play()[0].take() == "meta@0"
    publication.receive(Message(18, 0, 1, encode_values("@clearDataFrame", "onMetaData")), 0.0)
    house.loop.run()
    assert house.play()[0].take() == ""
    assert house.registry.budget.header_bytes == 0


def test_what_a_publisher_says_of_sample_access_stays_here(house: House) -> None:
    sink, _ = house.play()
    publication = house.publish()
    publication.receive(Message(18, 0, 1, encode_values("|RtmpSampleAccess", False, False)), 0.0)
    house.loop.run()
    assert sink.take() == ""


def test_clearing_metadata_does_not_overtake_it(house: House) -> None:
    house.play()
    publication = house.publish()
    publication.receive(message(0, metadata(width=1.0)), 0.0)
    publication.receive(Message(18, 0, 1, encode_values("@clearDataFrame", "onMetaData")), 0.0)
    house.loop.run()
    assert house.play()[0].take() == ""


def test_metadata_has_a_rate(house: House) -> None:
    publication = house.publish()
    large = encode_values("onMetaData", EcmaArray(text="x" * 4066))
    assert len(large) == 4096
    for number in range(100):
        house.loop.now = number / 50
        house.send(publication, (0, large))
    # A burst of eight, then four a second.
    assert house.stats.drops == {"header_rate": 100 - 8 - 7}


def test_small_metadata_may_come_often(house: House) -> None:
    # quirk(gstreamer): 26 in two seconds.
    publication = house.publish()
    house.send(publication, *[(0, metadata(width=float(number))) for number in range(40)])
    assert house.stats.drops == {}
    house.send(publication, *[(0, metadata(width=float(number))) for number in range(40)])
    assert house.stats.drops == {"header_rate": 80 - 57}


def test_new_headers_have_a_rate_and_repeated_ones_have_none(house: House) -> None:
    publication = house.publish()
    house.send(publication, *[(0, AVC_HEADER + bytes((number,))) for number in range(100)])
    assert house.stats.drops == {"header_rate": 100 - 4 - 4 * 16}
    house.send(publication, (0, AVC_HEADER + bytes((67,))))
    assert house.stats.drops == {"header_rate": 100 - 4 - 4 * 16}
    house.loop.now = 1.0
    house.send(publication, *[(0, AVC_HEADER + bytes((number,))) for number in range(5)])
    assert house.stats.drops == {"header_rate": 100 - 4 - 4 * 16 + 1}


def test_a_frame_of_another_codec_drops_the_header_that_describes_it_no_more(house: House) -> None:
    sink = house.play()[0]
    publication = house.publish()
    house.send(publication, (0, AAC_HEADER), (0, sound()), (20, b"\x2f\xffmp3"))
    assert house.stream.stats.audio.codec == ".mp3"
    assert "AAC" not in house.play()[0].take()
    assert sink.take().startswith("AAC@0 a@0 ")
    house.send(publication, (40, AAC_HEADER), (40, sound()))
    assert house.play()[0].take() == "AAC@40 a@40"
    assert house.stream.stats.audio.codec == "mp4a"


@pytest.mark.parametrize("frame", [b"\x12\0h263", b"\x91vp09\x82"], ids=["h263", "vp9"])
def test_a_keyframe_of_another_codec_drops_the_header_too(house: House, frame: bytes) -> None:
    publication = house.publish()
    house.send(publication, (0, AVC_HEADER), (0, keyframe()), (40, frame))
    assert "AVC" not in house.play()[0].take()
    assert house.stream.stats.video.codec in ("h263", "vp09")
    assert house.stream.stats.width is None


@pytest.mark.parametrize("stray", [b"\xdf\xff", b"\x9f", b""], ids=["unknown", "malformed", "silence"])
def test_what_is_not_understood_drops_no_header(house: House, stray: bytes) -> None:
    publication = house.publish()
    house.send(publication, (0, AAC_HEADER), (0, sound()))
    publication.receive(Message(8, 20, 1, stray), 0.0)
    house.loop.run()
    assert house.play()[0].take().startswith("AAC@0 a@0")


@pytest.mark.parametrize("head", [0x00, 0x3E, 0x3F], ids=hex)
def test_the_first_audio_names_its_codec_whatever_its_first_byte(house: House, head: int) -> None:
    publication = house.publish()
    publication.receive(Message(8, 0, 1, bytes((head,)) + b"samples"), 0.0)
    assert house.stream.stats.audio.codec == "pcm"


def test_codecs_that_share_their_first_byte_are_told_apart(house: House) -> None:
    publication = house.publish()
    publication.receive(Message(8, 0, 1, b"\x90OpusOpusHead\x01\x02"), 0.0)
    publication.receive(Message(8, 0, 1, b"\x91Opus\xfc"), 0.0)
    publication.receive(Message(8, 0, 1, b"\x91ac-3\x0b"), 0.0)
    house.loop.run()
    assert house.stream.stats.audio.codec == "ac-3"
    assert not house.stream.headers.has_header(8, "Opus")


def test_a_dead_stream_has_no_rates(house: House) -> None:
    sink, _ = house.play()
    publication = house.publish()
    house.send_headers(publication)
    house.send(publication, (0, keyframe()), (10, sound()))
    stats = house.stream.stats
    stats.sample(1.0)
    assert stats.frame_rate.over_1s > 0
    publication.close(CloseReason.FINISHED)
    rates = (stats.frame_rate, stats.audio.byte_rate, stats.video.byte_rate)
    assert [rate.over_1s + rate.over_10s for rate in rates] == [0.0, 0.0, 0.0]
    assert stats.keyframes == 1
    assert sink.calls == ["started", "ended"]


def test_an_end_of_sequence_with_a_sane_time_keeps_it(house: House) -> None:
    sink, _ = house.play()
    publication = house.publish()
    house.send_headers(publication, 1000)
    house.send(publication, (1000, keyframe()), (1040, AVC_END), (5000, AVC_END), (900, AVC_END))
    assert sink.words[-3:] == ["END@1040", "END@1000", "END@1000"]
