"""AMF0 and AMF3 values (Adobe AMF0 specification of 2007, AMF3 of 2013): the one place that imports pyamf.

pyamf does the decoding, and all of AMF3. It is caged: left alone it imports and instantiates classes named on
the wire, parses XML, inflates byte arrays and leaks a dozen kinds of exception. So its class loader is
replaced, and ``amf_scan`` walks every body first, refusing what must not reach it. AMF0 is written without
pyamf, because every player is told half a dozen things before its first frame.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from struct import Struct
from typing import Any, Final, TypeAlias

from rtmpd.exceptions import AmfError, UsageError
from rtmpd.reasons import SessionFailure
from rtmpd.rtmp import amf_scan
from rtmpd.rtmp.amf_scan import (
    MAX_DEPTH,
    MAX_VALUES,
    OBJECT_END,
    ObjectLayout,
    Property,
    Scan,
    object_layout,
    scan,
)

_modules: dict[str, Any] = sys.modules
with warnings.catch_warnings():
    # pyamf's own doing, at import alone: datetime.utcfromtimestamp is deprecated.
    warnings.simplefilter("ignore")
    # It asks pkg_resources for its own directory, which costs as much time and memory as all of our protocol,
    # and looks for itself where there is none.
    _modules.setdefault("pkg_resources", None)
    import pyamf
    import pyamf.amf0
    import pyamf.amf3
    import pyamf.util.imports

    if _modules["pkg_resources"] is None:
        del _modules["pkg_resources"]

__all__ = [
    "UNDEFINED",
    "AmfValue",
    "Date",
    "EcmaArray",
    "ObjectLayout",
    "Property",
    "Scan",
    "TypedObject",
    "Undefined",
    "XmlText",
    "decode_amf3",
    "decode_values",
    "encode_amf3",
    "encode_values",
    "object_layout",
    "read_values",
    "scan",
]


class Undefined:
    """Type of ``UNDEFINED``, ActionScript's undefined."""

    __slots__ = ()

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return "UNDEFINED"


UNDEFINED: Final = Undefined()


class EcmaArray(dict[str, "AmfValue"]):
    """An associative array: marker 0x08 in AMF0, where a plain dict is an anonymous object, 0x03."""

    __slots__ = ()


class TypedObject(dict[str, "AmfValue"]):
    """An object with a class name. The name is only ever text to us."""

    __slots__ = ("alias",)

    def __init__(self, alias: str, properties: dict[str, AmfValue] | None = None) -> None:
        super().__init__(properties or {})
        self.alias = alias

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TypedObject) and self.alias == other.alias and dict.__eq__(self, other)

    def __ne__(self, other: object) -> bool:
        # dict has one of its own, which knows nothing of names.
        return not self == other

    def __repr__(self) -> str:
        return f"TypedObject({self.alias!r}, {dict.__repr__(self)})"


