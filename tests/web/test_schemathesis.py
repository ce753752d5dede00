"""Nothing that schemathesis makes of the document is the server's fault, and answers are as it has them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any

import pytest
import schemathesis
from control_kit import Desk
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from rtmpd.engine.key import StreamKey
from rtmpd.engine.origin import Origin
from rtmpd.web.openapi import document
from rtmpd.web.operation_table import OPERATIONS
from rtmpd.web.operations import Operation

SCHEMA = schemathesis.openapi.from_dict(document())
CHECKS = [
    not_a_server_error,
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
]


class Nobody:
    def close(self, _reason: object) -> None:
        raise AssertionError


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """Of a server in a thread: schemathesis waits for its answers."""
    address: Future[str] = Future()
    over = threading.Event()

    async def run() -> None:
        desk = Desk()
        desk.registry.claim(StreamKey("live", "0"), Nobody(), Origin(session=7), 0.0)
        async with desk.client() as client:
            address.set_result(str(client._base_url).rstrip("/"))
            await asyncio.to_thread(over.wait)

    thread = threading.Thread(target=asyncio.run, args=(run(),))
    thread.start()
    try:
        yield address.result(10.0)
    finally:
        over.set()
        thread.join()


def ask(operation: Operation, mode: GenerationMode, url: str, checks: list[Any]) -> None:
    found = SCHEMA[f"/api/v1{operation.path}"][operation.method]

    @given(case=found.as_strategy(generation_mode=mode))
    @settings(
        max_examples=8,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
        derandomize=True,
    )
    def one(case: schemathesis.Case) -> None:
        case.call_and_validate(base_url=url, checks=checks)

    one()


# Who follows something is answered until they leave.
@pytest.mark.parametrize(
    "operation", [each for each in OPERATIONS if each.follow is None], ids=lambda operation: operation.id
)
def test_what_the_document_allows_is_answered_as_it_says(operation: Operation, url: str) -> None:
    ask(operation, GenerationMode.POSITIVE, url, CHECKS)


@pytest.mark.parametrize(
    "operation",
    [each for each in OPERATIONS if (each.query or each.body) and each.follow is None],
    ids=lambda operation: operation.id,
)
def test_what_it_does_not_allow_is_not_our_fault(operation: Operation, url: str) -> None:
    # What is no HTTP is answered before anybody looks for an operation: not as the document says.
    ask(operation, GenerationMode.NEGATIVE, url, [not_a_server_error])
