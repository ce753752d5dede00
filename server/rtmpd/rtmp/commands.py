"""Commands: typed views of the AMF bodies of types 17 and 20, and the objects a server answers with.

RTMP 1.0 section 7.2; connect as Flash, encoders and Enhanced RTMP v2 really send it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice
from types import MappingProxyType
from typing import Any, Final, TypeGuard

from rtmpd.exceptions import ProtocolError
from rtmpd.reasons import SessionFailure
from rtmpd.rtmp import amf
from rtmpd.rtmp.amf import AmfValue
from rtmpd.rtmp.constants import CapsEx, FourCcMask, ObjectEncoding, StatusCode, StatusLevel
from rtmpd.rtmp.limits import Limits
from rtmpd.rtmp.url import split_query

FMS_VERSION: Final = "FMS/3,5,3,888"
"""What we call ourselves: encoders compare nothing, but Flash players switch features on it."""
CAPABILITIES: Final = 31
"""``capabilities`` of a connect result, as FMS and every compatible server sends it."""
SERVER_CAPS_EX: Final = int(
    CapsEx.RECONNECT | CapsEx.MULTITRACK | CapsEx.MODEX | CapsEx.TIMESTAMP_NANO_OFFSET
)

_MAX_FOUR_CCS: Final = 64
_NO_MASKS: Final[Mapping[str, int]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Command:
    """One command message (section 7.2)."""

    name: str
    transaction_id: float
    """Integral, 0 <= id < 2**53; 0 asks for no reply."""
    command_object: AmfValue = None
    args: tuple[AmfValue, ...] = ()
    amf3: bool = False
    """True when it came as type 17; replies go out as type 20 all the same."""
    _connect: tuple[Limits, ConnectParams] | None = field(default=None, init=False, repr=False, compare=False)

    def whole(self, index: int) -> int:
        """Argument ``index`` if it is a whole number of 32 bits; 0 when it is missing or anything else."""
        return _whole(self.args[index]) if index < len(self.args) else 0

    def connect_params(self, limits: Limits) -> ConnectParams:
        """What it asks for if it is a connect, the same each time: players that say the same are one command.

        Raises what ``ConnectParams.from_command`` does.
        """
        kept = self._connect
        if kept is None or kept[0] is not limits:
            kept = limits, ConnectParams.from_command(self, limits)
            object.__setattr__(self, "_connect", kept)
        return kept[1]


@dataclass(frozen=True, slots=True)
class ConnectParams:
    """What a connect command asks for (section 7.2.1.1 and Enhanced RTMP v2).

    ``repr()`` leaves out the fields that may hold secrets.
    """

    app: str = ""
    """Without query, trailing slashes and the ``/_definst_`` instance."""
    app_query: str = field(default="", repr=False)
    """What followed the first ``?`` of the app, without it; may hold secrets."""
    tc_url: str = field(default="", repr=False)
    """As sent, quotes removed; made from the app when absent. May hold secrets."""
    flash_ver: str = ""
    swf_url: str = field(default="", repr=False)
    page_url: str = field(default="", repr=False)
    object_encoding: int = ObjectEncoding.AMF0
    four_cc_list: tuple[str, ...] = ()
    video_four_cc_info_map: Mapping[str, int] = field(default_factory=lambda: _NO_MASKS)
    audio_four_cc_info_map: Mapping[str, int] = field(default_factory=lambda: _NO_MASKS)
    caps_ex: int = 0
    """Bits of ``CapsEx``."""
    video_function: int = 0
    """Bits of ``VideoFunction``: which special handling of video the client knows."""
    connect_object: Mapping[str, AmfValue] = field(default_factory=dict, repr=False)
    """The command object as it came, for whoever needs a property not named here; from the wire it is
    read-only, also inside, where arrays are tuples."""
    args: tuple[AmfValue, ...] = field(default=(), repr=False)
    """Optional user arguments after the command object."""

    def at(self, server: str) -> str:
        """The tcUrl of the same application at another server, such as ``rtmp://other.example``."""
        return f"{server}/{_join_query(self.app, self.app_query)}"

    @classmethod
    def from_command(cls, command: Command, limits: Limits) -> ConnectParams:
        """Read a connect command leniently.

        Raises ProtocolError (``bad_connect``, ``app_too_long``, ``query_too_long``, ``tc_url_too_long``,
        ``field_too_long``) when there is no object or a field is over its limit.
        """
        properties = command.command_object
        if not isinstance(properties, dict):
            text = "connect carries no command object"
            raise ProtocolError(SessionFailure.BAD_CONNECT, text, code=StatusCode.CONNECT_REJECTED)
        # quirk(librtmp tools and scripts): the property is spelled tcurl, or the URL comes in single quotes.
        tc_url = (_text(properties, "tcUrl") or _text(properties, "tcurl")).strip("'")
        # quirk(scripts): the application is named in tcUrl alone.
        app, app_query = _split_app(_text(properties, "app") or _path_of(tc_url))
        _check_length(SessionFailure.APP_TOO_LONG, app, limits.max_path_bytes)
        _check_length(SessionFailure.QUERY_TOO_LONG, app_query, limits.max_query_bytes)
        tc_url_path, tc_url_query = split_query(tc_url)
        _check_length(SessionFailure.TC_URL_TOO_LONG, tc_url_path, limits.max_tc_url_bytes)
        _check_length(SessionFailure.QUERY_TOO_LONG, tc_url_query, limits.max_query_bytes)
        return cls(
            app=app,
            app_query=app_query,
            tc_url=tc_url or f"/{_join_query(app, app_query)}",
            flash_ver=_short_text(properties, "flashVer", limits),
            swf_url=_short_text(properties, "swfUrl", limits),
            page_url=_short_text(properties, "pageUrl", limits),
            object_encoding=_object_encoding(properties.get("objectEncoding")),
            four_cc_list=_four_ccs(properties.get("fourCcList")),
            video_four_cc_info_map=_masks(properties.get("videoFourCcInfoMap")),
            audio_four_cc_info_map=_masks(properties.get("audioFourCcInfoMap")),
            caps_ex=_whole(properties.get("capsEx")),
            video_function=_whole(properties.get("videoFunction")),
            connect_object=_frozen(properties),
            args=tuple(map(_frozen, command.args)),
        )

    def to_command(self, transaction_id: int = 1) -> Command:
        """Build the connect command of a client; only fields that are set are sent.

        ``connect_object`` gives further properties; a named field wins over its entry there.
        """
        app = _join_query(self.app, self.app_query)
        properties: dict[str, AmfValue] = {**self.connect_object, "app": app}
        optional: dict[str, AmfValue] = {
            "flashVer": self.flash_ver,
            "tcUrl": self.tc_url,
            "swfUrl": self.swf_url,
            "pageUrl": self.page_url,
            "objectEncoding": self.object_encoding,
            "fourCcList": list(self.four_cc_list),
            "videoFourCcInfoMap": dict(self.video_four_cc_info_map),
            "audioFourCcInfoMap": dict(self.audio_four_cc_info_map),
            "capsEx": self.caps_ex,
            "videoFunction": self.video_function,
        }
        properties.update({key: value for key, value in optional.items() if value})
        return Command("connect", transaction_id, properties, self.args)


