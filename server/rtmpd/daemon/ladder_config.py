"""What OBS is told to encode: ``[[apps.NAME.ladder]]`` and ``[apps.NAME.obs]``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from rtmpd.daemon.fields import Count, Section, WholeSeconds
from rtmpd.daemon.values import KeyPath, parse_list, quote
from rtmpd.exceptions import UsageError
from rtmpd.multitrack.ladder import Codec, Ladder, Rung
from rtmpd.multitrack.question import MOST_TRACKS
from rtmpd.rtmp.url import RtmpUrl

_LADDER: Final = Ladder(())
_HEIGHTS: Final = (64, 8192)
_KBPS: Final = (50, 200_000)
_FPS: Final = (1, 240)
_CODECS: Final = tuple(each.value for each in Codec)


class RungConfig(Section):
    """One quality."""

    height: int
    kbps: int
    fps: float = 0.0
    codec: Literal["h264", "hevc", "av1"] = "h264"

    def to_rung(self) -> Rung:
        """The same below the daemon."""
        return Rung(self.height, self.kbps, self.fps, Codec(self.codec))


def _check_rung(item: object) -> object:
    if isinstance(item, RungConfig):
        return item
    if not isinstance(item, dict) or not item.keys() <= RungConfig.model_fields.keys():
        raise ValueError(f"{quote(item)} is no quality: it has height and kbps, and may have fps and codec")
    for name, (least, most) in {"height": _HEIGHTS, "kbps": _KBPS, "fps": _FPS}.items():
        value = item.get(name, 0 if name == "fps" else None)
        if value is None:
            raise ValueError(f"{name} is missing: a quality has height and kbps, and may have fps and codec")
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        is_whole = name == "fps" or isinstance(value, int)
        if not is_number or not is_whole or not (least <= value <= most or (name, value) == ("fps", 0)):
            raise ValueError(f"{name} = {quote(value)} is no number from {least} to {most}")
    if item.get("codec", "h264") not in _CODECS:
        raise ValueError(f"codec = {quote(item['codec'])} is not one of {', '.join(_CODECS)}")
    return item


def _check_ladder(rungs: tuple[RungConfig, ...]) -> tuple[RungConfig, ...]:
    if len(rungs) > MOST_TRACKS:
        raise ValueError(f"{len(rungs)} qualities are too many: OBS sends at most {MOST_TRACKS}")
    for number, rung in enumerate(rungs, 1):
        if rung in rungs[: number - 1]:
            raise ValueError(f"number {number} is the same as number {rungs.index(rung) + 1}: leave one out")
    return rungs


def check_app_url(text: str) -> str:
    """``text``, if it names a server and an app, or is empty. Raises ValueError with a sentence."""
    if not text:
        return text
    try:
        url = RtmpUrl.parse(text)
    except UsageError as error:
        raise ValueError(str(error)) from None
    if url.user or url.query:
        raise ValueError("write the server and the app alone, such as rtmps://live.example.com/live")
    return text.rstrip("/")


LadderList = Annotated[
    tuple[Annotated[RungConfig, BeforeValidator(_check_rung)], ...],
    BeforeValidator(parse_list),
    AfterValidator(_check_ladder),
    WithJsonSchema({"type": ["array", "string"], "items": RungConfig.model_json_schema()}),
]
_AppUrl = Annotated[str, AfterValidator(check_app_url)]
_Kbps = Annotated[Count, Field(ge=32, le=1024)]


class ObsConfig(Section):
    """How OBS is told to send the ladder, and where to."""

    keyint: Annotated[WholeSeconds, Field(ge=1, le=10)] = _LADDER.keyint
    """Seconds from one key frame to the next, of all qualities at once: players change from one to another
    there. 1 makes HLS quicker, 2 saves bits."""
    audio_kbps: _Kbps = _LADDER.audio_kbps
    """Of AAC."""
    vod_kbps: _Kbps = _LADDER.vod_kbps
    """The same of the VOD track, where a streamer sends one."""
    server: _AppUrl = ""
    """Where OBS publishes, such as "rtmps://live.example.com/live". Empty: at the host by whose name it has
    asked, at the ports of rtmp.listen and rtmps.listen."""
    next_server: _AppUrl = ""
    """Where it is sent that asks again because it was not let in there, or found nobody; with the key that
    was typed. Empty: the same again. Needs tokens."""
    tokens: bool = True
    """OBS publishes by a token for this one start, in place of the key that was typed. Servers named by
    server have to share them, so only if that is this very server."""

    def find_problems(self, outcome: ObsConfig) -> Iterator[tuple[KeyPath, str]]:
        """Keys of this table and what is wrong with them; ``outcome`` is it with what shorter ones say."""
        if outcome.next_server and not outcome.tokens and {"next_server", "tokens"} & self.model_fields_set:
            text = " needs tokens = true: without them nobody knows here who was not let in"
            yield ("next_server",), text

    def to_ladder(self, rungs: tuple[RungConfig, ...]) -> Ladder:
        """With these qualities."""
        return Ladder(tuple(each.to_rung() for each in rungs), self.keyint, self.audio_kbps, self.vod_kbps)
