"""What can be asked of streams."""

from __future__ import annotations

from typing import Final

from rtmpd.control.actor import Role
from rtmpd.control.control import Control
from rtmpd.control.redirect_answers import Redirected, RedirectRequest
from rtmpd.control.stream_answers import Stream, StreamPage, StreamQuery
from rtmpd.reasons import Problem
from rtmpd.web.operations import STREAM, Asked, Operation


async def _list(control: Control, asked: Asked) -> StreamPage:
    return await control.streams.list(asked.query_as(StreamQuery), asked.actor)


async def _get(control: Control, asked: Asked) -> Stream:
    return await control.streams.get(asked.stream, asked.actor)


async def _redirect(control: Control, asked: Asked) -> Redirected:
    return await control.streams.redirect(asked.stream, asked.body_as(RedirectRequest), asked.actor)


async def _end_hold(control: Control, asked: Asked) -> None:
    await control.streams.end_hold(asked.stream, asked.actor)


OPERATIONS: Final = (
    Operation(
        "listStreams",
        "GET",
        "/streams",
        Role.READ,
        "Streams that are published, waited for or held",
        _list,
        StreamPage,
        query=StreamQuery,
    ),
    Operation(
        "getStream",
        "GET",
        STREAM,
        Role.READ,
        "A stream, with all that is known of it",
        _get,
        Stream,
        problems=(Problem.BAD_REQUEST, Problem.STREAM_NOT_FOUND),
    ),
    Operation(
        "redirectPlayers",
        "POST",
        f"{STREAM}/redirect",
        Role.OPERATE,
        "Have the players of a stream go on with another one, or ask them to connect to another server",
        _redirect,
        Redirected,
        body=RedirectRequest,
        problems=(Problem.STREAM_NOT_FOUND, Problem.NOT_LIVE),
    ),
    Operation(
        "endStream",
        "POST",
        f"{STREAM}/end",
        Role.OPERATE,
        "Tell the players of a stream that is held for an encoder that it is over",
        _end_hold,
        status=204,
        problems=(Problem.BAD_REQUEST, Problem.STREAM_NOT_FOUND, Problem.NOT_HELD),
    ),
)
