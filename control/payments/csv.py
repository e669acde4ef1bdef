"""A bank's CSV file goes in; all of its Payments, or one refusal with the line, come out: the whole file or nothing.

A ``Mapping`` says which column holds what. The totals row (its ``id`` column holds ``totals_word``) carries the sum in
the amount column and the number of rows in the account column; a file without it is refused where ``totals`` is asked
for. The file's SHA-256 is its name for ever: the store refuses the same bytes a second time
(``control/settle.py: settle_file``), and each row is still guarded by its own external id.
"""

import csv
import hashlib
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from control.amounts import PaymentFile, PaymentRefusal, micro
from control.ports import PaymentChannel
from storage.records import Payment

PAYMENTS = PaymentChannel("csv", live=False, says="a bank's daily file with a totals row, taken whole or not at all")
ROWS_LIMIT = 1_000_000
SIZE_LIMIT = 256 * 1024 * 1024
STATUSES = ("posted", "pending", "failed", "reversed")


@dataclass(frozen=True, slots=True)
class Columns:
    """Names of the columns, the zone of naive times, the words of the status column and of the totals row."""

    id: str = "id"
    account: str = "account"
    amount: str = "amount"
    currency: str = "currency"
    at: str = "paid_at"
    status: str = ""  # "" = every row is a payment that arrived
    zone: str = "UTC"
    default_currency: str = ""
    delimiter: str = ","
    totals: bool = True
    totals_word: str = "TOTAL"
    words: Mapping[str, str] = field(default_factory=dict)  # the bank's word -> posted | pending | failed | reversed


def accept(
    data: bytes, columns: Columns, now: datetime, *, channel: str = PAYMENTS.name
) -> PaymentFile | PaymentRefusal:
    """Read and check the whole file; never raises on bytes."""
    if len(data) > SIZE_LIMIT:
        return PaymentRefusal(413, "too_large", f"{len(data)} bytes, limit {SIZE_LIMIT}")
    digest = hashlib.sha256(data).hexdigest()
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return PaymentRefusal(400, "not_utf8", f"byte {error.start} is not UTF-8")
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=columns.delimiter, strict=True)
    try:
        header = next(rows, [])
        index = {name.strip(): position for position, name in enumerate(header)}
        missing = [name for name in _wanted(columns) if name not in index]
        if missing or len(index) != len(header):
            return PaymentRefusal(400, "bad_header", f"columns missing or twice: {', '.join(missing) or header}", 1)
        lines = ((rows.line_num, cells) for cells in rows)
        return _rows(lines, index, columns, _File(digest, channel, now, len(header)))
    except csv.Error as error:
        return PaymentRefusal(400, "not_csv", str(error), rows.line_num)


@dataclass(frozen=True, slots=True)
class _File:
    digest: str
    channel: str
    now: datetime
    width: int


def _wanted(columns: Columns) -> list[str]:
    names = [columns.id, columns.account, columns.amount, columns.at]
    if not columns.default_currency:
        names.append(columns.currency)
    return names + ([columns.status] if columns.status else [])


def _rows(
    rows: Iterable[tuple[int, list[str]]], index: Mapping[str, int], columns: Columns, file: _File
) -> PaymentFile | PaymentRefusal:
    payments: list[Payment] = []
    seen: set[str] = set()
    total, ended = 0, False
    for line, cells in rows:
        if not any(cell.strip() for cell in cells):
            continue
        if ended or len(cells) != file.width or len(payments) >= ROWS_LIMIT:
            return PaymentRefusal(400, "bad_row", f"row after the totals, {file.width} cells wanted, or too many", line)
        row = {name: cells[position].strip() for name, position in index.items()}
        if row[columns.id] == columns.totals_word:
            if micro(row[columns.amount]) != total or row[columns.account] != str(len(payments)):
                return PaymentRefusal(400, "bad_totals", f"rows give {len(payments)} and {total} micro-units", line)
            ended = True
            continue
        payment = _payment(row, columns, file)
        if isinstance(payment, str):
            return PaymentRefusal(400, payment, f"row {row[columns.id]!r}: correct the file and send it whole", line)
        if payment.external_id in seen:
            return PaymentRefusal(400, "repeated_id", f"id {payment.external_id!r} stands twice in the file", line)
        seen.add(payment.external_id)
        payments.append(payment)
        total += -payment.amount_micro if payment.status == "reversed" else payment.amount_micro
    if columns.totals and not ended:
        return PaymentRefusal(400, "no_totals", f"the last row must be {columns.totals_word}: was the file cut off?")
    return PaymentFile(file.digest, tuple(payments), total)


def _payment(row: Mapping[str, str], columns: Columns, file: _File) -> Payment | str:
    """One row's payment, or the stable reason why it is none; a reversal may stand with either sign."""
    word = row[columns.status] if columns.status else "posted"
    status = columns.words.get(word, word)
    if status not in STATUSES:
        return "bad_status"
    amount = micro(row[columns.amount])
    if amount is None or amount == 0 or (amount < 0 and status != "reversed"):
        return "bad_amount"
    currency = row.get(columns.currency, "") or columns.default_currency
    if not row[columns.id] or not row[columns.account] or not currency:
        return "empty_cell"
    try:
        at = datetime.fromisoformat(row[columns.at].replace("Z", "+00:00"))
        if at.tzinfo is None:
            at = at.replace(tzinfo=ZoneInfo(columns.zone))
        at = at.astimezone(UTC).replace(tzinfo=None)
    except (ValueError, OverflowError):
        return "bad_time"
    key = hashlib.sha256("\x1f".join((row[columns.id], row[columns.account], str(amount), currency, status)).encode())
    return Payment(
        channel=file.channel,
        external_id=row[columns.id],
        account=row[columns.account],
        amount_micro=abs(amount),
        currency=currency,
        at=at,
        received=file.now,
        status=status,
        body_hash=key.hexdigest(),
    )
