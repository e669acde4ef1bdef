"""APDUs against frames that others made: parsed as their labels say and encoded back to the same bytes."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.errors import WireRefusal
from ingest.wire import acse, apdu
from ingest.wire.axdr import Data, Tag, decode, encode
from ingest.wire.cosem import Access, Name, column_of, range_of

ENERGY = Name(3, "1.0.1.8.0.255", 2)
RECORDS: list[apdu.Apdu] = [
    apdu.GetRequest(0xC1, ENERGY),
    apdu.GetRequest(0xC1, Name(7, "1.0.99.1.0.255", 2), Access(2, Data(Tag.STRUCTURE, ()))),
    apdu.GetNext(0xC2, 7),
    apdu.GetList(0xC3, ((ENERGY, None), (ENERGY._replace(number=3), None))),
    apdu.SetRequest(0xC4, Name(8, "0.0.1.0.0.255", 2), Data(Tag.OCTET_STRING, bytes(12))),
    apdu.ActionRequest(0xC5, Name(70, "0.0.96.3.10.255", 1), Data(Tag.INTEGER, 0)),
    apdu.ActionRequest(0xC5, Name(70, "0.0.96.3.10.255", 1)),
    apdu.GetResponse(0xC1, Data(Tag.DOUBLE_LONG_UNSIGNED, 4820)),
    apdu.GetResponse(0xC1, apdu.Denied(3)),
    apdu.GetBlock(0xC1, False, 1, b"abc"),
    apdu.GetBlock(0xC1, True, 2, apdu.Denied(15)),
    apdu.GetListResponse(0xC1, (Data(Tag.NULL), apdu.Denied(4))),
    apdu.SetResponse(0xC1, 0),
    apdu.ActionResponse(0xC1, 0),
    apdu.ActionResponse(0xC1, 0, Data(Tag.NULL)),
    apdu.ActionResponse(0xC1, 2, apdu.Denied(2)),
    apdu.ExceptionResponse(1, 1),
    apdu.ExceptionResponse(2, 6, 77),
    apdu.ServiceError(1, 6, 1),
    apdu.Notification(0x40000001, None, Data(Tag.UNSIGNED, 1)),
    apdu.EventNotification(None, ENERGY, Data(Tag.UNSIGNED, 1)),
    acse.AssociationRequest(acse.encode_initiate(acse.Initiate(), answer=False), secret=b"x", mechanism=1),
    acse.AssociationResponse(acse.encode_initiate(acse.Initiate(), answer=True), title=b"PWT00001"),
    acse.Release(answer=True, reason=None),
]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_records_round_trip_and_are_read_to_the_byte(record: apdu.Apdu) -> None:
    raw = apdu.encode(record)
    assert apdu.decode(raw) == record
    for size in range(len(raw)):
        if raw[:size] == apdu.encode(apdu.ExceptionResponse(2, 6))[:size] and size == 3:
            continue  # an exception may end before its counter
        with pytest.raises(WireRefusal):
            apdu.decode(raw[:size])
    with pytest.raises(WireRefusal):
        apdu.decode(raw + b"\x00")


@settings(max_examples=600, deadline=None)
@given(st.sampled_from(RECORDS), st.data())
def test_damaged_apdus_never_raise_anything_else(record: apdu.Apdu, draw: st.DataObject) -> None:
    raw = bytearray(apdu.encode(record))
    for _ in range(draw.draw(st.integers(1, 3))):
        raw[draw.draw(st.integers(0, len(raw) - 1))] = draw.draw(st.integers(0, 255))
    try:
        found = apdu.decode(bytes(raw))
    except WireRefusal as refusal:
        assert refusal.reason
    else:
        assert found is not None


@settings(max_examples=600, deadline=None)
@given(
    st.sampled_from([0x60, 0x61, 0x62, 0x63, 0xC0, 0xC1, 0xC2, 0xC3, 0xC4, 0xC5, 0xC7, 0xD8, 0x0E, 0x0F, 0x99]),
    st.binary(max_size=80),
)
def test_random_apdus_never_raise_anything_else(tag: int, rest: bytes) -> None:
    try:
        apdu.decode(bytes([tag]) + rest)
        acse.decode_initiate(rest)
    except WireRefusal as refusal:
        assert refusal.reason


def test_reasons_have_names_even_when_the_standard_has_none() -> None:
    assert apdu.Denied(3).reason == "read_write_denied"
    assert apdu.Denied(99).reason == "result_99"


@cache
def _book(shared: Path) -> dict[tuple[str, str, int], bytes]:
    """Frames by (folder or file stem, test name, line) of the project that collected them."""
    path = shared / "data" / "dlms" / "pwitab_dlms_cosem_frames.jsonl"
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return {(Path(row["file"]).stem, row["test"], row["line"]): bytes.fromhex(row["hex"]) for row in rows}


@pytest.mark.shared
def test_associations_of_the_green_book(shared: Path) -> None:
    book = _book(shared)
    found = {
        key: acse.decode(raw)
        for key, raw in book.items()
        if key[0] in ("test_aare", "test_aarq", "test_rlre", "test_rlrq")
    }
    assert len(found) == 14
    for key, record in found.items():
        assert acse.encode(record) == book[key], key
    low = found["test_aarq", "test_parse_no_ciphering_low_security", 23]
    assert isinstance(low, acse.AssociationRequest)
    assert (low.mechanism, low.secret) == (acse.Mechanism.LLS, b"12345678")
    assert acse.decode_initiate(low.user_information) == acse.Initiate(conformance=0x7E1F, max_apdu=1200)
    challenge = found["test_aare", "test_no_ciher_hls_ok", 58]
    assert isinstance(challenge, acse.AssociationResponse)
    assert (challenge.diagnostic, challenge.mechanism, challenge.secret) == (14, acse.Mechanism.HLS_GMAC, b"P6wRJ21F")
    wrong = found["test_aare", "test_no_ciphering_no_security_app_context_name_wrong", 27]
    assert isinstance(wrong, acse.AssociationResponse) and (wrong.result, wrong.diagnostic) == (1, 2)
    old = found["test_aare", "test_no_cipher_no_security_incorrect_dlms_version", 40]
    assert isinstance(old, acse.AssociationResponse)
    with pytest.raises(WireRefusal, match="initiate_error"):
        acse.decode_initiate(old.user_information)
    ciphered = found["test_aarq", "test_parse_ciphered_low_security", 41]
    assert isinstance(ciphered, acse.AssociationRequest) and ciphered.title == bytes.fromhex("4d4d4d0000bc614e")
    with pytest.raises(WireRefusal, match="ciphered_no_key"):
        acse.decode_initiate(ciphered.user_information)


@pytest.mark.shared
def test_initiates_of_the_green_book(shared: Path) -> None:
    book = {key: raw for key, raw in _book(shared).items() if key[0] == "test_initiate" and raw[0] in (1, 8)}
    assert len(book) == 4
    for raw in book.values():
        assert acse.encode_initiate(acse.decode_initiate(raw), answer=raw[0] == 8) == raw
    keyed = acse.decode_initiate(book["test_initiate", "test_decode_with_dedicated_key", 72])
    assert keyed.dedicated_key.hex() == "00112233445566778899aabbccddeeff"


# What the collected frames hold; None: the label says that it must be refused.
SERVICES: dict[tuple[str, str, int], Any] = {
    ("test_action", "test_transform_bytes", 9): apdu.ActionRequest,
    ("test_action", "test_transform_bytes_without_data", 26): apdu.ActionRequest,
    ("test_action", "test_has_data_raises_valueerror", 101): apdu.ActionResponse,
    ("test_action", "test_wrong_tag_raises_valueerror", 43): None,
    ("test_action", "test_wrong_request_type_raises_valueerror", 49): None,
    ("test_action", "test_wrong_tag_raises_valueerror", 91): None,
    ("test_action", "test_wrong_type_raises_valueerror", 96): None,
    ("test_get", "test_transform_bytes", 21): apdu.GetRequest,
    ("test_get", "test_wrong_tag_raises_valueerror", 39): None,
    ("test_get", "test_wrong_request_type_raises_valueerror", 45): None,
    ("test_get", "test_transform_bytes", 169): apdu.GetBlock,
    ("test_get", "test_transform_bytes", 231): apdu.GetBlock,
    ("test_get", "test_transform_bytes", 293): apdu.GetBlock,
    ("test_get", "test_error_msg_raises_valueerror", 218): apdu.GetBlock,
    ("test_get", "test_wrong_tag_raises_valueerror", 182): None,
    ("test_get", "test_wrong_type_raises_valueerror", 187): None,
    ("test_get", "test_wrong_length_data_raises_valueerror", 223): None,
    ("test_get", "test_wrong_length_data_raises_valueerror", 285): None,
    ("test_get", "test_wrong_tag_raises_valueerror", 381): None,
    ("test_set", "test_transform_bytes", 9): apdu.SetRequest,
    ("test_set", "test_wrong_tag_raises_value_error", 26): None,
    ("test_set", "test_wrong_type_raises_value_error", 32): None,
    ("test_selective_access", "test_range_descriptor1", 29): apdu.GetRequest,
    ("test_selective_access", "test_range_descriptor1", 50): apdu.GetRequest,
    ("test_general_global_cipher", "test_data_notification_apdu", 47): apdu.Notification,
    ("test_a_xdr", "test_decode_long", 122): apdu.GetBlock,
}


@pytest.mark.shared
@pytest.mark.parametrize("key", SERVICES, ids=lambda key: f"{key[1]}-{key[2]}")
def test_services_of_the_green_book(shared: Path, key: tuple[str, str, int]) -> None:
    raw, kind = _book(shared)[key], SERVICES[key]
    if kind is None:
        with pytest.raises(WireRefusal):
            apdu.decode(raw)
    else:
        record = apdu.decode(raw)
        assert isinstance(record, kind)
        assert apdu.encode(record) == raw


@pytest.mark.shared
def test_values_inside_the_green_book_frames(shared: Path) -> None:
    book = _book(shared)
    assert apdu.decode(book["test_get", "test_transform_bytes", 21]) == apdu.GetRequest(
        0xC1, Name(1, "0.0.43.1.0.255", 2)
    )
    block = apdu.decode(book["test_get", "test_transform_bytes", 231])
    assert isinstance(block, apdu.GetBlock)
    assert (block.last, block.number, block.raw) == (True, 19, book["test_get", "test_transform_bytes", 234])
    assert apdu.decode(book["test_get", "test_transform_bytes", 293]) == apdu.GetBlock(0xC1, True, 19, apdu.Denied(1))
    ranged = apdu.decode(book["test_selective_access", "test_range_descriptor1", 50])
    assert isinstance(ranged, apdu.GetRequest) and ranged.access is not None
    column, start, end = range_of(ranged.access)
    assert (column.obis, start.local.isoformat(), start.deviation_min) == ("0.0.1.0.0.255", "2018-02-12T00:00:00", None)
    assert end.local.isoformat() == "2019-02-12T00:00:00"
    defined = decode(book["test_selective_access", "test_capture_object_definition", 19])
    assert column_of(defined).class_id == 8 and encode(defined).hex() == "020412000809060000010000ff0f02120000"
    monitoring = decode(book["test_a_xdr", "test_lte_monitoring_quality_of_service", 84])
    assert monitoring.plain == [720, 3240, 18, 30, -64]


@pytest.mark.shared
def test_pushes_of_three_makers(shared: Path) -> None:
    """Every captured push decodes to its last byte and holds the values that an independent decoder saw."""
    path = shared / "data" / "dlms" / "amshan_frames.jsonl"
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    pushes = [row for row in rows if row["hex"].startswith("e6e7000f")]
    assert len(pushes) == 14
    for row in pushes:
        record = apdu.decode(bytes.fromhex(row["hex"])[3:])
        assert isinstance(record, apdu.Notification), row["name"]
        leaves = list(_leaves(record.data.plain))
        wanted = row["amshan_decoded"]
        if wanted.get("meter_id"):
            texts = {leaf.decode("latin-1") if isinstance(leaf, bytes) else leaf for leaf in leaves}
            assert wanted["meter_id"] in texts, row["name"]
        power = wanted.get("active_power_import")
        assert power is None or {power, power * 1000, power / 10} & set(leaves), row["name"]


def _leaves(plain: object) -> Any:
    if isinstance(plain, list):
        for item in plain:
            yield from _leaves(item)
    else:
        yield plain
