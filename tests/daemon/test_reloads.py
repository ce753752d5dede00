"""Reading the settings again: when, what of it is told, and who has to go."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from net_kit import eventually
from rtmpd_process import RtmpdProcess, rtmpd
from typer.testing import CliRunner

import rtmpd as library
from rtmpd.access.keys import digest_of, spell_digest
from rtmpd.control.audit import Audit
from rtmpd.daemon import cli, reload
from rtmpd.daemon.changes import Changes
from rtmpd.daemon.config import Config
from rtmpd.daemon.fields import Effect
from rtmpd.daemon.notify import Notifier
from rtmpd.daemon.reload import Reloads
from rtmpd.daemon.settings import Settings, load
from rtmpd.engine.origin import Origin
from rtmpd.events.model import Fact
from rtmpd.exceptions import ConfigError, StreamFailed

KEY, OTHER = "m3kq8vwz5tnx2cfhj7yb9dgr4as6pue2x", "x2eup6sa4rgd9by7jhfc2xnt5zwv8qk3m"


@dataclass
class Server:
    """Stands in for one that follows settings."""

    applied: list[Config] = field(default_factory=list)
    problem: str = ""
    forever: bool = False
    audited: list[tuple[Origin, Mapping[str, Fact]]] = field(default_factory=list)

    @property
    def audit(self) -> Audit:
        return Audit(lambda by, _key, facts: self.audited.append((by, facts)))

    async def apply(self, config: Config) -> Changes:
        if self.forever:
            await asyncio.Event().wait()
        if self.problem:
            raise ConfigError([self.problem])
        self.applied.append(config)
        return {Effect.AT_ONCE: ["log.level"]}

    @property
    def levels(self) -> list[str]:
        return [config.log.level for config in self.applied]


@asynccontextmanager
async def watching(files: list[Path], server: Server) -> AsyncIterator[Reloads]:
    def read() -> Settings:
        return load(files, {})

    reloads = Reloads(read(), read, server.apply, Notifier(None), lambda: 5.0, lambda: server.audit)
    running = asyncio.ensure_future(reloads.run())
    yield reloads
    running.cancel()


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reload, "LOOK_INTERVAL", 0.01)


def write(path: Path, level: str, *more: str) -> None:
    """As an editor does: another file takes the name."""
    fresh = path.with_suffix(".new")
    fresh.write_text("\n".join(("reload.watch = true", f'log.level = "{level}"', *more)))
    fresh.replace(path)


async def test_a_file_that_changes_is_read_again(tmp_path: Path) -> None:
    path, server = tmp_path / "rtmpd.toml", Server()
    write(path, "info")
    async with watching([path], server) as reloads:
        write(path, "debug")
        await eventually(lambda: server.levels == ["debug"])
        path.write_text("rtmp.lisen = 1")
        # Not when it begins to be read: it would be another one by then.
        await eventually(lambda: len(server.audited) == 2)
        assert not reloads.stats.success
        write(path, "error")
        await eventually(lambda: server.levels == ["debug", "error"])
        assert reloads.stats.success
    assert {by.who for by, _ in server.audited} == {"reload.watch"}
    assert [facts["result"] for _, facts in server.audited] == ["done", "refused", "done"]
    refused = server.audited[1][1]
    assert (refused["problem"], "rtmp.lisen" in str(refused["detail"])) == ("settings_refused", True)


async def test_a_link_that_leads_elsewhere_is_a_change(tmp_path: Path) -> None:
    """As Kubernetes changes a ConfigMap: ..data is another folder from one moment to the next."""
    for name, level in (("first", "info"), ("second", "debug")):
        (tmp_path / name).mkdir()
        write(tmp_path / name / "rtmpd.toml", level)
    (tmp_path / "..data").symlink_to("first")
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "rtmpd.toml").symlink_to(tmp_path / "..data" / "rtmpd.toml")
    server = Server()
    async with watching([tmp_path / "etc"], server):
        (tmp_path / "..new").symlink_to("second")
        (tmp_path / "..new").replace(tmp_path / "..data")
        await eventually(lambda: server.levels == ["debug"])


async def test_a_file_with_secrets_is_watched_too(tmp_path: Path) -> None:
    path, secret, server = tmp_path / "rtmpd.toml", tmp_path / "targets", Server()
    secret.write_text("rtmp://10.0.0.2/live/one")
    write(path, "info", f'apps.live.push_file = "{secret}"', 'apps.live.publish.allow = "local"')
    async with watching([path], server):
        secret.write_text("rtmp://10.0.0.2/live/twelve")
        await eventually(lambda: server.applied)


async def test_nobody_looks_where_nobody_is_to_watch(tmp_path: Path) -> None:
    path, server = tmp_path / "rtmpd.toml", Server()
    path.write_text('log.level = "info"')
    async with watching([path], server) as reloads:
        path.write_text('log.level = "debug"')
        reloads.ask()  # What has changed is found all the same, once.
        await eventually(lambda: server.levels == ["debug"])
        path.write_text('log.level = "error"')
        await reloads.reload("test")
        assert server.levels == ["debug", "error"]
    ((by, facts),) = server.audited  # Who asks by the API is noted there.
    assert (by.account, by.protocol) == ("SIGHUP", "signal")
    assert (facts["change"], facts["result"], facts["after"]) == ("reload", "done", "log.level")


async def test_files_that_change_while_the_server_ends_are_for_the_next_one(tmp_path: Path) -> None:
    path, server = tmp_path / "rtmpd.toml", Server(problem="the server is draining")
    write(path, "info")
    async with watching([path], server) as reloads:
        reloads.rest()
        write(path, "debug")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await eventually(lambda: server.audited)
        reloads.ask()  # Whoever asks is told.
        await eventually(lambda: server.audited)


async def test_what_cannot_be_put_in_place_changes_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path, server = tmp_path / "rtmpd.toml", Server(problem="cannot listen on :1: it is taken")
    write(path, "info")
    async with watching([path], server) as reloads:
        with pytest.raises(ConfigError, match="it is taken"):
            await reloads.reload("test")
        assert (reloads.stats.success, reloads.stats.succeeded_at) == (False, 5.0)
    (line,) = caplog.records
    assert line.fields == {"by": "test", "problem": server.problem}
    assert line.exc_info is None


async def test_a_pipe_is_not_read_again(tmp_path: Path) -> None:
    """As of ``rtmpd serve -c <(...)``: what was in it is gone, and to wait for more may take for ever."""
    path, server = tmp_path / "rtmpd.toml", Server()
    write(path, "debug")
    async with watching([path], server) as reloads:
        path.unlink()
        os.mkfifo(path)
        for dry_run in (False, True):
            with pytest.raises(ConfigError, match="is a pipe, which can be read once"):
                await reloads.reload("test", dry_run=dry_run)
    assert server.applied == []


async def test_what_is_suddenly_empty_is_no_wish_for_the_defaults(tmp_path: Path) -> None:
    """As where a volume is not mounted any more, or somebody has just begun to write."""
    folder, file, server = tmp_path / "conf.d", tmp_path / "rtmpd.toml", Server()
    folder.mkdir()
    write(folder / "one.toml", "debug")
    write(file, "debug")
    async with watching([folder, file], server) as reloads:
        (folder / "one.toml").rename(tmp_path / "one")
        for dry_run in (False, True):
            with pytest.raises(ConfigError, match=r"conf\.d: is empty, and had settings: is it mounted"):
                await reloads.reload("test", dry_run=dry_run)
        file.write_text("")
        with pytest.raises(ConfigError) as refused:
            await reloads.reload("test")
        assert len(refused.value.problems) == 2
        assert server.applied == []
        (tmp_path / "one").rename(folder / "two.toml")
        file.write_text("# The defaults will do.\n")
        await reloads.reload("test")
        (folder / "two.toml").write_text("# Here, too.\n")
        await reloads.reload("test")
    assert len(server.applied) == 2


async def test_who_does_not_wait_for_the_end_changes_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path, server = tmp_path / "rtmpd.toml", Server(forever=True)
    path.write_text('log.level = "info"')
    async with watching([path], server) as reloads:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reloads.reload("api"), 0.05)
        assert reloads.stats.success
        (line,) = caplog.records
        assert line.fields == {"by": "api", "problem": "whoever asked for it did not wait for the end"}
        server.forever = False
        await reloads.reload("api")
    assert len(server.applied) == 1


# -- a server that runs


def settings(key: str, *more: str) -> str:
    return "\n".join((f'[apps.live.publish.keys]\nshow = ["{spell_digest(digest_of(key))}"]', *more))


def reloaded(server: RtmpdProcess, number: int) -> None:
    os.kill(server.pid, signal.SIGHUP)
    server.log.wait_for({"event": "settings read"}, number)


async def test_who_shows_a_key_that_is_taken_out_has_to_go(tmp_path: Path) -> None:
    path = tmp_path / "rtmpd.toml"
    path.write_text(settings(KEY))
    with rtmpd(environment={"RTMPD_CONFIG": str(path)}) as server:
        async with (
            await library.connect(server.url("")) as gone,
            await library.connect(server.url("")) as player,
        ):
            stream = await gone.publish(KEY)
            played = await player.play("show")
            path.write_text(settings(OTHER))
            await asyncio.to_thread(reloaded, server, 1)
            await gone.wait_closed()
            with pytest.raises(StreamFailed, match="You may not publish this stream any more"):
                stream.check()
            line = await asyncio.to_thread(server.log.wait_for, {"event": "allowed no more"})
            assert (line["action"], line["reason"]) == ("publish", "not_proven")
            assert len(server.log.find({"event": "allowed no more"})) == 1
            played.check()
            async with await library.connect(server.url("")) as other:
                stays = await other.publish(OTHER)
                path.write_text("rtmp.lisen = 1")
                os.kill(server.pid, signal.SIGHUP)
                await asyncio.to_thread(server.log.wait_for, {"event": "settings kept as they were"})
                assert "rtmpd_config_last_reload_success 0.0" in server.get("/metrics")
                stays.check()


def test_a_terminal_has_settings_read_again(tmp_path: Path) -> None:
    path = tmp_path / "rtmpd.toml"
    path.write_text("player.max_players = 5")
    with rtmpd(environment={"RTMPD_CONFIG": str(path)}) as server:

        def ask(*arguments: str) -> tuple[int, str]:
            admin = f"admin.listen=127.0.0.1:{server.port('admin')}"
            result = CliRunner().invoke(cli.app, ["reload", *arguments, "-c", str(path), "--set", admin])
            return result.exit_code, result.output

        path.write_text("player.max_players = 6")
        for _ in range(2):
            assert ask("--dry-run") == (0, "for everybody, at once: player.max_players\n")
        assert ask() == (0, "for everybody, at once: player.max_players\n")
        assert ask() == (0, "no setting says anything else\n")
        server.log.wait_for({"event": "settings read", "by": "api", "changed": 1})
        path.write_text("player.max_player = 6")
        code, told = ask()
        assert (code, "player.max_player: there is no such key" in told) == (78, True), told
        path.write_text('admin.listen = []\n[apps.live.publish]\nkeys_file = "gone"')
        code, told = ask()
        assert (code, "gone: cannot be read: No such file or directory" in told) == (1, True), told
