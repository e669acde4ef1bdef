"""An M-Pesa C2B message's bytes go in; one Payment, or a refusal, comes out.

Safaricom signs nothing: what proves a message is the secret in the address that it is posted to, checked by the caller.
A **validation** asks before the money moves whether the account is ours; a **confirmation** says that it moved, and
is a payment whatever we said before. ``TransTime`` is local time of Nairobi, ``YYYYMMDDHHMMSS``.
Source: Safaricom Daraja, Customer To Business (C2B), Register URL and the bodies of ValidationURL and ConfirmationURL.
"""

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone

from control.amounts import PaymentRefusal, micro
from control.ports import PaymentChannel
from storage.records import Payment

PAYMENTS = PaymentChannel("mpesa", live=False, says="M-Pesa C2B: validation and confirmation, answered after commit")
BODY_LIMIT = 16 * 1024
NAIROBI = timezone(timedelta(hours=3))
CURRENCY = "KES"
ACCEPTED: Mapping[str, str] = {"ResultCode": "0", "ResultDesc": "Accepted"}
UNKNOWN_ACCOUNT: Mapping[str, str] = {"ResultCode": "C2B00012", "ResultDesc": "Rejected"}


def accept(body: bytes, shortcode: str, now: datetime, *, channel: str = PAYMENTS.name) -> Payment | PaymentRefusal:
    """Check shape and business of one message; never raises on bytes."""
    if len(body) > BODY_LIMIT:
        return PaymentRefusal(413, "too_large", f"body of {len(body)} bytes, limit {BODY_LIMIT}")
    try:
        said = json.loads(body)
    except (UnicodeDecodeError, ValueError, RecursionError):
        return PaymentRefusal(400, "not_json", "the body is not JSON in UTF-8")
    if not isinstance(said, dict):
        return PaymentRefusal(400, "wrong_shape", "want an object")
    texts = {name: str(said.get(name, "")).strip() for name in ("TransID", "TransTime", "TransAmount", "BillRefNumber")}
    if str(said.get("BusinessShortCode", "")) != shortcode:
        return PaymentRefusal(403, "other_business", "BusinessShortCode is not ours")
    if not texts["TransID"].isalnum() or len(texts["TransID"]) > 40:
        return PaymentRefusal(400, "bad_field", "TransID must be letters and digits")
    amount = micro(texts["TransAmount"])
    if amount is None or amount <= 0:
        return PaymentRefusal(400, "bad_amount", "TransAmount must be a positive decimal")
    try:
        at = datetime.strptime(texts["TransTime"], "%Y%m%d%H%M%S").replace(tzinfo=NAIROBI)
    except ValueError:
        return PaymentRefusal(400, "bad_time", "TransTime must be YYYYMMDDHHMMSS")
    key = "\x1f".join(texts.values())
    return Payment(
        channel, texts["TransID"], texts["BillRefNumber"][:100] or "?", amount, CURRENCY,
        at.astimezone(UTC).replace(tzinfo=None), now, "posted", body_hash=hashlib.sha256(key.encode()).hexdigest(),
    )  # fmt: skip
