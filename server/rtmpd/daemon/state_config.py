"""What outlives a restart, and where: ``[state]``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field

from rtmpd.daemon.fields import FileName, Positive, Section, Size

_LEAST: Final = 32 * 1024 * 1024
AUTO: Final = "auto"
VARIABLE: Final = "STATE_DIRECTORY"
"""By which systemd tells where ``StateDirectory=`` is."""


class StateConfig(Section):
    """What outlives a restart: bans, who has changed what, who has watched how much."""

    dir: FileName = AUTO
    """Folder of the file that it is kept in, for one server alone; made if it is not there. "auto" is what
    StateDirectory= of a systemd unit says, and nothing is kept where there is none. Empty: nothing is."""
    keep_minutes_days: Positive = 400
    """How long it is known who has watched how much, for rtmpd report."""
    keep_audit_days: Positive = 90
    """How long it is known who has changed what."""
    max_bytes: Annotated[Size, Field(ge=_LEAST)] = 256 * 1024 * 1024
    """Size of the file. Near it the oldest tenth of the two above is forgotten."""

    def folder(self, environ: Mapping[str, str]) -> Path | None:
        """``dir``; None where nothing is kept."""
        name = environ.get(VARIABLE, "").partition(":")[0] if self.dir == AUTO else self.dir
        return Path(name).absolute() if name else None
