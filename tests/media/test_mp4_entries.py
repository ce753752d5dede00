"""What MP4 says of tracks: codec strings, boxes, and why there is nothing to say."""

from __future__ import annotations

from contextlib import suppress
from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtmpd.exceptions import NotForMp4
from rtmpd.media.mp4_entries import Mp4Track, read_mp4_track
from rtmpd.rtmp.amf import AmfValue, encode_values

AUDIO, VIDEO = 8, 9
AVC = bytes.fromhex(
    "1700000000014d400dffe10018674d400deca0a0fd80880000030008000003019078a14cb001000468ce0fc8"
)
HEVC = bytes.fromhex(
    "90687663310101600000009000000000003cf000fcfdf8f800000f03200001001840010c01ffff016000000300900000030000"
    "03003cba0240210001002842010101600000030090000003000003003ca00a080f165ba4a4c2f0168080000003008000000f04"
    "22000100064401c073c189"
)
AV1 = bytes.fromhex("906176303181000c000a0b02000004a1e7fde017c002")
AV1_SIZE_LESS = bytes.fromhex("906176303181084c00")
AV1_FRAME = b"\x91av01" + bytes.fromhex("12000a0b000000043cffbcdaf9004032ed2a10")
VP9 = bytes.fromhex("9076703039010000000014820202000000")
VP9_BARE = b"\x90vp09" + bytes.fromhex("0200a2 0910 09 0000".replace(" ", ""))
VP9_FRAME = b"\x91vp09" + bytes.fromhex("824983420013f00ef60638241c18")
AAC = bytes.fromhex("af001190")
OPUS = b"\x90Opus" + b"OpusHead\x01\x02" + bytes.fromhex("380180bb0000ff0100")
OPUS_51 = b"\x90Opus" + b"OpusHead\x01\x06" + bytes.fromhex("380180bb00000000010402000401020305")
STREAMINFO = bytes.fromhex("100010000000000000000bb802f000000000") + bytes(16)
AC3_FRAME = b"\x91ac-3" + bytes.fromhex("0b77fe95144043e106f46370c0c0")
AC3_51 = b"\x91ac-3" + bytes.fromhex("0b77b50b1e40ebf8403eff99ff08")
EAC3_FRAME = b"\x91ec-3" + bytes.fromhex("0b77017f3487c000208421083800")
MP3_FRAME = bytes.fromhex("2efffb50c4000007a82142f4f080")


def named(track: Mp4Track) -> tuple[str, int, int]:
    return track.codec, track.width or track.sample_rate, track.height or track.channels


def has(track: Mp4Track, kind: bytes, body: str) -> bool:
    """Whether its sample entry has such a box, as hexadecimal digits."""
    content = bytes.fromhex(body)
    return pack(">I4s", 8 + len(content), kind) + content in track.sample_entry


@pytest.mark.parametrize(
    ("header", "frame", "expected"),
    [
        pytest.param(AVC, b"", ("avc1.4d400d", 320, 240), id="avc"),
        pytest.param(b"\x90avc1" + AVC[5:], b"", ("avc1.4d400d", 320, 240), id="enhanced avc"),
        pytest.param(HEVC, b"", ("hvc1.1.6.L60.90", 320, 240), id="hevc"),
        pytest.param(b"\x1c\0\0\0\0" + HEVC[5:], b"", ("hvc1.1.6.L60.90", 320, 240), id="legacy hevc"),
        pytest.param(AV1, b"", ("av01.0.00M.08", 320, 240), id="av1"),
        pytest.param(AV1_SIZE_LESS, AV1_FRAME, ("av01.0.08M.10", 320, 240), id="av1 without a size"),
        pytest.param(VP9, VP9_FRAME, ("vp09.00.20.08", 320, 240), id="vp9"),
        pytest.param(VP9_BARE, VP9_FRAME, ("vp09.02.20.10", 320, 240), id="vp9 without a level"),
    ],
)
def test_video(header: bytes, frame: bytes, expected: tuple[str, int, int]) -> None:
    track = read_mp4_track(VIDEO, header, 1, frame=frame)
    assert named(track) == expected
    assert (track.kind, track.timescale, track.track_id) == (VIDEO, 90_000, 1)


