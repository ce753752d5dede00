from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtmpd.exceptions import AmfError, ProtocolError, UsageError
from rtmpd.rtmp.amf import AmfValue, EcmaArray, TypedObject, decode_values, encode_values
from rtmpd.rtmp.command_scan import parse_command, parse_data, parse_head, scan_request
from rtmpd.rtmp.commands import (
    Command,
    ConnectParams,
    connect_payload,
    connect_result,
    error,
    on_status,
    result,
    serialize_command,
    status_object,
    status_payload,
)
from rtmpd.rtmp.constants import MessageType, StatusCode, VideoFunction
from rtmpd.rtmp.limits import Limits
from rtmpd.rtmp.messages import Message

LIMITS = Limits()

# Bodies of connect as the clients sent them.
OBS29 = bytes.fromhex(
    "020007636f6e6e656374003ff00000000000000300036170700200046c69766500047479706502000a6e6f6e70726976617465"
    "000e737570706f727473476f4177617901010008666c61736856657202001f464d4c452f332e302028636f6d70617469626c65"
    "3b20464d53632f312e3029000673776655726c02001a72746d703a2f2f3132372e302e302e313a313933352f6c697665000574"
    "6355726c02001a72746d703a2f2f3132372e302e302e313a313933352f6c697665000009"
)
FFMPEG90_HEVC = bytes.fromhex(
    "020007636f6e6e656374003ff00000000000000300036170700200046c697665000a666f757243634c6973740a000000010200"
    "046876633100047479706502000a6e6f6e707269766174650008666c617368566572020023464d4c452f332e302028636f6d70"
    "617469626c653b204c61766636332e312e313032290005746355726c02001a72746d703a2f2f3132372e302e302e313a313933"
    "352f6c697665000009"
)
FFMPEG51_EXTRA_ARGUMENTS = bytes.fromhex(
    "020007636f6e6e656374003ff00000000000000300036170700200046c69766500047479706502000a6e6f6e70726976617465"
    "0008666c61736856657202001e464d4c452f332e302028636f6d70617469626c653b206861726e65737329000673776655726c"
    "02001a72746d703a2f2f3132372e302e302e313a313933352f6c6976650005746355726c02001a72746d703a2f2f3132372e30"
    "2e302e313a313933352f6c6976650000090200056578747261003ff00000000000000101"
)


def message(payload: bytes, type_: int = MessageType.COMMAND_AMF0) -> Message:
    return Message(type_, 0, 0, payload)


def connect(**properties: AmfValue) -> ConnectParams:
    return ConnectParams.from_command(Command("connect", 1, properties), LIMITS)


# parse_command


def test_parse_a_call() -> None:
    command = parse_command(message(encode_values("publish", 5, None, "key", "live")), LIMITS)
    assert command == Command("publish", 5.0, None, ("key", "live"))


def test_round_trip() -> None:
    command = Command("play", 4.0, {"a": "b"}, ("name", -2000.0, None, True))
    assert parse_command(message(serialize_command(command)), LIMITS) == command


@pytest.mark.parametrize("prefix", [b"\x00", b""], ids=["format byte", "none"])
def test_type_17_skips_one_byte_only_if_it_is_zero(prefix: bytes) -> None:
    # quirk(flash): type 17 starts with a format selector.
    body = prefix + encode_values("createStream", 2, None)
    command = parse_command(message(body, MessageType.COMMAND_AMF3), LIMITS)
    assert command == Command("createStream", 2.0, None, (), amf3=True)


def test_type_17_with_an_amf3_value() -> None:
    body = b"\x00" + encode_values("f", 2, None) + b"\x11\x04\x05"
    assert parse_command(message(body, MessageType.COMMAND_AMF3), LIMITS).args == (5,)


@pytest.mark.parametrize(
    "tid", [None, "1", True, {}, -1, 0.5, math.nan, math.inf, -math.inf, 2.0**53, 1e300, EcmaArray(), [1.0]]
)
def test_a_transaction_id_nobody_may_use_counts_as_zero(tid: AmfValue) -> None:
    assert parse_command(message(encode_values("f", tid)), LIMITS).transaction_id == 0


@pytest.mark.parametrize("tid", [0, 1, 2.0**53 - 1])
def test_a_good_transaction_id_is_kept(tid: float) -> None:
    assert parse_command(message(encode_values("f", tid)), LIMITS).transaction_id == tid


def test_a_bare_name_is_a_command() -> None:
    assert parse_command(message(encode_values("close")), LIMITS) == Command("close", 0.0)


