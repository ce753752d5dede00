"""Pages of streams, by the settings of now: their rules, and the files of logos."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rtmpd.daemon.app_config import APPS, AppConfig
from rtmpd.daemon.config import Config
from rtmpd.daemon.page_config import LOGO
from rtmpd.daemon.values import spell
from rtmpd.engine.key import StreamKey
from rtmpd.exceptions import ConfigError

if TYPE_CHECKING:
    from rtmpd.http.page import PagesRules
    from rtmpd.http.page_rules import PageRules
    from rtmpd.net.static_files import StaticFile

_MOST_BYTES: Final = 256 * 1024
_BEGINNINGS: Final = {
    rb"\x89PNG\r\n\x1a\n": "image/png",
    rb"\xff\xd8\xff": "image/jpeg",
    rb"GIF8[79]a": "image/gif",
    rb"RIFF....WEBP": "image/webp",
}
"""Of files, and what they are: whatever their names say."""
_SVG: Final = b"http://www.w3.org/2000/svg"
"""The namespace, without which browsers draw none."""


class PageSide:
    """What is said of all pages."""

    def __init__(self) -> None:
        self._logos: Mapping[str, StaticFile] = {}
        """By the names of the files."""

    async def prepare(self, config: Config) -> None:
        """Read the logos. Raises ConfigError where one cannot be shown."""
        self._logos = await asyncio.to_thread(read_logos, config) if _named(config) else {}

    def rules(self, config: Config) -> PagesRules:
        """Those of all streams."""
        from rtmpd.http.page import PagesRules

        logos = self._logos
        by_table: dict[str, PageRules] = {}

        def rules_of(key: StreamKey) -> PageRules:
            table = config.table(str(key))
            if table not in by_table:
                by_table[table] = _rules(config.outcomes[table], logos)
            return by_table[table]

        by_tag = {logo.etag: logo for logo in logos.values()}
        return PagesRules(rules_of, config.http.prefix, by_tag, config.http.public_url)


def _rules(app: AppConfig, logos: Mapping[str, StaticFile]) -> PageRules:
    from rtmpd.http.page_rules import PageRules, Told

    page = app.page
    return PageRules(
        enabled=page.enabled,
        title=page.title,
        text=page.text,
        logo=logos.get(page.logo),
        frame_ancestors=page.frame_ancestors,
        status=Told(page.status),
        viewers=page.viewers,
        picture=Told(page.picture),
        rewind=app.ring.seconds if app.ring.rewind else 0.0,
        dvr=app.hls.dvr if app.hls.enabled else 0.0,
        variants=app.hls.variants if app.hls.enabled else (),
        ways=_ways(app),
        cdn=bool(app.hls.enabled and app.hls.cdn_secret),
    )


def _ways(app: AppConfig) -> tuple[str, ...]:
    offered = {"mp4": app.mp4.to_rules() is not None, "hls": app.hls.enabled}
    return tuple(way for way, is_offered in offered.items() if is_offered)


def _named(config: Config) -> dict[str, str]:
    """Names of files of logos, each with the key that names it first."""
    found: dict[str, str] = {}
    for name, app in config.apps.items():
        if app.page.logo:
            found.setdefault(app.page.logo, spell((APPS, name, "page", LOGO)))
    return found


def read_logos(config: Config) -> dict[str, StaticFile]:
    """All logos by the names of their files. Raises ConfigError with all that is wrong."""
    found: dict[str, StaticFile] = {}
    problems: list[str] = []
    for name, key in _named(config).items():
        logo = _read(Path(name))
        if isinstance(logo, str):
            problems.append(f"{key}: {name} {logo}")
        else:
            found[name] = logo
    if problems:
        raise ConfigError(problems)
    return found


def _read(path: Path) -> StaticFile | str:
    """The file, or what is wrong with it."""
    from rtmpd.net.static_files import make_file

    try:
        with path.open("rb") as file:
            body = file.read(_MOST_BYTES + 1)
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    if len(body) > _MOST_BYTES:
        return f"is larger than {_MOST_BYTES >> 10} KiB"
    kind = _kind(body)
    return make_file(body, kind) if kind else "is no PNG, JPEG, WebP, GIF or SVG"


def _kind(body: bytes) -> str:
    """The type of a picture that browsers draw; empty for anything else."""
    for beginning, kind in _BEGINNINGS.items():
        if re.match(beginning, body, re.DOTALL):
            return kind
    # Without NUL characters UTF-16 is found, too.
    return "image/svg+xml" if _SVG in body.replace(b"\0", b"") else ""
