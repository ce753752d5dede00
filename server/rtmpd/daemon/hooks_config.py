"""A backend that has a say in who publishes and plays: ``[apps.NAME.hooks]``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from rtmpd.daemon.fields import LIST_OR_TEXT, FileName, Positive, Seconds, Section, Shown, Timeout
from rtmpd.daemon.values import KeyPath, parse_list
from rtmpd.exceptions import UsageError
from rtmpd.hooks.rules import DialectName, HookRules, Moment, OnError
from rtmpd.net.http_message import check_http_url, shown_url

LONGEST_TIMEOUT: Final = 60.0
"""Seconds that a client may be left waiting for its answer."""
_RULES: Final = HookRules()
_MAX_URLS: Final = 4


def _check_url(text: str) -> str:
    try:
        return check_http_url(text)
    except UsageError as error:
        raise ValueError(f"{error}; write it as http://host:port/path") from None


def _hide(urls: object) -> object:
    return tuple(shown_url(url) for url in urls) if isinstance(urls, tuple) else urls


HookUrls = Annotated[
    tuple[Annotated[str, AfterValidator(_check_url)], ...],
    BeforeValidator(parse_list),
    Field(max_length=_MAX_URLS),
    Shown(_hide),
    LIST_OR_TEXT,
]
ClientTimeout = Annotated[Timeout, Field(le=LONGEST_TIMEOUT)]


class HooksConfig(Section):
    """A backend that is asked over HTTP who may publish and play, behind what publish and play say, and told
    what has ended. One that was written for nginx-rtmp, SRS or MediaMTX works as it is: docs/hooks.md. Each
    on_ key is the URL that is called then, or several, which all have to allow; each may be a secret and come
    from a file, as in on_publish_file."""

    dialect: Literal["native", "nginx-rtmp", "srs", "mediamtx"] = "native"
    """What is sent, and what answers mean."""
    on_connect: HookUrls = ()
    """Asked when a client connects."""
    on_publish: HookUrls = ()
    """Asked before an encoder is let in."""
    on_play: HookUrls = ()
    """Asked before a player is let in."""
    on_update: HookUrls = ()
    """Asked every update_interval for each that publishes or plays; a no ends it. native and nginx-rtmp."""
    on_publish_done: HookUrls = ()
    """Told when a publish is over; on_unpublish of SRS."""
    on_play_done: HookUrls = ()
    """Told when a play is over; on_stop of SRS."""
    on_done: HookUrls = ()
    """Told when either is over. native and nginx-rtmp."""
    on_disconnect: HookUrls = ()
    """Told when a connection is over; on_close of SRS."""
    on_record_done: HookUrls = ()
    """Told when a file of a recording is whole; on_dvr of SRS. native, nginx-rtmp and srs."""
    on_forward: HookUrls = ()
    """Asked where a stream is to be pushed, once it is published. srs."""
    decides: bool = _RULES.decides
    """Whether a yes of the backend is as good as a proof. Otherwise it is asked only about clients whom
    publish and play let in."""
    on_error: Literal["deny", "allow", "cached"] = "deny"
    """What holds when the backend gives no answer. cached: its last one to the same question, and deny if
    there is none. An on_update without an answer ends nothing."""
    timeout: ClientTimeout = _RULES.timeout
    """How long one question may take, at most 60s."""
    ttl: Seconds = _RULES.ttl
    """For how long an answer holds for the same question, unless a native one says so itself. The same is
    who says the same of itself, from the same address."""
    update_interval: Annotated[Timeout, Field(ge=1)] = _RULES.update_interval
    """How often on_update is asked."""
    max_failures: Positive = _RULES.max_failures
    """After so many questions in a row without an answer the backend is left alone: nobody waits for it."""
    retry_after: Timeout = _RULES.retry_after
    """How long it is left alone, until one question is tried again."""
    method: Literal["post", "get"] = "post"
    """Of nginx-rtmp: get puts the fields into the URL."""
    ca_file: FileName = ""
    """File with the authorities (PEM) that vouch for https:// backends; empty means those of the system."""

    def to_rules(self) -> HookRules:
        """Whom to ask what."""
        urls = {moment: urls for moment in Moment if (urls := getattr(self, moment))}
        return HookRules(
            dialect=DialectName(self.dialect),
            urls=urls,
            get=self.method == "get",
            decides=self.decides,
            on_error=OnError(self.on_error),
            timeout=self.timeout,
            ttl=self.ttl,
            update_interval=self.update_interval,
            ca_file=self.ca_file,
            max_failures=self.max_failures,
            retry_after=self.retry_after,
        )

    def find_problems(
        self, outcome: HooksConfig, below: Sequence[HooksConfig]
    ) -> Iterator[tuple[KeyPath, str]]:
        """Keys of this table and what is wrong with them; ``outcome`` is it with what shorter ones say, and
        ``below`` what it becomes in longer ones."""
        if not self.model_fields_set:
            return
        from rtmpd.hooks.dialects import MOMENTS

        dialect = DialectName(outcome.dialect)
        for moment in Moment:
            if getattr(self, moment) and moment not in MOMENTS[dialect]:
                yield (
                    (moment,),
                    f" means nothing to {dialect}: take it out, or name another dialect",
                )
        if self.method == "get" and not any(each.dialect == "nginx-rtmp" for each in below):
            yield ("method",), ' is for dialect = "nginx-rtmp" alone: take it out'
        # A yes to a connect lets nobody publish or play.
        if self.decides and not any(each.on_publish or each.on_play for each in below):
            yield ("decides",), " = true, and there is nobody to ask: name on_publish or on_play"
