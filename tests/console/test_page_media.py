"""What streams are made of, in their page: ladders, and codecs that not every browser has."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from browser_kit import Browser
from live_fixtures import ClipMaker
from media_clips import AV1_OPUS, H264_MP3, HEVC_AAC, Recipe
from page_kit import ffmpeg_of, obs_of, page_of, showing

pytestmark = pytest.mark.console

LOW_LATENCY = ("apps.live.hls.part=0.2", "apps.live.hls.segment=1")


@pytest.fixture
def media(viewer: Browser) -> Browser:
    return replace(viewer, script=Path(__file__).with_name("media.mjs"))


@pytest.mark.parametrize("scenario", ["ladder", "tracks"])
def test_a_quality_is_chosen_of_what_an_obs_sends(media: Browser, tmp_path: Path, scenario: str) -> None:
    with showing(obs_of("multitrack", tmp_path), *LOW_LATENCY) as (server, encoder):
        media.run(scenario, page_of(server), publish=encoder.publish)


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
