"""A walk over AMF bytes that builds nothing: what is declared is checked against what is there.

It refuses what must never reach a decoder (unknown markers, externalizable objects, reference cycles) and
bounds what decoding may cost: depth, values and, through references, the size of the expanded result.
A value reached by reference counts as if it were written out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

from rtmpd.exceptions import AmfError
from rtmpd.reasons import SessionFailure

MAX_DEPTH: Final = 16
"""Objects and arrays inside one another; a scalar on its own has depth 0."""
MAX_VALUES: Final = 4096
_ALL: Final = 1 << 30
OBJECT_END: Final = b"\x00\x00\x09"

NUMBER: Final = 0x00
BOOLEAN: Final = 0x01
STRING: Final = 0x02
OBJECT: Final = 0x03
NULL: Final = 0x05
UNDEFINED: Final = 0x06
REFERENCE: Final = 0x07
ECMA_ARRAY: Final = 0x08
STRICT_ARRAY: Final = 0x0A
DATE: Final = 0x0B
LONG_STRING: Final = 0x0C
UNSUPPORTED: Final = 0x0D
XML_DOCUMENT: Final = 0x0F
TYPED_OBJECT: Final = 0x10
AVMPLUS: Final = 0x11

_AMF0_FIXED: Final = {NUMBER: 8, BOOLEAN: 1, NULL: 0, UNDEFINED: 0, DATE: 10, UNSUPPORTED: 0}
_AMF0_COUNTED: Final = {STRING: 2, LONG_STRING: 4, XML_DOCUMENT: 4}
_AMF3_UNDEFINED_TO_TRUE: Final = range(0x04)
_AMF3_INTEGER: Final = 0x04
_AMF3_DOUBLE: Final = 0x05
_AMF3_STRING: Final = 0x06
_AMF3_DATE: Final = 0x08
_AMF3_ARRAY: Final = 0x09
_AMF3_OBJECT: Final = 0x0A
_AMF3_BLOBS: Final = frozenset({0x07, 0x0B, 0x0C})
"""XMLDocument, XML and ByteArray: a length and that many bytes."""
_AMF3_REFERABLE: Final = _AMF3_BLOBS | {_AMF3_DATE, _AMF3_ARRAY, _AMF3_OBJECT}
"""What may be written once and referred to from then on."""
_MAX_EXPANSION_BYTES: Final = 1024 * 1024
"""Text and blobs that references may add to what is written out."""


class Property(NamedTuple):
    """Where one property of an AMF0 object lies in the bytes that were walked."""

    key: bytes
    start: int
    """Of the key's length."""
    value_start: int
    """Of the value's marker."""
    end: int


class ObjectLayout(NamedTuple):
    """Where the parts of an AMF0 object or ECMA array lie."""

    properties: list[Property]
    end: int
    """One past the end marker, or the end of the bytes when the marker is missing."""


class _Cost(NamedTuple):
    """What a finished object costs whoever refers to it."""

    values: int
    height: int
    text_bytes: int


@dataclass(frozen=True, slots=True)
class _Traits:
    members: int
    dynamic: bool
    text_bytes: int


_NO_VALUE: Final = frozenset({SessionFailure.AMF_TRUNCATED, SessionFailure.AMF_MARKER})
"""Why bytes can be read as no value at all."""


class Scan(NamedTuple):
    """What a walk over a whole body found."""

    body: bytes
    """The bytes of ``length`` values, each whole."""
    length: int
    """Values that stand in no other."""
    values: int
    """All values, those reached by reference as if they were written out."""
    missing_ends: int
    """Object end markers that the body lacked."""
    trailing: int
    """Bytes after the last value that are not one."""


