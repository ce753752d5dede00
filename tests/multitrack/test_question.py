"""What OBS asks, in both versions of its schema, and what others send in its place."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from obs_config_kit import canvas, older, request, with_gpu, written

from rtmpd.multitrack.question import Canvas, read_question

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place of a document."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for name, item in inner for place in places(item, (*path, name)))]


def with_value(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    changed = dict(document) if isinstance(document, dict) else list(document)
    changed[path[0]] = with_value(changed[path[0]], path[1:], value)
    return changed


def test_what_obs_32_sends_is_understood() -> None:
    question = read_question(written(request("show?user=1")))
    assert (question.key, question.schema, question.version) == (
        "show?user=1",
        "2025-01-25",
        "32.2.2+ds-1+b2",
    )
    assert question.canvas == Canvas(640, 360, 30, 1)
    assert (question.codecs, question.vendor) == ({"h264", "av1"}, None)
    assert (question.max_kbps, question.max_tracks, question.channels, question.vod) == (None, 10, 2, False)


def test_before_31_1_there_was_one_canvas_and_six_tracks() -> None:
    question = read_question(written(older(maximum_video_tracks=9, vod_track_audio=True)))
    assert (question.schema, question.canvas) == ("2024-06-04", Canvas(1920, 1080, 60, 1))
    assert (question.max_tracks, question.vod) == (6, True)


def test_what_a_streamer_has_put_out_smaller_is_the_canvas() -> None:
    small = canvas(1440, 2560) | {"width": 1280, "height": 720}
    assert read_question(written(request(canvases=[small]))).canvas == Canvas(1280, 720, 60, 1)


def test_the_gpu_is_the_one_that_makes_the_pictures() -> None:
    body = with_gpu(request(composition_gpu_index=1), 4318)
    body["capabilities"]["gpu"].append(body["capabilities"]["gpu"][0] | {"vendor_id": 32902})
    assert read_question(written(body)).vendor == 32902
    body["preferences"]["composition_gpu_index"] = 7
    assert read_question(written(body)).vendor == 4318


def test_what_is_not_known_is_let_pass() -> None:
    body = request() | {"news": [1, {"deep": None}], "schema_version": "2030-01-01"}
    body["capabilities"]["system"]["revision"] = {"what": "ever"}
    body["capabilities"]["system"]["arm_emulation"] = True
    assert read_question(written(body)).schema == "2025-01-25"


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b'"text"', b"[" * 40_000, b'{"a":' * 9_000, b"\xff\xfe{}", b"{}\0"],
    ids=["nothing", "cut", "a list", "null", "a text", "deep", "deeper", "no UTF-8", "more behind"],
)
def test_what_is_no_request_is_told_in_a_sentence(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"^this is no (JSON object|request of OBS: .+)$"):
        read_question(body)


@given(
    st.sampled_from([request(), older()]).flatmap(
        lambda body: st.tuples(st.just(body), st.sampled_from(places(body)), VALUES)
    )
)
def test_whatever_stands_anywhere_it_is_understood_or_told_without_a_word_of_it(
    case: tuple[Any, tuple[Any, ...], Any],
) -> None:
    body, place, value = case
    secret = "mdn777zx64g3mjpcvnv8wgqxk5uv2m5ra"
    changed = with_value(body | {"authentication": secret}, place, value)
    told = ""
    try:
        question = read_question(json.dumps(changed).encode())
    except ValueError as error:
        told = str(error)
    else:
        assert secret not in repr(question)
        assert 1 <= question.max_tracks <= 10
        assert question.canvas.height >= 2
        assert question.canvas.numerator > 0 < question.canvas.denominator
    assert secret not in told
    assert told.isprintable()


@given(st.binary(max_size=200))
def test_bytes_are_nothing_to_worry_about(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"^this is no "):
        read_question(body)
