"""The settings of one app: ``[apps.NAME]``."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from dataclasses import replace
from typing import Annotated, Final

from pydantic import Field

from rtmpd.daemon.access_config import PlayAccess, PublishAccess
from rtmpd.daemon.fields import Effect, FileName, Seconds, Section, Timeout, overlay
from rtmpd.daemon.handover_config import HandoverConfig
from rtmpd.daemon.hls_config import HlsConfig
from rtmpd.daemon.hook_config import EXEC, HookConfig
from rtmpd.daemon.hook_config import find_problem as find_hook_problem
from rtmpd.daemon.hooks_config import HooksConfig
from rtmpd.daemon.ladder_config import LadderList, ObsConfig
from rtmpd.daemon.limits_config import SilenceConfig
from rtmpd.daemon.mp4_config import Mp4Config
from rtmpd.daemon.page_config import PageConfig
from rtmpd.daemon.push_config import ANY, Names, PushConfig, PushList, RelayUrls, find_problem, listed
from rtmpd.daemon.record_config import RECORD, RecordConfig
from rtmpd.daemon.ring_config import Delay, RingConfig
from rtmpd.daemon.run_config import RUN, ProcessConfig
from rtmpd.daemon.run_config import find_problem as find_process_problem
from rtmpd.daemon.slate_config import SHOWN_FOR, slate_rules
from rtmpd.daemon.stream_config import GopConfig, HeadersConfig, PlayConfig, SharingConfig
from rtmpd.daemon.values import KeyPath
from rtmpd.daemon.vod_config import VodConfig
from rtmpd.engine.key import StreamKey
from rtmpd.engine.slate import SlateRules
from rtmpd.events.hook_rules import HookRule
from rtmpd.processes.rules import RunRule
from rtmpd.relay.pull.rule import PullRule
from rtmpd.relay.template import RelayTemplate
from rtmpd.rtmp.limits import Limits
from rtmpd.rtmp.url import validate_name

APPS: Final = "apps"
"""The table whose keys are names that people choose: ``apps.NAME`` is an ``AppConfig``."""
PUSH: Final = "push"
"""The table of an app whose keys people choose: ``apps.NAME.push.TARGET`` is a ``PushConfig``."""
_RULE: Final = PullRule()
_ORDERED: Final = (
    ("player", "resume_backlog_bytes", "max_backlog_bytes"),
    ("headers", "max_header_bytes", "max_total_bytes"),
    ("hls", "part", "segment"),
)
"""Sections with keys of which the first may not be more than the second."""


class PullConfig(Section):
    """Where the streams of the app come from when no encoder publishes them here."""

    origins: RelayUrls = Field(default=(), alias="from")
    """Servers to fetch a stream from, asked in this order. {app} and {name} stand for those of the stream
    asked for here. from_file names a file with the same instead, one URL a line."""
    on_demand: bool = _RULE.on_demand
    """Fetch a stream when its first player comes. Otherwise the streams in names are fetched always."""
    names: Names = (ANY,)
    """Streams that may be fetched; "*" is any name that a player asks for. In the table of one stream, as
    [apps."live/cam".pull], the name is its own: ["cam"]."""
    linger: Seconds = _RULE.linger
    """How long a stream fetched on demand stays after its last player has left."""
    timeout: Timeout = _RULE.timeout
    """How long players wait for a stream fetched on demand before they are told that it does not exist. Each
    origin has an equal share of it to begin; one that is silent for this long later is left."""

    @property
    def always(self) -> bool:
        """Streams are fetched whether somebody watches or not."""
        return bool(self.origins) and not self.on_demand

    @property
    def names_streams(self) -> bool:
        """This very table says which streams, or when; of what it takes from others those say it."""
        return not self.model_fields_set.isdisjoint({"on_demand", "names"})

    def streams(self, table: str, tables: Container[str]) -> tuple[StreamKey, ...]:
        """Those in ``names`` of a table: the very stream that it is called as, or those below it.

        ``tables`` are the names of all.
        """
        own = StreamKey.of_path(table, tables)
        if own.name in self.names:
            return (own,)
        return tuple(StreamKey(table, name) for name in sorted(self.names))

    def find_mixture(self, table: str, tables: Container[str]) -> str | None:
        """What is wrong with ``names``, where it could mean the one or the other."""
        own = StreamKey.of_path(table, tables)
        if own.name in self.names and len(self.names) > 1:
            return f" has the stream {own} itself, and others: write a table for each"
        for name in self.names:
            if name != own.name and own.endswith(f"/{name}"):
                return f" has {name}: the stream {own} is {own.name} here, as its app is {own.app}"
        return None

    @property
    def templates(self) -> tuple[RelayTemplate, ...]:
        """Where they fetch them."""
        return tuple(map(RelayTemplate.parse, self.origins))

    @property
    def rule(self) -> PullRule | None:
        """How the relays fetch streams; None when nothing is fetched."""
        if not self.origins:
            return None
        return PullRule(
            on_demand=self.on_demand,
            names=None if ANY in self.names else frozenset(self.names),
            linger=self.linger,
            timeout=self.timeout,
        )


class AppConfig(Section):
    """One app, the part of an address before the stream name, or one stream: [apps."live/church-7"]. In place
    of NAME, "*" is every app. Of all tables that a stream's path begins with, the longest wins, key by key:
    a key that it does not have comes from the next shorter one, and at last from "*". A name with dots or
    slashes is put in quotation marks. A variable of the environment reads the name in lower case:
    RTMPD_APPS__LIVE__PUSH is for the app live.

    What stands in no table of an app is the server's alone. It holds before a client has said which stream it
    wants (rtmp and rtmps: addresses, certificates, what a connection and an address may cost), bounds all
    together (memory, stream.max_streams, stream.max_waiting_names, player.max_players), or is of no stream
    (admin, metrics, log, relay, shutdown)."""

    push: PushList = ()
    """The short form of tables [apps.NAME.push.TARGET], in place of them and of those of shorter paths."""
    targets: dict[str, PushConfig] = Field(default_factory=dict)
    """What those tables say."""
    pull: PullConfig = PullConfig()
    stream: SharingConfig = SharingConfig()
    headers: HeadersConfig = HeadersConfig()
    gop: GopConfig = GopConfig()
    limits: SilenceConfig = SilenceConfig()
    player: PlayConfig = PlayConfig()
    publish: PublishAccess = PublishAccess()
    handover: HandoverConfig = HandoverConfig()
    hooks: HooksConfig = HooksConfig()
    play: PlayAccess = PlayAccess()
    record: RecordConfig = RecordConfig()
    vod: VodConfig = VodConfig()
    ring: RingConfig = RingConfig()
    hls: HlsConfig = HlsConfig()
    page: PageConfig = PageConfig()
    mp4: Mp4Config = Mp4Config()
    delay: Annotated[Delay, Effect.PLAYS] = 0.0
    """How much later streams are shown than they come, to players and push targets; 0 is at once, else a
    second at least. What waits is kept within [spool]. Recordings, clips and pictures are not delayed."""
    slate: FileName = ""
    """FLV file that is shown, again and again, once an encoder has sent nothing for handover.stall, or is
    lost, until it is back. `rtmpd slate make` makes one of a picture. Empty shows none."""
    still: bool = False
    """Without a slate hold the last key frame instead, with silence (AAC-LC and Opus, mono or stereo)."""
    slate_for: Timeout = SHOWN_FOR
    """How long either is shown, and whoever plays the stream kept for its encoder, if that is longer than
    handover.grace."""
    ladder: LadderList = ()
    """Qualities that OBS is told to encode and send together (docs/obs.md), as tables [[apps.NAME.ladder]]
    with height and kbps, and with fps (else the canvas's) and codec ("h264", "hevc", "av1") where they
    matter. The first is the default track. Empty: OBS sends what it is set to."""
    obs: ObsConfig = ObsConfig()
    run: dict[str, ProcessConfig] = Field(default_factory=dict)
    """Processes of its streams, by their names."""
    exec: dict[str, HookConfig] = Field(default_factory=dict)
    """Commands for events of its streams, by their names."""

    def under(self, longer: AppConfig) -> AppConfig:
        """This table with what that of a longer path says, key by key; its list of push targets is of all."""
        kept = self.model_copy(update={"targets": {}}) if PUSH in longer.model_fields_set else self
        return overlay(kept, longer)

    @property
    def delays(self) -> frozenset[float]:
        """By how many seconds players and push targets are behind, those that are at all."""
        targets = [each.delay for each in self.push_targets.values() if "delay" in each.model_fields_set]
        return frozenset([self.delay, *targets]) - {0.0}

    @property
    def push_targets(self) -> dict[str, PushConfig]:
        """All targets by their names."""
        targets = dict(listed(self.push))
        for name, target in self.targets.items():
            targets[name] = overlay(targets[name], target) if name in targets else target
        return targets

    @property
    def shown(self) -> SlateRules | None:
        """What is shown while an encoder sends nothing."""
        return slate_rules(self.slate, self.still, self.slate_for)

    @property
    def pull_rule(self) -> PullRule | None:
        """How the relays fetch streams; None when nothing is fetched."""
        rule = self.pull.rule
        if rule is None:
            return None
        slate = self.shown
        return replace(rule, grace=max(self.handover.grace, 0.0 if slate is None else slate.seconds))

    def pushes(self, stream: str) -> dict[str, RelayTemplate]:
        """Where one of the app's streams is pushed, by the name of the target."""
        return {
            name: target.to_template()
            for name, target in self.push_targets.items()
            if target.enabled and target.url and (ANY in target.streams or stream in target.streams)
        }

    def processes(self, stream: str) -> dict[str, RunRule]:
        """Those of one of the app's streams, by their names."""
        return {name: process.to_rule() for name, process in self.run.items() if process.is_for(stream)}

    def commands(self, stream: str) -> dict[str, HookRule]:
        """What is run for events of one of the app's streams, by their names."""
        return {name: hook.to_rule() for name, hook in self.exec.items() if hook.is_for(stream)}

    def find_problems(
        self, name: str, outcome: AppConfig, below: Sequence[AppConfig]
    ) -> Iterator[tuple[KeyPath, str]]:
        """Keys of the table ``name`` and what is wrong with them.

        ``outcome`` is the table with what shorter ones say besides, ``below`` what it becomes in longer ones.
        """
        if name != ANY and validate_name(name, Limits().max_app_bytes) is not None:
            yield (PUSH,), " is for an app that cannot exist: write the name as in rtmp://host/NAME/stream"
        yield from self._find_push_problems(outcome, below)
        yield from self._find_run_problems(outcome, below)
        yield from self._find_hook_problems(outcome, below)
        yield from self._find_open_problems(outcome)
        for section in ("publish", "play"):
            for key, text in getattr(self, section).find_problems(getattr(outcome, section)):
                yield (section, *key), text
        for key, text in self.hooks.find_problems(outcome.hooks, [app.hooks for app in below]):
            yield ("hooks", *key), text
        said = self.pull.model_fields_set
        if said and "origins" not in said and not any(app.pull.origins for app in below):
            yield ("pull", "from"), " is missing: name the server that the streams come from"
        if self.ring.rewind and not outcome.ring.seconds and not any(app.ring.seconds for app in below):
            yield ("ring", "rewind"), " has nothing to go back to: say with seconds how much is kept"
        for key, text in self.record.find_problems(outcome.record):
            yield (RECORD, *key), text
        for key, text in self.obs.find_problems(outcome.obs):
            yield ("obs", *key), text
        for key, text in self.page.find_problems():
            yield ("page", *key), text
        nameless = name == ANY or not outcome.pull.names or ANY in outcome.pull.names
        if self.pull.names_streams and outcome.pull.always and nameless:
            what = " = false fetches streams always: name the app, and the streams in names"
            yield ("pull", "on_demand"), what
        for section, low, high in _ORDERED:
            least, most = (getattr(getattr(outcome, section), key) for key in (low, high))
            if least > most and getattr(self, section).model_fields_set & {low, high}:
                what = (
                    f" = {least:.15g} is more than {high} = {most:.15g}: lower the first or raise the second"
                )
                yield (section, low), what

    def _find_push_problems(
        self, outcome: AppConfig, below: Sequence[AppConfig]
    ) -> Iterator[tuple[KeyPath, str]]:
        for name in self.targets:
            key = (PUSH, name, "url")
            target = outcome.push_targets[name]
            held = (app.push_targets.get(name) for app in below)
            if not any(each and each.url for each in held):
                yield key, " is missing: name the server that is pushed to"
            elif target.url and (problem := find_problem(name, target)):
                yield key, problem

    def _find_run_problems(
        self, outcome: AppConfig, below: Sequence[AppConfig]
    ) -> Iterator[tuple[KeyPath, str]]:
        for name in self.run:
            key = (RUN, name, "command")
            process = outcome.run[name]
            if not any(name in app.run and app.run[name].command for app in below):
                yield key, " is missing: name the program and its arguments"
            elif process.command and (problem := find_process_problem(name, process)):
                yield key, problem

    def _find_hook_problems(
        self, outcome: AppConfig, below: Sequence[AppConfig]
    ) -> Iterator[tuple[KeyPath, str]]:
        for name in self.exec:
            hook = outcome.exec[name]
            said = [app.exec[name] for app in below if name in app.exec]
            if not any(each.command for each in said):
                yield (EXEC, name, "command"), " is missing: name the program and its arguments"
            elif not any(each.on for each in said):
                yield (EXEC, name, "on"), ' is missing: name the events, as in on = ["published"]'
            elif hook.command and (problem := find_hook_problem(name, hook)):
                yield (EXEC, name, "command"), problem

    def _find_open_problems(self, outcome: AppConfig) -> Iterator[tuple[KeyPath, str]]:
        """What strangers would publish to other servers, or set going here, without anybody meaning it."""
        publish = outcome.publish
        networks, _ = publish.networks()
        if (
            publish.allow != "anyone"
            or publish.open
            or (networks and all(each.prefixlen for each in networks))
        ):
            return
        advice = "take publish.allow back, or write publish.open = true if that is meant"
        pushed = [name for name, target in outcome.push_targets.items() if target.enabled and target.url]
        run = [name for name, process in outcome.run.items() if process.command]
        if pushed and (PUSH in self.model_fields_set or self.targets or self.publish.allow == "anyone"):
            key = (PUSH, pushed[0], "url") if pushed[0] in self.targets else (PUSH,)
            yield self._culprit(key), f": whoever reaches the port could publish to {pushed[0]}; {advice}"
        if run and (self.run or self.publish.allow == "anyone"):
            what = f": whoever reaches the port could start the process {run[0]}; {advice}"
            yield self._culprit((RUN, run[0], "command")), what
        hooks = [name for name, hook in outcome.exec.items() if hook.command]
        if hooks and (self.exec or self.publish.allow == "anyone"):
            what = f": whoever reaches the port could start the command {hooks[0]}; {advice}"
            yield self._culprit((EXEC, hooks[0], "command")), what

    def _culprit(self, other: KeyPath) -> KeyPath:
        """The key that lets anyone in, if this table has it."""
        return ("publish", "allow") if self.publish.allow == "anyone" else other
