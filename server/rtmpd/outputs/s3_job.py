"""One file into a bucket that speaks S3: a process of its own, with aiobotocore (``rtmpd[s3]``).

Large files go in parts, of which a later process sends those that are missing. The server checks each against
its MD5, and the whole is looked at when it is there: its size, and where the server tells it the sum of all.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import os
import re
import resource
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from rtmpd.outputs.afterwork_words import AfterworkFailure
from rtmpd.outputs.folder_scan import open_to_read
from rtmpd.outputs.job import JobFailed, Report, main

_MEBI: Final = 1024 * 1024
_MAX_PARTS: Final = 10_000
"""Of one object (Amazon S3's own limit)."""
_CONNECT_TIMEOUT: Final = 15
_READ_TIMEOUT: Final = 300
_ATTEMPTS: Final = 2
"""For one request; the file as a whole is tried again later."""
_TYPES: Final = {".flv": "video/x-flv", ".mp4": "video/mp4"}
_MD5: Final = re.compile(r"[0-9a-f]{32}")
_CREDENTIALS: Final = frozenset(
    {
        *(
            "InvalidAccessKeyId",
            "SignatureDoesNotMatch",
            "ExpiredToken",
            "InvalidToken",
            "TokenRefreshRequired",
        ),
        *("AuthorizationHeaderMalformed", "UnrecognizedClientException", "InvalidClientTokenId"),
    }
)
_DENIED: Final = frozenset({"AccessDenied", "AllAccessDisabled", "AccountProblem", "403", "Forbidden"})
_NO_BUCKET: Final = frozenset({"NoSuchBucket"})
_BROKEN: Final = 500
_MEMORY: Final = 2 * 1024**3
"""Bytes that the process may use beside the part that it sends."""


@dataclass(frozen=True, slots=True)
class _Job:
    path: Path
    size: int
    bucket: str
    key: str
    part_bytes: int
    options: Mapping[str, str]
    """Of what is made: encryption, storage class."""

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def uploaded(self) -> str:
        return f"s3://{self.bucket}/{self.key}"


def upload(said: dict[str, Any], report: Report) -> dict[str, Any]:
    """Store ``said["path"]`` as ``said["key"]``. Raises JobFailed."""
    try:
        import aiobotocore.session
        import botocore.exceptions
    except ImportError:
        text = "aiobotocore is not installed: pip install 'rtmpd[s3]'"
        raise JobFailed(AfterworkFailure.NOT_INSTALLED, text) from None
    path, held = Path(said["path"]), -1
    try:
        held = open_to_read(str(path))
        size = os.fstat(held).st_size
        if size != said["size"]:
            raise JobFailed(
                AfterworkFailure.GONE, f"{path.name} has {size} bytes now, and had {said['size']}"
            )
        part_bytes = _part_bytes(said, size)
        job = _Job(path, size, said["bucket"], said["key"], part_bytes, said["options"])
        return asyncio.run(_run(aiobotocore.session.get_session(), said, job, held, report))
    except FileNotFoundError:
        raise JobFailed(AfterworkFailure.GONE, f"{path.name} is not there any more") from None
    except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError, ValueError) as error:
        raise _explained(error) from None
    except (OSError, TimeoutError) as error:
        raise JobFailed(AfterworkFailure.UNREACHABLE, f"the endpoint cannot be reached: {error}") from None
    finally:
        if held >= 0:
            os.close(held)


