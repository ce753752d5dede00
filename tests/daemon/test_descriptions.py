from __future__ import annotations

from pydantic import Field

from rtmpd.daemon.descriptions import describe
from rtmpd.daemon.fields import Section


class Inner(Section):
    """A section."""

    size: int = 1
    """In bytes,
    on two lines."""


class Base(Section):
    kept: int = 1
    """From the base."""
    replaced: int = 1
    """Of the base."""


class Outer(Base):
    replaced: int = 2
    """Of its own."""
    inner: Inner = Inner()
    named: dict[str, Inner] = Field(default_factory=dict)


def test_a_field_is_described_by_the_text_below_it():
    describe(Outer)
    fields = Outer.model_fields
    assert fields["kept"].description == "From the base."
    assert fields["replaced"].description == "Of its own."
    assert fields["inner"].description is None
    assert Base.model_fields["replaced"].description is None


def test_sections_are_described_too_those_with_names_of_peoples_own_as_well():
    describe(Outer)
    assert Inner.model_fields["size"].description == "In bytes,\non two lines."


def test_a_schema_has_the_descriptions():
    describe(Outer)
    schema = Outer.model_json_schema()
    assert schema["properties"]["kept"]["description"] == "From the base."
    assert schema["$defs"]["Inner"]["properties"]["size"]["description"] == "In bytes,\non two lines."
