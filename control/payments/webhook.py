"""A signed webhook's bytes and headers go in; one Payment, a count, or a refusal with the HTTP status comes out.

The scheme is Standard Webhooks: the headers ``webhook-id``, ``webhook-timestamp`` (Unix seconds) and
``webhook-signature`` (``v1,<base64>`` items, parted by spaces), HMAC-SHA256 over ``id.timestamp.body`` of the RAW body.
A message older or newer than five minutes is refused, so that a recorded one cannot be sent again later. The
idempotency key is the payment's own ``external_id``: the same body gets the same answer however often it comes, another
body under the same id is a conflict (see ``control/settle.py``).

The body: ``{"type": "payment.posted", "data": {"external_id": "...", "account": "...", "amount": "12.50",
"currency": "CNY", "paid_at": "2024-05-01T08:00:00Z"}}``; types are payment.posted, .pending, .failed and .reversed.

A live channel also says regularly what it handed over, or nobody is cut (guard G3): ``{"type": "channel.reconciled",
"data": {"until": "2024-05-01T08:00:00Z", "count": 12, "total": "340.50"}}`` counts its posted payments by ``paid_at``
up to and with ``until``, since the last count on which both sides agreed (or since ``since``, if it is there).
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from control.amounts import ChannelReport, PaymentRefusal, micro
from control.ports import PaymentChannel
from storage.records import Payment

PAYMENTS = PaymentChannel("webhook", live=True, says="a payment provider's signed HTTP messages, answered after commit")
TOLERANCE = timedelta(minutes=5)
BODY_LIMIT = 64 * 1024
TYPES = {
    "payment.posted": "posted",
    "payment.pending": "pending",
    "payment.failed": "failed",
    "payment.reversed": "reversed",
}
RECONCILED = "channel.reconciled"
COUNT_LIMIT = 10**9
_EPOCH = datetime(1970, 1, 1)
_FIELDS = ("external_id", "account", "amount", "currency", "paid_at")


def secret(text: str) -> bytes:
    """The key's bytes from its configured form, ``whsec_`` + base64 or plain text."""
    if text.startswith("whsec_"):
        return base64.b64decode(text.removeprefix("whsec_"), validate=True)
    return text.encode()


def sign(key: bytes, message_id: str, at: datetime, body: bytes) -> dict[str, str]:
    """The three headers that sign ``body`` at ``at`` (naive UTC)."""
    stamp = str(int((at - _EPOCH).total_seconds()))
    return {
        "webhook-id": message_id,
        "webhook-timestamp": stamp,
        "webhook-signature": "v1," + _signature(key, message_id, stamp, body),
    }


def accept(
    body: bytes, headers: Mapping[str, str], keys: Sequence[bytes], now: datetime, *, channel: str = PAYMENTS.name
) -> Payment | ChannelReport | PaymentRefusal:
    """Check signature, age and shape of one message; header names may be in any case. Never raises on bytes."""
    if len(body) > BODY_LIMIT:
        return PaymentRefusal(413, "too_large", f"body of {len(body)} bytes, limit {BODY_LIMIT}")
    given = {name.lower(): value for name, value in headers.items()}
    refusal = _unsigned(body, given, keys, now)
    if refusal is not None:
        return refusal
    try:
        message = json.loads(body)
    except (UnicodeDecodeError, ValueError, RecursionError):
        return PaymentRefusal(400, "not_json", "the body is not JSON in UTF-8")
    if not isinstance(message, dict) or not isinstance(message.get("data"), dict):
        return PaymentRefusal(400, "wrong_shape", "want an object with type and data")
    if message.get("type") == RECONCILED:
        return _report(message["data"], channel)
    status = TYPES.get(str(message.get("type")))
    if status is None:
        return PaymentRefusal(400, "unknown_type", f"type must be one of {', '.join((*TYPES, RECONCILED))}")
    return _payment(message["data"], status, body, now, channel)