@pytest.mark.parametrize("body", [b"", b"\x05", b"\x00" * 9, b"\x02\x00\x05ab", b"\x03\x00\x00\x09"])
def test_what_is_no_command_is_an_amf_error(body: bytes) -> None:
    with pytest.raises(AmfError):
        parse_command(message(body), LIMITS)


def test_limits_reach_the_decoder() -> None:
    body = encode_values("f", 1, [[None]])
    parse_command(message(body), LIMITS)
    with pytest.raises(AmfError):
        parse_command(message(body), replace(LIMITS, max_amf_depth=1))
    with pytest.raises(AmfError):
        parse_command(message(body), replace(LIMITS, max_command_values=4))


def test_serialize_refuses_what_amf0_cannot_say() -> None:
    with pytest.raises(UsageError):
        serialize_command(Command("f", 0, None, (b"bytes",)))


@given(st.binary(max_size=80), st.sampled_from([17, 20]))
def test_any_bytes_give_a_command_or_an_amf_error(body: bytes, type_: int) -> None:
    try:
        command = parse_command(message(b"\x02\x00\x01f" + body, type_), LIMITS)
    except AmfError:
        return
    assert command.name == "f"
    assert 0 <= command.transaction_id < 2**53


# scan_request


def parse_request(message: Message, limits: Limits) -> Command:
    return scan_request(message, limits).decode()


def command_or_reason(
    parse: Callable[[Message, Limits], Command], body: bytes, type_: int, limits: Limits = LIMITS
) -> Command | str:
    try:
        return parse(message(body, type_), limits)
    except AmfError as error:
        return error.reason


@given(st.binary(max_size=80), st.sampled_from([17, 20]), st.sampled_from([b"", b"\x02\x00\x01f"]))
def test_a_request_is_what_the_same_command_is_however_often_it_comes(
    body: bytes, type_: int, prefix: bytes
) -> None:
    expected = repr(command_or_reason(parse_command, prefix + body, type_))
    for _ in range(2):
        assert repr(command_or_reason(parse_request, prefix + body, type_)) == expected


def test_what_many_clients_say_is_decoded_once() -> None:
    said = message(encode_values("connect", 1, {"app": "live"}))
    again = message(encode_values("connect", 1, {"app": "live"}))
    assert parse_request(said, LIMITS) is parse_request(again, LIMITS)
    assert parse_request(said, LIMITS).amf3 is False
    assert parse_request(message(said.payload, MessageType.COMMAND_AMF3), LIMITS).amf3 is True


def changed(value: object) -> list[str]:
    """The places of ``value`` that let themselves be changed."""
    if isinstance(value, Mapping):
        try:
            value["x"] = 1  # type: ignore[index]
        except TypeError:
            return [place for item in value.values() for place in changed(item)]
        return [repr(value)]
    if isinstance(value, list):
        return [repr(value)]
    return [place for item in value for place in changed(item)] if isinstance(value, tuple) else []


def test_what_is_decoded_once_cannot_be_changed_anywhere() -> None:
    inner: AmfValue = {"a": [{"b": EcmaArray({"c": [1]})}], "t": TypedObject("x", {"y": {}})}
    said = message(
        encode_values("connect", 1, {"app": "live", "videoFourCcInfoMap": {"avc1": 4}, **inner}, inner)
    )
    params = ConnectParams.from_command(parse_request(said, LIMITS), LIMITS)
    again = ConnectParams.from_command(parse_request(said, LIMITS), LIMITS)
    for held in (params.connect_object, params.args, params.video_four_cc_info_map):
        assert changed(held) == []
    assert params == again
    assert params.connect_object["a"] == ({"b": {"c": (1.0,)}},)
    # It can be said again all the same.
    sent = encode_values(dict(params.connect_object), *params.args)
    assert decode_values(sent)[1] == {"a": [{"b": {"c": [1.0]}}], "t": {"y": {}}}


@pytest.mark.parametrize("cut", ["connect", "publish", "call"])
def test_the_head_of_a_command_is_read_without_the_rest(cut: str) -> None:
    body = encode_values(cut, 7)
    assert parse_head(message(body + b"\x0a\xff\xff\xff\xff")) == (cut, 7, 7, len(cut) + 3)
    assert parse_head(message(encode_values(cut))) == (cut, 0, 1, len(cut) + 3)
    assert parse_head(message(encode_values(cut) + b"\0\0")) == (cut, 0, 1, len(cut) + 3)
    typed = parse_head(message(b"\0" + body, MessageType.COMMAND_AMF3))
    assert typed == (cut, 7, 7, len(cut) + 4)


