from __future__ import annotations

import pytest
from client_kit import scripted_server

from rtmpd.engine.key import StreamKey
from rtmpd.exceptions import (
    AuthenticationFailed,
    ConnectFailed,
    ConnectionLost,
    ConnectRejected,
    PlayRejected,
    PublishRejected,
    StreamFailed,
    UsageError,
)
from rtmpd.relay.dialer import RelayDialer, explain, is_final, last_words
from rtmpd.relay.template import RelayTemplate
from rtmpd.rtmp.constants import CapsEx
from rtmpd.rtmp.events import ConnectRequested
from rtmpd.rtmp.via import NO_VIA, Via

KEY = StreamKey("studio", "cam")


@pytest.mark.parametrize(
    ("template", "label", "stream"),
    [
        ("rtmp://host/{app}/{name}", "rtmp://host/studio", "cam"),
        ("rtmps://host/{app}_2/{name}_2", "rtmps://host/studio_2", "cam_2"),
        ("rtmp://u:p@host:1936/a/b/key?t={name}&x=1", "rtmp://host:1936/a/b", "key?t=cam&x=1"),
        ("rtmp://[::1]/live/{name}", "rtmp://[::1]/live", "cam"),
    ],
)
def test_a_template_leads_to_a_target(template: str, label: str, stream: str) -> None:
    target = RelayTemplate.parse(template).expand(KEY)
    assert (target.label, target.stream) == (label, stream)
    assert (target.address.name, target.address.query) == ("", "")


def test_names_cannot_change_where_a_template_leads() -> None:
    target = RelayTemplate.parse("rtmp://host/{app}/{name}").expand(StreamKey("a/../b", "{app}@evil/x"))
    assert target.url.host == "host"
    assert (target.url.app, target.url.name) == ("a/../b", "{app}@evil/x")


@pytest.mark.parametrize(
    "text", ["rtmp://host/app/s3cret", "rtmp://host/app/x?k=s3cret", "rtmp://u:s3cret@h/a/b"]
)
def test_secrets_do_not_show(text: str) -> None:
    template = RelayTemplate.parse(text)
    assert "s3cret" not in f"{template} {template.expand(KEY)!r} {template.expand(KEY).label}"


@pytest.mark.parametrize(
    "text", ["http://h/a/s3cret", "rtmp://h/s3cret", "rtmp://{name}/a/s3cret", "rtmp://h/{x}/s3cret"]
)
def test_urls_that_cannot_be_used(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        RelayTemplate.parse(text)
    assert "s3cret" not in str(caught.value)


def test_what_a_remote_says_is_kept_without_our_secrets() -> None:
    target = RelayTemplate.parse("rtmp://u:passw0rd@host/app/k3y5?token=t0ken&n=1").expand(KEY)
    said = "key k3y5,\n token t0ken, password passw0rd, 1 " + "x" * 500
    error = PublishRejected("no", code="NetStream.Publish.Denied", description=said)
    assert explain(error, target).startswith("the server refused: key ***, token ***, password ***, 1 xxx")
    assert last_words(error, target).startswith("NetStream.Publish.Denied key ***,")
    assert len(explain(error, target)) <= 200
    own = RelayTemplate.parse("rtmp://host/{app}/{name}").expand(KEY)
    assert own.scrub("cam is being published") == "cam is being published"
    assert explain(StreamFailed("over"), own) == "the server ended the stream"
    assert last_words(ConnectionLost("gone"), own) == ""
    denied = AuthenticationFailed("rtmp://host/studio wants a user", description="[ code=403 ]")
    assert explain(denied, own) == "rtmp://host/studio wants a user"


@pytest.mark.parametrize(
    "told",
    ["abc%2Fdef%2B123", "abc%2fdef%2b123", "abc/def+123", "ABC/DEF+123", "abc%2Fdef+123", "%61bc/def%2B123"],
)
def test_a_secret_is_found_however_it_is_quoted(told: str) -> None:
    for template in (
        "rtmp://host/app/{name}?token=abc%2Fdef%2B123",
        "rtmp://host/app/abc/def+123".replace("abc/def", "abc%2Fdef"),
        "rtmp://user:abc%2Fdef+123@host/app/{name}",
        "rtmp://host/app/{name}?auth=x?token=abc/def+123&token=last",
    ):
        target = RelayTemplate.parse(template).expand(KEY)
        assert target.scrub(f"bad token {told}, go") == "bad token ***, go", template


@pytest.mark.parametrize("template", ["rtmp://host/app/b", "rtmp://u:b@host/app/{name}"])
def test_a_short_secret_is_not_told_by_its_gaps(template: str) -> None:
    target = RelayTemplate.parse(template).expand(KEY)
    assert target.scrub("wrong first byte") == "***"
    assert target.scrub("wrong %62") == "***"
    assert target.scrub("no such stream") == "no such stream"
    # Our own sentences hold no secret.
    assert explain(ConnectFailed("cannot connect to b port 1935"), target) == "cannot connect to b port 1935"


def test_the_text_that_is_kept_is_cut_behind_the_secret() -> None:
    target = RelayTemplate.parse("rtmp://host/app/" + "s3cret" * 100).expand(KEY)
    assert target.scrub("x" * 190 + " " + "s3cret" * 100) == "x" * 190 + " ***"


def test_names_add_nothing_to_a_query() -> None:
    key = StreamKey("a?b=c", "cam&auth=evil%26/1")
    target = RelayTemplate.parse("rtmp://host/app/{name}?auth=S&app={app}&stream={name}").expand(key)
    assert target.url.query == "auth=S&app=a%3Fb%3Dc&stream=cam%26auth%3Devil%2526/1"
    assert target.scrub("cam%26auth%3Devil%2526/1 is busy") == "cam%26auth%3Devil%2526/1 is busy"


def test_a_bug_is_not_explained_in_its_own_words() -> None:
    target = RelayTemplate.parse("rtmp://host/app/x").expand(KEY)
    assert explain(KeyError("x"), target) == "a bug of this server: its log has the traceback"


def test_who_is_refused_for_the_sake_of_others_may_be_let_in_without_them() -> None:
    others = Via(("edge",), 1)
    assert not is_final(ConnectRejected("a loop"), others)
    assert is_final(AuthenticationFailed("no"), others)
    assert is_final(PublishRejected("no", code="NetStream.Publish.Denied"), others)


@pytest.mark.parametrize(
    ("error", "final"),
    [
        (AuthenticationFailed("no"), True),
        (ConnectRejected("no"), True),
        (PublishRejected("no", code="NetStream.Publish.Denied"), True),
        (PublishRejected("busy", code="NetStream.Publish.BadName"), False),
        (PlayRejected("no"), False),
        (StreamFailed("over"), False),
        (ConnectFailed("refused"), False),
        (ConnectionLost("gone"), False),
        (OSError("odd"), False),
    ],
)
def test_refusals_for_good_are_told_from_accidents(error: Exception, final: bool) -> None:
    assert is_final(error) is final


async def test_a_relay_offers_to_connect_anew() -> None:
    async with scripted_server() as server:
        target = RelayTemplate.parse(f"{server.url}/{{name}}").expand(KEY)
        async with await RelayDialer("here", lambda: 1).dial(target, NO_VIA):
            peer = await server.peer()
    offered = [event.params.caps_ex for event in peer.heard if isinstance(event, ConnectRequested)]
    assert offered == [sum(CapsEx)]
