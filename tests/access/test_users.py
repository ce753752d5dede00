"""Users with passwords: the three connects of an encoder, and what strangers learn."""

from __future__ import annotations

import pytest
from golden_captures import load, names
from hypothesis import given
from hypothesis import strategies as st

from rtmpd.access.users import MAX_AGE, MAX_USER_LENGTH, Question, Users, check_user, means_to_publish
from rtmpd.exceptions import ProofFailed
from rtmpd.rtmp import adobe_auth
from rtmpd.rtmp.commands import ConnectParams
from rtmpd.rtmp.events import ConnectRequested
from rtmpd.rtmp.server import ServerSession
from rtmpd.rtmp.url import split_query

SECRET = bytes(range(32))
NOW = 1_800_000_000.0
FAILED = "[ AccessManager.Reject ] : [ authmod=adobe ] : ?reason=authfailed"


class Encoder:
    """OBS's librtmp: it appends to its app what each refusal asks for."""

    def __init__(self, user: str, password: str, app: str = "live") -> None:
        self.user = user
        self.password = password
        self.app = app

    def hear(self, description: str) -> None:
        challenge = adobe_auth.parse_challenge(description)
        if challenge is None:
            assert adobe_auth.needs_credentials(description)
            self.app += f"?authmod=adobe&user={self.user}"
        else:
            # It hashes the user that the server has sent back, quoted or not.
            response = adobe_auth.compute_response(challenge, challenge.user, self.password, "a+b/cQ==")
            self.app += f"&challenge=a+b/cQ==&response={response}&opaque={challenge.opaque}"


def users(**passwords: str) -> Users:
    return Users(passwords or {"mia": "correct horse", "ben@example.org": "p&ss=w?rd+"}, SECRET)


def dial(server: Users, encoder: Encoder, now: float = NOW, seconds: float = 0.1) -> list[str]:
    """What each connect came to, one every ``seconds``, up to the one that was let in or refused for good."""
    said: list[str] = []
    for attempt in range(5):
        try:
            answer = server.answer(split_query(encoder.app)[1], now + attempt * seconds)
        except ProofFailed as error:
            return [*said, f"refused: {error.description}"]
        if isinstance(answer, str):
            return [*said, f"welcome {answer}"]
        said.append("needauth" if "needauth" in answer.description else "need auth")
        encoder.hear(answer.description)
    return said


def test_an_encoder_comes_three_times() -> None:
    assert dial(users(), Encoder("mia", "correct horse")) == ["need auth", "needauth", "welcome mia"]
    assert dial(users(), Encoder("ben@example.org", "p&ss=w?rd+"))[-1] == "welcome ben@example.org"


def test_a_query_that_the_application_has_anyway_does_not_matter() -> None:
    assert dial(users(), Encoder("mia", "correct horse", app="live?vhost=a"))[-1] == "welcome mia"


@pytest.mark.parametrize(
    ("user", "password"),
    [
        ("mia", "wrong"),
        ("mia", ""),
        ("mia", "p&ss=w?rd+"),
        ("nobody", "correct horse"),
        ("nobody", ""),
        ("MIA", "correct horse"),
    ],
)
def test_who_is_unknown_hears_the_same_as_who_has_a_wrong_password(user: str, password: str) -> None:
    heard = dial(users(), Encoder(user, password))
    assert heard == ["need auth", "needauth", f"refused: {FAILED}"]


def test_a_user_that_is_unknown_gets_the_same_salt_each_time_as_others_do() -> None:
    def salts(user: str) -> set[str]:
        answers = [users().answer(f"authmod=adobe&user={user}", NOW + second) for second in range(3)]
        texts = [answer.description for answer in answers if isinstance(answer, Question)]
        challenges = [adobe_auth.parse_challenge(text) for text in texts]
        return {challenge.salt for challenge in challenges if challenge}

    assert len(salts("mia")) == len(salts("nobody")) == 1
    assert salts("mia") != salts("nobody")


def test_a_slow_encoder_is_asked_once_more_if_its_password_is_right() -> None:
    encoder = Encoder("mia", "correct horse")
    server = users()
    for _ in range(2):
        question = server.answer(split_query(encoder.app)[1], NOW)
        assert isinstance(question, Question)
        encoder.hear(question.description)
    query = split_query(encoder.app)[1]
    assert server.answer(query, NOW + MAX_AGE) == "mia"
    late = server.answer(query, NOW + MAX_AGE + 1)
    assert isinstance(late, Question)
    encoder.hear(late.description)
    assert server.answer(split_query(encoder.app)[1], NOW + MAX_AGE + 2) == "mia"


