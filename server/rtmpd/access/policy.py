"""Who may publish and play: first by address, then by proof, then by what is allowed without one."""

from __future__ import annotations

import math
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import replace
from typing import Any, Final, assert_never

from rtmpd.access.keys import MIN_LENGTH, Key, fingerprint
from rtmpd.access.proof import USER, Proof
from rtmpd.access.rules import Allow, RuleBook, Rules, TokenCheck
from rtmpd.access.runtime_keys import RuntimeKeys
from rtmpd.access.signed_urls import is_signed
from rtmpd.engine.key import StreamKey
from rtmpd.engine.origin import Origin
from rtmpd.exceptions import ProofFailed, Refused
from rtmpd.reasons import Refusal
from rtmpd.rtmp.constants import StatusCode
from rtmpd.rtmp.url import parse_query
from rtmpd.serving.access import AccessRequest, Action, Grant

# quirk(obs): shows Rejected to its user and does not connect again.
_CODES: Final = {
    Action.CONNECT: StatusCode.CONNECT_REJECTED,
    Action.PUBLISH: StatusCode.PUBLISH_REJECTED,
    Action.PLAY: StatusCode.PLAY_FAILED,
}
_USER_WANTED: Final = (
    "Who publishes here has a user and a password: in OBS tick Use authentication, for ffmpeg write "
    "rtmp://USER:PASSWORD@ and the server."
)
_SENTENCES: Final[dict[tuple[Refusal, Action], str]] = {
    (Refusal.ADDRESS_REFUSED, Action.PUBLISH): "This stream may not be published from your address.",
    (Refusal.ADDRESS_REFUSED, Action.PLAY): "This stream may not be played from your address.",
    (Refusal.KEY_WRONG, Action.PUBLISH): "This is no key of that stream; copy it again, the whole of it.",
    (
        Refusal.KEY_WRONG,
        Action.PLAY,
    ): "This is no key to watch that stream; copy the address again.",
    (Refusal.KEY_AS_NAME, Action.PLAY): (
        "This is the key to publish with, which nobody else should have; play the stream by its public name."
    ),
    (Refusal.NOT_PROVEN, Action.PUBLISH): (
        "This stream key is not known here; copy it again, the whole of it, from whoever gave it to you."
    ),
    (Refusal.NOT_PROVEN, Action.PLAY): (
        "This stream wants a key or a link: open the whole address, with all that stands behind the ?, as "
        "whoever runs it has given it to you."
    ),
    (Refusal.NOT_LOCAL, Action.PUBLISH): (
        "Nobody may publish here from the Internet without a key: run `rtmpd key new` on the server, put its "
        "lines into the configuration, and the key into your encoder."
    ),
    (Refusal.NOT_LOCAL, Action.PLAY): "This stream may only be played in the network of the server.",
    (Refusal.NOBODY, Action.PUBLISH): "Nobody may publish here.",
    (Refusal.NOBODY, Action.PLAY): "Nobody may play this stream.",
}