@dataclass(frozen=True, slots=True)
class Status:
    """An information object (section 7.2.2) as a client receives it; empty strings for what is missing."""

    level: str = ""
    code: str = ""
    description: str = ""
    info: Mapping[str, AmfValue] = field(default_factory=dict)
    """The whole object."""

    @classmethod
    def from_command(cls, command: Command) -> Status:
        """The last object of all: servers put their own properties before it."""
        objects = [value for value in (command.command_object, *command.args) if isinstance(value, dict)]
        info = objects[-1] if objects else {}
        return cls(_text(info, "level"), _text(info, "code"), _text(info, "description"), info)

    @property
    def is_error(self) -> bool:
        return self.level == StatusLevel.ERROR


@dataclass(frozen=True, slots=True)
class ConnectResult:
    """What a server says of itself when it accepts a connect (section 7.2.1.1 and Enhanced RTMP v2)."""

    status: Status
    fms_ver: str = ""
    capabilities: int = 0
    object_encoding: int = ObjectEncoding.AMF0
    four_cc_list: tuple[str, ...] = ()
    video_four_cc_info_map: Mapping[str, int] = field(default_factory=dict)
    audio_four_cc_info_map: Mapping[str, int] = field(default_factory=dict)
    caps_ex: int = 0
    """Bits of ``CapsEx``."""
    properties: Mapping[str, AmfValue] = field(default_factory=dict)
    """The first object as it came, for whoever needs a property not named here."""

    @classmethod
    def from_command(cls, command: Command) -> ConnectResult:
        """Read the ``_result`` of a connect; whatever is missing or odd counts as not said."""
        properties = command.command_object if isinstance(command.command_object, dict) else {}
        status = Status.from_command(command)
        return cls(
            status=status,
            fms_ver=_text(properties, "fmsVer"),
            capabilities=_whole(properties.get("capabilities")),
            object_encoding=_object_encoding(status.info.get("objectEncoding")),
            four_cc_list=_four_ccs(properties.get("fourCcList")),
            video_four_cc_info_map=_masks(properties.get("videoFourCcInfoMap")),
            audio_four_cc_info_map=_masks(properties.get("audioFourCcInfoMap")),
            caps_ex=_whole(properties.get("capsEx")),
            properties=properties,
        )

    def announces(self, four_cc: str) -> bool:
        """Whether the server has said that it knows this codec of Enhanced RTMP.

        Only v2 has it say so: one that does not may know it all the same.
        """
        said = (self.four_cc_list, self.video_four_cc_info_map, self.audio_four_cc_info_map)
        return any(four_cc in names or "*" in names for names in said)


