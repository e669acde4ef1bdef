"""Numbers, times and codes in the viewer's language: views in, text out; no page and no store here.

Translations stand in ``locale/<lang>.toml``; a test asserts that both files have the same keys and placeholders, and
that they know every event code and parameter that the engine writes.
"""

import tomllib
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from importlib import resources
from zoneinfo import ZoneInfo

from prewatt.console.views import EventLine

LANGUAGES = ("en", "zh")
SIGNS = {"CNY": "¥", "GBP": "£", "USD": "$", "EUR": "€", "INR": "₹", "KES": "KSh ", "ZAR": "R "}
PROTOCOLS = {
    "modbus": "Modbus",
    "dlms": "DLMS",
    "mqtt": "MQTT",
    "dlt645": "DL/T 645",
    "p1": "P1",
    "qgdw376": "Q/GDW 376.1",
    "push": "DLMS push",
}
MICRO_PER_CENT = 10_000
VOCABULARY = {
    "before": "relay",
    "after": "relay",
    "action": "action",
    "says": "says",
    "recipient": "recipient",
    "reason": "reason",
    "detail": "reason",
    "source": "evidence",
}
"""Event parameter -> section of its words; ``kind`` has a section for each event code."""
KINDS = {"work_order": "work_order", "incident": "incident", "hold": "hold", "hold_ended": "hold"}


@cache
def table(lang: str) -> Mapping[str, str]:
    """All strings of one language, keyed ``section.name``."""
    text = resources.files("prewatt.console").joinpath("locale", f"{lang}.toml").read_text(encoding="utf-8")
    found: dict[str, str] = {}
    for section, rows in tomllib.loads(text).items():
        found.update({f"{section}.{name}": value for name, value in rows.items()})
    return found


class Words:
    """One viewer's language and zone."""

    def __init__(self, lang: str, zone: str) -> None:
        """``lang`` falls back to English when it is not one of ``LANGUAGES``."""
        self.lang = lang if lang in LANGUAGES else "en"
        self.zone = zone
        self._table = table(self.lang)
        self._zone = ZoneInfo(zone)

    def say(self, key: str, /, **values: object) -> str:
        """The text of ``key`` with its placeholders filled; a missing key shows itself."""
        return self._table.get(key, key).format_map({k: str(v) for k, v in values.items()})

    def code(self, section: str, value: str) -> str:
        """The word of a stored code; one that has no word shows itself, so that nothing is hidden."""
        return self._table.get(f"{section}.{value}", value)

    def money(self, micro: int, currency: str) -> str:
        """``−¥1,109.20``: rounded half away from zero to cents for the eye only."""
        cents = (abs(micro) + MICRO_PER_CENT // 2) // MICRO_PER_CENT
        text = f"{sign(currency)}{cents // 100:,}.{cents % 100:02d}"
        return f"−{text}" if micro < 0 and cents else text

    def kwh(self, wh: int) -> str:
        """``91.5 kWh``."""
        tenths = (abs(wh) + 50) // 100
        return f"{'−' if wh < 0 and tenths else ''}{tenths // 10:,}.{tenths % 10} {self.say('unit.kwh')}"

    def left(self, hours: float | None) -> str:
        """Hours left, whole; days where they are many."""
        if hours is None:
            return "—"
        whole = int(abs(hours))
        sign = "−" if hours < 0 and whole else ""
        return sign + (self.say("unit.hours", n=whole) if whole < 1000 else self.say("unit.days", n=whole // 24))

    def age(self, seconds: int | None) -> str:
        """Age of a read: minutes up to two days, then days."""
        if seconds is None:
            return "—"
        if seconds < 2 * 86400:
            return self.say("unit.minutes", n=max(0, seconds) // 60)
        return self.say("unit.days", n=seconds // 86400)

    def clock(self, at: datetime, form: str = "%m-%d %H:%M") -> str:
        """Local time of a naive UTC time."""
        return at.replace(tzinfo=UTC).astimezone(self._zone).strftime(form)

    def local(self, at: str) -> str:
        """Local time of an ISO time with Z, as actions answer it."""
        return self.clock(datetime.fromisoformat(at).astimezone(UTC).replace(tzinfo=None), "%Y-%m-%d %H:%M:%S")

    def source(self, posted: str) -> str:
        """``payment:wallet`` as a person says it."""
        kind, _, channel = posted.partition(":")
        return " ".join(filter(None, (self.code("source", kind), channel)))

    def protocol(self, name: str) -> str:
        """How a protocol writes itself."""
        return PROTOCOLS.get(name, name or "—")

    def rung(self, key: str) -> str:
        """``hours.24`` as a person says it."""
        axis, _, number = key.partition(":")[0].partition(".")
        found = self._table.get(f"rung.{axis}")
        return key if found is None else found.format_map({"n": number}).strip()

    def event(self, line: EventLine) -> str:
        """A timeline line as a sentence; an unknown code shows code and parameters, so that nothing is hidden."""
        text = self._table.get(f"event.{line.code}")
        if text is None:
            return " ".join([line.code, *(f"{k}={v}" for k, v in line.params)])
        values = _Blank(self._value(line, name, value) for name, value in line.params)
        return text.format_map(values).replace("()", "").replace("（）", "").strip(" :,，：")

    def _value(self, line: EventLine, name: str, value: str) -> tuple[str, str]:
        """One parameter as its placeholder and text: money in the account's currency, energy in kWh, codes as words."""
        if name.endswith("_micro"):
            return name.removesuffix("_micro"), self.money(int(value), line.currency)
        if name.endswith("_wh"):
            return name.removesuffix("_wh"), self.kwh(int(value))
        if name == "rung":
            said = value.partition(".")[0] == dict(line.params).get("says")
            return name, "" if said else self.rung(value)
        section = KINDS.get(line.code, "") if name == "kind" else VOCABULARY.get(name, "")
        return name, self.code(section, value) if section else value


def sign(currency: str) -> str:
    """The sign that stands before an amount."""
    return SIGNS.get(currency, f"{currency} ")


class _Blank(dict[str, str]):
    """Placeholders without a value stay empty instead of breaking the page."""

    def __missing__(self, key: str) -> str:
        return ""
