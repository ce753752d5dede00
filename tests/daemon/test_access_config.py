"""``[apps.NAME.publish]`` and ``[apps.NAME.play]``: what people write, and which rules come of it."""

from __future__ import annotations

import re
import sys
from collections import Counter
from pathlib import Path

import pytest

from rtmpd.access.keys import digest_of, spell_digest
from rtmpd.access.rules import Allow
from rtmpd.access.signed_urls import make_query
from rtmpd.daemon import access_config, reference
from rtmpd.daemon.access_config import PublishAccess
from rtmpd.daemon.access_rules import ConfiguredRules
from rtmpd.daemon.changes import compare
from rtmpd.daemon.settings import Settings, load
from rtmpd.exceptions import ConfigError, ProofFailed
from rtmpd.rtmp.url import parse_query

KEY = "m3kq8vwz5tnx2cfhj7yb9dgr4as6pue2x"
OTHER = "z7a2kxhkv7c2r2bq789uv37gdvpukb87b"
SHA, SHA2 = (spell_digest(digest_of(key)) for key in (KEY, OTHER))


@pytest.fixture
def read(tmp_path: Path):
    def read(text: str, environ: dict[str, str] | None = None) -> Settings:
        path = tmp_path / "rtmpd.toml"
        path.write_text(text)
        return load([path], environ or {})

    return read


@pytest.fixture
def rules(read):
    return lambda text: ConfiguredRules(read(text).config)


def problems(read, text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read(text)
    assert KEY not in str(caught.value)
    return [problem.partition("rtmpd.toml:")[2] for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("text", "publish", "play"),
    [
        ("", Allow.LOCAL, Allow.ANYONE),
        (f'[apps.live.publish.keys]\nshow = ["{SHA}"]', Allow.PROVEN, Allow.ANYONE),
        (f'[apps."*".play.keys]\nshow = ["{SHA}"]', Allow.LOCAL, Allow.PROVEN),
        (f'[apps.live.publish]\nallow = "anyone"\nkeys.show = ["{SHA}"]', Allow.ANYONE, Allow.ANYONE),
        # The last key was taken back, which lets nobody in.
        ("[apps.live.publish.keys]\nshow = []", Allow.PROVEN, Allow.ANYONE),
        ('[apps."*".play]\nallow = "nobody"', Allow.LOCAL, Allow.NOBODY),
    ],
)
def test_who_needs_no_key(rules, text: str, publish: Allow, play: Allow) -> None:
    found = rules(text).at("live/show")
    assert (found.publish.allow, found.play.allow) == (publish, play)


def test_keys_of_an_app_lead_to_names_with_what_is_said_of_them(rules) -> None:
    ring = rules(
        f"""
        [apps.live.publish.keys]
        show = ["{SHA}", {{sha256 = "{SHA2}", label = "Studio 2", until = "2027-01-14", backup = true}}]
        """
    ).at("live/x").publish  # fmt: skip
    first, second = (ring.find(key, 1_799_971_199.0) for key in (KEY, OTHER))
    assert first
    assert (first.name, first.label, first.until, first.backup) == ("show", "", None, False)
    assert second
    assert (second.name, second.label, second.until) == ("show", "Studio 2", 1_799_971_200.0)
    assert second.backup


def test_a_longer_path_wins_name_by_name(rules) -> None:
    found = rules(
        f"""
        [apps."*".publish.keys]
        show = ["{SHA}"]
        [apps.live.publish.keys]
        talk = ["{SHA2}"]
        [apps.shut.publish.keys]
        show = []
        """
    )
    assert [key.name for key in found.at("live/x").publish.ring] == ["show", "talk"]
    assert [key.name for key in found.at("other/x").publish.ring] == ["show"]
    assert [key.name for key in found.at("shut/x").publish.ring] == []


def test_a_variable_may_name_a_key(read) -> None:
    config = read("", {"RTMPD_APPS__LIVE__PUBLISH__KEYS__SHOW": SHA}).config
    assert [key.name for key in config.at("live/x").publish.all_keys()] == ["show"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (f'publish.keys.show = ["{KEY}"]', "2: publish.keys.show: is not sha256: and 64 hex digits"),
        (f'publish.keys.show = "{KEY}"', "2: publish.keys.show: is not sha256: and 64 hex digits"),
        (f'publish.keys.show = ["{SHA}", "{KEY}"]', "2: publish.keys.show: number 2: is not sha256:"),
        (f'play.keys.show = [{{sha256 = "{KEY}"}}]', "2: play.keys.show: is not sha256: and 64"),
        (f'play.keys.show = [{{key = "{KEY}"}}]', '2: play.keys.show: a key is "sha256:..."'),
        ("play.keys.show = [5]", '2: play.keys.show: a key is "sha256:..."'),
        (f'play.keys.show = [{{sha256 = "{SHA}", until = "soon"}}]', "2: play.keys.show: is no time"),
        (f'play.keys.show = [{{sha256 = "{SHA}", until = 5}}]', "2: play.keys.show: sha256, label and"),
        (f'publish.keys.show = [{{sha256 = "{SHA}", backup = "yes"}}]', "2: publish.keys.show: sha256,"),
        (f'play.keys.show = [{{sha256 = "{SHA}", backup = true}}]', "2: play.keys.show says backup = true"),
        (f'publish.keys.show = ["{SHA}", "{SHA}"]', "2: publish.keys.show has the same key twice"),
        (f'publish.keys.a = ["{SHA}"]\npublish.keys.b = ["{SHA}"]', "3: publish.keys.b: a and b have the"),
        (f'publish.keys."a b" = ["{SHA}"]', "2: publish.keys.a b is for a stream that cannot exist"),
        ('publish.ips = ["nowhere"]', "2: publish.ips: 'nowhere' is no address and no network"),
        ('publish.allow = "me"', "2: publish.allow: 'me' is not one of"),
        ("publish.keys_fil = 5", "2: publish.keys_fil: there is no such key; did you mean"),
    ],
)  # fmt: skip
def test_mistakes(read, text: str, problem: str) -> None:
    (found,) = problems(read, f"[apps.live]\n{text}\n")
    assert found.replace("apps.live.", "", 1).startswith(problem)


