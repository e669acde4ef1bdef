"""Opening and closing of an association: AARQ, AARE, RLRQ and RLRE (BER) become records, and records become bytes.

Also the xDLMS InitiateRequest and InitiateResponse inside them (IEC 62056-5-3, clauses 8.3 to 8.5). A ciphered user
information stays raw in ``user_information``. Bytes raise only ``WireRefusal``.
"""

from dataclasses import dataclass
from enum import IntEnum, IntFlag
from typing import Final

from ingest.errors import WireRefusal
from ingest.wire.axdr import Cursor, octets

AARQ, AARE, RLRQ, RLRE = 0x60, 0x61, 0x62, 0x63
LN, LN_CIPHERED = 1, 3
DLMS_VERSION: Final = 6
LN_NAME: Final = 0x0007  # vaa-name of logical name referencing
_CONTEXT: Final = bytes.fromhex("608574050801")  # 2.16.756.5.8.1.n, application context names of the DLMS UA
_MECHANISM: Final = bytes.fromhex("608574050802")
_CONFORMANCE: Final = bytes.fromhex("5f1f0400")  # [APPLICATION 31], 4 bytes, no unused bits
_REQUIREMENTS: Final = bytes.fromhex("0780")  # one bit: authentication


class Mechanism(IntEnum):
    """Authentication mechanisms (IEC 62056-5-3, clause 7.2.7)."""

    NONE = 0
    LLS = 1
    HLS_MD5 = 3
    HLS_SHA1 = 4
    HLS_GMAC = 5


class Conformance(IntFlag):
    """Services that both sides speak; bit n of the 24-bit block stands at ``1 << (23 - n)``."""

    GENERAL_BLOCK_TRANSFER = 1 << 21
    BLOCK_GET = 1 << 12
    BLOCK_SET = 1 << 11
    BLOCK_ACTION = 1 << 10
    MULTIPLE_REFERENCES = 1 << 9
    DATA_NOTIFICATION = 1 << 7
    GET = 1 << 4
    SET = 1 << 3
    SELECTIVE_ACCESS = 1 << 2
    EVENT_NOTIFICATION = 1 << 1
    ACTION = 1 << 0


OURS: Final = (
    Conformance.BLOCK_GET
    | Conformance.BLOCK_SET
    | Conformance.BLOCK_ACTION
    | Conformance.MULTIPLE_REFERENCES
    | Conformance.GET
    | Conformance.SET
    | Conformance.SELECTIVE_ACCESS
    | Conformance.ACTION
)
"""What both our client and our simulated meter speak."""
PROPOSED: Final = OURS | Conformance.GENERAL_BLOCK_TRANSFER
"""What our client offers: it takes a general block transfer, and asks for none."""


@dataclass(frozen=True, slots=True)
class Initiate:
    """The xDLMS part: services, the largest APDU that its sender takes, in a request also a dedicated key."""

    conformance: int = OURS
    max_apdu: int = 0xFFFF
    quality: int | None = None
    dedicated_key: bytes = b""
    version: int = DLMS_VERSION


@dataclass(frozen=True, slots=True)
class AssociationRequest:
    """AARQ: who wants in (``title``: system title, empty without ciphering) with which secret or challenge."""

    user_information: bytes
    context: int = LN
    mechanism: int = Mechanism.NONE
    secret: bytes | None = None
    title: bytes = b""


@dataclass(frozen=True, slots=True)
class AssociationResponse:
    """AARE: ``result`` 0 accepted, 1 rejected permanently, 2 transiently; ``source`` 1 user, 2 provider.

    ``diagnostic`` 1 no reason, 2 context not supported, 11 mechanism unknown, 13 authentication failed, 14
    authentication required (the challenge of HLS follows).
    """

    user_information: bytes
    result: int = 0
    source: int = 1
    diagnostic: int = 0
    context: int = LN
    mechanism: int = Mechanism.NONE
    secret: bytes | None = None
    title: bytes = b""


@dataclass(frozen=True, slots=True)
class Release:
    """RLRQ or RLRE: ``reason`` 0 normal, None when left out."""

    answer: bool
    reason: int | None = 0
    user_information: bytes = b""


Acse = AssociationRequest | AssociationResponse | Release


def decode(apdu: bytes) -> Acse:
    """One ACSE APDU as a record."""
    cursor = Cursor(apdu)
    tag = cursor.byte()
    body = cursor.octets()
    cursor.end()
    parts = _parts(body)
    information = _octet_string(parts.get(0xBE, b""))
    if tag in (RLRQ, RLRE):
        reason = parts.get(0x80)
        return Release(tag == RLRE, None if reason is None else int.from_bytes(reason, "big"), information)
    context = _oid(_inner(parts.get(0xA1, b""), 0x06), _CONTEXT)
    if tag == AARQ:
        mechanism = _oid(parts[0x8B], _MECHANISM) if 0x8B in parts else Mechanism.NONE
        secret = _inner(parts[0xAC], 0x80) if 0xAC in parts else None
        return AssociationRequest(information, context, mechanism, secret, _octet_string(parts.get(0xA6, b"")))
    if tag == AARE:
        mechanism = _oid(parts[0x89], _MECHANISM) if 0x89 in parts else Mechanism.NONE
        secret = _inner(parts[0xAA], 0x80) if 0xAA in parts else None
        source, diagnostic = _diagnostic(parts.get(0xA3, b""))
        result = int.from_bytes(_inner(parts.get(0xA2, b""), 0x02), "big")
        title = _octet_string(parts.get(0xA4, b""))
        return AssociationResponse(information, result, source, diagnostic, context, mechanism, secret, title)
    raise WireRefusal("unknown_apdu", f"tag {tag:02x}")


