"""A push whose encoding breaks the standard goes in, the same push in standard encoding comes out.

Two habits of the field are known. Some Landis+Gyr firmware swaps tag and length of a code (``06 09`` for ``09 06``).
Sagemcom meters in Czechia put a bare attribute descriptor (class, code, attribute: nine bytes without a tag) in front
of each value. Anything else stays refused: nothing is guessed.
"""

import re
from typing import Final

from ingest.errors import WireRefusal
from ingest.wire import apdu, axdr
from ingest.wire.axdr import Cursor, Data, Tag
from ingest.wire.cosem import obis_bytes

SWAPPED: Final = re.compile(rb"(\x02[\x02\x03])\x06\x09(.{5}\xff)", re.DOTALL)
BARE_SETUP: Final = "0.0.25.9.0.255"
"""The push setup that a list of bare descriptors is taken for, where it names none."""
_PUSH_SETUP: Final = 40


def mended(raw: bytes) -> tuple[apdu.Apdu, str]:
    """The push and what was mended; ``raw`` raised before, and raises again when it has neither habit."""
    swapped = SWAPPED.sub(lambda found: found[1] + b"\x09\x06" + found[2], raw)
    if swapped != raw:
        return apdu.decode(swapped), "tag and length of a code were swapped"
    cursor = Cursor(raw)
    cursor.take(5)
    stamp = cursor.octets()
    if cursor.take(2) != b"\x02\x02":
        raise WireRefusal("unknown_list", "no list of bare descriptors")
    axdr.read(cursor)
    head = cursor.take(2)
    if head[0] != Tag.ARRAY:
        raise WireRefusal("unknown_list", "no list of bare descriptors")
    definitions, values = [_definition(_PUSH_SETUP.to_bytes(2, "big") + obis_bytes(BARE_SETUP) + b"\x02")], []
    for _ in range(head[1]):
        if cursor.take(2) != b"\x02\x02":
            raise WireRefusal("unknown_list", "no list of bare descriptors")
        definitions.append(_definition(cursor.take(9)))
        values.append(axdr.read(cursor))
    cursor.end()
    listed = Data(Tag.ARRAY, tuple(definitions))
    body = axdr.encode(Data(Tag.STRUCTURE, (listed, *values)))
    return apdu.decode(raw[:5] + axdr.octets(stamp) + body), "bare descriptors read as a described list"


def _definition(bare: bytes) -> Data:
    """Nine bytes as one object definition of a push object list."""
    return Data(
        Tag.STRUCTURE,
        (
            Data(Tag.LONG_UNSIGNED, int.from_bytes(bare[:2], "big")),
            Data(Tag.OCTET_STRING, bare[2:8]),
            Data(Tag.INTEGER, int.from_bytes(bare[8:], "big", signed=True)),
            Data(Tag.LONG_UNSIGNED, 0),
        ),
    )
