"""A bank's ISO 20022 statement (camt.053, or notification camt.054) goes in; its credits come out, or one refusal.

The whole file or nothing: where the statement counts its credits (``TxsSummry``), the counts must be ours. A booked
credit is a payment; a debit with ``RvslInd`` true reverses the credit of the same reference; other debits are not
ours. The payment's id is the bank's own reference of the transaction (``AcctSvcrRef``), else the payer's
(``EndToEndId``); the account is the structured creditor reference, else the remittance text.
Source: ISO 20022 camt.053.001.02 to .08.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from xml.etree.ElementTree import Element

from control import iso20022
from control.amounts import PaymentFile, PaymentRefusal, micro
from control.iso20022 import ROWS_LIMIT, TEXT_LIMIT, Wrong, amount, text
from control.ports import PaymentChannel
from storage.records import Payment

PAYMENTS = PaymentChannel("camt", live=False, says="a bank's ISO 20022 statement: camt.053 or camt.054, taken whole")


def accept(
    data: bytes, now: datetime, *, channel: str = PAYMENTS.name, zone: str = "UTC"
) -> PaymentFile | PaymentRefusal:
    """Read and check the whole statement; ``zone`` is that of dates without a time. Never raises on bytes."""
    root = iso20022.document(data, r"camt\.05[34]\.001", "not_camt")
    if isinstance(root, PaymentRefusal):
        return root
    digest = hashlib.sha256(data).hexdigest()
    try:
        payments = [
            row for part in (*root.iter("Stmt"), *root.iter("Ntfctn")) for row in _part(part, now, channel, zone)
        ]
    except Wrong as wrong:
        return PaymentRefusal(400, *wrong.args)
    if twice := iso20022.repeated([row.external_id for row in payments]):
        return PaymentRefusal(400, "repeated_id", f"reference {twice!r} stands twice in the file")
    total = sum(-row.amount_micro if row.status == "reversed" else row.amount_micro for row in payments)
    return PaymentFile(digest, tuple(payments), total)


def _part(part: Element, now: datetime, channel: str, zone: str) -> Iterator[Payment]:
    """The credits of one statement, their sum checked against its own."""
    entries = part.findall("Ntry")
    credits = [entry for entry in entries if text(entry, "CdtDbtInd") == "CRDT"]
    summary = part.find("TxsSummry/TtlCdtNtries")
    if summary is not None:
        count, total = text(summary, "NbOfNtries"), micro(text(summary, "Sum"))
        ours = sum(amount(entry.find("Amt")) for entry in credits)
        if (count and count != str(len(credits))) or (total is not None and total != ours):
            raise Wrong("bad_totals", f"{len(credits)} credits of {ours} micro-units, the statement says otherwise")
    if len(entries) > ROWS_LIMIT:
        raise Wrong("too_large", f"more than {ROWS_LIMIT} entries")
    for number, entry in enumerate(entries, 1):
        reversal = text(entry, "RvslInd") == "true"
        booked = text(entry, "Sts/Cd") or text(entry, "Sts").strip()
        if booked not in ("BOOK", "PDNG") or (text(entry, "CdtDbtInd") == "CRDT") == reversal:
            continue  # information only; a debit of ours; or the undoing of a debit
        status = "reversed" if reversal else "posted" if booked == "BOOK" else "pending"
        stamp = iso20022.first(entry, "BookgDt/DtTm", "BookgDt/Dt")
        at = iso20022.moment(stamp, zone, f"entry {number}: booked at")
        for detail in entry.findall("NtryDtls/TxDtls") or [entry]:
            yield _payment(entry, detail, f"entry {number}", Payment("", "", "", 0, "", at, now, status), channel)


def _payment(entry: Element, detail: Element, where: str, made: Payment, channel: str) -> Payment:
    money = next((found for path in ("Amt", "AmtDtls/TxAmt/Amt") if (found := detail.find(path)) is not None), None)
    alone = len(entry.findall("NtryDtls/TxDtls")) <= 1
    money = money if money is not None else entry.find("Amt") if alone else None
    if money is None:
        raise Wrong("bad_amount", f"{where}: one of several transactions has no amount")
    micros, currency = iso20022.priced(money, where)
    ident = iso20022.first(detail, "Refs/AcctSvcrRef") or (iso20022.first(entry, "AcctSvcrRef") if alone else "")
    ident = ident or iso20022.first(detail, "Refs/EndToEndId")
    account = iso20022.first(detail, "RmtInf/Strd/CdtrRefInf/Ref", "RmtInf/Ustrd")
    if not ident:
        raise Wrong("no_reference", f"{where}: neither AcctSvcrRef nor EndToEndId: what has no id could count twice")
    key = "\x1f".join((ident, account, str(micros), currency, made.status))
    return replace(
        made, channel=channel, external_id=ident[:TEXT_LIMIT], account=account[:TEXT_LIMIT] or "?",
        amount_micro=micros, currency=currency, body_hash=hashlib.sha256(key.encode()).hexdigest(),
    )  # fmt: skip
