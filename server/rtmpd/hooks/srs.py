"""What SRS sends its backends (``http_hooks``, ``forward``), and what it takes for a yes."""

from __future__ import annotations

import hashlib
import json
from typing import Final

from rtmpd.hooks.model import Progress, RecordedFile, Verdict, Visit, check_status, unreadable
from rtmpd.hooks.native import JSON, parse_object
from rtmpd.hooks.rules import MAX_PUSHES, Moment
from rtmpd.net.http_message import HttpAnswer, HttpRequest

_ACTIONS: Final = {
    Moment.CONNECT: "on_connect",
    Moment.DISCONNECT: "on_close",
    Moment.PUBLISH: "on_publish",
    Moment.PUBLISH_DONE: "on_unpublish",
    Moment.PLAY: "on_play",
    Moment.PLAY_DONE: "on_stop",
    Moment.RECORD_DONE: "on_dvr",
    Moment.FORWARD: "on_forward",
}
DEFAULT_VHOST: Final = "__defaultVhost__"
"""There are no others here."""


class Srs:
    """JSON; status 200 with the body ``0`` or ``{"code": 0}`` is yes, all else no."""

    moments = frozenset(_ACTIONS)

    def __init__(self, instance: str = "") -> None:
        """``instance`` names this run of the server, as it may be known to everybody."""
        self._server = {"server_id": server_id(instance), "service_id": service_id(instance)}

    def write(self, url: str, moment: Moment, visit: Visit, progress: Progress, /) -> HttpRequest:
        param = f"?{visit.query}" if visit.query else ""
        who = {
            "client_id": visit.origin.session_id,
            "ip": visit.origin.told,
            "vhost": DEFAULT_VHOST,
            "app": visit.app,
        }
        of_stream = {"tcUrl": visit.tc_url, "stream": visit.name, "param": param}
        action = {"action": _ACTIONS[moment]}
        match moment:
            case Moment.CONNECT:
                there = {"stream": visit.name, "param": param, "tcUrl": visit.tc_url}
                said: dict[str, object] = {
                    **self._server,
                    **action,
                    **who,
                    **there,
                    "pageUrl": visit.page_url,
                }
            case Moment.DISCONNECT:
                sizes: dict[str, object] = {"send_bytes": progress.bytes_out, "recv_bytes": progress.bytes_in}
                said = {**self._server, **action, **who, **sizes}
            case Moment.FORWARD:
                said = {**action, **self._server, **who, **of_stream}
            case Moment.RECORD_DONE:
                of_file = _file(visit, progress)
                said = {**self._server, **action, **who, "stream": visit.name, "param": param, **of_file}
            case _:
                stream = {"stream_url": f"/{visit.path}", "stream_id": stream_id(visit.path)}
                said = {**self._server, **action, **who, **of_stream, **stream}
                if moment is Moment.PLAY:
                    said["pageUrl"] = visit.page_url
        return HttpRequest(url, json.dumps(said).encode(), (JSON,))

    def read(self, moment: Moment, answer: HttpAnswer, /) -> Verdict:
        check_status(answer)
        if answer.status not in (200, 201):
            return Verdict(allow=False)
        if answer.body == b"0":
            return Verdict(allow=True)
        if not answer.body:
            raise unreadable('it is empty, where 0 or {"code": 0} is expected')
        said = parse_object(answer.body)
        code = said.get("code")
        if not isinstance(code, int) or isinstance(code, bool):
            raise unreadable('its "code" is not a number')
        return Verdict(allow=code == 0, push=_targets(said) if moment is Moment.FORWARD else ())


def _file(visit: Visit, progress: Progress) -> dict[str, object]:
    file = progress.file or RecordedFile("", 0)
    return {
        "cwd": file.folder,
        "file": file.path,
        "stream_url": f"/{visit.path}",
        "stream_id": stream_id(visit.path),
    }


def _targets(said: dict[str, object]) -> tuple[str, ...]:
    data = said.get("data")
    urls = data.get("urls", []) if isinstance(data, dict) else []
    if not isinstance(urls, list) or len(urls) > MAX_PUSHES or not all(isinstance(url, str) for url in urls):
        raise unreadable(f'its "urls" are not a list of at most {MAX_PUSHES} URLs')
    return tuple(urls)


def server_id(instance: str) -> str:
    """What SRS calls itself in all that it says."""
    return f"vid-{instance[:7]}"


def service_id(instance: str) -> str:
    """The same of one run of it."""
    return instance[:8]


def stream_id(path: str) -> str:
    """The same for the same stream: SRS has a number of its own for each, which looks like this."""
    return f"vid-{hashlib.sha256(path.encode()).hexdigest()[:7]}"
