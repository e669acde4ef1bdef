"""One replay table for every payment channel: duplicate, reordered, late, tampered, unknown account, reversal.

A ``Mouth`` says a payment in its channel's own bytes and takes them; what follows is the same for all: the ledger
counts each payment once, and what cannot be counted is a kept row or a refusal.
"""

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from urllib.parse import quote, urlencode

import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from control.amounts import PaymentFile, PaymentRefusal
from control.payments import alipay, camt, channels, csv, mpesa, pain, webhook
from control.settle import PaymentResult, settle, settle_file
from control.signals import Signal
from storage.records import Account, Payment
from storage.writer import Priority
from tests.control.rig import CNY, HOUR, NOW, Rig

KEY = b"k" * 32
APP, SHORT = "2021000000000001", "600638"


@dataclass(frozen=True)
class Said:
    """One payment as somebody says it."""

    ident: str
    account: str = "A1"
    amount: str = "60.00"
    status: str = "posted"
    at: datetime = NOW - HOUR


@dataclass(frozen=True)
class Mouth:
    """How a channel says a payment, and how its bytes are taken."""

    say: Callable[[Said], bytes]
    take: Callable[[Rig, bytes], PaymentResult | PaymentRefusal]
    account: str = "A1"
    currency: str = "CNY"
    reverses: bool = True
    pends: bool = True
    proves: bool = True  # a changed byte of the amount is found
    early: bool = True  # a reversal that comes before its payment is one already


def _posted(rig: Rig, payment: Payment | PaymentRefusal) -> PaymentResult | PaymentRefusal:
    if isinstance(payment, PaymentRefusal):
        return payment
    return rig.store.write(Priority.MONEY, lambda unit: settle(unit, payment, rig.world()))


def _filed(rig: Rig, file: PaymentFile | PaymentRefusal, channel: str) -> PaymentResult | PaymentRefusal:
    if isinstance(file, PaymentRefusal):
        return file
    found = rig.store.write(Priority.MONEY, lambda unit: settle_file(unit, file, "f", channel, rig.world()))
    return found if isinstance(found, PaymentRefusal) else found[0]


# ---- webhook


def say_webhook(said: Said) -> bytes:
    data = {
        "external_id": said.ident, "account": said.account, "amount": said.amount, "currency": "CNY",
        "paid_at": f"{said.at.isoformat()}Z",
    }  # fmt: skip
    body = json.dumps({"type": f"payment.{said.status}", "data": data}).encode()
    return json.dumps([webhook.sign(KEY, f"m-{said.ident}", NOW, body), body.decode()]).encode()


def take_webhook(rig: Rig, data: bytes) -> PaymentResult | PaymentRefusal:
    headers, body = json.loads(data)
    found = webhook.accept(body.encode(), headers, [KEY], NOW)
    assert isinstance(found, Payment | PaymentRefusal)
    return _posted(rig, found)


# ---- csv


def say_csv(said: Said) -> bytes:
    sign = "-" if said.status == "reversed" else ""
    head = "id,account,amount,currency,paid_at,status\n"
    row = f"{said.ident},{said.account},{said.amount},CNY,{said.at.isoformat()}Z,{said.status}\n"
    return f"{head}{row}TOTAL,1,{sign}{said.amount},,,\n".encode()


def take_csv(rig: Rig, data: bytes) -> PaymentResult | PaymentRefusal:
    return _filed(rig, csv.accept(data, csv.Columns(status="status"), NOW), "csv")


# ---- camt


