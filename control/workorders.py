"""An event that needs a person goes in, one work order comes out: one per event, whatever is repeated."""

from dataclasses import replace
from datetime import datetime, timedelta

from control.canonical import content_id
from control.records import WorkOrder
from storage.unit import Reader, Unit

OPEN_STATES = ("open", "assigned")
DUE = {
    "reconnect": timedelta(hours=1),
    "relay_fault": timedelta(hours=4),
    "disconnect_by_hand": timedelta(days=3),
    "on_site_check": timedelta(days=1),
    "clock_drift": timedelta(days=7),
    "tamper": timedelta(days=2),
    "meter_swap": timedelta(days=1),
    "meter_check": timedelta(days=7),
    "outage": timedelta(hours=4),
    "outage_overdue": timedelta(hours=1),
    "spike": timedelta(days=2),
    "reverse": timedelta(days=2),
    "surge": timedelta(days=7),
    "drop": timedelta(days=7),
    "stuck": timedelta(days=7),
}
"""By when each kind should be done; a stuck-open relay of a paid account is the most urgent."""


def identity(kind: str, account: str, cause: str) -> str:
    """The id of the order that ``cause`` (a command id, an incident, a date) gives; equal causes give equal ids."""
    return content_id("w", kind, account, cause)


def standing(reader: Reader, account: str, kind: str) -> WorkOrder | None:
    """The live order of this kind at this account, if there is one."""
    found = reader.find(WorkOrder, account=account, kind=kind, state__in=list(OPEN_STATES), order="created", limit=1)
    return found[0] if found else None


def order(unit: Unit, kind: str, account: str, meter: str, *, cause: str, at: datetime, detail: str = "") -> WorkOrder:
    """Open an order unless the same event has one already, or a live one of this kind stands at this account."""
    known = standing(unit, account, kind) if account else None  # without an account each event is one of its own
    known = known or unit.get(WorkOrder, identity(kind, account, cause))
    if known is not None:
        return known
    due = at + DUE.get(kind, timedelta(days=1))
    made = WorkOrder(
        identity(kind, account, cause), account, meter, kind, "open", at, due=due, cause=cause, detail=detail
    )
    unit.put(made)
    unit.event("work_order", at, account, order=made.order, kind=kind, cause=cause)
    return made


def close(
    unit: Unit, order_id: str, at: datetime, *, by: str, state: str = "done", outcome: str = "", found: str = ""
) -> WorkOrder | None:
    """End an order as done or cancelled, with what was found on site; None when there is no live one of that id."""
    known = unit.get(WorkOrder, order_id)
    if known is None or known.state not in OPEN_STATES:
        return None
    ended = replace(known, state=state, closed=at, closed_by=by, outcome=outcome, found=found)
    unit.put(ended)
    body = {"account": known.account, "kind": known.kind, **({"outcome": outcome} if outcome else {})}
    unit.audit(by, f"work_order.{state}", order_id, body, at)
    return ended


def assign(unit: Unit, order_id: str, at: datetime, *, by: str, owner: str) -> WorkOrder | None:
    """Give a live order to somebody; None when there is no live one of that id."""
    known = unit.get(WorkOrder, order_id)
    if known is None or known.state not in OPEN_STATES:
        return None
    given = replace(known, state="assigned", owner=owner)
    unit.put(given)
    unit.audit(by, "work_order.assigned", order_id, {"owner": owner, "kind": known.kind}, at)
    return given


def settle_reconnect(unit: Unit, account: str, at: datetime) -> None:
    """A verified reconnection ends the crew orders that were waiting for it."""
    for kind in ("reconnect", "relay_fault"):
        known = standing(unit, account, kind)
        if known is not None:
            close(unit, known.order, at, by="engine", state="cancelled")
