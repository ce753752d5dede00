from __future__ import annotations

import json
import tomllib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rtmpd.daemon import toml_file
from rtmpd.daemon.toml_file import read
from rtmpd.exceptions import ConfigError

# What a line finder could trip over; no control characters, which TOML wants escaped in other ways than JSON.
TEXT = st.text(st.sampled_from("ab .=#[]{}'\"\\,\n\t€"), max_size=8)
COMMENT = st.text(st.sampled_from("ab =#[]{}'\","), max_size=8)


def basic(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


@st.composite
def strings(draw: st.DrawFn) -> str:
    """A string in one of the four ways to write it."""
    text = draw(TEXT)
    ways = [basic(text), f'"""{text.replace(chr(92), chr(92) * 2).replace(chr(34), chr(92) + chr(34))}"""']
    if "'" not in text:
        ways.append(f"'''{text}'''")
        if "\n" not in text:
            ways.append(f"'{text}'")
    return draw(st.sampled_from(ways))


@st.composite
def values(draw: st.DrawFn) -> str:
    items = draw(st.lists(strings(), max_size=3))
    ways = ["1", "true", "1979-05-27 07:32:00", f"[{', '.join(items)}]", draw(strings())]
    if items:
        comment = draw(COMMENT)
        ways += [f"[ # {comment}\n{(',' + chr(10)).join(items)},\n]", f"{{ a = {items[0]}, b = [[], {{}}] }}"]
    return draw(st.sampled_from(ways))


@given(
    st.lists(st.tuples(TEXT, values(), COMMENT, st.booleans()), max_size=6, unique_by=lambda each: each[0]),
    st.sampled_from(["\n", "\r\n"]),
)
def test_every_value_is_found_in_the_line_where_it_begins(
    statements: list[tuple[str, str, str, bool]], newline: str
) -> None:
    lines: dict[str, int] = {}
    text = "# not this: x = 1\n"
    for key, value, comment, table in statements:
        if table:
            text += f"[{basic(key)}] # {comment}\n"
            lines[key] = text.count("\n") + 1
            text += f"  x.{basic(key)} = {value} # {comment}\n\n"
        else:
            text += f"[{basic(key)}]\n"
            lines[key] = text.count("\n") + 1
            text += f"{basic(key)}={value}\n"
    found = read(text.replace("\n", newline), "file")
    assert {path[0]: line for path, _, line, _ in found} == lines


def test_tables_of_an_array_are_found_in_their_lines() -> None:
    text = "[a]\nb = [{c = 1},\n {c = 2}]\n[[a.d]]\nc = 1\n\n[[a.d]]\n"
    assert read(text, "file") == [
        (("a", "b"), [{"c": 1}, {"c": 2}], 2, []),
        (("a", "d"), [{"c": 1}, {}], 4, [4, 7]),
    ]


@example([(["b"], 2), (["b", "a"], 1), (["b"], 2), (["b", "a"], 1)])
@example([(["b", "b"], 1), (["b"], 1), (["b", "a"], 0)])
@given(
    st.lists(
        st.tuples(st.lists(st.sampled_from("ab"), min_size=1, max_size=3), st.integers(0, 3)), max_size=5
    )
)
def test_what_is_told_of_broken_files_is_told_of_no_other(
    statements: list[tuple[list[str], int]],
) -> None:
    """Where two statements cannot stand side by side tomllib says so too, and somebody tells the line."""
    forms = ["{} = 1", "[{}]", "[[{}]]", "{} = {{}}"]
    text = "\n".join(forms[form].format(".".join(path)) for path, form in statements)
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        with pytest.raises(ConfigError, match=r"file:\d+"):
            read(text, "file")
    else:
        told = [
            *toml_file._repeated([*toml_file.statements(text)]),
            *toml_file._extended([*toml_file.statements(text)]),
        ]
        assert told == []
