"""Towns with a cast: what the demo tells its story with. The seeded town of ``sim.town`` serves everything else."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np

from sim.customers import Payer, load_of
from sim.town import Site, Town, TownPlan, build
from tariff.model import Book
from tariff.statement import accrued, period_of

DEMO_SEED = 7
DEMO_START = datetime(2026, 3, 3, 16)  # Wednesday 2026-03-04 00:00 in the zone
DEMO_ACCOUNTS = 18
PLAN = TownPlan(modbus_percent=40, days_least=20, days_most=40)
STAR, CLINIC, WALKED = "3201229651", "3201522654", "3201655088"
MICRO = 1_000_000


def demo() -> Town:
    """Eighteen customers, three of whom matter: a foundry runs out, a clinic is protected, a cottage is walked to."""
    town = build(DEMO_SEED, DEMO_ACCOUNTS, plan=PLAN, start=DEMO_START)
    dlms = [site.number for site in town.sites if site.point.protocol == "dlms"]
    star, clinic = dlms[0], dlms[1]
    walked = next(site.number for site in town.sites if site.point.protocol == "modbus")
    cast = {
        star: lambda site: _star(site),
        clinic: lambda site: _clinic(site),
        walked: lambda site: _walked(site),
    }
    sites = tuple(cast[site.number](site) if site.number in cast else _quiet(site) for site in town.sites)
    return replace(town, sites=sites)


def fund(town: Town, account: str, book: Book, until: datetime) -> Town:
    """The same town with one account's opening balance such that it runs out at ``until`` (UTC), to the micro-unit."""
    site = next(site for site in town.sites if site.account.account == account)
    load = load_of(site.shape, seed=town.seed, customer=site.number, percent=site.percent)
    hours = [town.start + timedelta(hours=n) for n in range((until - town.start) // timedelta(hours=1))]
    ends = np.array([hour + timedelta(hours=1) for hour in hours], "datetime64[ms]")
    wh = np.array([load(hour) for hour in hours], np.int64)
    owed, start = 0, town.start
    while start < until:
        begin, end = period_of(book, start)
        inside = (ends > np.datetime64(begin, "ms")) & (ends <= np.datetime64(end, "ms"))
        owed += accrued(book, begin, min(until, end), end, ends[inside], wh[inside], minutes=60)
        start = end
    return replace(town, sites=tuple(replace(s, opening_micro=owed) if s is site else s for s in town.sites))


def _renamed(site: Site, account: str, name: str, klass: str) -> Site:
    book = PLAN.book_of(klass)
    return replace(
        site,
        account=replace(site.account, account=account, name=name, klass=klass, book=book, lang="en"),
        install=replace(site.install, account=account),
    )


def _star(site: Site) -> Site:
    """A plant whose stop needs a person's approval; its opening balance is set by whoever runs the story."""
    site = _renamed(site, STAR, "Riverside Foundry", "large")
    return replace(site, shape="plant", percent=20, payer=Payer(False, 0, 0))


def _clinic(site: Site) -> Site:
    """A protected site that runs out before everybody else."""
    site = _renamed(site, CLINIC, "Oakfield Clinic", "protected")
    return replace(site, shape="clinic", percent=30, opening_micro=45 * MICRO, protected=True)


def _walked(site: Site) -> Site:
    """A home whose meter hangs on no wire: a reader with a handheld visits it."""
    site = _renamed(site, WALKED, "Hillside Cottage", "residential")
    point = replace(site.point, protocol="mqtt", model="handheld", gateway="handhelds", serial="70001234", unit=0)
    install = replace(site.install, serial="70001234", start=site.install.start + timedelta(days=1))
    return replace(site, point=point, install=install, shape="flat")


def _quiet(site: Site) -> Site:
    """Everybody else has paid for weeks."""
    return (
        replace(site, protected=False)
        if site.account.klass != "protected"
        else _renamed(site, site.account.account, site.account.name, "residential")
    )


TOWNS: Mapping[str, Callable[[], Town]] = {"demo": demo}