def test_many_keys_are_looked_at_once_each(monkeypatch: pytest.MonkeyPatch) -> None:
    parsed = Counter[str]()

    def count(text: str) -> bytes:
        parsed[text] += 1
        return digest_of(text)

    keys = {f"s{number}": (f"{number}",) for number in range(50)}
    access = PublishAccess.model_construct(keys=keys)
    monkeypatch.setattr(access_config, "parse_digest", count)
    assert list(access.find_problems(access)) == []
    assert max(parsed.values()) <= 2


def test_a_file_of_keys(rules, tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text(f"show {SHA}\n")
    text = f'[apps.live.publish]\nkeys_file = "{file}"\nkeys.talk = ["{SHA2}"]'
    found = rules(text).at("live/x").publish
    assert found.allow is Allow.PROVEN
    assert [found.find(key, 0.0).name for key in (KEY, OTHER)] == ["show", "talk"]
    file.write_text(f"show {KEY}\n")
    with pytest.raises(ConfigError, match=f"{file}:1: its second word is not sha256:") as caught:
        rules(text)
    assert KEY not in str(caught.value)


def test_users(rules, read, tmp_path: Path) -> None:
    file = tmp_path / "users"
    file.write_text("# who   \nmia:a:b,c\n\nben:w0rd \n")
    for text in (f'users_file = "{file}"', 'users = ["mia:a:b,c", "ben:w0rd"]'):
        found = rules(f"[apps.live.publish]\n{text}\n").at("live/x").publish
        assert found.allow is Allow.PROVEN
        assert len(found.users) == 2
        config = read(f"[apps.live.publish]\n{text}\n").config
        assert config.at("live/x").publish.passwords == {"mia": "a:b,c", "ben": "w0rd"}
    config = read("", {"RTMPD_APPS__LIVE__PUBLISH__USERS": "mia:a,ben:b"}).config
    assert config.at("live/x").publish.passwords == {"mia": "a", "ben": "b"}
    file.write_text("")
    found = rules(f'[apps.live.publish]\nusers_file = "{file}"').at("live/x").publish
    assert (found.allow, found.users) == (Allow.PROVEN, None)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('publish.users = ["hunter2"]', "2: publish.users: is no user: write user:password"),
        ('publish.users = ["m a:hunter2"]', "2: publish.users: 'm a' is no user"),
        ('publish.users = ["mia:hunter2", "mia:x"]', "2: publish.users: mia is there twice"),
        ("publish.users = [5]", "2: publish.users: what is given is not a text"),
        ('play.users = ["mia:hunter2"]', "2: play.users: there is no such key"),
        (f'publish.users = ["a:hunter2"]\npublish.keys.b = ["{SHA}"]', "2: publish.users: users are asked"),
        ('publish.keys_file = "x"\npublish.users = ["a:b"]', "3: publish.users: users are asked for before"),
        ('publish.users = ["a:b"]\npublish.allow = "anyone"', '3: publish.allow = "anyone" asks nobody'),
    ],
)
def test_mistakes_with_users(read, text: str, problem: str) -> None:
    (found,) = problems(read, f"[apps.live]\n{text}\n")
    assert found.replace("apps.live.", "").startswith(problem)
    assert "hunter2" not in found


