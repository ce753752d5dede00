"""What a browser is logged in and out by, and who it is."""

from __future__ import annotations

from typing import Final

from rtmpd.control.actor import Role
from rtmpd.control.actor_answers import Asking, LoginRequest
from rtmpd.reasons import Problem
from rtmpd.web.operations import Operation

GET: Final = Operation(
    "getActor",
    "GET",
    "/actor",
    Role.READ,
    "Who asks, and what they may",
    None,
    Asking,
)
LOGIN: Final = Operation(
    "login",
    "POST",
    "/login",
    None,
    "Log a browser in: a token for a cookie that scripts cannot read",
    None,
    Asking,
    body=LoginRequest,
    problems=(
        Problem.TOKEN_WRONG,
        Problem.TOKEN_EXPIRED,
        Problem.NOT_ALLOWED,
        Problem.ROLE,
        Problem.TOO_MANY_ATTEMPTS,
        Problem.KEYS_UNAVAILABLE,
    ),
)
LOGOUT: Final = Operation(
    "logout",
    "POST",
    "/logout",
    None,
    "Log a browser out",
    None,
    status=204,
    problems=(Problem.NOT_ALLOWED, Problem.NOT_JSON),
)
OPERATIONS: Final = (GET, LOGIN, LOGOUT)
