"""Secrets that are found in whatever spelling, and what is left of the text around them."""

from __future__ import annotations

import pytest

from rtmpd.rtmp.scrubbing import Scrubber, secrets_of


@pytest.mark.parametrize(
    ("secret", "text", "left"),
    [
        ("my-key", "my-key is live", "*** is live"),
        ("my-key", "MY%2Dkey, my-KEY", "***, ***"),
        ("my%2Dkey", "my-key, my%2Dkey", "***, ***"),
        ("my key", "my key, my%20key, my+key", "***, ***, ***"),
        ("schlüssel", "schl%C3%BCssel", "***"),
        ("a.*b", "a.*b axxb", "*** axxb"),
        ("half \ud800 a pair", "half ? a pair", "half ? a pair"),
    ],
)
def test_a_secret_is_cut_out_as_it_is_quoted(secret: str, text: str, left: str) -> None:
    scrubber = Scrubber([secret])
    assert scrubber.scrub(text) == scrubber.redact(text) == left


def test_of_two_secrets_the_longer_one_is_cut_out_whole() -> None:
    for secrets in (["stream", "stream-key"], ["stream-key", "stream"]):
        assert Scrubber(secrets).redact("stream-key of stream") == "*** of ***"


def test_a_short_secret_hides_the_whole_text_that_somebody_else_said() -> None:
    scrubber = Scrubber(["cam", "my-key"])
    assert scrubber.scrub("a CAMera is live") == "***"
    assert scrubber.scrub("a screen is live") == "a screen is live"
    assert scrubber.redact("a camera with my-key") == "a camera with ***"


def test_what_everybody_knows_is_no_secret() -> None:
    scrubber = Scrubber(["live", "my%2Dname", "my-key", ""], public=["live", "my-name"])
    assert scrubber.scrub("live my-name my%2Dname my-key") == "live my-name my%2Dname ***"


@pytest.mark.parametrize(
    ("query", "secrets"),
    [
        ("token=hush-hush&n=5", ["token=hush-hush&n=5", "hush-hush"]),
        ("bare-token&flag", ["bare-token&flag", "bare-token", "flag"]),
        ("authmod=adobe?user=joe?response=abc", ["authmod=adobe?user=joe?response=abc", "adobe"]),
        # As short as three letters are, however they are written.
        ("user=%6A%6F%65", ["user=%6A%6F%65"]),
    ],
)
def test_what_is_secret_of_a_query(query: str, secrets: list[str]) -> None:
    assert secrets_of(query) == secrets
