from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtmpd.media.metadata import live_metadata, of_tracks, read_metadata, without_medium
from rtmpd.media.tracks import ALL, DEFAULT, TrackChoice
from rtmpd.rtmp.amf import (
    AmfValue,
    Date,
    EcmaArray,
    TypedObject,
    XmlText,
    decode_values,
    encode_amf3,
    encode_values,
)
from rtmpd.rtmp.constants import MessageType
from rtmpd.rtmp.messages import Message

# Bodies as the encoders sent them.
OBS29 = bytes.fromhex(
    "02000d40736574446174614672616d6502000a6f6e4d65746144617461080000001400086475726174696f6e00000000000000"
    "0000000866696c6553697a6500000000000000000000057769647468004074000000000000000668656967687400406e000000"
    "000000000c766964656f636f646563696400401c000000000000000d766964656f6461746172617465004062c0000000000000"
    "096672616d657261746500403e000000000000000c617564696f636f6465636964004024000000000000000d617564696f6461"
    "746172617465004050000000000000000f617564696f73616d706c65726174650040e5888000000000000f617564696f73616d"
    "706c6573697a65004030000000000000000d617564696f6368616e6e656c73004000000000000000000673746572656f010100"
    "03322e3101000003332e3101000003342e3001000003342e3101000003352e3101000003372e3101000007656e636f64657202"
    "00306f62732d6f7574707574206d6f64756c6520286c69626f62732076657273696f6e2032392e302e322e312d312b62312900"
    "0009"
)
FFMPEG90_HEVC = bytes.fromhex(
    "02000d40736574446174614672616d6502000a6f6e4d65746144617461080000000d00086475726174696f6e00400800000000"
    "000000057769647468004074000000000000000668656967687400406e000000000000000d766964656f646174617261746500"
    "40624f800000000000096672616d657261746500403e000000000000000c766964656f636f64656369640041da1d98cc400000"
    "000d617564696f6461746172617465004047700000000000000f617564696f73616d706c65726174650040e588800000000000"
    "0f617564696f73616d706c6573697a65004030000000000000000673746572656f0101000c617564696f636f64656369640040"
    "240000000000000007656e636f64657202000c4c61766636332e312e313032000866696c657369"
    "7a65000000000000000000000009"
)
GST122 = bytes.fromhex(
    "02000d40736574446174614672616d6502000a6f6e4d65746144617461080000000c000c766964656f636f646563696400401c"
    "00000000000000057769647468004074000000000000000668656967687400406e000000000000000c41737065637452617469"
    "6f58003ff0000000000000000c417370656374526174696f59003ff000000000000000096672616d657261746500403e000000"
    "000000000d766964656f6461746172617465004062c00000000000000c617564696f636f646563696400402400000000000000"
    "0d617564696f6461746172617465000000000000000000000f6d6574616461746163726561746f7202001a4753747265616d65"
    "7220312e32322e3020464c56206d757865720007656e636f64657202001a4753747265616d657220312e32322e3020464c5620"
    "6d75786572000c6372656174696f6e64617465020018467269204e6f762032302031383a31303a35372032303236000009"
)
SET = encode_values("@setDataFrame", "onMetaData")
BARE = encode_values("onMetaData")


def live(payload: bytes, type_: int = MessageType.DATA_AMF0) -> bytes | None:
    return live_metadata(Message(type_, 0, 1, payload))


def test_obs_loses_its_file_properties_and_nothing_else() -> None:
    # quirk(obs): the property is spelled fileSize.
    out = live(OBS29)
    assert out is not None
    first_kept = OBS29.index(b"\x00\x05width")
    assert out == BARE + b"\x08\x00\x00\x00\x12" + OBS29[first_kept:]
    name, properties = decode_values(out)
    assert name == "onMetaData"
    assert isinstance(properties, EcmaArray)
    assert list(properties)[:1] == ["width"]
    assert properties["2.1"] is False


def test_ffmpeg_loses_its_file_properties_and_nothing_else() -> None:
    out = live(FFMPEG90_HEVC)
    assert out is not None
    first_kept, last_kept = FFMPEG90_HEVC.index(b"\x00\x05width"), FFMPEG90_HEVC.index(b"\x00\x08filesize")
    assert out == BARE + b"\x08\x00\x00\x00\x0b" + FFMPEG90_HEVC[first_kept:last_kept] + b"\x00\x00\x09"