def test_what_is_wrong_with_users_is_said_of_the_table_that_makes_it_so(read) -> None:
    keys = f'[apps."*".publish.keys]\nshow = ["{SHA}"]\n'
    (found,) = problems(
        read, f'{keys}[apps.live.publish]\nusers = ["a:b"]\n[apps."live/b".gop]\nstart = "live"'
    )
    assert found.startswith("4: apps.live.publish.users: users are asked for")


@pytest.mark.parametrize("access", ["publish", "play"])
def test_signed_urls(rules, read, tmp_path: Path, access: str) -> None:
    file = tmp_path / "secrets"
    file.write_text(f"# of the shop\n{KEY}\n{OTHER}\n")
    links = f'signed_urls = {{secrets_file = "{file}", max_lifetime = "1m"}}'
    text = f"[apps.live.{access}]\nend_with_proof = true\n{links}\n"
    both = rules(text).at("live/show")
    found, other = (both.publish, both.play) if access == "publish" else (both.play, both.publish)
    assert (found.allow, found.end_with_proof) == (Allow.PROVEN, True)
    assert (other.links, other.end_with_proof) == (None, False)
    for secret in (KEY, OTHER):
        fields = parse_query(make_query(secret, access, "live/show", 60))
        assert found.links.verify(fields, access, "live/show", "192.0.2.7", 0.0) == 60.0
    with pytest.raises(ProofFailed, match="more than 60 seconds"):
        found.links.verify(
            parse_query(make_query(KEY, access, "live/show", 61)), access, "live/show", "192.0.2.7", 0.0
        )
    shown = {name: value for name, value, *_ in reference.rows(read(text))}
    assert shown[f"apps.live.{access}.signed_urls.secrets"] == '["***", "***"]'
    file.write_text("")
    both = rules(text).at("live/show")
    found = both.publish if access == "publish" else both.play
    assert (found.allow, found.links) == (Allow.PROVEN, None)


