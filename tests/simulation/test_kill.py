"""kill -9 of the daemon at random moments of a simulated day: afterwards nobody can tell that it ever died."""

import os
from pathlib import Path

import pytest

from sim.town import Town, build
from tests.simulation import facts, homes
from tests.simulation.day import Day, moments
from tests.simulation.killing import Killer, draw

KILLS = int(os.environ.get("PREWATT_KILLS", "6"))
SEED = int(os.environ.get("PREWATT_SEED", "1"))
TOWN = 3
HOURS = 24 if KILLS <= 10 else 30
ACCOUNTS = 10


def relays_moved(day: Day) -> list[int]:
    """The moments in which a relay moved."""
    times = {at for changes in day.changes.values() for at, _ in changes}
    return [moment.number for moment in moments(day.town.start, day.hours) if moment.at.isoformat() in times]


def scenes(quiet: Day, town: Town) -> None:
    """The quiet day is the one that we want: three are cut off and come back, nobody else ever is."""
    meters = {site.account.account: site.point.meter for site in town.sites}
    parts = homes.cast(town)
    assert set(quiet.changes) == {meters[account] for account in parts.cut}
    assert [[state for _, state in changes] for changes in quiet.changes.values()] == [["open", "closed"]] * 3


@pytest.mark.kill
@pytest.mark.sockets
@pytest.mark.timeout(1800)
def test_a_killed_day_equals_a_quiet_one(tmp_path: Path) -> None:
    town = build(TOWN, ACCOUNTS)
    quiet = Day(tmp_path / "quiet", town, HOURS)
    wanted = quiet.live()
    scenes(quiet, town)
    paying = [moment.number for moment in moments(town.start, HOURS) if moment.paying]
    killer = Killer(draw(SEED, KILLS, quiet, paying, relays_moved(quiet)))
    killed = Day(tmp_path / "killed", town, HOURS, struck=killer)
    found = killed.live()
    print(f"\n{killer.kills} kills of seed {SEED}, {killed.daemon.starts} starts")
    print(f"{len(killed.acknowledged)} payments acknowledged, each there after every kill that followed")
    print({name: len(rows) for name, rows in found.items()}, f"{len(killed.changes)} relays moved")
    print("interrupted:", dict(sorted(killer.caught.items())))
    print(f"wall: quiet {sum(quiet.walls.values()):.0f} s, killed {sum(killed.walls.values()):.0f} s")
    assert killer.kills == KILLS
    for name, rows in wanted.items():
        assert found[name] == rows, f"{name} differ"
    assert killed.changes == quiet.changes
    assert set(killed.acknowledged) <= {row[1] for row in found["payments"]}
    assert facts.sound(quiet.home, quiet.host_clock) == []
    assert facts.sound(killed.home, killed.host_clock) == []
