from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtmpd.exceptions import Refused
from rtmpd.rtmp.amf import AmfValue
from rtmpd.rtmp.via import MAX_HOPS, NO_VIA, Via, check_connect, check_publish, introduction, join, via_of


def names(*numbers: int) -> tuple[str, ...]:
    return tuple(f"{number:016x}" for number in numbers)


def said(via: Via) -> Via:
    """What arrives of it at the other side."""
    return via_of(via.to_params().connect_object)


def test_each_server_adds_itself() -> None:
    way = NO_VIA.through("a").through("b")
    assert way == Via(("a", "b"), 2)
    assert said(way) == way
    assert said(NO_VIA) == NO_VIA


def test_where_ways_meet_the_names_are_added_and_the_longest_counts() -> None:
    far = Via(("a", "b", "c"), 3)
    assert join([]) == NO_VIA
    assert join([NO_VIA, far, Via(("d",), 1), far]) == Via(("a", "b", "d", "c"), 3)


def test_many_ways_do_not_make_a_long_one() -> None:
    way = join(Via(names(number), 1) for number in range(40)).through("me")
    assert way.hops == 2
    assert set(way.servers) == {*names(*range(40)), "me"}
    check_connect(said(way), "elsewhere")
    with pytest.raises(Refused) as caught:
        check_connect(said(way), names(17)[0])
    assert caught.value.reason == "relay_loop"


def test_what_does_not_fit_is_left_out_from_the_far_end_and_counted_all_the_same() -> None:
    way = NO_VIA
    for number in range(200):
        way = way.through(names(number)[0])
    assert way.hops == 200
    assert way.servers == names(*range(200))[-53:]
    crowd = join(Via((f"far{number}" * 8, names(number)[0]), 2) for number in range(45))
    assert set(names(*range(45))) <= set(crowd.servers)


def test_many_short_names_are_few_values_of_a_connect() -> None:
    stranger = via_of({"rtmpdVia": [chr(0x100 + number) for number in range(4000)]})
    assert len(stranger.servers) == 53


@given(st.lists(st.builds(Via, st.lists(st.text(min_size=1, max_size=64)).map(tuple), st.integers(0, 99))))
def test_names_are_bounded_whatever_is_said(ways: list[Via]) -> None:
    way = join(ways).through("me")
    assert sum(len(name.encode(errors="replace")) + 3 for name in way.servers) <= 1024
    assert len(way.servers) <= 53
    assert way.servers[-1] == "me"
    assert len(set(way.servers)) == len(way.servers)


def test_only_the_depth_is_a_bound() -> None:
    check_connect(Via(names(*range(50)), MAX_HOPS), "me")
    with pytest.raises(Refused, match="more than 16 servers") as caught:
        check_connect(Via(("a",), MAX_HOPS + 1), "me")
    assert caught.value.reason == "relay_hops"


def test_an_older_relay_names_servers_and_no_depth() -> None:
    assert via_of({"rtmpdVia": ["a", "b"]}) == Via(("a", "b"), 1)
    check_connect(via_of({"rtmpdVia": [*names(*range(30))]}), "me")


@pytest.mark.parametrize("odd", ["a", 7.0, {"0": "a"}, [7.0, "", "x" * 65, ["a"]], None])
def test_odd_names_count_as_none(odd: AmfValue) -> None:
    assert via_of({"rtmpdVia": odd}) == NO_VIA


@pytest.mark.parametrize(
    ("hops", "understood"),
    [
        (math.nan, 1),
        (-math.inf, 1),
        (-3.0, 1),
        (0.0, 1),
        (True, 1),
        ("9", 1),
        (2.5, 2),
        (1e300, 17),
        (math.inf, 17),
    ],
)
def test_an_odd_depth_counts_as_not_said_and_a_large_one_as_too_large(
    hops: AmfValue, understood: int
) -> None:
    assert via_of({"rtmpdVia": ["a"], "rtmpdHops": hops}) == Via(("a",), understood)


def test_what_is_fetched_is_not_published_where_it_came_from() -> None:
    edge = NO_VIA.through("edge")
    origin = via_of(introduction(edge, "origin"))
    way = origin.through("edge").through("hub")
    with pytest.raises(Refused) as caught:
        check_publish(said(way), "origin")
    assert caught.value.reason == "relay_loop"
    check_publish(said(way), "elsewhere")


def test_nobody_can_have_an_origin_refuse_who_fetches_from_it() -> None:
    """A player may say anything: it must not be told the one name that has connects refused."""
    told = introduction(Via(("stranger",), 1), "origin")
    assert "origin" not in via_of(told).servers
    check_connect(via_of(told), "origin")


def test_strangers_are_told_no_name() -> None:
    assert introduction(NO_VIA, "origin") == {}