class AccessPolicy:
    """Decides by the rules of the path: at once, but for who shows a token, whose key may have to come."""

    def __init__(
        self,
        book: RuleBook,
        wall_clock: Callable[[], float],
        secret: bytes,
        runtime: RuntimeKeys | None = None,
    ) -> None:
        """``secret`` is random: see ``keys.fingerprint``. ``wall_clock()`` is seconds since 1970."""
        self._book = book
        self._runtime = RuntimeKeys(wall_clock) if runtime is None else runtime
        self._wall_clock = wall_clock
        self._secret = secret

    def apply(self, book: RuleBook) -> None:
        """Decide by other rules from now on; what was granted stays granted."""
        self._book = book

    def authorize(self, request: AccessRequest) -> Grant | Coroutine[Any, Any, Grant]:
        """Grant a connect but to encoders that have to be users, a publish or play by the rules of the
        stream. Raises ``Refused``."""
        match request.action:
            case Action.CONNECT:
                return self._connect(request)
            case Action.PUBLISH:
                return self._decide(request, self._book.at(str(request.key)).publish, self._publish)
            case Action.PLAY:
                return self._decide(request, self._book.at(str(request.key)).play, self._play)
            case _:
                assert_never(request.action)

    def check_led(self, request: AccessRequest, key: StreamKey) -> None:
        """Raise ``Refused`` if somebody who is led to ``key`` may not be there, whoever vouches for them."""
        rules = self._rules(request.action, str(key))
        _check_address(rules, request)
        _check_open(rules, request)

    def withdrawn(self, action: Action, key: StreamKey, origin: Origin) -> Refusal | None:
        """Why somebody who publishes or plays would not be let in now; None if nothing speaks against it.

        Whether a password, a secret or an issuer is another than then cannot be told.
        """
        if self._runtime.has_revoked(origin.identity):
            return Refusal.KEY_REVOKED
        rules = self._rules(action, str(key))
        if not rules.admits_address(origin.address):
            return Refusal.ADDRESS_REFUSED
        if rules.allow is Allow.NOBODY:
            return Refusal.NOBODY
        missing = _missing(rules, origin.address)
        if missing and self._runtime.vouches_for(action, key, origin.identity):
            return None
        # A key may be of an app above, which names a stream of this one.
        above = (self._rules(action, path) for path in _paths_above(str(key)))
        return missing if missing and not any(each.vouches_for(origin.identity) for each in above) else None

    def hidden(self, text: str) -> str:
        """Six digits by which ``text`` is known again."""
        return f"~{fingerprint(self._secret, text)}"

    def as_public(self, action: Action, key: StreamKey) -> StreamKey:
        """What may be shown of ``key``, which was not granted: a secret may stand in its name or app.

        Where there are keys each name to publish becomes six digits by which the same text is known again.
        So does, where anything is opened by what a client shows, every name and every app without settings
        that is long enough to hold it, in whatever spelling.
        """
        app, name = key.app, key.name
        long_ones = self._book.takes_secrets or self._runtime.were_there
        if long_ones and len(app) >= MIN_LENGTH and app not in self._book.tables:
            app = self.hidden(app)
        meant = action is not Action.PLAY and self._book.at(str(key)).publish.takes_keys
        if name and (meant or (long_ones and len(name) >= MIN_LENGTH)):
            name = self.hidden(_last_level(name))
        return StreamKey(app, name)

    # Inside

    def _rules(self, action: Action, path: str) -> Rules:
        both = self._book.at(path)
        return both.publish if action is Action.PUBLISH else both.play

    def _connect(self, request: AccessRequest) -> Grant:
        rules, address = self._book.at(str(request.key)).publish, request.origin.address
        if rules.users is None:
            return Grant(request.key)
        from rtmpd.access.users import Question, means_to_publish, presents_user

        asked = means_to_publish(request.connect) and rules.wants_proof(address)
        # Whom the address keeps out is told so when it publishes.
        if not rules.admits_address(address) or not (asked or presents_user(request.query)):
            return Grant(request.key)
        try:
            answer = rules.users.answer(request.query, self._wall_clock())
        except ProofFailed as failure:
            raise _failed(failure, request) from None
        if isinstance(answer, Question):
            raise Refused(StatusCode.CONNECT_REJECTED, answer.description, Refusal.USER_ASKED)
        return Grant(request.key, account=answer)

    def _decide(
        self, request: AccessRequest, rules: Rules, decide: Callable[[AccessRequest, Proof | None], Grant]
    ) -> Grant | Coroutine[Any, Any, Grant]:
        """By ``decide``, and before by the issuer of a token that is shown, if it counts here."""
        tokens = rules.tokens
        token = parse_query(request.query).get("jwt") if tokens is not None and request.query else None
        if tokens is None or token is None:
            return decide(request, None)
        _check_address(rules, request)
        return self._verified(request, tokens, token, decide)

    async def _verified(
        self,
        request: AccessRequest,
        tokens: TokenCheck,
        token: str,
        decide: Callable[[AccessRequest, Proof | None], Grant],
    ) -> Grant:
        try:
            proof = await tokens.verify(token, request.action, request.key, self._wall_clock())
        except ProofFailed as failure:
            raise _failed(failure, request) from None
        return decide(request, proof)

    def _publish(self, request: AccessRequest, token: Proof | None) -> Grant:
        asked = request.key
        rules = self._book.at(str(asked)).publish
        _check_address(rules, request)
        link = self._check_link(rules, request)
        proof = token or link or _user(rules, request)
        key = self._prove(rules, request) if self._takes_keys(rules, request.action) else None
        if key is None:
            return self._granted(asked, rules, request, proof)
        # Neither slashes nor dots can be wrong with it: it is checked when it is read.
        granted = StreamKey.of_path(f"{asked.app}/{key.name}", self._book.tables)
        there = self._book.at(str(granted)).publish
        _check_address(there, request)
        grant = self._granted(granted, there, request, key.proof)
        return replace(grant, backup=True) if key.backup else grant

    def _play(self, request: AccessRequest, token: Proof | None) -> Grant:
        both = self._book.at(str(request.key))
        rules, publish = both.play, both.publish
        _check_address(rules, request)
        if self._knows(publish, request.key):
            raise _refused(Refusal.KEY_AS_NAME, request)
        link = self._check_link(rules, request)
        proof = token or link
        key = self._present(rules, request) if self._takes_keys(rules, request.action) else None
        return self._granted(request.key, rules, request, proof if key is None else key.proof)

    def _granted(self, key: StreamKey, rules: Rules, request: AccessRequest, proof: Proof | None) -> Grant:
        """The grant, if that is enough. Raises ``Refused``."""
        if proof is None:
            _check_allowed(rules, request)
            return Grant(key)
        _check_open(rules, request)
        left = proof.until - self._wall_clock() if rules.end_with_proof else math.inf
        return Grant(key, account=proof.account, identity=proof.identity, valid_for=left)

    def _check_link(self, rules: Rules, request: AccessRequest) -> Proof | None:
        """What a link proves; None if there is none. Raises ``Refused`` for a wrong one."""
        fields = parse_query(request.query) if rules.links is not None and request.query else {}
        if rules.links is None or not is_signed(fields):
            return None
        address, now = request.origin.address, self._wall_clock()
        try:
            return Proof(until=rules.links.verify(fields, request.action, request.key, address, now))
        except ProofFailed as failure:
            raise _failed(failure, request) from None

    def _prove(self, rules: Rules, request: AccessRequest) -> Key | None:
        """The key in the query, else the one in place of the stream's name; None if there is none."""
        return self._present(rules, request) or self._find(rules, _last_level(request.key.name), request)

    def _present(self, rules: Rules, request: AccessRequest) -> Key | None:
        """The key in the query; None if there is none. Raises ``Refused`` for a wrong one."""
        text = parse_query(request.query).get("key") if request.query else None
        if text is None:
            return None
        key = self._find(rules, text, request)
        if key is None or key.name != request.key.name:
            raise _refused(Refusal.KEY_WRONG, request)
        return key

    def _takes_keys(self, rules: Rules, action: Action) -> bool:
        return rules.takes_keys or (bool(self._runtime) and self._runtime.takes(action))

    def _find(self, rules: Rules, text: str, request: AccessRequest) -> Key | None:
        try:
            found = self._runtime.find(request.action, request.key.app, text) if self._runtime else None
            return found or rules.find(text, self._wall_clock())
        except ProofFailed as failure:
            raise _failed(failure, request) from None

    def _knows(self, publish: Rules, asked: StreamKey) -> bool:
        """Whether the name of a play is a key to publish with, or was one."""
        were_added = bool(self._runtime)
        if not (were_added or publish.takes_keys):
            return False
        text = _last_level(asked.name)
        if were_added and self._runtime.knows(asked.app, text):
            return True
        return publish.takes_keys and publish.knows(text, self._wall_clock())


