"""What OBS is told, as its parser wants it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from rtmpd.multitrack.answer import Ingest, Plan, configuration, override, refusal
from rtmpd.multitrack.encoders import Family
from rtmpd.multitrack.fitting import fit
from rtmpd.multitrack.imagined import imagine
from rtmpd.multitrack.ladder import Ladder, Rung

LADDER = Ladder((Rung(1080, 6000), Rung(360, 800, 30)), keyint=1, audio_kbps=128, vod_kbps=192)


def plan(**other: Any) -> Plan:
    question = replace(imagine({}), **other)
    return Plan(LADDER, Family.X264, fit(LADDER, question, Family.X264), question.channels, question.vod)


def read(answer: bytes) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(answer)
    return told


def test_a_configuration_has_all_that_obs_demands() -> None:
    ingests = [Ingest("rtmps://h:1936/live", "obs-token"), Ingest("rtmp://h/live", "obs-token")]
    told = read(configuration(plan(), ingests, "c1", "2024-06-04"))
    assert told["meta"] == {"service": "rtmpd", "schema_version": "2024-06-04", "config_id": "c1"}
    assert told["status"] == {"result": "success", "html_en_us": None}
    assert told["ingest_endpoints"] == [
        {
            "protocol": "RTMPS",
            "url_template": "rtmps://h:1936/live/{stream_key}",
            "authentication": "obs-token",
        },
        {"protocol": "RTMP", "url_template": "rtmp://h/live/{stream_key}", "authentication": "obs-token"},
    ]
    first, second = told["encoder_configurations"]
    assert (first["type"], first["width"], first["height"], first["canvas_index"]) == (
        "obs_x264",
        1920,
        1080,
        0,
    )
    assert (first["framerate"], second["framerate"]) == (
        {"numerator": 60, "denominator": 1},
        {"numerator": 30, "denominator": 1},
    )
    assert (first["settings"]["bitrate"], second["settings"]["bitrate"]) == (6000, 800)
    assert told["audio_configurations"] == {
        "live": [{"codec": "aac", "track_id": 0, "channels": 2, "settings": {"bitrate": 128}}]
    }


def test_audio_is_as_it_was_asked_for() -> None:
    told = read(configuration(plan(channels=6, vod=True), [], "", "2025-01-25"))["audio_configurations"]
    assert [each["channels"] for each in told["live"] + told["vod"]] == [6, 6]
    assert [each["settings"]["bitrate"] for each in told["vod"]] == [192]
    assert {each["track_id"] for each in told["live"] + told["vod"]} == {0, 1}


def test_a_refusal_is_text_and_no_markup() -> None:
    told = read(refusal('No <b>"key"</b> & <script>'))
    assert told["status"] == {
        "result": "error",
        "html_en_us": "No &lt;b&gt;&quot;key&quot;&lt;/b&gt; &amp; &lt;script&gt;",
    }
    assert (told["encoder_configurations"], told["ingest_endpoints"]) == ([], [])


def test_an_override_is_what_obs_needs_beside_server_and_key() -> None:
    told = json.loads(override(plan()))
    assert told.keys() == {"encoder_configurations", "audio_configurations"}
    assert told["audio_configurations"].keys() == {"live"}


def test_a_token_is_not_shown() -> None:
    assert "obs-token" not in repr(Ingest("rtmp://h/live", "obs-token"))
