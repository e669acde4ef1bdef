"""Numbers, times and codes in the viewer's language: views in, text out; no page and no store here.

Translations stand in ``locale/<lang>.toml``; a test asserts that both files have the same keys and placeholders.
"""

import tomllib
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from importlib import resources
from zoneinfo import ZoneInfo

from prewatt.console.views import EventLine

LANGUAGES = ("en", "zh")
_SIGNS = {"CNY": "¥", "GBP": "£", "USD": "$", "EUR": "€", "INR": "₹", "KES": "KSh ", "ZAR": "R "}
MICRO_PER_CENT = 10_000


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
        self._table = table(self.lang)
        self._zone = ZoneInfo(zone)

    def say(self, key: str, /, **values: object) -> str:
        """The text of ``key`` with its placeholders filled; a missing key shows itself."""
        return self._table.get(key, key).format_map({k: str(v) for k, v in values.items()})

    def money(self, micro: int, currency: str) -> str:
        """``-¥1,109.20``: rounded half away from zero to cents for the eye only."""
        cents = (abs(micro) + MICRO_PER_CENT // 2) // MICRO_PER_CENT
        text = f"{_SIGNS.get(currency, currency + ' ')}{cents // 100:,}.{cents % 100:02d}"
        return f"−{text}" if micro < 0 and cents else text

    def left(self, hours: float | None) -> str:
        """Hours left, whole."""
        if hours is None:
            return "—"
        whole = int(hours) if hours >= 0 else -int(-hours)
        return f"{'−' if whole < 0 else ''}{abs(whole)} h"

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

    def event(self, line: EventLine) -> str:
        """A timeline line as a sentence; an unknown code shows code and parameters, so that nothing is hidden."""
        key = f"event.{line.code}"
        if key not in self._table:
            return " ".join([line.code, *(f"{k}={v}" for k, v in line.params)])
        return self._table[key].format_map(_Known(dict(line.params)))


class _Known(dict[str, str]):
    """Placeholders without a value show a dash instead of breaking the page."""

    def __missing__(self, key: str) -> str:
        return "—"
