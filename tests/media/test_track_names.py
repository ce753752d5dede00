from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtmpd.exceptions import UsageError
from rtmpd.media.track_names import (
    Picture,
    TrackWish,
    check_audio_track,
    check_track,
    find_picture,
    name_pictures,
    read_picture,
    spell_names,
    split_name,
)
from rtmpd.media.tracks import ALL, ALL_TRACKS, DEFAULT, DEFAULT_TRACK, TrackChoice

LADDER = (Picture(0, 1280, 720), Picture(1, 1920, 1080), Picture(2, 640, 360))
PAIR = (Picture(0, 1920, 1080, 60.0), Picture(1, 1280, 720, 60.0), Picture(2, 1280, 720, 29.97))
ALIKE = (Picture(0, 1280, 720, 30.0, 1.0), Picture(1, 1280, 720, 30.0, 2.0), Picture(2, 854, 480))


@pytest.mark.parametrize(
    ("pictures", "names"),
    [
        (LADDER, {0: "720p", 1: "1080p", 2: "360p"}),
        (PAIR, {0: "1080p", 1: "720p60", 2: "720p30"}),
        (ALIKE, {0: "720p_0", 1: "720p_1", 2: "480p"}),
        ((Picture(DEFAULT_TRACK, 320, 240, 30.0),), {DEFAULT_TRACK: "240p"}),
        ((Picture(0), Picture(3)), {0: "track_0", 3: "track_3"}),
        ((Picture(0, 1280, 720, 60.0), Picture(1, 1280, 720)), {0: "720p_0", 1: "720p_1"}),
        ((), {}),
    ],
)
def test_a_track_is_called_by_its_height(pictures: tuple[Picture, ...], names: dict[int, str]) -> None:
    assert name_pictures(pictures) == names


def test_names_are_told_from_the_largest_picture_on() -> None:
    assert spell_names(LADDER) == "1080p, 720p, 360p"


@given(
    st.lists(
        st.builds(
            Picture,
            st.integers(0, 255),
            st.sampled_from((0, 320, 1280)),
            st.sampled_from((0, 240, 720)),
            st.sampled_from((0.0, 29.97, 30.0, 60.0)),
        ),
        unique_by=lambda picture: picture.track,
    )
)
def test_no_two_tracks_have_one_name_and_each_is_found_by_its_own(pictures: list[Picture]) -> None:
    names = name_pictures(pictures)
    assert len(set(names.values())) == len(pictures)
    for picture in pictures:
        assert find_picture(names[picture.track], pictures) == picture


@pytest.mark.parametrize(
    ("pictures", "name", "track"),
    [
        (LADDER, "1080p", 1),
        (LADDER, "best", 1),
        (LADDER, "480p", None),
        (LADDER, "720p60", None),
        (PAIR, "720p", 1),
        (PAIR, "720p30", 2),
        (PAIR, "1080p60", 0),
        (PAIR, "1080p30", None),
        (ALIKE, "720p", 1),
        (ALIKE, "best", 1),
        (ALIKE, "720p_0", 0),
        ((), "best", None),
    ],
)
def test_a_track_is_found_by_name(pictures: tuple[Picture, ...], name: str, track: int | None) -> None:
    found = find_picture(name, pictures)
    assert (None if found is None else found.track) == track


@pytest.mark.parametrize(
    ("name", "track"), [("480p", 2), ("1440p", 1), ("144p", 2), ("720p60", 0), ("360p_1", 2), ("track_9", 2)]
)
def test_the_next_lower_one_stands_in_for_one_that_is_not_there(name: str, track: int) -> None:
    found = find_picture(name, LADDER, nearest=True)
    assert found is not None
    assert found.track == track


