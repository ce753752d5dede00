"""The tree of exceptions: each can be copied and sent to another process, and prints what people read."""

from __future__ import annotations

import copy
import pickle
import re

import pytest

from rtmpd import exceptions
from rtmpd.exceptions import (
    AmfError,
    ChunkError,
    ClientError,
    ConfigError,
    ConnectionLost,
    ControlError,
    HttpFailed,
    ProofFailed,
    ProtocolError,
    Refused,
    RequestTimeout,
    RtmpdError,
    StateUnusable,
    UsageError,
)
from rtmpd.reasons import HttpFailure, Problem, Refusal, SessionFailure
from rtmpd.rtmp.constants import StatusCode


def classes(root: type[RtmpdError] = RtmpdError) -> list[type[RtmpdError]]:
    return [root, *(found for child in root.__subclasses__() for found in classes(child))]


def made(kind: type[RtmpdError]) -> RtmpdError:
    """One of the kind, with all that it can carry."""
    if issubclass(kind, ConfigError):
        return kind(["rtmp.listen: a port is missing", "log.level: no such level"])
    if issubclass(kind, ProtocolError):
        return kind(SessionFailure.NO_HEADER, "what people read", code=StatusCode.CALL_FAILED)
    if issubclass(kind, Refused):
        return kind(StatusCode.PUBLISH_BAD_NAME, "what people read", Refusal.STREAM_BUSY)
    if issubclass(kind, ProofFailed):
        return kind(Refusal.KEY_EXPIRED, "what people read")
    if issubclass(kind, ControlError):
        return kind(Problem.NOT_HELD, "what people read")
    if issubclass(kind, HttpFailed):
        return kind(HttpFailure.TIMEOUT, "what people read")
    if issubclass(kind, StateUnusable):
        return kind(Problem.NOT_HELD, "what people read")
    if issubclass(kind, ClientError):
        return kind("what people read", code="NetStream.Odd", description="odd", info={"level": "error"})
    return kind("what people read")


def test_the_module_draws_the_tree_as_it_is() -> None:
    assert exceptions.__doc__ is not None
    drawn: dict[str, list[str]] = {}
    path: list[str] = []
    for branch, name in re.findall(r"^([│├└─ ]*)([A-Z]\w+)(?: {2,}.+)?$", exceptions.__doc__, re.MULTILINE):
        path[len(branch) // 4 :] = [name]
        drawn[name] = path[:-1]
    for kind in classes():
        parents = drawn.pop(kind.__name__)
        assert parents == [each.__name__ for each in kind.__mro__[:0:-1] if issubclass(each, RtmpdError)]
    assert drawn == {}


@pytest.mark.parametrize("kind", classes())
@pytest.mark.parametrize(
    "repeat", [copy.copy, copy.deepcopy, lambda error: pickle.loads(pickle.dumps(error))]
)
def test_copies_are_the_same(kind: type[RtmpdError], repeat) -> None:
    error = made(kind)
    other = repeat(error)
    assert type(other) is kind
    assert other.__dict__ == error.__dict__
    assert [*map(type, other.__dict__.values())] == [*map(type, error.__dict__.values())]
    assert (str(other), repr(other)) == (str(error), repr(error))


@pytest.mark.parametrize("kind", classes())
def test_what_people_read(kind: type[RtmpdError]) -> None:
    if issubclass(kind, ConfigError):
        assert str(made(kind)) == "rtmp.listen: a port is missing\nlog.level: no such level"
    else:
        assert str(made(kind)) == "what people read"


def test_every_exception_is_in_the_picture() -> None:
    assert exceptions.__doc__ is not None
    drawn = [
        line.split()[-1] if "──" not in line else line.split("── ")[1].split()[0]
        for line in exceptions.__doc__.splitlines()[2:]
        if "──" in line or line == "RtmpdError"
    ]
    assert sorted(drawn) == sorted(kind.__name__ for kind in classes())


def test_the_status_is_the_classes_unless_one_is_given() -> None:
    assert ChunkError(SessionFailure.NO_HEADER, "x").code == ""
    assert AmfError(SessionFailure.AMF_DEPTH, "x").code == StatusCode.CALL_FAILED
    error = AmfError(SessionFailure.AMF_DEPTH, "x", code=StatusCode.CONNECT_REJECTED)
    assert error.code == StatusCode.CONNECT_REJECTED


def test_the_same_failure_again() -> None:
    cause = ConnectionResetError("reset")
    lost = ConnectionLost("it broke", code="x")
    lost.__cause__ = cause
    with pytest.raises(ConnectionLost):
        raise lost
    other = lost.again()
    assert (type(other), str(other), other.code, other.__cause__) == (ConnectionLost, "it broke", "x", cause)
    assert other.__traceback__ is None
    assert isinstance(RequestTimeout("late").again(), TimeoutError)
    assert str(UsageError("out of turn")) == "out of turn"
