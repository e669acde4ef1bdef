"""Where meters hang and standing outages go in; transformer areas with their centre, size and outages come out.

Sites without a position count in their area's size and not in its centre. A large city's map shows the areas that have
an outage, and says so: nobody finds one dot among ten thousand.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from control.fieldbook import STANDING, Outage, Site
from storage.unit import Reader

MOST_SITES = 50_000
"""Sites that are all put on the map; beyond, only the areas without supply, now or ahead."""


@dataclass(frozen=True, slots=True)
class Area:
    """One transformer's area; ``latitude`` and ``longitude`` are None where no site of it has a position."""

    transformer: str
    feeders: tuple[str, ...]
    meters: int
    latitude: float | None
    longitude: float | None
    outages: tuple[Outage, ...]


def areas(reader: Reader) -> tuple[list[Area], bool]:
    """Every transformer's area in order of name, and whether those without an outage were left out."""
    standing = reader.find(Outage, state__in=list(STANDING), order=("start", "outage"))
    large = reader.count(Site) > MOST_SITES
    return _areas(_touched(reader, standing) if large else reader.find(Site), standing), large


def _touched(reader: Reader, standing: Sequence[Outage]) -> list[Site]:
    found: dict[str, Site] = {}
    for one in standing:
        for name in ("meter", "transformer", "feeder"):
            if value := getattr(one, name):
                found |= {site.meter: site for site in reader.find(Site, **{name: value}, limit=MOST_SITES)}
    return list(found.values())


def _areas(sites: Iterable[Site], standing: Sequence[Outage]) -> list[Area]:
    of: dict[str, list[Site]] = defaultdict(list)
    for site in sites:
        if site.transformer:
            of[site.transformer].append(site)
    by: dict[tuple[str, str], list[Outage]] = defaultdict(list)
    for one in standing:
        for name in ("meter", "transformer", "feeder"):
            if value := getattr(one, name):
                by[name, value].append(one)
    return [_area(name, of[name], by) for name in sorted(of)]


def _area(name: str, sites: Sequence[Site], by: dict[tuple[str, str], list[Outage]]) -> Area:
    placed = [(s.latitude, s.longitude) for s in sites if s.latitude is not None and s.longitude is not None]
    feeders = tuple(sorted({site.feeder for site in sites if site.feeder}))
    keys = [("transformer", name), *(("feeder", feeder) for feeder in feeders), *(("meter", s.meter) for s in sites)]
    hit = {one.outage: one for key in keys if key in by for one in by[key]}
    north = sum(at[0] for at in placed) / len(placed) if placed else None
    east = sum(at[1] for at in placed) / len(placed) if placed else None
    return Area(name, feeders, len(sites), north, east, tuple(hit[key] for key in sorted(hit)))
