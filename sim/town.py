"""A town from a seed: accounts, meters, gateways, loads and payers, the same for demo, tests and simulator.

Names are invented. Money is CNY in micro-units; the zone is Asia/Shanghai. Nothing here decides anything: it is input.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from ingest.records import MeterPoint
from sim.customers import SHAPES, WATTS_MAX, Payer, mix, payer_of, share
from storage.records import Account, Install

ZONE = "Asia/Shanghai"
START = datetime(2026, 3, 1, 16)  # Monday 2026-03-02 00:00 in the zone
UNITS_PER_GATEWAY = {"modbus": 30, "dlms": 60}
MODELS = {"modbus": "dds238", "dlms": "dlms_generic", "mqtt": "handheld"}
PORTS = {"modbus": 502, "dlms": 4059, "mqtt": 1883}
PRICE_MICRO_PER_KWH = 620_000  # a rough price, only to choose plausible balances

_PLACES = (
    "Riverside",
    "Oakfield",
    "Lakeview",
    "Sunrise",
    "Harbour",
    "Hillside",
    "Station",
    "Willow",
    "建设路",
    "东风",
    "城南",
    "金穗",
)
_KINDS = {
    "household": ("Home", "家"),
    "flat": ("Flat", "公寓"),
    "shop": ("Bakery", "商店"),
    "plant": ("Foundry", "铸造厂"),
    "clinic": ("Clinic", "卫生院"),
}


@dataclass(frozen=True, slots=True)
class Gateway:
    """One address on the network with the meters behind it."""

    name: str
    protocol: str
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Site:
    """One customer with one meter: master data, the load's shape, the opening balance and the person who pays."""

    number: int
    account: Account
    point: MeterPoint
    install: Install
    shape: str
    percent: int
    opening_micro: int
    payer: Payer
    protected: bool


@dataclass(frozen=True, slots=True)
class Town:
    """Everything that exists before the first hour."""

    seed: int
    start: datetime
    gateways: tuple[Gateway, ...]
    sites: tuple[Site, ...]


@dataclass(frozen=True, slots=True)
class TownPlan:
    """What kind of town: the book of each class, the share of protocols, how many days of credit people start with.

    Meters were hung ``hung_days`` before the town's first hour. What flowed in those days nobody has read: it is
    estimated, and asked of the meters' load profiles, until the billing period is over.
    """

    books: tuple[tuple[str, str], ...] = (("residential", "zhejiang-residential"), ("", "demo"))
    modbus_percent: int = 25
    mqtt_percent: int = 0
    days_least: int = 3
    days_most: int = 9
    hung_days: int = 40
    model_modbus: str = MODELS["modbus"]
    model_dlms: str = MODELS["dlms"]

    def book_of(self, klass: str) -> str:
        """The tariff book of a class; the row "" serves every other one."""
        table = dict(self.books)
        return table.get(klass, table[""])


def daily_micro(shape: str, percent: int) -> int:
    """What a day costs, roughly: only for choosing balances and payments."""
    hourly, _ = SHAPES[shape]
    return sum(hourly) * percent // 100 * PRICE_MICRO_PER_KWH // 1000


def build(seed: int, accounts: int, *, plan: TownPlan | None = None, start: datetime = START) -> Town:
    """A town of ``accounts`` customers; the same arguments give the same town in every process."""
    plan = plan or TownPlan()
    counts: dict[str, int] = {}
    gateways: dict[str, Gateway] = {}
    sites = []
    for number in range(accounts):
        protocol = _protocol(seed, number, plan)
        place = counts.get(protocol, 0)
        counts[protocol] = place + 1
        gateway = _gateway(protocol, place)
        gateways.setdefault(gateway.name, gateway)
        sites.append(
            _site(seed, number, plan, gateway, unit=place % UNITS_PER_GATEWAY.get(protocol, 1000) + 1, start=start)
        )
    return Town(seed, start, tuple(gateways.values()), tuple(sites))


