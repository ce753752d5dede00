"""Files into buckets of a server that speaks S3 (moto's), in a process as the server starts one."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import botocore.exceptions
import pytest
from s3_kit import Service, bucket_service

from rtmpd.outputs import s3_job
from rtmpd.outputs.afterwork_words import AfterworkFailure
from rtmpd.outputs.job import JobFailed, Report
from rtmpd.outputs.job_runner import run_job

MODULE = "rtmpd.outputs.s3_job"
PART = 5 * 1024 * 1024


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with bucket_service(tmp_path_factory.mktemp("moto") / "log") as service:
        yield service


@pytest.fixture
def small(tmp_path: Path) -> Path:
    file = tmp_path / "a.mp4"
    file.write_bytes(os.urandom(1000))
    return file


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """Of two parts and a bit."""
    file = tmp_path / "large.flv"
    file.write_bytes(os.urandom(2 * PART + 1))
    return file


def _size(file: Path) -> int:
    return file.stat().st_size


def _bytes(file: Path) -> bytes:
    return file.read_bytes()


def _blank(file: Path) -> None:
    file.write_bytes(bytes(2 * PART + 1))


def _moved(file: Path) -> Path:
    return file.rename(file.with_name("b.mp4"))


async def upload(service: Service, file: Path, key: str, **more: Any) -> tuple[Mapping[str, Any], list[Any]]:
    job = {
        "path": str(file),
        "size": _size(file),
        "bucket": "rec",
        "key": key,
        "endpoint": service.endpoint,
        "region": "us-east-1",
        "path_style": True,
        "part_bytes": PART,
        "access_key_id": "id",
        "secret_access_key": "hidden",
        "session_token": "",
        "ca_file": "",
        "options": {},
        "upload_id": "",
    }
    heard: list[Any] = []
    environ = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    environ |= {"AWS_EC2_METADATA_DISABLED": "true", "HOME": str(file.parent)}
    return await run_job(MODULE, job | more, environ, heard.append), heard


async def failure(service: Service, file: Path, **more: Any) -> JobFailed:
    with pytest.raises(JobFailed) as error:
        await upload(service, file, "x", **more)
    assert "hidden" not in error.value.detail
    return error.value


@pytest.mark.parametrize("other", [None, RuntimeError("can't start new thread")])
def test_an_endpoint_whose_answer_does_not_end_is_no_bug(
    monkeypatch: pytest.MonkeyPatch, other: Exception | None
) -> None:
    def upload(_said: dict[str, Any], _report: Report) -> dict[str, Any]:
        failure = other or botocore.exceptions.HTTPClientError(error=MemoryError())
        failure.__context__ = MemoryError()
        raise failure

    bounds: list[tuple[int, tuple[int, int]]] = []
    monkeypatch.setattr("resource.setrlimit", lambda what, bound: bounds.append((what, bound)))
    monkeypatch.setattr(s3_job, "upload", upload)
    with pytest.raises(JobFailed) as error:
        s3_job._bounded({"part_bytes": PART, "size": 1}, print)
    assert error.value.reason is AfterworkFailure.SERVER_ERROR
    assert len(bounds) == 1
    monkeypatch.setattr(s3_job, "upload", lambda _said, _report: {}["gone"])
    with pytest.raises(KeyError):
        s3_job._bounded({"part_bytes": PART, "size": 1}, print)


async def test_a_small_file_goes_whole_with_what_the_settings_say_of_it(
    service: Service, small: Path
) -> None:
    options = {"ServerSideEncryption": "AES256", "StorageClass": "STANDARD_IA"}
    outcome, _ = await upload(service, small, "live/show/ä b.mp4", options=options)
    assert outcome == {"uploaded": "s3://rec/live/show/ä b.mp4"}
    found = service.head("live/show/ä b.mp4")
    assert (found["ContentLength"], found["ContentType"]) == (1000, "video/mp4")
    assert (found["ServerSideEncryption"], found["StorageClass"]) == ("AES256", "STANDARD_IA")
    body = service.client.get_object(Bucket="rec", Key="live/show/ä b.mp4")["Body"].read()
    assert body == _bytes(small)


async def test_a_large_file_goes_in_parts(service: Service, large: Path) -> None:
    outcome, heard = await upload(service, large, "large.flv")
    assert outcome == {"uploaded": "s3://rec/large.flv"}
    assert [*heard[0]] == ["upload_id"]
    assert [each["sent"] for each in heard[1:]] == [PART, 2 * PART, 3 * PART]
    assert service.head("large.flv")["ETag"].endswith('-3"')
    body = service.client.get_object(Bucket="rec", Key="large.flv")["Body"].read()
    assert body == _bytes(large)


async def test_an_upload_that_broke_off_goes_on_with_what_is_missing_or_wrong(
    service: Service, large: Path
) -> None:
    begun = service.client.create_multipart_upload(Bucket="rec", Key="again.flv")["UploadId"]
    data = _bytes(large)
    for number, part in ((1, data[:PART]), (2, bytes(PART))):
        service.client.upload_part(
            Bucket="rec", Key="again.flv", UploadId=begun, PartNumber=number, Body=part
        )
    before = len(service.calls("PUT"))
    _, heard = await upload(service, large, "again.flv", upload_id=begun)
    assert not any("upload_id" in each for each in heard)
    assert len(service.calls("PUT")) - before == 2
    assert service.client.get_object(Bucket="rec", Key="again.flv")["Body"].read() == data


async def test_who_was_ended_behind_the_last_part_sends_nothing_again(service: Service, large: Path) -> None:
    await upload(service, large, "ended.flv")
    before = len(service.calls("PUT"))
    outcome, heard = await upload(service, large, "ended.flv", upload_id="no-such-upload")
    assert (outcome["uploaded"], heard) == ("s3://rec/ended.flv", [])
    assert len(service.calls("PUT")) == before
    _blank(large)
    await upload(service, large, "ended.flv", upload_id="no-such-upload")
    assert len(service.calls("PUT")) == before + 3


async def test_says_what_is_missing(service: Service, small: Path) -> None:
    assert (await failure(service, small, bucket="nobodys")).reason is AfterworkFailure.NO_BUCKET
    none = await failure(service, small, access_key_id="")
    assert (none.reason, "no credentials were found" in none.detail) == (AfterworkFailure.CREDENTIALS, True)
    assert (await failure(service, small, size=7)).reason is AfterworkFailure.GONE
    moved = _moved(small)
    assert (await failure(service, moved, path=str(small))).reason is AfterworkFailure.GONE


@pytest.mark.parametrize("kind", ["small", "large"])
def test_what_is_stored_is_looked_at_before_it_counts(
    service: Service, kind: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    file: Path = request.getfixturevalue(kind)
    job = {
        "path": str(file),
        "size": _size(file),
        "bucket": "rec",
        "key": f"looked-{kind}",
        "endpoint": service.endpoint,
        "region": "us-east-1",
        "path_style": True,
        "part_bytes": PART,
        "access_key_id": "id",
        "secret_access_key": "hidden",
        "session_token": "",
        "ca_file": "",
        "options": {},
        "upload_id": "",
    }
    monkeypatch.setattr(s3_job, "_sum_of", lambda _sums, in_parts: "another")
    with pytest.raises(JobFailed) as error:
        s3_job.upload(job, lambda _said: None)
    assert error.value.reason is AfterworkFailure.DIFFERS


async def test_credentials_come_from_the_environment_too(
    service: Service, small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = {
        "path": str(small),
        "size": 1000,
        "bucket": "rec",
        "key": "chain.mp4",
        "endpoint": service.endpoint,
        "region": "us-east-1",
        "path_style": True,
        "part_bytes": PART,
        "access_key_id": "",
        "secret_access_key": "",
        "session_token": "",
        "ca_file": "",
        "options": {},
        "upload_id": "",
    }
    environ = {**os.environ, "AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "hidden"}
    assert await run_job(MODULE, job, environ, lambda _said: None) == {"uploaded": "s3://rec/chain.mp4"}


@pytest.mark.parametrize(
    ("code", "status", "reason"),
    [
        ("SignatureDoesNotMatch", 403, AfterworkFailure.CREDENTIALS),
        ("ExpiredToken", 400, AfterworkFailure.CREDENTIALS),
        ("AccessDenied", 403, AfterworkFailure.DENIED),
        ("NoSuchBucket", 404, AfterworkFailure.NO_BUCKET),
        ("SlowDown", 503, AfterworkFailure.SERVER_ERROR),
        ("BadDigest", 400, AfterworkFailure.SERVER_ERROR),
        ("InvalidStorageClass", 400, AfterworkFailure.REJECTED),
    ],
)
def test_what_the_service_says_has_a_word(code: str, status: int, reason: AfterworkFailure) -> None:
    said: Any = {"Error": {"Code": code, "Message": "so"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    found = s3_job._explained(botocore.exceptions.ClientError(said, "PutObject"))
    assert (found.reason, found.detail) == (reason, f"PutObject: {code} so")


async def test_a_service_that_is_not_there_is_unreachable(small: Path) -> None:
    error = botocore.exceptions.EndpointConnectionError(endpoint_url="http://127.0.0.1:1/rec/a.mp4")
    found = s3_job._explained(error)
    assert (found.reason, found.detail) == (AfterworkFailure.UNREACHABLE, "nobody answers at 127.0.0.1:1")


class Stored:
    """A bucket that tells this of every object."""

    def __init__(self, **said: Any) -> None:
        self._said = said

    async def head_object(self, **_asked: Any) -> dict[str, Any]:
        return self._said


SUMS = [s3_job._md5(b"a"), s3_job._md5(b"b")]
WHOLE = s3_job._md5(b"".join(SUMS)).hex()


@pytest.mark.parametrize(
    ("said", "is_right"),
    [
        ({"ContentLength": 10, "ETag": f'"{WHOLE}-2"'}, True),
        ({"ContentLength": 9, "ETag": f'"{WHOLE}-2"'}, False),
        ({"ContentLength": 10, "ETag": f'"{WHOLE}-3"'}, False),
        ({"ContentLength": 10, "ETag": f'"{"0" * 32}-2"'}, False),
        ({"ContentLength": 10, "ETag": f'"{"0" * 32}-2"', "ServerSideEncryption": "aws:kms"}, True),
        ({"ContentLength": 10, "ETag": '"some-tag"'}, True),
    ],
)
async def test_looks_at_what_is_stored(small: Path, said: dict[str, Any], is_right: bool) -> None:
    job = s3_job._Job(small, 10, "rec", "a", PART, {})
    if is_right:
        await s3_job._verify(Stored(**said), job, SUMS)
        return
    with pytest.raises(JobFailed) as error:
        await s3_job._verify(Stored(**said), job, SUMS)
    assert error.value.reason is AfterworkFailure.DIFFERS
