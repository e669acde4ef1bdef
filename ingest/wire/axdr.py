"""Bytes become COSEM data, COSEM data becomes bytes (A-XDR encoding of the type ``Data``, IEC 62056-6-2 clause 4.1.5).

Every value keeps its tag (``Data(tag, value)``), so that what was decoded encodes to the same bytes. Decoding is
bounded in depth and in number of values and raises only ``WireRefusal``; encoding a value that its tag cannot hold
raises ValueError.
"""

import struct
from collections.abc import Callable
from enum import IntEnum
from typing import Final, NamedTuple, TypeAlias

from ingest.errors import WireRefusal

MAX_DEPTH: Final = 16
MAX_VALUES: Final = 200_000
"""Values in one APDU: a year of quarter-hours with five columns fits, an amplifying array does not."""


class Tag(IntEnum):
    """Tags of the CHOICE ``Data`` (IEC 62056-6-2, table 4; delta types since edition 4)."""

    NULL = 0
    ARRAY = 1
    STRUCTURE = 2
    BOOLEAN = 3
    BIT_STRING = 4
    DOUBLE_LONG = 5
    DOUBLE_LONG_UNSIGNED = 6
    OCTET_STRING = 9
    VISIBLE_STRING = 10
    UTF8_STRING = 12
    BCD = 13
    INTEGER = 15
    LONG = 16
    UNSIGNED = 17
    LONG_UNSIGNED = 18
    COMPACT_ARRAY = 19
    LONG64 = 20
    LONG64_UNSIGNED = 21
    ENUM = 22
    FLOAT32 = 23
    FLOAT64 = 24
    DATE_TIME = 25
    DATE = 26
    TIME = 27
    DELTA_INTEGER = 28
    DELTA_LONG = 29
    DELTA_DOUBLE_LONG = 30
    DELTA_UNSIGNED = 31
    DELTA_LONG_UNSIGNED = 32
    DELTA_DOUBLE_LONG_UNSIGNED = 33
    DONT_CARE = 255


class Shape(NamedTuple):
    """The type description of a compact array: ``size`` for an array, ``parts`` for array (one) and structure."""

    tag: Tag
    size: int = 0
    parts: tuple["Shape", ...] = ()


class Compact(NamedTuple):
    """A compact array: one shape, then values of that shape."""

    shape: Shape
    items: tuple["Data", ...]


Value: TypeAlias = "bool | int | float | bytes | str | tuple[Data, ...] | Compact | None"


class Data(NamedTuple):
    """One COSEM value: bit strings are text of 0 and 1, dates and times their raw bytes, arrays tuples of ``Data``."""

    tag: Tag
    value: Value = None

    @property
    def plain(self) -> object:
        """The value without tags: lists for arrays, structures and compact arrays."""
        if isinstance(self.value, Compact):
            return [item.plain for item in self.value.items]
        if isinstance(self.value, tuple):
            return [item.plain for item in self.value]
        return self.value


NUMBERS: Final[dict[Tag, struct.Struct]] = {
    Tag.DOUBLE_LONG: struct.Struct(">i"),
    Tag.DOUBLE_LONG_UNSIGNED: struct.Struct(">I"),
    Tag.BCD: struct.Struct(">b"),
    Tag.INTEGER: struct.Struct(">b"),
    Tag.LONG: struct.Struct(">h"),
    Tag.UNSIGNED: struct.Struct(">B"),
    Tag.LONG_UNSIGNED: struct.Struct(">H"),
    Tag.LONG64: struct.Struct(">q"),
    Tag.LONG64_UNSIGNED: struct.Struct(">Q"),
    Tag.ENUM: struct.Struct(">B"),
    Tag.FLOAT32: struct.Struct(">f"),
    Tag.FLOAT64: struct.Struct(">d"),
    Tag.DELTA_INTEGER: struct.Struct(">b"),
    Tag.DELTA_LONG: struct.Struct(">h"),
    Tag.DELTA_DOUBLE_LONG: struct.Struct(">i"),
    Tag.DELTA_UNSIGNED: struct.Struct(">B"),
    Tag.DELTA_LONG_UNSIGNED: struct.Struct(">H"),
    Tag.DELTA_DOUBLE_LONG_UNSIGNED: struct.Struct(">I"),
}
RAW: Final[dict[Tag, int]] = {Tag.DATE_TIME: 12, Tag.DATE: 5, Tag.TIME: 4}
EMPTY: Final = (Tag.NULL, Tag.DONT_CARE)
_TAGS: Final = {int(tag): tag for tag in Tag}
_LONE: Final = {int(tag): (tag, number.unpack_from, 1 + number.size) for tag, number in NUMBERS.items()}
"""Numbers by their tag byte: what most answers are."""


