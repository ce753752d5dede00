"""What is kept of recordings, and what is done with them: tables of ``[apps.NAME.record]``."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated, Final, Literal

from pydantic import AfterValidator, Field

from rtmpd.daemon.fields import Count, FileName, Seconds, Section, Shown, Size
from rtmpd.daemon.values import KeyPath
from rtmpd.exceptions import UsageError
from rtmpd.net.http_message import check_http_url
from rtmpd.rtmp.url import REDACTED

if TYPE_CHECKING:
    from rtmpd.outputs.afterwork_rules import Mp4Rules, UploadRules
    from rtmpd.outputs.retention import KeepRules

_MEBI: Final = 1024 * 1024
_LEAST_PART: Final = 5 * _MEBI
"""Of Amazon S3, and all that copy it."""
_MOST_PART: Final = 1024 * _MEBI
_PART: Final = 16 * _MEBI


def _hide(value: object) -> object:
    return REDACTED if value else value


def _check_endpoint(text: str) -> str:
    try:
        return text and check_http_url(text)
    except UsageError as error:
        raise ValueError(f"{error}; write it as https://s3.example.com") from None


class KeepConfig(Section):
    """How much of the recordings of the app is kept; the oldest go first, and 0 keeps them without an end.
    Nothing goes that is written or read, or that waits to be uploaded. What a table of a longer path says
    counts for its streams alone."""

    max_age: Seconds = 0.0
    """For how long files are kept, such as "30d", from when they were finished."""
    max_files: Count = 0
    """How many files are kept; an MP4 file and the FLV file that it was made of are two."""
    max_bytes: Size = 0
    """How large they may be together, without what is being written."""

    def to_rules(self, group: str) -> KeepRules:
        """The same below the daemon; ``group`` is the table that says it."""
        from rtmpd.outputs.retention import KeepRules

        return KeepRules(group, self.max_age, self.max_files, self.max_bytes)


class Mp4Config(Section):
    """An MP4 file is made of each finished recording, which plays while it loads, in a process of its own
    that encodes nothing anew. Needs rtmpd[mp4]."""

    enabled: bool = False
    """Whether that is done."""
    keep_flv: bool = False
    """Whether the FLV file stays beside it. One of which no MP4 file can be made stays always."""

    def find_problems(self) -> Iterator[tuple[KeyPath, str]]:
        """Keys of this table and what is wrong with them."""
        if self.enabled and find_spec("av") is None:
            yield ("enabled",), " = true needs PyAV, which is not installed: pip install 'rtmpd[mp4]'"

    def to_rules(self, min_free: int) -> Mp4Rules | None:
        """The same below the daemon; ``min_free`` is what recordings want left (bytes)."""
        from rtmpd.outputs.afterwork_rules import Mp4Rules

        return Mp4Rules(self.keep_flv, min_free) if self.enabled else None


class UploadConfig(Section):
    """Finished recordings are stored in a bucket of Amazon S3 or of what speaks as it does, the MP4 file
    where one is made and else the FLV file, in a process of its own. What cannot be uploaded waits and is
    tried again, also after a restart where there is a state.dir. Needs rtmpd[s3]."""

    bucket: str = ""
    """The bucket. Empty: nothing is uploaded."""
    key: Annotated[str, Field(max_length=512)] = "{app}/{name}/{filename}"
    """The name of each object there. {app} and {name} stand for those of the stream, {filename} for the name
    of the file, {basename} and {extension} for what is before and behind its last dot, {file} for its path
    below root, {part} for its number, {start:%Y-%m-%d} for when it began, in UTC."""
    endpoint: Annotated[str, AfterValidator(_check_endpoint)] = ""
    """Where the service is, such as "https://s3.example.com"; empty means Amazon's own, of the region."""
    region: Annotated[str, Field(max_length=64)] = ""
    """Such as "eu-central-1". Empty: what the environment or the machine says; others than Amazon mostly take
    "us-east-1"."""
    path_style: bool = False
    """Whether the bucket is in the path of URLs and not in the name of the host: MinIO, Ceph and others."""
    access_key_id: Annotated[str, Field(max_length=256)] = ""
    """Whose the bucket is. Empty: looked for as Amazon's tools do, in AWS_ variables of the environment, in
    profiles, at the machine's metadata service."""
    secret_access_key: Annotated[str, Field(max_length=1024), Shown(_hide)] = ""
    """The secret beside it. secret_access_key_file names a file with it instead."""
    session_token: Annotated[str, Field(max_length=8192), Shown(_hide)] = ""
    """Beside these two where they are temporary. session_token_file names a file with it instead."""
    encryption: Literal["", "AES256", "aws:kms", "aws:kms:dsse"] = ""
    """How the service encrypts what it stores; empty is what the bucket says."""
    encryption_key: Annotated[str, Field(max_length=512)] = ""
    """The id of the key, of aws:kms."""
    storage_class: Annotated[str, Field(pattern="^[A-Z0-9_]{0,32}$")] = ""
    """Such as STANDARD_IA; empty is the usual one."""
    part_bytes: Annotated[Size, Field(ge=_LEAST_PART, le=_MOST_PART)] = _PART
    """Larger files go in parts of this size, each of which is held in memory by the process that sends it. An
    upload that broke off goes on with the next part."""
    ca_file: FileName = ""
    """File with the authorities (PEM) that vouch for an https:// endpoint; empty means the usual ones."""
    delete: bool = False
    """Whether the file here goes once the object there has been looked at, its size and its sum."""

    def find_problems(self, outcome: UploadConfig) -> Iterator[tuple[KeyPath, str]]:
        """Keys of this table and what is wrong with them; ``outcome`` is it with what shorter ones say."""
        if not self.model_fields_set or not outcome.bucket:
            return
        from rtmpd.outputs.afterwork_rules import check_key

        if self.bucket and find_spec("aiobotocore") is None:
            yield ("bucket",), " needs aiobotocore, which is not installed: pip install 'rtmpd[s3]'"
        try:
            check_key(outcome.key)
        except UsageError as error:
            yield ("key",), f": {error}"
        if outcome.secret_access_key and not outcome.access_key_id:
            yield ("access_key_id",), " is missing: secret_access_key is the secret of one"
        if outcome.access_key_id and not outcome.secret_access_key:
            yield ("secret_access_key",), " is missing, or secret_access_key_file: access_key_id needs one"
        if outcome.encryption_key and not outcome.encryption.startswith("aws:kms"):
            yield ("encryption_key",), ' is for encryption = "aws:kms" alone: take it out'

    def to_rules(self) -> UploadRules | None:
        """The same below the daemon."""
        if not self.bucket:
            return None
        from rtmpd.outputs.afterwork_rules import Credentials, UploadRules

        return UploadRules(
            bucket=self.bucket,
            key=self.key,
            endpoint=self.endpoint,
            region=self.region,
            path_style=self.path_style,
            credentials=Credentials(self.access_key_id, self.secret_access_key, self.session_token),
            encryption=self.encryption,
            encryption_key=self.encryption_key,
            storage_class=self.storage_class,
            ca_file=self.ca_file,
            part_bytes=self.part_bytes,
            delete=self.delete,
        )
