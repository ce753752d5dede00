"""Which variables of the environment say something about settings."""

from __future__ import annotations

from typing import Final

ENVIRONMENT_PREFIX: Final = "RTMPD_"
CONFIG_VARIABLE: Final = "RTMPD_CONFIG"
"""Names what to read when the command line names nothing; several with colons between them."""
