"""Which variables of the environment say something about settings."""

from __future__ import annotations

from typing import Final

ENVIRONMENT_PREFIX: Final = "RTMPD_"
CONFIG_VARIABLE: Final = "RTMPD_CONFIG"
"""Names what to read when the command line names nothing; several with colons between them."""
BEARER_VARIABLE: Final = "RTMPD_ADMIN_TOKEN"
"""A token of an admin port, for the commands that ask one."""
BEARER_FILE_VARIABLE: Final = "RTMPD_ADMIN_TOKEN_FILE"
"""Names a file with it instead."""
URL_VARIABLE: Final = "RTMPD_ADMIN_URL"
"""Of the admin port that they ask, in place of that of this machine."""
NO_SETTINGS: Final = frozenset({CONFIG_VARIABLE, BEARER_VARIABLE, BEARER_FILE_VARIABLE, URL_VARIABLE})
"""Variables that look like settings and are none."""
