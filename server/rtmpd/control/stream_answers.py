"""What is told of streams."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from rtmpd.control.answers import Answer, Carrier, Page, PageQuery


class StreamState(StrEnum):
    """What the players of a stream have."""

    IDLE = "idle"
    """Nothing: they wait for somebody to publish it."""
    LIVE = "live"
    """What is on air."""
    HOLDING = "holding"
    """Nothing, and they are kept for an encoder that was lost."""


class Source(StrEnum):
    """Which of a stream's encoders one is."""

    MAIN = "main"
    BACKUP = "backup"


class MediumName(StrEnum):
    AUDIO = "audio"
    VIDEO = "video"


class Medium(Answer):
    """The audio, or the video, of one publication."""

    codec: str | None
    """FourCC, or what stands for the codecs of old, such as avc1 and mp4a; null before it is known."""
    profile: str | None
    """As the codec's specification calls it, or its number; null where no header says it."""
    timestamp_seconds: float | None
    """Of the last message, on the clock of the encoder; null before there was one."""
    bits_per_second_1s: float
    """Of its payload, over about a second."""
    bits_per_second_10s: float
    """Over about 10 seconds."""
    bytes: int
    """Payload that has come."""


class Audio(Medium):
    """Of several tracks the default one, but for bytes, rates and timestamp."""

    samples_per_second: int | None
    """Null where no header says it."""
    channels: int | None
    """Null where no header says it."""


class Video(Medium):
    """Of several tracks the default one, but for bytes, rates and timestamp."""

    level: str | None
    """Such as 4.1; null where no header says it."""
    compatibility: int | None
    """Of H.264: the byte of its constraint flags, profile_compatibility; null where no header says it."""
    width: int | None
    """Pixels; null before it is known."""
    height: int | None
    """Pixels; null before it is known."""
    frames: int
    """That have come."""
    frames_per_second: float
    """Over about a second."""
    key_frame_interval_seconds: float | None
    """Between the last two key frames, by their timestamps; null before there were two."""
    key_frame_interval_max_seconds: float | None
    """The longest that there was."""
    key_frame_age_seconds: float | None
    """Since the last key frame came; null before there was one."""


class Track(Answer):
    """One track of a medium that has several."""

    medium: MediumName
    id: int
    """Its number."""
    codec: str | None
    """As of the medium; null before it is known."""
    width: int | None
    """Pixels; null of audio, and before it is known."""
    height: int | None
    """Pixels; null of audio, and before it is known."""
    bits_per_second_1s: float
    """Over about a second."""
    bits_per_second_10s: float
    """Over about 10 seconds."""
    frames_per_second: float
    """Over about a second."""
    key_frame_interval_seconds: float | None
    """Between its last two key frames; null before there were two, and of audio."""
    name: str | None = None
    """What players may call it, such as 720p; null of audio, and before its header has come."""
    frames_skipped: int | None = None
    """That its encoder was too slow for, as OBS says; null where it does not."""


class Encoder(Answer):
    """What OBS says of itself in its key frames, of the publication on air, with multitrack video."""

    frames_rendered: int
    """Put together."""
    frames_lagged: int
    """That came too late to be, as the machine is too slow."""
    frames_sent: int
    """Of all tracks."""
    frames_dropped: int
    """Of all tracks, as the network is too slow."""
    delay_seconds: float | None
    """From picture to network within OBS; null where it is not said."""
    uplink_delay_seconds: float | None
    """From picture to server, beyond the least that it took: whatever the streamer's clock says, so far the
    way here has filled up.
    """
    ingest_delay_seconds: float | None
    """From picture to server by the clocks of both, which may differ; null where they do by far: less than
    nothing, or more than a minute.
    """
    age_seconds: float | None
    """Since it said so."""


class StreamWarning(Answer):
    """Something that is wrong with a stream, and that its publisher could mend."""

    kind: str
    """A word; the list of them is in the operations manual."""
    since: datetime
    """When it began to be so."""
    text: str
    """What is wrong, in a sentence."""
    remedy: str
    """What to do about it, in a sentence."""
    figures: dict[str, float | str]
    """What it was seen by, such as seconds."""


