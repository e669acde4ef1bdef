"""A topic and a JSON payload from a handheld go in, a message or a named refusal comes out; replies go the other way.

Topics: ``prewatt/v1/handheld/<device>/<kind>`` with kind read, confirm, no_access, swap or outage, and
``prewatt/v1/handheld/<device>/reply`` back. A payload is one flat JSON object::

    {"message_id": "A7-000041", "seq": 41, "at": "2026-07-01T08:15:02Z", "meter": "M17", "register_kwh": "1234.56",
     "latitude": 30.2741, "longitude": 120.1551, "accuracy_m": 8, "datum": "WGS84", "person": "reader-3"}

Where the device has a key, the last member is ``"mac"``: HMAC-SHA256 in hex over the topic, a line feed and the object
without that member, exactly as it was serialised. Nothing here raises on what a device sent.
"""

import hashlib
import hmac
import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from decimal import Decimal
from difflib import get_close_matches
from typing import Any

from ingest.errors import WireRefusal
from ingest.records import HandheldMessage, HandheldReply

ROOT = "prewatt/v1/handheld"
KINDS = ("read", "confirm", "no_access", "swap", "outage")
SUBSCRIPTIONS = tuple(f"{ROOT}/+/{kind}" for kind in KINDS)
MOST_BYTES = 8192
MOST_TEXT = 1000
MOST_WH = 10**15
DATUMS = ("WGS84", "GCJ02", "BD09")
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_ID = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
_KWH = re.compile(r"\d{1,12}(\.\d{1,3})?")
_MAC = re.compile(rb',\s*"mac"\s*:\s*"([0-9a-f]{64})"\s*\}\s*\Z')
_NEEDS = {
    "read": ("meter", "register_wh"),
    "confirm": ("meter", "register_wh"),
    "no_access": ("meter",),
    "swap": ("meter", "serial", "register_wh", "serial_out", "register_out_wh"),
    "outage": ("detail",),
}


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
    mac = hmac.new(key, topic.encode() + b"\n" + payload, hashlib.sha256).hexdigest()
    return payload.rstrip()[:-1] + f',"mac":"{mac}"}}'.encode()


def parse(topic: str, payload: bytes, keys: Mapping[str, bytes]) -> HandheldMessage | HandheldRefusal:
    """Judge one message. ``keys`` holds the secret of each device; when it is empty, messages need no signature.

    Reasons: bad_topic, too_large, unknown_device, bad_signature, not_json, unknown_field, missing_field, bad_field.
    """
    parts = topic.split("/")
    if len(parts) != 5 or "/".join(parts[:3]) != ROOT or parts[4] not in KINDS or not _NAME.fullmatch(parts[3]):
        return HandheldRefusal("bad_topic", f"topic {topic[:100]!r}")
    device, kind = parts[3], parts[4]
    message_id = ""
    try:
        body = _object(_verified(topic, payload, device, keys))
        if isinstance(found := body.get("message_id"), str) and _ID.fullmatch(found):
            message_id = found
        return _message(device, kind, body)
    except WireRefusal as refusal:
        return HandheldRefusal(refusal.reason, str(refusal), device, message_id)