def say_camt(said: Said) -> bytes:
    reversed_ = said.status == "reversed"
    booked = "PDNG" if said.status == "pending" else "BOOK"
    sums = "" if reversed_ else f"<NbOfNtries>1</NbOfNtries><Sum>{said.amount}</Sum>"
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.08"><BkToCstmrStmt><Stmt><Id>S1</Id>
<TxsSummry><TtlCdtNtries>{sums}</TtlCdtNtries></TxsSummry>
<Ntry><Amt Ccy="CNY">{said.amount}</Amt><CdtDbtInd>{"DBIT" if reversed_ else "CRDT"}</CdtDbtInd>
<RvslInd>{"true" if reversed_ else "false"}</RvslInd><Sts><Cd>{booked}</Cd></Sts>
<BookgDt><DtTm>{said.at.isoformat()}Z</DtTm></BookgDt>
<NtryDtls><TxDtls><Refs><AcctSvcrRef>{said.ident}</AcctSvcrRef><EndToEndId>NOTPROVIDED</EndToEndId></Refs>
<RmtInf><Strd><CdtrRefInf><Ref>{said.account}</Ref></CdtrRefInf></Strd></RmtInf></TxDtls></NtryDtls></Ntry>
</Stmt></BkToCstmrStmt></Document>""".encode()


def take_camt(rig: Rig, data: bytes) -> PaymentResult | PaymentRefusal:
    return _filed(rig, camt.accept(data, NOW), "camt")


# ---- direct debits: the statement's credits under the payer's reference, and the report of what was rejected


def say_pain(said: Said) -> bytes:
    if said.status in ("posted", "pending"):
        own = f"<AcctSvcrRef>{said.ident}</AcctSvcrRef><EndToEndId>NOTPROVIDED</EndToEndId>"
        return say_camt(said).replace(own.encode(), f"<EndToEndId>{said.ident}</EndToEndId>".encode())
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<Document xmlns="urn:iso:std:iso:20022:tech:xsd:pain.002.001.10"><CstmrPmtStsRpt>
<GrpHdr><MsgId>R1</MsgId><CreDtTm>{said.at.isoformat()}Z</CreDtTm></GrpHdr>
<OrgnlGrpInfAndSts><OrgnlMsgId>D1</OrgnlMsgId><OrgnlMsgNmId>pain.008.001.08</OrgnlMsgNmId><GrpSts>PART</GrpSts>
</OrgnlGrpInfAndSts><OrgnlPmtInfAndSts><OrgnlPmtInfId>B1</OrgnlPmtInfId>
<NbOfTxsPerSts><DtldNbOfTxs>1</DtldNbOfTxs><DtldSts>RJCT</DtldSts><DtldCtrlSum>{said.amount}</DtldCtrlSum></NbOfTxsPerSts>
<TxInfAndSts><OrgnlEndToEndId>{said.ident}</OrgnlEndToEndId><TxSts>RJCT</TxSts>
<StsRsnInf><Rsn><Cd>AM04</Cd></Rsn></StsRsnInf><OrgnlTxRef><Amt><InstdAmt Ccy="CNY">{said.amount}</InstdAmt></Amt>
<RmtInf><Strd><CdtrRefInf><Ref>{said.account}</Ref></CdtrRefInf></Strd></RmtInf></OrgnlTxRef></TxInfAndSts>
<TxInfAndSts><OrgnlEndToEndId>OK-{said.ident}</OrgnlEndToEndId><TxSts>ACSC</TxSts></TxInfAndSts>
</OrgnlPmtInfAndSts></CstmrPmtStsRpt></Document>""".encode()


def take_pain(rig: Rig, data: bytes) -> PaymentResult | PaymentRefusal:
    read = pain.accept if b"pain.002" in data else camt.accept
    return _filed(rig, read(data, NOW, channel="camt"), "camt")


# ---- M-Pesa


def say_mpesa(said: Said) -> bytes:
    body = {
        "TransactionType": "Pay Bill", "TransID": said.ident, "TransAmount": said.amount, "BusinessShortCode": SHORT,
        "TransTime": f"{said.at + timedelta(hours=3):%Y%m%d%H%M%S}", "BillRefNumber": said.account.replace("A1", "K1"),
        "MSISDN": "2547*****149", "FirstName": "John",
    }  # fmt: skip
    return json.dumps(body).encode()


def take_mpesa(rig: Rig, data: bytes) -> PaymentResult | PaymentRefusal:
    return _posted(rig, mpesa.accept(data, SHORT, NOW))


# ---- Alipay


@cache
def rsa() -> RSAPrivateKey:
    return generate_private_key(65537, 2048)


def say_alipay(said: Said) -> bytes:
    trade = {"pending": "WAIT_BUYER_PAY", "failed": "TRADE_CLOSED"}.get(said.status, "TRADE_SUCCESS")
    params = {
        "app_id": APP, "trade_no": said.ident, "trade_status": trade, "total_amount": said.amount,
        "gmt_payment": f"{said.at + timedelta(hours=8):%Y-%m-%d %H:%M:%S}", "passback_params": quote(said.account),
        "refund_fee": said.amount if said.status == "reversed" else "",
    }  # fmt: skip
    params["sign"] = base64.b64encode(rsa().sign(alipay.signed(params), PKCS1v15(), SHA256())).decode()
    return urlencode({**params, "sign_type": "RSA2"}).encode()


