"""COSEM data becomes plain values that JSON holds, and such a value becomes data of the same type again.

Octets are text where they print and ``0x`` hex elsewhere; arrays and structures are lists. A value takes its type from
the data that stood there before: an attribute has one type, and only the meter knows which.
"""

from decimal import Decimal
from typing import Any, TypeAlias

from ingest.wire.axdr import Data, Tag

Plain: TypeAlias = "int | bool | str | list[Plain] | None"
TEXTS = (Tag.VISIBLE_STRING, Tag.UTF8_STRING)
MOST_SHOWN = 10_000
"""Values of one attribute that are shown; a load profile has its own verb."""


def plain(data: Data) -> Plain:
    """What stands in ``data``.

    >>> plain(Data(Tag.STRUCTURE, (Data(Tag.OCTET_STRING, b"M17"), Data(Tag.OCTET_STRING, b"\\x07\\xea"))))
    ['M17', '0x07ea']
    """
    value = data.value
    if isinstance(value, tuple):
        return [plain(part) for part in value[:MOST_SHOWN]]
    if isinstance(value, bytes):
        prints = bool(value) and all(0x20 <= byte < 0x7F for byte in value) and not value.startswith(b"0x")
        return value.decode("ascii") if prints else f"0x{value.hex()}"
    if isinstance(value, float):
        return str(Decimal(repr(value)))
    return value if isinstance(value, int | bool | str) else None if value is None else str(value)


def like(before: Data, value: Any) -> Data:
    """``value`` as data of the type that ``before`` has; ValueError says where it does not fit.

    >>> like(Data(Tag.LONG_UNSIGNED, 7), 60)
    Data(tag=<Tag.LONG_UNSIGNED: 18>, value=60)
    """
    tag, old = before.tag, before.value
    if isinstance(old, tuple):
        if not isinstance(value, list):
            raise ValueError(f"{tag.name.lower()}: a list is wanted")
        if tag is Tag.STRUCTURE and len(value) != len(old):
            raise ValueError(f"structure: {len(old)} parts are wanted")
        if not old and value:
            raise ValueError("an array without items does not show their type")
        parts = old if tag is Tag.STRUCTURE else (old[:1] * len(value))
        return Data(tag, tuple(like(part, one) for part, one in zip(parts, value, strict=True)))
    if isinstance(old, bytes):
        if not isinstance(value, str):
            raise ValueError(f"{tag.name.lower()}: text or 0x hex is wanted")
        return Data(tag, bytes.fromhex(value[2:]) if value.startswith("0x") else value.encode("ascii"))
    if isinstance(old, bool) or isinstance(value, bool):
        if not (isinstance(old, bool) and isinstance(value, bool)):
            raise ValueError(
                f"{tag.name.lower()}: {'true or false' if isinstance(old, bool) else 'a number'} is wanted"
            )
        return Data(tag, value)
    wanted = str if tag in TEXTS else int
    if not isinstance(old, wanted) or not isinstance(value, wanted):
        raise ValueError(f"{tag.name.lower()}: {'text' if wanted is str else 'a whole number'} is wanted")
    return Data(tag, value)