@pytest.mark.parametrize(
    ("header", "frame", "expected", "samples"),
    [
        pytest.param(AAC, b"", ("mp4a.40.2", 48000, 2), 1024, id="aac"),
        pytest.param(bytes.fromhex("af001194"), b"", ("mp4a.40.2", 48000, 2), 960, id="aac of 960 samples"),
        pytest.param(bytes.fromhex("af002b118800"), b"", ("mp4a.40.5", 48000, 2), 2048, id="he-aac"),
        pytest.param(bytes.fromhex("af00eb098800"), b"", ("mp4a.40.29", 48000, 2), 2048, id="he-aac v2"),
        pytest.param(bytes.fromhex("af00131056e598"), b"", ("mp4a.40.2", 24000, 2), 1024, id="implicit sbr"),
        pytest.param(bytes.fromhex("af00b98800"), b"", ("mp4a.40.23", 48000, 1), 512, id="aac-ld"),
        pytest.param(b"\x90mp4a\x11\x90", b"", ("mp4a.40.2", 48000, 2), 1024, id="enhanced aac"),
        pytest.param(OPUS, b"", ("opus", 48000, 2), 0, id="opus"),
        pytest.param(OPUS_51, b"", ("opus", 48000, 6), 0, id="opus 5.1"),
        pytest.param(b"\x90fLaC" + STREAMINFO, b"", ("flac", 48000, 2), 0, id="bare flac"),
        pytest.param(
            b"\x90fLaCfLaC\x80\0\0\x22" + STREAMINFO, b"", ("flac", 48000, 2), 0, id="flac with its marker"
        ),
        pytest.param(b"\x90fLaC\0\0\0\x22" + STREAMINFO, b"", ("flac", 48000, 2), 0, id="flac block"),
        pytest.param(b"\x90ac-3", AC3_FRAME, ("ac-3", 48000, 2), 1536, id="ac-3"),
        pytest.param(AC3_51, b"", ("ac-3", 48000, 6), 1536, id="ac-3 5.1 by its frame alone"),
        pytest.param(b"\x90ec-3", EAC3_FRAME, ("ec-3", 48000, 2), 1536, id="e-ac-3"),
        pytest.param(b"", MP3_FRAME, ("mp4a.6B", 44100, 1), 1152, id="mp3"),
        pytest.param(b"\x91.mp3" + MP3_FRAME[1:], b"", ("mp4a.6B", 44100, 1), 1152, id="enhanced mp3"),
        pytest.param(bytes.fromhex("2afff340c4"), b"", ("mp4a.69", 22050, 1), 576, id="mp3 of mpeg-2"),
        pytest.param(AAC, MP3_FRAME, ("mp4a.6B", 44100, 1), 1152, id="mp3 after aac"),
    ],
)  # fmt: skip
def test_audio(header: bytes, frame: bytes, expected: tuple[str, int, int], samples: int) -> None:
    track = read_mp4_track(AUDIO, header, 2, frame=frame)
    assert named(track) == expected
    assert track.frame_samples == samples
    assert track.timescale == track.sample_rate


def test_configurations_are_turned_into_boxes() -> None:
    assert has(read_mp4_track(AUDIO, OPUS, 1), b"dOps", "00 02 0138 0000bb80 01ff 00")
    assert has(read_mp4_track(AUDIO, OPUS_51, 1), b"dOps", "00 06 0138 0000bb80 0000 01 0402 000401020305")
    assert has(
        read_mp4_track(AUDIO, b"\x90fLaC" + STREAMINFO, 1), b"dfLa", "00000000 80000022" + STREAMINFO.hex()
    )
    assert has(read_mp4_track(AUDIO, AC3_FRAME, 1), b"dac3", "101140")
    assert has(read_mp4_track(AUDIO, AC3_51, 1), b"dac3", "103de0")
    assert has(read_mp4_track(AUDIO, EAC3_FRAME, 1), b"dec3", "0600 20 04 00")
    assert has(read_mp4_track(VIDEO, VP9, 1, frame=VP9_FRAME), b"vpcC", "01000000 00 14 82 020202 0000")
    assert has(read_mp4_track(VIDEO, AVC, 1), b"avcC", AVC[5:].hex())


HDR: dict[str, AmfValue] = {
    "colorConfig": {"colorPrimaries": 9.0, "transferCharacteristics": 16.0, "matrixCoefficients": 9.0},
    "hdrCll": {"maxFall": 400.0, "maxCLL": 1000.0},
    "hdrMdcv": {
        "redX": 0.68, "redY": 0.32, "greenX": 0.265, "greenY": 0.69, "blueX": 0.15, "blueY": 0.06,
        "whitePointX": 0.3127, "whitePointY": 0.329, "maxLuminance": 1000.0, "minLuminance": 0.0001,
    },
}  # fmt: skip


def metadata(info: AmfValue, name: str = "colorInfo") -> bytes:
    return b"\xd4hvc1" + encode_values(name, info)


def test_hdr_is_told_as_enhanced_rtmp_tells_it() -> None:
    track = read_mp4_track(VIDEO, HEVC, 1, metadata(HDR))
    assert has(track, b"colr", b"nclx".hex() + "0009 0010 0009 00")
    assert has(track, b"mdcv", "33c2 86c4 1d4c 0bb8 84d0 3e80 3d13 4042 00989680 00000001")
    assert has(track, b"clli", "03e8 0190")


@pytest.mark.parametrize(
    "hdr",
    [
        *(b"", b"\xd4", b"\xd4hvc1", metadata({}, "other"), metadata("no object"), metadata(HDR)[:-9]),
        metadata({"colorConfig": {"matrixCoefficients": 0.0}, "hdrCll": 3.0, "hdrMdcv": None}),
        metadata({"colorConfig": {"colorPrimaries": float("nan"), "transferCharacteristics": float("inf")}}),
        metadata({**HDR, "colorConfig": {}, "hdrCll": {"maxCLL": -1.0}, "hdrMdcv": {"redX": 2.0}}),
        metadata({str(number): 0.0 for number in range(1000)}),
    ],
)
def test_hdr_that_cannot_be_is_left_out(hdr: bytes) -> None:
    assert read_mp4_track(VIDEO, HEVC, 1, hdr) == read_mp4_track(VIDEO, HEVC, 1)


