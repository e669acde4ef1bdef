"""A span of days goes in; each transformer's area with its balance, and the ranked suspects, come out.

The register at the transformer is a meter like others whose site has the role ``sum``. Hours come from the catalog's
intervals; an hour counts where every meter of the area has it whole.
"""

from collections import defaultdict
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from control.areabalance import AreaHours, Hours, balance, suspects
from control.fieldbook import SUM, Site
from prewatt import analysis
from prewatt.errors import Usage
from prewatt.fieldwork import instants, span
from prewatt.home import find
from prewatt.lookup import config_of
from prewatt.wiring import reading

MOST_METERS = 20_000
HOURLY = """
SELECT m.meter, floor(date_diff('minute', ?::TIMESTAMP, i."end" - INTERVAL 1 SECOND) / 60)::INTEGER AS hour,
       sum(CASE WHEN i.channel = 1 THEN i.energy_wh ELSE -i.energy_wh END), sum(i.minutes) FILTER (i.channel = 1)
FROM intervals i JOIN meters m USING (meter_id)
WHERE i."end" > ?::TIMESTAMP AND i."end" <= ?::TIMESTAMP AND i.channel IN (1, 2) AND m.meter IN (SELECT unnest(?))
GROUP BY 1, 2
"""


def balances(
    option: Path | None, since: str, until: str, *, transformer: str = "", technical: float, limit: float
) -> dict[str, Any]:
    """Balances of one area or all, and the suspects over all of them."""
    with reading(config_of(option)) as shell:
        days = span(since, until, shell.clock.now())
        low, high = instants(days, shell.config.site.zone)
        wanted: dict[str, Any] = {"transformer": transformer} if transformer else {}
        sites = [row for row in shell.store.read(lambda reader: reader.find(Site, **wanted)) if row.transformer]
    summed = {row.transformer for row in sites if row.role == SUM}
    if not summed:
        raise Usage("no area has a register of its own", attempt="prewatt routes import sites.csv, with role = sum")
    sites = [row for row in sites if row.transformer in summed]
    if len(sites) > MOST_METERS:
        raise Usage(f"{len(sites)} meters, the most at once is {MOST_METERS}", attempt="--transformer T7")
    hours = _hours(option, [row.meter for row in sites], low, high)
    areas = _areas(sites, hours, round((high - low) / timedelta(hours=1)))
    found = {area.transformer: balance(area, technical=technical, limit=limit) for area in areas}
    ranked = suspects(areas, {name: residual for name, (_, residual) in found.items()})
    return {
        "from": days[0],
        "to": days[1],
        "technical": f"{technical:g}",
        "areas": [asdict(one) for one, _ in found.values()],
        "suspects": [asdict(one) | {"share": f"{one.share:.2f}"} for one in ranked],
    }


def _hours(option: Path | None, meters: list[str], low: datetime, high: datetime) -> dict[str, dict[int, float]]:
    """Wh by meter and whole hour; import less export."""
    connection = analysis.connect(find(option).must_exist())
    try:
        rows = connection.execute(HOURLY, [low, low, high, meters]).fetchall()
    finally:
        connection.close()
    found: dict[str, dict[int, float]] = defaultdict(dict)
    for meter, hour, energy_wh, minutes in rows:
        if minutes == 60:
            found[meter][hour] = float(energy_wh)
    return found


def _areas(sites: list[Site], hours: dict[str, dict[int, float]], count: int) -> list[AreaHours]:
    of: dict[str, list[Site]] = defaultdict(list)
    for site in sites:
        of[site.transformer].append(site)

    def series(meter: str) -> Hours:
        values = np.full(count, np.nan)
        for hour, energy_wh in hours.get(meter, {}).items():
            values[hour] = energy_wh
        return values

    return [
        AreaHours(
            name,
            np.sum([series(site.meter) for site in rows if site.role == SUM], axis=0),
            {site.meter: series(site.meter) for site in rows if site.role != SUM},
        )
        for name, rows in sorted(of.items())
    ]
