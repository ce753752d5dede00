"""Classification of audio and video payloads: the first bytes of every case, legacy and Enhanced RTMP v2."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtmpd.media.tags import (
    AUDIO_FOUR_CCS,
    CODEC_METADATA,
    CODED_FRAME,
    DISPOSABLE,
    END_OF_SEQUENCE,
    ENHANCED,
    KEYFRAME,
    MULTITRACK,
    SEQUENCE_HEADER,
    UNKNOWN,
    VIDEO_FOUR_CCS,
    audio_codec,
    audio_flags,
    parse_audio,
    parse_video,
    video_codec,
    video_flags,
)

AUDIO = 8
VIDEO = 9
KEY = KEYFRAME | CODED_FRAME
EX_KEY = ENHANCED | KEY
EX_INTER = ENHANCED | CODED_FRAME
EX_HEADER = ENHANCED | SEQUENCE_HEADER
EX_END = ENHANCED | END_OF_SEQUENCE
EX_METADATA = ENHANCED | CODEC_METADATA
MALFORMED = ENHANCED | UNKNOWN


def packed(text: str) -> bytes:
    """Bytes of space-separated words: two hex digits, or four characters of a FourCC behind a quote."""
    return b"".join(word[1:].encode() if word[0] == "'" else bytes.fromhex(word) for word in text.split())


LEGACY_VIDEO = [
    ("17 00 00 00 00 01 64 00 1f", SEQUENCE_HEADER, "avc1"),
    ("17 01 00 00 42 65", KEY, "avc1"),
    ("27 01 00 00 00 41", CODED_FRAME, "avc1"),
    ("37 01 00 00 00 01", CODED_FRAME | DISPOSABLE, "avc1"),
    ("47 01 00 00 00 65", KEY, "avc1"),
    ("17 02 00 00 00", END_OF_SEQUENCE, "avc1"),
    ("27 02", END_OF_SEQUENCE, "avc1"),
    ("27 00 00 00 00 01", SEQUENCE_HEADER, "avc1"),
    ("17 03", UNKNOWN, "avc1"),
    ("17", UNKNOWN, "avc1"),
    ("07 01 00 00 00", CODED_FRAME | UNKNOWN, "avc1"),
    ("1c 00 00 00 00 01", SEQUENCE_HEADER, "hvc1"),
    ("1c 01 00 00 00 26", KEY, "hvc1"),
    ("2c 01 00 00 00 02", CODED_FRAME, "hvc1"),
    ("1d 00 00 00 00 81", SEQUENCE_HEADER, "av01"),
    ("1d 01 00 00 00 12", KEY, "av01"),
    ("2d 01 00 00 00 12", CODED_FRAME, "av01"),
    ("12 00 00 84", KEY, "h263"),
    ("22 00 00 84", CODED_FRAME, "h263"),
    ("32", CODED_FRAME | DISPOSABLE, "h263"),
    ("13 00", KEY, "screen"),
    ("14 00", KEY, "vp6f"),
    ("24 01", CODED_FRAME, "vp6f"),
    ("15 00", KEY, "vp6a"),
    ("26 00", CODED_FRAME, "screen2"),
    ("18 00", KEY | UNKNOWN, "unknown"),
    ("20", CODED_FRAME | UNKNOWN, "unknown"),
    ("57 00", 0, "avc1"),
    ("52 01", 0, "h263"),
    ("57", 0, "avc1"),
    ("", 0, ""),
]

ENHANCED_VIDEO = [
    ("90 'hvc1 01 01", EX_HEADER, "hvc1"),
    ("91 'hvc1 00 00 42 26", EX_KEY, "hvc1"),
    ("93 'hvc1 26", EX_KEY, "hvc1"),
    ("a1 'hvc1 00 00 00 02", EX_INTER, "hvc1"),
    ("a3 'hvc1 02", EX_INTER, "hvc1"),
    ("b3 'hvc1 02", EX_INTER | DISPOSABLE, "hvc1"),
    ("c1 'hvc1 00 00 00 26", EX_KEY, "hvc1"),
    ("a0 'hvc1 01 01", EX_HEADER, "hvc1"),
    ("90 'av01 81", EX_HEADER, "av01"),
    ("91 'av01 12", EX_KEY, "av01"),
    ("a1 'av01 12", EX_INTER, "av01"),
    ("95 'av01 80", EX_HEADER, "av01"),
    ("90 'vp09 01", EX_HEADER, "vp09"),
    ("91 'vp09 82", EX_KEY, "vp09"),
    ("a1 'vp08 82", EX_INTER, "vp08"),
    ("90 'avc1 01", EX_HEADER, "avc1"),
    ("93 'vvc1 01", EX_KEY, "vvc1"),
    ("92 'hvc1", EX_END, "hvc1"),
    ("84 'hvc1 02 00 09", EX_METADATA, "hvc1"),
    ("d4 'hvc1 02 00 09", EX_METADATA, "hvc1"),
    ("d4 'av01", EX_METADATA, "av01"),
    ("81 'hvc1 00 00 00", EX_INTER | UNKNOWN, "hvc1"),
    ("91 'abcd 00", EX_KEY | UNKNOWN, "unknown"),
    ("90 'abcd 00", EX_HEADER | UNKNOWN, "unknown"),
    ("98 'hvc1 00", MALFORMED, "hvc1"),
    ("d1 00", ENHANCED, ""),
    ("d0 01", ENHANCED, ""),
    ("d6 04 'hvc1", ENHANCED, ""),
    ("90", MALFORMED, "unknown"),
    ("91 68 76 63", MALFORMED, "unknown"),
]

MULTITRACK_VIDEO = [
    ("96 01 'hvc1 01 00 00 07 26", EX_KEY, "hvc1", (1,)),
    ("96 00 'hvc1 01 01 01", EX_HEADER, "hvc1", (1,)),
    ("a6 03 'avc1 02 41", EX_INTER, "avc1", (2,)),
    ("96 02 'avc1 03", EX_END, "avc1", (3,)),
    ("86 04 'hvc1 01 02", EX_METADATA, "hvc1", (1,)),
    ("96 11 'av01 00 00 00 02 12 00 01 00 00 01 12", EX_KEY, "av01", (0, 1)),
    ("96 20 'avc1 00 00 00 01 01 'hvc1 05 00 00 00", EX_HEADER, "mixed", (0, 5)),
    ("96 20 'avc1 00 00 00 01 01 'avc1 05 00 00 00", EX_HEADER, "avc1", (0, 5)),
    ("96 01 'abcd 01 00", EX_KEY | UNKNOWN, "unknown", (1,)),
    ("96 21 'avc1 00 00 00 01 01 'abcd 05 00 00 00", EX_KEY | UNKNOWN, "mixed", (0, 5)),
]

MALFORMED_VIDEO = [
    "96",
    "96 01",
    "96 01 'hvc",
    "96 01 'hvc1",
    "96 06 'hvc1 01 00",
    "96 31 'hvc1 01 00 00 00",
    "96 11 'hvc1",
    "96 11 'hvc1 00 00 00",
    "96 11 'hvc1 00 00 00 02 12",
    "96 21 'avc1 00 00 00 01 01 'hv",
    "97",
    "97 02 00 00 01",
    "97 ff 00",
    "97 ff ff ff 00 00 00",
    "97 00 00",
]

AUDIO_CASES = [
    ("af 00 12 10", SEQUENCE_HEADER, "mp4a"),
    ("af 01 21", CODED_FRAME, "mp4a"),
    ("ae 01 21", CODED_FRAME, "mp4a"),
    ("af 02", UNKNOWN, "mp4a"),
    ("af", UNKNOWN, "mp4a"),
    ("2f ff fb", CODED_FRAME, ".mp3"),
    ("2f 00", CODED_FRAME, ".mp3"),
    ("e2 ff", CODED_FRAME, ".mp3"),
    ("72 d5", CODED_FRAME, "pcma"),
    ("82 d5", CODED_FRAME, "pcmu"),
    ("b6 00", CODED_FRAME, "speex"),
    ("d2 00", CODED_FRAME | UNKNOWN, "unknown"),
    ("90 'Opus 4f 70", EX_HEADER, "Opus"),
    ("90 'Opus", EX_HEADER, "Opus"),
    ("91 'Opus fc", EX_INTER, "Opus"),
    ("90 'fLaC 66", EX_HEADER, "fLaC"),
    ("91 'fLaC ff", EX_INTER, "fLaC"),
    ("91 'ac-3 0b 77", EX_INTER, "ac-3"),
    ("91 'ec-3 0b 77", EX_INTER, "ec-3"),
    ("90 'mp4a 12 10", EX_HEADER, "mp4a"),
    ("91 'mp4a 21", EX_INTER, "mp4a"),
    ("91 '.mp3 ff", EX_INTER, ".mp3"),
    ("92 'mp4a", EX_END, "mp4a"),
    ("94 'Opus 01 02 00 00 00 03", EX_METADATA, "Opus"),
    ("93 'Opus 00", MALFORMED, "Opus"),
    ("91 'abcd 00", EX_INTER | UNKNOWN, "unknown"),
    ("91 6d", MALFORMED, "unknown"),
    ("95 00 'mp4a 01 12 10", EX_HEADER | MULTITRACK, "mp4a"),
    ("95 01 'Opus 02 fc", EX_INTER | MULTITRACK, "Opus"),
    ("95 04 'mp4a 01 01 02 00 00 00 03", EX_METADATA | MULTITRACK, "mp4a"),
    ("95 05 'mp4a 01", MALFORMED, "unknown"),
    ("97 02 00 00 01 01 'Opus fc", EX_INTER, "Opus"),
    ("97 02 00 00 01 05 01 'Opus 02 fc", EX_INTER | MULTITRACK, "Opus"),
    ("", 0, ""),
]


@pytest.mark.parametrize(("text", "flags", "codec"), LEGACY_VIDEO + ENHANCED_VIDEO)
def test_video(text: str, flags: int, codec: str) -> None:
    payload = packed(text)
    tag = parse_video(payload)
    assert (tag.flags, tag.codec) == (flags, codec)
    assert video_flags(payload) == flags
    assert video_codec(payload) == codec
    assert tag.track_ids == ()


@pytest.mark.parametrize(("text", "flags", "codec", "track_ids"), MULTITRACK_VIDEO)
def test_multitrack_video(text: str, flags: int, codec: str, track_ids: tuple[int, ...]) -> None:
    payload = packed(text)
    tag = parse_video(payload)
    assert (tag.flags, tag.codec, tag.track_ids) == (flags | MULTITRACK, codec, track_ids)
    assert video_flags(payload) == tag.flags


@pytest.mark.parametrize("text", MALFORMED_VIDEO)
def test_malformed_video_is_unknown_and_nothing_else(text: str) -> None:
    assert video_flags(packed(text)) == MALFORMED


@pytest.mark.parametrize(("text", "flags", "codec"), AUDIO_CASES)
def test_audio(text: str, flags: int, codec: str) -> None:
    payload = packed(text)
    tag = parse_audio(payload)
    assert (tag.flags, tag.codec) == (flags, codec)
    assert audio_flags(payload) == flags
    assert audio_codec(payload) == codec


def test_the_same_first_bytes_mean_different_things_by_message_type() -> None:
    payload = packed("91 'mp4a 00")
    assert audio_flags(payload) == EX_INTER
    assert video_flags(payload) == EX_KEY | UNKNOWN


@pytest.mark.parametrize(
    ("text", "composition_time", "body_offset"),
    [
        ("27 01 00 00 a6 41", 166, 5),
        ("27 01 ff ff de 41", -34, 5),
        ("27 01 00", 0, 5),
        ("a1 'hvc1 00 00 21 02", 33, 8),
        ("a1 'hvc1 ff ff ff 02", -1, 8),
        ("a1 'hvc1 00", 0, 8),
        ("a3 'hvc1 00 00 21 02", 0, 5),
        ("a1 'av01 12 00 21 02", 0, 5),
        ("90 'hvc1 01 02 03 04", 0, 5),
        ("a6 01 'avc1 01 00 00 09 41", 9, 10),
        ("a6 11 'avc1 01 00 00 04 00 00 09 41", 9, 13),
        ("22 00 00 84", 0, 1),
    ],
)
def test_composition_time(text: str, composition_time: int, body_offset: int) -> None:
    tag = parse_video(packed(text))
    assert (tag.composition_time, tag.body_offset) == (composition_time, body_offset)


@pytest.mark.parametrize(
    ("text", "flags", "nanos"),
    [
        ("97 02 00 00 01 01 'hvc1 00 00 00", EX_KEY, 1),
        ("97 02 0f 42 3f 00 'hvc1 01", EX_HEADER, 999_999),
        ("a7 03 00 00 02 99 03 'hvc1 02", EX_INTER, 2),
        ("97 00 aa 01 'av01 12", EX_KEY, 0),
        ("97 02 00 00 05 11 'av01 12", EX_KEY, 0),
        ("97 02 00 00 07 07 00 aa 11 'av01 12", EX_KEY, 7),
        ("97 02 00 00 07 06 01 'av01 01 12", EX_KEY | MULTITRACK, 7),
        ("d7 02 00 00 07 01 00", ENHANCED, 7),
        ("d7 02 00 00 07 04 'hvc1 02", EX_METADATA, 7),
    ],
)
def test_modex_is_skipped(text: str, flags: int, nanos: int) -> None:
    tag = parse_video(packed(text))
    assert (tag.flags, tag.timestamp_nanos) == (flags, nanos)


def test_modex_with_long_size() -> None:
    body = b"\x00\x00\x03" + bytes(297)
    payload = b"\x97\xff" + (len(body) - 1).to_bytes(2, "big") + body + b"\x01hvc1\x00\x00\x00"
    tag = parse_video(payload)
    assert (tag.flags, tag.timestamp_nanos) == (EX_KEY, 3)


def test_modex_prefixes_are_capped() -> None:
    def payload(prefixes: int) -> bytes:
        return b"\x97" + b"\x00\xaa\x17" * (prefixes - 1) + b"\x00\xaa\x11av01\x12"

    assert video_flags(payload(8)) == EX_KEY
    assert video_flags(payload(9)) == MALFORMED


def test_tracks_are_capped() -> None:
    def payload(tracks: int) -> bytes:
        return b"\x96\x11av01" + b"".join(bytes((i % 256, 0, 0, 0)) for i in range(tracks))

    assert len(parse_video(payload(256)).track_ids) == 256
    assert video_flags(payload(257)) == MALFORMED


def test_every_known_four_cc_is_known() -> None:
    for four_cc in VIDEO_FOUR_CCS:
        assert parse_video(b"\x91" + four_cc.encode() + b"\0\0\0").codec == four_cc
    for four_cc in AUDIO_FOUR_CCS:
        assert parse_audio(b"\x91" + four_cc.encode()).codec == four_cc


FOUR_CCS = st.one_of(
    st.sampled_from([name.encode() for name in VIDEO_FOUR_CCS + AUDIO_FOUR_CCS]), st.binary(max_size=5)
)
PAYLOADS = st.one_of(
    st.binary(max_size=40),
    st.builds(
        lambda head, middle, four_cc, rest: head + middle + four_cc + rest,
        st.integers(0, 255).map(lambda head: bytes((head,))),
        st.one_of(st.just(b""), st.integers(0, 255).map(lambda kind: bytes((kind,))), st.binary(max_size=6)),
        FOUR_CCS,
        st.binary(max_size=20),
    ),
)


@given(PAYLOADS)
def test_any_bytes_classify_alike_by_both_ways(payload: bytes) -> None:
    video = parse_video(payload)
    audio = parse_audio(payload)
    assert video_flags(payload) == video.flags
    assert audio_flags(payload) == audio.flags
    assert not video.flags & KEYFRAME or video.flags & CODED_FRAME
    assert not (video.flags & SEQUENCE_HEADER and video.flags & CODED_FRAME)
    assert not audio.flags & (KEYFRAME | DISPOSABLE)
    assert video_codec(payload) == video.codec
    assert audio_codec(payload) == audio.codec


def test_every_two_first_bytes_classify_alike_by_both_ways() -> None:
    for head in range(0x10000):
        payload = head.to_bytes(2, "big") + b"\0\0\0\0\0\0"
        assert video_flags(payload) == parse_video(payload).flags
        assert audio_flags(payload) == parse_audio(payload).flags
        assert video_codec(payload) == parse_video(payload).codec
        assert audio_codec(payload) == parse_audio(payload).codec