@pytest.mark.parametrize(
    ("kind", "header", "sentence"),
    [
        (VIDEO, b"\x12", "browsers do not play Sorenson H.263"),
        (VIDEO, b"\x14", "browsers do not play VP6"),
        (VIDEO, b"\x90vp08", "browsers do not play VP8"),
        (VIDEO, b"\x90vvc1", "browsers do not play VVC"),
        (VIDEO, b"\x90????", "browsers do not play an unknown codec"),
        (VIDEO, b"", "browsers do not play an unknown codec"),
        (VIDEO, AVC[:20], "the sequence header of H.264 is cut short, or says what cannot be"),
        (VIDEO, AVC + bytes(20_000), "the sequence header of H.264 is larger than 16384 bytes"),
        (VIDEO, b"\x17\1\0\0\0frame", "H.264 without a sequence header cannot be decoded"),
        (VIDEO, VP9, "neither header nor key frame of VP9 says how large its pictures are"),
        (VIDEO, AV1_SIZE_LESS, "neither header nor key frame of AV1 says how large its pictures are"),
        (VIDEO, b"\x90av01\1\0\0\0", "the sequence header of AV1 is cut short, or says what cannot be"),
        (AUDIO, b"\xb2x", "browsers do not play Speex"),
        (AUDIO, b"\x62x", "browsers do not play Nellymoser"),
        (AUDIO, b"\x1ex", "browsers do not play ADPCM"),
        (AUDIO, b"\x7ex", "browsers do not play PCM_ALAW"),
        (AUDIO, b"\xaf\1frame", "AAC without a sequence header cannot be decoded"),
        (AUDIO, b"\xaf\0\x11", "the sequence header of AAC is cut short, or says what cannot be"),
        (AUDIO, b"\xaf\0\x17\xff\xff\xff\x88", "browsers do not play AAC of 16777215 Hz"),
        (AUDIO, b"\xaf\0\x17\x80\0\0\x90", "browsers do not play AAC of 1 Hz"),
        (AUDIO, b"\xaf\0\xf9F@\xe0", "the sequence header of AAC is cut short, or says what cannot be"),
        (AUDIO, b"\x90OpusOpusHead", "the sequence header of Opus is cut short, or says what cannot be"),
        (AUDIO, b"\x2e\xff\xfb", "the first frame of MP3 is cut short, or says what cannot be"),
        (AUDIO, b"\x91ac-3\0\0", "the first frame of AC3 is cut short, or says what cannot be"),
    ],
)  # fmt: skip
def test_what_is_not_for_mp4_is_told_in_a_sentence(kind: int, header: bytes, sentence: str) -> None:
    with pytest.raises(NotForMp4) as failure:
        read_mp4_track(kind, header, 1)
    assert str(failure.value) == sentence


def test_a_picture_of_65536_pixels_is_one_more_than_mp4_can_say() -> None:
    wide, high = bytes.fromhex("ffff00ef"), bytes.fromhex("013fffff")
    for size in (wide, high):
        frame = int.from_bytes(VP9_FRAME[5:14], "big") & ~(0xFFFFFFFF << 4) | int.from_bytes(size, "big") << 4
        with pytest.raises(NotForMp4, match="says how large"):
            read_mp4_track(VIDEO, VP9, 1, frame=VP9_FRAME[:5] + frame.to_bytes(9, "big") + VP9_FRAME[14:])


HEADERS = (
    *(AVC, HEVC, AV1, AV1_FRAME, VP9, VP9_BARE, VP9_FRAME, AAC, OPUS, OPUS_51),
    *(AC3_FRAME, EAC3_FRAME, MP3_FRAME, b"\x90fLaC" + STREAMINFO, metadata(HDR)),
)  # fmt: skip
HOSTILE = st.one_of(
    st.binary(max_size=80),
    st.builds(
        lambda header, at, byte, end: (header[:at] + bytes((byte,)) + header[at + 1 :])[:end],
        st.sampled_from(HEADERS),
        st.integers(0, 120),
        st.integers(0, 255),
        st.integers(0, 200),
    ),
)


@given(st.sampled_from([AUDIO, VIDEO]), HOSTILE, HOSTILE, HOSTILE)
def test_nothing_raises_but_not_for_mp4(kind: int, header: bytes, hdr: bytes, frame: bytes) -> None:
    with suppress(NotForMp4):
        track = read_mp4_track(kind, header, 1, hdr, frame)
        assert 0 < track.timescale <= 384_000
        assert len(track.sample_entry) < 20_000
        assert (track.width > 0) is (track.height > 0) is (kind == VIDEO)
