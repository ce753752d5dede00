from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtmpd.media.tags import (
    AUDIO_FOUR_CCS,
    MULTITRACK,
    UNKNOWN,
    VIDEO_FOUR_CCS,
    audio_flags,
    parse_audio,
    parse_video,
    video_flags,
)
from rtmpd.media.tracks import (
    ALL,
    DEFAULT,
    DEFAULT_TRACK,
    MANY_TRACKS,
    TrackChoice,
    plain_track,
    split_tracks,
    track_of,
)

AUDIO, VIDEO = 8, 9


def packed(text: str) -> bytes:
    """Hex, with ``'name`` for four characters."""
    return b"".join(
        word[1:].encode() if word.startswith("'") else bytes.fromhex(word) for word in text.split()
    )


@pytest.mark.parametrize(
    ("choice", "particular"),
    [
        (DEFAULT, False),
        (ALL, False),
        (TrackChoice(0), False),
        (TrackChoice(1), True),
        (TrackChoice(DEFAULT_TRACK, 1), True),
    ],
)
def test_who_names_a_track_other_than_the_first_is_particular(choice: TrackChoice, particular: bool) -> None:
    assert choice.particular is particular


@pytest.mark.parametrize(
    ("kind", "tracked", "plain"),
    [
        pytest.param(VIDEO, "96 00 'avc1 01 01 64", "17 00 00 00 00 01 64", id="avc-header"),
        pytest.param(VIDEO, "96 01 'avc1 01 00 00 42 65", "17 01 00 00 42 65", id="avc-key"),
        pytest.param(VIDEO, "96 03 'avc1 01 65", "17 01 00 00 00 65", id="avc-key-x"),
        pytest.param(VIDEO, "a6 03 'avc1 02 41", "27 01 00 00 00 41", id="avc-inter"),
        pytest.param(VIDEO, "b6 01 'avc1 02 ff ff f0 41", "37 01 ff ff f0 41", id="avc-disposable"),
        pytest.param(VIDEO, "96 02 'avc1 01", "17 02 00 00 00", id="avc-end"),
        pytest.param(VIDEO, "86 04 'avc1 01 02", "", id="avc-metadata"),
        pytest.param(VIDEO, "96 00 'hvc1 01 01 02", "90 'hvc1 01 02", id="hevc-header"),
        pytest.param(VIDEO, "a6 01 'hvc1 01 00 00 07 02", "a1 'hvc1 00 00 07 02", id="hevc-inter"),
        pytest.param(VIDEO, "96 04 'hvc1 01 02 00 09", "94 'hvc1 02 00 09", id="hevc-metadata"),
        pytest.param(VIDEO, "96 02 'av01 01", "92 'av01", id="av1-end"),
        pytest.param(VIDEO, "97 02 00 00 01 06 03 'hvc1 01 26", "97 02 00 00 01 03 'hvc1 26", id="modex"),
        pytest.param(VIDEO, "97 02 00 00 01 06 03 'avc1 01 26", "17 01 00 00 00 26", id="avc-modex"),
        pytest.param(AUDIO, "95 00 'mp4a 01 12 10", "af 00 12 10", id="aac-header"),
        pytest.param(AUDIO, "95 01 'mp4a 01 21", "af 01 21", id="aac-frame"),
        pytest.param(AUDIO, "95 02 'mp4a 01", "", id="aac-end"),
        pytest.param(AUDIO, "95 04 'mp4a 01 01 02", "", id="aac-channels"),
        pytest.param(AUDIO, "95 00 'Opus 01 4f", "90 'Opus 4f", id="opus-header"),
        pytest.param(AUDIO, "97 00 00 05 01 'Opus 02 fc", "97 00 00 01 'Opus fc", id="opus-modex"),
    ],
)
def test_a_track_is_written_as_a_stream_without_tracks(kind: int, tracked: str, plain: str) -> None:
    assert plain_track(kind, packed(tracked)) == packed(plain)


def test_several_tracks_of_one_codec_are_cut_apart() -> None:
    payload = packed("96 11 'av01 00 00 00 02 12 00 05 00 00 01 13")
    assert track_of(payload) == MANY_TRACKS
    assert split_tracks(payload) == [packed("96 01 'av01 00 12 00"), packed("96 01 'av01 05 13")]


def test_several_codecs_are_cut_apart_behind_modex() -> None:
    payload = packed("97 02 00 00 01 06 20 'avc1 00 00 00 01 01 'hvc1 05 00 00 00")
    assert split_tracks(payload) == [
        packed("97 02 00 00 01 06 00 'avc1 00 01"),
        packed("97 02 00 00 01 06 00 'hvc1 05"),
    ]
    assert [track_of(part) for part in split_tracks(payload)] == [0, 5]


BODIES = st.lists(st.tuples(st.integers(0, 255), st.binary(max_size=40)), min_size=1, max_size=8)


@given(st.sampled_from([AUDIO, VIDEO]), st.booleans(), st.data(), BODIES)
def test_what_is_cut_apart_and_made_plain_says_the_same(
    kind: int, shared: bool, data: st.DataObject, tracks: list[tuple[int, bytes]]
) -> None:
    codecs = AUDIO_FOUR_CCS if kind == AUDIO else VIDEO_FOUR_CCS
    one = data.draw(st.sampled_from(codecs))
    named = [one if shared else data.draw(st.sampled_from(codecs)) for _ in tracks]
    head = b"\x95" if kind == AUDIO else b"\x96"
    payload = head + (b"\x11" + one.encode() if shared else b"\x21")
    for codec, (track, body) in zip(named, tracks, strict=True):
        payload += b"" if shared else codec.encode()
        payload += bytes((track,)) + len(body).to_bytes(3, "big") + body
    parse = parse_audio if kind == AUDIO else parse_video
    flags = audio_flags if kind == AUDIO else video_flags
    whole = flags(payload)
    assert whole & MULTITRACK
    parts = split_tracks(payload)
    assert [track_of(part) for part in parts] == [track for track, _ in tracks]
    for codec, part, (track, body) in zip(named, parts, tracks, strict=True):
        assert flags(part) == whole
        assert parse(part).track_ids == (track,)
        assert part.endswith(body)
        plain = plain_track(kind, part)
        assert parse(plain).codec == codec
        assert not flags(plain) & (MULTITRACK | UNKNOWN)