def test_a_slow_encoder_with_a_wrong_password_is_refused() -> None:
    assert dial(users(), Encoder("mia", "wrong"), seconds=MAX_AGE + 1)[-1] == f"refused: {FAILED}"


def test_another_process_with_the_same_secret_takes_over_and_another_server_does_not() -> None:
    encoder = Encoder("mia", "correct horse")
    for _ in range(2):
        question = users().answer(split_query(encoder.app)[1], NOW)
        assert isinstance(question, Question)
        encoder.hear(question.description)
    query = split_query(encoder.app)[1]
    assert users().answer(query, NOW) == "mia"
    with pytest.raises(ProofFailed):
        Users({"mia": "correct horse"}, bytes(32)).answer(query, NOW)


def test_an_answer_is_of_no_use_to_another_user() -> None:
    encoder = Encoder("ben@example.org", "p&ss=w?rd+")
    dial(users(), encoder)
    stolen = split_query(encoder.app)[1].replace("ben@example.org", "mia")
    with pytest.raises(ProofFailed):
        users().answer(stolen, NOW)


@pytest.mark.parametrize(
    "query",
    [
        "authmod=llnw&user=mia",
        "authmod=",
        "authmod=adobe",
        f"authmod=adobe&user={'a' * 101}",
        "authmod=adobe&user=a%26b",
    ],
)
def test_other_schemes_and_nameless_users_are_refused(query: str) -> None:
    with pytest.raises(ProofFailed) as caught:
        users().answer(query, NOW)
    assert caught.value.reason == "authentication_failed"
    assert caught.value.description == FAILED


@given(st.text(), st.dictionaries(st.sampled_from(["user", "response", "opaque", "challenge"]), st.text()))
def test_whatever_is_sent_lets_nobody_in(text: str, fields: dict[str, str]) -> None:
    query = "&".join(["authmod=adobe", *(f"{name}={value}" for name, value in fields.items()), text])
    try:
        answer = users().answer(query, NOW)
    except ProofFailed:
        return
    assert isinstance(answer, Question)


def test_a_user_is_one_of_another_table_with_the_same_password_only() -> None:
    encoder = Encoder("mia", "correct horse")
    dial(users(), encoder)
    query = split_query(encoder.app)[1]
    assert users().has("mia", query)
    assert not users().has("ben@example.org", query)
    assert not users().has("", query)
    assert not users().has("mia", "")
    assert not users(mia="another").has("mia", query)
    assert not users(ben="correct horse").has("mia", query)


# -- who is asked


def connect_of(name: str) -> ConnectParams:
    """How a real client has connected."""
    session = ServerSession(random_bytes=bytes, now=0.0)
    capture = load(name)
    session.receive_data(capture.handshake + capture.chunks, 0.0)
    return next(event.params for event in session.events_received() if isinstance(event, ConnectRequested))


@pytest.mark.parametrize("name", names())
def test_encoders_are_told_from_players_by_how_they_connect(name: str) -> None:
    assert means_to_publish(connect_of(name)) == ("pub" in name.split("-"))


def test_an_encoder_that_is_called_like_adobes_is_one() -> None:
    assert means_to_publish(ConnectParams(flash_ver="FMLE/3.0 (compatible; Hardware 1.0)"))
    assert not means_to_publish(ConnectParams(flash_ver="LNX 9,0,124,2"))
    assert not means_to_publish(ConnectParams(connect_object={"type": ("nonprivate",)}))


# -- who may be a user


@pytest.mark.parametrize(
    ("user", "password", "complaint"),
    [
        ("", "x", "'' is no user: write at most 100 letters"),
        ("mia schmidt", "x", "'mia schmidt' is no user"),
        ("müller", "x", "'müller' is no user: write at most 100 letters (a to z), digits and . _ ~ @ -"),
        ("a&b", "x", "'a&b' is no user"),
        ("a" * 101, "secret", "is no user"),
        ("mia", "", "mia has no password"),
    ],
)
def test_a_user_that_some_encoder_could_not_say_is_refused(user: str, password: str, complaint: str) -> None:
    with pytest.raises(ValueError) as caught:
        Users({user: password}, SECRET)
    assert complaint in str(caught.value)
    assert "secret" not in str(caught.value)


@given(st.from_regex(r"[A-Za-z0-9._~@-]{1,100}", fullmatch=True), st.text(min_size=1))
def test_every_user_and_password_gets_in(user: str, password: str) -> None:
    check_user(user, password)
    assert len(user) <= MAX_USER_LENGTH
    server = Users({user: password}, SECRET)
    assert len(server) == 1
    assert dial(server, Encoder(user, password))[-1] == f"welcome {user}"
