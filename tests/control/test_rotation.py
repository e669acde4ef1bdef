"""Meters whose verification ends are changed while their supply is off anyway; sensitive sites out of hours."""

from pathlib import Path

from control.fieldbook import Outage, Site
from control.records import Hold
from control.rotation import changes
from tests.control.rig import DAY, NOW, Rig


def test_a_change_waits_for_the_outage_and_asks_who_is_sensitive(tmp_path: Path) -> None:
    rig = Rig(tmp_path, accounts=4)
    for number, days in enumerate((40, 60, -5, 400)):
        rig.put(Site(f"M{number + 1}", transformer=f"T{1 + number % 2}", verified_until=NOW + days * DAY))
    rig.put(Hold("h1", "A2", "medical", "ann", NOW))
    rig.put(Outage("late", "planned", "announced", NOW + 50 * DAY, NOW, "wu", transformer="T1"))
    rig.put(Outage("soon", "planned", "announced", NOW + 20 * DAY, NOW, "wu", transformer="T2"))
    rig.put(Outage("fault", "fault", "under_way", NOW - DAY, NOW, "wu", transformer="T1"))
    found = rig.store.read(lambda reader: changes(reader, NOW, NOW + 180 * DAY))
    rig.store.close()
    assert [(one.meter, one.outage, one.overdue, one.out_of_hours) for one in found] == [
        ("M3", "", True, False),
        ("M2", "soon", False, True),
        ("M1", "", False, False),  # the works come ten days after its day
    ]
    assert [one.account for one in found] == ["A3", "A2", "A1"]
