"""A topic and a JSON payload from a handheld go in, a message or a named refusal comes out; replies go the other way.

Topics: ``prewatt/v1/handheld/<device>/<kind>``, the kinds being those of ``KINDS``, and
``prewatt/v1/handheld/<device>/reply`` back. A payload is one flat JSON object::

    {"message_id": "A7-000041", "seq": 41, "at": "2026-07-01T08:15:02Z", "meter": "M17", "register_kwh": "1234.56",
     "latitude": 30.2741, "longitude": 120.1551, "accuracy_m": 8, "datum": "WGS84", "person": "reader-3"}

The last member is ``"mac"``: HMAC-SHA256 in hex over the topic, a line feed and the object without that member, exactly
as it was serialised. While a device's key is replaced, its new and its old key are both good. Nothing here raises on
what a device sent.
"""

import hashlib
import hmac
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any

from ingest.errors import WireRefusal
from ingest.records import HandheldMessage, HandheldReply
from ingest.wire.handheldfields import ID, MEMBERS

ROOT = "prewatt/v1/handheld"
MOST_BYTES = 8192
MOST_KEYS = 2  # live keys of one device: the new one, and the old one while it is replaced
MAC = r"[0-9a-f]{64}"
DEVICE = re.compile(r"[A-Za-z0-9_-]{1,64}")
_MAC = re.compile(rb',\s*"mac"\s*:\s*"([0-9a-f]{64})"\s*\}\s*\Z')
Keys = Mapping[str, Sequence[bytes]]
"""The live keys of each device, the newest first."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of message: what it says, and the members that it needs beside id, sequence and time."""

    says: str
    needs: tuple[str, ...] = ()


ALWAYS = ("message_id", "seq", "at")
KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "read": Kind("a provisional read", ("meter", "register_wh")),
        "confirm": Kind("a final read, unchangeable; the reply carries bill and balance", ("meter", "register_wh")),
        "mend": Kind(
            "the right register of a final record that was misread, by another person than the one who misread it",
            ("supersedes", "meter", "register_wh", "person"),
        ),
        "check": Kind("an on-site check of a meter that is read remotely", ("meter", "register_wh")),
        "no_access": Kind("nobody there, or the box is locked", ("meter",)),
        "swap": Kind("a meter was replaced", ("meter", "serial", "register_wh", "serial_out", "register_out_wh")),
        "resolve": Kind("what was found on site of a work order, which it closes", ("order", "outcome")),
        "candidates": Kind("which customers are near this position; they come in the reply", ("latitude", "longitude")),
        "route": Kind("the stops that are due, nearest first; they come in the reply"),
        "position": Kind("where the device is, for the route record", ("latitude", "longitude")),
        "outage": Kind("supply is or will be off", ("detail",)),
        "restored": Kind("supply is back: the outage is over", ("outage",)),
    }
)
SUBSCRIPTIONS = tuple(f"{ROOT}/+/{kind}" for kind in KINDS)


@dataclass(frozen=True, slots=True)
class HandheldRefusal:
    """Why a payload is no message: stable ``reason``, readable ``detail``, and whom to tell (``""`` when unknown)."""

    reason: str
    detail: str
    device: str = ""
    message_id: str = ""


def reply_topic(device: str) -> str:
    """Where the device listens."""
    return f"{ROOT}/{device}/reply"


def message_topic(device: str, kind: str) -> str:
    """Where the device speaks."""
    return f"{ROOT}/{device}/{kind}"


def sign(topic: str, payload: bytes, key: bytes) -> bytes:
    """Add the ``mac`` member to a serialised JSON object."""
    return payload.rstrip()[:-1] + f',"mac":"{_mac(topic, payload, key)}"}}'.encode()


def parse(topic: str, payload: bytes, keys: Keys, *, unsigned: bool = False) -> HandheldMessage | HandheldRefusal:
    """Judge one message. A device that has keys must sign; one without is refused, unless ``unsigned`` lets it be.

    Reasons: bad_topic, too_large, unknown_device, bad_signature, not_json, unknown_field, missing_field, bad_field.
    """
    parts = topic.split("/")
    if len(parts) != 5 or "/".join(parts[:3]) != ROOT or parts[4] not in KINDS or not DEVICE.fullmatch(parts[3]):
        return HandheldRefusal("bad_topic", f"topic {topic[:100]!r}")
    device, kind = parts[3], parts[4]
    message_id = ""
    try:
        body = _object(_verified(topic, payload, keys.get(device, ()), unsigned=unsigned))
        if isinstance(found := body.get("message_id"), str) and ID.fullmatch(found):
            message_id = found
        return _message(device, kind, body)
    except WireRefusal as refusal:
        return HandheldRefusal(refusal.reason, str(refusal), device, message_id)


