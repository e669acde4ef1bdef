"""Sites and standing outages go in; the meters whose verification ends comes out, each with when to take it down.

A meter is best changed while its supply is off anyway: in the first planned outage of its place before its day. Where
supply must not fail (protected, medical, keep-power) it is done out of hours, with the customer's word.
"""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime

from control.fieldbook import ANNOUNCED, Outage, Site
from control.outages import touching
from control.records import Hold
from storage.records import Install
from storage.unit import Reader

SENSITIVE = ("protected", "medical", "keep_power")
CHUNK = 500


@dataclass(frozen=True, slots=True)
class Change:
    """One meter to be changed by ``verified_until``; ``outage`` is "" where none is planned in time."""

    meter: str
    account: str
    transformer: str
    verified_until: datetime
    overdue: bool
    out_of_hours: bool
    outage: str
    at: datetime | None


def changes(reader: Reader, now: datetime, until: datetime) -> list[Change]:
    """Meters whose verification ends before ``until`` or has ended, by when they are best changed."""
    sites = {site.meter: site for site in reader.find(Site, verified_until__lt=until, order="verified_until")}
    installs: dict[str, Install] = {}
    for start in range(0, len(sites), CHUNK):
        for row in reader.find(Install, meter__in=list(sites)[start : start + CHUNK]):
            if row.end is None or row.end > now:
                installs[row.account] = row
    planned = reader.find(Outage, state=ANNOUNCED, cause="planned", start__ge=now, order=("start", "outage"))
    offers = touching(reader, installs, planned)
    sensitive: dict[str, bool] = defaultdict(bool)
    for start in range(0, len(installs), CHUNK):
        for hold in reader.find(Hold, account__in=list(installs)[start : start + CHUNK]):
            sensitive[hold.account] |= hold.kind in SENSITIVE and (hold.end is None or hold.end > now)
    accounts = {row.meter: name for name, row in installs.items()}
    found = [
        _change(site, accounts.get(meter, ""), offers.get(accounts.get(meter, ""), []), now, sensitive)
        for meter, site in sites.items()
    ]
    return sorted(found, key=lambda one: (one.at or one.verified_until, one.outage, one.verified_until, one.meter))


def _change(site: Site, account: str, offers: list[Outage], now: datetime, sensitive: dict[str, bool]) -> Change:
    last = site.verified_until
    assert last is not None
    best = next((one for one in offers if one.start <= max(last, now)), None)
    return Change(
        site.meter, account, site.transformer, last, last <= now, sensitive.get(account, False),
        best.outage if best is not None else "", best.start if best is not None else None,
    )  # fmt: skip
