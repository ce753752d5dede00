"""Streams as files: ``[apps.NAME.record]``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Final, Literal

from pydantic import AfterValidator, Field

from rtmpd.daemon.afterwork_config import KeepConfig, Mp4Config, UploadConfig
from rtmpd.daemon.fields import Effect, FileName, Seconds, Section, Size
from rtmpd.daemon.push_config import AudioTrack, Track
from rtmpd.daemon.values import KeyPath
from rtmpd.exceptions import UsageError
from rtmpd.media.track_names import TrackWish
from rtmpd.outputs.record_rules import DEFAULT_NAME, Fsync, RecordRule, RecordStart, RecordTime

if TYPE_CHECKING:
    from rtmpd.outputs.afterwork_rules import AfterworkRules

RECORD: Final = "record"
"""The table of an app for the files of its streams."""
_RULE: Final = RecordRule("/")

_REUSED: Final = (
    ": once a file is gone here the next one has its name, and would take its place in the bucket; have "
    "{start:%Y-%m-%d_%H-%M-%S} in it, or {start} in record.name"
)


def _check_name(text: str) -> str:
    from rtmpd.outputs.names import NameTemplate

    try:
        NameTemplate.parse(text)
    except UsageError as error:
        raise ValueError(f"{error}; write it as in {DEFAULT_NAME}") from None
    return text


class RecordConfig(Section):
    """Streams of the app as FLV files: docs/recording.md. A file is written under its name with .part behind
    it and locked; finished it has its duration and an index."""

    start: Literal["never", "manual", "asked", "always"] = "never"
    """Which streams are recorded. always: all. asked: those that are published as record or append, which
    encoders can choose. manual: those that somebody in charge wants to be, which the others allow too."""
    root: FileName = ""
    """The folder of the files, whole, as /var/lib/rtmpd/recordings: it has to be there, so that nothing is
    written beside a drive that is not."""
    name: Annotated[str, AfterValidator(_check_name), Effect.FILES] = DEFAULT_NAME
    """What a file is called below root, without .flv. {app} and {name} are the stream's, {start} is when the
    file begins, in local time and in a form of strftime ({start:%Y/%m/%d_%H-%M-%S}), {part} which of the
    files of one recording it is. Folders are made. No file is ever overwritten: another of the same name
    gets a number."""
    track: Track = "all"
    """Of a stream with several tracks: the video track that is recorded, by name ("720p", "best") or number,
    or "all"."""
    audio: AudioTrack = ""
    """The number of the audio track, such as 1 for the VOD track of OBS, or "all". Empty is all where track
    is "all", else the first."""
    split_after: Seconds = _RULE.split_after
    """Another file begins with the first key frame after so long; 0 is never."""
    split_bytes: Size = _RULE.split_bytes
    """Another file begins with the first key frame once one is so large; 0 is never."""
    time: Literal["true", "gapless"] = _RULE.time.value
    """What becomes of time without media, such as until an encoder is back (handover.grace), which goes on in
    the same file. true: it is there, and players wait or skip it. gapless: it is left out."""
    slate: bool = False
    """Whether what is shown while the encoder is away, its slate or still, is recorded, too."""
    fsync: Annotated[Literal["never", "finished", "always"], Effect.FILES] = _RULE.fsync.value
    """When a drive has to have written a file, for a machine that fails: when it is finished, or always, each
    second. A server that crashes loses nothing that was written."""
    min_free: Size = _RULE.min_free
    """What the file system has to have left: with less recordings end, and come back once there is twice as
    much. 0 fills it up."""
    max_queue_bytes: Annotated[Size, Field(ge=1024 * 1024)] = _RULE.max_queue_bytes
    """What of one stream may wait for the drive; beyond it the recording goes on with the next key frame once
    the drive has caught up."""

    keep: KeepConfig = KeepConfig()
    mp4: Mp4Config = Mp4Config()
    upload: UploadConfig = UploadConfig()

    @property
    def tracks(self) -> TrackWish:
        """Which tracks are recorded."""
        track, audio = (None if chosen == "" else str(chosen) for chosen in (self.track, self.audio))
        return TrackWish.of(track, audio)

    @property
    def wanted(self) -> bool:
        """There may be files."""
        return self.start != "never" and bool(self.root)

    @property
    def reuses_keys(self) -> bool:
        """Names are free again once files are gone here, and objects have nothing but the name."""
        if not self.upload.bucket or "{start" in f"{self.name}{self.upload.key}":
            return False
        stays = self.mp4.enabled and self.mp4.keep_flv
        return (self.upload.delete and not stays) or not self.keep.to_rules("").keeps_all

    def to_rule(self) -> RecordRule | None:
        """The same below the daemon; None where nothing is ever recorded."""
        if not self.wanted:
            return None
        return RecordRule(
            root=self.root,
            start=RecordStart(self.start),
            name=self.name,
            tracks=self.tracks,
            split_after=self.split_after,
            split_bytes=self.split_bytes,
            time=RecordTime(self.time),
            slate=self.slate,
            fsync=Fsync(self.fsync),
            min_free=self.min_free,
            max_queue_bytes=self.max_queue_bytes,
        )

    def to_afterwork(self) -> AfterworkRules:
        """What is done with finished files."""
        from rtmpd.outputs.afterwork_rules import AfterworkRules

        return AfterworkRules(self.mp4.to_rules(self.min_free), self.upload.to_rules())

    def find_problems(self, outcome: RecordConfig) -> Iterator[tuple[KeyPath, str]]:
        """Keys of this table and what is wrong with them; ``outcome`` is it with what shorter ones say."""
        if not self.model_fields_set:
            return
        found = find_problem(outcome)
        if found is not None and (found[0] in self.model_fields_set or not outcome.root):
            yield (found[0],), found[1]
        if "mp4" in self.model_fields_set:
            for key, text in outcome.mp4.find_problems():
                yield ("mp4", *key), text
        for key, text in self.upload.find_problems(outcome.upload):
            yield ("upload", *key), text
        if outcome.reuses_keys:
            yield ("upload", "key"), _REUSED


def find_problem(record: RecordConfig) -> tuple[str, str] | None:
    """A key of what a table comes to, and what is wrong with it; None if nothing is."""
    if record.root and not record.root.startswith("/"):
        return "root", " is no whole path: begin it with /"
    if record.start != "never" and not record.root:
        return "root", " is missing: name the folder of the files, which has to be there"
    return None
