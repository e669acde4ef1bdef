"""A seed goes in, a span and the energies of some accounts that share their attributes come out: the same each time."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random

from tariff import calendar
from tests.properties.tariffs import STARTS

Busy = tuple[int, int, int, int]  # slot, Wh (of gas: 0.001 m3), export Wh, varh
KNOWN = {"household": ["2", "5", "7"], "poor": ["yes", "no"], "meters": ["1", "2", "3"]}
CHANGES = ("2025-03-30", "2025-01-01", "2025-10-26", "2025-06-30", "2024-02-29", "2025-04-04")


@dataclass(frozen=True)
class Load:
    """Energies of accounts in slots of ``minutes`` from the local time ``start`` on; other slots are empty."""

    start: str
    slots: int
    minutes: int
    accounts: tuple[tuple[Busy, ...], ...]
    attributes: tuple[tuple[str, str], ...] = ()

    def span(self, zone: str) -> tuple[datetime, datetime]:
        """The bill's span in UTC."""
        first = calendar.to_utc(datetime.fromisoformat(self.start), zone)
        return first, first + timedelta(minutes=self.minutes * self.slots)


def load(seed: int, minutes: int, accounts: int) -> Load:
    """A few busy slots among empty ones, near a turn of month, year or clock; whole days or some hours of two."""
    pick = Random(seed)
    day = datetime.fromisoformat(pick.choice(STARTS))
    per_day = 1440 // minutes
    hour, slots = 0, per_day
    if pick.random() < 0.7:
        hour, slots = pick.choice([0, 12, 21, 22]), pick.choice([6, 12, 20, 30])
    day += timedelta(days=pick.choice([0, 0, 1]), hours=hour)
    rows = tuple(_busy(pick, slots) for _ in range(accounts))
    return Load(day.isoformat(), slots, minutes, rows, _attributes(pick))


def _busy(pick: Random, slots: int) -> tuple[Busy, ...]:
    rows: dict[int, tuple[int, int, int]] = {}
    for _ in range(pick.randint(1, 14)):
        wh = pick.choice([pick.randint(0, 9000), pick.choice([0, 500, 1000, 2500, 5000, 10_000])])
        rows[pick.randrange(slots)] = (wh, pick.choice([0, 0, 1, 700, 5000]), pick.randint(0, 4000))
    return tuple((slot, *rows[slot]) for slot in sorted(rows))


def _attributes(pick: Random) -> tuple[tuple[str, str], ...]:
    found = {name: pick.choice(choices) for name, choices in KNOWN.items()}
    if pick.random() < 0.6:
        found["demand_kw"] = pick.choice(["3.5", "0.25"])
    if pick.random() < 0.25:
        found["demand_register_kw"] = pick.choice(["3.125", "0.4"])
    if pick.random() < 0.25:
        found[f"demand_register_kw@{pick.choice(CHANGES)[:7]}"] = "4.5"
    if pick.random() < 0.35:
        name, choices = pick.choice([*KNOWN.items(), ("phases", ["1", "3"]), ("kva", ["1.5", "4"])])
        found[f"{name}@{pick.choice(CHANGES)}"] = pick.choice(choices)
    return tuple(found.items())
