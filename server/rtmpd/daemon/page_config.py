"""The page of a stream, with its player: ``[apps.NAME.page]``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from rtmpd.daemon.fields import LIST_OR_TEXT, FileName, Section
from rtmpd.daemon.http_config import check_origin, is_web_url
from rtmpd.daemon.values import KeyPath, parse_list, quote

LOGO: Final = "logo"
"""The key that names a file."""
_WORD: Final = re.compile(r"\{[a-z_]+\}")
_KNOWN: Final = frozenset({"{app}", "{name}"})
_Told = Literal["nobody", "players", "anyone"]
_Text = Annotated[str, Field(max_length=2000)]


def _check_ancestor(text: str) -> str:
    if text == "null":
        raise ValueError('"null" is no page that could be named: write it as https://www.example.com, or "*"')
    return check_origin(text)


def _check_title(text: str) -> str:
    unknown = [word for word in _WORD.findall(text) if word not in _KNOWN]
    if unknown:
        raise ValueError(f"{unknown[0]} is not known: only {{app}} and {{name}} are")
    return text


def _check_logo(name: str) -> str:
    if is_web_url(name):
        raise ValueError(f"{quote(name)} is an address: save the picture here, and name its file")
    return name


_Origins = Annotated[
    tuple[Annotated[str, AfterValidator(_check_ancestor)], ...], BeforeValidator(parse_list), LIST_OR_TEXT
]


class PageConfig(Section):
    """The page at /APP/NAME on the HTTP ports, on which a browser plays the stream."""

    enabled: bool = True
    """Whether there is one."""
    title: Annotated[_Text, AfterValidator(_check_title)] = ""
    """What it is called; {app} and {name} stand for those of the stream. Empty is the name."""
    text: _Text = ""
    """What stands below the player."""
    logo: Annotated[FileName, AfterValidator(_check_logo)] = ""
    """Picture (PNG, JPEG, WebP, GIF or SVG, up to 256 KiB) beside the title; empty is none."""
    frame_ancestors: _Origins = ()
    """Web pages that may show it within theirs, such as "https://www.example.com"; "*" is all. No other
    can."""
    status: _Told = "players"
    """Who hears at /APP/NAME.json whether the stream is live, since when, and what it is made of: nobody, who
    may play it, or anyone, scripts of any web page included. As long as there is a page, it asks there."""
    viewers: bool = False
    """Whether they also hear how many watch."""
    picture: _Told = "nobody"
    """Who gets the newest picture at /APP/NAME.jpg, at most one in 2 seconds, which the page shows before it
    plays; needs PyAV on the server: pip install 'rtmpd[mp4]'."""

    def find_problems(self) -> Iterator[tuple[KeyPath, str]]:
        """Keys of this table and what is wrong with them."""
        if self.picture != "nobody" and find_spec("av") is None:
            what = f" = \"{self.picture}\" needs PyAV, which is not installed: pip install 'rtmpd[mp4]'"
            yield ("picture",), what
