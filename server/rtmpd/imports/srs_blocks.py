"""Blocks of SRS: which of them are in force, and what stands in those."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from rtmpd.imports.blocks import Directive
from rtmpd.imports.draft import Draft

_ALWAYS: Final = frozenset({"vhost", "play", "publish"})
"""Blocks that are in force without a word."""


def is_enabled(block: Directive) -> bool:
    """Whether it says so; SRS has most of them off."""
    enabled = block.says("enabled")
    if enabled is None:  # A cluster is on by its mode.
        mode = block.says("mode")
        return mode is not None and mode.first == "remote"
    return enabled.is_on


def in_force(block: Sequence[Directive], draft: Draft) -> Iterator[Directive]:
    """All that is said, but nothing in blocks that are off, or that ``draft`` leaves."""
    for each in block:
        yield each
        if (each.name in _ALWAYS or is_enabled(each)) and not draft.leaves(each.place):
            yield from in_force(each.block, draft)
