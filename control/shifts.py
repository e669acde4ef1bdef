"""A cashier's word goes in: a payment voided on its day, or a shift closed over its drawer; what stands comes out.

A cashier's payment says who took it. Until the shift is closed it may be voided whole, on its own day only; afterwards
it is a reversal like any other. Closing compares the counted drawer with what was taken since the last close: a
difference is kept, and an incident.
"""

from dataclasses import replace
from datetime import datetime

from control import incidents, passes, settle, windows
from control.assemble import World
from control.settle import PaymentResult
from control.signals import Tally
from storage.records import Payment
from storage.unit import Reader, Unit

CHANNEL = "cashier"
TAKEN = "by "
_BEGIN = datetime(1970, 1, 1)


def taken_by(person: str) -> str:
    """The reason of a payment that ``person`` took over the counter."""
    return TAKEN + passes.plain_name(person)


def since(reader: Reader, person: str) -> datetime:
    """When this cashier's shift began: with the close of the one before it."""
    found = reader.find(Tally, channel=_drawer(person), order=("-until", "-seq"), limit=1)
    return found[0].until if found else _BEGIN


def drawer(reader: Reader, person: str, until: datetime) -> list[Payment]:
    """What the drawer of this cashier holds of the shift: taken since it began, and not given back."""
    rows = reader.find(Payment, channel=CHANNEL, received__gt=since(reader, person), received__le=until)
    return [row for row in rows if row.reason == taken_by(person) and row.status in ("posted", "unmatched")]


def refused(reader: Reader, payment: Payment, zone: str, now: datetime) -> str:
    """Why a payment cannot be voided, "" = it can."""
    if payment.channel != CHANNEL or not payment.reason.startswith(TAKEN) or payment.status != "posted":
        return f"it is {payment.status} by {payment.channel}: a void is of what was taken over the counter"
    if windows.local(payment.received, zone).date() != windows.local(now, zone).date():
        return "it is of another day"
    if payment.received <= since(reader, payment.reason.removeprefix(TAKEN)):
        return "its shift is closed"
    return ""


def void(unit: Unit, payment: Payment, world: World, *, by: str, reason: str) -> PaymentResult:
    """Give a payment of today's open shift back whole: it leaves ledger and drawer together."""
    body = {"account": payment.account, "amount_micro": payment.amount_micro, "reason": reason}
    unit.audit(by, "payment.void", f"{payment.channel}/{payment.external_id}", body, world.now)
    return settle.settle(unit, replace(payment, status="reversed"), world)


def close(unit: Unit, person: str, counted_micro: int, world: World) -> Tally:
    """End the shift of ``person`` with what was counted in the drawer; payments after this are of the next one."""
    begun, rows = since(unit, person), drawer(unit, person, world.now)
    ours = sum(row.amount_micro for row in rows)
    made = Tally(
        0, _drawer(person), world.now, world.now, begun, len(rows), counted_micro, len(rows), ours,
        counted_micro == ours, passes.plain_name(person),
    )  # fmt: skip
    unit.add(made)
    body = {"payments": len(rows), "counted_micro": counted_micro, "taken_micro": ours}
    unit.audit(person, "shift.close", _drawer(person), body, world.now)
    if not made.agreed:
        detail = f"{made.by} counted {counted_micro} micro, {ours} were taken in the shift"
        incidents.file(unit, "drawer_differs", world.now, cause=f"{made.by}-{world.now}", detail=detail)
    return made


def _drawer(person: str) -> str:
    return f"{CHANNEL}:{passes.plain_name(person)}"
