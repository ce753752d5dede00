"""What files of recordings are called, whatever streams are."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtmpd.engine.key import StreamKey
from rtmpd.exceptions import UsageError
from rtmpd.outputs.folder_scan import scan
from rtmpd.outputs.names import MAX_LEVELS, NameTemplate, numbered, open_folder, stream_levels

ODD = ("..", "../../etc/passwd", ".hidden", "a\0b", "a\nb", "C:\\x", "x" * 500, "%2e%2e", "…/‮x", "a//b", "")


def levels(template: str, app: str = "live", name: str = "show", part: int = 1) -> list[str]:
    return NameTemplate.parse(template).levels(StreamKey(app, name), 1_800_000_000.0, part)


def test_a_name_has_what_its_template_says() -> None:
    assert levels("{app}/{name}_{part}") == ["live", "show_1.flv"]
    assert levels("{app}-{name}.flv", part=3) == ["live-show.flv"]
    assert levels("{name}/{part:03}", part=7) == ["show", "007.flv"]
    day = levels("{start:%Y/%m/%d}/{name}")
    assert day[0] == "2027"
    assert len(day) == 4
    assert levels("{app}/{name}", app="church/main", name="x") == ["church", "main", "x.flv"]


@pytest.mark.parametrize(
    ("template", "wrong"),
    [
        ("{nobody}", "{nobody} is not known"),
        ("{0}", "{0} is not known"),
        ("{name.__class__}", "is not known"),
        ("{name", "cannot be read"),
        ("/srv/{name}", "begins with a slash"),
        ("../{name}", '".."'),
        ("{name}/..", '".."'),
        ("{name}/", "end with the name"),
        ("", "end with the name"),
        ("a\nb", "control character"),
        ("{part:x^1000000000000}", "is no form"),
        ("{name:>9}", "is no form"),
    ],
)
def test_a_template_that_is_none_says_why(template: str, wrong: str) -> None:
    with pytest.raises(UsageError, match=wrong.replace("{", r"\{")):
        NameTemplate.parse(template)


@pytest.mark.parametrize("name", ODD)
def test_an_odd_name_stays_below_the_root(name: str, tmp_path: Path) -> None:
    assert_inside(tmp_path, levels("{app}/{name}/{part}", name=name))
    assert_inside(tmp_path, levels("{name}", app=name, name=name))


@given(st.text(max_size=300), st.text(max_size=300))
def test_no_name_leads_out(app: str, name: str) -> None:
    for level in levels("{app}/{name}_{start}", app=app, name=name):
        assert level not in ("", ".", "..")
        assert not level.startswith(".")
        assert not set(level) & set("/\0\n\\")
        assert len(level.encode()) <= 240


def test_names_that_are_shortened_stay_apart() -> None:
    one, other = (levels("{name}", name="x" * 400 + end) for end in ("a", "b"))
    assert one != other


def test_no_name_leads_deeper_than_who_tidies_up_looks(tmp_path: Path) -> None:
    deep = "/".join("a" * 128)
    one, other = (levels("{app}/{name}/{start}", name=name) for name in (deep, deep[:-1] + "b"))
    assert len(one) == MAX_LEVELS
    assert one != other
    assert_inside(tmp_path, one)
    (part,) = tmp_path.rglob("*.part")
    part.rename(part.with_suffix(""))
    assert len(scan(str(tmp_path), 0.0).files) == 1


def test_a_number_comes_before_the_suffix() -> None:
    assert [numbered("show.flv", number) for number in (1, 2)] == ["show.flv", "show-2.flv"]


def test_no_symbolic_link_is_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    root = tmp_path / "root"
    root.mkdir()
    (root / "live").symlink_to(outside)
    with pytest.raises(OSError, match=r"Not a directory|symbolic"):
        open_folder(str(root), ["live", "show"])
    assert list(outside.iterdir()) == []


def test_the_root_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        open_folder(str(tmp_path / "drive"), ["live"])


def assert_inside(root: Path, parts: list[str]) -> None:
    folder = open_folder(str(root), parts[:-1])
    try:
        os.close(os.open(parts[-1] + ".part", os.O_CREAT | os.O_RDWR, dir_fd=folder))
        real = Path(f"/proc/self/fd/{folder}").resolve()
        assert real == root or root in real.parents
    finally:
        os.close(folder)


def test_streams_of_many_levels_have_a_folder_each() -> None:
    deep = "/".join("abcdefghijklmnopqr")
    folders = [stream_levels(StreamKey("live", f"{deep}/{end}")) for end in ("1", "2", "x" * 300)]
    assert {len(levels) for levels in folders} == {MAX_LEVELS}
    assert len({tuple(levels) for levels in folders}) == 3
    assert max(len(level) for levels in folders for level in levels) <= 180
    assert stream_levels(StreamKey("live", "a/b")) == ["live", "a", "b"]