class XmlText(str):
    """An XML document as it came; never parsed."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Date:
    """Milliseconds since 1970 in UTC; any double, so possibly outside what ``datetime`` can say."""

    milliseconds: float


_MAX_ENCODE_DEPTH: Final = 64
_TOO_DEEP: Final = f"AMF values nested deeper than {_MAX_ENCODE_DEPTH}, or inside themselves"
_MAX_SHORT_BYTES: Final = 0xFFFF
"""Of names, and of strings but for those that get a marker of their own."""

# A marker and what follows it.
_head_short = Struct(">BH").pack
_head_long = Struct(">BI").pack
_pack_boolean = Struct(">B?").pack
_pack_number = Struct(">Bd").pack
_pack_date = Struct(">Bdh").pack

AmfValue: TypeAlias = (
    "bool | float | int | str | bytes | list[AmfValue] | dict[str, AmfValue] | Undefined | Date | None"
)


def _refuse_class(alias: object) -> None:
    raise pyamf.UnknownClassAlias(f"classes are never loaded: {alias!r}")


# Every path of pyamf from a name to a class goes through this module global. The registered classes go too,
# but for its own plain object, which is found by type and not by name.
pyamf.load_class = _refuse_class
pyamf.CLASS_LOADERS.clear()
pyamf.CLASS_CACHE.clear()
pyamf.register_class(pyamf.ASObject)
if pyamf.util.imports.finder in sys.meta_path:
    # It would run pyamf's adapters whenever any part of the program first imports decimal, django and others.
    sys.meta_path.remove(pyamf.util.imports.finder)


def decode_values(data: bytes, *, max_depth: int = MAX_DEPTH, max_values: int = MAX_VALUES) -> list[AmfValue]:
    """Decode every AMF0 value of ``data``, with AMF3 behind the marker 0x11. Raises AmfError.

    AMF0 numbers come as floats, strings with bad UTF-8 get U+FFFD for it, a value met by reference comes
    as a copy.
    """
    scanned = scan(data, max_depth=max_depth, max_values=max_values)
    return read_values(scanned.body, scanned.length)


def read_values(body: bytes, count: int) -> list[AmfValue]:
    """Decode ``count`` AMF0 values of a ``body`` that ``scan`` gave. Raises AmfError."""
    decoder = _Amf0Decoder(body)
    try:
        return [_read(decoder) for _ in range(count)]
    finally:
        _release(decoder)


def decode_amf3(data: bytes, *, max_depth: int = MAX_DEPTH, max_values: int = MAX_VALUES) -> AmfValue:
    """Decode exactly one AMF3 value, without the AMF0 marker 0x11 before it. Raises AmfError."""
    amf_scan.scan_amf3(data, max_depth=max_depth, max_values=max_values)
    decoder = _Amf3Decoder(data)
    try:
        return _read(decoder)
    finally:
        _release(decoder)


def encode_values(*values: AmfValue) -> bytes:
    """Encode as AMF0. Raises UsageError for what AMF0 cannot say (byte arrays among it)."""
    out = bytearray()
    try:
        for value in values:
            _write_amf0(out, value, 0)
    except (OverflowError, UnicodeError) as error:
        raise UsageError(f"cannot be encoded as AMF: {error!r}") from error
    return bytes(out)


def encode_amf3(value: AmfValue) -> bytes:
    """Encode one AMF3 value, without the AMF0 marker 0x11 before it. Raises UsageError."""
    encoder = _Amf3Encoder()
    try:
        _check_amf3(value, 0)
        encoder.writeElement(value)
        return bytes(encoder.stream.getvalue())
    except UsageError:
        raise
    except Exception as error:
        raise UsageError(f"cannot be encoded as AMF: {error!r}") from error
    finally:
        _release(encoder)
        # It would keep every integer ever encoded.
        pyamf.amf3.ENCODED_INT_CACHE.clear()


def _read(decoder: Any) -> AmfValue:
    try:
        return _plain(decoder.readElement())
    except Exception as error:
        raise AmfError(
            SessionFailure.AMF_MALFORMED, f"AMF cannot be decoded: {type(error).__name__}"
        ) from error


def _release(codec: Any) -> None:
    """A codec of pyamf's refers to itself, so that the cyclic collector alone would free what it has read."""
    codec._func_cache.clear()
    inner = codec.context.extra.pop("amf3_decoder", None)
    if inner is not None:
        _release(inner)