def _verified(topic: str, payload: bytes, device: str, keys: Mapping[str, bytes]) -> bytes:
    """The payload without its mac, once size and signature hold."""
    if len(payload) > MOST_BYTES:
        raise WireRefusal("too_large", f"{len(payload)} bytes, at most {MOST_BYTES}")
    match = _MAC.search(payload)
    if not keys:
        return payload[: match.start()] + b"}" if match else payload
    key = keys.get(device)
    if key is None:
        raise WireRefusal("unknown_device", f"device {device} has no key: register it first")
    if match is None:
        raise WireRefusal("bad_signature", "no mac at the end of the payload")
    body = payload[: match.start()] + b"}"
    want = hmac.new(key, topic.encode() + b"\n" + body, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(want, match.group(1).decode()):
        raise WireRefusal("bad_signature", "the mac is not of this payload, topic and key")
    return body


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
        if name not in _CHECKS:
            near = get_close_matches(name[:40], _CHECKS, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise WireRefusal("unknown_field", f"{name[:40]!r}{hint}")
    values: dict[str, Any] = {}
    for name, check in _CHECKS.items():
        if name in body and body[name] is not None:
            target = name.replace("_kwh", "_wh")
            if target in values:
                raise WireRefusal("bad_field", f"{name} and {target} exclude each other")
            values[target] = check(name, body[name])
    for name in ("message_id", "seq", "at", *_NEEDS[kind]):
        if name not in values or values[name] == "":
            raise WireRefusal("missing_field", f"{kind} needs {name}")
    if ("latitude" in values) != ("longitude" in values):
        raise WireRefusal("bad_field", "a position has latitude and longitude")
    return HandheldMessage(device=device, kind=kind, **values)


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str) or len(value) > MOST_TEXT or any(ord(letter) < 32 for letter in value):
        raise WireRefusal("bad_field", f"{name}: a text of at most {MOST_TEXT} printable letters")
    return value


def _id(name: str, value: Any) -> str:
    if not isinstance(value, str) or not _ID.fullmatch(value):
        raise WireRefusal("bad_field", f"{name}: 1 to 64 of letters, digits and _.:-")
    return value


def _count(name: str, value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < MOST_WH:
        raise WireRefusal("bad_field", f"{name}: a whole number from 0 on")
    return value


def _kwh(name: str, value: Any) -> int:
    if not isinstance(value, str) or not _KWH.fullmatch(value):
        raise WireRefusal("bad_field", f'{name}: a decimal text with at most 3 places, such as "1234.56"')
    return int(Decimal(value) * 1000)


def _number(low: float, high: float) -> Callable[[str, Any], float]:
    def check(name: str, value: Any) -> float:
        good = isinstance(value, int | float) and not isinstance(value, bool)
        if not good or not math.isfinite(value) or not low <= value <= high:
            raise WireRefusal("bad_field", f"{name}: a number from {low:g} to {high:g}")
        return float(value)

    return check


def _datum(name: str, value: Any) -> str:
    if value not in DATUMS:
        raise WireRefusal("bad_field", f"{name}: one of {', '.join(DATUMS)}")
    return str(value)


def _time(name: str, value: Any) -> datetime:
    """An ISO 8601 time with its zone, as naive UTC; a clock that was lost (before 2020) is refused, not believed."""
    try:
        at = datetime.fromisoformat(value) if isinstance(value, str) and len(value) <= 40 else None
        if at is None or at.tzinfo is None:
            raise ValueError
        utc = at.astimezone(UTC).replace(tzinfo=None)
    except (ValueError, OverflowError):
        raise WireRefusal("bad_field", f'{name}: ISO 8601 with a zone, such as "2026-07-01T08:15:02Z"') from None
    if not 2020 <= utc.year < 2100:
        raise WireRefusal("bad_field", f"{name}: {utc.year} is not now; set the device's clock")
    return utc


_CHECKS: dict[str, Callable[[str, Any], Any]] = {
    "message_id": _id,
    "seq": _count,
    "at": _time,
    "meter": _text,
    "serial": _text,
    "register_wh": _count,
    "register_kwh": _kwh,
    "latitude": _number(-90, 90),
    "longitude": _number(-180, 180),
    "accuracy_m": _number(0, 100_000),
    "datum": _datum,
    "person": _text,
    "detail": _text,
    "serial_out": _text,
    "register_out_wh": _count,
    "register_out_kwh": _kwh,
}


def encode(message: HandheldMessage, key: bytes = b"") -> tuple[str, bytes]:
    """Topic and payload of a message, signed when ``key`` is given: what a handheld sends."""
    topic = message_topic(message.device, message.kind)
    body = _members(message, ("device", "kind"))
    body["at"] = message.at.isoformat() + "Z"
    payload = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    return topic, sign(topic, payload, key) if key else payload


def encode_reply(reply: HandheldReply, key: bytes = b"") -> tuple[str, bytes]:
    """Topic and payload of a reply, signed when ``key`` is given."""
    topic = reply_topic(reply.device)
    payload = json.dumps(_members(reply, ()), ensure_ascii=False, separators=(",", ":")).encode()
    return topic, sign(topic, payload, key) if key else payload


def _members(record: Any, without: tuple[str, ...]) -> dict[str, Any]:
    """The fields of a record that say something, in their order."""
    found = {field.name: getattr(record, field.name) for field in fields(record) if field.name not in without}
    return {name: value for name, value in found.items() if value is not None and value != ""}


def parse_reply(payload: bytes) -> HandheldReply | HandheldRefusal:
    """What a handheld makes of a reply."""
    try:
        match = _MAC.search(payload)
        body = _object(payload[: match.start()] + b"}" if match else payload)
        known = {field.name for field in fields(HandheldReply)}
        return HandheldReply(**{name: value for name, value in body.items() if name in known})
    except (WireRefusal, TypeError) as error:
        return HandheldRefusal("bad_reply", str(error))