def _verified(topic: str, payload: bytes, keys: Sequence[bytes], *, unsigned: bool) -> bytes:
    """The payload without its mac, once size and signature hold."""
    if len(payload) > MOST_BYTES:
        raise WireRefusal("too_large", f"{len(payload)} bytes, at most {MOST_BYTES}")
    match = _MAC.search(payload)
    body = payload[: match.start()] + b"}" if match else payload
    if not keys:
        if unsigned:
            return body
        raise WireRefusal("unknown_device", f"topic {topic[:100]} has no key: register the device under [broker]")
    if match is None:
        raise WireRefusal("bad_signature", "no mac at the end of the payload")
    if not signed_with(topic, payload, keys):
        raise WireRefusal("bad_signature", "the mac is not of this payload, topic and key")
    return body


def signed_with(topic: str, payload: bytes, keys: Sequence[bytes]) -> bytes:
    """The one of ``keys`` that made this payload's mac, b"" when none did."""
    match = _MAC.search(payload)
    if match is None:
        return b""
    body, given = payload[: match.start()] + b"}", match.group(1).decode()
    return next((key for key in keys if hmac.compare_digest(_mac(topic, body, key), given)), b"")


def _mac(topic: str, body: bytes, key: bytes) -> str:
    return hmac.new(key, topic.encode() + b"\n" + body, hashlib.sha256).hexdigest()


def _object(payload: bytes) -> dict[str, Any]:
    """The JSON object of ``payload``; repeated members, NaN and anything but one object are refused."""

    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise WireRefusal("not_json", "a member appears twice")
        return found

    def constant(word: str) -> Any:
        raise WireRefusal("not_json", f"{word} is no JSON number")

    try:
        body = json.loads(payload.decode("utf-8"), object_pairs_hook=members, parse_constant=constant)
    except (ValueError, RecursionError) as error:
        raise WireRefusal("not_json", str(error)[:200]) from None
    if not isinstance(body, dict):
        raise WireRefusal("not_json", f"a {type(body).__name__}, wanted one object")
    return body


def _message(device: str, kind: str, body: dict[str, Any]) -> HandheldMessage:
    """Check every member and build the record."""
    for name in body:
        if name not in MEMBERS:
            near = get_close_matches(name[:40], MEMBERS, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise WireRefusal("unknown_field", f"{name[:40]!r}{hint}")
    values: dict[str, Any] = {}
    for name, member in MEMBERS.items():
        if name in body and body[name] is not None:
            target = name.replace("_kwh", "_wh")
            if target in values:
                raise WireRefusal("bad_field", f"{name} and {target} exclude each other")
            values[target] = member.check(name, body[name])
    for name in (*ALWAYS, *KINDS[kind].needs):
        if name not in values or values[name] == "":
            raise WireRefusal("missing_field", f"{kind} needs {name}")
    if ("latitude" in values) != ("longitude" in values):
        raise WireRefusal("bad_field", "a position has latitude and longitude")
    return HandheldMessage(device=device, kind=kind, **values)


def encode(message: HandheldMessage, key: bytes = b"") -> tuple[str, bytes]:
    """Topic and payload of a message, signed when ``key`` is given: what a handheld sends."""
    topic = message_topic(message.device, message.kind)
    payload = json.dumps(_members(message, ("device", "kind")), ensure_ascii=False, separators=(",", ":")).encode()
    return topic, sign(topic, payload, key) if key else payload


def encode_reply(reply: HandheldReply, key: bytes = b"") -> tuple[str, bytes]:
    """Topic and payload of a reply, signed when ``key`` is given."""
    topic = reply_topic(reply.device)
    payload = json.dumps(_members(reply, ()), ensure_ascii=False, separators=(",", ":")).encode()
    return topic, sign(topic, payload, key) if key else payload


def _members(record: Any, without: tuple[str, ...]) -> dict[str, Any]:
    """The fields of a record that say something, in their order; times with their zone."""
    found = {field.name: getattr(record, field.name) for field in fields(record) if field.name not in without}
    said = {name: value for name, value in found.items() if value is not None and value not in ("", ())}
    return {n: value.isoformat() + "Z" if isinstance(value, datetime) else value for n, value in said.items()}


def parse_reply(payload: bytes) -> HandheldReply | HandheldRefusal:
    """What a handheld makes of a reply."""
    try:
        match = _MAC.search(payload)
        body = _object(payload[: match.start()] + b"}" if match else payload)
        known = {field.name for field in fields(HandheldReply)}
        values = {name: value for name, value in body.items() if name in known}
        return HandheldReply(**{**values, "items": tuple(values.get("items", ()))})
    except (WireRefusal, TypeError) as error:
        return HandheldRefusal("bad_reply", str(error))
