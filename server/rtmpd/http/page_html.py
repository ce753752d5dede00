"""The markup of the page of a stream."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import Final
from urllib.parse import quote

from rtmpd.engine.key import StreamKey
from rtmpd.http.page_rules import PageRules, Told

ASSETS: Final = "player"
"""The level below which the files of the page are, and logos."""
OEMBED: Final = "oembed"
WIDTH, HEIGHT = 640, 360
"""Of an embedded player whose picture nobody knows yet."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where something is."""

    server: str
    """Scheme, host and prefix, as browsers know them."""
    prefix: str
    """Of all paths."""
    version: str
    """Of the files."""

    def asset(self, name: str) -> str:
        """The path of a file of the page."""
        return f"{self.prefix}/{ASSETS}/{self.version}/{name}"

    def stream(self, key: StreamKey) -> str:
        """The path of a stream, to which endings are put."""
        return f"{self.prefix}/{quote(key, safe='/')}"

    def page(self, key: StreamKey) -> str:
        """The URL of its page."""
        return f"{self.server}/{quote(key, safe='/')}"

    def oembed(self, key: StreamKey) -> str:
        """The URL that tells how to embed it."""
        return f"{self.server}/{OEMBED}?url={quote(self.page(key), safe='')}"

    def logo(self, tag: str) -> str:
        """The path of one."""
        return f"{self.prefix}/{ASSETS}/logo/{tag}"


def title_of(key: StreamKey, rules: PageRules) -> str:
    """What it is called for people."""
    return rules.title.replace("{name}", key.name).replace("{app}", key.app) or key.name


def page_html(key: StreamKey, rules: PageRules, place: Place, *, embedded: bool) -> str:
    """The whole page."""
    title = title_of(key, rules)
    kind = "embedded" if embedded else "page"
    is_said = {
        "picture": rules.picture is not Told.NOBODY,
        "silent": rules.status is Told.NOBODY,
        "hls": rules.variants,
        "cdn": rules.cdn,
    }
    said = "".join([f' data-{name}=""' for name, holds in is_said.items() if holds])
    main = (
        f'<main class="player" id="player" data-stream="{escape(place.stream(key))}" '
        f'data-title="{escape(title)}" data-ways="{" ".join(rules.ways)}"{said}>\n'
        f'<p class="bare">{_WITHOUT_SCRIPT}</p>\n</main>'
    )
    return "\n".join(
        [
            "<!doctype html>",
            f'<html lang="en" class="{kind}">',
            "<head>",
            *_head(key, title, rules, place),
            "</head>",
            "<body>",
            *([main] if embedded else _around(main, title, rules, place)),
            "</body>",
            "</html>",
            "",
        ]
    )


_WITHOUT_SCRIPT: Final = (
    "The player does not come without JavaScript, nor where its files at <code>/player/</code> are kept back "
    "on their way. A player such as VLC plays the address of this page with <code>.flv</code> behind it."
)


def _head(key: StreamKey, title: str, rules: PageRules, place: Place) -> list[str]:
    lines = [
        '<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta name="color-scheme" content="light dark">',
        '<meta name="referrer" content="no-referrer">',
        f"<title>{escape(title)}</title>",
        f'<meta property="og:title" content="{escape(title)}">',
        '<meta property="og:type" content="video.other">',
        f'<meta property="og:url" content="{escape(place.page(key))}">',
    ]
    if rules.text:
        lines.append(f'<meta property="og:description" content="{escape(rules.text)}">')
    if rules.picture is Told.ANYONE:
        lines.append(f'<meta property="og:image" content="{escape(place.page(key))}.jpg">')
    if rules.frame_ancestors:
        lines.append(
            f'<link rel="alternate" type="application/json+oembed" href="{escape(place.oembed(key))}" '
            f'title="{escape(title)}">'
        )
    return [
        *lines,
        f'<link rel="icon" href="{place.asset("icon.svg")}" type="image/svg+xml">',
        f'<link rel="stylesheet" href="{place.asset("player.css")}">',
        f'<link rel="stylesheet" href="{place.asset("page.css")}">',
        f'<script type="module" src="{place.asset("page.js")}"></script>',
    ]


def _around(main: str, title: str, rules: PageRules, place: Place) -> list[str]:
    logo = ""
    if rules.logo is not None:
        logo = f'<img class="logo" src="{place.logo(rules.logo.etag)}" alt="">'
    text = [f'<p class="text">{escape(rules.text)}</p>'] if rules.text else []
    head = f'{logo}<h1><bdi>{escape(title)}</bdi></h1><p class="facts" id="facts"></p>'
    return [f'<header class="head">{head}</header>', main, *text]


def oembed(
    key: StreamKey,
    rules: PageRules,
    place: Place,
    size: tuple[int, int],
    picture: tuple[int, int] | None = None,
) -> dict[str, object]:
    """How to show it within another page, in a frame of that ``size``. ``picture`` is the size of the picture
    at .jpg, None where nobody knows it, or it is not to be named.
    """
    width, height = size
    title = title_of(key, rules)
    frame = (
        f'<iframe src="{escape(place.page(key))}?embed=1" width="{width}" height="{height}" '
        f'title="{escape(title)}" frameborder="0" allow="autoplay; fullscreen; picture-in-picture" '
        f"allowfullscreen></iframe>"
    )
    answer: dict[str, object] = {
        "version": "1.0",
        "type": "video",
        "title": title,
        "provider_name": "rtmpd",
        "width": width,
        "height": height,
        "html": frame,
    }
    if rules.picture is Told.ANYONE and picture is not None:
        answer |= {
            "thumbnail_url": f"{place.page(key)}.jpg",
            "thumbnail_width": picture[0],
            "thumbnail_height": picture[1],
        }
    return answer
