"""Holds that protect somebody go in; keep-power orders for their meters, written as notices to the meter, come out.

Guard G5 holds a protected customer here; a meter that keeps power refuses a trip whoever sends it. A sweep compares
the holds in force with what was written: on once per hold, off once when the last one of the account has ended. It
reads the tables alone, so whatever was missed while the engine stood is made up for. Only where the meter's own channel
is its route.

Interleaving: *an order waits for a silent meter while the holds change*: when its turn comes it is asked again whether
it is still wanted (``notices.outdated``), so that an old "off" never undoes the "on" of a later hold.
"""

from datetime import timedelta

from control import notices
from control.alerts import MAKES_FIELD_ORDER, AlertDue
from control.assemble import World
from control.records import Hold, Notice
from storage.unit import Unit

ENDED_WITHIN = timedelta(days=31)


def sweep(unit: Unit, world: World) -> list[Notice]:
    """Write every order that is missing."""
    if world.settings.routes.get("meter") != notices.ALARM:
        return []
    holds = [row for row in unit.find(Hold, kind__in=list(MAKES_FIELD_ORDER)) if row.account and row.start <= world.now]
    kept = {row.account for row in holds if row.end is None or row.end > world.now}
    made = []
    for row in holds:
        over = row.end is not None and row.end <= world.now
        if over and (row.account in kept or row.end is None or world.now - row.end > ENDED_WITHIN):
            continue
        code = notices.KEEP_OFF if over else notices.KEEP
        due = AlertDue(f"{code}.{row.hold}", "meter", code, {})
        made.append(notices.announce(unit, row.account, due, world))
    return [row for row in made if row is not None]
