"""What can be asked of the settings."""

from __future__ import annotations

from typing import Final

from rtmpd.control.actor import Role
from rtmpd.control.control import Control
from rtmpd.control.settings_answers import Reload, ReloadRequest
from rtmpd.reasons import Problem
from rtmpd.web.operations import Asked, Operation


async def _reload(control: Control, asked: Asked) -> Reload:
    return await control.settings.reload(asked.body_as(ReloadRequest), asked.actor)


OPERATIONS: Final = (
    Operation(
        "reload",
        "POST",
        "/reload",
        Role.OPERATE,
        "Read the settings again and put them in place, or say what that would change",
        _reload,
        Reload,
        body=ReloadRequest,
        optional_body=True,
        problems=(Problem.SETTINGS_REFUSED,),
        whole_server=True,
    ),
)