def scan(
    data: bytes, *, max_depth: int = MAX_DEPTH, max_values: int = MAX_VALUES, min_values: int = _ALL
) -> Scan:
    """Walk a whole AMF0 body.

    After ``min_values`` values, bytes that are no value end the body and are left out: padding, and buffers
    sent one byte too long. Raises AmfError (``amf_truncated``, ``amf_marker``, ``amf_depth``, ``amf_values``,
    ``amf_reference``, ``amf_externalizable``).
    """
    scanner = _Scanner(data, max_depth, max_values)
    count = 0
    end = len(data)
    while scanner.pos < end:
        start = scanner.pos
        values = scanner.values
        try:
            scanner.amf0_value(0)
        except AmfError as error:
            if count < min_values or error.reason not in _NO_VALUE:
                raise
            return Scan(data[:start], count, values, 0, end - start)
        count += 1
    missing = scanner.missing_ends
    body = data[: scanner.whole_to] + OBJECT_END * missing if missing else data
    return Scan(body, count, scanner.values, missing, 0)


def scan_amf3(data: bytes, *, max_depth: int = MAX_DEPTH, max_values: int = MAX_VALUES) -> None:
    """Walk exactly one AMF3 value. Raises AmfError, as ``scan`` does, also when bytes follow it."""
    scanner = _Scanner(data, max_depth, max_values)
    scanner.amf3_value(0)
    if scanner.pos != len(data):
        raise AmfError(SessionFailure.AMF_TRAILING, f"{len(data) - scanner.pos} bytes follow an AMF3 value")


def object_layout(
    data: bytes, pos: int, *, max_depth: int = MAX_DEPTH, max_values: int = MAX_VALUES
) -> ObjectLayout:
    """Layout of the AMF0 object, typed object or ECMA array whose marker is at ``pos``. Raises AmfError."""
    scanner = _Scanner(data, max_depth, max_values, pos)
    if data[pos : pos + 1] not in (b"\x03", b"\x08", b"\x10"):
        raise AmfError(SessionFailure.AMF_MARKER, "an object is expected")
    scanner.layout = []
    scanner.amf0_value(0)
    if scanner.missing_ends > 1:
        raise AmfError(SessionFailure.AMF_TRUNCATED, "an object inside another lacks its end")
    return ObjectLayout(scanner.layout, scanner.pos)


