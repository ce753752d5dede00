"""A server that speaks S3 (moto's), with the bucket ``rec``; it takes any credentials."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3

KEYS = {"aws_access_key_id": "id", "aws_secret_access_key": "hidden"}


@dataclass(frozen=True)
class Service:
    """A server with the bucket ``rec``."""

    endpoint: str
    client: Any
    log: Path

    def calls(self, method: str) -> list[str]:
        """Paths of what it was asked by this method."""
        return re.findall(rf'"(?:\x1b\[\d+m)?{method} (\S+) ', self.log.read_text())

    def head(self, key: str) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.client.head_object(Bucket="rec", Key=key)
        return found


@contextmanager
def bucket_service(log: Path) -> Iterator[Service]:
    """It runs within the block, and writes what it was asked into ``log``."""
    command = [sys.executable, "-W", "ignore", "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]
    with log.open("wb") as file, subprocess.Popen(command, stdout=file, stderr=file) as process:
        try:
            until = time.monotonic() + 30
            while not (found := re.search(r"http://127\.0\.0\.1:\d+", log.read_text())):
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < until
                time.sleep(0.05)
            client = boto3.client("s3", endpoint_url=found[0], region_name="us-east-1", **KEYS)
            client.create_bucket(Bucket="rec")
            yield Service(found[0], client, log)
        finally:
            process.kill()
