"""An Alipay-style notification's form body goes in; one Payment, or a refusal, comes out.

The signature is RSA2 (SHA256withRSA) over all parameters but ``sign`` and ``sign_type``, sorted by name and joined as
``name=value`` with ``&``, values decoded. It comes again for a day until the answer is exactly ``success``.
The account travels in ``passback_params``; ``gmt_payment`` is Beijing time. A ``refund_fee`` makes it a reversal.
Source: Alipay open platform, asynchronous notification of trade results and its signature check.
"""

import base64
import hashlib
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from control.amounts import PaymentRefusal, micro
from control.ports import PaymentChannel
from storage.records import Payment

PAYMENTS = PaymentChannel("alipay", live=False, says="Alipay-style notifications: RSA2 signed, answered `success`")
BODY_LIMIT = 32 * 1024
FIELDS = 100
BEIJING = timezone(timedelta(hours=8))
CURRENCY = "CNY"
STATUSES: Mapping[str, str] = {
    "TRADE_SUCCESS": "posted",
    "TRADE_FINISHED": "posted",
    "WAIT_BUYER_PAY": "pending",
    "TRADE_CLOSED": "failed",
}
SUCCESS = b"success"


def signed(params: Mapping[str, str]) -> bytes:
    """The bytes that a signature covers.

    >>> signed({"b": "2", "a": "1", "sign": "x", "sign_type": "RSA2", "c": ""})
    b'a=1&b=2'
    """
    names = sorted(name for name, value in params.items() if value and name not in ("sign", "sign_type"))
    return "&".join(f"{name}={params[name]}" for name in names).encode()


def accept(
    body: bytes, key_pem: bytes, app_id: str, now: datetime, *, channel: str = PAYMENTS.name
) -> Payment | PaymentRefusal:
    """Check signature, addressee and shape of one notification; never raises on bytes of the body."""
    if len(body) > BODY_LIMIT:
        return PaymentRefusal(413, "too_large", f"body of {len(body)} bytes, limit {BODY_LIMIT}")
    try:
        pairs = _form(body.decode("ascii"))
    except (UnicodeDecodeError, ValueError):
        return PaymentRefusal(400, "not_form", "the body is no form")
    params = dict(pairs)
    if len(params) != len(pairs):
        return PaymentRefusal(400, "not_form", "a parameter stands twice")
    if params.get("sign_type") != "RSA2" or not _holds(params, key_pem):
        return PaymentRefusal(401, "bad_signature", "no RSA2 signature of the configured key")
    if params.get("app_id") != app_id:
        return PaymentRefusal(403, "other_business", "app_id is not ours")
    return _payment(params, now, channel)


def _form(text: str) -> list[tuple[str, str]]:
    """The fields of a form body, decoded; ValueError for what is none, or has too many."""
    parts = [part.partition("=") for part in text.split("&")]
    if len(parts) > FIELDS or not all(name and equals for name, equals, _ in parts):
        raise ValueError("no form")
    return [(_decoded(name), _decoded(value)) for name, _, value in parts]


def _decoded(text: str) -> str:
    """Text without its percent escapes: ``a%2Bb+c`` is ``a+b c``."""
    raw = re.sub(rb"%([0-9A-Fa-f]{2})", lambda found: bytes([int(found[1], 16)]), text.replace("+", " ").encode())
    return raw.decode()


def _holds(params: Mapping[str, str], key_pem: bytes) -> bool:
    try:
        key = load_pem_public_key(key_pem)
        assert isinstance(key, RSAPublicKey)
        key.verify(base64.b64decode(params.get("sign", ""), validate=True), signed(params), PKCS1v15(), SHA256())
    except (InvalidSignature, UnsupportedAlgorithm, ValueError, AssertionError):
        return False
    return True


def _payment(params: Mapping[str, str], now: datetime, channel: str) -> Payment | PaymentRefusal:
    status = STATUSES.get(params.get("trade_status", ""))
    refund = micro(params.get("refund_fee") or "0")
    paid = micro(params.get("total_amount", ""))
    if status is None or not params.get("trade_no"):
        return PaymentRefusal(400, "bad_field", "trade_no and a known trade_status are needed")
    amount, status = (refund, "reversed") if refund else (paid, status)
    if amount is None or refund is None or amount <= 0:
        return PaymentRefusal(400, "bad_amount", "total_amount must be a positive decimal")
    text = params.get("gmt_payment") or params.get("gmt_create", "")
    try:
        at = datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=BEIJING).astimezone(UTC).replace(tzinfo=None)
    except (ValueError, OverflowError):
        return PaymentRefusal(400, "bad_time", "gmt_payment must be YYYY-MM-DD HH:MM:SS")
    try:
        account = _decoded(params.get("passback_params", "")).strip()[:100] or "?"
    except UnicodeDecodeError:
        return PaymentRefusal(400, "bad_field", "passback_params is not UTF-8")
    key = "\x1f".join((params["trade_no"], account, str(amount), status))
    return Payment(
        channel, params["trade_no"][:64], account, amount, CURRENCY, at, now, status,
        body_hash=hashlib.sha256(key.encode()).hexdigest(),
    )  # fmt: skip