def placed(town: Town, addresses: dict[str, tuple[str, int]]) -> Town:
    """The same town at other addresses (gateway name -> host, port), as when it is served on real sockets."""
    gateways = tuple(replace(g, host=addresses[g.name][0], port=addresses[g.name][1]) for g in town.gateways)
    sites = tuple(
        replace(s, point=replace(s.point, host=addresses[s.point.gateway][0], port=addresses[s.point.gateway][1]))
        for s in town.sites
    )
    return replace(town, gateways=gateways, sites=sites)


def _protocol(seed: int, number: int, plan: TownPlan) -> str:
    draw = mix(seed, number, 3) % 100
    if draw < plan.mqtt_percent:
        return "mqtt"
    return "modbus" if draw < plan.mqtt_percent + plan.modbus_percent else "dlms"


def _gateway(protocol: str, place: int) -> Gateway:
    name = f"{protocol}-{place // UNITS_PER_GATEWAY.get(protocol, 1000) + 1:02d}"
    return Gateway(name, protocol, name, PORTS[protocol])


def _shape(seed: int, number: int) -> tuple[str, str]:
    draw = mix(seed, number, 5) % 100
    if draw < 2:
        return "clinic", "protected"
    if draw < 6:
        return "plant", "large"
    if draw < 20:
        return "shop", "non_residential"
    return ("household", "residential") if draw < 70 else ("flat", "residential")


def _site(seed: int, number: int, plan: TownPlan, gateway: Gateway, *, unit: int, start: datetime) -> Site:
    shape, klass = _shape(seed, number)
    percent = 70 + mix(seed, number, 7) % 61
    day = daily_micro(shape, percent)
    days = plan.days_least + share(seed, number, 11) * (plan.days_most - plan.days_least)
    opening = max(1_000_000, int(day * days) // 1_000_000 * 1_000_000)
    code = f"32{mix(seed, number, 13) % 10**4:04d}{number:04d}"
    lang = "zh" if mix(seed, number, 17) % 2 else "en"
    station = gateway.protocol == "modbus"  # a DDS238 tells only its unit id, not a serial
    serial = f"unit-{unit}" if station else f"{40_000_000 + number * 7 + seed % 7:08d}"
    account = Account(
        account=code,
        name=_name(seed, number, shape, lang),
        klass=klass,
        book=plan.book_of(klass),
        zone=ZONE,
        currency="CNY",
        lang=lang,
        phone=f"+86 555 {number:07d}",
        collector="collector-01",
        contact_confirmed=start - timedelta(days=60),
        agreement_from=start - timedelta(days=200),
        feeder=f"F{number % 4 + 1}",
        opened=start - timedelta(days=400),
    )
    protocol = gateway.protocol
    model = {"modbus": plan.model_modbus, "dlms": plan.model_dlms}.get(protocol, MODELS[protocol])
    point = MeterPoint(
        meter_id=number + 1,
        meter=f"M{number + 1:05d}",
        serial=serial,
        model=model,
        protocol=protocol,
        gateway=gateway.name,
        host=gateway.host,
        port=gateway.port,
        unit=unit,
        zone=ZONE,
        max_power_w=2 * WATTS_MAX,
    )
    install = Install(
        meter_id=point.meter_id,
        meter=point.meter,
        account=code,
        serial=serial,
        start=start - timedelta(days=plan.hung_days),
        proved=start - timedelta(days=max(plan.hung_days - 1, 0)),
    )
    payer = payer_of(seed, number, typical_micro=day * 4)
    return Site(number, account, point, install, shape, percent, opening, payer, protected=klass == "protected")


def _name(seed: int, number: int, shape: str, lang: str) -> str:
    place = _PLACES[mix(seed, number, 19) % len(_PLACES)]
    kind = _KINDS[shape][lang == "zh"]
    return f"{place}{kind} {number + 1}" if lang == "zh" and not place.isascii() else f"{place} {kind} {number + 1}"
