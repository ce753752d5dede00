"""What ``rtmpd check`` says of HLS: settings that work, and do not what somebody may think."""

from __future__ import annotations

from collections.abc import Iterator

from rtmpd.daemon.app_config import APPS
from rtmpd.daemon.config import Config
from rtmpd.daemon.values import quote, spell
from rtmpd.packaging.rules import NAME


def remarks(config: Config) -> Iterator[str]:
    """A sentence about each."""
    for table, said in config.apps.items():
        hls = config.at(table).hls
        if not hls.enabled:
            continue
        key = spell((APPS, table, "hls"))
        if hls.protect and hls.directory and said.hls.model_fields_set & {"protect", "directory"}:
            yield f"{key}.protect: files in directory are for whomever the web server gives them to"
        fixed = [name for name in said.hls.variants if NAME not in name]
        if fixed and "/" not in table:
            what = f"has no {NAME}: all streams of the app have this one as a quality"
            yield f"{key}.variants: {quote(fixed[0])} {what}"