def take_alipay(rig: Rig, data: bytes) -> PaymentResult | PaymentRefusal:
    pem = rsa().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return _posted(rig, alipay.accept(data, pem, APP, NOW))


MOUTHS = {
    "webhook": Mouth(say_webhook, take_webhook),
    "csv": Mouth(say_csv, take_csv),
    "camt": Mouth(say_camt, take_camt),
    "pain": Mouth(say_pain, take_pain, early=False),
    "mpesa": Mouth(say_mpesa, take_mpesa, account="K1", currency="KES", reverses=False, pends=False, proves=False),
    "alipay": Mouth(say_alipay, take_alipay),
}
FILES = ("csv", "camt", "pain")
every = pytest.mark.parametrize("name", sorted(MOUTHS))


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


def scene(rig: Rig, name: str) -> tuple[Mouth, Callable[[], int]]:
    """The channel, and A1's money from payments in its currency."""
    mouth = MOUTHS[name]
    holder = replace(rig.get(Account, "A1"), account=mouth.account, currency=mouth.currency)  # type: ignore[type-var]
    rig.put(holder)
    key = f"customer:{mouth.account}"
    start = rig.store.read(lambda reader: reader.balance(key, mouth.currency))
    return mouth, lambda: rig.store.read(lambda reader: reader.balance(key, mouth.currency)) - start


def test_every_channel_stands_in_the_table() -> None:
    assert set(MOUTHS) == set(channels())


@every
def test_a_payment_arrives_once_whatever_is_repeated(rig: Rig, name: str) -> None:
    mouth, got = scene(rig, name)
    first = mouth.take(rig, mouth.say(Said("T1")))
    assert isinstance(first, PaymentResult) and first.status == "posted" and got() == 60 * CNY
    again = mouth.take(rig, mouth.say(Said("T1")))
    assert isinstance(again, PaymentRefusal) or again.status == "duplicate"
    later = mouth.take(rig, mouth.say(Said("T2", at=NOW - 72 * HOUR)))  # late, and out of order
    assert isinstance(later, PaymentResult) and later.status == "posted" and later.payment.at == NOW - 72 * HOUR
    assert got() == 120 * CNY


@every
def test_another_amount_under_the_same_id_is_a_conflict_and_changes_nothing(rig: Rig, name: str) -> None:
    mouth, got = scene(rig, name)
    mouth.take(rig, mouth.say(Said("T1")))
    other = mouth.take(rig, mouth.say(Said("T1", amount="90.00")))
    assert isinstance(other, PaymentResult) and other.status == "conflict" and got() == 60 * CNY


@every
def test_an_unknown_account_is_kept_and_a_wrong_amount_refused(rig: Rig, name: str) -> None:
    mouth, got = scene(rig, name)
    lost = mouth.take(rig, mouth.say(Said("T1", account="NOBODY")))
    assert isinstance(lost, PaymentResult) and (lost.status, lost.payment.reason) == ("unmatched", "unknown_account")
    for amount in ("0.00", "-5.00", "1e3", "0.0000001", "much"):
        refused = mouth.take(rig, mouth.say(Said("T2", amount=amount)))
        assert isinstance(refused, PaymentRefusal), amount
    assert got() == 0


@every
def test_a_reversal_gives_back_once_in_either_order(rig: Rig, name: str) -> None:
    mouth, got = scene(rig, name)
    if not mouth.reverses:
        pytest.fail("says no reversal") if name != "mpesa" else None
        return
    paid, back = mouth.say(Said("T1")), mouth.say(Said("T1", status="reversed"))
    mouth.take(rig, paid)
    undone = mouth.take(rig, back)
    assert isinstance(undone, PaymentResult) and undone.status == "reversed" and got() == 0
    mouth.take(rig, back)
    mouth.take(rig, mouth.say(Said("T2", status="reversed")))
    assert got() == 0
    mouth.take(rig, mouth.say(Said("T2")))
    assert got() == (0 if mouth.early else 60 * CNY)


@every
def test_a_pending_payment_is_shown_and_not_counted(rig: Rig, name: str) -> None:
    mouth, got = scene(rig, name)
    if not mouth.pends:
        return
    waits = mouth.take(rig, mouth.say(Said("T1", status="pending")))
    assert isinstance(waits, PaymentResult) and waits.status == "pending" and got() == 0
    mouth.take(rig, mouth.say(Said("T1")))
    assert got() == 60 * CNY


