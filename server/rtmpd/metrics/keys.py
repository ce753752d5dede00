"""Series of stream keys: of their files, and of those that come at run time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from rtmpd.metrics.families import Family


class RuntimeKeys(Protocol):
    """What is read of them; ``rtmpd.daemon.keys_side.KeysSide`` is one."""

    def numbers(self) -> Mapping[str, int]:
        """How many there are, by where they come from."""

    def token_counts(self) -> Mapping[str, int]:
        """How often one was asked for with a JWT, by what came of it."""


def collect_keys(keys: RuntimeKeys) -> tuple[Family, Family]:
    """How many there are, and what became of whoever wanted one."""
    there = Family(
        "gauge",
        "rtmpd_runtime_keys",
        "Stream keys that came at run time, expired too.",
        ("origin",),
    ).with_table(keys.numbers())
    asked = Family(
        "counter",
        "rtmpd_publish_tokens",
        "Stream keys asked for with a JWT, by what came of it.",
        ("result",),
    ).with_table(keys.token_counts())
    return there, asked


def collect_key_files(files: Mapping[str, int]) -> Family:
    """How many there are, by state."""
    return Family(
        "gauge",
        "rtmpd_key_files",
        "Files of stream keys, in force as they are (current) or, being unusable, were (outdated).",
        ("state",),
    ).with_table(files)