def test_a_longer_path_takes_over_what_it_does_not_say_of_links(rules) -> None:
    found = rules(
        f"""
        [apps."*".publish.signed_urls]
        secrets = ["{KEY}"]
        [apps.live.publish.signed_urls]
        max_lifetime = 5
        """
    ).at("live/show").publish  # fmt: skip
    with pytest.raises(ProofFailed, match="more than 5 seconds"):
        found.links.verify(
            parse_query(make_query(KEY, "publish", "live/show", 61)), "publish", "live/show", "192.0.2.7", 0.0
        )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('secrets = ["hunter2"]', "2: publish.signed_urls.secrets: has 7 characters and not 16 to 256"),
        (f'secrets = ["{KEY}", "hunter2"]', "2: publish.signed_urls.secrets: number 2: has 7 characters"),
        (
            f'secrets = ["{KEY}", "{OTHER}", "{OTHER}x"]',
            "2: publish.signed_urls.secrets: there are 3 secrets",
        ),
        ('max_lifetime = "long"', "2: publish.signed_urls.max_lifetime: 'long' is not a duration"),
        (
            f'secrets = ["{KEY}"]\n[apps.live.publish]\nusers = ["a:hunter2"]',
            "4: publish.users: users are asked",
        ),
    ],
)
def test_mistakes_with_links(read, text: str, problem: str) -> None:
    (found,) = problems(read, f"[apps.live.publish.signed_urls]\n{text}\n")
    assert found.replace("apps.live.", "").startswith(problem)
    assert "hunter2" not in found


JWT = """
issuer = "https://id.example.com/"
audience = "rtmpd"
algorithms = ["ES256"]
jwks = "https://id.example.com/keys"
"""


@pytest.mark.parametrize("access", ["publish", "play"])
def test_tokens(rules, access: str) -> None:
    both = rules(f"[apps.live.{access}.jwt]{JWT}").at("live/show")
    found, other = (both.publish, both.play) if access == "publish" else (both.play, both.publish)
    assert found.allow is Allow.PROVEN
    assert found.tokens is not None
    assert other.tokens is None


def test_a_key_set_is_fetched_once_for_all_and_kept_over_a_reload(read) -> None:
    text = f"[apps.live.publish.jwt]{JWT}[apps.live.play.jwt]{JWT}"
    before = ConfiguredRules(read(text).config)
    (key_set,) = before.issuers
    after = ConfiguredRules(read(f"{text}[apps.talk.play.jwt]{JWT}leeway = 5").config, before)
    after.take_over()
    assert list(after.issuers) == [key_set]
    without = ConfiguredRules(read("").config, after)
    assert list(without.issuers) == [key_set]
    without.take_over()
    assert list(without.issuers) == []


def test_a_longer_path_says_what_it_has_otherwise_of_tokens(read) -> None:
    config = read(f'[apps.live.publish.jwt]{JWT}[apps."live/eu".publish.jwt]\nleeway = 5').config
    found = config.at("live/eu/show").publish.jwt.to_rules()
    assert (found.issuer, found.audience, found.leeway) == ("https://id.example.com/", "rtmpd", 5.0)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            JWT.replace('issuer = "https://id.example.com/"', ""),
            "3, {}:4, {}:5: publish.jwt.issuer is missing",
        ),
        (JWT.replace('audience = "rtmpd"', ""), "2, {}:4, {}:5: publish.jwt.audience is missing"),
        (JWT.replace('algorithms = ["ES256"]', ""), "2, {}:3, {}:5: publish.jwt.algorithms is missing"),
        (JWT.replace("ES256", "HS256"), "4: publish.jwt.algorithms: 'HS256' is not one of ES256"),
        (
            JWT.replace("https://id.example.com/keys", "http://id/keys"),
            "5: publish.jwt.jwks: is an https:// URL",
        ),
        (f"{JWT}names_claim = ''", "6: publish.jwt.names_claim: ''"),
        (f"{JWT}leeway = 'x'", "6: publish.jwt.leeway: 'x' is not a duration"),
        (f'{JWT}[apps.live.publish]\nusers = ["a:hunter2"]', "7: publish.users: users are asked for before"),
    ],
)
def test_mistakes_with_tokens(read, tmp_path: Path, text: str, problem: str) -> None:
    (found,) = problems(read, f"[apps.live.publish.jwt]{text}\n")
    expected = problem.replace("{}", str(tmp_path / "rtmpd.toml"))
    assert found.replace("apps.live.", "").startswith(expected)


def test_without_the_library_the_rules_say_what_to_install(read, monkeypatch: pytest.MonkeyPatch) -> None:
    config = read(f"[apps.live.publish.jwt]{JWT}").config
    monkeypatch.setitem(sys.modules, "jwt", None)
    monkeypatch.delitem(sys.modules, "rtmpd.access.jwt_tokens", raising=False)
    with pytest.raises(ConfigError, match=r"JWT needs PyJWT.*pip install '\.\[jwt\]'"):
        ConfiguredRules(config)


