"""What directives of nginx-rtmp become that need no more than a table: settings, advice, or nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

from rtmpd.imports.blocks import Directive, number, seconds, size, spell_seconds
from rtmpd.imports.draft import Draft

Kind = Literal["time", "size", "count", "urls"]


class Simple(NamedTuple):
    """A directive with one argument that is one setting."""

    path: tuple[str, ...]
    """Behind ``apps.NAME`` for those of applications."""
    kind: Kind


SERVER: Final = {
    "chunk_size": Simple(("rtmp", "chunk_size"), "size"),
    "ack_window": Simple(("rtmp", "window_ack_size"), "size"),
    "max_message": Simple(("rtmp", "limits", "max_message_bytes"), "size"),
    "max_streams": Simple(("rtmp", "limits", "max_message_streams"), "count"),
    "ping": Simple(("rtmp", "limits", "ping_interval"), "time"),
    "ping_timeout": Simple(("rtmp", "limits", "ping_timeout"), "time"),
    "timeout": Simple(("player", "disconnect_after"), "time"),
}
"""Of the whole server here; of an application the last but one too."""
APP: Final = {
    "drop_idle_publisher": Simple(("limits", "idle_publisher_timeout"), "time"),
    "timeout": Simple(("player", "disconnect_after"), "time"),
    "on_connect": Simple(("hooks", "on_connect"), "urls"),
    "on_publish": Simple(("hooks", "on_publish"), "urls"),
    "on_play": Simple(("hooks", "on_play"), "urls"),
    "on_update": Simple(("hooks", "on_update"), "urls"),
    "on_publish_done": Simple(("hooks", "on_publish_done"), "urls"),
    "on_play_done": Simple(("hooks", "on_play_done"), "urls"),
    "on_done": Simple(("hooks", "on_done"), "urls"),
    "on_disconnect": Simple(("hooks", "on_disconnect"), "urls"),
    "on_record_done": Simple(("hooks", "on_record_done"), "urls"),
    "notify_update_timeout": Simple(("hooks", "update_interval"), "time"),
}
RECORD: Final = {
    "record_interval": Simple(("split_after",), "time"),
    "record_max_size": Simple(("split_bytes",), "size"),
}
HLS: Final = {
    "hls_fragment": Simple(("segment",), "time"),
    "hls_playlist_length": Simple(("window",), "time"),
}
EVENTS: Final = {
    "exec_publish": "published",
    "exec_publish_done": "unpublished",
    "exec_play": "player_joined",
    "exec_play_done": "player_left",
    "exec_record_done": "recording_finished",
}
"""Commands that are run once, and for which event here."""
COMMANDS: Final = frozenset({"exec", "exec_push", "exec_pull", *EVENTS})

NEEDLESS: Final = frozenset(
    {
        *("meta", "interleave", "sync", "publish_notify", "play_restart", "busy", "buflen", "so_keepalive"),
        *("out_queue", "out_cork", "max_queue", "session_relay", "relay_buffer", "push_reconnect"),
        *("pull_reconnect", "wait_key", "wait_video", "live", "gop_cache", "stream_buckets", "send_all"),
        *("play_time_fix", "publish_time_fix", "play_temp_path", "play_local_path", "cors", "flv_live"),
        *("record_lock", "record_notify", "record_append", "record_unique", "record_suffix", "record_path"),
        *("allow", "deny", "record", "recorder", "notify_method", "application", "max_connections"),
        *("notify_update_strict", "notify_relay_redirect", "exec_kill_signal", "respawn", "respawn_timeout"),
        *("exec_options", "rtmp_auto_push", "rtmp_auto_push_reconnect", "rtmp_socket_dir", "server_name"),
        *("rtmp_stat_stylesheet", "poll_interval", "poll_len", "force_flush", "buffer", "log_format"),
    }
)
"""They are so anyway, mean nothing here, or are read with another one."""
_PUT_ELSEWHERE: Final = frozenset({"rtmp", "server", "listen", "push", "pull", "play", "idle_streams", "hls"})
LEFT: Final = {
    "exec_static": "a command that belongs to no stream is a service of systemd's, not of this server",
    "record_max_frames": "not there: record_interval and record_max_size are split_after and split_bytes",
    "dash": "not there: HLS with fMP4 segments is played by the same players",
    "access_log": "have [access_log] with a path: it is a line of JSON for each session, not this format",
}
KNOWN: Final = frozenset({*SERVER, *APP, *RECORD, *HLS, *COMMANDS, *NEEDLESS, *LEFT, *_PUT_ELSEWHERE})
"""All that have a place above, but for those of HLS and DASH that say more of it."""


def put(each: Directive, table: Sequence[str], simple: Simple, draft: Draft) -> None:
    """A directive that is one setting below ``table``."""
    path = (*table, *simple.path)
    if each.first in ("off", ""):
        if each.name in ("ping", "record_interval", "record_max_size"):
            draft.put(path, 0, each.place)
        return
    match simple.kind:
        case "time":
            value = seconds(each.first)
            if value is not None:
                draft.put(path, spell_seconds(value), each.place)
                return
        case "size":
            count = size(each.first)
            if count is not None:
                draft.put(path, count, each.place)
                return
        case "count":
            count = number(each.first)
            if count is not None:
                draft.put(path, count, each.place)
                return
        case "urls":
            draft.add(path, [each.first], each.place)
            return
    draft.leave(each.place, each.name, "cannot be read: see how nginx writes times and sizes")
