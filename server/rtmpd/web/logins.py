"""Browsers that somebody has logged in with a token: they have a cookie, which is none."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from rtmpd.net.http import web
from rtmpd.web.admission import Proof

COOKIE: Final = "rtmpd_login"
_BYTES: Final = 32
_MOST: Final = 200
"""At a time; one more ends the oldest."""
_MOST_OF_ONE: Final = 20
"""Of them with one token: whoever has one ends nobody else's."""


@dataclass(slots=True)
class Login:
    """A browser that is logged in."""

    proof: Proof
    """By what."""
    ends_at: float
    """Clock reading."""
    until: float
    """The same in seconds since 1970, for people."""
    is_over: bool = False
    """Before its time."""


class Logins:
    """Those that are good, by what is kept of their cookies: whoever reads the memory has no cookie either.

    A cookie holds nothing but dice: what it is good for is asked for each request, and ends with its token.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        wall_clock: Callable[[], float],
        random_bytes: Callable[[int], bytes],
        lifetime: Callable[[], float],
    ) -> None:
        """``lifetime()``: seconds that one lasts at most, as the settings have it now."""
        self._clock = clock
        self._wall_clock = wall_clock
        self._random_bytes = random_bytes
        self._lifetime = lifetime
        self._logins: dict[bytes, Login] = {}
        """The oldest first."""

    def __len__(self) -> int:
        return len(self._logins)

    def begin(self, proof: Proof) -> tuple[Login, str]:
        """Log a browser in, with what its cookie is to be."""
        now = self._wall_clock()
        seconds = min(self._lifetime(), proof.until - now)
        login = Login(proof, self._clock() + seconds, now + seconds)
        cookie = self._random_bytes(_BYTES).hex()
        self._make_room(proof.name)
        self._logins[_kept(cookie)] = login
        return login, cookie

    def hand_out(self, cookie: str, response: web.Response, *, secure: bool) -> None:
        """Have ``response`` set it, for as long as its login lasts."""
        seconds = max(self._logins[_kept(cookie)].ends_at - self._clock(), 0.0)
        response.set_cookie(
            COOKIE,
            cookie,
            max_age=int(seconds),
            path="/",
            httponly=True,
            samesite="Strict",
            secure=secure,
        )

    def find(self, cookies: Mapping[str, str]) -> Login | None:
        """How a browser is logged in; None if it is not, or no more."""
        cookie = cookies.get(COOKIE)
        login = None if cookie is None or not self._logins else self._logins.get(_kept(cookie))
        return login if login is not None and self.is_good(login) else None

    def end(self, cookies: Mapping[str, str], response: web.Response) -> None:
        """Log a browser out."""
        login = self._logins.pop(_kept(cookies.get(COOKIE, "")), None)
        if login is not None:
            login.is_over = True
        response.del_cookie(COOKIE, path="/", httponly=True, samesite="Strict")

    def is_good(self, login: Login) -> bool:
        """Whether it is not over, and its token still good."""
        return not login.is_over and self._clock() < login.ends_at and login.proof.holds()

    def _make_room(self, name: str) -> None:
        """Forget those that are over, and the oldest ones if there is no place."""
        self._logins = {kept: login for kept, login in self._logins.items() if self.is_good(login)}
        same = [kept for kept, login in self._logins.items() if login.proof.name == name]
        for kept in same[: max(len(same) - _MOST_OF_ONE + 1, 0)]:
            self._logins.pop(kept).is_over = True
        for kept in list(self._logins)[: max(len(self._logins) - _MOST + 1, 0)]:
            self._logins.pop(kept).is_over = True


def _kept(cookie: str) -> bytes:
    return hashlib.sha256(cookie.encode(errors="replace")).digest()