def test_passwords_are_not_shown(read) -> None:
    settings = read('[apps.live.publish]\nusers = ["mia:hunter2"]\n')
    shown = {name: value for name, value, *_ in reference.rows(settings)}
    assert shown["apps.live.publish.users"] == '["mia:***"]'


def test_what_check_shows(read) -> None:
    table = f'{{sha256 = "{SHA2}", label = "Studio 2", backup = true}}'
    settings = read(f'[apps.live.publish.keys]\nshow = ["{SHA}", {table}]\n')
    shown = {name: (value, origin) for name, value, origin, _ in reference.rows_at(settings, "live/show")}
    value, origin = shown["apps.live.publish.keys.show"]
    assert value == f'["{SHA}", {table}]'
    assert origin.endswith("rtmpd.toml:2")
    assert shown["apps.live.play.allow"] == ('"auto"', "default")


def test_other_keys_hold_for_everybody(read) -> None:
    before = read(f'[apps.live]\npublish.keys.show = ["{SHA}"]\nplay.allow = "local"').config
    after = read(f'[apps.live]\npublish.keys.show = ["{SHA2}"]\nplay.keys.show = ["{SHA2}"]').config
    assert compare(before, after) == {
        "everybody, at once": [
            "apps.live.play.allow",
            "apps.live.publish.keys.show",
            "apps.live.play.keys.show",
        ]
    }


PUSHED = '[apps.live]\npush = ["rtmp://127.0.0.1/live/x"]\n'
RUN = '[apps.live.run.copy]\ncommand = ["ffmpeg"]\n'
EXEC = '[apps.live.exec.note]\ncommand = ["note"]\non = ["published"]\n'
ANYONE = '[apps.live.publish]\nallow = "anyone"\n'


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (PUSHED + ANYONE, "4: apps.live.publish.allow: whoever reaches the port could publish to "),
        (RUN + ANYONE, "4: apps.live.publish.allow: whoever reaches the port could start the process copy; "),
        (
            EXEC + ANYONE,
            "5: apps.live.publish.allow: whoever reaches the port could start the command note; ",
        ),
        (
            PUSHED + ANYONE + 'ips = ["192.0.2.0/24", "::/0"]',
            "4: apps.live.publish.allow: whoever reaches the port could publish to ",
        ),
        ('[apps."*".publish]\nallow = "anyone"\n' + PUSHED, "4: apps.live.push: whoever "),
        ('[apps."*".publish]\nallow = "anyone"\n' + RUN, "4: apps.live.run.copy.command: whoever "),
        (PUSHED + '[apps."live/cam".publish]\nallow = "anyone"', "4: apps.live/cam.publish.allow: whoever "),
    ],
)
def test_what_anyone_publishes_goes_no_further_unless_that_is_meant(read, text: str, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(text)
    (told,) = caught.value.problems
    assert problem in told
    assert "publish.open = true" in told
    table = re.findall(r"\[apps\.([^\]]*)\.publish\]", text)[0]
    opened = text.replace(f"[apps.{table}.publish]", f"[apps.{table}.publish]\nopen = true")
    assert read(opened).config.at("live/cam").publish.open


@pytest.mark.parametrize(
    "text",
    [
        ANYONE,
        PUSHED,
        RUN,
        PUSHED + ANYONE.replace("anyone", "local"),
        PUSHED + RUN + EXEC + ANYONE + 'ips = ["192.0.2.0/24"]',
        ANYONE + '[apps.other]\npush = ["rtmp://127.0.0.1/live/x"]\n',
        ANYONE + '[apps.live.push.x]\nurl = "rtmp://127.0.0.1/live/x"\nenabled = false\n',
        PUSHED + '[apps.live.play]\nallow = "anyone"\n',
    ],
)
def test_what_is_no_mistake_beside_it(read, text: str) -> None:
    read(text)
