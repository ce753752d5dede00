"""The tables of states: which steps and which commands there are, and that the documents say so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from rtmp_dialogue import Client, command, failure

from rtmpd.exceptions import UsageError
from rtmpd.rtmp.constants import MessageType
from rtmpd.rtmp.rates import TokenBucket
from rtmpd.rtmp.states import (
    CALLS,
    ERRORS,
    MESSAGES,
    REPLIES,
    STATUSES,
    Commands,
    ConnectionCall,
    Cost,
    Handling,
    Phase,
    Reply,
    Step,
    StreamCall,
    Use,
)

PROTOCOL = Path(__file__).parents[2] / "docs/protocol.md"
SECTIONS = set(re.findall(r"\d+(?:\.\d+)+", PROTOCOL.read_text()))
TABLES = {"calls": CALLS, "replies": REPLIES}


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_every_pair_has_one_row(table: Commands[Reply]) -> None:
    for phase in Phase:
        rows = [row for row in table.rows if phase in row.phases]
        names = [name for row in rows for name in row.names]
        assert len(names) == len(set(names))
        assert sum(not row.names for row in rows) == 1
        assert not table.find(phase, "nonsense").names
        for row in rows:
            assert all(table.find(phase, name) is row for name in row.names)


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_the_sections_are_covered_by_the_document(table: Commands[Reply]) -> None:
    sections = {row.section for row in table.rows if row.section}
    assert sections
    for section in sections:
        assert any(f"{each}.".startswith(f"{section}.") for each in SECTIONS)


def test_every_type_of_message_has_a_row() -> None:
    assert set(MESSAGES) == {*range(8), *MessageType}
    for message_type in MessageType:
        assert MESSAGES[message_type].section in SECTIONS, message_type


def test_every_handler_has_a_row() -> None:
    assert {kind.handling for kind in MESSAGES.values()} == {*Handling}
    assert {row.handler for row in CALLS.rows} == {*ConnectionCall, *StreamCall}
    assert {row.handler for row in REPLIES.rows} == {*Reply}


@pytest.mark.parametrize(
    ("use", "steps"),
    [
        (Use.IDLE, {Step.PUBLISH: Use.PUBLISH_ASKED, Step.PLAY: Use.PLAY_ASKED}),
        (Use.PUBLISH_ASKED, {Step.ACCEPT: Use.PUBLISHING, Step.REFUSE: Use.IDLE}),
        (Use.PUBLISHING, {Step.END: Use.IDLE, Step.FAIL: Use.IDLE}),
        (Use.PLAY_ASKED, {Step.ACCEPT: Use.PLAYING, Step.REFUSE: Use.IDLE}),
        (Use.PLAYING, {Step.END: Use.IDLE, Step.FAIL: Use.IDLE, Step.PLAY: Use.PLAY_ASKED}),
    ],
)
def test_the_steps_of_a_message_stream(use: Use, steps: dict[Step, Use]) -> None:
    for step in Step:
        if step in steps:
            assert use.after(step) is steps[step]
        else:
            with pytest.raises(UsageError, match=f"no {step.value} now: this message stream {use.value}"):
                use.after(step)


@pytest.mark.parametrize(
    ("phase", "steps"),
    [
        (Phase.IDLE, {Step.CONNECT: Phase.CONNECTING}),
        (Phase.CONNECTING, {Step.ACCEPT: Phase.CONNECTED, Step.REFUSE: Phase.IDLE}),
        (Phase.CONNECTED, {Step.SERVE: Phase.SERVING}),
        (Phase.SERVING, {Step.SERVE: Phase.SERVING}),
    ],
)
def test_the_steps_of_a_connection(phase: Phase, steps: dict[Step, Phase]) -> None:
    for step in Step:
        if step in steps:
            assert phase.after(step) is steps[step]
        else:
            with pytest.raises(UsageError, match=f"no {step.value} now: this connection {phase.value}"):
                phase.after(step)


def test_what_a_status_means_is_a_step_that_may_be_taken() -> None:
    for use, step in [*((use, step) for (use, _), step in STATUSES.items()), *ERRORS.items()]:
        assert use.after(step)
    assert set(ERRORS) == set(Use) - {Use.IDLE}


# What the server's rows say of themselves is what its session does


@pytest.mark.parametrize("name", sorted({name for row in CALLS.rows for name in row.names} - {"connect"}))
def test_nothing_but_connect_comes_before_connect(name: str) -> None:
    assert failure(Client().call(name, 1)) == "command_before_connect"


@pytest.mark.parametrize("name", sorted({name for row in CALLS.rows for name in row.names} - {"connect"}))
def test_who_pays_for_the_values_of_a_command(name: str) -> None:
    place = TokenBucket(rate=1, burst=10**6, now=1000.0)
    client = Client(shared_cost=place).connected()
    client.now += 1000
    assert place.full(client.now)
    client.say(command(name, 4, "cam", on=1))
    assert place.full(client.now) is (CALLS.find(Phase.CONNECTED, name).cost is Cost.NAME)


@pytest.mark.parametrize("name", ["publish", "play", "play2"])
def test_what_the_sender_of_one_that_fails_is_told(name: str) -> None:
    client = Client().connected()
    row = CALLS.find(Phase.CONNECTED, name)
    assert failure(client.call(name, 5, {"streamName": "cam"}, on=9)) == "unknown_stream"
    assert client.hear() == [f"9: onStatus 0 error {row.failure}"]
