"""What Discord and ntfy are sent, as their documentation has it."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest
from events_evening import evening
from events_kit import CAM, ENCODER, NOON, made

from rtmpd.engine.health import HealthKind
from rtmpd.engine.key import StreamKey
from rtmpd.events.formats import request_of, split_topic
from rtmpd.events.model import Delivery, Event, EventKind
from rtmpd.events.settings import Address, Format
from rtmpd.events.wording import worded

EVENTS = evening()
WEBHOOK = "https://discord.com/api/webhooks/123/abc"
DISCORD = Address(WEBHOOK, Format.DISCORD)
NTFY = Address("https://ntfy.sh/a", Format.NTFY)
SENTENCES = {
    EventKind.PUBLISHED: ("live/cam is being published", "By Studio 2 with FMLE/3.0 (compatible; FMSc/1.0)."),
    EventKind.FIRST_MEDIA: ("live/cam is on air", "avc1 1280x720, mp4a."),
    EventKind.CODEC_CHANGED: (
        "live/cam has changed its codecs",
        "Now avc1, .mp3; before avc1, mp4a.",
    ),
    EventKind.UNPUBLISHED: (
        "live/cam is not published any more",
        "After 40.6 s. Reason: connection_lost.",
    ),
    EventKind.HELD: (
        "live/cam is interrupted",
        "Reason: connection_lost. Its players wait for the encoder to come back.",
    ),
    EventKind.RESUMED: ("live/cam goes on", "After 3.2 s."),
    EventKind.ENDED: ("live/cam is over", "Reason: finished."),
    EventKind.PLAYER_JOINED: ("192.0.2.2 plays live/cam", "LNX 9,0,124,2."),
    EventKind.PLAYER_LEFT: ("192.0.2.2 has left live/cam", "After 42.7 s. Reason: finished."),
    EventKind.SOURCE_SWITCHED: (
        "live/cam goes on with its backup encoder",
        "The main encoder has sent nothing for backup_after.",
    ),
    EventKind.SLATE_STARTED: (
        "live/cam shows its slate",
        "The file that slate names, again and again.",
    ),
    EventKind.SLATE_ENDED: (
        "live/cam shows its slate no more",
        "After 0.5 s. The encoder is back, or another one of the stream goes on.",
    ),
    EventKind.FIRST_VIEWER: ("live/cam is watched", ""),
    EventKind.LAST_VIEWER_LEFT: ("live/cam is not watched any more", ""),
    EventKind.PUSH_STATE: (
        "live/cam to twitch: backoff",
        "rtmps://live.example.com/app. cannot connect to live.example.com port 443: Connection refused.",
    ),
    EventKind.WARNING_RAISED: (
        "live/cam: keyframes_rare",
        (
            "No key frame for 21 s: players that lose pictures have to wait for one. Set 2 s, in OBS under "
            "Settings > Output > Keyframe Interval (Output Mode: Advanced); for intra refresh see "
            "stream.gop.start."
        ),
    ),
    EventKind.WARNING_CLEARED: ("live/cam: keyframes_rare is over", ""),
    EventKind.RECORDING_STARTED: (
        "live/cam is being recorded",
        "Into /var/lib/rtmpd/recordings/live/cam/2023-11-14_22-13-20_1.flv.",
    ),
    EventKind.RECORDING_FINISHED: (
        "live/cam was recorded",
        (
            "42.5 s, 5.2 MB, H.264 AAC. File: /var/lib/rtmpd/recordings/live/cam/2023-11-14_22-13-20_1.flv. "
            "Reason: publish_ended."
        ),
    ),
    EventKind.RECORDING_FAILED: (
        "live/cam is not being recorded",
        ("No space left on device. File: /var/lib/rtmpd/recordings/live/cam/2023-11-14_22-13-20_1.flv."),
    ),
    EventKind.AUDIT: ("ann: ban 192.0.2.2", "After: by hand, until 2023-11-14T23:00Z. Reason: spam."),
    EventKind.TEST: ("rtmpd reaches you", "This is a test of the notifications."),
}


def test_a_slate_that_a_push_alone_is_shown_names_the_push() -> None:
    event = EVENTS[EventKind.SLATE_STARTED]
    alone = replace(event, facts={**event.facts, "target": "twitch"})
    assert worded(alone).title == "live/cam to twitch shows its slate"


def sent(event: Event, address: Address) -> tuple[str, dict[str, str], dict[str, Any]]:
    """URL, headers and body."""
    request = request_of(Delivery(event, 1, "x"), address, NOON)
    assert request.method == "POST"
    return request.url, dict(request.headers), json.loads(request.body)


@pytest.mark.parametrize("kind", EventKind)
def test_every_event_has_its_sentences(kind: EventKind) -> None:
    message = worded(EVENTS[kind])
    assert (message.title, message.text) == SENTENCES[kind]


@pytest.mark.parametrize("kind", HealthKind)
def test_every_warning_is_told_without_markup(kind: HealthKind) -> None:
    rates = {"seconds": 9.84, "max_seconds": 4.0, "kbps": 9000.4, "max_kbps": 6000}
    figures = {**rates, "codec": "avc1", "width": 1920, "height": 1080, "dropped": 12}
    figures |= {"percent": 7.4, "track": 1, "of": 0, "segments": 3}
    text = worded(made(EventKind.WARNING_RAISED, warning=str(kind), **figures)).text
    assert text[0].isupper()
    assert not re.search(r"[`\[\]()]{2}|`|the same", text)


def test_who_plays_a_file_does_not_watch_what_is_live() -> None:
    assert worded(made(EventKind.PLAYER_JOINED, file=True)).text.startswith(
        "Its file, and nothing that is live."
    )


def test_discord() -> None:
    url, headers, body = sent(EVENTS[EventKind.FIRST_MEDIA], DISCORD)
    assert (url, headers) == (WEBHOOK, {"Content-Type": "application/json"})
    assert body == {
        "embeds": [
            {
                "title": "live/cam is on air",
                "description": "avc1 1280x720, mp4a.",
                "color": 0x2ECC71,
                "timestamp": "2023-11-14T22:13:20.400Z",
            }
        ],
        "allowed_mentions": {"parse": []},
    }


@pytest.mark.parametrize("kind", EventKind)
def test_discord_takes_every_event(kind: EventKind) -> None:
    """Its limits: a title of 256 characters, a description of 4096, a colour of 24 bits."""
    agent = "@everyone **bold** [link](https://example.com) <@1> \\" * 100
    event = EVENTS[kind]
    long = Event(
        kind,
        event.id,
        NOON,
        StreamKey("live", "x" * 300 + "_*"),
        ENCODER.introduced(agent, ENCODER.via),
        1,
        event.facts,
    )
    _, _, body = sent(long, DISCORD)
    (embed,) = body["embeds"]
    assert 0 < len(embed["title"]) <= 256
    assert len(embed["description"]) <= 4096
    assert 0 <= embed["color"] <= 0xFFFFFF
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", embed["timestamp"])
    for text in (embed["title"], embed["description"]):
        assert not re.search(r"(?<!\\)[@*<\[]", text.replace("\\\\", ""))


def test_what_peers_call_themselves_is_no_line_and_no_link_of_its_own() -> None:
    agent = "OBS\r\n# live/news is over\u202e https://example.com/\x1b[31m"
    event = replace(EVENTS[EventKind.PUBLISHED], origin=replace(ENCODER, account="Mia", agent=agent))
    assert worded(event).text == "By Mia with OBS # live/news is over https://example.com/[31m."
    _, _, body = sent(event, DISCORD)
    assert body["embeds"][0]["description"].endswith(
        r"with OBS \# live/news is over https\://example.com/\[31m."
    )


def test_ntfy() -> None:
    private = Address("https://ntfy.example.com/rtmpd-x7", Format.NTFY, token="tk_abc")
    url, headers, body = sent(EVENTS[EventKind.HELD], private)
    assert url == "https://ntfy.example.com/"
    assert headers == {"Content-Type": "application/json", "Authorization": "Bearer tk_abc"}
    assert body == {
        "topic": "rtmpd-x7",
        "title": "live/cam is interrupted",
        "message": "Reason: connection_lost. Its players wait for the encoder to come back.",
        "priority": 4,
        "tags": ["warning", "held"],
    }


@pytest.mark.parametrize("kind", EventKind)
def test_ntfy_takes_every_event(kind: EventKind) -> None:
    """Its limits: a message that is none of 4096 bytes, priorities from 1 to 5."""
    _, _, body = sent(EVENTS[kind], NTFY)
    assert body["message"]
    assert len(str(body["message"]).encode()) < 4096
    assert body["priority"] in range(1, 6)


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("https://ntfy.sh/topic", ("https://ntfy.sh/", "topic")),
        ("http://localhost:8080/a_b-C/", ("http://localhost:8080/", "a_b-C")),
        ("https://me:pw@ntfy.example.com/t", ("https://me:pw@ntfy.example.com/", "t")),
    ],
)
def test_a_topic_is_the_path(url: str, parts: tuple[str, str]) -> None:
    assert split_topic(url) == parts


@pytest.mark.parametrize("path", ["", "/", "/a/b", "/a?auth=x", "/a b", "/" + "a" * 65])
def test_what_is_no_topic_is_told_without_it(path: str) -> None:
    with pytest.raises(ValueError, match=r"^is no topic of ntfy: write it as https://ntfy\.sh/topic$"):
        split_topic(f"https://ntfy.sh{path}")


def test_a_push_that_is_live_is_good_news() -> None:
    event = made(
        EventKind.PUSH_STATE, CAM, target="x", remote="rtmp://a/b", state="live", reason="", status="Go."
    )
    _, _, body = sent(event, NTFY)
    assert (body["priority"], body["tags"]) == (3, ["white_check_mark", "push_state"])