def _plain(value: Any) -> AmfValue:
    """Our own types for pyamf's, as a tree: the scan has bounded its depth and size."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if not isinstance(value, dict):
        return UNDEFINED if value is pyamf.Undefined else value
    properties = {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, pyamf.TypedObject):
        return TypedObject(value.alias, properties)
    return EcmaArray(properties) if isinstance(value, pyamf.MixedArray) else properties


def _write_amf0(out: bytearray, value: AmfValue, depth: int) -> None:
    """Append one value. References are never written: no RTMP client but Flash follows them."""
    if depth > _MAX_ENCODE_DEPTH:
        raise UsageError(_TOO_DEEP)
    if isinstance(value, str):
        text = value.encode()
        if isinstance(value, XmlText):
            out += _head_long(amf_scan.XML_DOCUMENT, len(text))
        elif len(text) > _MAX_SHORT_BYTES:
            out += _head_long(amf_scan.LONG_STRING, len(text))
        else:
            out += _head_short(amf_scan.STRING, len(text))
        out += text
    elif value is None:
        out.append(amf_scan.NULL)
    elif isinstance(value, bool):
        out += _pack_boolean(amf_scan.BOOLEAN, value)
    elif isinstance(value, int | float):
        out += _pack_number(amf_scan.NUMBER, float(value))
    elif isinstance(value, dict):
        _write_amf0_object(out, value, depth)
    elif isinstance(value, list | tuple):
        out += _head_long(amf_scan.STRICT_ARRAY, len(value))
        for item in value:
            _write_amf0(out, item, depth + 1)
    elif isinstance(value, Undefined):
        out.append(amf_scan.UNDEFINED)
    elif isinstance(value, Mapping):  # A read-only view of what was decoded.
        _write_amf0_object(out, dict(value), depth)
    elif isinstance(value, Date):
        out += _pack_date(amf_scan.DATE, float(value.milliseconds), 0)
    else:
        raise UsageError(f"AMF0 cannot say a {type(value).__name__}")


def _write_amf0_object(out: bytearray, properties: dict[str, AmfValue], depth: int) -> None:
    if isinstance(properties, TypedObject):
        out.append(amf_scan.TYPED_OBJECT)
        out += _amf0_key(properties.alias)
    elif isinstance(properties, EcmaArray):
        out += _head_long(amf_scan.ECMA_ARRAY, len(properties))
    else:
        out.append(amf_scan.OBJECT)
    for key, value in properties.items():
        out += _amf0_key(key)
        _write_amf0(out, value, depth + 1)
    out += OBJECT_END


def _amf0_key(key: str) -> bytes:
    text = _key_bytes(key)
    return len(text).to_bytes(2, "big") + text


def _key_bytes(key: object) -> bytes:
    if not isinstance(key, str) or len(text := key.encode()) > _MAX_SHORT_BYTES:
        raise UsageError(f"not a property name in AMF: {key!r:.80}")
    return text


def _check_amf3(value: object, depth: int) -> None:
    if depth > _MAX_ENCODE_DEPTH:
        raise UsageError(_TOO_DEEP)
    if isinstance(value, dict):
        for key, item in value.items():
            if not _key_bytes(key):
                raise UsageError("an empty name ends an object in AMF3")
            _check_amf3(item, depth + 1)
        if isinstance(value, TypedObject):
            _check_amf3({value.alias: None}, depth)
    elif isinstance(value, list | tuple):
        for item in value:
            _check_amf3(item, depth + 1)
    elif not (value is None or isinstance(value, bool | int | float | str | bytes | Undefined | Date)):
        raise UsageError(f"AMF3 cannot say a {type(value).__name__}")


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


class _Amf0Context(pyamf.amf0.Context):
    def getAMF3Decoder(self, amf0_decoder: Any) -> Any:
        if "amf3_decoder" not in self.extra:
            self.extra["amf3_decoder"] = _Amf3Decoder(amf0_decoder.stream)
        return self.extra["amf3_decoder"]

    def getStringForBytes(self, s: bytes) -> str:
        return _text(s)


class _Amf0Decoder(pyamf.amf0.Decoder):
    """pyamf's decoder, where it would parse XML, build dates or classes, or turn numbers and keys to ints."""

    def buildContext(self, **kwargs: Any) -> Any:
        return _Amf0Context(**kwargs)

    def readNumber(self) -> float:
        return float(self.stream.read_double())

    def readString(self, _raw: bool = False) -> str:
        return _text(self.stream.read(self.stream.read_ushort()))

    def readMixedArray(self) -> Any:
        self.stream.read_ulong()
        array = pyamf.MixedArray()
        self.context.addObject(array)
        array.update(self.readObjectAttributes(array))
        return array

    def readTypedObject(self) -> Any:
        typed = pyamf.TypedObject(self.readString())
        self.context.addObject(typed)
        typed.update(self.readObjectAttributes(typed))
        return typed

    def readDate(self) -> Date:
        milliseconds = self.stream.read_double()
        self.stream.read_short()  # a time zone, which the specification says to ignore
        return Date(milliseconds)

    def readXML(self) -> XmlText:
        return XmlText(self.readLongString())


