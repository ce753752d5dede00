"""A ladder within what a streamer's OBS has and wants."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtmpd.multitrack.encoders import Family, family_of, settings_of
from rtmpd.multitrack.fitting import Video, fit
from rtmpd.multitrack.imagined import imagine, named_family
from rtmpd.multitrack.ladder import Codec, Ladder, Rung
from rtmpd.multitrack.question import Question

LADDER = Ladder((Rung(1080, 6000), Rung(720, 3000), Rung(360, 800, 30)), audio_kbps=160)
IDS = {
    Family.X264: ["obs_x264", "obs_x264", "ffmpeg_svt_av1"],
    Family.NVENC: ["obs_nvenc_h264_tex", "obs_nvenc_hevc_tex", "obs_nvenc_av1_tex"],
    Family.AMF: ["h264_texture_amf", "h265_texture_amf", "av1_texture_amf"],
    Family.QSV: ["obs_qsv11_v2", "obs_qsv11_hevc", "obs_qsv11_av1"],
    Family.VAAPI: ["ffmpeg_vaapi_tex", "hevc_ffmpeg_vaapi_tex", "av1_ffmpeg_vaapi_tex"],
}


def asked(canvas: str = "1920x1080", fps: str = "60", **other: Any) -> Question:
    return replace(imagine({"canvas": canvas, "fps": fps}), **other)


def shown(videos: tuple[Video, ...]) -> list[str]:
    return [
        f"{each.width}x{each.height}@{Fraction(each.numerator, each.denominator)} {each.kbps}"
        for each in videos
    ]


def fitted(question: Question, ladder: Ladder = LADDER) -> list[str]:
    return shown(fit(ladder, question, Family.X264))


def test_a_canvas_that_has_it_all_gets_it_all() -> None:
    assert fitted(asked()) == ["1920x1080@60 6000", "1280x720@60 3000", "640x360@30 800"]
    assert fitted(asked("2560x1440")) == fitted(asked())


def test_nothing_is_made_larger_and_of_two_that_are_the_same_the_smaller_stays() -> None:
    assert fitted(asked("1280x720")) == ["1280x720@60 3000", "640x360@30 800"]
    assert fitted(asked("1680x1050")) == ["1680x1050@60 6000", "1152x720@60 3000", "576x360@30 800"]
    assert fitted(asked("426x240")) == ["426x240@30 800"]


def test_the_same_lines_by_two_codecs_are_two_qualities() -> None:
    both = Ladder((Rung(1080, 4000, codec=Codec.AV1), Rung(1080, 6000)))
    assert fitted(asked("1280x720"), both) == ["1280x720@60 4000", "1280x720@60 6000"]


@pytest.mark.parametrize(
    ("fps", "rung", "outcome"),
    [
        ("60", 60, "60"),
        ("60", 30, "30"),
        ("60", 25, "20"),
        ("60000/1001", 60, "60000/1001"),
        ("60000/1001", 30, "30000/1001"),
        ("60", 59.94, "60"),
        ("50", 30, "25"),
        ("30", 60, "30"),
        ("144", 60, "48"),
        ("30", 0, "30"),
    ],
)
def test_frames_are_left_out_by_whole_numbers(fps: str, rung: float, outcome: str) -> None:
    (video,) = fit(Ladder((Rung(360, 800, rung),)), asked(fps=fps), Family.X264)
    assert Fraction(video.numerator, video.denominator) == Fraction(outcome)


def test_too_many_bits_go_from_the_top_and_too_many_tracks_from_the_end() -> None:
    assert fitted(asked(max_kbps=9960)) == fitted(asked())
    assert fitted(asked(max_kbps=9959)) == ["1280x720@60 3000", "640x360@30 800"]
    assert fitted(asked(max_kbps=9959 + 160, vod=True)) == ["1280x720@60 3000", "640x360@30 800"]
    assert fitted(asked(max_kbps=700)) == ["640x360@30 540"]
    assert fitted(asked(max_kbps=259)) == []
    assert fitted(asked(max_tracks=2)) == ["1920x1080@60 6000", "1280x720@60 3000"]


@pytest.mark.parametrize("family", Family)
def test_encoders_are_those_of_the_gpu(family: Family) -> None:
    ladders = [Ladder((Rung(360, 800, codec=codec),)) for codec in Codec]
    assert [fit(each, asked(), family)[0].encoder for each in ladders] == IDS[family]


def test_the_vendor_says_whose_they_are() -> None:
    families = [family_of(asked(vendor=vendor)) for vendor in (4318, 4098, 32902, 20803, None)]
    assert families == [Family.NVENC, Family.AMF, Family.QSV, Family.X264, Family.X264]


def test_what_obs_lacks_is_h264() -> None:
    hevc = Ladder((Rung(360, 800, codec=Codec.HEVC),))
    assert fit(hevc, asked(codecs=frozenset({"h264"})), Family.NVENC)[0].encoder == "obs_nvenc_h264_tex"
    assert fit(hevc, asked(), Family.X264)[0].encoder == "obs_x264"


def test_what_obs_makes_the_same_of_is_one_quality() -> None:
    two = Ladder((Rung(1080, 4000, codec=Codec.AV1), Rung(1080, 6000), Rung(360, 800)))
    lacking = asked(codecs=frozenset({"h264"}))
    assert fitted(asked(), two) == ["1920x1080@60 4000", "1920x1080@60 6000", "640x360@60 800"]
    assert fitted(lacking, two) == ["1920x1080@60 4000", "640x360@60 800"]
    assert fitted(replace(lacking, max_tracks=2), two) == ["1920x1080@60 4000", "640x360@60 800"]


def test_the_same_lines_at_two_rates_are_two_qualities() -> None:
    both = Ladder((Rung(720, 4500, 60), Rung(720, 3000, 30)))
    assert fitted(asked(), both) == ["1280x720@60 4500", "1280x720@30 3000"]
    assert fitted(asked(fps="30"), both) == ["1280x720@30 3000"]


def between_key_frames(ladder: Ladder, question: Question, family: Family) -> set[Fraction]:
    """Seconds, as OBS makes them of what it is told: of frames it knows whole ones alone."""
    rates = {each: Fraction(each.numerator, each.denominator) for each in fit(ladder, question, family)}
    return {(each.gop or int(ladder.keyint * rate)) / rate for each, rate in rates.items()}


@pytest.mark.parametrize("family", Family)
@pytest.mark.parametrize("keyint", [1, 2, 3])
@pytest.mark.parametrize("fps", ["60", "60000/1001", "30000/1001", "25", "24000/1001", "144", "1"])
def test_key_frames_of_all_tracks_come_together(family: Family, keyint: int, fps: str) -> None:
    ladder = Ladder((Rung(1080, 6000), Rung(720, 3000, 30), Rung(480, 1500, 20), Rung(360, 800, 12)), keyint)
    (seconds,) = between_key_frames(ladder, asked(fps=fps), family)
    assert keyint / 2 < seconds < 2 * keyint


def test_where_obs_counts_too_few_it_is_told_how_many_or_none_are_left_out() -> None:
    ladder, ntsc = Ladder((Rung(720, 3000, 60), Rung(360, 800, 30))), asked(fps="60000/1001")
    assert [each.gop for each in fit(ladder, asked(), Family.X264)] == [None, None]
    for family in (Family.X264, Family.NVENC):
        assert [each.gop for each in fit(ladder, ntsc, family)] == [120, 60]
    together = ["1280x720@60000/1001 3000", "640x360@60000/1001 800"]
    assert shown(fit(ladder, ntsc, Family.AMF)) == together
    assert shown(fit(ladder, replace(ntsc, version="30.2.3"), Family.NVENC)) == together
    # What has no common number of frames near enough is not slowed down either.
    odd = Ladder((Rung(720, 3000, 60), Rung(480, 900, 8.7), Rung(360, 800, 7.6), Rung(240, 400, 6.1)), 1)
    assert {each.gop for each in fit(odd, ntsc, Family.X264)} == {None}


def test_obs_30_calls_nvenc_otherwise() -> None:
    made = fit(
        Ladder((Rung(360, 800, codec=Codec.AV1), Rung(360, 800))), asked(version="30.2.3"), Family.NVENC
    )
    assert [each.encoder for each in made] == ["jim_av1_nvenc", "jim_nvenc"]


def test_x264_has_its_key_frames_where_the_others_have_them() -> None:
    assert settings_of("obs_x264", Codec.H264, Family.X264, 800, 1) == {
        "rate_control": "CBR",
        "bitrate": 800,
        "keyint_sec": 1,
        "profile": "high",
        "preset": "veryfast",
        "tune": "zerolatency",
        "bf": 0,
        "x264opts": "scenecut=0",
    }


def test_svt_av1_does_not_look_ahead_and_keeps_to_its_rate() -> None:
    told = settings_of("ffmpeg_svt_av1", Codec.AV1, Family.X264, 800, 2)
    assert told["ffmpeg_opts"] == "svtav1-params=pred-struct=1:rc=2"  # Low delay, constant bitrate.


def test_frames_between_key_frames_are_told_behind_all_else() -> None:
    h264 = settings_of("obs_x264", Codec.H264, Family.X264, 800, 2, 120)
    av1 = settings_of("ffmpeg_svt_av1", Codec.AV1, Family.X264, 800, 2, 60)
    nvenc = settings_of("obs_nvenc_hevc_tex", Codec.HEVC, Family.NVENC, 800, 2, 60)
    assert (nvenc["keyint_sec"], nvenc["opts"]) == (2, "keyint=60")
    assert (h264["keyint_sec"], h264["x264opts"]) == (2, "scenecut=0 keyint=120")
    assert (av1["keyint_sec"], av1["ffmpeg_opts"]) == (2, "svtav1-params=pred-struct=1:rc=2:keyint=60")


def test_quick_sync_does_not_look_ahead() -> None:
    # quirk(obs): by "low" it does, 30 frames.
    told = settings_of("obs_qsv11_v2", Codec.H264, Family.QSV, 800, 1)
    assert (told["latency"], told["bframes"]) == ("ultra-low", 0)


@pytest.mark.parametrize("family", Family)
@pytest.mark.parametrize("codec", Codec)
def test_all_encoders_have_their_key_frames_at_the_same_time(family: Family, codec: Codec) -> None:
    (video,) = fit(Ladder((Rung(360, 800, codec=codec),)), asked(), family)
    told = settings_of(video.encoder, video.codec, family, 800, 3)
    assert (told["rate_control"], told["keyint_sec"], told["bitrate"]) == ("CBR", 3, 800)
    assert told.get("bf", told.get("bframes", 0)) == 0


RUNGS = st.builds(
    Rung,
    st.integers(64, 8192),
    st.integers(50, 200_000),
    st.just(0.0) | st.floats(1, 240),
    st.sampled_from(Codec),
)


@given(
    st.lists(RUNGS, max_size=10).map(tuple),
    st.integers(2, 16_384),
    st.integers(2, 16_384),
    st.integers(1, 1_000_000),
    st.integers(1, 1_000_000),
    st.none() | st.integers(1, 10**12),
    st.integers(1, 10),
    st.sampled_from(Family),
)
def test_whatever_is_wanted_keeps_to_what_is_there(
    rungs: tuple[Rung, ...],
    width: int,
    height: int,
    numerator: int,
    denominator: int,
    max_kbps: int | None,
    max_tracks: int,
    family: Family,
) -> None:
    fps = f"{numerator}/{denominator}"
    question = asked(f"{width}x{height}", fps, max_kbps=max_kbps, max_tracks=max_tracks)
    ladder = Ladder(rungs)
    videos = fit(ladder, question, family)
    assert len(videos) <= max_tracks
    assert bool(videos) or not rungs or max_kbps is not None
    for video in videos:
        assert 2 <= video.width <= width
        assert 2 <= video.height <= height
        assert (video.width % 2, video.height % 2) == (0, 0)
        divisor = Fraction(numerator, denominator) / Fraction(video.numerator, video.denominator)
        assert divisor >= 1
        assert divisor.denominator == 1
    if max_kbps is not None and videos:
        assert sum(video.kbps for video in videos) + ladder.audio_kbps <= max_kbps


@pytest.mark.parametrize(
    "fields",
    [
        {"canvas": "1920"},
        {"canvas": "1x1"},
        {"canvas": "0x1080"},
        {"fps": "0"},
        {"fps": "60/0"},
        {"fps": "60/1/1"},
        {"channels": "9"},
        {"channels": "two"},
    ],
)
def test_what_is_no_obs_is_told(fields: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="write "):
        imagine(fields)


def test_encoders_are_named_by_whose_they_are() -> None:
    assert named_family({}) is None
    assert named_family({"encoder": "auto"}) is None
    assert named_family({"encoder": "qsv"}) is Family.QSV
    with pytest.raises(ValueError, match=r"^encoder is auto, x264, nvenc, amf, qsv or vaapi$"):
        named_family({"encoder": "voodoo"})