def test_gstreamer_passes_verbatim() -> None:
    assert live(GST122) == GST122.removeprefix(encode_values("@setDataFrame"))


def test_what_is_live_already_stays_as_it_is() -> None:
    once = live(OBS29)
    assert once is not None
    assert live(once) == once


@pytest.mark.parametrize("value", [{"a": 1}, TypedObject("x.Y", {"a": 1}), EcmaArray({"a": 1})], ids=repr)
@pytest.mark.parametrize("lead", [SET, BARE], ids=["@setDataFrame", "bare"])
def test_any_object_becomes_an_ecma_array(value: AmfValue, lead: bytes) -> None:
    expected = encode_values("onMetaData", EcmaArray({"a": 1}))
    body = lead + encode_values(value)
    assert live(body) == expected
    assert live(b"\x00" + body, MessageType.DATA_AMF3) == expected


def test_a_wrong_count_and_a_missing_end_are_mended() -> None:
    body = SET + b"\x08\xff\xff\xff\xff" + b"\x00\x01a\x01\x01"
    assert live(body) == encode_values("onMetaData", EcmaArray({"a": True}))


def test_unknown_values_pass_verbatim() -> None:
    odd = b"".join(
        [
            b"\x00\x01u\x0d",
            b"\x00\x03\xff\xfe\x00\x02\x00\x02\xc3(",  # bad UTF-8 in key and value
            b"\x00\x01d" + encode_values(Date(1e300)),
            b"\x00\x01x" + encode_values(XmlText("<a>")),
            b"\x00\x01t" + encode_values(TypedObject("os.Popen", {"a": [1]})),
            b"\x00\x01b\x01\x7f",
            b"\x00\x013\x11\x0a\x0b\x01\x03a\x04\x01\x01",
        ]
    )
    body = SET + b"\x08\x00\x00\x00\x07" + odd + b"\x00\x00\x09"
    assert live(body) == BARE + b"\x08\x00\x00\x00\x07" + odd + b"\x00\x00\x09"


def test_references_keep_their_numbers() -> None:
    # Only numbers are ever taken out, so no object before a reference goes away.
    odd = b"\x00\x08duration\x0a\x00\x00\x00\x00" + b"\x00\x01r\x07\x00\x01"
    body = SET + b"\x03" + b"\x00\x08filesize" + encode_values(7) + odd + b"\x00\x00\x09"
    out = live(body)
    assert out == BARE + b"\x08\x00\x00\x00\x02" + odd + b"\x00\x00\x09"
    assert read_metadata(out) == {"duration": [], "r": []}


def test_amf3_metadata_is_translated() -> None:
    value = encode_amf3({"width": 320, "duration": 5, "encoder": "x"})
    expected = encode_values("onMetaData", EcmaArray({"width": 320, "encoder": "x"}))
    assert live(b"\x00" + SET + b"\x11" + value, MessageType.DATA_AMF3) == expected
    blob = encode_amf3({"b": b"bytes"})
    assert live(SET + b"\x11" + blob) is None
    assert live(SET + b"\x11" + encode_amf3([1])) is None


def test_values_after_the_array_are_left_out() -> None:
    assert live(SET + encode_values(EcmaArray({"a": 1}), None) + b"\xff") == encode_values(
        "onMetaData", EcmaArray({"a": 1})
    )


@pytest.mark.parametrize(
    "body",
    [
        b"",
        bytes(30),
        SET,
        BARE,
        SET + b"\x05",
        SET + encode_values("text"),
        SET + b"\x03\x00\x01a",
        SET + b"\x11",
        SET[:-1],
        encode_values("onTextData", {"a": 1}),
        encode_values("@clearDataFrame", "onMetaData"),
        encode_values("onMetaDataX", {"a": 1}),
        SET + b"\x03" + b"\x00\x01a\x05" * 5000 + b"\x00\x00\x09",
    ],
)
def test_what_is_no_metadata(body: bytes) -> None:
    assert live(body) is None
    assert read_metadata(body) == {}


