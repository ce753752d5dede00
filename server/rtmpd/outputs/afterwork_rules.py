"""What is to be done with finished recordings, and where they are stored."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import PurePath
from typing import Final

from rtmpd.exceptions import UsageError
from rtmpd.outputs.recording import Recording

MAX_KEY_BYTES: Final = 1024
"""Of an object's key (Amazon S3's own limit)."""
_PLACEHOLDER: Final = re.compile(r"\{(\w+)(?::([^{}]*))?\}")
_START: Final = "%Y-%m-%d_%H-%M-%S"
_NAMES: Final = ("app", "name", "file", "filename", "basename", "extension", "part", "start")


@dataclass(frozen=True, slots=True)
class Credentials:
    """Whose the bucket is; without them they are looked for as Amazon's tools do."""

    access_key_id: str = ""
    secret_access_key: str = field(default="", repr=False)
    session_token: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class UploadRules:
    """A bucket, and how files get there."""

    bucket: str
    key: str = "{app}/{name}/{filename}"
    endpoint: str = ""
    """Empty is Amazon's own, of the region."""
    region: str = ""
    path_style: bool = False
    credentials: Credentials = Credentials()
    encryption: str = ""
    """As ``x-amz-server-side-encryption`` has it."""
    encryption_key: str = ""
    storage_class: str = ""
    ca_file: str = ""
    part_bytes: int = 16 * 1024 * 1024
    delete: bool = False
    """The local file goes once the other one was looked at."""

    @property
    def options(self) -> Mapping[str, str]:
        """Of the object that is made, as S3 calls them."""
        said = {
            "ServerSideEncryption": self.encryption,
            "SSEKMSKeyId": self.encryption_key,
            "StorageClass": self.storage_class,
        }
        return {name: value for name, value in said.items() if value}


@dataclass(frozen=True, slots=True)
class Mp4Rules:
    """An MP4 file is made of each recording."""

    keep_flv: bool = False
    min_free: int = 0
    """Bytes that recordings want left on the drive."""


@dataclass(frozen=True, slots=True)
class AfterworkRules:
    """Of one stream; None is not to be done."""

    mp4: Mp4Rules | None = None
    upload: UploadRules | None = None


def check_key(template: str) -> None:
    """Raise UsageError for what cannot name an object."""
    if not template.strip("/"):
        raise UsageError("it is empty: name the object, as in {app}/{name}/{filename}")
    for found in _PLACEHOLDER.finditer(template):
        if found[1] not in _NAMES:
            raise UsageError(
                f"{{{found[1]}}} is not known: {', '.join(f'{{{name}}}' for name in _NAMES)} are"
            )
        if found[2] is not None and found[1] != "start":
            raise UsageError(f"{{{found[1]}}} takes no format: only {{start:%Y-%m-%d}} does")
    if "{" in (rest := _PLACEHOLDER.sub("", template)) or "}" in rest:
        raise UsageError("a brace in it belongs to no placeholder")
    if not any(each in template for each in ("{file}", "{filename}", "{basename}", "{start")):
        raise UsageError(
            "every file would have the same key: have {filename} or {start:%Y-%m-%d_%H-%M-%S} in it"
        )


def object_key(template: str, recording: Recording) -> str:
    """Where a file is stored in its bucket. Raises UsageError when it is too long."""
    path = PurePath(recording.path)
    values: dict[str, Callable[[str], str]] = {
        "app": lambda _format: recording.key.app,
        "name": lambda _format: recording.key.name,
        "file": lambda _format: path.relative_to(recording.root).as_posix(),
        "filename": lambda _format: path.name,
        "basename": lambda _format: path.stem,
        "extension": lambda _format: path.suffix.removeprefix("."),
        "part": lambda _format: str(recording.part),
        "start": lambda form: f"{datetime.fromtimestamp(recording.started_at, UTC):{form or _START}}",
    }
    key = _PLACEHOLDER.sub(lambda found: values[found[1]](found[2] or ""), template).lstrip("/")
    if len(key.encode(errors="replace")) > MAX_KEY_BYTES:
        raise UsageError(
            f"its key in the bucket would have more than {MAX_KEY_BYTES} bytes: shorten record.upload.key"
        )
    return key.encode(errors="replace").decode()
