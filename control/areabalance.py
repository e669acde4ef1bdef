"""Hourly energy of an area's transformer and of its customers goes in; what is lost, and who may be why, comes out.

The residual of an hour is what the transformer gave less what the customers took and the technical loss. A customer who
hangs on another transformer than the books say makes his area's residual too small and the other's too large, in the
shape of his load: moving him must take more out of both than it leaves (least squares). A customer who takes past his
meter leaves a residual in the shape of his load, or one that begins when his load falls. Both are suspicions for an
on-site check and prove nothing: they are ranked, and never billed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np
import numpy.typing as npt

Hours = npt.NDArray[np.float64]
LEAST_HOURS = 48
"""Hours that must be whole in an area before anybody is suspected."""
LEAST_GAIN = 0.2
"""The share of both areas' squared residuals that moving a customer must take away."""
LEAST_SHAPE = 0.3
"""The share of an area's squared residual that a customer's load, scaled up, must explain."""
FALL = 0.5
"""A day's use that fell to this share of the days before, while as much is missing, looks like a bypass begun."""
MOST_SUSPECTS = 50
DAY_H = 24


@dataclass(frozen=True, slots=True)
class AreaHours:
    """One area: the transformer's register and each customer's, in Wh by hour; NaN where an hour is not whole."""

    transformer: str
    given: Hours
    taken: Mapping[str, Hours]


@dataclass(frozen=True, slots=True)
class Balance:
    """One area over its whole hours, in Wh; ``residual_wh`` is what nobody accounts for."""

    transformer: str
    hours: int
    given_wh: int
    taken_wh: int
    technical_wh: int
    residual_wh: int
    suspicious: bool


@dataclass(frozen=True, slots=True)
class Suspect:
    """One suspicion: ``wrong_transformer`` (``belongs`` says where) or ``bypass``; ``share`` is what it explains."""

    kind: str
    meter: str
    transformer: str
    belongs: str
    share: float
    wh: int
    because: str


def balance(area: AreaHours, *, technical: float, limit: float) -> tuple[Balance, Hours]:
    """The area's balance and its residual by hour; ``technical`` and ``limit`` are shares of what was given."""
    taken = np.sum(list(area.taken.values()), axis=0) if area.taken else np.zeros_like(area.given)
    residual = area.given * (1 - technical) - taken
    whole = ~np.isnan(residual)
    given, took = float(area.given[whole].sum()), float(taken[whole].sum())
    left = float(residual[whole].sum())
    found = Balance(
        area.transformer, int(whole.sum()), round(given), round(took), round(given * technical), round(left),
        int(whole.sum()) >= LEAST_HOURS and abs(left) > limit * max(given, took),
    )  # fmt: skip
    return found, residual


def suspects(areas: Sequence[AreaHours], residuals: Mapping[str, Hours]) -> list[Suspect]:
    """All suspicions, those that explain most first."""
    named = {area.transformer: area for area in areas}
    found = [one for a, b in permutations(named, 2) for one in _moved(named[a], residuals[a], b, residuals[b])]
    elsewhere = {one.meter for one in found}
    found += [one for area in areas for one in _bypassed(area, residuals[area.transformer], elsewhere)]
    return sorted(found, key=lambda one: (-one.share, one.meter))[:MOST_SUSPECTS]


def _moved(area: AreaHours, here: Hours, other: str, there: Hours) -> list[Suspect]:
    """Customers of ``area`` who fit ``other`` better: their area takes too much, the other one too little."""
    found = []
    for meter, load in area.taken.items():
        whole = ~(np.isnan(here) | np.isnan(there) | np.isnan(load))
        if whole.sum() < LEAST_HOURS:
            continue
        a, b, c = here[whole], there[whole], load[whole]
        before = float(a @ a + b @ b)
        gain = (before - float((a + c) @ (a + c) + (b - c) @ (b - c))) / before if before else 0.0
        better = a.sum() < 0 < b.sum() and float((a + c) @ (a + c)) < float(a @ a)
        if better and gain >= LEAST_GAIN:
            because = f"moved to {other}, {gain:.0%} of both areas' hourly differences go"
            found.append(Suspect("wrong_transformer", meter, area.transformer, other, gain, round(c.sum()), because))
    return found


def _bypassed(area: AreaHours, residual: Hours, elsewhere: set[str]) -> list[Suspect]:
    """Customers whose load has the shape of what is missing, or fell when it began to be."""
    found = []
    for meter, load in area.taken.items():
        whole = ~(np.isnan(residual) | np.isnan(load))
        if meter in elsewhere or whole.sum() < LEAST_HOURS or residual[whole].sum() <= 0:
            continue
        r, c = residual[whole], load[whole]
        varying = c - c.mean()
        spread, power = float((r - r.mean()) @ (r - r.mean())), float(varying @ varying)
        slope = float((r - r.mean()) @ varying) / power if power else 0.0
        share = slope * slope * power / spread if spread and slope > 0 else 0.0
        fell = _fell(r, c)
        if share >= LEAST_SHAPE:
            because = f"what is missing follows this load ({slope:.2f} of it is not counted)"
            found.append(Suspect("bypass", meter, area.transformer, "", share, round(slope * c.sum()), because))
        elif fell is not None:
            day, wh, part = fell
            because = f"use fell on day {day + 1}, and {wh / 1000:.1f} kWh a day are missing since"
            found.append(Suspect("bypass", meter, area.transformer, "", part, round(r.sum()), because))
    return found


def _fell(residual: Hours, load: Hours) -> tuple[int, float, float] | None:
    """The day on which the load fell by half while as much began to be missing: day, Wh a day, how alike."""
    days = len(load) // DAY_H
    if days < 4:
        return None
    used, gone = (x[: days * DAY_H].reshape(days, DAY_H).sum(axis=1) for x in (load, residual))
    best: tuple[int, float, float] | None = None
    for day in range(2, days - 1):
        drop = float(used[:day].mean() - used[day:].mean())
        rise = float(gone[day:].mean() - gone[:day].mean())
        if used[day:].mean() <= FALL * used[:day].mean() and drop > 0 and rise > 0:
            alike = min(drop, rise) / max(drop, rise)
            if alike >= FALL and (best is None or alike > best[2]):
                best = (day, rise, alike)
    return best