def _check_address(rules: Rules, request: AccessRequest) -> None:
    if not rules.admits_address(request.origin.address):
        raise _refused(Refusal.ADDRESS_REFUSED, request)


def _check_open(rules: Rules, request: AccessRequest) -> None:
    """Whether anybody may at all, with whatever proof."""
    if rules.allow is Allow.NOBODY:
        raise _refused(Refusal.NOBODY, request)


def _check_allowed(rules: Rules, request: AccessRequest) -> None:
    """Whether the client may without a proof."""
    _check_open(rules, request)
    missing = _missing(rules, request.origin.address)
    if missing is None:
        return
    if rules.users is not None:
        raise Refused(_CODES[request.action], _USER_WANTED, missing)
    raise _refused(missing, request)


def _missing(rules: Rules, address: str) -> Refusal | None:
    """What somebody lacks who comes from there with no proof; None if that is nothing."""
    if not rules.wants_proof(address):
        return None
    # Where there is something to prove it by, that is what is missing.
    is_proof_known = rules.takes_proofs or rules.allow is Allow.PROVEN
    return Refusal.NOT_PROVEN if is_proof_known else Refusal.NOT_LOCAL


def _user(rules: Rules, request: AccessRequest) -> Proof | None:
    """The user whom the connect has proven, who may publish this, too; None if there is none."""
    account = request.origin.account
    if rules.users is None or not rules.users.has(account, request.connect.app_query):
        return None
    return Proof(account, USER + account)


def _failed(failure: ProofFailed, request: AccessRequest) -> Refused:
    return Refused(_CODES[request.action], failure.description, failure.reason)


def _refused(reason: Refusal, request: AccessRequest) -> Refused:
    return Refused(_CODES[request.action], _SENTENCES[reason, request.action], reason)


def _paths_above(path: str) -> Iterator[str]:
    """``path`` and, level by level, what it lies in."""
    while path:
        yield path
        path = path.rpartition("/")[0]


def _last_level(name: str) -> str:
    return name.rpartition("/")[2]
