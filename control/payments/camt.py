"""A bank's ISO 20022 statement (camt.053, or notification camt.054) goes in; its credits come out, or one refusal.

The whole file or nothing: where the statement counts its credits (``TxsSummry``), the counts must be ours. A booked
credit is a payment; a debit with ``RvslInd`` true reverses the credit of the same reference; other debits are not
ours. The payment's id is the bank's own reference of the transaction (``AcctSvcrRef``), else the payer's
(``EndToEndId``); the account is the structured creditor reference, else the remittance text.
Source: ISO 20022 camt.053.001.02 to .08.
"""

import hashlib
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from xml.etree import ElementTree
from zoneinfo import ZoneInfo

from control.amounts import PaymentFile, PaymentRefusal, micro
from control.ports import PaymentChannel
from storage.records import Payment

PAYMENTS = PaymentChannel("camt", live=False, says="a bank's ISO 20022 statement: camt.053 or camt.054, taken whole")
SIZE_LIMIT = 64 * 1024 * 1024
ROWS_LIMIT = 1_000_000
TEXT_LIMIT = 140
NOT_PROVIDED = "NOTPROVIDED"
_ROOT = re.compile(r"\{urn:iso:std:iso:20022:tech:xsd:camt\.05[34]\.001\.\d\d\}Document")


class _Wrong(Exception):
    """What is wrong with an entry: the refusal's reason and where."""


def accept(
    data: bytes, now: datetime, *, channel: str = PAYMENTS.name, zone: str = "UTC"
) -> PaymentFile | PaymentRefusal:
    """Read and check the whole statement; ``zone`` is that of dates without a time. Never raises on bytes."""
    if len(data) > SIZE_LIMIT:
        return PaymentRefusal(413, "too_large", f"{len(data)} bytes, limit {SIZE_LIMIT}")
    if b"<!DOCTYPE" in data or b"<!ENTITY" in data or b"\0" in data:
        return PaymentRefusal(400, "not_camt", "a statement has no document type, no entities and no UTF-16")
    try:
        root = ElementTree.fromstring(data)
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        return PaymentRefusal(400, "not_xml", str(error))
    if not _ROOT.fullmatch(root.tag):
        return PaymentRefusal(400, "not_camt", f"the root is {root.tag[:120]!r}, want camt.053 or camt.054")
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    digest = hashlib.sha256(data).hexdigest()
    try:
        payments = [
            row for part in (*root.iter("Stmt"), *root.iter("Ntfctn")) for row in _part(part, now, channel, zone)
        ]
    except _Wrong as wrong:
        return PaymentRefusal(400, *wrong.args)
    ids = [row.external_id for row in payments]
    if len(set(ids)) != len(ids):
        twice = next(name for name in ids if ids.count(name) > 1)
        return PaymentRefusal(400, "repeated_id", f"reference {twice!r} stands twice in the file")
    total = sum(-row.amount_micro if row.status == "reversed" else row.amount_micro for row in payments)
    return PaymentFile(digest, tuple(payments), total)


def _part(part: ElementTree.Element, now: datetime, channel: str, zone: str) -> Iterator[Payment]:
    """The credits of one statement, their sum checked against its own."""
    entries = part.findall("Ntry")
    credits = [entry for entry in entries if _text(entry, "CdtDbtInd") == "CRDT"]
    summary = part.find("TxsSummry/TtlCdtNtries")
    if summary is not None:
        count, total = _text(summary, "NbOfNtries"), micro(_text(summary, "Sum"))
        ours = sum(_amount(entry.find("Amt")) for entry in credits)
        if (count and count != str(len(credits))) or (total is not None and total != ours):
            raise _Wrong("bad_totals", f"{len(credits)} credits of {ours} micro-units, the statement says otherwise")
    if len(entries) > ROWS_LIMIT:
        raise _Wrong("too_large", f"more than {ROWS_LIMIT} entries")
    for number, entry in enumerate(entries, 1):
        reversal = _text(entry, "RvslInd") == "true"
        booked = _text(entry, "Sts/Cd") or _text(entry, "Sts").strip()
        if booked not in ("BOOK", "PDNG") or (_text(entry, "CdtDbtInd") == "CRDT") == reversal:
            continue  # information only; a debit of ours; or the undoing of a debit
        status = "reversed" if reversal else "posted" if booked == "BOOK" else "pending"
        at = _booked(entry, zone, number)
        for detail in entry.findall("NtryDtls/TxDtls") or [entry]:
            yield _payment(entry, detail, f"entry {number}", Payment("", "", "", 0, "", at, now, status), channel)


def _payment(
    entry: ElementTree.Element, detail: ElementTree.Element, where: str, made: Payment, channel: str
) -> Payment:
    money = next((found for path in ("Amt", "AmtDtls/TxAmt/Amt") if (found := detail.find(path)) is not None), None)
    alone = len(entry.findall("NtryDtls/TxDtls")) <= 1
    money = money if money is not None else entry.find("Amt") if alone else None
    if money is None:
        raise _Wrong("bad_amount", f"{where}: one of several transactions has no amount")
    amount, currency = _amount(money), money.get("Ccy", "")
    names = (
        _text(detail, "Refs/AcctSvcrRef"),
        _text(entry, "AcctSvcrRef") if alone else "",
        _text(detail, "Refs/EndToEndId"),
    )
    ident = next((name for name in names if name and name != NOT_PROVIDED), "")
    account = _text(detail, "RmtInf/Strd/CdtrRefInf/Ref") or _text(detail, "RmtInf/Ustrd")
    if amount <= 0 or not re.fullmatch("[A-Z]{3}", currency):
        raise _Wrong("bad_amount", f"{where}: {money.text!r} {currency!r}")
    if not ident:
        raise _Wrong("no_reference", f"{where}: neither AcctSvcrRef nor EndToEndId: what has no id could count twice")
    key = "\x1f".join((ident, account, str(amount), currency, made.status))
    return Payment(
        channel, ident[:TEXT_LIMIT], account[:TEXT_LIMIT] or "?", amount, currency, made.at, made.received, made.status,
        body_hash=hashlib.sha256(key.encode()).hexdigest(),
    )  # fmt: skip


def _amount(money: ElementTree.Element | None) -> int:
    """Micro-units of an amount; 0 where there is none that can be read."""
    found = micro(money.text or "") if money is not None else None
    return found if found is not None and found > 0 else 0


def _booked(entry: ElementTree.Element, zone: str, number: int) -> datetime:
    text = _text(entry, "BookgDt/DtTm") or _text(entry, "BookgDt/Dt")
    try:
        at = datetime.fromisoformat(text.replace("Z", "+00:00"))
        return (at if at.tzinfo else at.replace(tzinfo=ZoneInfo(zone))).astimezone(UTC).replace(tzinfo=None)
    except (ValueError, OverflowError):
        raise _Wrong("bad_time", f"entry {number}: booked at {text!r}") from None


def _text(element: ElementTree.Element, path: str) -> str:
    found = element.find(path)
    return (found.text or "").strip() if found is not None else ""
