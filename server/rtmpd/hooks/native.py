"""Our own dialect: a question in JSON, and all that may be decided in one answer."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

from rtmpd.hooks.model import Progress, Verdict, Visit, check_status, clip, server_failed, unreadable
from rtmpd.hooks.rules import MAX_PUSHES, Moment
from rtmpd.net.http_message import HttpAnswer, HttpRequest

JSON: Final = ("Content-Type", "application/json")
_REFUSALS: Final = frozenset({401, 403, 404})
_MAX_WORD: Final = 32


class Native:
    """``{"allow": true, ...}``, or status 401, 403 or 404 for a no without words."""

    moments = frozenset(Moment) - {Moment.FORWARD}

    def write(self, url: str, moment: Moment, visit: Visit, progress: Progress, /) -> HttpRequest:
        origin = visit.origin
        said: dict[str, object] = {
            "hook": str(moment),
            "action": visit.action,
            "app": visit.app,
            "name": visit.name,
            "query": visit.query,
            "session": origin.session_id,
            "connection": origin.connection,
            "proven": visit.proven,
            "client": {
                "address": origin.told,
                "listener": origin.listener,
                "tls": origin.tls,
                "agent": origin.agent,
                "account": origin.account,
            },
            "connect": {
                "tc_url": visit.tc_url,
                "page_url": visit.page_url,
                "swf_url": visit.swf_url,
                "query": visit.connect_query,
            },
        }
        if moment not in (Moment.CONNECT, Moment.PUBLISH, Moment.PLAY):
            said["duration"] = round(progress.seconds, 3)
            said["timestamp"] = progress.timestamp
            said["bytes_in"] = progress.bytes_in
            said["bytes_out"] = progress.bytes_out
        if progress.file is not None:
            said["file"] = {"path": progress.file.path, "size": progress.file.size}
        return HttpRequest(url, json.dumps(said).encode(), (JSON,))

    def read(self, _moment: Moment, answer: HttpAnswer, /) -> Verdict:
        check_status(answer)
        if answer.status in _REFUSALS and not answer.body.lstrip().startswith(b"{"):
            return Verdict(allow=False)
        if not (200 <= answer.status < 300 or answer.status in _REFUSALS):
            raise server_failed(answer)
        return _read(parse_object(answer.body))


def parse_object(body: bytes) -> dict[str, Any]:
    """The JSON object that ``body`` is. Raises HttpFailed."""
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):  # No JSON, no UTF-8, numbers of thousands of digits.
        raise unreadable("it is not JSON") from None
    if not isinstance(said, dict):
        raise unreadable("it is no JSON object")
    return said


def _read(said: dict[str, Any]) -> Verdict:
    words = {name: _checked(name, said[name]) for name in said.keys() & _WORDS.keys()}
    if "allow" not in words:
        raise unreadable('it has no "allow"')
    if "push" in words:
        words["push"] = (words["push"],) if isinstance(words["push"], str) else tuple(words["push"])
    if "reason" in words:
        words["reason"] = clip(words["reason"])
    unknown = sorted(word[:_MAX_WORD] for word in said.keys() - _WORDS.keys() if word.isidentifier())
    return Verdict(**words, unknown=tuple(unknown[:MAX_PUSHES]))


def _checked(name: str, value: object) -> Any:
    fits, what = _WORDS[name]
    if value is None and name != "allow":
        return _NOTHING.get(name)
    if not fits(value):
        raise unreadable(f'its "{name}" is not {what}')
    return int(value) if fits is _is_count and isinstance(value, float) else value


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e9


def _is_count(value: object) -> bool:
    # Whoever writes JSON may write 500 as 500.0, and not know it.
    whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    return whole and _is_number(value)


def _are_urls(value: object) -> bool:
    urls = [value] if isinstance(value, str) else value
    return isinstance(urls, list) and len(urls) <= MAX_PUSHES and all(isinstance(url, str) for url in urls)


_WORDS: Final[dict[str, tuple[Callable[[object], bool], str]]] = {
    "allow": (lambda value: isinstance(value, bool), "true or false"),
    "reason": (lambda value: isinstance(value, str), "a text"),
    "name": (lambda value: isinstance(value, str), "a text"),
    "push": (_are_urls, f"a list of at most {MAX_PUSHES} URLs"),
    "max_kbps": (_is_count, "a whole number"),
    "max_players": (_is_count, "a whole number"),
    "record": (lambda value: isinstance(value, bool), "true or false"),
    "takeover": (lambda value: isinstance(value, bool), "true or false"),
    "ttl": (_is_number, "a number of seconds"),
}
_NOTHING: Final[dict[str, Any]] = {"reason": "", "name": "", "push": ()}
"""What null stands for, where it is not None."""
