"""What can be asked of the settings."""

from __future__ import annotations

from typing import Final

from rtmpd.control.actor import Role
from rtmpd.control.control import Control
from rtmpd.control.settings_answers import Reload, ReloadRequest, SettingPage, SettingQuery
from rtmpd.reasons import Problem
from rtmpd.web.operations import Asked, Operation


async def _list(control: Control, asked: Asked) -> SettingPage:
    return await control.settings.list(asked.query_as(SettingQuery), asked.actor)


async def _reload(control: Control, asked: Asked) -> Reload:
    return await control.settings.reload(asked.body_as(ReloadRequest), asked.actor)


OPERATIONS: Final = (
    Operation(
        "listSettings",
        "GET",
        "/config",
        Role.READ,
        "The settings in force, with where each is said; secrets are hidden",
        _list,
        SettingPage,
        query=SettingQuery,
        whole_server=True,
    ),
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
