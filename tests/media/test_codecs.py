"""Codec details from real sequence headers, and from damaged ones."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtmpd.media.codecs import AudioInfo, VideoInfo, audio_info, avc_compatibility, video_info

OBS_AVC = bytes.fromhex(
    "17000000000164000dffe1001b6764000dacd94141fb016a02020280000003008000001e478a14cb01000468efbcb0"
)
GSTREAMER_AVC_444 = bytes.fromhex(
    "170000000001f4000dffe1001b67f4000d90d968141fb016a0c0c0c8000003000800000301e478a15501000468ce3192"
)
X264_1080_BASELINE = bytes.fromhex(
    "17000000000142c028ffe100196742c028da01e0089f970110000003001000000300a0f1832a01000468ce0fc8"
)
X264_1080_INTERLACED_422 = bytes.fromhex(
    "1700000000017a0028ffe1001b677a0028bcd94078044fcb808800000300080000030050f8b16cb001000768fba3cb3002c0fef8f800"
)
X265_MAIN = bytes.fromhex(
    "90687663310101600000009000000000003cf000fcfdf8f800000f03200001001840010c01ffff016000000300900000030000"
    "03003cba0240210001002842010101600000030090000003000003003ca00a080f165ba4a4c2f0168080000003008000000f04"
    "22000100064401c073c189"
)
X265_MAIN_10 = bytes.fromhex(
    "906876633101022000000090000000000078f000fcfdfafa00000f03200001001840010c01ffff022000000300900000030000"
    "030078959809210001002c420101022000000300900000030000030078a002ac80301d5365959a4932bc05a020000003002000"
    "000300a122000100074401c172b46240"
)
AV1 = bytes.fromhex("906176303181000c000a0b02000004a1e7fde017c002")
VP9 = bytes.fromhex("9076703039010000000014820202000000")
FFMPEG_AAC = bytes.fromhex("af00121056e500")
FFMPEG_AAC_TRACK_1 = bytes.fromhex("95006d70346101121056e500")
FFMPEG_OPUS = bytes.fromhex("904f7075734f707573486561640102380180bb0000000000")
FFMPEG_FLAC = bytes.fromhex("90664c61430400040000010700018b0bb800f000004b00b7a350587bc1249dc2152b9d6f668316")
VIDEO_HEADERS = [
    (OBS_AVC, VideoInfo("avc1", 320, 240, "High", "1.3", 30.0)),
    (GSTREAMER_AVC_444, VideoInfo("avc1", 320, 240, "High 4:4:4", "1.3", 30.0)),
    (X264_1080_BASELINE, VideoInfo("avc1", 1920, 1080, "Baseline", "4.0", 5.0)),
    (X264_1080_INTERLACED_422, VideoInfo("avc1", 1920, 1080, "High 4:2:2", "4.0", 5.0)),
    (X265_MAIN, VideoInfo("hvc1", 320, 240, "Main", "2.0", 30.0)),
    (X265_MAIN_10, VideoInfo("hvc1", 1366, 766, "Main 10", "4.0", 5.0)),
    (AV1, VideoInfo("av01", 320, 240, "Main", "2.0")),
    (VP9, VideoInfo("vp09", profile="0", level="2.0")),
]
AUDIO_HEADERS = [
    (FFMPEG_AAC, AudioInfo("mp4a", 44100, 2, "LC")),
    (FFMPEG_AAC_TRACK_1, AudioInfo("mp4a", 44100, 2, "LC")),
    (FFMPEG_OPUS, AudioInfo("Opus", 48000, 2)),
    (FFMPEG_FLAC, AudioInfo("fLaC", 48000, 1)),
]


@pytest.mark.parametrize(("payload", "info"), VIDEO_HEADERS)
def test_video_sequence_header(payload: bytes, info: VideoInfo) -> None:
    assert video_info(payload) == info


@pytest.mark.parametrize(("payload", "info"), AUDIO_HEADERS)
def test_audio_sequence_header(payload: bytes, info: AudioInfo) -> None:
    assert audio_info(payload) == info


def test_legacy_hevc_and_av1_headers_carry_the_same_records() -> None:
    assert video_info(b"\x1c\0\0\0\0" + X265_MAIN[5:]) == VideoInfo("hvc1", 320, 240, "Main", "2.0", 30.0)
    assert video_info(b"\x1d\0\0\0\0" + AV1[5:]) == VideoInfo("av01", 320, 240, "Main", "2.0")


@pytest.mark.parametrize(
    ("payload", "flags"),
    [
        (OBS_AVC, OBS_AVC[7]),
        (b"\x17\0\0\0\0\x01\x42\xc0\x1e", 0xC0),
        (b"\x90avc1\x01\x42\xe0\x1e", 0xE0),
        (b"\x17\0\0\0\0\x01\x42", None),
        (b"\x17\x01\0\0\0\x01\x42\xc0", None),
        (X265_MAIN, None),
        (b"", None),
    ],
)
def test_constraint_flags(payload: bytes, flags: int | None) -> None:
    assert avc_compatibility(payload) == flags


def test_multitrack_header_tells_of_its_track() -> None:
    payload = b"\x96\x00avc1\x01" + OBS_AVC[5:]
    assert video_info(payload) == VideoInfo("avc1", 320, 240, "High", "1.3", 30.0)


def ue(value: int) -> str:
    """Unsigned Exp-Golomb code as a string of bits."""
    code = f"{value + 1:b}"
    return "0" * (len(code) - 1) + code


def se(value: int) -> str:
    return ue(2 * value - 1 if value > 0 else -2 * value)


def avc_header(profile_idc: int, level_idc: int, bits: str) -> bytes:
    """Sequence header with one SPS made of ``bits``, which follow its level_idc."""
    bits += "1" + "0" * (-(len(bits) + 1) % 8)
    head = bytes((profile_idc, 0, level_idc))
    sps = b"\x67" + head + int(bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\0\0\0", b"\0\0\3\0")
    return b"\x17\0\0\0\0\x01" + head + b"\xff\xe1" + len(sps).to_bytes(2, "big") + sps


FRAME_352_288 = ue(1) + "0" + ue(21) + ue(17) + "1" + "1" + "0" + "0"
"""From max_num_ref_frames to vui_parameters_present_flag: 22 x 18 macroblocks, progressive, not cropped."""


def test_picture_order_count_type_1() -> None:
    cycle = ue(1) + "0" + se(-3) + se(2) + ue(2) + se(1) + se(-40)
    payload = avc_header(66, 30, ue(0) + ue(0) + cycle + FRAME_352_288)
    assert video_info(payload) == VideoInfo("avc1", 352, 288, "Baseline", "3.0")


@pytest.mark.parametrize(
    ("sub_layers", "chroma", "crop", "size"),
    [
        ("000", ue(1), "0", (1920, 1088)),
        ("000", ue(1), "1" + ue(0) + ue(0) + ue(0) + ue(4), (1920, 1080)),
        ("000", ue(2), "1" + ue(1) + ue(1) + ue(0) + ue(8), (1916, 1080)),
        ("000", ue(3) + "0", "1" + ue(2) + ue(0) + ue(3) + ue(5), (1918, 1080)),
        ("010", ue(1), "0", (1920, 1088)),
    ],
)
def test_hevc_picture_size(sub_layers: str, chroma: str, crop: str, size: tuple[int, int]) -> None:
    # Of two sub-layers the first has a profile and a level, the second a level only.
    layers = "11" + "01" + "00" * 6 + "1" * (88 + 8 + 8) if int(sub_layers, 2) else ""
    bits = "0000" + sub_layers + "1" + "1" * 96 + layers + ue(0) + chroma + ue(1920) + ue(1088) + crop
    bits += "1" + "0" * (-(len(bits) + 1) % 8)
    sps = b"\x42\x01" + int(bits, 2).to_bytes(len(bits) // 8, "big")
    arrays = b"\x02" + b"\xa0\0\x01\0\x03\x40\x01\x0c" + b"\x21\0\x01" + len(sps).to_bytes(2, "big") + sps
    record = b"\x01\x01" + bytes(10) + b"\x7b" + bytes(9) + arrays
    assert video_info(b"\x90hvc1" + record) == VideoInfo("hvc1", *size, "Main", "4.1")


@pytest.mark.parametrize(("chroma_format", "lists"), [(1, 8), (3, 12)])
def test_scaling_matrix(chroma_format: int, lists: int) -> None:
    flat = "1" + se(8) + se(0) * 15
    ends_early = "1" + se(-8)
    full_8x8 = "1" + (se(1) + se(-1)) * 32
    matrix = [flat, "0", ends_early, "0", "0", flat, full_8x8, ends_early, "0", "0", "0", full_8x8]
    separate = "0" if chroma_format == 3 else ""
    high = ue(chroma_format) + separate + ue(0) + ue(0) + "0" + "1" + "".join(matrix[:lists])
    payload = avc_header(244, 31, ue(0) + high + ue(0) + ue(2) + FRAME_352_288)
    assert video_info(payload) == VideoInfo("avc1", 352, 288, "High 4:4:4", "3.1")


def test_record_without_parameter_sets() -> None:
    no_sps = bytes.fromhex("17000000000164001fffe0")
    assert video_info(no_sps) == VideoInfo("avc1", profile="High", level="3.1")


@pytest.mark.parametrize(
    ("asc", "info"),
    [
        ("1190", AudioInfo("mp4a", 48000, 2, "LC")),
        ("1408", AudioInfo("mp4a", 16000, 1, "LC")),
        ("0a10", AudioInfo("mp4a", 44100, 2, "Main")),
        ("2b920800", AudioInfo("mp4a", 44100, 2, "HE-AAC")),
        ("eb8a0800", AudioInfo("mp4a", 44100, 2, "HE-AACv2")),
        ("1780bb8010", AudioInfo("mp4a", 96000, 2, "LC")),
        ("f8e85000", AudioInfo("mp4a", 44100, 2, "ELD")),
        ("11b8", AudioInfo("mp4a", 48000, 8, "LC")),
        ("1180", AudioInfo("mp4a", 48000, 0, "LC")),
        ("16", AudioInfo("mp4a")),
        ("1710", AudioInfo("mp4a")),
        ("", AudioInfo("mp4a")),
    ],
)
def test_audio_specific_config(asc: str, info: AudioInfo) -> None:
    assert audio_info(b"\xaf\x00" + bytes.fromhex(asc)) == info


@pytest.mark.parametrize(
    ("payload", "info"),
    [
        ("2f", AudioInfo(".mp3", 44100, 2)),
        ("2a", AudioInfo(".mp3", 22050, 1)),
        ("ef", AudioInfo(".mp3", 8000, 2)),
        ("72", AudioInfo("pcma", 8000, 1)),
        ("b6", AudioInfo("speex", 16000, 1)),
        ("904f707573", AudioInfo("Opus")),
        ("9061632d33", AudioInfo("ac-3")),
    ],
)
def test_codecs_with_little_or_no_header(payload: str, info: AudioInfo) -> None:
    assert audio_info(bytes.fromhex(payload)) == info


def test_flac_with_a_metadata_block_header() -> None:
    payload = b"\x90fLaCfLaC\x80\x00\x00\x22" + FFMPEG_FLAC[5:]
    assert audio_info(payload) == AudioInfo("fLaC", 48000, 1) == audio_info(FFMPEG_FLAC)


@pytest.mark.parametrize(
    "payload",
    [b"", b"\x17\x01\0\0\0\x65", b"\x17\x02\0\0\0", b"\x17", b"\x57\x00", b"\x91hvc1\0\0\0", b"\x84hvc1\x02"],
)
def test_other_video_payloads_tell_nothing(payload: bytes) -> None:
    assert video_info(payload) is None


@pytest.mark.parametrize(
    "payload", [b"", b"\xaf\x01\x21", b"\xaf", b"\x91Opus\xfc", b"\x94Opus\x01", b"\x95"]
)
def test_other_audio_payloads_tell_nothing(payload: bytes) -> None:
    assert audio_info(payload) is None


@pytest.mark.parametrize(("payload", "expected"), VIDEO_HEADERS)
def test_truncated_video_header_keeps_the_codec(payload: bytes, expected: VideoInfo) -> None:
    for end in range(5, len(payload)):
        info = video_info(payload[:end])
        assert info is not None
        assert info.codec == expected.codec


HEADS = [payload[:5] for payload, _ in VIDEO_HEADERS + AUDIO_HEADERS] + [
    b"\xaf\x00",
    b"\x90vp08",
    b"\x90Opus",
]
RECORDS = [payload[5:] for payload, _ in VIDEO_HEADERS]


@given(st.sampled_from(HEADS), st.binary(max_size=120))
def test_arbitrary_records_never_raise(head: bytes, record: bytes) -> None:
    video_info(head + record)
    audio_info(head + record)


@given(st.sampled_from(VIDEO_HEADERS), st.integers(5, 90), st.integers(0, 255))
def test_damaged_headers_never_raise(header: tuple[bytes, VideoInfo], position: int, value: int) -> None:
    damaged = bytearray(header[0])
    damaged[min(position, len(damaged) - 1)] = value
    info = video_info(bytes(damaged))
    assert info is not None
    assert 0 <= info.width <= 0xFFFF
    assert 0 <= info.height <= 0xFFFF


def test_an_av1_level_may_be_the_maximum_which_has_no_number() -> None:
    record = bytes((AV1[5], AV1[6] & 0xE0 | 31)) + AV1[7:]
    assert video_info(AV1[:5] + record) == VideoInfo("av01", 320, 240, "Main", "")


def test_separate_colour_planes_are_cropped_like_monochrome() -> None:
    # chroma_format_idc 3 with separate_colour_plane_flag counts as 0: cropping in units of one sample.
    start = ue(0) + ue(3) + "1" + ue(0) + ue(0) + "0" + "0"
    picture = ue(0) + ue(2) + ue(1) + "0" + ue(19) + ue(14) + "1" + "1" + "1" + ue(1) + ue(2) + ue(3) + ue(4)
    info = video_info(avc_header(244, 30, start + picture + "0"))
    assert info is not None
    assert (info.width, info.height) == (320 - 3, 240 - 7)
