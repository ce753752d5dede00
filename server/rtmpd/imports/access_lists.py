"""Lists of who may, in the order in which the first that fits decides, as ours that have no order."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, field

from rtmpd.imports.blocks import Directive


@dataclass(slots=True)
class Access:
    """What such a list comes to."""

    ips: list[str] = field(default_factory=list)
    """From where somebody has to come; empty is anywhere."""
    deny_ips: list[str] = field(default_factory=list)
    nobody: bool = False
    hidden: list[Directive] = field(default_factory=list)
    """What comes before a ``deny`` of a larger network, and has no place in lists without order."""
    said: list[Directive] = field(default_factory=list)
    """All that say something."""


def read(rules: Sequence[Directive], action: str) -> Access:
    """``allow`` and ``deny`` of ``action`` (publish, play), or of both, the first that fits first."""
    access = Access()
    allowed: list[Directive] = []
    for rule in rules:
        about, network = rule.args[:-1], rule.args[-1:]
        if not network or (about and action not in about):
            continue
        access.said.append(rule)
        if network == ("all",):
            if rule.name == "deny":
                access.ips = [each.args[-1] for each in allowed]
                access.nobody = not allowed
            return access
        if rule.name == "allow":
            allowed.append(rule)
        else:
            access.deny_ips += network
            access.hidden += [each for each in allowed if _overlap(each.args[-1], rule.args[-1])]
    return access


def _overlap(one: str, other: str) -> bool:
    try:
        first, second = (ipaddress.ip_network(each, strict=False) for each in (one, other))
    except ValueError:
        return False  # What is no network is told of where it is taken.
    return first.version == second.version and first.overlaps(second)