def _signature(key: bytes, message_id: str, stamp: str, body: bytes) -> str:
    signed = f"{message_id}.{stamp}.".encode() + body
    return base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def _unsigned(body: bytes, given: Mapping[str, str], keys: Sequence[bytes], now: datetime) -> PaymentRefusal | None:
    """Why this message is not to be believed; None = it is signed by one of ``keys`` and fresh."""
    message_id, stamp = given.get("webhook-id", ""), given.get("webhook-timestamp", "")
    if not message_id or "." in message_id or not stamp.isascii() or not stamp.isdigit() or len(stamp) > 12:
        return PaymentRefusal(400, "missing_header", "webhook-id, webhook-timestamp and webhook-signature are needed")
    if abs(now - (_EPOCH + timedelta(seconds=int(stamp)))) > TOLERANCE:
        return PaymentRefusal(401, "stale", "webhook-timestamp is more than 5 minutes away from our clock")
    offered = [item.removeprefix("v1,") for item in given.get("webhook-signature", "").split()[:8] if item[:3] == "v1,"]
    for key in keys:
        want = _signature(key, message_id, stamp, body).encode()
        for item in offered:
            if hmac.compare_digest(want, item.encode(errors="replace")):
                return None
    return PaymentRefusal(401, "bad_signature", "no v1 signature of a live key matches the raw body")


def _payment(
    data: Mapping[str, object], status: str, body: bytes, now: datetime, channel: str
) -> Payment | PaymentRefusal:
    texts: dict[str, str] = {}
    for name in _FIELDS:
        value = data.get(name)
        if not isinstance(value, str) or not value or len(value) > 200:
            return PaymentRefusal(400, "bad_field", f"data.{name} must be a text of 1 to 200 characters")
        texts[name] = value
    amount = micro(texts["amount"])
    if amount is None or amount <= 0:
        return PaymentRefusal(400, "bad_amount", "data.amount must be a positive decimal, at most 6 places")
    at = _instant(texts["paid_at"])
    if at is None:
        return PaymentRefusal(400, "bad_time", "data.paid_at must be ISO 8601 in UTC, e.g. 2024-05-01T08:00:00Z")
    return Payment(
        channel=channel,
        external_id=texts["external_id"],
        account=texts["account"],
        amount_micro=amount,
        currency=texts["currency"],
        at=at,
        received=now,
        status=status,
        reason=str(data.get("reason", ""))[:200],
        body_hash=hashlib.sha256(body).hexdigest(),
    )


def _instant(text: object) -> datetime | None:
    """A time that names its zone, as naive UTC; None for anything else."""
    try:
        at = datetime.fromisoformat(str(text).replace("Z", "+00:00"))
        return at.astimezone(UTC).replace(tzinfo=None) if at.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None


def _report(data: Mapping[str, object], channel: str) -> ChannelReport | PaymentRefusal:
    """A channel's own count of what it handed over."""
    until, since = _instant(data.get("until")), _instant(data.get("since"))
    if until is None or (data.get("since") is not None and (since is None or since > until)):
        return PaymentRefusal(400, "bad_time", "data.until (and data.since before it) must be ISO 8601 in UTC")
    count, total = data.get("count"), data.get("total")
    if type(count) is not int or not 0 <= count <= COUNT_LIMIT:
        return PaymentRefusal(400, "bad_field", "data.count must be a whole number, none negative")
    amount = micro(total) if isinstance(total, str) else None
    if amount is None or amount < 0:
        return PaymentRefusal(400, "bad_amount", "data.total must be a decimal text, at most 6 places")
    return ChannelReport(channel, until, count, amount, since)


def reply(result: Mapping[str, str]) -> bytes:
    """The answer's bytes, equal for a replay: sorted keys, no times, no counters."""
    return json.dumps(dict(result), sort_keys=True, separators=(",", ":")).encode()
