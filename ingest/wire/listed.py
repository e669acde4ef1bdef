"""A SET with list becomes an APDU and back, and so does its answer (IEC 62056-5-3, set-request-with-list).

Bytes raise only ``WireRefusal``.
"""

from typing import Final, NamedTuple

from ingest.errors import WireRefusal
from ingest.wire import apdu
from ingest.wire.axdr import Cursor, Data, length, read
from ingest.wire.axdr import encode as encode_data
from ingest.wire.cosem import Name, obis_text

WITH_LIST: Final = 4
LISTED: Final = 5
"""The choice of the answer: one result for each attribute."""


class SetList(NamedTuple):
    """Write several attributes at once."""

    invoke: int
    pairs: tuple[tuple[Name, Data], ...]


class SetListResponse(NamedTuple):
    """What became of each, in the order of the request."""

    invoke: int
    results: tuple[int, ...]


def encode(request: SetList) -> bytes:
    """The request; its values stand behind all its names."""
    names = b"".join(name.pack() + b"\x00" for name, _ in request.pairs)
    values = b"".join(encode_data(value) for _, value in request.pairs)
    count = length(len(request.pairs))
    return bytes([apdu.SET, WITH_LIST, request.invoke]) + count + names + count + values


def decode(raw: bytes) -> SetList | None:
    """The request that ``raw`` is (the meter's side), None when it is another."""
    if raw[:2] != bytes([apdu.SET, WITH_LIST]):
        return None
    cursor = Cursor(raw, 2)
    invoke, names = cursor.byte(), []
    for _ in range(_count(cursor)):
        names.append(Name(cursor.uint(2), obis_text(cursor.take(6)), cursor.byte()))
        if cursor.byte():
            raise WireRefusal("bad_access", "a SET with list of a part of an attribute")
    if _count(cursor) != len(names):
        raise WireRefusal("bad_list", f"{len(names)} names and another number of values")
    pairs = tuple((name, read(cursor)) for name in names)
    cursor.end()
    return SetList(invoke, pairs)


def encode_answer(answer: SetListResponse) -> bytes:
    """The answer."""
    return bytes([apdu.SET_ANSWER, LISTED, answer.invoke]) + length(len(answer.results)) + bytes(answer.results)


def decode_answer(raw: bytes) -> SetListResponse | None:
    """The answer that ``raw`` is, None when it is another."""
    if raw[:2] != bytes([apdu.SET_ANSWER, LISTED]):
        return None
    cursor = Cursor(raw, 2)
    answer = SetListResponse(cursor.byte(), tuple(cursor.byte() for _ in range(_count(cursor))))
    cursor.end()
    return answer


def _count(cursor: Cursor) -> int:
    count = cursor.length()
    if not 0 < count <= apdu.MAX_LIST:
        raise WireRefusal("bad_list", f"{count} items, limit {apdu.MAX_LIST}")
    return count
