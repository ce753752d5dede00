"""Requests to the API, read as the table of operations has them, and answers to them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

from pydantic import BaseModel, ValidationError

from rtmpd.exceptions import NotPossible
from rtmpd.net.http import web
from rtmpd.reasons import Problem
from rtmpd.web.operations import Operation
from rtmpd.web.problems import NO_STORE, bad_request, in_words

M = TypeVar("M", bound=BaseModel)

JSON: Final = "application/json"
_UTF_8: Final = frozenset({"utf-8", "utf8"})


def read_query(operation: Operation, request: web.Request) -> BaseModel | None:
    """What stands behind the path. Raises NotPossible."""
    given, model = request.query, operation.query
    if model is None:
        if given:
            raise bad_request("this takes no parameters")
        return None
    if len(given) != len(set(given)):
        raise bad_request("each parameter can be given once")
    return _valid(lambda: model.model_validate(dict(given)))


async def read_body(operation: Operation, request: web.Request) -> BaseModel | None:
    """What the body says. Raises NotPossible."""
    data = await request.read()
    model = operation.body
    if model is None or (operation.optional_body and not data):
        return None if model is None else model()
    if request.content_type != JSON:
        raise NotPossible(Problem.NOT_JSON, "send it as application/json")
    if (request.charset or "utf-8").lower() not in _UTF_8:
        raise bad_request("send the body in UTF-8")
    return _valid(lambda: model.model_validate_json(data))


def answer(status: int, body: bytes) -> web.Response:
    """JSON, for whoever has asked and nobody else."""
    return web.Response(status=status, body=body, content_type=JSON, headers=NO_STORE)


def done(status: int) -> web.Response:
    """Nothing but that it is."""
    return web.Response(status=status, headers=NO_STORE)


def _valid(parse: Callable[[], M]) -> M:
    try:
        return parse()
    except ValidationError as error:
        raise bad_request(in_words(error)) from None
