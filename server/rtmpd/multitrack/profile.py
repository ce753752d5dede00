"""A profile of OBS as files that it imports, which sends a ladder: by asking for it, or by an override."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from rtmpd.multitrack.answer import SERVICE
from rtmpd.multitrack.question import Canvas

SERVICE_FILE: Final = "service.json"
SETTINGS_FILE: Final = "basic.ini"
AUTO: Final = "auto"
"""In place of a server: the one that the answer names."""
_LABEL: Final = "Multitrack Video"


@dataclass(frozen=True, slots=True)
class Profile:
    """What there is to say."""

    name: str
    """As OBS lists it."""
    server: str
    """Server and app, or ``AUTO``."""
    canvas: Canvas
    config_url: str = ""
    """Where OBS asks; empty is nowhere."""
    override: str = field(default="", repr=False)
    """What it does in place of that, as JSON."""
    key: str = field(default="", repr=False)
    """Stream key."""


def profile_files(profile: Profile) -> dict[str, str]:
    """The files of its folder, by name."""
    return {SETTINGS_FILE: _settings(profile), SERVICE_FILE: json.dumps(_service(profile), indent=2) + "\n"}


def _service(profile: Profile) -> dict[str, object]:
    told: dict[str, object] = {"server": profile.server, "key": profile.key, "bwtest": False}
    if not profile.config_url:
        return {"type": "rtmp_custom", "settings": told | {"use_auth": False}}
    told |= {
        "service": SERVICE,
        "protocol": "RTMPS" if profile.server.startswith("rtmps:") else "RTMP",
        "multitrack_video_configuration_url": profile.config_url,
        "multitrack_video_name": _LABEL,
    }
    return {"type": "rtmp_common", "settings": told}


def _settings(profile: Profile) -> str:
    canvas = profile.canvas
    stream: dict[str, str | int] = {"EnableMultitrackVideo": "true"}
    if profile.override:
        stream |= {
            "MultitrackVideoConfigOverrideEnabled": "true",
            "MultitrackVideoConfigOverride": _quoted(profile.override),
        }
    sections: dict[str, Mapping[str, str | int]] = {
        "General": {"Name": profile.name},
        "Stream1": stream,
        "Video": {
            "BaseCX": canvas.width,
            "BaseCY": canvas.height,
            "OutputCX": canvas.width,
            "OutputCY": canvas.height,
            "FPSType": 2,  # A fraction: it has every rate.
            "FPSNum": canvas.numerator,
            "FPSDen": canvas.denominator,
        },
    }
    return "\n".join(
        "\n".join([f"[{name}]", *(f"{key}={value}" for key, value in keys.items()), ""])
        for name, keys in sections.items()
    )


def _quoted(override: str) -> str:
    """The way OBS keeps it in a line: as JSON in JSON, each backslash twice."""
    plain = json.dumps(json.loads(override), separators=(",", ":"))
    return json.dumps({"text": plain}, separators=(",", ":")).replace("\\", "\\\\")