@pytest.mark.parametrize("body", [b"", b"\0", b"\x02", b"\x02\0", b"\x02\0\5abcd", b"\x05", b"\x03\0\0\x09"])
def test_what_has_no_head_is_no_command(body: bytes) -> None:
    for type_ in (17, 20):
        with pytest.raises(AmfError) as caught:
            parse_head(message(body, type_))
        assert caught.value.reason in ("bad_command", "amf_truncated")


@given(st.text(max_size=20), st.floats(), st.booleans())
def test_the_head_is_what_the_whole_command_says(name: str, transaction_id: float, amf3: bool) -> None:
    body = encode_values(name.encode("utf-8", "replace").decode(), transaction_id, None)
    said = message(body, 17 if amf3 else 20)
    head, whole = parse_head(said), parse_command(said, LIMITS)
    assert (head.name, head.transaction_id) == (whole.name, whole.transaction_id)


@pytest.mark.parametrize("count", [64, 65, 1000])
def test_maps_of_codecs_are_cut(count: int) -> None:
    params = connect(videoFourCcInfoMap={f"{n:04}": 1.0 for n in range(count)})
    assert len(params.video_four_cc_info_map) == 64


@pytest.mark.parametrize("argument", ["x" * 512, [None] * 64], ids=["long", "many values"])
def test_what_is_not_small_is_not_remembered(argument: AmfValue) -> None:
    said = message(encode_values("play", 1, None, argument))
    assert parse_request(said, LIMITS) == parse_request(said, LIMITS) == parse_command(said, LIMITS)
    assert parse_request(said, LIMITS) is not parse_request(said, LIMITS)


def test_what_is_remembered_is_no_way_around_the_limits() -> None:
    body = encode_values("f", 1, [[None]])
    for limits in (LIMITS, replace(LIMITS, max_amf_depth=1), replace(LIMITS, max_command_values=4)):
        expected = command_or_reason(parse_command, body, 20, limits)
        assert command_or_reason(parse_request, body, 20, limits) == expected


# ConnectParams


def test_what_a_connect_asks_for_is_found_out_once_for_each_set_of_limits() -> None:
    said = message(encode_values("connect", 1, {"app": "live"}))
    params = parse_request(said, LIMITS).connect_params(LIMITS)
    assert parse_request(said, LIMITS).connect_params(LIMITS) is params
    assert params == ConnectParams.from_command(parse_command(said, LIMITS), LIMITS)
    with pytest.raises(ProtocolError, match="app of 4 bytes"):
        parse_request(said, LIMITS).connect_params(replace(LIMITS, max_app_bytes=1, max_name_bytes=1))


def test_connect_of_obs() -> None:
    command = parse_command(message(OBS29), LIMITS)
    params = ConnectParams.from_command(command, LIMITS)
    assert (params.app, params.app_query) == ("live", "")
    assert params.tc_url == params.swf_url == "rtmp://127.0.0.1:1935/live"
    assert params.flash_ver == "FMLE/3.0 (compatible; FMSc/1.0)"
    assert params.page_url == ""
    assert params.object_encoding == 0
    assert params.four_cc_list == ()
    assert params.connect_object["supportsGoAway"] is True
    assert params.args == ()


def test_connect_of_ffmpeg_with_hevc() -> None:
    params = ConnectParams.from_command(parse_command(message(FFMPEG90_HEVC), LIMITS), LIMITS)
    assert params.four_cc_list == ("hvc1",)


def test_connect_keeps_extra_arguments() -> None:
    params = ConnectParams.from_command(parse_command(message(FFMPEG51_EXTRA_ARGUMENTS), LIMITS), LIMITS)
    assert params.args == ("extra", 1.0, True)


@pytest.mark.parametrize(
    ("sent", "app", "query"),
    [
        ("live", "live", ""),
        ("live/", "live", ""),
        ("/live", "live", ""),
        ("live/_definst_", "live", ""),
        ("live/_definst_/", "live", ""),
        ("a/b/c", "a/b/c", ""),
        ("live?vhost=x", "live", "vhost=x"),
        ("live/?vhost=x/", "live", "vhost=x/"),
        (
            "live?k=v?authmod=adobe&user=U&response=a+b/c==",
            "live",
            "k=v?authmod=adobe&user=U&response=a+b/c==",
        ),
        ("", "", ""),
    ],
)
def test_app_forms(sent: str, app: str, query: str) -> None:
    params = connect(app=sent)
    assert (params.app, params.app_query) == (app, query)


