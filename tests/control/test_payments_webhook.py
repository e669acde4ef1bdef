"""The signed payment webhook: what is taken, what is refused, and that one bit more or less is noticed."""

import json
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.amounts import PaymentRefusal, micro
from control.payments import channels
from control.payments.webhook import accept, reply, secret, sign
from storage.records import Payment

NOW = datetime(2024, 5, 1, 8, 0)
KEY = secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
OTHER = b"another key"
DATA = {"external_id": "P1", "account": "A1", "amount": "12.50", "currency": "CNY", "paid_at": "2024-05-01T07:59:00Z"}


def body(kind: str = "payment.posted", **changes: object) -> bytes:
    return json.dumps({"type": kind, "data": {**DATA, **changes}}).encode()


def send(raw: bytes, *, at: datetime = NOW, key: bytes = KEY, **headers: str) -> Payment | PaymentRefusal:
    return accept(raw, {**sign(key, "msg_1", at, raw), **headers}, [OTHER, KEY], NOW)


def reason(answer: Payment | PaymentRefusal) -> str:
    assert isinstance(answer, PaymentRefusal), answer
    return answer.reason


def test_a_signed_message_is_a_payment() -> None:
    payment = send(body())
    assert isinstance(payment, Payment)
    assert (payment.channel, payment.external_id, payment.account) == ("webhook", "P1", "A1")
    assert (payment.amount_micro, payment.currency, payment.status) == (12_500_000, "CNY", "posted")
    assert (payment.at, payment.received) == (datetime(2024, 5, 1, 7, 59), NOW)


def test_the_published_example_of_standard_webhooks_verifies() -> None:
    # Standard Webhooks, reference libraries' own test vector
    raw = b'{"test": 2432232314}'
    at = datetime(1970, 1, 1) + timedelta(seconds=1614265330)
    assert sign(KEY, "msg_p5jXN8AQM9LWM0D4loKWxJek", at, raw)["webhook-signature"] == (
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    )


@pytest.mark.parametrize(("skew_s", "taken"), [(0, True), (300, True), (-300, True), (301, False), (-301, False)])
def test_five_minutes_and_not_one_second_more(skew_s: int, taken: bool) -> None:
    answer = send(body(), at=NOW + timedelta(seconds=skew_s))
    assert isinstance(answer, Payment) is taken
    assert taken or reason(answer) == "stale"


def test_a_second_live_key_serves_the_rotation_and_a_dead_one_does_not() -> None:
    assert isinstance(send(body(), key=OTHER), Payment)
    assert reason(send(body(), key=b"dead")) == "bad_signature"


@given(st.integers(0, 400), st.integers(1, 255))
def test_any_changed_byte_is_refused(position: int, bits: int) -> None:
    raw = body()
    forged = bytearray(raw)
    forged[position % len(raw)] ^= bits
    headers = sign(KEY, "msg_1", NOW, raw)
    assert reason(accept(bytes(forged), headers, [KEY], NOW)) == "bad_signature"


def test_id_and_time_are_signed_too() -> None:
    raw = body()
    headers = sign(KEY, "msg_1", NOW, raw)
    assert reason(accept(raw, {**headers, "webhook-id": "msg_2"}, [KEY], NOW)) == "bad_signature"
    later = sign(KEY, "msg_1", NOW + timedelta(seconds=9), raw)["webhook-timestamp"]
    assert reason(accept(raw, {**headers, "webhook-timestamp": later}, [KEY], NOW)) == "bad_signature"
    assert isinstance(accept(raw, {name.upper(): value for name, value in headers.items()}, [KEY], NOW), Payment)
    assert reason(accept(raw, {}, [KEY], NOW)) == "missing_header"


@pytest.mark.parametrize(
    ("raw", "want"),
    [
        (b"\xff", "not_json"),
        (b"[]", "wrong_shape"),
        (b'{"type": "payment.posted"}', "wrong_shape"),
        (body("payment.maybe"), "unknown_type"),
        (body(amount=12.5), "bad_field"),
        (body(amount="1e3"), "bad_amount"),
        (body(amount="0"), "bad_amount"),
        (body(amount="-1"), "bad_amount"),
        (body(amount="0.0000001"), "bad_amount"),
        (body(external_id=""), "bad_field"),
        (body(account="x" * 201), "bad_field"),
        (body(paid_at="2024-05-01T07:59:00"), "bad_time"),
        (body(paid_at="yesterday"), "bad_time"),
        (b" " * 70_000, "too_large"),
    ],
)
def test_what_is_refused(raw: bytes, want: str) -> None:
    assert reason(send(raw)) == want


@given(st.binary(max_size=200), st.dictionaries(st.text(max_size=20), st.text(max_size=40)))
def test_hostile_bytes_never_raise(raw: bytes, headers: dict[str, str]) -> None:
    assert isinstance(accept(raw, headers, [KEY], NOW), PaymentRefusal)
    assert isinstance(send(raw), PaymentRefusal)


def test_kinds_map_to_states_and_the_reply_is_the_same_for_a_replay() -> None:
    for kind, status in (("pending", "pending"), ("failed", "failed"), ("reversed", "reversed")):
        payment = send(body(f"payment.{kind}"))
        assert isinstance(payment, Payment) and payment.status == status
    assert reply({"status": "posted", "external_id": "P1"}) == b'{"external_id":"P1","status":"posted"}'
    first, second = send(body()), send(body(), at=NOW + timedelta(seconds=60))
    assert isinstance(first, Payment) and isinstance(second, Payment)
    assert first.body_hash == second.body_hash and replace(first, body_hash="") == replace(second, body_hash="")


def test_channels_are_found_by_name() -> None:
    assert {name for name, kind in channels().items() if kind.live} == {"webhook"}


@given(st.integers(-(10**17), 10**17))
def test_micro_reads_back_what_a_decimal_prints(value: int) -> None:
    sign_text = "-" if value < 0 else ""
    whole, part = divmod(abs(value), 10**6)
    assert micro(f"{sign_text}{whole}.{part:06d}") == value
