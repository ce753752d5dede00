"""What the settings say of the page of a stream, and its logos."""

from __future__ import annotations

from pathlib import Path

import pytest

from rtmpd.daemon.app_config import AppConfig
from rtmpd.daemon.config import Config
from rtmpd.daemon.page_config import PageConfig
from rtmpd.daemon.page_side import PageSide, read_logos
from rtmpd.engine.key import StreamKey
from rtmpd.exceptions import ConfigError

SVG = '<?xml version="1.0"?>\n<!-- ours -->\n<svg xmlns="http://www.w3.org/2000/svg"/>'


def read(path: Path):
    return read_logos(Config(apps={"live": AppConfig(page=PageConfig(logo=str(path)))}))[str(path)]


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"\x89PNG\r\n\x1a\n...", "image/png"),
        (b"\xff\xd8\xff\xe0...", "image/jpeg"),
        (b"GIF87a...", "image/gif"),
        (b"GIF89a...", "image/gif"),
        (b"RIFF\n\0\0\0WEBPVP8 ", "image/webp"),
        (SVG.encode(), "image/svg+xml"),
        (SVG.encode("utf-16"), "image/svg+xml"),
    ],
)
@pytest.mark.parametrize("name", ["logo", "logo.JPG"])
def test_a_logo_is_what_is_in_it_whatever_its_name_says(tmp_path, body, kind, name):
    path = tmp_path / name
    path.write_bytes(body)
    assert read(path)[0::2] == (body, kind)


@pytest.mark.parametrize("body", [b"", b"a\x89PNG\r\n\x1a\n", b"RIFF\n\0\0\0WAVEfmt ", b"<svg/>"])
def test_what_browsers_draw_nothing_of_is_no_logo(tmp_path, body):
    path = tmp_path / "logo.png"
    path.write_bytes(body)
    with pytest.raises(ConfigError, match="is no PNG, JPEG, WebP, GIF or SVG"):
        read(path)


@pytest.mark.parametrize(
    ("app", "ways"),
    [
        ({}, ("mp4", "hls")),
        ({"hls": {"enabled": False}}, ("mp4",)),
        ({"mp4": {"fragment": "off"}}, ("hls",)),
        ({"hls": {"enabled": False}, "mp4": {"fragment": "off"}}, ()),
    ],
)
def test_a_page_knows_by_what_ways_its_stream_is_offered(
    app: dict[str, object], ways: tuple[str, ...]
) -> None:
    config = Config.model_validate({"apps": {"live": app}})
    rules_of = PageSide().rules(config).rules_of
    assert rules_of(StreamKey("live", "show")).ways == ways
    assert rules_of(StreamKey("other", "show")).ways == ("mp4", "hls")