@pytest.mark.parametrize(
    ("query", "video", "audio"),
    [
        ("", DEFAULT_TRACK, DEFAULT_TRACK),
        ("track=2", 2, DEFAULT_TRACK),
        ("track=0", 0, DEFAULT_TRACK),
        ("audio=1", DEFAULT_TRACK, 1),
        ("token=x&track=2&audio=1&more", 2, 1),
        ("track=all", ALL_TRACKS, ALL_TRACKS),
        ("track=all&audio=0", ALL_TRACKS, 0),
        ("track=255", 255, DEFAULT_TRACK),
        ("track=256", DEFAULT_TRACK, DEFAULT_TRACK),
        ("track=-1", DEFAULT_TRACK, DEFAULT_TRACK),
        ("track=²&audio=%00", DEFAULT_TRACK, DEFAULT_TRACK),
        ("track=00000000001", DEFAULT_TRACK, DEFAULT_TRACK),
        ("track", DEFAULT_TRACK, DEFAULT_TRACK),
        ("&&=&%zz", DEFAULT_TRACK, DEFAULT_TRACK),
        ("track=720p", "720p", DEFAULT_TRACK),
        ("track=720p60&audio=1", "720p60", 1),
        ("track=best&audio=all", "best", ALL_TRACKS),
        ("track=720p_2", "720p_2", DEFAULT_TRACK),
        ("track=720", DEFAULT_TRACK, DEFAULT_TRACK),
        ("track=0p", DEFAULT_TRACK, DEFAULT_TRACK),
        ("track=７２０p", DEFAULT_TRACK, DEFAULT_TRACK),
        ("audio=best", DEFAULT_TRACK, DEFAULT_TRACK),
        ("track=720p%0a", DEFAULT_TRACK, DEFAULT_TRACK),
    ],
)
def test_a_wish_is_read_from_a_query(query: str, video: int | str, audio: int) -> None:
    assert TrackWish.parse(query) == TrackWish(video, audio)


def test_who_understands_tracks_gets_all_unless_it_names_one() -> None:
    assert TrackWish.parse("", multitrack=True).fixed == ALL
    assert TrackWish.parse("token=x&track=what", multitrack=True).fixed == ALL
    assert TrackWish.parse("track=1", multitrack=True).fixed == TrackChoice(1, DEFAULT_TRACK)
    assert TrackWish.parse("").fixed == DEFAULT
    assert TrackWish.parse("track=best", multitrack=True) == TrackWish("best", DEFAULT_TRACK)


@pytest.mark.parametrize(
    ("wish", "pictures", "nearest", "choice"),
    [
        (TrackWish("720p", 1), LADDER, False, TrackChoice(0, 1)),
        (TrackWish("480p"), LADDER, False, None),
        (TrackWish("480p"), LADDER, True, TrackChoice(2)),
        (TrackWish("480p"), (), False, None),
        (TrackWish("480p"), (), True, DEFAULT),
        (TrackWish("best"), (), False, DEFAULT),
        (TrackWish(7), LADDER, False, TrackChoice(7)),
        (TrackWish("240p"), (Picture(DEFAULT_TRACK, 320, 240),), False, DEFAULT),
    ],
)
def test_a_wish_becomes_a_choice_among_what_is_there(
    wish: TrackWish, pictures: tuple[Picture, ...], nearest: bool, choice: TrackChoice | None
) -> None:
    assert wish.among(pictures, nearest=nearest) == choice


@pytest.mark.parametrize(
    ("name", "query", "plain"),
    [
        ("show@720p", "", ("show", "track=720p")),
        ("show@720p", "key=x", ("show", "key=x&track=720p")),
        ("room/show@best", "track=1", ("room/show", "track=1&track=best")),
        ("show@1", "", ("show", "track=1")),
        ("show@all", "", ("show", "track=all")),
        ("show@me", "key=x", ("show@me", "key=x")),
        ("show@", "", ("show@", "")),
        ("@720p", "", ("@720p", "")),
        ("show", "key=x", ("show", "key=x")),
    ],
)
def test_the_track_may_stand_behind_the_name(name: str, query: str, plain: tuple[str, str]) -> None:
    assert split_name(name, query) == plain


def test_what_stands_behind_the_name_comes_before_what_the_query_says() -> None:
    assert TrackWish.parse(split_name("show@best", "track=1")[1]).video == "best"


@pytest.mark.parametrize("track", ["720p", "best", "all", "3", 3, 0])
def test_settings_name_a_track_as_players_do(track: object) -> None:
    assert check_track(track) == str(track)


@pytest.mark.parametrize("track", ["", "720", "p", True, None, -1, 256, 1.5, "worst"])
def test_settings_that_name_no_track_are_told_what_one_is(track: object) -> None:
    with pytest.raises(UsageError, match=r'"720p", "best", "all" or a number from 0 to 255'):
        check_track(track)


def test_tracks_of_audio_have_no_names() -> None:
    assert (check_audio_track(1), check_audio_track("all")) == ("1", "all")
    with pytest.raises(UsageError, match='a track of audio is "all" or a number'):
        check_audio_track("best")


@given(st.binary(max_size=80))
def test_nothing_that_a_peer_sends_as_a_header_raises(payload: bytes) -> None:
    read_picture(0, payload)
    read_picture(0, b"\x90av01\x81\x00\x0c\x00" + payload)
    read_picture(0, b"\x17\0\0\0\0\1\x64\0\x1e\xff\xe1\0" + payload)
