"""A slate on air: when it goes on and off, what players see of it, and what everybody else does not."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from engine_kit import (
    AAC_HEADER,
    AVC_HEADER,
    KEY,
    FakePacketSink,
    FakePublisher,
    FakeSink,
    inter,
    keyframe,
    message,
    sound,
)
from golden_captures import load
from net_kit import eventually
from outputs_kit import Heard, tags_of
from slate_kit import ANN, FILE, FRAME, Theatre, read_slate, slate_bytes

from rtmpd.engine.claim import Place
from rtmpd.engine.cover import Cover
from rtmpd.engine.levels import Outage
from rtmpd.engine.origin import Origin
from rtmpd.engine.packet import RtmpWire, track_id
from rtmpd.engine.sink import CloseReason, TapOptions
from rtmpd.engine.slate import MOST_UNWATCHED, SlateRules
from rtmpd.engine.sources import Life
from rtmpd.media.tags import KEYFRAME, video_flags
from rtmpd.media.tracks import ALL, DEFAULT, TrackChoice
from rtmpd.outputs import recorder
from rtmpd.outputs.record_rules import RecordRule, RecordStart
from rtmpd.outputs.recordings import Recordings
from rtmpd.outputs.slate_file import SlateFile
from rtmpd.rtmp.chunk_writer import encode_message
from rtmpd.rtmp.chunks import ChunkReader
from rtmpd.rtmp.limits import Limits

STILL = SlateRules(still=True)
HEADERS = {"AAC", "AVC", "AVC2", "meta"}


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> SlateFile:
    return read_slate(tmp_path_factory.mktemp("slate"), slate_bytes())


def seen(sink: FakeSink) -> list[tuple[str, int]]:
    """What it was sent since the last time."""
    return [(name, int(at)) for name, _, at in (word.partition("@") for word in sink.take().split())]


def kinds(packets: list[tuple[str, int]]) -> str:
    """``E`` the encoder's pictures, ``S`` the slate's, ``e`` and ``z`` the sounds; headers by name: runs of
    the same once.
    """
    found: list[str] = []
    for name, _ in packets:
        word = name if name in HEADERS else name[0]
        if not found or found[-1] != word:
            found.append(word)
    return " ".join(found)


def of(packets: list[tuple[str, int]], letters: str) -> list[int]:
    return [at for name, at in packets if name not in HEADERS and name[0] in letters]


def rises(times: list[int], most: int = 250) -> bool:
    return all(0 < after - before <= most for before, after in pairwise(times))


def on_air(theatre: Theatre) -> Cover | None:
    return theatre.house.stream.slate


def test_a_lost_encoder_is_stood_in_for_at_once_and_time_goes_on(file: SlateFile) -> None:
    theatre = Theatre(file)
    theatre.claim()
    sink, _ = theatre.house.play()
    theatre.run(60)
    before = seen(sink)
    theatre.lose()
    theatre.run(200)
    slate = seen(sink)
    assert [name for name, _ in slate[:2]] == ["AVC2", "S0"]  # The sound has the same header.
    pictures = [each for each in before + slate if each[0][0] in "ES" and each[0] not in HEADERS]
    assert rises([at for _, at in pictures])
    assert rises(of(before + slate, "ez"))
    # It begins again without a step in its time: 50 frames, then the first.
    names = [name for name, _ in slate if name.startswith("S")]
    assert names[48:52] == ["S48", "S49", "S0", "S1"]
    span = slate[-1][1] - slate[0][1]
    assert abs(span - 200 * FRAME) < 2 * FRAME
    assert sink.calls == ["started"] or sink.calls == []
    assert theatre.witness.take() == ["published", "unpublished", "held", "shown file"]


def test_one_that_comes_back_goes_on_with_its_first_key_frame(file: SlateFile) -> None:
    theatre = Theatre(file)
    theatre.claim()
    sink, _ = theatre.house.play()
    theatre.run(60)
    theatre.lose()
    theatre.run(100)
    seen(sink)
    theatre.base = 777_000  # It has another clock.
    theatre.claim()
    theatre.run(60)
    packets = seen(sink)
    back = [name for name, _ in packets].index("E0")
    assert packets[back - 1][0] == "AVC"
    assert not [name for name, _ in packets[back:] if name.startswith("S")]
    assert rises(of(packets, "ES"))
    assert on_air(theatre) is None
    assert theatre.house.stats.slates.on_air == 0
    assert theatre.witness.take()[-4:] == ["shown file", "published", "over resumed 4.0", "resumed 4.0"]
    assert theatre.loop.later == []  # Nobody is paced.


def test_a_silent_encoder_is_stood_in_for_and_stays_what_it_is(file: SlateFile) -> None:
    theatre = Theatre(file)
    encoder = theatre.claim()
    sink, subscription = theatre.house.play()
    theatre.run(75)
    seen(sink)
    theatre.sends = False
    theatre.run(49)
    assert of(seen(sink), "Sz") == []
    theatre.run(51)
    slate = seen(sink)
    assert of(slate, "S") != []
    stream = theatre.house.stream
    assert (stream.life, stream.publication, stream.holder) == (Life.LIVE, encoder, encoder)
    assert (stream.stats, stream.stats.video.codec) == (encoder.stats, "avc1")
    assert subscription.stats is encoder.stats
    assert encoder.silent_for(theatre.loop.now) >= 3.9
    assert {str(kind) for kind in stream.health.active} == {"stalled"}
    assert theatre.house.stats.publishers == theatre.house.stats.published_streams == 1
    assert theatre.house.stats.levels.outages[Outage.ENCODER_STALLED] >= 3.0
    # What it sends when it is back is behind its own clock by then: players are told by theirs.
    theatre.sends = True
    theatre.number -= 100
    theatre.run(100)
    packets = seen(sink)
    first = next(name for name, _ in packets if name.startswith("E"))
    assert first == "E100"  # The next key frame.
    assert rises(of(slate + packets, "ES"))
    assert theatre.witness.take() == ["published", "shown file", *theatre.witness.told, "over resumed 3.0"]


def test_one_that_comes_back_without_a_key_frame_is_waited_for_two_seconds(file: SlateFile) -> None:
    theatre = Theatre(file)
    theatre.claim()
    sink, _ = theatre.house.play()
    theatre.run(75, keyframes=0)
    theatre.sends = False
    theatre.run(100)
    seen(sink)
    theatre.sends = True
    theatre.run(70, keyframes=0)
    packets = seen(sink)
    # From its key frame on, as a backup would: what nobody is to see follows millisecond by millisecond.
    assert [name for name, _ in packets if name.startswith("E")][:2] == ["E0", "E1"]
    assert packets[-2][0] == "E244"
    assert of(packets, "ES") == sorted(of(packets, "ES"))


def test_one_that_was_lost_before_comes_back_without_a_key_frame_in_its_time(file: SlateFile) -> None:
    theatre = Theatre(file)
    theatre.claim()
    sink, _ = theatre.house.play()
    theatre.run(300)
    theatre.lose()
    theatre.run(50)
    theatre.claim()  # It begins at 0 again: its pictures have other times on air than its own.
    theatre.run(75, keyframes=0)
    theatre.sends = False
    theatre.run(100)
    theatre.sends = True
    theatre.run(70, keyframes=0)
    pictures = of(seen(sink), "ES")
    assert pictures == sorted(pictures)
    assert abs(pictures[-1] - 595 * FRAME) <= FRAME


def test_still_holds_the_last_key_frame_with_silence() -> None:
    theatre = Theatre(None, STILL)
    theatre.claim()
    sink, _ = theatre.house.play()
    theatre.run(60)
    before = seen(sink)
    theatre.lose()
    theatre.run(100)
    held = seen(sink)
    assert [name for name, _ in held if name.startswith("E")] == ["E50"] * 4 + ["E50"] * (
        len(of(held, "E")) - 4
    )
    assert {name for name, _ in held} & HEADERS == set()  # None differs.
    assert rises(of(before + held, "E"), most=1050)
    silent = [at for name, at in held if not name.startswith("E")]
    assert 160 <= len(silent) <= 180  # Of 1024 samples at 44.1 kHz, for four seconds.
    assert rises(silent, most=24)
    joiner, _ = theatre.house.play()
    assert [name for name, _ in seen(joiner)][:3] == ["AAC", "AVC", "E50"]
    theatre.claim()
    theatre.run(5)
    assert [name for name, _ in seen(sink) if name.startswith(("E", "A"))][-5:][0] == "E0"


def test_still_of_sound_alone_is_silence_and_of_pictures_alone_a_picture() -> None:
    for media, expected in ((((0, AAC_HEADER),), "silence"), (((0, AVC_HEADER),), "picture")):
        theatre = Theatre(None, STILL)
        encoder = theatre.encoder = theatre.house.registry.claim(
            KEY, FakePublisher(), ANN, theatre.loop.now, theatre.policy
        )
        theatre.sends = False
        sink, _ = theatre.house.play()
        frames = [(at, sound("e") if expected == "silence" else keyframe("E")) for at in (10, 33)]
        theatre.house.send(encoder, *media, *frames)
        seen(sink)
        theatre.lose()
        theatre.run(75)
        names = {name for name, _ in seen(sink)}
        assert ("E" in names, len(names)) == (expected == "picture", 1)


def test_without_a_slate_nothing_is_shown_and_nothing_is_kept() -> None:
    theatre = Theatre(None)
    theatre.limit(slate=None)
    theatre.claim()
    sink, subscription = theatre.house.play()
    theatre.run(60)
    theatre.lose()
    seen(sink)
    theatre.run(25)
    assert (seen(sink), on_air(theatre), theatre.loop.later) == ([], None, [])
    subscription.detach(CloseReason.FINISHED)
    assert not theatre.house.registry.streams


def test_it_is_shown_for_as_long_as_the_rules_say_and_players_are_kept_as_long(file: SlateFile) -> None:
    theatre = Theatre(file, SlateRules(FILE, seconds=20.0))
    theatre.claim()
    sink, _ = theatre.house.play()
    theatre.run(60)
    theatre.sends = False
    theatre.run(150)  # Four seconds of them on slate.
    theatre.lose()
    seen(sink)
    theatre.run(375)
    assert of(seen(sink), "S") != []
    assert theatre.house.stream.life is Life.HOLDING
    theatre.run(75)
    told = theatre.witness.take()
    assert told[:4] == ["published", "shown file", "unpublished", "held"]
    assert [word.split()[0] for word in told[4:]] == ["over", "ended"]
    assert 19.0 <= float(told[4].split()[-1]) <= 20.1  # From when it began.
    assert sink.calls[-1] == "ended"
    assert theatre.house.stats.held_streams == theatre.house.stats.slates.on_air == 0
    assert theatre.loop.later == []


def test_grace_that_is_longer_than_the_slate_holds(file: SlateFile) -> None:
    theatre = Theatre(file, SlateRules(FILE, seconds=3.0), grace=30.0)
    theatre.claim()
    sink, _ = theatre.house.play()
    theatre.run(60)
    theatre.lose()
    theatre.run(250)
    assert theatre.witness.take()[-1].startswith("over expired")
    assert theatre.house.stream.life is Life.HOLDING
    seen(sink)
    theatre.claim()
    theatre.run(5)
    assert kinds(seen(sink)) == "AVC E e E e E e E e E e"


def test_who_joins_is_shown_the_slate_from_its_key_frame(file: SlateFile) -> None:
    theatre = Theatre(file)
    theatre.claim()
    theatre.house.play()
    theatre.run(60)
    theatre.lose()
    theatre.run(40)
    joiner, _ = theatre.house.play()
    packets = seen(joiner)
    assert [name for name, _ in packets[:3]] == ["AAC", "AVC2", "S25"]
    theatre.run(10)
    assert rises(of(packets + seen(joiner), "S"))


def test_a_stream_that_nobody_watches_is_kept_for_who_comes(file: SlateFile) -> None:
    theatre = Theatre(file)
    theatre.claim()
    theatre.run(60)
    theatre.lose()
    theatre.run(60)
    sink, subscription = theatre.house.play()
    assert seen(sink)[:2][0][0] == "AAC"
    theatre.run(5)
    assert of(seen(sink), "S") != []
    subscription.detach(CloseReason.FINISHED)
    theatre.run(30)
    assert theatre.house.stream.life is Life.HOLDING
    theatre.claim()
    theatre.run(30)
    assert on_air(theatre) is None
    assert theatre.house.stats.held_streams == 0


def test_so_many_are_kept_unwatched_and_no_more(file: SlateFile) -> None:
    theatre = Theatre(file)
    theatre.claim()
    theatre.run(5)
    theatre.house.stats.held_streams = MOST_UNWATCHED
    theatre.lose()
    assert not theatre.house.registry.streams


@pytest.mark.parametrize("reason", [CloseReason.FINISHED, CloseReason.KICKED, CloseReason.MAX_DURATION])
def test_no_slate_follows_an_end_that_was_meant(file: SlateFile, reason: CloseReason) -> None:
    theatre = Theatre(file)
    encoder = theatre.claim()
    sink, _ = theatre.house.play()
    theatre.run(60)
    theatre.sends = False
    theatre.run(100)
    assert on_air(theatre) is not None
    seen(sink)
    encoder.dismiss(reason)
    theatre.run(60)
    assert (seen(sink), sink.calls[-1]) == ([], "ended")
    assert theatre.house.stats.slates.on_air == 0
    assert theatre.loop.later == []
    assert theatre.house.registry.budget.used < 100_000


def test_rtmpd_end_ends_it(file: SlateFile) -> None:
    theatre = Theatre(file)
    theatre.claim()
    sink, _ = theatre.house.play()
    theatre.run(60)
    theatre.lose()
    theatre.run(30)
    assert theatre.house.registry.end_hold(KEY)
    theatre.run(1)
    assert theatre.witness.take()[-2:] == ["over ended 1.2", "ended"]
    assert sink.calls[-1] == "ended"


def test_the_settings_may_take_it_back_or_bring_it(file: SlateFile) -> None:
    theatre = Theatre(file)
    theatre.limit(slate=None)
    theatre.claim()
    sink, _ = theatre.house.play()
    theatre.run(60)
    theatre.lose()
    theatre.run(60)
    seen(sink)
    theatre.limit(slate=theatre.rules)
    theatre.run(50)
    assert of(seen(sink), "S") != []
    theatre.limit(slate=None)
    theatre.run(50)
    seen(sink)
    theatre.run(50)
    assert (seen(sink), theatre.witness.take()[-1].split()[:2]) == ([], ["over", "withdrawn"])
    theatre.claim()
    theatre.run(5)
    assert kinds(seen(sink)) == "AVC E e E e E e E e E e"


def test_somebody_else_may_have_the_name_as_before(file: SlateFile) -> None:
    theatre = Theatre(file)
    theatre.claim()
    sink, _ = theatre.house.play()
    theatre.run(60)
    theatre.lose()
    theatre.run(30)
    theatre.claim(Origin(address="192.0.2.9", network="192.0.2.9", identity="key:b"))
    theatre.run(5)
    assert [call for call in sink.calls if call in ("ended", "started")][-2:] == ["ended", "started"]
    assert on_air(theatre) is None


def test_a_backup_goes_on_instead_of_it(file: SlateFile) -> None:
    theatre = Theatre(file)
    theatre.claim()
    sink, _ = theatre.house.play()
    theatre.run(60)
    theatre.sends = False
    theatre.run(100)
    assert on_air(theatre) is not None
    backup = theatre.house.registry.claim(
        KEY, FakePublisher(), ANN, theatre.loop.now, theatre.policy, place=Place(backup=True)
    )
    seen(sink)
    theatre.house.send(backup, (0, AAC_HEADER), (0, AVC_HEADER), (0, keyframe("B0")))
    assert [name for name, _ in seen(sink)][-2:] == ["AVC", "B0"]
    assert on_air(theatre) is None
    assert theatre.house.stream.publication is backup


def test_who_has_shown_nothing_is_not_stood_in_for(file: SlateFile) -> None:
    theatre = Theatre(file)
    theatre.house.registry.claim(KEY, FakePublisher(), ANN, theatre.loop.now, theatre.policy)
    theatre.house.play()
    theatre.run(100)
    assert on_air(theatre) is None


@pytest.mark.parametrize("wanted", [True, False])
def test_a_packet_sink_may_choose(file: SlateFile, wanted: bool) -> None:
    theatre = Theatre(file)
    theatre.claim()
    sink, _ = theatre.house.tap(TapOptions(slate=wanted))
    theatre.run(60)
    sink.take()
    theatre.lose()
    theatre.run(60)
    shown = sink.take()
    assert ("S0" in shown) is wanted
    late, _ = theatre.house.tap(TapOptions(slate=wanted), FakePacketSink())
    assert ("AVC2@4410 S0@4410" in late.take()) is wanted
    theatre.claim()
    theatre.run(5)
    words = [word.partition("@")[0] for word in sink.take().split() if word[0] not in "Sz<"]
    assert words[: words.index("E0") + 1] == (["AVC", "E0"] if wanted else ["AAC", "AVC", "E0"])


def test_what_is_late_by_a_second_is_not_made_up_for(file: SlateFile) -> None:
    theatre = Theatre(file)
    theatre.claim()
    sink, _ = theatre.house.play()
    theatre.run(60)
    theatre.lose()
    theatre.run(30)
    seen(sink)
    theatre.loop.now += 30.0  # The process stood still.
    theatre.run(10)
    packets = seen(sink)
    assert len(of(packets, "S")) < 20
    assert of(packets, "S")[-1] > 30_000  # Its time has gone on as the clock did.


def test_one_that_breaks_costs_its_stream_the_slate_alone(
    file: SlateFile, caplog: pytest.LogCaptureFixture
) -> None:
    theatre = Theatre(file)

    def broken(*_: object) -> None:
        raise RuntimeError("broken")

    theatre.house.registry.prompter.asked = broken
    theatre.claim()
    theatre.house.play()
    theatre.run(60)
    theatre.lose()
    assert "the slate of live/cam failed" in caplog.text
    assert theatre.house.stream.life is Life.HOLDING


def test_the_time_on_air_is_behind_an_encoder_that_ran_ahead_of_the_clock(file: SlateFile) -> None:
    theatre = Theatre(file)
    encoder = theatre.claim()
    sink, _ = theatre.house.play()
    theatre.run(30)
    # It sends ten seconds at once, as after an outage.
    for number in range(250):
        at = (30 + number) * FRAME
        encoder.receive(message(at, keyframe("E9") if number % 25 == 0 else sound("e")), theatre.loop.now)
    theatre.loop.run(theatre.loop.now)
    before = seen(sink)
    theatre.lose()
    theatre.run(10)
    after = [at for name, at in seen(sink) if name.startswith("S")]
    assert after[0] > max(at for _, at in before)


@pytest.mark.parametrize("wanted", [True, False])
async def test_a_recording_has_it_if_it_is_to(
    file: SlateFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wanted: bool
) -> None:
    monkeypatch.setattr(recorder, "FLUSH", 0.01)
    theatre = Theatre(file)
    rule = RecordRule(str(tmp_path), RecordStart.ALWAYS, min_free=0, slate=wanted)
    registry, heard = theatre.house.registry, Heard()
    recordings = Recordings(registry, lambda _key: rule, lambda: False, theatre.loop.clock)
    registry.observe(recordings)
    registry.accompany(recordings.accompany)
    recordings.add_listener(heard)
    theatre.claim()
    theatre.run(60)
    theatre.lose()
    theatre.run(100)
    encoder = theatre.claim()
    theatre.run(60)
    encoder.close(CloseReason.FINISHED)
    theatre.run(1)
    await eventually(lambda: heard.finished)
    (recording,) = heard.finished
    pictures = [(tag.timestamp, tag.payload[5:]) for tag in tags_of(recording.path) if tag.type == 9]
    assert any(body.startswith(b"S") for _, body in pictures) is wanted
    assert [at for at, _ in pictures] == sorted(at for at, _ in pictures)
    assert recording.duration == pytest.approx(8.8, abs=0.1)
    await recordings.close(1.0)


@pytest.mark.parametrize("tracks", [DEFAULT, ALL])
def test_still_holds_every_track_of_a_stream_that_has_several(tracks: TrackChoice) -> None:
    chunks = ChunkReader(Limits()).receive_data(load("obs32/obs32-multitrack-pub").chunks)
    media = [each for each in chunks if each.type in (8, 9, 18)]
    theatre = Theatre(None, STILL)
    encoder = theatre.encoder = theatre.house.registry.claim(
        KEY, FakePublisher(), ANN, theatre.loop.now, theatre.policy
    )
    theatre.sends = False
    sink, _ = theatre.house.play(sink=FakeSink(RtmpWire(1 << 20, 1, tracks)))
    for each in media[:400]:
        encoder.receive(each, theatre.loop.now)
    theatre.loop.run(theatre.loop.now)
    held = encoder.intake.gop.stills()
    audio = sum(header.kind == 8 for header in encoder.intake.headers.packets(0))
    assert (len({track_id(each) for each in held}), audio) == (3, 1)
    sink.writes.clear()
    theatre.lose()
    theatre.run(60)
    reader = ChunkReader(Limits())
    reader.receive_data(encode_message(1, 0, 0, (1 << 20).to_bytes(4, "big"), 2, 128))
    got = reader.receive_data(b"".join(sink.writes))
    pictures = [each.payload for each in got if each.type == 9]
    wanted = [each.payload for each in held] if tracks == ALL else [held[0].payload]
    assert pictures == wanted * 3  # Each second.
    assert {video_flags(payload) & KEYFRAME for payload in pictures} == {KEYFRAME}
    silent = [each for each in got if each.type == 8]
    assert 100 <= len(silent) <= 120
    times = [each.timestamp for each in got if each.type == 9]
    assert times == sorted(times)


def later(body: str, by: int) -> bytes:
    """A picture that is shown so many milliseconds after it came, as others are shown before."""
    return b"\x27\x01" + by.to_bytes(3, "big") + body.encode()


def test_no_picture_is_shown_before_those_that_came_earlier_nor_at_the_time_of_one(tmp_path: Path) -> None:
    """Pictures are reordered: one may be shown long after it came."""
    data = slate_bytes().replace(b"\x27\x01\x00\x00\x00", b"\x27\x01\x00\x00\xa0")
    theatre = Theatre(read_slate(tmp_path, data))
    encoder = theatre.claim()
    sink, _ = theatre.house.play()
    pictures = (0, keyframe("E0")), (40, later("E4", 160)), (80, later("E2", 40)), (120, later("E1", 0))
    theatre.house.send(encoder, *pictures)
    theatre.loop.now += 0.01
    theatre.lose()
    theatre.run(40)
    times = dict(seen(sink))
    assert times["S0"] == times["E4"] + 160 + 40
    last = max(at for name, at in times.items() if name.startswith("S") and name != "S0") + 160
    theatre.claim()
    theatre.run(1)
    assert dict(seen(sink))["E0"] == last + 40


def test_a_slate_waits_for_no_picture_that_says_it_is_shown_in_hours(file: SlateFile) -> None:
    theatre = Theatre(file)
    encoder = theatre.claim()
    sink, _ = theatre.house.play()
    theatre.house.send(encoder, (0, keyframe("E0")), (40, later("E1", 2**23 - 1)))
    theatre.loop.now += 0.01
    theatre.lose()
    theatre.run(40)
    assert dict(seen(sink))["S0"] <= 10_000


@pytest.mark.parametrize(("letter", "step"), [("e", 25), ("E", 40)])
def test_a_slate_begins_a_frame_behind_the_last_and_ends_a_frame_before_the_next(
    file: SlateFile, letter: str, step: int
) -> None:
    """Whichever medium was to go on later says when."""
    theatre = Theatre(file)
    encoder = theatre.claim()
    sink, _ = theatre.house.play()
    ahead = 100 if letter == "e" else 0
    for number in range(5):
        picture = inter(f"E{number}") if number else keyframe("E0")
        theatre.house.send(encoder, (number * 40, picture), (number * 25 + ahead, sound("e")))
    last = max(of(seen(sink), letter))
    theatre.lose()
    theatre.loop.run(theatre.loop.now + 0.95)
    slate = seen(sink)
    assert of(slate, "S")[0] == last + step
    encoder = theatre.claim()
    theatre.house.send(encoder, (9000, keyframe("E0")))
    assert of(seen(sink), "E")[0] == max(of(slate, "Sz")) + FRAME


def test_a_clock_that_was_set_back_does_not_have_the_slate_wait_for_what_it_said_before(
    file: SlateFile,
) -> None:
    theatre = Theatre(file)
    encoder = theatre.claim()
    sink, _ = theatre.house.play()
    theatre.house.send(encoder, (3_600_000, keyframe("E0")), (3_600_040, inter("E1")), (40, inter("E2")))
    seen(sink)
    theatre.lose()
    assert of(seen(sink), "S") == [80]