def serialize_command(command: Command) -> bytes:
    """Payload of a type 20 message. Raises UsageError for a value that AMF0 cannot say."""
    return amf.encode_values(command.name, command.transaction_id, command.command_object, *command.args)


def status_object(level: str, code: str, description: str, **extra: AmfValue) -> dict[str, AmfValue]:
    """An information object (section 7.2.2). ffmpeg ignores an error without a description."""
    return {"level": str(level), "code": str(code), "description": description, **extra}


@lru_cache(maxsize=128)
def status_payload(code: str, description: str) -> bytes:
    """The payload of an ``onStatus`` that is no error: a thousand players of a stream are told the same."""
    return serialize_command(on_status(StatusLevel.STATUS, code, description))


def on_status(level: str, code: str, description: str, **extra: AmfValue) -> Command:
    """``onStatus`` of a stream; send it on that stream's message stream id."""
    return Command("onStatus", 0, None, (status_object(level, code, description, **extra),))


def result(transaction_id: float, *values: AmfValue) -> Command:
    """``_result`` of a call, with null for its command object."""
    return Command("_result", transaction_id, None, values)


def error(transaction_id: float, code: str, description: str, **extra: AmfValue) -> Command:
    """``_error`` of a call."""
    info = status_object(StatusLevel.ERROR, code, description, **extra)
    return Command("_error", transaction_id, None, (info,))