@pytest.mark.parametrize(
    ("properties", "tc_url"),
    [
        ({"tcUrl": "rtmp://h/live"}, "rtmp://h/live"),
        ({"tcurl": "rtmp://h/live"}, "rtmp://h/live"),
        ({"tcUrl": "'rtmp://h/live'"}, "rtmp://h/live"),
        ({}, "/live?t=1"),
        ({"tcUrl": 5.0}, "/live?t=1"),
    ],
)
def test_tc_url_forms(properties: dict[str, AmfValue], tc_url: str) -> None:
    assert connect(app="live?t=1", **properties).tc_url == tc_url


def test_the_object_may_be_an_ecma_array() -> None:
    command = Command("connect", 1, EcmaArray({"app": "live"}))
    assert ConnectParams.from_command(command, LIMITS).app == "live"


@pytest.mark.parametrize("value", [None, "x", 1.0, [], True])
def test_a_connect_without_object(value: AmfValue) -> None:
    with pytest.raises(ProtocolError) as caught:
        ConnectParams.from_command(Command("connect", 1, value), LIMITS)
    assert caught.value.reason == "bad_connect"


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        (["hvc1", "av01"], ("hvc1", "av01")),
        ({"0": "hvc1", "1": "av01"}, ("hvc1", "av01")),
        (EcmaArray({"hvc1": 4.0, "*": True}), ("hvc1", "*")),
        (["*", 1.0, None, "", "toolong"], ("*",)),
        (["hvc1"] * 1000, ("hvc1",) * 64),
        ("hvc1", ()),
        (None, ()),
    ],
)
def test_four_cc_list_forms(sent: AmfValue, read: tuple[str, ...]) -> None:
    assert connect(fourCcList=sent).four_cc_list == read


def test_enhanced_fields() -> None:
    params = connect(
        videoFourCcInfoMap={"*": 4.0, "hvc1": 7.0, "odd": math.nan},
        audioFourCcInfoMap=EcmaArray({"mp4a": "x"}),
        capsEx=15.0,
        videoFunction=7.0,
        objectEncoding=3.0,
    )
    assert params.video_four_cc_info_map == {"*": 4, "hvc1": 7, "odd": 0}
    assert params.audio_four_cc_info_map == {"mp4a": 0}
    assert params.caps_ex == 15
    assert params.video_function == sum(VideoFunction) - VideoFunction.CLIENT_LARGE_SCALE_TILE
    assert params.object_encoding == 3


def test_wrong_types_are_as_if_absent() -> None:
    texts = ["app", "tcUrl", "flashVer", "swfUrl", "pageUrl", "objectEncoding", "fourCcList"]
    wrong: dict[str, AmfValue] = {key: [None] for key in texts}
    more: dict[str, AmfValue] = {"capsEx": -1.0, "videoFourCcInfoMap": "x", "audioFourCcInfoMap": 1.5}
    params = connect(**wrong, **more)
    assert params == replace(ConnectParams("", tc_url="/"), connect_object=params.connect_object)


@pytest.mark.parametrize("encoding", [1.0, 2.0, -3.0, 3.5, True, "3", 1e300])
def test_unknown_object_encodings_are_amf0(encoding: AmfValue) -> None:
    assert connect(objectEncoding=encoding).object_encoding == 0


