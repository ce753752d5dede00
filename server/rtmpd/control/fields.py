"""What several requests have in common."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Final, TypeAlias

from pydantic import Field

from rtmpd.net.address_mask import is_hashed

LONGEST_BAN: Final = 366 * 86_400.0
"""Seconds."""

BanSeconds: TypeAlias = Annotated[float, Field(ge=1.0, le=LONGEST_BAN, allow_inf_nan=False)]
Reason: TypeAlias = Annotated[str, Field(max_length=200)]


def check_network(text: str) -> str:
    """``text`` if it is an address, a network or a hashed address. Raises ValueError."""
    if is_hashed(text):
        return text
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise ValueError("write an address such as 192.0.2.7, or a network such as 192.0.2.0/24") from None
    return text
