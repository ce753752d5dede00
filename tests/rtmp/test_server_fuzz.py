"""Bytes and messages of any kind: whatever a client says, a ServerSession never raises."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st
from rtmp_dialogue import HANDSHAKE, Client, failure

from rtmpd.rtmp.amf import AmfValue, encode_values
from rtmpd.rtmp.constants import MessageType
from rtmpd.rtmp.events import SessionClosed, SessionFailed
from rtmpd.rtmp.messages import Message
from rtmpd.rtmp.states import CALLS


def judge(client: Client) -> None:
    """The session is still consistent: its replies are whole messages; once over it says no more."""
    client.grant_everything()
    client.hear()
    client.wait(200)
    client.grant_everything()
    client.hear()
    over = client.session.closing
    client.session.receive_eof()
    last = client.session.events_received()
    # It ends once, in order.
    assert last == ([] if over else [SessionClosed()])
    assert client.session.partial_bytes == 0
    assert client.session.next_deadline() is None
    client.write(HANDSHAKE)
    client.wait(1000)
    assert client.session.events_received() == []
    assert client.session.data_to_send() == []


@given(st.lists(st.binary(max_size=200), max_size=10))
def test_any_bytes_instead_of_a_handshake(pieces: list[bytes]) -> None:
    client = Client(handshake=False)
    events = [event for piece in pieces for event in client.write(piece)]
    said = b"".join(pieces)
    if said and said[0] != HANDSHAKE[0]:
        assert failure(events)
        assert client.session.data_to_send() == []
    elif len(said) < 1537:
        assert events == []
        client.session.receive_eof()
        (end,) = client.session.events_received()
        assert isinstance(end, SessionFailed if said else SessionClosed)


STATES: dict[str, Callable[[], Client]] = {
    "fresh": Client,
    "connected": lambda: Client().connected(),
    "publishing": lambda: Client().publishing(),
    "playing": lambda: Client().playing(),
}


@given(st.sampled_from(sorted(STATES)), st.lists(st.binary(max_size=300), max_size=12))
@settings(max_examples=300)
def test_any_bytes_after_the_handshake(state: str, pieces: list[bytes]) -> None:
    client = STATES[state]()
    for piece in pieces:
        client.session.receive_data(piece, client.now)
        client.grant_everything()
    judge(client)


VALUES: st.SearchStrategy[AmfValue] = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.floats(),
        st.integers(-3, 9).map(float),
        st.text(max_size=20),
        st.sampled_from(["cam", "cam?a=b", "live", "", "x" * 3000]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(
                ["app", "tcUrl", "streamName", "start", "len", "objectEncoding", "fourCcList", ""]
            ),
            inner,
            max_size=4,
        ),
    ),
    max_leaves=6,
)
NAMES = [*sorted({name for row in CALLS.rows for name in row.names}), "nonsense"]
COMMANDS = st.builds(
    lambda name, values, on, prefix: Message(
        MessageType.COMMAND_AMF3 if prefix else MessageType.COMMAND_AMF0,
        0,
        on,
        prefix + encode_values(name, *values),
    ),
    st.sampled_from(NAMES),
    st.lists(VALUES, max_size=5),
    st.integers(0, 3),
    st.sampled_from([b"", b"\x00"]),
)
OTHERS = st.builds(
    Message,
    st.sampled_from([3, 4, 5, 6, 7, 8, 9, 15, 16, 17, 18, 19, 20, 22, 99]),
    st.integers(0, 2**32 - 1),
    st.integers(0, 3),
    st.binary(max_size=40),
)


@given(
    st.sampled_from(sorted(STATES)),
    st.lists(st.one_of(COMMANDS, COMMANDS, OTHERS), max_size=25),
    st.booleans(),
)
@settings(max_examples=400)
def test_any_messages_in_any_order(state: str, messages: list[Message], pipelined: bool) -> None:
    client = STATES[state]()
    if pipelined:
        client.session.receive_data(client.encode(*messages), client.now)
    else:
        for message in messages:
            client.session.receive_data(client.encode(message), client.now)
            client.grant_everything()
    judge(client)
