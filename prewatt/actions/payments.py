"""A payment file goes in whole, or is refused whole; what became of each payment comes out."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from control.amounts import PaymentFile, PaymentRefusal
from control.payments import camt, pain
from control.payments import channels as payment_channels
from control.payments.csv import accept
from control.settle import PaymentResult, settle, settle_file
from control.settle import match as matched
from control.tallies import assert_reconciled
from prewatt.errors import ShellError, Usage
from prewatt.listing import money, payment_row
from prewatt.wiring import Shell
from storage.records import Payment
from storage.unit import Unit
from storage.writer import Priority
from tariff import money as exact

HEAD = 1000  # bytes in which an XML message says what it is


async def take(shell: Shell, args: Mapping[str, Any]) -> Mapping[str, Any]:
    """Take one bank file in one transaction; refused twice by its hash."""
    path = Path(args["file"])
    if not path.is_file():
        raise Usage("no such file", which=str(path))
    columns = shell.config.payments.csv
    columns = replace(columns, default_currency=columns.default_currency or shell.config.site.currency)
    channel = str(args.get("channel") or "csv")
    data, now = path.read_bytes(), shell.clock.now()
    if data.lstrip()[:1] == b"<":
        channel = str(args.get("channel") or camt.PAYMENTS.name)  # a report is on the same bank's credits
        reader = pain.accept if b"pain.002" in data[:HEAD] else camt.accept
        read = reader(data, now, channel=channel, zone=shell.config.site.zone)
    else:
        read = accept(data, columns, now, channel=channel)
    if isinstance(read, PaymentRefusal):
        raise _refused(read, path)
    engine = shell.engine
    results = await shell.store.commit(
        Priority.MONEY, lambda unit: settle_file(unit, read, path.name, channel, engine.world())
    )
    engine.wake()
    if isinstance(results, PaymentRefusal):
        raise _refused(results, path)
    return _answer(path.name, read, results)


def _refused(refusal: PaymentRefusal, path: Path) -> ShellError:
    return ShellError(f"{refusal.reason}: {refusal.detail}", which=f"{path.name}:{refusal.line or 1}")


def _answer(name: str, read: PaymentFile, results: Sequence[PaymentResult]) -> dict[str, Any]:
    rows = [{**payment_row(result.payment), "result": result.status} for result in results]
    counts: dict[str, int] = {}
    for result in results:
        counts[result.status] = counts.get(result.status, 0) + 1
    return {
        "file": name,
        "digest": read.digest,
        "rows": len(rows),
        "total": money(read.total_micro),
        **counts,
        "payments": rows,
    }


async def reconciled(shell: Shell, args: Mapping[str, Any]) -> Mapping[str, Any]:
    """A person compared a channel's list with ours and vouches for it; audited."""
    channel, by = str(args["channel"]), str(args.get("by") or shell.actor)
    known = payment_channels()
    if channel not in known:
        raise Usage(f"no payment channel {channel!r}", attempt=f"one of {', '.join(known)}")
    engine = shell.engine
    row = await shell.store.commit(
        Priority.COMMAND, lambda unit: assert_reconciled(unit, channel, engine.world(), by=by)
    )
    return {
        "channel": channel,
        "until": row.until,
        "since": row.since,
        "payments": row.ours,
        "total": money(row.ours_micro),
        "by": by,
    }


async def match(shell: Shell, args: Mapping[str, Any]) -> Mapping[str, Any]:
    """Give an unmatched payment to its account: it is posted now, and supply comes back where it lifts the account."""
    channel, number, account = (str(args[name]) for name in ("channel", "id", "account"))
    engine = shell.engine
    result = await shell.store.commit(
        Priority.MONEY, lambda unit: matched(unit, channel, number, account.strip(), engine.world(), by=shell.actor)
    )
    if result is None:
        raise Usage(f"no unmatched payment {channel}/{number}", attempt="prewatt payments list --status unmatched")
    engine.wake()
    if result.status != "posted":
        raise ShellError(f"not posted: {result.payment.reason}", which=account, attempt="prewatt accounts list")
    return {**payment_row(result.payment), "result": result.status, "reconnect": result.reconnect}


async def reverse(shell: Shell, args: Mapping[str, Any]) -> Mapping[str, Any]:
    """Give a posted payment back, whole or in part: never more than it was, and never an instant cut."""
    channel, number, reason = str(args["channel"]), str(args["id"]), str(args.get("reason") or "").strip()
    known = shell.store.read(lambda reader: reader.get(Payment, channel, number))
    if known is None or known.status != "posted":
        state = "there is none" if known is None else f"it is {known.status}"
        raise Usage(f"no posted payment {channel}/{number}: {state}", attempt="prewatt payments list --status posted")
    if not reason:
        raise Usage("why?", attempt="--reason TEXT, which the audit chain keeps")
    amount = exact.parse(str(args["amount"])) if args.get("amount") else known.amount_micro
    if not 0 < amount <= known.amount_micro:
        raise Usage(f"at most {money(known.amount_micro)} can be given back")
    engine = shell.engine

    def work(unit: Unit) -> PaymentResult:
        world = engine.world()
        body = {"amount": money(amount), "reason": reason, "account": known.account}
        unit.audit(shell.actor, "payment.reverse", f"{channel}/{number}", body, world.now)
        return settle(unit, replace(known, status="reversed", amount_micro=amount), world)

    result = await shell.store.commit(Priority.MONEY, work)
    engine.wake()
    return {**payment_row(result.payment), "result": result.status, "given_back": money(amount)}


ACTIONS = {
    "payments.import": take,
    "payments.reconciled": reconciled,
    "payments.match": match,
    "payments.reverse": reverse,
}
