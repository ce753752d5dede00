"""What MediaMTX sends its backend (``authHTTPAddress``), which says yes with a status of 2xx."""

from __future__ import annotations

import json
from typing import Final

from rtmpd.hooks.model import Progress, Verdict, Visit, check_status
from rtmpd.hooks.native import JSON
from rtmpd.hooks.rules import Moment
from rtmpd.net.http_message import HttpAnswer, HttpRequest
from rtmpd.rtmp.url import parse_query

_ACTIONS: Final = {"publish": "publish", "play": "read"}


class MediaMtx:
    """JSON; 2xx is yes, all else no. Nothing is told when something ends."""

    moments = frozenset({Moment.PUBLISH, Moment.PLAY})

    def write(self, url: str, _moment: Moment, visit: Visit, _progress: Progress, /) -> HttpRequest:
        origin = visit.origin
        query = "&".join(filter(None, (visit.connect_query, visit.query)))
        fields = parse_query(query)
        password = fields.get("pass", "")
        said = {
            "ip": origin.told,
            "user": fields.get("user", ""),
            "password": password,
            "token": fields.get("token") or fields.get("jwt") or password,
            "action": _ACTIONS[visit.action],
            "path": visit.path,
            "protocol": "rtmps" if origin.protocol == "rtmp" and origin.tls else origin.protocol,
            "id": origin.session_id,
            "query": query,
            "userAgent": origin.agent,
        }
        return HttpRequest(url, json.dumps(said).encode(), (JSON,))

    def read(self, _moment: Moment, answer: HttpAnswer, /) -> Verdict:
        check_status(answer)
        return Verdict(allow=200 <= answer.status < 300)
