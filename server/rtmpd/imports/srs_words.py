"""What directives of SRS become that need no more than a table."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

Kind = Literal["count", "bytes", "seconds", "milliseconds", "flag"]


class Simple(NamedTuple):
    """A directive with one argument that is one setting."""

    path: tuple[str, ...]
    kind: Kind


SERVER: Final = {
    "chunk_size": Simple(("rtmp", "chunk_size"), "bytes"),
    "out_ack_size": Simple(("rtmp", "window_ack_size"), "bytes"),
}
HOOKS: Final = {
    "on_connect": "on_connect",
    "on_close": "on_disconnect",
    "on_publish": "on_publish",
    "on_unpublish": "on_publish_done",
    "on_play": "on_play",
    "on_stop": "on_play_done",
    "on_dvr": "on_record_done",
}
PLAY: Final = {
    "gop_cache": Simple(("gop", "enabled"), "flag"),
    "queue_length": Simple(("player", "max_backlog_seconds"), "seconds"),
    "mw_latency": Simple(("stream", "merge_window_ms"), "milliseconds"),
}
PUBLISH: Final = {
    "firstpkt_timeout": Simple(("limits", "first_media_timeout"), "milliseconds"),
    "normal_timeout": Simple(("limits", "idle_publisher_timeout"), "milliseconds"),
}
"""In seconds of ours: SRS counts these in milliseconds."""
OLD: Final = {"1stpkt_timeout": "firstpkt_timeout", "publish_1stpkt_timeout": "firstpkt_timeout"} | {
    "publish_normal_timeout": "normal_timeout"
}

NEEDLESS: Final = frozenset(
    {
        *("srs_log_tank", "srs_log_file", "ff_log_dir", "ff_log_level", "pid", "daemon", "utc_time"),
        *(
            "work_dir",
            "asprocess",
            "inotify_auto_reload",
            "auto_reload_for_docker",
            "enabled",
            "grace_start_wait",
        ),
        *("grace_final_wait", "force_grace_quit", "disable_daemon_for_docker", "in_docker", "server_id"),
        *("max_connections", "listen", "srs_log_level", "srs_log_level_v2", "query_latest_version"),
        *("first_wait_for_qlv", "tcp_nodelay", "min_latency", "in_ack_size", "threads", "empty_ip_ok"),
        *("debug_srs_upnode", "token_traverse"),
        *("time_jitter", "mix_correct", "atc", "atc_auto", "reduce_sequence_header", "send_min_interval"),
        *("mw_msgs", "gop_cache_max_frames", "mr", "mr_latency", "parse_sps", "try_annexb_first"),
        *("pithy_print_ms", "tcmalloc_release_rate", "is_full"),
        *("kickoff_for_idle", "publish_normal_timeout", "realtime"),
    }
)
"""They are so anyway, mean nothing here, or are read with another one."""
LEFT: Final = {
    "rtc_server": "there is no WebRTC: browsers play HLS and MP4 by WebSocket",
    "rtc": "there is no WebRTC: browsers play HLS and MP4 by WebSocket",
    "srt_server": "there is no SRT: what speaks it may push RTMP to this server",
    "srt": "there is no SRT: what speaks it may push RTMP to this server",
    "rtsp_server": "there is no RTSP",
    "stream_caster": "there is none: a process with ffmpeg publishes what comes by other protocols",
    "heartbeat": "not there: /metrics and /readyz of the admin port are asked by who wants to know",
    "stats": "not there: /metrics is for figures of the machine's, too",
    "circuit_breaker": "not there: limits of connections and of memory are always in force",
    "refer": "not there: pageUrl is what a client says of itself, and a hook is given it",
    "refer_publish": "not there: pageUrl is what a client says of itself, and a hook is given it",
    "refer_play": "not there: pageUrl is what a client says of itself, and a hook is given it",
    "http_static": "pages and files are for another web server; FLV files for [apps.NAME.vod]",
    "tencentcloud_cls": "not there: the log is lines on standard error, of JSON with log.format",
    "tencentcloud_apm": "not there: figures are at /metrics of the admin port",
    "transcode": "have [apps.NAME.run.NAME] with ffmpeg, an argument each (docs/processes.md)",
    "ingest": 'have [apps.NAME.pull] for RTMP, and for all else a process with start = "viewer"',
    "bandcheck": "not there",
    "dash": "not there: HLS with fMP4 segments is played by the same players",
    "hds": "not there: HLS is",
    "hls_entry_prefix": "segments are where their playlist is: a CDN has both, by cdn_secret in hls",
    "exporter": "/metrics of the admin port has it, with series for each stream",
}
_PUT_ELSEWHERE: Final = frozenset(
    {
        *(
            "vhost",
            "rtmps",
            "https",
            "key",
            "cert",
            "http_api",
            "raw_api",
            "auth",
            "http_server",
            "http_stream",
        ),
        *(
            "http_stream",
            "dir",
            "crossdomain",
            "security",
            "allow",
            "deny",
            "http_hooks",
            "on_hls",
            "on_hls_notify",
        ),
        *("forward", "destination", "backend", "cluster", "mode", "origin", "origin_cluster", "coworkers"),
        *("protocol", "exec", "publish", "play", "http_remux", "mount", "dvr", "hls", "password"),
        *(
            "fast_cache",
            "drop_if_not_match",
            "has_audio",
            "has_video",
            "guess_has_av",
            "username",
            "password",
        ),
    }
)
KNOWN: Final = frozenset({*SERVER, *HOOKS, *PLAY, *PUBLISH, *OLD, *NEEDLESS, *LEFT, *_PUT_ELSEWHERE})
"""All that have a place above, but for those of DVR and HLS that say more of it."""
