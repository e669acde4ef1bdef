"""The handhelds' AsyncAPI document: valid AsyncAPI 3.0, made of the parser's own lists, and as strict as the parser."""

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.records import HandheldMessage, HandheldReply
from ingest.wire.handheld import KINDS, ROOT, encode, encode_reply, parse
from ingest.wire.handhelddoc import document, message_schema, reply_schema
from ingest.wire.handheldfields import MEMBERS

HERE = Path(__file__).parent
OFFICIAL = json.loads((HERE / "asyncapi-3.0.0.schema.json").read_text(encoding="utf-8"))
SCHEMAS = {kind: jsonschema.Draft7Validator(message_schema(kind)) for kind in KINDS}
FULL: dict[str, Any] = {
    "message_id": "A7-1", "seq": 1, "at": "2026-07-01T16:15:02+08:00", "meter": "M17", "serial": "77",
    "register_kwh": "1234.56", "latitude": 30.2741, "longitude": 120.1551, "accuracy_m": 8, "datum": "GCJ02",
    "person": "reader-3", "detail": "cable", "serial_out": "42", "register_out_wh": 9_876_500, "photo": "a7/1.jpg",
    "supersedes": "A7-0", "order": "w1", "outcome": "cleared", "outage": "o1", "cause": "fault", "transformer": "T1",
    "feeder": "F1", "start": "2026-07-01T08:00:00Z", "expected_end": "2026-07-01T12:00:00Z",
}  # fmt: skip


def test_the_document_is_valid_asyncapi() -> None:
    validator = jsonschema.Draft7Validator(OFFICIAL)
    assert [error.message for error in validator.iter_errors(document())] == []
    broken = document()
    broken["channels"]["read"]["adress"] = broken["channels"]["read"].pop("address")
    assert list(validator.iter_errors(broken)), "a misspelt key must not pass"


def test_every_reference_of_the_document_leads_somewhere() -> None:
    whole = document()

    def walk(node: Any) -> None:
        if isinstance(node, dict):
            if "$ref" in node:
                found = whole
                for part in node["$ref"].removeprefix("#/").split("/"):
                    found = found[part]
            for inner in node.values():
                walk(inner)
        elif isinstance(node, list):
            for inner in node:
                walk(inner)

    walk(whole)
    addresses = {channel["address"] for channel in whole["channels"].values()}
    assert addresses == {f"{ROOT}/{{device}}/{name}" for name in (*KINDS, "reply")}


def test_the_published_file_is_the_code() -> None:
    page = HERE.parents[1] / "docs" / "reference" / "handhelds.asyncapi.json"
    assert json.loads(page.read_text(encoding="utf-8")) == json.loads(json.dumps(document()))


def test_members_are_the_fields_of_the_record() -> None:
    named = {field.name for field in fields(HandheldMessage)} - {"device", "kind"}
    assert {name.replace("_kwh", "_wh") for name in MEMBERS} == named
    assert set(reply_schema()["properties"]) == {field.name for field in fields(HandheldReply)} | {"mac"}


def _accepted(kind: str, body: dict[str, Any]) -> bool:
    topic = f"{ROOT}/A7/{kind}"
    return isinstance(parse(topic, json.dumps(body).encode(), {}, unsigned=True), HandheldMessage)


@pytest.mark.parametrize("kind", KINDS)
def test_schema_and_parser_agree_when_one_member_is_missing_or_wrong(kind: str) -> None:
    assert SCHEMAS[kind].is_valid(FULL) and _accepted(kind, FULL)
    wrong: tuple[Any, ...] = (True, -1, 10**15, "", "x" * 1001, "a b", [], 91.5, 1.5, "2026-07-01", "12.3456", "mars")
    for name in FULL:
        less = {key: value for key, value in FULL.items() if key != name}
        assert SCHEMAS[kind].is_valid(less) == _accepted(kind, less), name
        for value in wrong:
            body = FULL | {name: value}
            if _accepted(kind, body):
                assert SCHEMAS[kind].is_valid(body), (name, value)
            elif value not in ("", 1.5, "2026-07-01"):  # texts that a needed member may not leave empty; dates
                assert not SCHEMAS[kind].is_valid(body) or name in ("at", "start", "expected_end"), (name, value)
    assert not SCHEMAS[kind].is_valid(FULL | {"lattitude": 1})
    assert not SCHEMAS[kind].is_valid(FULL | {"register_wh": 5})


@given(st.sampled_from(list(KINDS)), st.dictionaries(st.sampled_from(list(FULL)), st.sampled_from([...]), max_size=9))
def test_what_the_parser_takes_the_schema_takes(kind: str, without: dict[str, Any]) -> None:
    body = {name: value for name, value in FULL.items() if name not in without}
    assert SCHEMAS[kind].is_valid(body) == _accepted(kind, body)


def test_what_a_handheld_sends_and_gets_is_of_the_schema() -> None:
    topic = f"{ROOT}/A7/confirm"
    message = parse(topic, json.dumps(FULL).encode(), {}, unsigned=True)
    assert isinstance(message, HandheldMessage)
    _, payload = encode(message, b"key")
    assert list(SCHEMAS["confirm"].iter_errors(json.loads(payload))) == []
    assert parse(topic, payload, {"A7": (b"key",)}) == message
    reply = HandheldReply("A7-1", "A7", "accepted", tier=2, items=({"meter": "M1", "away_m": "3"},))
    assert list(jsonschema.Draft7Validator(reply_schema()).iter_errors(json.loads(encode_reply(reply, b"k")[1]))) == []
