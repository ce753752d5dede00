"""Ladders for OBS, by what the settings say: ``http.obs.Desk``."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Final

from rtmpd.access.obs_tokens import ObsTokens
from rtmpd.daemon.config import Config
from rtmpd.daemon.ladder_config import ObsConfig
from rtmpd.daemon.ladders import plan_for, written_override
from rtmpd.engine.key import StreamKey
from rtmpd.exceptions import Refused
from rtmpd.http.obs import Caller
from rtmpd.multitrack.answer import Ingest, configuration, refusal
from rtmpd.multitrack.question import Question, read_question
from rtmpd.multitrack.words import ConfigOutcome
from rtmpd.net.addresses import Address

logger = logging.getLogger(__name__)

_DEFAULT_PORTS: Final = {"rtmp": 1935, "rtmps": 443}


class ObsDesk:
    """Answers whoever asks how to encode. ``bound(protocol)`` is where that is served."""

    def __init__(
        self,
        config: Callable[[], Config],
        tokens: ObsTokens,
        bound: Callable[[str], list[Address]],
        counts: Counter[str],
    ) -> None:
        """``counts`` is by ``ConfigOutcome``."""
        self._config = config
        self._tokens = tokens
        self._bound = bound
        self._counts = counts

    def read(self, body: bytes) -> Question:
        """Raises ValueError with a sentence."""
        return read_question(body)

    def configure(self, question: Question, key: StreamKey, caller: Caller) -> bytes:
        """What to encode, and where to send it; or why there is nothing to encode."""
        app = self._config().at(str(key))
        if not app.ladder:
            text = f"Nothing is set up here for Multitrack Video of {caller.app}: switch it off in OBS."
            return self._decline(ConfigOutcome.NO_LADDER, text, question, key, caller)
        try:
            plan = plan_for(app.obs, app.ladder, question, caller.fields)
        except ValueError as error:
            return self._decline(ConfigOutcome.UNREADABLE, str(error), question, key, caller)
        if not plan.videos:
            text = "The maximum bitrate that is set in OBS is less than the smallest quality needs: raise it."
            return self._decline(ConfigOutcome.UNFIT, text, question, key, caller)
        config_id, ingests = self._places(app.obs, question, caller)
        self._counts[ConfigOutcome.CONFIGURED] += 1
        fields = _fields(caller, key) | {
            "version": question.version,
            "encoders": plan.family,
            "tracks": len(plan.videos),
            "kbps": plan.kbps,
            "server": ingests[0].url if ingests else None,
        }
        logger.info("obs configured", extra={"fields": fields})
        return configuration(plan, ingests, config_id, question.schema)

    def refuse(self, question: Question, why: Refused) -> bytes:
        """Told in OBS's dialog; in the log it stands by the stream that was asked for."""
        self._counts[ConfigOutcome.REFUSED] += 1
        return refusal(why.description, question.schema)

    def turn_away(self, caller: Caller, why: Refused | str) -> bytes:
        """The same of what could not be asked."""
        if isinstance(why, Refused):
            self._tell_declined(caller, None, ConfigOutcome.REFUSED, why.description)
            return refusal(why.description)
        self._tell_declined(caller, None, ConfigOutcome.UNREADABLE, why)
        return refusal(f"{why[:1].upper()}{why[1:].removesuffix('.')}.")

    def override(self, app: str, fields: Mapping[str, str]) -> str:
        """What is pasted into OBS in place of all this. Raises ValueError with a sentence."""
        return written_override(self._config(), app, fields)

    # Inside

    def _decline(
        self, outcome: ConfigOutcome, text: str, question: Question, key: StreamKey, caller: Caller
    ) -> bytes:
        # A name as it was typed may be the key of another app, which the URL does not name.
        named = None if key.name == question.key.partition("?")[0] else key
        self._tell_declined(caller, named, outcome, text)
        return refusal(text, question.schema)

    def _tell_declined(
        self, caller: Caller, key: StreamKey | None, outcome: ConfigOutcome, text: str
    ) -> None:
        self._counts[outcome] += 1
        fields = _fields(caller, key) | {"reason": outcome, "told": text}
        logger.warning("obs not configured", extra={"fields": fields})

    def _places(self, obs: ObsConfig, question: Question, caller: Caller) -> tuple[str, list[Ingest]]:
        """The id of the configuration, empty for none, and where OBS may publish: the best first."""
        if not obs.tokens:
            return "", [Ingest(url) for url in self._urls(obs, caller)]
        app, typed = caller.app, question.key
        if obs.next_server and self._tokens.was_turned_away(app, typed):
            # There the key opens the stream, and no token of ours does.
            return "", [Ingest(obs.next_server)]
        token = self._tokens.issue(app, typed)
        if token is None:
            return "", [Ingest(url) for url in self._urls(obs, caller)]
        return token.config_id, [Ingest(url, token.text) for url in self._urls(obs, caller)]

    def _urls(self, obs: ObsConfig, caller: Caller) -> list[str]:
        if obs.server:
            return [obs.server]
        found = []
        for scheme in ("rtmps", "rtmp") if caller.is_secure else ("rtmp", "rtmps"):
            address = next((each for each in self._bound(scheme) if not each.path), None)
            if address is not None and caller.host:
                host = f"[{caller.host}]" if ":" in caller.host else caller.host
                port = "" if address.port == _DEFAULT_PORTS[scheme] else f":{address.port}"
                found.append(f"{scheme}://{host}{port}/{caller.app}")
        return found


def _fields(caller: Caller, key: StreamKey | None) -> dict[str, object]:
    return {
        "client": caller.origin.shown,
        "connection": caller.origin.connection,
        "app": caller.app if key is None else key.app,
        "stream": None if key is None else key.name,
    }
