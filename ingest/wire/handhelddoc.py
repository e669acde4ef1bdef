"""The handheld's kinds, members and reply go in, their JSON schemas and the AsyncAPI 3.0 document come out.

Nothing is said twice: kinds and members are those that the parser checks by, the reply's are its record's fields.
"""

import types
import typing
from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Any

from ingest.records import HandheldReply
from ingest.wire.handheld import ALWAYS, DEVICE, KINDS, MAC, MOST_BYTES, ROOT, Kind
from ingest.wire.handheldfields import MEMBERS

Json = dict[str, Any]
DIALECT = "http://json-schema.org/draft-07/schema#"
IN_KWH = {"register_wh": "register_kwh", "register_out_wh": "register_out_kwh"}
"""Registers that may come as a decimal text in kWh instead."""
STATUSES = ("accepted", "duplicate", "held", "refused")
_REPLY: Mapping[str, str] = {
    "message_id": "the message that this answers",
    "device": "whom it is for",
    "status": "accepted, duplicate (counted before), held (kept, look again), refused (not taken)",
    "reason": "why, as a stable word; nothing when all is well",
    "account": "whose meter it is",
    "bill": "what the period would cost if it ended at the last actual read",
    "balance": "what is left, negative: owed",
    "currency": "ISO 4217",
    "tier": "price tier of the last unit, from 0",
    "items": "customers near the position, or stops of the route, nearest first",
}


def member_schemas() -> Json:
    """The JSON schema of each member of a message, the mac too."""
    says = "last member: HMAC-SHA256 in hex over topic, line feed and the object without it"
    found: Json = {name: {**member.form, "description": member.says} for name, member in MEMBERS.items()}
    return {**found, "mac": {"type": "string", "pattern": f"^{MAC}$", "description": says}}


def message_schema(kind: str, properties: Mapping[str, Any] | None = None) -> Json:
    """The JSON schema (draft-07) of one kind's payload; ``properties`` may be references to the members' schemas."""
    spec = KINDS[kind]
    required = [name for name in (*ALWAYS, *spec.needs) if name not in IN_KWH]
    rules: list[Json] = [{"not": {"required": [wh, kwh]}} for wh, kwh in IN_KWH.items()]
    rules += [{"anyOf": [{"required": [name]}, {"required": [IN_KWH[name]]}]} for name in spec.needs if name in IN_KWH]
    together = {"latitude": ["longitude"], "longitude": ["latitude"]}
    return {
        "type": "object",
        "description": spec.says,
        "properties": dict(properties or member_schemas()),
        "required": required,
        "dependencies": together,
        "allOf": rules,
        "additionalProperties": False,
    }


def reply_schema() -> Json:
    """The JSON schema (draft-07) of a reply, from the fields of its record."""
    hints = typing.get_type_hints(HandheldReply)
    properties = {
        field.name: {**_form(hints[field.name]), "description": _REPLY[field.name]} for field in fields(HandheldReply)
    }
    properties["status"]["enum"] = list(STATUSES)
    properties["mac"] = {"type": "string", "pattern": f"^{MAC}$", "description": "as in a message"}
    required = [f.name for f in fields(HandheldReply) if f.default is MISSING and f.default_factory is MISSING]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _form(hint: Any) -> Json:
    """A field's type as JSON schema; None is a member that is left out."""
    if isinstance(hint, types.UnionType):
        hint = next(part for part in hint.__args__ if part is not type(None))
    if typing.get_origin(hint) is tuple:
        return {"type": "array", "items": {"type": "object", "additionalProperties": {"type": "string"}}}
    return {"type": {str: "string", int: "integer"}[hint]}


def document() -> Json:
    """The AsyncAPI 3.0 document: a channel and an operation per kind, each answered on the device's reply channel."""
    members = {name: _ref("components/schemas", f"member_{name}") for name in member_schemas()}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "prewatt handhelds",
            "version": "1",
            "description": "Messages of readers' and crews' handhelds over MQTT 3.1.1, QoS 1, and the replies. "
            f"A payload has at most {MOST_BYTES} bytes and is signed with the device's key.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {**{kind: _channel(kind) for kind in KINDS}, "reply": _channel("reply")},
        "operations": {f"take_{kind}": _operation(kind) for kind in KINDS},
        "components": {
            "messages": {**{kind: _message(kind, spec) for kind, spec in KINDS.items()}, "reply": _answer()},
            "schemas": {
                **{kind: message_schema(kind, members) for kind in KINDS},
                "reply": reply_schema(),
                **{f"member_{name}": form for name, form in member_schemas().items()},
            },
            "parameters": {"device": {"description": f"the device's name, {DEVICE.pattern}"}},
        },
    }


def _ref(where: str, name: str) -> Json:
    return {"$ref": f"#/{where}/{name}"}


def _channel(name: str) -> Json:
    return {
        "address": f"{ROOT}/{{device}}/{name}",
        "messages": {name: _ref("components/messages", name)},
        "parameters": {"device": _ref("components/parameters", "device")},
        "bindings": {"mqtt": {"bindingVersion": "0.2.0"}},
    }


def _operation(kind: str) -> Json:
    return {
        "action": "receive",
        "channel": _ref("channels", kind),
        "messages": [_ref(f"channels/{kind}/messages", kind)],
        "reply": {"channel": _ref("channels", "reply"), "messages": [_ref("channels/reply/messages", "reply")]},
        "bindings": {"mqtt": {"qos": 1, "retain": False, "bindingVersion": "0.2.0"}},
    }


def _message(kind: str, spec: Kind) -> Json:
    return {"name": kind, "summary": spec.says, "payload": _ref("components/schemas", kind)}


def _answer() -> Json:
    return {
        "name": "reply",
        "summary": "what became of a message, after our commit",
        "payload": _ref("components/schemas", "reply"),
        "correlationId": {"location": "$message.payload#/message_id"},
    }
