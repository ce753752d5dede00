"""What can be asked of bans."""

from __future__ import annotations

from typing import Final

from rtmpd.control.actor import Role
from rtmpd.control.answers import PageQuery
from rtmpd.control.ban_answers import BanPage, BanRequest, NewBan
from rtmpd.control.control import Control
from rtmpd.reasons import Problem
from rtmpd.web.operations import Asked, Operation


async def _list(control: Control, asked: Asked) -> BanPage:
    return await control.bans.list(asked.query_as(PageQuery), asked.actor)


async def _add(control: Control, asked: Asked) -> NewBan:
    return await control.bans.add(asked.body_as(BanRequest), asked.actor)


async def _lift(control: Control, asked: Asked) -> None:
    await control.bans.lift(asked.path["network"], asked.actor)


OPERATIONS: Final = (
    Operation(
        "listBans",
        "GET",
        "/bans",
        Role.READ,
        "Networks from which nobody is let in",
        _list,
        BanPage,
        query=PageQuery,
        whole_server=True,
    ),
    Operation(
        "addBan",
        "POST",
        "/bans",
        Role.OPERATE,
        "Let nobody in from an address or a network, for a time; who is connected stays",
        _add,
        NewBan,
        status=201,
        body=BanRequest,
        problems=(Problem.NETWORK_REFUSED,),
        whole_server=True,
    ),
    Operation(
        "liftBan",
        "DELETE",
        "/bans/{network}",
        Role.OPERATE,
        "Lift a ban, whoever made it",
        _lift,
        status=204,
        problems=(Problem.BAN_NOT_FOUND,),
        whole_server=True,
    ),
)