class _Scanner:
    """Position, budgets and reference tables of one walk."""

    def __init__(self, data: bytes, max_depth: int, max_values: int, pos: int = 0) -> None:
        self.data = data
        self.pos = pos
        self.missing_ends = 0
        self.whole_to = 0
        """Where the bytes end that lack the missing ends."""
        self.layout: list[Property] | None = None
        """Filled with the properties of the outermost object when it is a list."""
        self._max_depth = max_depth
        self._max_values = max_values
        self.values = 0
        self._text_bytes = 0
        self._deepest = 0
        # Objects by reference index; None while an object is still open.
        self._amf0_objects: list[_Cost | None] = []
        self._amf3_objects: list[_Cost | None] = []
        self._amf3_strings: list[int] = []
        self._amf3_traits: list[_Traits] = []

    # Bytes and budgets

    def _take(self, size: int) -> int:
        """Claim ``size`` bytes and return where they start."""
        start = self.pos
        if size > len(self.data) - start:
            raise AmfError(
                SessionFailure.AMF_TRUNCATED, f"{size} bytes declared, {len(self.data) - start} left"
            )
        self.pos = start + size
        return start

    def _unsigned(self, size: int) -> int:
        start = self._take(size)
        return int.from_bytes(self.data[start : start + size], "big")

    def _text(self, size: int) -> int:
        self._text_bytes += size
        return self._take(size)

    def _count_values(self, values: int) -> None:
        self.values += values
        if self.values > self._max_values:
            raise AmfError(SessionFailure.AMF_VALUES, f"more than {self._max_values} values")

    def _check_depth(self, depth: int) -> None:
        if depth > self._max_depth:
            raise AmfError(SessionFailure.AMF_DEPTH, f"nested deeper than {self._max_depth}")
        self._deepest = max(self._deepest, depth)

    def _check_elements(self, count: int) -> None:
        if count > len(self.data) - self.pos:
            raise AmfError(
                SessionFailure.AMF_TRUNCATED,
                f"{count} elements declared, {len(self.data) - self.pos} bytes left",
            )

    def _refer(self, objects: list[_Cost | None], index: int, depth: int) -> None:
        if index >= len(objects):
            raise AmfError(SessionFailure.AMF_REFERENCE, f"reference {index} of {len(objects)} objects")
        cost = objects[index]
        if cost is None:
            raise AmfError(SessionFailure.AMF_REFERENCE, "an object refers to itself")
        self._count_values(cost.values)
        self._check_depth(depth + cost.height)
        self._text_bytes += cost.text_bytes
        self._check_expansion()

    def _check_expansion(self) -> None:
        if self._text_bytes > len(self.data) + _MAX_EXPANSION_BYTES:
            raise AmfError(SessionFailure.AMF_REFERENCE, "references expand to too much text")

    # AMF0

    def amf0_value(self, depth: int) -> None:
        """Walk one value; ``depth`` is that of the object around it."""
        self._count_values(1)
        marker = self._unsigned(1)
        if (size := _AMF0_FIXED.get(marker)) is not None:
            self._take(size)
        elif (length_size := _AMF0_COUNTED.get(marker)) is not None:
            self._text(self._unsigned(length_size))
        elif marker == REFERENCE:
            self._refer(self._amf0_objects, self._unsigned(2), depth)
        elif marker == AVMPLUS:
            self.amf3_value(depth)
        elif marker in (OBJECT, ECMA_ARRAY, STRICT_ARRAY, TYPED_OBJECT):
            self._amf0_complex(marker, depth + 1)
        else:
            raise AmfError(SessionFailure.AMF_MARKER, f"AMF0 marker {marker:#04x}")

    def _amf0_complex(self, marker: int, depth: int) -> None:
        opened = self._open(self._amf0_objects, depth)
        if marker == STRICT_ARRAY:
            count = self._unsigned(4)
            self._check_elements(count)
            for _ in range(count):
                self.amf0_value(depth)
        else:
            if marker == ECMA_ARRAY:
                self._take(4)  # the count is wrong in the wild; the end marker decides
            elif marker == TYPED_OBJECT:
                self._text(self._unsigned(2))
            self._amf0_properties(depth)
        self._close(self._amf0_objects, depth, opened)

    def _amf0_properties(self, depth: int) -> None:
        data = self.data
        first = True
        while True:
            start = self.pos
            # quirk(hardware encoders): the last object of a body lacks its end marker, or a part of it, and
            # so do the objects that it is in.
            left = len(data) - start
            if left < 3 and data[start:] == OBJECT_END[:left] and not first:
                if not self.missing_ends:
                    self.whole_to = start
                self.missing_ends += 1
                self.pos = len(data)
                return
            key_size = self._unsigned(2)
            key_start = self._text(key_size)
            # The end of an object is the marker 0x09 after a key, which is empty when the peer is sane.
            if data[self.pos : self.pos + 1] == OBJECT_END[2:]:
                if key_size:
                    raise AmfError(SessionFailure.AMF_MARKER, "an object ends after a key")
                self.pos += 1
                return
            value_start = self.pos
            self.amf0_value(depth)
            if depth == 1 and self.layout is not None:
                key = data[key_start : key_start + key_size]
                self.layout.append(Property(key, start, value_start, self.pos))
            first = False

    def _open(self, objects: list[_Cost | None], depth: int) -> tuple[int, int, int, int]:
        self._check_depth(depth)
        objects.append(None)
        opened = (len(objects) - 1, self.values, self._text_bytes, self._deepest)
        self._deepest = depth
        return opened

    def _close(self, objects: list[_Cost | None], depth: int, opened: tuple[int, int, int, int]) -> None:
        index, values, text_bytes, deepest = opened
        height = self._deepest - depth + 1
        objects[index] = _Cost(self.values - values, height, self._text_bytes - text_bytes)
        self._deepest = max(self._deepest, deepest)

    # AMF3

    def amf3_value(self, depth: int) -> None:
        """Walk one value; ``depth`` is that of the object around it."""
        self._count_values(1)
        marker = self._unsigned(1)
        if marker in _AMF3_UNDEFINED_TO_TRUE:
            return
        if marker == _AMF3_INTEGER:
            self._u29()
        elif marker == _AMF3_DOUBLE:
            self._take(8)
        elif marker == _AMF3_STRING:
            self._amf3_string()
        elif marker in _AMF3_REFERABLE:
            self._amf3_referable(marker, depth)
        else:
            raise AmfError(SessionFailure.AMF_MARKER, f"AMF3 marker {marker:#04x}")

    def _u29(self) -> int:
        value = 0
        for _ in range(3):
            byte = self._unsigned(1)
            value = value << 7 | byte & 0x7F
            if byte < 0x80:
                return value
        return value << 8 | self._unsigned(1)

    def _amf3_string(self) -> int:
        """Walk a string without marker and return its size in bytes."""
        header = self._u29()
        if not header & 1:
            if header >> 1 >= len(self._amf3_strings):
                raise AmfError(
                    SessionFailure.AMF_REFERENCE,
                    f"reference {header >> 1} of {len(self._amf3_strings)} strings",
                )
            size = self._amf3_strings[header >> 1]
            self._text_bytes += size
            self._check_expansion()
            return size
        size = header >> 1
        self._text(size)
        if size:
            self._amf3_strings.append(size)
        return size

    def _amf3_referable(self, marker: int, depth: int) -> None:
        header = self._u29()
        if not header & 1:
            self._refer(self._amf3_objects, header >> 1, depth)
        elif marker == _AMF3_ARRAY:
            self._amf3_array(header >> 1, depth + 1)
        elif marker == _AMF3_OBJECT:
            self._amf3_object(header >> 1, depth + 1)
        elif marker == _AMF3_DATE:
            self._take(8)
            self._amf3_objects.append(_Cost(0, 0, 0))
        else:
            self._text(header >> 1)
            self._amf3_objects.append(_Cost(0, 0, header >> 1))

    def _amf3_array(self, count: int, depth: int) -> None:
        opened = self._open(self._amf3_objects, depth)
        while self._amf3_string():
            self.amf3_value(depth)
        self._check_elements(count)
        for _ in range(count):
            self.amf3_value(depth)
        self._close(self._amf3_objects, depth, opened)

    def _amf3_object(self, header: int, depth: int) -> None:
        traits = self._amf3_read_traits(header)
        opened = self._open(self._amf3_objects, depth)
        self._text_bytes += traits.text_bytes
        self._check_expansion()
        self._check_elements(traits.members)
        for _ in range(traits.members):
            self.amf3_value(depth)
        while traits.dynamic and self._amf3_string():
            self.amf3_value(depth)
        self._close(self._amf3_objects, depth, opened)

    def _amf3_read_traits(self, header: int) -> _Traits:
        if not header & 1:
            if header >> 1 >= len(self._amf3_traits):
                raise AmfError(
                    SessionFailure.AMF_REFERENCE,
                    f"reference {header >> 1} of {len(self._amf3_traits)} traits",
                )
            return self._amf3_traits[header >> 1]
        if header & 2:
            raise AmfError(SessionFailure.AMF_EXTERNALIZABLE, "externalizable objects are not accepted")
        members = header >> 3
        text_bytes = self._amf3_string()
        self._check_elements(members)
        self._count_values(members)
        for _ in range(members):
            text_bytes += self._amf3_string()
        traits = _Traits(members, bool(header & 4), text_bytes)
        self._amf3_traits.append(traits)
        return traits
