"""What went wrong with a request to the API, as RFC 9457 has it."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable, Mapping
from typing import Final

from pydantic import BaseModel, ConfigDict, ValidationError

from rtmpd.exceptions import ControlError, NotPossible, TryLater
from rtmpd.net.http import Handler, Middleware, web
from rtmpd.reasons import Problem

NO_STORE: Final = {"Cache-Control": "no-store"}
CONTENT_TYPE: Final = "application/problem+json"
_URN: Final = "urn:rtmpd:problem:"
_UNAUTHORIZED: Final = 401
_MAX_DETAIL: Final = 1000
_MAX_MISTAKES: Final = 3
_BY_STATUS: Final = {
    404: Problem.NO_SUCH_PATH,
    405: Problem.METHOD,
    408: Problem.TIMEOUT,
    413: Problem.TOO_LARGE,
    421: Problem.OTHER_HOST,
}
"""What aiohttp finds, and the doors in front of it."""

logger = logging.getLogger(__name__)


class ProblemAnswer(BaseModel):
    """What went wrong (RFC 9457)."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    type: str
    """Names the kind of problem; the list of them is in docs/api.md."""
    title: str
    """The kind in a sentence, always the same."""
    status: int
    """That of the answer."""
    detail: str
    """What it is here, and what to do about it."""


def told(problem: Problem, detail: str, headers: Mapping[str, str] | None = None) -> web.Response:
    """The answer about one."""
    answer = ProblemAnswer(
        type=f"{_URN}{problem}",
        title=problem.heading,
        status=problem.status,
        detail=detail[:_MAX_DETAIL],
    )
    return web.Response(
        status=problem.status,
        body=json.dumps(answer.model_dump()).encode(),
        content_type=CONTENT_TYPE,
        headers={**NO_STORE, **(headers or {})},
    )


def _in_ours(_request: web.Request, _error: ControlError) -> web.Response | None:
    return None


def tell_problems(
    prefix: str, in_others: Callable[[web.Request, ControlError], web.Response | None] = _in_ours
) -> Middleware:
    """ControlErrors are told like this, and at paths that begin so whatever goes wrong, bugs included.

    ``in_others`` tells them in the words of another server, where those are spoken.
    """

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except ControlError as error:
            return in_others(request, error) or told(error.problem, error.detail, headers_of(error))
        except web.HTTPException as error:
            problem = _BY_STATUS.get(error.status)
            if problem is None or not request.path.startswith(prefix):
                raise
            headers = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}
            # Of what the doors refuse they say what to do.
            said = error.text if problem is Problem.OTHER_HOST else None
            return told(problem, (said or problem.heading).rstrip(), headers)
        except Exception as error:
            if isinstance(error, ConnectionError) and request.transport is None:
                return web.Response()  # Whoever asked has left in the middle of it: nobody reads this.
            # Everywhere, as what the library would log has the address of whoever asked.
            logger.exception("api request failed", extra={"fields": {"method": request.method}})
            bug = NotPossible(Problem.INTERNAL_ERROR, "This is a bug of rtmpd; its log has more.")
            answer = in_others(request, bug)
            if answer is None and not request.path.startswith(prefix):
                raise web.HTTPInternalServerError from None
            return answer or told(bug.problem, bug.detail)

    return middleware


def headers_of(error: ControlError) -> dict[str, str]:
    """What else belongs to the answer."""
    if isinstance(error, TryLater):
        return {"Retry-After": str(math.ceil(error.after))}
    if error.problem.status != _UNAUTHORIZED:
        return {}
    # Not Basic, which is taken too: browsers would ask people for it.
    wrong = "" if error.problem is Problem.TOKEN_MISSING else ', error="invalid_token"'
    return {"WWW-Authenticate": f'Bearer realm="rtmpd"{wrong}'}


def bad_request(detail: str) -> NotPossible:
    """Raise this where a request is not as the document has it."""
    return NotPossible(Problem.BAD_REQUEST, detail)


def in_words(error: ValidationError) -> str:
    """What is wrong with a parameter or a body, without what was sent: that may be a secret."""
    mistakes = []
    for mistake in error.errors(include_input=False, include_context=False, include_url=False)[
        :_MAX_MISTAKES
    ]:
        where = next(iter(mistake["loc"]), None)
        text = mistake["msg"].removeprefix("Value error, ")
        mistakes.append(text if where is None else f"{where}: {text}")
    return "; ".join(mistakes)