@every
def test_what_was_tampered_with_is_refused_or_changes_nobodys_money(rig: Rig, name: str) -> None:
    mouth, got = scene(rig, name)
    whole = mouth.say(Said("T1"))
    for at in range(0, len(whole), 7):
        for data in (whole[:at], whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]):
            if name == "webhook" and not _json(data):
                continue
            mouth.take(rig, data)  # never raises
    if mouth.proves and name not in FILES:  # a file's proof is its totals and its way
        kept = {(row.external_id, row.account, row.amount_micro) for row in rig.find(Payment)}
        assert kept <= {("T1", "A1", 60 * CNY)} and got() in (0, 60 * CNY)  # %2B or %2b: the same words
    if name in FILES:
        changed = mouth.take(rig, whole.replace(b"60.00", b"61.00", 1).replace(b"T1", b"T9"))
        assert isinstance(changed, PaymentRefusal) and changed.reason == "bad_totals"


def _json(data: bytes) -> bool:
    try:
        headers, body = json.loads(data)
        return isinstance(headers, dict) and isinstance(body, str) and all(isinstance(v, str) for v in headers.values())
    except (ValueError, TypeError):
        return False


# ---- what is of one channel only


def test_a_statement_may_not_define_entities_and_repeats_no_reference() -> None:
    bomb = b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'
    for data, reason in (
        (bomb, "not_camt"),
        (b"<Document/>", "not_camt"),
        (b"<Document", "not_xml"),
        (say_camt(Said("T1")).replace(b"</Ntry>", b"</Ntry>" + _entry(), 1), "bad_totals"),
        (say_camt(Said("T1")).replace(b"T1</Acct", b"</Acct"), "no_reference"),
        (say_camt(Said("T1", at=NOW)).replace(NOW.isoformat().encode(), b"noon"), "bad_time"),
    ):
        found = camt.accept(data, NOW)
        assert isinstance(found, PaymentRefusal) and found.reason == reason, data


def test_a_rejected_debit_is_kept_with_the_banks_reason_and_reconciles_nothing(rig: Rig) -> None:
    data = say_pain(Said("D7", status="failed"))
    found = take_pain(rig, data)
    assert isinstance(found, PaymentResult)
    row = found.payment
    assert (row.status, row.account, row.reason, row.channel) == ("failed", "A1", "returned AM04", "camt")
    assert rig.get(Signal, "payments.camt") is None, "a report is no statement: guard G3 still waits for one"
    for old, new, reason in (
        (b"<DtldNbOfTxs>1", b"<DtldNbOfTxs>2", "bad_totals"),
        (b"<OrgnlEndToEndId>D7</OrgnlEndToEndId>", b"", "no_reference"),
        (b"OK-D7</OrgnlEndToEndId><TxSts>ACSC", b"D7</OrgnlEndToEndId><TxSts>RJCT", "bad_amount"),
        (b'<InstdAmt Ccy="CNY">60.00</InstdAmt>', b"", "bad_amount"),
        (b"Z</CreDtTm>", b"?</CreDtTm>", "bad_time"),
        (b"TxInfAndSts>", b"Other>", "bad_totals"),
    ):
        refused = pain.accept(data.replace(old, new), NOW)
        assert isinstance(refused, PaymentRefusal) and refused.reason == reason, (old, refused)
    whole = data[: data.index(b"<OrgnlPmtInfAndSts>")] + data[data.index(b"</CstmrPmtStsRpt>") :]
    refused = pain.accept(whole.replace(b"PART", b"RJCT"), NOW)
    assert isinstance(refused, PaymentRefusal) and refused.reason == "no_transactions"


def _entry() -> bytes:
    whole = say_camt(Said("T1"))
    return whole[whole.index(b"<Ntry>") : whole.index(b"</Ntry>") + len(b"</Ntry>")]


def test_another_business_is_refused() -> None:
    for found in (
        mpesa.accept(say_mpesa(Said("T1")), "1", NOW),
        alipay.accept(
            say_alipay(Said("T1")),
            rsa().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo), "other", NOW,
        ),
    ):  # fmt: skip
        assert isinstance(found, PaymentRefusal) and found.reason == "other_business"
    assert isinstance(alipay.accept(say_alipay(Said("T1")), b"no key", APP, NOW), PaymentRefusal)
