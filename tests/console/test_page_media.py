"""What streams are made of, in their page: ladders, and codecs that not every browser has."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from browser_kit import Browser
from captions_kit import write_captioned
from ffmpeg import bundled
from live_fixtures import ClipMaker
from media_clips import AV1_OPUS, FRAME_RATE, H264_MP3, HEVC_AAC, Recipe
from page_kit import Begin, Encoder, ffmpeg_of, obs_of, page_of, showing

pytestmark = pytest.mark.console

LOW_LATENCY = ("apps.live.hls.part=0.2", "apps.live.hls.segment=1")


def in_order(folder: Path, size: str = "320x240") -> Path:
    """A clip whose pictures come in the order in which they are shown."""
    path = folder / f"in_order_{size}.flv"
    picture = ("-f", "lavfi", "-i", f"testsrc2=size={size}:rate={FRAME_RATE}:duration=4")
    codecs = ("-c:v", "libx264", "-preset", "ultrafast", "-bf", "0", "-g", str(FRAME_RATE), "-c:a", "aac")
    bundled().run(*picture, "-f", "lavfi", "-i", "sine=duration=4", *codecs, "-pix_fmt", "yuv420p", str(path))
    return path


@pytest.fixture
def media(viewer: Browser) -> Browser:
    return replace(viewer, script=Path(__file__).with_name("media.mjs"))


@pytest.mark.parametrize("scenario", ["ladder", "tracks"])
def test_a_quality_is_chosen_of_what_an_obs_sends(media: Browser, tmp_path: Path, scenario: str) -> None:
    with showing(obs_of("multitrack", tmp_path), *LOW_LATENCY) as (server, encoder):
        media.run(scenario, page_of(server), publish=encoder.publish)


def test_who_watches_a_variant_that_ends_goes_on_with_the_others(media: Browser, tmp_path: Path) -> None:
    settings = (
        "apps.live.hls.variants={name},{name}_240",
        "apps.live.handover.grace=0",
        "apps.live.hls.grace=1",
    )
    large, small = (ffmpeg_of(in_order(tmp_path, size)) for size in ("640x480", "320x240"))
    with showing(large, *LOW_LATENCY, *settings) as (server, encoder):
        other = Encoder(server, small, "show_240")
        try:
            media.run(
                "variants",
                page_of(server),
                publish=encoder.publish,
                other=other.publish,
                stop=encoder.stop,
            )
        finally:
            other.end()


def test_av1_is_played_by_all_ways(media: Browser, clip: ClipMaker) -> None:
    with showing(ffmpeg_of(clip(AV1_OPUS)), *LOW_LATENCY) as (server, encoder):
        media.run("decodes", page_of(server), publish=encoder.publish)


@pytest.mark.parametrize(
    ("recipe", "mime", "sentence"),
    [
        pytest.param(
            *(HEVC_AAC, 'video/mp4; codecs="hvc1.1.6.L60.90"'),
            "Sound alone: this browser cannot play HEVC (H.265).",
            id="hevc",
        ),
        pytest.param(
            *(H264_MP3, 'audio/mp4; codecs="mp4a.6B"'),
            "No sound: this browser cannot play MP3.",
            id="mp3",
        ),
    ],
)
def test_what_a_browser_lacks_is_named_and_the_rest_plays(
    media: Browser, clip: ClipMaker, recipe: Recipe, mime: str, sentence: str
) -> None:
    with showing(ffmpeg_of(clip(recipe)), *LOW_LATENCY) as (server, encoder):
        media.run(
            "lacks", page_of(server), publish=encoder.publish, type=lambda: mime, sentence=lambda: sentence
        )


@pytest.mark.parametrize("scenario", ["native", "managed"])
def test_browsers_that_have_less_play_it_too(media: Browser, plain: Begin, scenario: str) -> None:
    settings = ("apps.live.handover.grace=0", "apps.live.hls.grace=1")
    with showing(plain, *LOW_LATENCY, *settings) as (server, encoder):
        media.run(scenario, page_of(server), publish=encoder.publish, stop=encoder.stop)


def test_who_watches_goes_back_to_what_is_on_the_drive(media: Browser, plain: Begin, tmp_path: Path) -> None:
    with showing(plain, *LOW_LATENCY, "apps.live.hls.dvr=1h", f"spool.path={tmp_path}") as (server, encoder):

        def time() -> None:
            """There are 25 seconds of it."""
            server.wait_for_frames(server.url("show"), 25 * FRAME_RATE)

        media.run("dvr", page_of(server), publish=encoder.publish, time=time)


def test_a_sound_is_chosen_of_what_an_obs_sends(media: Browser, tmp_path: Path) -> None:
    obs = obs_of("single-vod", tmp_path)
    with showing(obs, *LOW_LATENCY, "apps.live.hls.vod_track=true") as (server, encoder):
        media.run("sounds", page_of(server), publish=encoder.publish)


def test_captions_that_hls_carries_are_shown(media: Browser, tmp_path: Path) -> None:
    captioned, text = tmp_path / "captioned.flv", "Good evening"
    write_captioned(in_order(tmp_path), captioned, text, FRAME_RATE)
    with showing(ffmpeg_of(captioned), *LOW_LATENCY) as (server, encoder):
        media.run("captions", page_of(server), publish=encoder.publish, text=lambda: text)


def test_the_newest_picture_is_shown_until_it_plays(media: Browser, plain: Begin) -> None:
    with showing(plain, "apps.live.page.picture=players") as (server, encoder):
        media.run("poster", page_of(server), publish=encoder.publish)


def test_a_pause_from_elsewhere_is_one(media: Browser, plain: Begin) -> None:
    with showing(plain) as (server, encoder):

        def unwatched() -> None:
            server.log.wait_for({"event": "play ended", "stream": "show"})

        media.run("elsewhere", page_of(server), publish=encoder.publish, unwatched=unwatched)


def test_what_breaks_is_begun_anew(media: Browser, plain: Begin) -> None:
    with showing(plain) as (server, encoder):
        media.run("breaks", page_of(server), publish=encoder.publish)