class Cursor:
    """A position in bytes; every step is checked and raises ``WireRefusal("truncated")`` past the end."""

    def __init__(self, data: bytes, at: int = 0) -> None:
        self.data = data
        self.at = at
        self.left_values = MAX_VALUES

    @property
    def left(self) -> int:
        """Bytes not read yet."""
        return len(self.data) - self.at

    def take(self, count: int) -> bytes:
        """The next ``count`` bytes."""
        start, end = self.at, self.at + count
        if end > len(self.data):
            raise WireRefusal("truncated", f"{count} bytes wanted at {self.at}, {self.left} left")
        self.at = end
        return self.data[start:end]

    def byte(self) -> int:
        """The next byte."""
        at = self.at
        if at >= len(self.data):
            return self.take(1)[0]
        self.at = at + 1
        return self.data[at]

    def uint(self, size: int) -> int:
        """The next big-endian unsigned integer of ``size`` bytes."""
        return int.from_bytes(self.take(size), "big")

    def length(self) -> int:
        """A length as A-XDR and BER write it: one byte below 128, else 1 to 4 bytes behind their number."""
        first = self.byte()
        if first < 0x80:
            return first
        if not 1 <= first - 0x80 <= 4:
            raise WireRefusal("bad_length", f"length of {first - 0x80} bytes at {self.at - 1}")
        return self.uint(first - 0x80)

    def octets(self) -> bytes:
        """A length, then that many bytes."""
        return self.take(self.length())

    def end(self) -> None:
        """Refuse what is left over."""
        if self.left:
            raise WireRefusal("trailing", f"{self.left} bytes after the value at {self.at}")

    def count_value(self) -> None:
        """Refuse more values than any real answer has."""
        self.left_values -= 1
        if self.left_values < 0:
            raise WireRefusal("too_many_values", f"more than {MAX_VALUES}")


def decode(data: bytes) -> Data:
    """The one value that ``data`` holds, to its last byte.

    >>> decode(bytes.fromhex("0202060000012c1203e8")).plain
    [300, 1000]
    """
    number = _LONE.get(data[0]) if data else None
    if number is not None and len(data) == number[2]:
        return Data(number[0], number[1](data, 1)[0])
    cursor = Cursor(data)
    value = read(cursor)
    cursor.end()
    return value


def read(cursor: Cursor, depth: int = 0) -> Data:
    """The next tagged value; the cursor stands behind it afterwards."""
    return _content(cursor, _tag(cursor), depth)


def _tag(cursor: Cursor) -> Tag:
    tag = _TAGS.get(cursor.byte())
    if tag is None:
        raise WireRefusal("unknown_tag", f"{cursor.data[cursor.at - 1]} at {cursor.at - 1}")
    return tag


def _content(cursor: Cursor, tag: Tag, depth: int) -> Data:
    """What follows ``tag``."""
    cursor.count_value()
    number = NUMBERS.get(tag)
    if number is not None:
        return Data(tag, number.unpack(cursor.take(number.size))[0])
    if tag in EMPTY:
        return Data(tag)
    if tag in RAW:
        return Data(tag, cursor.take(RAW[tag]))
    if depth >= MAX_DEPTH:
        raise WireRefusal("too_deep", f"more than {MAX_DEPTH} levels")
    return Data(tag, _VARIABLE[tag](cursor, depth))


def _items(cursor: Cursor, depth: int) -> Value:
    return tuple(read(cursor, depth + 1) for _ in range(_checked(cursor, cursor.length())))


def _checked(cursor: Cursor, count: int) -> int:
    if count > cursor.left:  # every element takes a byte at least
        raise WireRefusal("truncated", f"{count} elements at {cursor.at}, {cursor.left} bytes left")
    return count


