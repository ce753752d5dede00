"""What nginx-rtmp sends its backends, and what it makes of their answers (ngx_rtmp_notify_module)."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote_plus

from rtmpd.hooks.model import Progress, Verdict, Visit, check_status, unreadable
from rtmpd.hooks.rules import Moment
from rtmpd.net.http_message import HttpAnswer, HttpRequest
from rtmpd.rtmp.url import split_query

_FORM: Final = ("Content-Type", "application/x-www-form-urlencoded")
_ESCAPED: Final = re.compile(rb"[\x00-\x20\"#%&+;?\x7f-\xff]")
_UNFIT: Final = re.compile(r"[\x00-\x20#\x7f]")
_OURS: Final = frozenset(
    {
        *("app", "flashver", "swfurl", "tcurl", "pageurl", "addr", "clientid", "epoch", "call", "name"),
        *("type", "start", "duration", "reset", "time", "timestamp", "recorder", "path"),
    }
)
"""Fields that a client's query must not have: of two with one name most backends see the last."""
_EPOCHS: Final = 1 << 32
"""Milliseconds after which ``epoch`` begins anew."""
_CALLS: Final = {
    Moment.CONNECT: "connect",
    Moment.PUBLISH: "publish",
    Moment.PLAY: "play",
    Moment.PUBLISH_DONE: "publish_done",
    Moment.PLAY_DONE: "play_done",
    Moment.DONE: "done",
    Moment.DISCONNECT: "disconnect",
}


class NginxRtmp:
    """A form; 2xx is yes, 3xx a name or a target to push to, all else no."""

    moments = frozenset(Moment) - {Moment.FORWARD}

    def __init__(self, *, get: bool = False) -> None:
        """``get``: the form goes into the URL, as with ``notify_method get``."""
        self._get = get

    def write(self, url: str, moment: Moment, visit: Visit, progress: Progress, /) -> HttpRequest:
        form = "&".join(_fields(moment, visit, progress))
        if not self._get:
            return HttpRequest(url, form.encode(), (_FORM,))
        return HttpRequest(f"{url}{'&' if '?' in url else '?'}{form}", method="GET")

    def read(self, moment: Moment, answer: HttpAnswer, /) -> Verdict:
        check_status(answer)
        if 200 <= answer.status < 300:
            return Verdict(allow=True)
        if not 300 <= answer.status < 400:
            return Verdict(allow=False)
        if moment is Moment.UPDATE:
            return Verdict(allow=True)
        return _redirect(moment, answer.location.strip())


def _redirect(moment: Moment, location: str) -> Verdict:
    if not location:
        raise unreadable("it redirects to nowhere: it has no Location")
    if location.lower().startswith(("rtmp://", "rtmps://")):
        if moment is not Moment.PUBLISH:
            raise unreadable("it redirects to another server, which only the answer to on_publish may")
        return Verdict(allow=True, push=(location,))
    name, _ = split_query(location)
    return Verdict(allow=True, name=name)


def _fields(moment: Moment, visit: Visit, progress: Progress) -> list[str]:
    origin = visit.origin
    fields = [
        f"app={_escape('' if moment is Moment.CONNECT else visit.app)}",
        f"flashver={_escape(origin.agent)}",
        f"swfurl={_escape(visit.swf_url)}",
        f"tcurl={_escape(visit.tc_url)}",
        f"pageurl={_escape(visit.page_url)}",
        f"addr={'unix:' if origin.address == 'unix' else _escape(origin.told)}",
    ]
    name = f"name={_escape(visit.name)}"
    match moment:
        case Moment.CONNECT:
            fields[0] = f"app={_escape(visit.path)}"
            fields += [f"epoch={origin.begun_at % _EPOCHS}", "call=connect"]
        case Moment.PUBLISH:
            mode = visit.mode if visit.mode in ("live", "record") else "append"
            fields += [f"clientid={origin.connection}", "call=publish", name, f"type={mode}"]
        case Moment.PLAY:
            times = [f"start={visit.start:.0f}", f"duration={visit.duration:.0f}", f"reset={visit.reset:d}"]
            fields += [f"clientid={origin.connection}", "call=play", name, *times]
        case Moment.UPDATE:
            times = [f"time={int(progress.seconds)}", f"timestamp={progress.timestamp}"]
            fields += [f"clientid={origin.connection}", f"call=update_{visit.action}", *times, name]
        case Moment.RECORD_DONE:
            path = "" if progress.file is None else progress.file.path
            # The one that a stream has here is what others are without a name there.
            done = (f"clientid={origin.connection}", "call=record_done", "recorder=")
            fields += [*done, name, f"path={_escape(path)}"]
        case Moment.DISCONNECT:
            fields += [f"clientid={origin.connection}", "call=disconnect", f"app={_escape(visit.path)}"]
        case _:
            fields += [f"clientid={origin.connection}", f"call={_CALLS[moment]}", name]
    return [*fields, *_args(visit.query)]


def _args(query: str) -> list[str]:
    """The client's own fields, as it wrote them, but for those that would pass for ours.

    Nothing in them ends the form, or a URL, or is left out of one: that would make other fields of them.
    """
    plain = _UNFIT.sub(lambda found: f"%{ord(found[0]):02X}", query.encode("ascii", "ignore").decode())
    return [part for part in plain.split("&") if part and not any(map(_is_ours, re.split(r"[;?]", part)))]


def _is_ours(field: str) -> bool:
    name = unquote_plus(field.partition("=")[0])
    return name.strip().partition("[")[0].partition("\0")[0].strip().casefold() in _OURS


def _escape(text: str) -> str:
    """As ngx_escape_uri does with NGX_ESCAPE_ARGS."""
    return _ESCAPED.sub(lambda found: b"%%%02X" % found[0][0], text.encode()).decode()
