"""A bank's status report (ISO 20022 pain.002) on direct debits goes in; the rejected ones come out, or one refusal.

A rejection is no money: a row that failed is kept, with the bank's reason code. One whose credit was posted under the
same reference (``OrgnlEndToEndId``, in the channel of the bank's statements) is a return and gives that credit back:
``control/settle.py`` decides which it is. What was accepted is information only: its money comes by the statement.
Source: ISO 20022 pain.002.001.03 to .12; reason codes of the external code set ExternalStatusReason1Code.
"""

import hashlib
from collections.abc import Iterator
from datetime import datetime
from xml.etree.ElementTree import Element

from control import iso20022
from control.amounts import RETURNED, PaymentFile, PaymentRefusal, micro
from control.iso20022 import ROWS_LIMIT, TEXT_LIMIT, Wrong, first, text
from control.ports import PaymentChannel
from storage.records import Payment

PAYMENTS = PaymentChannel("pain", live=False, says="a bank's ISO 20022 status report, pain.002: rejects and returns")
REJECTED = "RJCT"


def accept(
    data: bytes, now: datetime, *, channel: str = PAYMENTS.name, zone: str = "UTC"
) -> PaymentFile | PaymentRefusal:
    """Read and check the whole report; ``zone`` is that of times without an offset. Never raises on bytes."""
    root = iso20022.document(data, r"pain\.002\.001", "not_pain")
    if isinstance(root, PaymentRefusal):
        return root
    try:
        at = iso20022.moment(text(root, "CstmrPmtStsRpt/GrpHdr/CreDtTm"), zone, "made at")
        payments = [row for part in root.iter("OrgnlPmtInfAndSts") for row in _part(part, at, now, channel)]
        if not payments and _group(root) == REJECTED:
            raise Wrong("no_transactions", "the whole message was rejected, and no debit of it is named: ask the bank")
    except Wrong as wrong:
        return PaymentRefusal(400, *wrong.args)
    if twice := iso20022.repeated([row.external_id for row in payments]):
        return PaymentRefusal(400, "repeated_id", f"reference {twice!r} stands twice in the file")
    total = -sum(row.amount_micro for row in payments)
    return PaymentFile(hashlib.sha256(data).hexdigest(), tuple(payments), total, whole=False)


def _group(root: Element) -> str:
    return first(root, "CstmrPmtStsRpt/OrgnlGrpInfAndSts/GrpSts", "CstmrPmtStsRpt/OrgnlPmtInfAndSts/PmtInfSts")


def _part(part: Element, at: datetime, now: datetime, channel: str) -> Iterator[Payment]:
    """The rejected debits of one batch, their number and sum checked against its own."""
    rejected = [row for row in part.findall("TxInfAndSts") if text(row, "TxSts") == REJECTED]
    if len(rejected) > ROWS_LIMIT:
        raise Wrong("too_large", f"more than {ROWS_LIMIT} transactions")
    made = [_payment(row, f"transaction {n}", at, now, channel) for n, row in enumerate(rejected, 1)]
    for told in part.findall("NbOfTxsPerSts"):
        if text(told, "DtldSts") != REJECTED:
            continue
        count, total = text(told, "DtldNbOfTxs"), micro(text(told, "DtldCtrlSum"))
        ours = sum(row.amount_micro for row in made)
        if (count and count != str(len(made))) or (total is not None and total != ours):
            raise Wrong("bad_totals", f"{len(made)} rejections of {ours} micro-units, the report says otherwise")
    yield from made


def _payment(row: Element, where: str, at: datetime, now: datetime, channel: str) -> Payment:
    ident = first(row, "OrgnlEndToEndId", "OrgnlTxId", "OrgnlInstrId")
    if not ident:
        raise Wrong("no_reference", f"{where}: what has no reference cannot be told from another")
    places = ("Amt/InstdAmt", "Amt/EqvtAmt/Amt", "IntrBkSttlmAmt")
    money = next((one for place in places if (one := row.find(f"OrgnlTxRef/{place}")) is not None), None)
    if money is None:
        raise Wrong("bad_amount", f"{where}: it does not say how much was to be debited")
    micros, currency = iso20022.priced(money, where)
    remitted = ("RmtInf/Strd/CdtrRefInf/Ref", "RmtInf/Ustrd", "MndtRltdInf/MndtId")
    account = first(row, *(f"OrgnlTxRef/{path}" for path in remitted))
    reason = " ".join(filter(None, (RETURNED, first(row, "StsRsnInf/Rsn/Cd", "StsRsnInf/Rsn/Prtry"))))
    key = "\x1f".join((ident, account, str(micros), currency, reason))
    return Payment(
        channel, ident[:TEXT_LIMIT], account[:TEXT_LIMIT] or "?", micros, currency, at, now, "failed", reason[:40],
        hashlib.sha256(key.encode()).hexdigest(),
    )  # fmt: skip