def test_read_metadata() -> None:
    assert read_metadata(OBS29)["encoder"] == "obs-output module (libobs version 29.0.2.1-1+b1)"
    assert read_metadata(FFMPEG90_HEVC)["videocodecid"] == 0x68766331
    assert read_metadata(b"\x00" + BARE + encode_values({"a": 1})) == {"a": 1.0}


@given(st.binary(max_size=60))
def test_any_bytes_give_metadata_that_decodes_or_none(tail: bytes) -> None:
    for lead in (b"", SET, BARE + b"\x08\x00\x00\x00\x00", SET + b"\x03\x00\x01a"):
        out = live(lead + tail)
        if out is not None:
            name, properties = decode_values(out)
            assert name == "onMetaData"
            assert isinstance(properties, EcmaArray)


def test_truncation_at_every_byte_never_raises() -> None:
    for end in range(len(OBS29)):
        out = live(OBS29[:end])
        assert out is None or out.endswith(b"\x00\x00\x09")


def told(payload: bytes) -> dict[str, AmfValue]:
    """The properties, with their number in front as it stands in the array."""
    assert int.from_bytes(payload[14:18], "big") == len(read_metadata(payload))
    return read_metadata(payload)


@pytest.mark.parametrize("body", [OBS29, FFMPEG90_HEVC, GST122])
def test_a_medium_can_be_left_unsaid(body: bytes) -> None:
    whole = live(body)
    assert whole is not None
    assert {"width", "videocodecid", "audiocodecid"} <= told(whole).keys()
    silent = told(without_medium(whole, MessageType.AUDIO))
    assert not [key for key in silent if key.startswith("audio")]
    assert "stereo" not in silent
    assert silent["videocodecid"] == told(whole)["videocodecid"]
    blind = told(without_medium(whole, MessageType.VIDEO))
    assert not [key for key in blind if key.startswith("video")]
    assert blind.keys().isdisjoint({"width", "height", "framerate"})
    assert blind["audiocodecid"] == told(whole)["audiocodecid"]


def test_metadata_follows_the_track_that_was_chosen() -> None:
    tracks = {"1": {"width": 426.0, "height": 240.0}, "2": {"width": 256.0}}
    sent = EcmaArray(width=640.0, audiocodecid=10.0, encoder="x", videoTrackIdInfoMap=tracks)
    whole = live(encode_values("onMetaData", sent))
    assert whole is not None
    assert of_tracks(whole, ALL) == whole
    plain: dict[str, AmfValue] = {"width": 640.0, "audiocodecid": 10.0, "encoder": "x"}
    assert told(of_tracks(whole, DEFAULT)) == plain
    assert told(of_tracks(whole, TrackChoice(0))) == plain
    assert told(of_tracks(whole, TrackChoice(1))) == plain | {"width": 426.0, "height": 240.0}
    # Nothing is known of it: better no size than that of another track.
    assert told(of_tracks(whole, TrackChoice(7))) == {"audiocodecid": 10.0, "encoder": "x"}
    assert told(of_tracks(whole, TrackChoice(audio=1))) == {"width": 640.0, "encoder": "x"}


@pytest.mark.parametrize("table", ["text", 5.0, None, {"1": "text"}, {"1": [1.0]}, {}, [1.0]])
def test_a_table_of_tracks_that_is_none_says_nothing(table: AmfValue) -> None:
    whole = live(encode_values("onMetaData", EcmaArray(width=640.0, videoTrackIdInfoMap=table)))
    assert whole is not None
    assert told(of_tracks(whole, TrackChoice(1))) == {}
    assert told(of_tracks(whole, DEFAULT)) == {"width": 640.0}


def test_metadata_without_tracks_stays_the_same_object() -> None:
    whole = live(OBS29)
    assert whole is not None
    assert of_tracks(whole, DEFAULT) is whole


def test_amf3_of_many_values_is_not_decoded() -> None:
    def body(values: int) -> bytes:
        properties: dict[str, AmfValue] = {f"k{number}": float(number) for number in range(values)}
        return b"\x00" + encode_values("onMetaData") + b"\x11" + encode_amf3(properties)

    assert live(body(500), MessageType.DATA_AMF3) is not None
    assert live(body(520), MessageType.DATA_AMF3) is None