class _Amf3Context(pyamf.amf3.Context):
    def getStringForBytes(self, s: bytes) -> str:
        return _text(s)


class _Amf3Decoder(pyamf.amf3.Decoder):
    """pyamf's decoder, where it would parse XML, build dates, inflate byte arrays or trip over bad UTF-8."""

    def buildContext(self, **kwargs: Any) -> Any:
        return _Amf3Context(**kwargs)

    def readBytes(self) -> str:
        return str(self.readString())

    def readDate(self) -> Any:
        return self._leaf(lambda _: Date(self.stream.read_double()))

    def readXML(self) -> Any:
        return self._leaf(lambda size: XmlText(_text(self.stream.read(size))))

    def readByteArray(self) -> Any:
        return self._leaf(self.stream.read)

    def _leaf(self, read: Callable[[int], Any]) -> Any:
        header = self.readInteger(False)
        if not header & pyamf.amf3.REFERENCE_BIT:
            return self.context.getObject(header >> 1)
        value = read(header >> 1)
        self.context.addObject(value)
        return value


class _Amf3Encoder(pyamf.amf3.Encoder):
    """pyamf's encoder with our types."""

    def getTypeFunc(self, data: Any) -> Any:
        for type_, write in (
            (XmlText, self.writeXML),
            (Undefined, self.writeUndefined),
            (Date, self.writeDate),
            (EcmaArray, self.writeDict),
            (TypedObject, self.writeTypedObject),
            (dict, self.writeObject),
            (bytes, self.writeByteArray),
            (bool, self.writeBoolean),
            (int, self.writeInteger),
        ):
            if isinstance(data, type_):
                return write
        return super().getTypeFunc(data)

    def writeDate(self, n: Date) -> None:
        self.context.addObject(n)
        self.stream.write(pyamf.amf3.TYPE_DATE)
        self._writeInteger(pyamf.amf3.REFERENCE_BIT)
        self.stream.write_double(n.milliseconds)

    def writeXML(self, n: XmlText) -> None:
        self._write_blob(pyamf.amf3.TYPE_XMLSTRING, n, n.encode())

    def writeByteArray(self, n: bytes) -> None:
        self._write_blob(pyamf.amf3.TYPE_BYTEARRAY, n, n)

    def _write_blob(self, marker: bytes, value: object, data: bytes) -> None:
        self.context.addObject(value)
        self.stream.write(marker)
        self._writeInteger(len(data) << 1 | pyamf.amf3.REFERENCE_BIT)
        self.stream.write(data)

    def writeTypedObject(self, o: TypedObject) -> None:
        # pyamf keys class definitions by Python class, of which all these have one: write each in full.
        definition = pyamf.amf3.ClassDefinition(pyamf.TypedObjectClassAlias(o.alias))
        self.context.addObject(o)
        self.context.addClass(definition, definition)
        self.stream.write(pyamf.amf3.TYPE_OBJECT)
        self._writeInteger(pyamf.amf3.ObjectEncoding.DYNAMIC << 2 | 0b11)
        self.serialiseString(o.alias)
        for key, value in o.items():
            self.serialiseString(key)
            self.writeElement(value)
        self.serialiseString("")