def _bits(cursor: Cursor, _depth: int) -> Value:
    count = cursor.length()
    raw = cursor.take((count + 7) // 8)
    return "".join(f"{byte:08b}" for byte in raw)[:count]


def _compact(cursor: Cursor, depth: int) -> Value:
    shape = _shape(cursor, depth + 1)
    contents = Cursor(cursor.octets())
    contents.left_values = cursor.left_values
    items: list[Data] = []
    while contents.left:
        before = contents.at
        items.append(_shaped(contents, shape, depth + 1))
        if contents.at == before:
            raise WireRefusal("bad_shape", "a compact array whose elements have no bytes")
    cursor.left_values = contents.left_values
    return Compact(shape, tuple(items))


def _shape(cursor: Cursor, depth: int) -> Shape:
    if depth >= MAX_DEPTH:
        raise WireRefusal("too_deep", f"more than {MAX_DEPTH} levels")
    cursor.count_value()
    tag = _tag(cursor)
    if tag is Tag.ARRAY:
        return Shape(tag, cursor.uint(2), (_shape(cursor, depth + 1),))
    if tag is Tag.STRUCTURE:
        return Shape(tag, 0, tuple(_shape(cursor, depth + 1) for _ in range(_checked(cursor, cursor.length()))))
    if tag is Tag.COMPACT_ARRAY:
        raise WireRefusal("bad_shape", "a compact array inside a compact array")
    return Shape(tag)


def _shaped(cursor: Cursor, shape: Shape, depth: int) -> Data:
    """A value without its tag, as ``shape`` says."""
    if shape.tag is Tag.ARRAY:
        cursor.count_value()
        return Data(shape.tag, tuple(_shaped(cursor, shape.parts[0], depth + 1) for _ in range(shape.size)))
    if shape.tag is Tag.STRUCTURE:
        cursor.count_value()
        return Data(shape.tag, tuple(_shaped(cursor, part, depth + 1) for part in shape.parts))
    return _content(cursor, shape.tag, depth)


def _boolean(cursor: Cursor, _depth: int) -> Value:
    return cursor.byte() != 0


def _octets(cursor: Cursor, _depth: int) -> Value:
    return cursor.octets()


def _visible(cursor: Cursor, _depth: int) -> Value:
    return cursor.octets().decode("latin-1")


def _utf8(cursor: Cursor, _depth: int) -> Value:
    return cursor.octets().decode("utf-8", "surrogateescape")


_VARIABLE: Final[dict[Tag, Callable[[Cursor, int], Value]]] = {
    Tag.ARRAY: _items,
    Tag.STRUCTURE: _items,
    Tag.BOOLEAN: _boolean,
    Tag.BIT_STRING: _bits,
    Tag.OCTET_STRING: _octets,
    Tag.VISIBLE_STRING: _visible,
    Tag.UTF8_STRING: _utf8,
    Tag.COMPACT_ARRAY: _compact,
}


def length(count: int) -> bytes:
    """A length in its shortest form.

    >>> length(127).hex(), length(200).hex(), length(1182).hex()
    ('7f', '81c8', '82049e')
    """
    if count < 0x80:
        return bytes([count])
    size = (count.bit_length() + 7) // 8
    return bytes([0x80 + size]) + count.to_bytes(size, "big")


def octets(data: bytes) -> bytes:
    """``data`` behind its length."""
    return length(len(data)) + data


def encode(data: Data) -> bytes:
    """The bytes of one value; ValueError says which tag cannot hold which value.

    >>> encode(Data(Tag.STRUCTURE, (Data(Tag.ENUM, 30), Data(Tag.INTEGER, -1)))).hex()
    '0202161e0fff'
    """
    return bytes([data.tag]) + _encoded(data)


def _encoded(data: Data) -> bytes:
    """The bytes behind the tag."""
    tag, value = data
    try:
        return _packed(tag, value)
    except (struct.error, TypeError, OverflowError, UnicodeError) as error:
        raise ValueError(f"{tag.name} cannot hold {value!r}: {error}") from error


def _packed(tag: Tag, value: Value) -> bytes:
    if tag in NUMBERS:
        return NUMBERS[tag].pack(value)
    if tag in EMPTY:
        return b""
    if tag is Tag.BOOLEAN:
        return b"\x01" if value else b"\x00"
    if isinstance(value, Compact) and tag is Tag.COMPACT_ARRAY:
        return _shape_bytes(value.shape) + octets(b"".join(_shaped_bytes(value.shape, item) for item in value.items))
    if isinstance(value, tuple) and tag in (Tag.ARRAY, Tag.STRUCTURE):
        return length(len(value)) + b"".join(encode(item) for item in value)
    if isinstance(value, bytes) and (tag is Tag.OCTET_STRING or RAW.get(tag) == len(value)):
        return value if tag in RAW else octets(value)
    if isinstance(value, str) and tag is Tag.BIT_STRING:
        padded = value.ljust(-(-len(value) // 8) * 8, "0")
        return length(len(value)) + int(padded or "0", 2).to_bytes(len(padded) // 8, "big")
    if isinstance(value, str) and tag is Tag.VISIBLE_STRING:
        return octets(value.encode("latin-1"))
    if isinstance(value, str) and tag is Tag.UTF8_STRING:
        return octets(value.encode("utf-8", "surrogateescape"))
    raise TypeError("wrong type or size")


def _shape_bytes(shape: Shape) -> bytes:
    head = bytes([shape.tag])
    if shape.tag is Tag.ARRAY:
        return head + shape.size.to_bytes(2, "big") + _shape_bytes(shape.parts[0])
    if shape.tag is Tag.STRUCTURE:
        return head + length(len(shape.parts)) + b"".join(_shape_bytes(part) for part in shape.parts)
    return head


def _shaped_bytes(shape: Shape, data: Data) -> bytes:
    """A value of a compact array: tags come from its shape and must agree with the value's own."""
    if data.tag is not shape.tag:
        raise ValueError(f"compact array of {shape.tag.name} holds {data.tag.name}")
    if shape.tag not in (Tag.ARRAY, Tag.STRUCTURE):
        return _encoded(data)
    parts = shape.parts * shape.size if shape.tag is Tag.ARRAY else shape.parts
    if not isinstance(data.value, tuple) or len(parts) != len(data.value):
        raise ValueError(f"compact array wants {len(parts)} parts in {shape.tag.name}")
    return b"".join(_shaped_bytes(part, item) for part, item in zip(parts, data.value, strict=True))
