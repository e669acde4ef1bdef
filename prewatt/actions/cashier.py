"""A cashier's wish goes in: void a payment of today, or close the shift; what became of it comes out."""

from collections.abc import Mapping
from typing import Any

from control import shifts
from control.settle import PaymentResult
from control.signals import Tally
from prewatt.errors import ShellError, Usage
from prewatt.listing import money, payment_row
from prewatt.wiring import Shell
from storage.records import Payment
from storage.unit import Unit
from storage.writer import Priority
from tariff import money as exact


async def void(shell: Shell, args: Mapping[str, Any]) -> Mapping[str, Any]:
    """Give a payment of today's open shift back whole, with its reason."""
    number, reason = str(args["id"]), str(args.get("reason") or "").strip()
    if not reason:
        raise Usage("why?", attempt="--reason TEXT, which the audit chain keeps")
    engine, zone = shell.engine, shell.config.site.zone

    def work(unit: Unit) -> PaymentResult:
        known = unit.get(Payment, shifts.CHANNEL, number)
        why = "there is none" if known is None else shifts.refused(unit, known, zone, engine.now())
        if known is None or why:
            raise ShellError(f"not voided: {why}", which=number, attempt="prewatt payments reverse cashier ID")
        return shifts.void(unit, known, engine.world(), by=shell.actor, reason=reason)

    result = await shell.store.commit(Priority.MONEY, work)
    engine.wake()
    return {**payment_row(result.payment), "result": result.status}


async def close(shell: Shell, args: Mapping[str, Any]) -> Mapping[str, Any]:
    """Close a cashier's shift over what was counted in the drawer."""
    try:
        counted = exact.parse(str(args["counted"]))
    except ValueError:
        raise Usage(f"{args['counted']!r} is no amount", attempt="--counted 120.00") from None
    by, engine = str(args.get("by") or shell.actor), shell.engine
    row: Tally = await shell.store.commit(Priority.MONEY, lambda unit: shifts.close(unit, by, counted, engine.world()))
    return {
        "cashier": row.by,
        "since": row.since,
        "until": row.until,
        "payments": row.ours,
        "taken": money(row.ours_micro),
        "counted": money(row.total_micro),
        "agreed": row.agreed,
    }


ACTIONS = {"payments.void": void, "payments.shift": close}
