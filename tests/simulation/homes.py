"""A town on listening sockets goes in, a home comes out in which some people run out of money tomorrow morning.

What takes weeks in life is written as history: delivered warnings, a forecast sealed three days before, an opened
breaker, old payments. Everything after the first hour is the product's own work.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from control.passes import RELEASED
from control.records import Hold, Notice, SealedForecast
from control.signals import PAYMENTS, Signal
from control.tables import TABLES
from prewatt.founding import found
from prewatt.home import Home
from sim.clock import TestClock
from sim.concentrator import SECRET
from sim.town import Site, Town, placed
from storage.records import AccountState, Payment, Posting
from storage.store import Store
from storage.unit import Unit
from storage.writer import Priority

BOOK, MICRO = "zhejiang-residential", 1_000_000
OPENING_MICRO, PLENTY_MICRO = 700_000, 500 * MICRO
PAID, WARNED, SEALED = timedelta(days=10), timedelta(days=1), timedelta(hours=80)
METER_SECRET = "meters"

CONFIG = """\
[site]
name = "Test town"
zone = "Asia/Shanghai"
currency = "CNY"
[books]
default = "zhejiang-residential"
[policies]
template = "minigrid"
shadow_days = 0
[payments]
webhook_secrets = ["payments-webhook"]
[http]
port = 0
[engine]
idle_s = 0.05
cycle_s = 600
publish_s = 300
sent_timeout_s = 30
live_channel_s = 7200
"""
GATEWAY = """
[[gateway]]
name = "{name}"
protocol = "{protocol}"
host = "{host}"
port = {port}
timeout_ms = {timeout_ms}
secret = "{secret}"
"""


@dataclass(frozen=True, slots=True)
class Cast:
    """Who plays which part, by account: three who are cut and pay, one who pays in time, one who is held, the rest."""

    cut: tuple[str, ...]
    saved: str
    held: str
    rest: tuple[str, ...]


def cast(town: Town) -> Cast:
    """The parts of a town: homes run out, on both protocols; shops and plants have plenty."""
    homes = [site for site in town.sites if site.shape in ("household", "flat")]
    poor = [site.account.account for site in homes if site.point.protocol == "modbus"][:1]
    poor += [site.account.account for site in homes if site.point.protocol == "dlms"][:4]
    rest = tuple(site.account.account for site in town.sites if site.account.account not in poor)
    return Cast(tuple(poor[:3]), poor[3], poor[4], rest)


@dataclass(frozen=True, slots=True)
class Extra:
    """What a test wants otherwise: more configuration, another time for an answer."""

    config: str = ""
    timeout_ms: int = 20_000  # long: a slow machine must not look like a dead meter


def make(
    root: Path, town: Town, addresses: Mapping[str, tuple[str, int]], clock: Path, *, extra: Extra | None = None
) -> Home:
    """Found the home, write its configuration and its history."""
    extra = extra or Extra()
    home = Home(root)
    found(home, name="Test town", zone="Asia/Shanghai", currency="CNY", book=BOOK, template="minigrid")
    at = placed(town, dict(addresses))
    gateways = [
        GATEWAY.format(
            name=g.name, protocol=g.protocol, host=g.host, port=g.port, timeout_ms=extra.timeout_ms, secret=METER_SECRET
        )
        for g in at.gateways
    ]
    home.config.write_text(CONFIG + extra.config + "".join(gateways), encoding="utf-8")
    secret = home.secrets / METER_SECRET
    secret.write_bytes(SECRET)
    secret.chmod(0o600)
    parts = cast(town)
    with Store.open(root, TABLES, clock=TestClock(clock)) as store:
        store.write(Priority.BATCH, lambda unit: _history(unit, at, parts))
    return home


def _history(unit: Unit, town: Town, parts: Cast) -> None:
    """Master data, and what came before the first hour."""
    for site in town.sites:
        unit.add(replace(site.account, book=BOOK, klass="residential", lang="en", feeder=""))
        unit.add(site.point)
        unit.add(site.install)
        _money(unit, site, town, PLENTY_MICRO if site.account.account in parts.rest else OPENING_MICRO)
        if site.account.account not in parts.rest:
            _warned(unit, site, town)
    unit.add(Hold("h-1", parts.held, "medical", "clinic", town.start - WARNED))
    unit.put(Signal(PAYMENTS + "csv", "ok", town.start))
    unit.put(Signal(PAYMENTS + "webhook", "ok", town.start))
    unit.put(Signal(RELEASED, f"{town.start + timedelta(hours=12):%Y-%m-%d}", town.start, "two persons"))


def _money(unit: Unit, site: Site, town: Town, amount: int) -> None:
    """One old payment, posted as it was taken."""
    account, at = site.account.account, town.start - PAID
    number = f"opening-{account}"
    unit.add(Payment("counter", number, account, amount, "CNY", at, at))
    unit.post(
        [
            Posting("payment:counter", number, f"customer:{account}", amount, "CNY", at, at),
            Posting("payment:counter", number, "cash:counter", -amount, "CNY", at, at),
        ]
    )
    paid = AccountState(account, balance_after_payment_micro=amount, last_payment_micro=amount, last_payment_at=at)
    unit.put(paid)


def _warned(unit: Unit, site: Site, town: Town) -> None:
    """A warning that was delivered yesterday, and the forecast of three days ago that saw the end coming."""
    account, at = site.account.account, town.start - WARNED
    unit.add(
        Notice(
            f"n-{account}", account, 0, "money.1", "customer", "file", site.account.phone, "en", "warning", {}, at,
            state="delivered", sent_at=at, delivered_at=at,
        )
    )  # fmt: skip
    unit.add(SealedForecast(account, town.start - SEALED, town.start + timedelta(hours=8)))
