"""Meters whose verification ends are changed while their supply is off anyway; sensitive sites out of hours."""

import asyncio
from datetime import timedelta
from pathlib import Path

from control.fieldbook import Outage, Site
from control.records import Hold
from control.rotation import changes
from storage.unit import Unit
from storage.writer import Priority
from tests.browser.town import live

DAY = timedelta(days=1)


def test_a_change_waits_for_the_outage_and_asks_who_is_sensitive(tmp_path: Path) -> None:
    lived = asyncio.run(live(tmp_path, 4))
    now = lived.source.now
    meters = [site.install.meter for site in lived.town.sites]
    accounts = [site.account.account for site in lived.town.sites]

    def hang(unit: Unit) -> None:
        for number, days in enumerate((40, 60, -5, 400)):
            unit.put(Site(meters[number], transformer=f"T{1 + number % 2}", verified_until=now + days * DAY))
        unit.put(Hold("h1", accounts[1], "medical", "ann", now))
        unit.put(Outage("late", "planned", "announced", now + 50 * DAY, now, "wu", transformer="T1"))
        unit.put(Outage("soon", "planned", "announced", now + 20 * DAY, now, "wu", transformer="T2"))
        unit.put(Outage("fault", "fault", "under_way", now - DAY, now, "wu", transformer="T1"))

    asyncio.run(lived.store.commit(Priority.COMMAND, hang))
    found = lived.store.read(lambda reader: changes(reader, now, now + 180 * DAY))
    lived.store.close()
    assert [(one.meter, one.outage, one.overdue, one.out_of_hours) for one in found] == [
        (meters[2], "", True, False),
        (meters[1], "soon", False, True),
        (meters[0], "", False, False),  # the works come ten days after its day
    ]
    assert [one.account for one in found] == [accounts[2], accounts[1], accounts[0]]
