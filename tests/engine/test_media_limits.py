"""What may be published: codecs, sizes, bitrate and key frames, and what becomes of a publication beyond."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import pytest
from engine_kit import (
    AAC_HEADER,
    AVC_HEADER,
    FULL_HD,
    HEVC_HEADER,
    KEY,
    FakePublisher,
    House,
    inter,
    keyframe,
    sound,
)

from rtmpd.engine.media_limits import MediaLimits, MediaRules
from rtmpd.engine.origin import NOBODY
from rtmpd.engine.packet import AUDIO, VIDEO
from rtmpd.engine.publication import Publication
from rtmpd.engine.sink import CloseReason
from rtmpd.reasons import Refusal
from rtmpd.rtmp.messages import Message

HD = bytes.fromhex(
    "17000000000164001fffe1001a6764001facd9405005bb011000000300100000030320f183196001000668ebe3cb22c0fdf8f800"
)
PORTRAIT = bytes.fromhex(
    "17000000000164001fffe1001a6764001facd940b40a1b011000000300100000030320f183196001000668ebe3cb22c0fdf8f800"
)
OPUS_HEADER = b"\x90OpusOpusHead\x01\x02" + bytes(9)
MP3 = b"\x2f\xff\xfb"
FPS = 10


def on_track_1(header: bytes) -> bytes:
    """The same header, of H.264, as Multitrack with one track has it."""
    return b"\x96\x00avc1\x01" + header[5:]


class Show:
    """A publication with limits, ten frames a second, looked at each second."""

    def __init__(self, reject: MediaLimits | None = None, warn: MediaLimits | None = None) -> None:
        self.house = House()
        self.publisher = FakePublisher()
        rules = MediaRules(reject or MediaLimits(), warn or MediaLimits())
        self.publication: Publication = self.house.registry.claim(
            KEY, self.publisher, NOBODY, 0.0, media=rules
        )
        self.player, _ = self.house.play()
        self.step = 0

    def say(self, *payloads: bytes) -> None:
        self.house.send(self.publication, *[(self.step * 1000 // FPS, payload) for payload in payloads])

    def run(self, seconds: float, media: Callable[[int], list[bytes]]) -> None:
        for _ in range(round(seconds * FPS)):
            self.step += 1
            self.house.loop.now = self.step / FPS
            self.say(*media(self.step))
            if self.step % FPS == 0:
                self.house.registry.sample(self.house.loop.now)

    def rest(self, seconds: int) -> None:
        """Nothing comes, and the clock goes on."""
        self.run(seconds, lambda _step: [])

    @property
    def warnings(self) -> dict[str, dict[str, float | str]]:
        active = self.house.stream.health.active.items()
        return {str(kind): warning.figures for kind, warning in active}

    @property
    def rejected(self) -> Refusal | None:
        """For what; the publisher knows as much as the publication."""
        rejection = self.publication.rejection
        assert (self.publisher.closed is CloseReason.MEDIA_REJECTED) is (rejection is not None)
        assert self.publication.closed is (rejection is not None)
        return None if rejection is None else rejection.reason

    @property
    def sentence(self) -> str:
        assert self.publication.rejection is not None
        return self.publication.rejection.description


def gop(seconds: float, size: int = 100, burst: int = 1) -> Callable[[int], list[bytes]]:
    """Frames of ``size`` bytes, and a key frame of ``burst`` times that every so many seconds."""
    every = round(seconds * FPS)
    return lambda step: [
        keyframe().ljust(size * burst, b".") if step % every == 1 else inter().ljust(size, b".")
    ]


# -- codecs and sizes, as soon as a header says them


@pytest.mark.parametrize(
    ("limits", "payload", "reason", "sentence"),
    [
        (
            MediaLimits(video_codecs=frozenset({"avc1"})),
            HEVC_HEADER,
            Refusal.VIDEO_CODEC,
            "This stream takes H.264 video only, and you send HEVC: choose H.264 in the encoder.",
        ),
        (
            MediaLimits(video_codecs=frozenset({"avc1", "av01"})),
            b"\x91hvc1key",
            Refusal.VIDEO_CODEC,
            (
                "This stream takes AV1 or H.264 video only, and you send HEVC: "
                "choose AV1 or H.264 in the encoder."
            ),
        ),
        (
            MediaLimits(video_codecs=frozenset({"avc1"})),
            b"\x90????",
            Refusal.VIDEO_CODEC,
            "This stream takes H.264 video only, and you send an unknown codec: choose H.264 in the encoder.",
        ),
        (
            MediaLimits(audio_codecs=frozenset({"mp4a"})),
            OPUS_HEADER,
            Refusal.AUDIO_CODEC,
            "This stream takes AAC audio only, and you send Opus: choose AAC in the encoder.",
        ),
        (
            MediaLimits(audio_codecs=frozenset({"mp4a"})),
            MP3,
            Refusal.AUDIO_CODEC,
            "This stream takes AAC audio only, and you send MP3: choose AAC in the encoder.",
        ),
        (
            MediaLimits(max_width=1280, max_height=720),
            FULL_HD,
            Refusal.RESOLUTION,
            (
                "This stream takes pictures of up to 1280x720, and you send 1920x1080: "
                "lower the output resolution of the encoder."
            ),
        ),
        (
            MediaLimits(max_height=719),
            PORTRAIT,
            Refusal.RESOLUTION,
            (
                "This stream takes pictures of up to 719 lines, and you send 720x1280: "
                "lower the output resolution of the encoder."
            ),
        ),
        (
            MediaLimits(max_width=1279),
            PORTRAIT,
            Refusal.RESOLUTION,
            (
                "This stream takes pictures of up to 1279 pixels in width, and you send 720x1280: "
                "lower the output resolution of the encoder."
            ),
        ),
    ],
    ids=lambda value: str(value) if isinstance(value, Refusal) else "",
)
def test_a_header_beyond_the_limits_ends_the_publication_before_anybody_gets_it(
    limits: MediaLimits, payload: bytes, reason: Refusal, sentence: str
) -> None:
    running = Show(reject=limits)
    if reason is Refusal.AUDIO_CODEC:
        running.say(AVC_HEADER, keyframe())
        assert running.player.take() == "AVC@0 K@0"
    kind = AUDIO if reason is Refusal.AUDIO_CODEC else VIDEO
    running.publication.receive(Message(kind, 0, 1, payload), 0.0)
    running.say(keyframe("never"))
    assert (running.rejected, running.sentence) == (reason, sentence)
    assert running.player.take() == ""
    assert running.player.calls[-1] == "ended"
    assert running.house.stats.publishes_ended == {CloseReason.MEDIA_REJECTED: 1}


@pytest.mark.parametrize("header", [HD, PORTRAIT, AVC_HEADER])
def test_what_is_within_the_limits_goes_on(header: bytes) -> None:
    limits = MediaLimits(
        frozenset({"avc1"}), frozenset({"mp4a"}), 1280, 720, max_kbps=100, max_keyframe_interval=2.0
    )
    running = Show(limits, limits)
    running.say(header, AAC_HEADER)
    running.run(30, lambda step: [*gop(2)(step), sound()])
    assert (running.rejected, running.warnings) == (None, {})


def test_a_codec_that_changes_in_the_middle_is_noticed() -> None:
    running = Show(MediaLimits(video_codecs=frozenset({"avc1"})))
    running.say(AVC_HEADER)
    running.run(3, gop(1))
    running.say(HEVC_HEADER)
    assert running.rejected is Refusal.VIDEO_CODEC


def test_every_track_has_to_keep_to_the_limits() -> None:
    running = Show(MediaLimits(max_height=720))
    running.say(HD, keyframe(), on_track_1(HD))
    assert running.rejected is None
    running.say(on_track_1(FULL_HD))
    assert running.rejected is Refusal.RESOLUTION


def test_a_medium_that_is_not_there_is_of_no_codec() -> None:
    running = Show(MediaLimits(frozenset({"avc1"}), frozenset({"mp4a"})))
    running.run(5, lambda _step: [AAC_HEADER, sound()])
    assert running.rejected is None


# -- bitrate

BYTES = 4_000_000 // 8 // FPS
"""Of a frame at 4 Mbit/s."""


def test_too_high_a_bitrate_is_noticed_after_a_whole_window_and_not_before() -> None:
    running = Show(MediaLimits(max_kbps=4000))
    running.say(AVC_HEADER)
    running.run(10, gop(2, 2 * BYTES))
    assert running.rejected is None
    running.run(1, gop(2, 2 * BYTES))
    assert running.rejected is Refusal.BITRATE
    assert running.sentence == (
        "This stream takes 4000 kbit/s, sound included, and you send 8000: lower the bitrate of the encoder."
    )


def test_all_that_is_sent_counts() -> None:
    running = Show(MediaLimits(max_kbps=4000))
    running.say(AVC_HEADER, AAC_HEADER)
    running.run(12, lambda step: [*gop(2, BYTES)(step), sound("a" * (BYTES // 5))])
    assert running.rejected is Refusal.BITRATE


@pytest.mark.parametrize(("seconds", "burst"), [(2, 10), (4, 20), (10, 10)])
def test_key_frames_make_no_bitrate(seconds: int, burst: int) -> None:
    """A key frame of so many frames' size, in a stream of 4 Mbit/s on average."""
    frames = seconds * FPS
    size = BYTES * frames // (frames - 1 + burst)
    running = Show(MediaLimits(max_kbps=4000))
    running.say(AVC_HEADER)
    running.run(60, gop(seconds, size, burst))
    assert running.rejected is None


