"""Handheld messages: strict, signed, exact in time and energy, and nothing that a device sends raises."""

import json
from dataclasses import fields
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.records import HandheldMessage, HandheldReply
from ingest.wire.handheld import (
    KINDS,
    MOST_BYTES,
    HandheldRefusal,
    encode,
    encode_reply,
    parse,
    parse_reply,
    reply_topic,
    sign,
    signed_with,
)
from ingest.wire.handheldfields import CAUSES, DATUMS, MEMBERS, MOST_TEXT, OUTCOMES

TOPIC = "prewatt/v1/handheld/A7/confirm"
BODY: dict[str, Any] = {
    "message_id": "A7-1",
    "seq": 1,
    "at": "2026-07-01T16:15:02+08:00",
    "meter": "M17",
    "register_kwh": "1234.56",
    "latitude": 30.2741,
    "longitude": 120.1551,
    "accuracy_m": 8,
    "datum": "GCJ02",
    "person": "reader-3",
}
KEY = b"secret of A7"


def payload(**changes: Any) -> bytes:
    body = {name: value for name, value in (BODY | changes).items() if value is not ...}
    return json.dumps(body).encode()


def reason(data: bytes, topic: str = TOPIC, keys: dict[str, bytes] | None = None) -> str:
    known = {device: (key,) for device, key in (keys or {}).items()}
    found = parse(topic, data, known, unsigned=keys is None)
    return found.reason if isinstance(found, HandheldRefusal) else "accepted"


def test_a_confirm_keeps_its_exact_time_position_and_energy() -> None:
    message = parse(TOPIC, payload(), {}, unsigned=True)
    assert message == HandheldMessage(
        message_id="A7-1",
        device="A7",
        kind="confirm",
        seq=1,
        at=datetime(2026, 7, 1, 8, 15, 2),
        meter="M17",
        register_wh=1_234_560,
        latitude=30.2741,
        longitude=120.1551,
        accuracy_m=8.0,
        person="reader-3",
        datum="GCJ02",
    )


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"lattitude": 1}, "unknown_field"),
        ({"meter": ...}, "missing_field"),
        ({"meter": ""}, "missing_field"),
        ({"seq": ...}, "missing_field"),
        ({"at": ...}, "missing_field"),
        ({"register_kwh": ...}, "missing_field"),
        ({"register_wh": 5}, "bad_field"),
        ({"register_kwh": "12.3456"}, "bad_field"),
        ({"register_kwh": "-1"}, "bad_field"),
        ({"register_kwh": "1e3"}, "bad_field"),
        ({"register_kwh": 12.5}, "bad_field"),
        ({"register_kwh": ..., "register_wh": -1}, "bad_field"),
        ({"register_kwh": ..., "register_wh": True}, "bad_field"),
        ({"register_kwh": ..., "register_wh": 10**15}, "bad_field"),
        ({"latitude": 90.01}, "bad_field"),
        ({"latitude": ...}, "bad_field"),
        ({"longitude": "120"}, "bad_field"),
        ({"accuracy_m": -1}, "bad_field"),
        ({"datum": "mars"}, "bad_field"),
        ({"at": "2026-07-01T08:15:02"}, "bad_field"),
        ({"at": "1970-01-01T08:15:02Z"}, "bad_field"),
        ({"at": 1_783_000_000}, "bad_field"),
        ({"at": "yesterday"}, "bad_field"),
        ({"message_id": "a b"}, "bad_field"),
        ({"message_id": "x" * 65}, "bad_field"),
        ({"detail": "x" * 1001}, "bad_field"),
        ({"detail": "line\nline"}, "bad_field"),
        ({"detail": "x" * MOST_BYTES}, "too_large"),
    ],
)
def test_what_is_not_right_is_refused_by_name(changes: dict[str, Any], why: str) -> None:
    assert reason(payload(**changes)) == why


def test_the_limits_themselves_pass() -> None:
    for changes in ({"latitude": -90}, {"detail": "x" * 1000}, {"register_kwh": "999999999999.999"}, {"seq": 0}):
        assert reason(payload(**changes)) == "accepted", changes


def test_a_misspelt_member_is_answered_with_the_right_one() -> None:
    found = parse(TOPIC, payload(lattitude=1), {}, unsigned=True)
    assert isinstance(found, HandheldRefusal)
    assert "did you mean 'latitude'?" in found.detail
    assert (found.device, found.message_id) == ("A7", "A7-1")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"null",
        b"[]",
        b"{",
        b"\xff\xfe",
        b"[" * 8000,
        b'{"seq":1,"seq":2}',
        b'{"latitude":NaN}',
        b'{"seq":' + b"9" * 5000 + b"}",
    ],
)
def test_what_is_no_json_object_is_refused(data: bytes) -> None:
    assert reason(data) == "not_json"


@pytest.mark.parametrize(
    "topic",
    [
        "",
        "prewatt/v1/handheld/A7/reply",
        "prewatt/v1/handheld/A7",
        "prewatt/v2/handheld/A7/read",
        "prewatt/v1/handheld/A 7/read",
        "prewatt/v1/handheld//read",
        "prewatt/v1/handheld/A7/read/x",
    ],
)
def test_other_topics_are_refused(topic: str) -> None:
    assert reason(payload(), topic) == "bad_topic"


@given(st.text(max_size=60), st.binary(max_size=400))
def test_nothing_raises(topic: str, data: bytes) -> None:
    assert reason(data, topic)
    assert reason(data, TOPIC, {"A7": KEY})


