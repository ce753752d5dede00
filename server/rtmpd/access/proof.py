"""What somebody has proven, by whatever means."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

KEY: Final = "key:"
USER: Final = "user:"
"""What the identities of whoever has proven to have a key, or to be a user, begin with."""


@dataclass(frozen=True, slots=True)
class Proof:
    """There is nothing in it that may not be shown."""

    account: str = ""
    """Whom the log is to name; empty if that is nobody in particular."""
    identity: str = ""
    """See ``Grant.identity``."""
    until: float = math.inf
    """When it expires, in seconds since 1970."""