def encode(record: Acse) -> bytes:
    """The bytes of one ACSE APDU."""
    if isinstance(record, Release):
        reason = b"" if record.reason is None else _tlv(0x80, bytes([record.reason]))
        return _tlv(RLRE if record.answer else RLRQ, reason + _information(record.user_information))
    context = _tlv(0xA1, _tlv(0x06, _CONTEXT + bytes([record.context])))
    if isinstance(record, AssociationRequest):
        title = _tlv(0xA6, _tlv(0x04, record.title)) if record.title else b""
        proof = _proof(record, 0x8A, 0x8B, 0xAC)
        return _tlv(AARQ, context + title + proof + _information(record.user_information))
    result = _tlv(0xA2, _tlv(0x02, bytes([record.result])))
    why = _tlv(0xA3, _tlv(0xA0 + record.source, _tlv(0x02, bytes([record.diagnostic]))))
    title = _tlv(0xA4, _tlv(0x04, record.title)) if record.title else b""
    proof = _proof(record, 0x88, 0x89, 0xAA)
    return _tlv(AARE, context + result + why + title + proof + _information(record.user_information))


def decode_initiate(raw: bytes) -> Initiate:
    """An InitiateRequest (01) or InitiateResponse (08); a ConfirmedServiceError (0E) is refused by its name."""
    cursor = Cursor(raw)
    tag = cursor.byte()
    if tag == 0x0E:
        raise WireRefusal("initiate_error", raw.hex())
    if tag not in (0x01, 0x08):
        raise WireRefusal("ciphered_no_key" if tag in (0x21, 0x28) else "unknown_apdu", f"initiate tag {tag:02x}")
    key = b""
    if tag == 0x01:
        key = cursor.octets() if cursor.byte() else b""
        if cursor.byte():
            cursor.byte()  # response-allowed: the default, true, written out
    quality = cursor.byte() if cursor.byte() else None
    version = cursor.byte()
    if cursor.take(4) != _CONFORMANCE:
        raise WireRefusal("bad_conformance", raw.hex())
    conformance, max_apdu = cursor.uint(3), cursor.uint(2)
    if tag == 0x08:
        cursor.uint(2)
    cursor.end()
    return Initiate(conformance, max_apdu, quality, key, version)


def encode_initiate(initiate: Initiate, *, answer: bool) -> bytes:
    """An InitiateRequest, or with ``answer`` an InitiateResponse for logical names."""
    quality = b"\x00" if initiate.quality is None else bytes([1, initiate.quality])
    key = b"\x01" + octets(initiate.dedicated_key) if initiate.dedicated_key else b"\x00"
    head = b"\x08" if answer else b"\x01" + key + b"\x00"
    tail = LN_NAME.to_bytes(2, "big") if answer else b""
    block = _CONFORMANCE + int(initiate.conformance).to_bytes(3, "big") + initiate.max_apdu.to_bytes(2, "big")
    return head + quality + bytes([initiate.version]) + block + tail


def _parts(body: bytes) -> dict[int, bytes]:
    """The elements of an ACSE APDU by tag; a repeated one is refused."""
    cursor = Cursor(body)
    parts: dict[int, bytes] = {}
    while cursor.left:
        tag = cursor.byte()
        if tag in parts:
            raise WireRefusal("bad_acse", f"element {tag:02x} twice")
        parts[tag] = cursor.octets()
    return parts


def _inner(raw: bytes, tag: int) -> bytes:
    """The contents of the one element of ``raw``, which must have ``tag``."""
    cursor = Cursor(raw)
    found = cursor.byte()
    if found != tag:
        raise WireRefusal("bad_acse", f"element {found:02x} where {tag:02x} was expected")
    contents = cursor.octets()
    cursor.end()
    return contents


def _octet_string(raw: bytes) -> bytes:
    return _inner(raw, 0x04) if raw else b""


def _oid(raw: bytes, prefix: bytes) -> int:
    if len(raw) != len(prefix) + 1 or not raw.startswith(prefix):
        raise WireRefusal("bad_acse", f"object identifier {raw.hex()}")
    return raw[-1]


def _diagnostic(raw: bytes) -> tuple[int, int]:
    cursor = Cursor(raw)
    source = cursor.byte() - 0xA0
    if source not in (1, 2):
        raise WireRefusal("bad_acse", f"diagnostic {raw.hex()}")
    return source, int.from_bytes(_inner(cursor.octets(), 0x02), "big")


def _tlv(tag: int, contents: bytes) -> bytes:
    return bytes([tag]) + octets(contents)


def _information(raw: bytes) -> bytes:
    return _tlv(0xBE, _tlv(0x04, raw)) if raw else b""


def _proof(record: AssociationRequest | AssociationResponse, requirements: int, mechanism: int, secret: int) -> bytes:
    if record.mechanism == Mechanism.NONE and record.secret is None:
        return b""
    value = b"" if record.secret is None else _tlv(secret, _tlv(0x80, record.secret))
    return _tlv(requirements, _REQUIREMENTS) + _tlv(mechanism, _MECHANISM + bytes([record.mechanism])) + value