class Publication(Answer):
    """One encoder, or an origin that the stream is fetched from."""

    session: str
    """The number of its session, as the log has it."""
    source: Source
    on_air: bool
    """It is what players see."""
    since: datetime
    """When it began."""
    protocol: str
    """rtmp, or pull where this server fetches it."""
    address: str
    """Of the client; of a pull the other server."""
    account: str
    """Whom it was found to be; empty where nobody asked."""
    agent: str
    """What it calls itself."""
    silent_seconds: float | None
    """Since its last audio or video; null before there was any."""
    video: Video | None
    """Null before any has come."""
    audio: Audio | None
    """Null before any has come."""
    warnings: tuple[StreamWarning, ...]
    """What is wrong with it."""


class SlateKind(StrEnum):
    """What is shown while an encoder sends nothing."""

    FILE = "file"
    """The file of the settings."""
    STILL = "still"
    """The last picture of the encoder."""


class SlateOnAir(Answer):
    """What players and push targets are sent instead of what the encoder should send."""

    kind: SlateKind
    since: datetime
    """When it began."""


class StreamSummary(Answer):
    """A stream in a list."""

    app: str
    """What settings call the first part of its path."""
    name: str
    """The rest of its path."""
    state: StreamState
    carried_by: Carrier
    """Which process has its encoder, or keeps its players for one."""
    since: datetime | None
    """When the publication on air began; null while none is."""
    held_since: datetime | None
    """When its players began to wait for an encoder that was lost, a second late at most; null if none do."""
    slate: SlateOnAir | None
    """What is shown in the stead of its encoder; null while nothing is. All else is said of the encoder."""
    delay_seconds: float
    """By how much players are behind what comes; 0 where nothing delays them."""
    session: str | None
    """Of the publication on air; null while none is."""
    address: str | None
    """Of the same."""
    account: str | None
    """Of the same."""
    video: Video | None
    """Of the same; null also before any has come."""
    audio: Audio | None
    """Of the same; null also before any has come."""
    players: int
    """Those that wait included; relays and processes of other kinds are none."""
    predecessor_players: int
    """Those of them that the process before this one serves; 0 where there is none."""
    bytes_out: int
    """Handed to players and push targets since the stream is there."""
    bits_per_second_out_10s: float
    """The same over about 10 seconds."""
    dropped: int
    """Packets that did not go out, one for each player that missed it."""
    warnings: tuple[StreamWarning, ...]
    """What is wrong with what is on air."""


class Stream(StreamSummary):
    """A stream, with all that is known of it."""

    publications: tuple[Publication, ...]
    """In order of arrival."""
    tracks: tuple[Track, ...]
    """Of the publication on air; empty as long as no medium has several."""
    encoder: Encoder | None = None
    """What it says of itself; null where it does not."""
    metadata: dict[str, str | bool | float]
    """What the encoder says of it (onMetaData), where that is a text, a number or yes or no."""
    drops: dict[str, int]
    """The packets that did not go out, by reason."""
    av_skew_seconds: float | None
    """Last timestamp of video minus last timestamp of audio; null until both have come."""
    timestamp_gaps: int
    """Messages stamped more than a second after the one before, of the publication on air."""
    timestamp_regressions: int
    """Messages stamped earlier than the one before."""
    header_changes: int
    """Sequence headers that replaced another one."""


class StreamPage(Page):
    """Streams, sorted by app and name."""

    items: tuple[StreamSummary, ...]
    """One part of them."""


class StreamQuery(PageQuery):
    """Which streams are wanted."""

    app: Annotated[str, Field(max_length=256)] | None = None
    """Of this app alone."""
    state: StreamState | None = None
    """In this state alone."""
    q: Annotated[str, Field(max_length=256)] | None = None
    """Whose app and name hold this text, in whatever case."""