@pytest.mark.parametrize(
    ("key", "limit", "reason"),
    [
        ("app", LIMITS.max_path_bytes, "app_too_long"),
        ("tcUrl", LIMITS.max_tc_url_bytes, "tc_url_too_long"),
        ("flashVer", 4096, "field_too_long"),
        ("swfUrl", 4096, "field_too_long"),
        ("pageUrl", 4096, "field_too_long"),
    ],
)
def test_lengths_are_limited_in_bytes(key: str, limit: int, reason: str) -> None:
    connect(**{key: "x" * limit})
    for long in ("x" * (limit + 1), "é" * (limit // 2 + 1)):
        with pytest.raises(ProtocolError) as caught:
            connect(**{key: long})
        assert caught.value.reason == reason


@pytest.mark.parametrize("key", ["app", "tcUrl"])
def test_queries_have_their_own_limit_and_stay_out_of_the_error(key: str) -> None:
    secret = "s" * LIMITS.max_query_bytes
    connect(**{key: f"live?{secret}"})
    with pytest.raises(ProtocolError) as caught:
        connect(**{key: f"live?{secret}s"})
    assert caught.value.reason == "query_too_long"
    assert "sss" not in str(caught.value)


def test_to_command_sends_only_what_is_set() -> None:
    command = ConnectParams("live", tc_url="rtmp://h/live").to_command(1)
    assert command == Command("connect", 1, {"app": "live", "tcUrl": "rtmp://h/live"})


def test_to_command_and_back() -> None:
    params = ConnectParams(
        app="live",
        app_query="token=a+b==",
        tc_url="rtmp://h/live",
        flash_ver="FMLE/3.0",
        swf_url="s",
        page_url="p",
        object_encoding=3,
        four_cc_list=("hvc1", "*"),
        video_four_cc_info_map={"*": 4},
        audio_four_cc_info_map={"Opus": 7},
        caps_ex=15,
        video_function=7,
        connect_object={"type": "nonprivate"},
        args=("extra",),
    )
    command = parse_command(message(serialize_command(params.to_command(1))), LIMITS)
    again = ConnectParams.from_command(command, LIMITS)
    assert again.connect_object["type"] == "nonprivate"
    assert replace(again, connect_object=params.connect_object) == params


def test_repr_tells_no_secret() -> None:
    url = "rtmp://h/live?secret"
    command = Command(
        "connect", 1, {"app": "live?secret", "tcUrl": url, "swfUrl": url, "pageUrl": url}, ("secret",)
    )
    params = ConnectParams.from_command(command, LIMITS)
    assert "secret" not in repr(params)
    assert "live" in repr(params)


# Replies


def test_what_many_are_told_is_what_each_would_be_told() -> None:
    for _ in range(2):
        for transaction_id, encoding in ((1, 0), (2, 0), (1, 3)):
            alone = serialize_command(connect_result(transaction_id, encoding))
            assert connect_payload(transaction_id, encoding) == alone
        extra = serialize_command(connect_result(1, 0, via=["here"]))
        assert connect_payload(1, 0, via=["here"]) == extra
        for name in ("cam", "dock"):
            alone = serialize_command(on_status("status", StatusCode.PLAY_START, name))
            assert status_payload(StatusCode.PLAY_START, name) == alone


def test_connect_result_layout() -> None:
    values: list[Any] = decode_values(
        serialize_command(connect_result(1, 3, data=EcmaArray({"version": "1"})))
    )
    assert values[:2] == ["_result", 1.0]
    assert values[2] == {
        "fmsVer": "FMS/3,5,3,888",
        "capabilities": 31.0,
        "mode": 1.0,
        "fourCcList": ["*"],
        "videoFourCcInfoMap": {"*": 4.0},
        "audioFourCcInfoMap": {"*": 4.0},
        "capsEx": 15.0,
    }
    assert values[3] == {
        "level": "status",
        "code": "NetConnection.Connect.Success",
        "description": "Connection succeeded.",
        "objectEncoding": 3.0,
        "data": {"version": "1"},
    }
    assert len(values) == 4


def test_other_replies() -> None:
    assert serialize_command(result(2, 1)) == encode_values("_result", 2, None, 1)
    info = {"level": "error", "code": "C", "description": "D"}
    assert serialize_command(error(3, "C", "D")) == encode_values("_error", 3, None, info)
    status = {"level": "status", "code": "C", "description": "D", "details": "x"}
    assert on_status("status", "C", "D", details="x") == Command("onStatus", 0, None, (status,))
    assert status_object("status", "C", "D", details="x") == status


# parse_data


def test_parse_data() -> None:
    body = encode_values("@setDataFrame", "onMetaData", EcmaArray({"a": 1}))
    expected = ("@setDataFrame", ["onMetaData", EcmaArray({"a": 1.0})])
    assert parse_data(message(body, MessageType.DATA_AMF0)) == expected
    assert parse_data(message(b"\x00" + body, MessageType.DATA_AMF3)) == expected


@pytest.mark.parametrize("body", [b"", bytes(20), b"\x05", b"\x02\x00"])
def test_data_without_a_name(body: bytes) -> None:
    with pytest.raises(AmfError):
        parse_data(message(body, MessageType.DATA_AMF0))


def test_the_length_of_other_texts_is_a_setting() -> None:
    limits = Limits(max_field_bytes=4)
    connect = Command("connect", 1, {"app": "live", "flashVer": "four"})
    assert ConnectParams.from_command(connect, limits).flash_ver == "four"
    connect = Command("connect", 1, {"app": "live", "flashVer": "five5"})
    with pytest.raises(ProtocolError, match="field") as caught:
        ConnectParams.from_command(connect, limits)
    assert caught.value.reason == "field_too_long"