def connect_result(transaction_id: float, object_encoding: int, **extra: AmfValue) -> Command:
    """``_result`` of an accepted connect; ``extra`` joins the information object.

    The server's own properties, those of Enhanced RTMP v2 among them, stand in the first object.
    """
    properties: dict[str, AmfValue] = {
        "fmsVer": FMS_VERSION,
        "capabilities": CAPABILITIES,
        "mode": 1,
        "fourCcList": ["*"],
        "videoFourCcInfoMap": {"*": int(FourCcMask.CAN_FORWARD)},
        "audioFourCcInfoMap": {"*": int(FourCcMask.CAN_FORWARD)},
        "capsEx": SERVER_CAPS_EX,
    }
    info = status_object(
        StatusLevel.STATUS,
        StatusCode.CONNECT_SUCCESS,
        "Connection succeeded.",
        objectEncoding=int(object_encoding),
        **extra,
    )
    return Command("_result", transaction_id, properties, (info,))


def connect_payload(transaction_id: float, object_encoding: int, **extra: AmfValue) -> bytes:
    """The payload of ``connect_result``; made once for all who are told nothing ``extra``."""
    if extra:
        return serialize_command(connect_result(transaction_id, object_encoding, **extra))
    return _plain_connect_payload(transaction_id, object_encoding)


@lru_cache(maxsize=16)
def _plain_connect_payload(transaction_id: float, object_encoding: int) -> bytes:
    return serialize_command(connect_result(transaction_id, object_encoding))


def is_number(value: AmfValue) -> TypeGuard[float]:
    """A bool is none, whatever Python says."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _whole(value: AmfValue) -> int:
    """The number as an int, or 0 for anything that is not a whole number of 32 bits."""
    if not is_number(value) or not 0 <= value <= 0xFFFFFFFF or value != math.floor(value):
        return 0
    return int(value)


def _object_encoding(value: AmfValue) -> int:
    return ObjectEncoding.AMF3 if _whole(value) == ObjectEncoding.AMF3 else ObjectEncoding.AMF0


def _text(properties: Mapping[str, AmfValue], key: str) -> str:
    value = properties.get(key)
    return str(value) if isinstance(value, str) else ""


def _short_text(properties: Mapping[str, AmfValue], key: str, limits: Limits) -> str:
    value = _text(properties, key)
    _check_length(SessionFailure.FIELD_TOO_LONG, value, limits.max_field_bytes)
    return value


def _check_length(reason: SessionFailure, text: str, limit: int) -> None:
    size = len(text.encode())
    if size > limit:
        what = reason.removesuffix("_too_long")
        text = f"connect: {what} of {size} bytes, the limit is {limit}"
        raise ProtocolError(reason, text, code=StatusCode.CONNECT_REJECTED)


def _split_app(text: str) -> tuple[str, str]:
    app, query = split_query(text)
    # quirk(fmle): the default instance is written out. quirk(obs): a slash is left behind.
    return app.strip("/").removesuffix("/_definst_").rstrip("/"), query


def _path_of(url: str) -> str:
    """What follows the host of a URL, with its query."""
    return url.partition("://")[2].partition("/")[2]


def _frozen(value: Any) -> Any:
    """A read-only view of a decoded value, all the way down: what is remembered belongs to strangers."""
    if isinstance(value, list):
        return tuple(map(_frozen, value))
    if isinstance(value, dict):
        return MappingProxyType({key: _frozen(item) for key, item in value.items()})
    return value


def _join_query(path: str, query: str) -> str:
    return f"{path}?{query}" if query else path


def _four_ccs(value: AmfValue) -> tuple[str, ...]:
    """FourCCs of a strict array; of an object or ECMA array its string values, or else its keys."""
    entries: Iterable[AmfValue] = ()
    if isinstance(value, list):
        entries = value
    elif isinstance(value, dict):
        entries = [item if isinstance(item, str) else key for key, item in value.items()]
    found = (str(entry) for entry in entries if isinstance(entry, str) and 0 < len(entry) <= 4)
    return tuple(islice(found, _MAX_FOUR_CCS))


def _masks(value: AmfValue) -> Mapping[str, int]:
    if not isinstance(value, dict):
        return _NO_MASKS
    found = ((key, _whole(mask)) for key, mask in value.items() if 0 < len(key) <= 4)
    return MappingProxyType(dict(islice(found, _MAX_FOUR_CCS)))
