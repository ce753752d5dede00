"""Series of what is shown over TLS."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol

from rtmpd.metrics.families import Family


class Certificates(Protocol):
    """``rtmpd.net.certificates.Certificates`` are some."""

    @property
    def failures(self) -> int: ...

    def expiries(self) -> Mapping[str, float]: ...


def collect_certificates(certificates: Certificates) -> Iterator[Family]:
    """Until when each is good, and how often there were new ones that could not be used."""
    family = Family(
        "gauge",
        "rtmpd_certificate_not_after_seconds",
        "When a certificate expires, in seconds since 1970.",
        ("certificate",),
    )
    for name, not_after in certificates.expiries().items():
        family.add((name,), not_after)
    yield family
    text = "Times that certificate files had changed and could not be used; the old ones are."
    yield Family("counter", "rtmpd_certificate_reload_failures", text).with_value(certificates.failures)