@given(
    st.dictionaries(st.sampled_from([*BODY, "serial", "detail", "x"]), st.one_of(st.none(), st.integers(), st.text()))
)
def test_any_members_give_a_message_or_a_reason(body: dict[str, Any]) -> None:
    found = parse(TOPIC, json.dumps(body).encode(), {}, unsigned=True)
    assert isinstance(found, HandheldMessage) or found.reason


def test_a_signature_holds_for_this_payload_topic_and_key_only() -> None:
    signed = sign(TOPIC, payload(), KEY)
    assert reason(signed, TOPIC, {"A7": KEY}) == "accepted"
    assert reason(signed) == "accepted"  # unsigned is allowed and the device has no key: the member is set aside
    assert reason(payload(), TOPIC, {}) == "unknown_device"  # and where it is not allowed, it is not
    assert reason(payload(), TOPIC, {"A7": KEY}) == "bad_signature"
    assert reason(signed, TOPIC, {"A7": b"another"}) == "bad_signature"
    assert reason(signed, TOPIC, {"B2": KEY}) == "unknown_device"
    assert reason(signed, TOPIC.replace("confirm", "read"), {"A7": KEY}) == "bad_signature"
    assert reason(signed.replace(b"1234.56", b"1234.57"), TOPIC, {"A7": KEY}) == "bad_signature"
    assert reason(signed[:-10] + signed[-9:], TOPIC, {"A7": KEY}) == "bad_signature"


def test_a_device_that_has_a_key_must_sign_even_where_unsigned_is_allowed() -> None:
    for data in (payload(), sign(TOPIC, payload(), b"another")):
        found = parse(TOPIC, data, {"A7": (KEY,)}, unsigned=True)
        assert isinstance(found, HandheldRefusal) and found.reason == "bad_signature"


def test_both_keys_hold_while_one_is_replaced_and_the_old_one_no_longer_afterwards() -> None:
    old, new = sign(TOPIC, payload(), b"2025"), sign(TOPIC, payload(), b"2026")
    both = (b"2026", b"2025")
    for data, key in ((old, b"2025"), (new, b"2026")):
        assert isinstance(parse(TOPIC, data, {"A7": both}), HandheldMessage)
        assert signed_with(TOPIC, data, both) == key
    found = parse(TOPIC, old, {"A7": (b"2026",)})
    assert isinstance(found, HandheldRefusal) and found.reason == "bad_signature"
    assert signed_with(TOPIC, payload(), both) == b""


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_refused_without_what_it_needs(kind: str) -> None:
    topic = TOPIC.replace("confirm", kind)
    whole = {
        "serial": "77", "serial_out": "42", "register_out_kwh": "9876.5", "supersedes": "A7-0", "order": "w1",
        "outcome": "confirmed", "outage": "o1", "detail": "cable",
    }  # fmt: skip
    assert reason(payload(**whole), topic) == "accepted"
    for name in KINDS[kind].needs:
        less = whole | {name: ..., name.replace("_wh", "_kwh"): ...}
        assert reason(payload(**less), topic) == "missing_field", name


def test_the_mac_is_what_any_language_computes() -> None:
    # computed with: printf 'prewatt/v1/handheld/A7/read\n{"seq":1}' | openssl dgst -sha256 -hmac k
    signed = sign("prewatt/v1/handheld/A7/read", b'{"seq":1}', b"k")
    assert signed == b'{"seq":1,"mac":"MAC"}'.replace(
        b"MAC", b"f86087902ec6a3a7847dfb6acd79ff258a246284d3fcad6410c9bf07c27b6d48"
    )


def test_a_swap_needs_both_meters_and_both_registers() -> None:
    topic = "prewatt/v1/handheld/A7/swap"
    both = {"serial": "77", "register_kwh": "0", "serial_out": "42", "register_out_kwh": "9876.5"}
    message = parse(topic, payload(**both), {}, unsigned=True)
    assert isinstance(message, HandheldMessage)
    assert (message.register_wh, message.register_out_wh, message.serial_out) == (0, 9_876_500, "42")
    assert reason(payload(**both | {"serial_out": ...}), topic) == "missing_field"


@given(st.integers(0, 10**14), st.sampled_from([b"", KEY]))
def test_what_a_handheld_encodes_we_parse_back(register_wh: int, key: bytes) -> None:
    message = HandheldMessage("A7-9", "A7", "confirm", 9, datetime(2026, 7, 1, 1, 2, 3), "M1", register_wh=register_wh)
    topic, data = encode(message, key)
    assert parse(topic, data, {"A7": (key,)} if key else {}, unsigned=not key) == message


def test_a_reply_is_readable_and_comes_back() -> None:
    reply = HandheldReply("A7-1", "A7", "accepted", account="A1", bill="12.30", balance="-1.00", currency="CNY", tier=2)
    topic, data = encode_reply(reply, KEY)
    assert topic == reply_topic("A7")
    assert parse_reply(data) == reply
    assert json.loads(encode_reply(reply)[1]) == {
        "message_id": "A7-1",
        "device": "A7",
        "status": "accepted",
        "account": "A1",
        "bill": "12.30",
        "balance": "-1.00",
        "currency": "CNY",
        "tier": 2,
    }
    assert isinstance(parse_reply(b"{}"), HandheldRefusal)


def test_the_page_names_every_kind_member_and_limit() -> None:
    text = (Path(__file__).resolve().parents[2] / "docs/howto/handheld-messages.md").read_text(encoding="utf-8")
    for word in (*KINDS, *MEMBERS, *DATUMS, *CAUSES, *OUTCOMES, str(MOST_BYTES), str(MOST_TEXT)):
        assert word in text, word
    for field in fields(HandheldReply):
        assert f"`{field.name}`" in text, field.name