@pytest.mark.parametrize("outage", [3, 8])
def test_what_an_encoder_has_kept_through_an_outage_is_no_higher_bitrate(outage: int) -> None:
    running = Show(MediaLimits(max_kbps=4000))
    running.say(AVC_HEADER)
    running.run(12, gop(2, BYTES))
    running.rest(outage)
    begun = running.step - outage * FPS
    late = [(step * 1000 // FPS, gop(2, BYTES)(step)[0]) for step in range(begun + 1, running.step + 1)]
    running.house.send(running.publication, *late)
    running.run(15, gop(2, BYTES))
    assert running.rejected is None


def test_time_that_an_encoder_pretends_to_have_lowers_its_bitrate_by_half_at_most() -> None:
    running = Show(MediaLimits(max_kbps=4000))
    running.say(AVC_HEADER)
    for _ in range(120):
        running.house.loop.now += 0.1
        running.step += 10
        running.say(*gop(2, 3 * BYTES)(running.step // 10))
        running.house.registry.sample(running.house.loop.now)
    assert running.rejected is Refusal.BITRATE


def test_a_tenth_more_passes_and_a_warning_is_over_at_the_limit() -> None:
    running = Show(warn=MediaLimits(max_kbps=4000))
    running.say(AVC_HEADER)
    running.run(15, gop(2, BYTES * 108 // 100))
    assert running.warnings == {}
    running.run(15, gop(2, BYTES * 3 // 2))
    assert running.warnings == {"bitrate": {"kbps": pytest.approx(6000, rel=0.02), "max_kbps": 4000}}
    running.run(15, gop(2, BYTES * 108 // 100))
    assert set(running.warnings) == {"bitrate"}
    running.run(15, gop(2, BYTES * 99 // 100))
    assert running.warnings == {}


# -- key frames


@pytest.mark.parametrize(("interval", "ends_after"), [(10, 5), (4.6, 5), (4.3, None), (4, None), (2, None)])
def test_key_frames_too_far_apart(interval: float, ends_after: int | None) -> None:
    running = Show(MediaLimits(max_keyframe_interval=4.0))
    running.say(AVC_HEADER)
    running.run(ends_after or 40, gop(interval))
    assert running.rejected is (Refusal.KEYFRAME_INTERVAL if ends_after else None)


def test_no_key_frame_at_all() -> None:
    running = Show(MediaLimits(max_keyframe_interval=4.0))
    running.say(AVC_HEADER)
    running.run(5, lambda _step: [inter()])
    assert running.rejected is None
    running.run(1, lambda _step: [inter()])
    assert running.rejected is Refusal.KEYFRAME_INTERVAL
    assert running.sentence == (
        "This stream wants a key frame every 4 s, and you send none for 5.0 s: "
        "set the keyframe interval of the encoder to 4 s."
    )


def test_neither_a_stall_nor_a_jump_in_time_is_an_interval() -> None:
    running = Show(MediaLimits(max_keyframe_interval=4.0))
    running.say(AVC_HEADER)
    running.run(4.5, gop(2))
    running.rest(9)
    begun = running.step
    running.run(6, gop(2))  # Its time has jumped by nine seconds as well.
    assert (running.rejected, running.step) == (None, begun + 60)


def test_sound_alone_needs_no_key_frames() -> None:
    running = Show(MediaLimits(max_keyframe_interval=4.0))
    running.run(20, lambda _step: [AAC_HEADER, sound()])
    assert running.rejected is None


# -- warnings


class Wrong:
    """Everything that is warned of at once."""

    LIMITS: ClassVar = MediaLimits(frozenset({"av01"}), frozenset({"Opus"}), 1280, 720, 0, 4.0)
    ALL: ClassVar = {
        "video_codec": {"codec": "avc1"},
        "audio_codec": {"codec": "mp4a"},
        "resolution": {"width": 1920, "height": 1080},
        "keyframe_interval": {"seconds": pytest.approx(4.9), "max_seconds": 4.0},
    }


def test_warnings_hold_while_it_is_so_and_end_nothing(caplog: pytest.LogCaptureFixture) -> None:
    running = Show(warn=Wrong.LIMITS)
    running.say(FULL_HD, AAC_HEADER)
    running.run(5, lambda step: [*gop(20)(step), sound()])
    assert running.warnings == Wrong.ALL
    assert running.rejected is None
    running.say(b"\x90av01\x81\x00\x00\x00")
    running.publication.receive(Message(AUDIO, 5000, 1, OPUS_HEADER), running.house.loop.now)
    running.run(4, lambda step: [b"\x91av01key"] if step % 20 == 1 else [b"\xa1av01frame"])
    assert running.warnings == {}
    lines = [record.__dict__["fields"] for record in caplog.records if record.message == "stream warning"]
    assert {line["kind"]: line["figures"] for line in lines} == {
        "video_codec": "codec=avc1",
        "audio_codec": "codec=mp4a",
        "resolution": "width=1920 height=1080",
        "keyframe_interval": "seconds=4.9 max_seconds=4",
    }


def test_one_may_be_warned_of_before_one_is_rejected() -> None:
    running = Show(MediaLimits(max_kbps=8000), MediaLimits(max_kbps=4000))
    running.say(AVC_HEADER)
    running.run(15, gop(2, BYTES * 3 // 2))
    assert (running.rejected, set(running.warnings)) == (None, {"bitrate"})
    running.run(15, gop(2, BYTES * 3))
    assert running.rejected is Refusal.BITRATE


# -- what a grant says


def test_what_a_grant_names_holds_instead_of_what_is_configured() -> None:
    configured = MediaLimits(frozenset({"avc1"}), max_kbps=4000, max_height=720)
    assert configured.under(None) == configured
    assert configured.under(MediaLimits(max_kbps=8000)) == MediaLimits(
        frozenset({"avc1"}), max_kbps=8000, max_height=720
    )


def test_who_has_no_limits_is_not_looked_at() -> None:
    publication = House().publish()
    assert publication.intake.checkup.inspection is None
    assert not MediaRules().any
