"""A rate's schedules of 12 months by 24 hours go in, one calendar of windows for all its charges comes out.

Energy, time-of-use demand and the demand of months may each divide the year in their own way; a period of the book is
what they have in common, such as ``e0_d1``: energy period 0 and demand period 1.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from tariff.errors import ImportRefusedError
from tariff.urdb.fields import Item

MONTHS, HOURS = 12, 24
WEEKDAYS, WEEKEND = [1, 2, 3, 4, 5], [6, 7]
Key = tuple[int, int, int]  # periods of energy, time-of-use demand, and the months' demand


@dataclass(frozen=True, slots=True)
class Schedule:
    """``grid`` [weekday or weekend][month][hour] of keys, their names, the default one, and the windows of the rest."""

    grid: tuple[tuple[tuple[Key, ...], ...], ...]
    names: dict[Key, str]
    default: str
    windows: tuple[dict[str, Any], ...]

    @classmethod
    def of(cls, rate: Item) -> "Schedule":
        """The common calendar of the rate's schedules."""
        energy = _read(rate, "energy", "energyratestructure")
        demand = _read(rate, "demand", "demandratestructure")
        months = _months(rate)
        grid = tuple(
            tuple(
                tuple((energy[part][month][hour], demand[part][month][hour], months[month]) for hour in range(HOURS))
                for month in range(MONTHS)
            )
            for part in range(2)
        )
        keys = Counter(key for part in grid for row in part for key in row)
        names = _names(sorted(keys))
        default = max(sorted(keys), key=lambda key: keys[key])
        windows = tuple(_windows(grid, names, default)) if len(keys) > 1 else ()
        return cls(grid, names, names[default] if len(keys) > 1 else "*", windows)

    def periods(self, place: int, number: int) -> list[str]:
        """Names of the periods whose key has ``number`` at ``place``; none if that is always so."""
        found = [name for key, name in self.names.items() if key[place] == number]
        return [] if len(found) == len(self.names) else found

    def by_month(self, place: int) -> list[set[int]]:
        """The numbers at ``place`` that occur in each month."""
        return [{key[place] for part in self.grid for key in part[month]} for month in range(MONTHS)]


def _read(rate: Item, kind: str, structure: str) -> list[list[list[int]]]:
    """[weekday, weekend] of one schedule; zeros where the rate has none of the kind or one period only."""
    count = len(rate.raw(structure, []))
    tables = []
    for day in ("weekday", "weekend"):
        field = f"{kind}{day}schedule"
        table = rate.raw(field) if count else None
        if table is None:
            if count > 1:
                raise ImportRefusedError(field, f"{structure} has {count} periods and no schedule says when they hold")
            table = [[0] * HOURS] * MONTHS
        _check(field, table, max(count, 1))
        tables.append([[int(number) for number in row] for row in table])
    return tables


def _check(field: str, table: Any, count: int) -> None:
    shaped = isinstance(table, list) and len(table) == MONTHS
    if not shaped or any(not isinstance(row, list) or len(row) != HOURS for row in table):
        raise ImportRefusedError(field, "must have 12 rows of 24 periods")
    if any(not 0 <= int(number) < count for row in table for number in row):
        raise ImportRefusedError(field, f"names a period that the rate does not have (it has {count})")


def _months(rate: Item) -> list[int]:
    """The period of the months' demand of each month."""
    count = len(rate.raw("flatdemandstructure", []))
    table = rate.raw("flatdemandmonths") if count else None
    if table is None:
        if count > 1:
            raise ImportRefusedError("flatdemandmonths", f"flatdemandstructure has {count} periods and no months")
        return [0] * MONTHS
    if not isinstance(table, list) or len(table) != MONTHS or any(not 0 <= int(one) < count for one in table):
        raise ImportRefusedError("flatdemandmonths", f"must have 12 numbers of the {count} periods")
    return [int(one) for one in table]


def _names(keys: list[Key]) -> dict[Key, str]:
    """A name of the places that differ: e0, e0_d1, e0_d1_m2."""
    varying = [place for place in range(3) if len({key[place] for key in keys}) > 1] or [0]
    return {key: "_".join(f"{'edm'[place]}{key[place]}" for place in varying) for key in keys}


def _windows(
    grid: tuple[tuple[tuple[Key, ...], ...], ...], names: dict[Key, str], default: Key
) -> Iterator[dict[str, Any]]:
    """Windows that share no hour; months in which weekday and weekend run alike need no ``days``."""
    months: dict[tuple[Key, tuple[int, ...], int, int], list[int]] = {}
    for month in range(MONTHS):
        weekday, weekend = grid[0][month], grid[1][month]
        parts = [((), weekday)] if weekday == weekend else [(tuple(WEEKDAYS), weekday), (tuple(WEEKEND), weekend)]
        for days, row in parts:
            for key, begin, end in _runs(row):
                if key != default:
                    months.setdefault((key, days, begin, end), []).append(month + 1)
    for (key, days, begin, end), own in sorted(months.items()):
        window: dict[str, Any] = {"period": names[key]}
        window |= {"months": own} if len(own) < MONTHS else {}
        window |= {"days": list(days)} if days else {}
        window |= {"from": f"{begin:02d}:00", "to": f"{end:02d}:00"} if end - begin < HOURS else {}
        yield window


def _runs(row: tuple[Key, ...]) -> Iterator[tuple[Key, int, int]]:
    at = 0
    for key, run in groupby(row):
        length = len(list(run))
        yield key, at, at + length
        at += length
