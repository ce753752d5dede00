"""What keys of MediaMTX become that need no more than a table."""

from __future__ import annotations

from typing import Final

TIMES: Final = {
    "readTimeout": ("limits", "idle_publisher_timeout"),
    "writeTimeout": ("player", "disconnect_after"),
}
"""Of the server there, of all apps here."""
ABSENT: Final = {
    "rtsp": "there is no RTSP: cameras that speak it are pulled by a process with ffmpeg (docs/processes.md)",
    "webrtc": "there is no WebRTC: browsers play HLS and MP4 by WebSocket",
    "srt": "there is no SRT: what speaks it may push RTMP to this server",
    "moq": "there is no MoQ",
    "playback": "there is none by time: [apps.NAME.vod] plays files, and clips have the last seconds",
}
"""What may be on there, and is not here."""
LEFT: Final = {
    "runOnConnect": "have [notify.NAME], or on_connect in [apps.NAME.hooks]",
    "runOnDisconnect": "have [notify.NAME], or on_disconnect in [apps.NAME.hooks]",
}
PREFIXES: Final = (
    "rtsp",
    "rtp",
    "rtcp",
    "webrtc",
    "srt",
    "moq",
    "hls",
    "rtmp",
    "auth",
    "udp",
    "multicast",
    "playback",
    "pprof",
)
"""Of keys that say more of something that is told of once, or written elsewhere."""
NEEDLESS: Final = frozenset(
    {
        *("paths", "pathDefaults", "logDestinations", "logFile", "logStructured", "sysLogPrefix"),
        *("writeQueueSize", "readBufferCount", "protocols", "encryption", "serverKey", "serverCert"),
        *("runOnConnectRestart", "dumpPackets", "externalAuthenticationURL"),
        *("apiAddress", "apiEncryption", "apiServerKey", "apiServerCert", "apiAllowOrigin"),
        *("apiAllowOrigins", "apiTrustedProxies", "metricsAddress", "metricsEncryption"),
        *("metricsServerKey", "metricsServerCert", "metricsAllowOrigin", "metricsAllowOrigins"),
        *("metricsTrustedProxies", "api", "metrics"),
    }
)
"""They mean nothing here, or are read with another one."""

PATH_TIMES: Final = {
    "sourceOnDemandStartTimeout": ("pull", "timeout"),
    "sourceOnDemandCloseAfter": ("pull", "linger"),
}
"""Of a path that is pulled."""
PATH_RUNS: Final = {
    "runOnDemand": "viewer",
    "runOnReady": "media",
    "runOnAvailable": "media",
    "runOnOnline": "media",
}
"""Commands that run as long as something does, and how they start here."""
PATH_EVENTS: Final = {
    "runOnNotReady": "unpublished",
    "runOnUnavailable": "unpublished",
    "runOnOffline": "unpublished",
    "runOnRead": "player_joined",
    "runOnUnread": "player_left",
    "runOnRecordSegmentCreate": "recording_started",
    "runOnRecordSegmentComplete": "recording_finished",
}
PATH_LEFT: Final = {
    "runOnInit": "a command that belongs to no stream is a service of systemd's, not of this server",
    "fallback": "have slate or still: players are shown that while the encoder is away",
    "sourceRedirect": "`rtmpd redirect` leads players elsewhere",
    "sourceFingerprint": "have ca_file in [relay]: who vouches for a server is a file",
    "alwaysAvailableFile": "have slate: an FLV file, which `rtmpd slate make` makes",
    "alwaysAvailable": "have slate or still: shown once an encoder has been there",
    "forward": "have [apps.NAME.push.NAME] with url",
}
PATH_NEEDLESS: Final = frozenset(
    {
        *("recordPath", "recordFormat", "recordPartDuration", "recordMaxPartSize", "recordSegmentDuration"),
        *(
            "recordDeleteAfter",
            "sourceOnDemand",
            "sourceAnyPortEnable",
            "sourceProtocol",
            "disablePublisherOverride",
        ),
        *("runOnReadyRestart", "runOnDemandRestart", "runOnDemandCloseAfter", "runOnDemandStartTimeout"),
        *(
            "runOnInitRestart",
            "runOnReadRestart",
            "runOnAvailableRestart",
            "runOnOnlineRestart",
            "useAbsoluteTimestamp",
        ),
        *("alwaysAvailableTracks", "runOnDemandRunOnUnDemand", "runOnUnDemand", "record"),
    }
)
PATH_PREFIXES: Final = ("moq", "srt", "rpiCamera", "rtsp", "rtp", "mpegts", "whep", "udp")