def _part_bytes(said: Mapping[str, Any], size: int) -> int:
    # A part more would be needed for what a round number of mebibytes leaves.
    return max(int(said["part_bytes"]), -(-size // (_MAX_PARTS * _MEBI)) * _MEBI)


async def _run(session: Any, said: Mapping[str, Any], job: _Job, held: int, report: Report) -> dict[str, Any]:
    async with _client(session, said) as client:
        if job.size <= job.part_bytes:
            sums = await _send_whole(client, job, held)
        else:
            sums = await _Parts(client, job, held, report).send(said["upload_id"])
        await _verify(client, job, sums)
    return {"uploaded": job.uploaded}


@contextlib.asynccontextmanager
async def _client(session: Any, said: Mapping[str, Any]) -> AsyncIterator[Any]:
    from aiobotocore.config import AioConfig

    config = AioConfig(
        s3={"addressing_style": "path" if said["path_style"] else "auto"},
        signature_version="s3v4",
        retries={"max_attempts": _ATTEMPTS, "mode": "standard"},
        connect_timeout=_CONNECT_TIMEOUT,
        read_timeout=_READ_TIMEOUT,
        # Of the sums that Amazon has added since, other servers know none; the MD5 of each part all know.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        user_agent_extra="rtmpd",
    )
    keys = {}
    if said["access_key_id"]:
        keys = {
            "aws_access_key_id": said["access_key_id"],
            "aws_secret_access_key": said["secret_access_key"],
            "aws_session_token": said["session_token"] or None,
        }
    async with session.create_client(
        "s3",
        endpoint_url=said["endpoint"] or None,
        region_name=said["region"] or None,
        verify=said["ca_file"] or None,
        config=config,
        **keys,
    ) as client:
        yield client


async def _send_whole(client: Any, job: _Job, held: int) -> Sequence[bytes]:
    data = await _read(held, 0, job.size)
    digest = _md5(data)
    await client.put_object(
        Bucket=job.bucket,
        Key=job.key,
        Body=data,
        ContentMD5=base64.b64encode(digest).decode(),
        ContentType=_content_type(job),
        **job.options,
    )
    return [digest]


class _Parts:
    """A file in parts. Those that are there already, by size and sum, are not sent again."""

    def __init__(self, client: Any, job: _Job, held: int, report: Report) -> None:
        self._client = client
        self._job = job
        self._held = held
        self._report = report

    async def send(self, upload_id: str) -> Sequence[bytes]:
        """The sums of all parts."""
        there = await self._there(upload_id) if upload_id else None
        if upload_id and there is None and (stored := await self._stored()):
            return stored
        if there is None:
            upload_id, there = await self._begin(), {}
        number = -(-self._job.size // self._job.part_bytes)
        sums, parts = [], []
        for part in range(1, number + 1):
            data = await self._part(part)
            digest = _md5(data)
            size, tag = there.get(part, (-1, ""))
            # Where the tag is no sum the part goes again: nothing else would tell that it is the same.
            if size != len(data) or tag.strip('"') != digest.hex():
                tag = await self._send(upload_id, part, data, digest)
            sums.append(digest)
            parts.append({"PartNumber": part, "ETag": tag})
            self._report({"sent": part * self._job.part_bytes})
        await self._client.complete_multipart_upload(
            Bucket=self._job.bucket,
            Key=self._job.key,
            UploadId=upload_id,
            MultipartUpload={"Parts": parts},
        )
        return sums

    async def _there(self, upload_id: str) -> dict[int, tuple[int, str]] | None:
        """Size and tag of the parts that an earlier process has sent; None if that is no more."""
        import botocore.exceptions

        found: dict[int, tuple[int, str]] = {}
        try:
            pages = self._client.get_paginator("list_parts")
            async for page in pages.paginate(Bucket=self._job.bucket, Key=self._job.key, UploadId=upload_id):
                for part in page.get("Parts", ()):
                    found[part["PartNumber"]] = part["Size"], part["ETag"]
        except botocore.exceptions.ClientError as error:
            if _code(error) not in ("NoSuchUpload", "404"):
                raise
            return None
        return found

    async def _stored(self) -> Sequence[bytes]:
        """The sums of all parts if the whole is there: who sent it was ended before it could say so."""
        import botocore.exceptions

        number = -(-self._job.size // self._job.part_bytes)
        sums = [_md5(await self._part(part)) for part in range(1, number + 1)]
        try:
            await _verify(self._client, self._job, sums)
        except (JobFailed, botocore.exceptions.ClientError):
            return ()
        return sums

    async def _part(self, number: int) -> bytes:
        at = (number - 1) * self._job.part_bytes
        return await _read(self._held, at, min(self._job.part_bytes, self._job.size - at))

    async def _begin(self) -> str:
        made = await self._client.create_multipart_upload(
            Bucket=self._job.bucket,
            Key=self._job.key,
            ContentType=_content_type(self._job),
            **self._job.options,
        )
        upload_id: str = made["UploadId"]
        self._report({"upload_id": upload_id})
        return upload_id

    async def _send(self, upload_id: str, part: int, data: bytes, digest: bytes) -> str:
        made = await self._client.upload_part(
            Bucket=self._job.bucket,
            Key=self._job.key,
            UploadId=upload_id,
            PartNumber=part,
            Body=data,
            ContentMD5=base64.b64encode(digest).decode(),
        )
        tag: str = made["ETag"]
        return tag


async def _verify(client: Any, job: _Job, sums: Sequence[bytes]) -> None:
    """Raise JobFailed if what is stored is not what was sent."""
    found = await client.head_object(Bucket=job.bucket, Key=job.key)
    if found["ContentLength"] != job.size:
        text = f"{job.uploaded} has {found['ContentLength']} bytes, where {job.size} were sent"
        raise JobFailed(AfterworkFailure.DIFFERS, text)
    tag = str(found["ETag"]).strip('"')
    first, _, number = tag.partition("-")
    # Encrypted by a key of the service's it is no sum; each part was checked by the server all the same.
    if found.get("ServerSideEncryption") in ("aws:kms", "aws:kms:dsse") or not _MD5.fullmatch(first):
        return
    wanted = _sum_of(sums, in_parts=bool(number))
    if tag != wanted:
        text = f"{job.uploaded} has the sum {tag}, where {wanted} was sent"
        raise JobFailed(AfterworkFailure.DIFFERS, text)


def _sum_of(sums: Sequence[bytes], *, in_parts: bool) -> str:
    """What S3 tells of an object that came whole, or in parts."""
    if not in_parts and len(sums) == 1:
        return sums[0].hex()
    return f"{_md5(b''.join(sums)).hex()}-{len(sums)}"


async def _read(held: int, at: int, size: int) -> bytes:
    data = await asyncio.to_thread(os.pread, held, size, at)
    while len(data) < size:
        more = await asyncio.to_thread(os.pread, held, size - len(data), at + len(data))
        if not more:
            raise JobFailed(AfterworkFailure.GONE, "the file has become shorter while it was read")
        data += more
    return data


def _md5(data: bytes) -> bytes:
    return hashlib.md5(data, usedforsecurity=False).digest()


def _content_type(job: _Job) -> str:
    return _TYPES.get(job.path.suffix, "application/octet-stream")


def _code(error: Any) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def _explained(error: Any) -> JobFailed:
    """What to do about it, without anything secret."""
    from botocore import exceptions

    match error:
        case exceptions.NoCredentialsError() | exceptions.PartialCredentialsError():
            text = (
                "no credentials were found: say access_key_id and secret_access_key, or give the server "
                "those of its environment, of a profile, or of its machine"
            )
            return JobFailed(AfterworkFailure.CREDENTIALS, text)
        case exceptions.ClientError():
            return _refused(error)
        case exceptions.NoRegionError():
            return JobFailed(AfterworkFailure.REJECTED, "no region is said: say region, such as eu-central-1")
        case exceptions.SSLError():
            return JobFailed(
                AfterworkFailure.UNREACHABLE, "the certificate of the endpoint is not good: see ca_file"
            )
        case exceptions.EndpointConnectionError():
            where = urlsplit(str(error.kwargs.get("endpoint_url", ""))).netloc
            return JobFailed(AfterworkFailure.UNREACHABLE, f"nobody answers at {where}")
        case exceptions.HTTPClientError() | exceptions.ConnectionError():
            return JobFailed(AfterworkFailure.UNREACHABLE, f"the endpoint cannot be reached: {error}")
    return JobFailed(AfterworkFailure.REJECTED, f"the request cannot be made: {error}")


def _refused(error: Any) -> JobFailed:
    code, status = _code(error), error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    said = f"{error.operation_name}: {code} {error.response.get('Error', {}).get('Message', '')}".strip()[
        :300
    ]
    if code in _CREDENTIALS:
        return JobFailed(AfterworkFailure.CREDENTIALS, said)
    if code in _DENIED:
        return JobFailed(AfterworkFailure.DENIED, said)
    if code in _NO_BUCKET:
        return JobFailed(AfterworkFailure.NO_BUCKET, said)
    if code == "BadDigest":
        return JobFailed(AfterworkFailure.SERVER_ERROR, said)
    return JobFailed(AfterworkFailure.SERVER_ERROR if status >= _BROKEN else AfterworkFailure.REJECTED, said)


def _bounded(said: dict[str, Any], report: Report) -> dict[str, Any]:
    # It reads what an endpoint answers, however long that is.
    most = _MEMORY + 4 * _part_bytes(said, int(said["size"]))
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    try:
        return upload(said, report)
    except Exception as error:
        if not _is_short_of_memory(error):
            raise
        text = "what the endpoint answers is longer than any answer"
        raise JobFailed(AfterworkFailure.SERVER_ERROR, text) from None


def _is_short_of_memory(error: BaseException | None) -> bool:
    """Whether that is behind it: libraries have other words for it, and fail once more in cleaning up."""
    while error is not None and not isinstance(error, MemoryError):
        error = error.__context__
    return error is not None


if __name__ == "__main__":
    main(_bounded)
