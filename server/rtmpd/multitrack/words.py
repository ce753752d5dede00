"""What becomes of those who ask for a configuration."""

from __future__ import annotations

from rtmpd.reasons import Word


class ConfigOutcome(Word):
    """How it went."""

    CONFIGURED = "configured", "OBS was told what to encode, and where to send it"
    REFUSED = "refused", "nobody may publish with that key, or not now; the log says why"
    NO_LADDER = "no_ladder", "there is no `[[apps.NAME.ladder]]` for the stream"
    UNFIT = "unfit", "the streamer's own limit of the bitrate leaves nothing of the ladder"
    UNREADABLE = "unreadable", "it was no request of OBS, or too long, or did not come in time"
