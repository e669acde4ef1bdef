"""One TOML value of a policy goes in and the typed field comes out, or a ValueError that says what was wanted.

``FIELDS`` is the whole vocabulary of a policy file: section and key, the field of ``Policy``, how it is read. Bounds
are safety limits of the specification: a policy may be stricter than they are, never looser.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from control.amounts import micro
from control.text import LIMIT as SMS_LIMIT
from control.windows import WEEKDAYS, check_day

Parse = Callable[[Any], Any]
CHANNEL_RECIPIENTS = ("customer", "second", "collector", "meter")
LIST_LIMIT = 400  # entries of one list, special days included


def money(value: Any) -> int:
    """Micro-units of a decimal string or an integer; floats are refused, they are no money."""
    amount = micro(str(value)) if isinstance(value, str | int) and not isinstance(value, bool) else None
    if amount is None:
        raise ValueError('wanted money as a string or an integer, such as "12.50"')
    return amount


def whole(low: int, high: int) -> Parse:
    """An integer from ``low`` to ``high``."""

    def parse(value: Any) -> int:
        if type(value) is not int or not low <= value <= high:
            raise ValueError(f"wanted an integer from {low} to {high}, got {value!r}")
        return value

    return parse


def kwh(value: Any) -> int:
    """Wh of a number of kWh given as integer or decimal string."""
    amount = money(value)
    if amount < 0 or amount % 1000:
        raise ValueError("wanted kWh, not negative, with at most three decimals")
    return amount // 1000


def one_of(*words: str) -> Parse:
    """One of the given words."""

    def parse(value: Any) -> str:
        if value not in words:
            raise ValueError(f"wanted one of {', '.join(words)}, got {value!r}")
        return str(value)

    return parse


def flag(value: Any) -> bool:
    """true or false."""
    if type(value) is not bool:
        raise ValueError(f"wanted true or false, got {value!r}")
    return value


def text(value: Any) -> str:
    """A string."""
    if not isinstance(value, str):
        raise ValueError(f"wanted a string, got {value!r}")
    return value


def short(limit: int) -> Parse:
    """A string of at most ``limit`` characters: it must go into every SMS."""

    def parse(value: Any) -> str:
        if not isinstance(value, str) or len(value) > limit:
            raise ValueError(f"wanted at most {limit} characters, so that a notice fits one SMS, got {value!r}")
        return value

    return parse


def clock(value: Any) -> int:
    """Minutes after midnight of "HH:MM"."""
    parts = value.split(":") if isinstance(value, str) else []
    if len(parts) != 2 or not all(len(part) == 2 and part.isdigit() for part in parts):
        raise ValueError(f'wanted a local time such as "09:30", got {value!r}')
    minute = int(parts[0]) * 60 + int(parts[1])
    if int(parts[1]) > 59 or minute > 1440:
        raise ValueError(f"{value} is no time of day")
    return minute


def day(value: Any) -> str:
    """A day of the calendar: a date, MM-DD, easter+N, or "4 thu 11" (fourth Thursday of November; -1 = last)."""
    if not isinstance(value, str) or not check_day(value):
        raise ValueError(f'wanted a day such as "2027-02-05", "12-25", "easter+1" or "4 thu 11", got {value!r}')
    return value


def several(parse: Parse) -> Parse:
    """A list of values, as a tuple."""

    def parse_all(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list) or len(value) > LIST_LIMIT:
            raise ValueError(f"wanted a list of at most {LIST_LIMIT} values, got {value!r}")
        return tuple(parse(item) for item in value)

    return parse_all


def falling(parse: Parse) -> Parse:
    """A list whose values fall strictly: the rungs of a ladder, the first warning first."""

    def parse_all(value: Any) -> tuple[Any, ...]:
        found = several(parse)(value)
        if any(a <= b for a, b in pairwise(found)):
            raise ValueError(f"wanted falling values, got {value!r}")
        return tuple(found)

    return parse_all


@dataclass(frozen=True, slots=True)
class Entry:
    """One key of the file: the field of ``Policy`` that it sets and how its value is read."""

    field: str
    parse: Parse


FIELDS: Mapping[str, Mapping[str, Entry]] = {
    "credit": {
        "disconnection_balance": Entry("disconnection_balance_micro", money),
        "connection_balance": Entry("connection_balance_micro", money),
        "emergency_credit": Entry("emergency_credit_micro", money),
        "hysteresis_percent": Entry("hysteresis_percent", whole(0, 50)),
        "overdue_days": Entry("overdue_days", whole(0, 365)),
        "remote": Entry("remote", flag),
    },
    "alerts": {
        "money": Entry("money_micro", falling(money)),
        "kwh": Entry("kwh_wh", falling(kwh)),
        "share_percent": Entry("share_percent", falling(whole(0, 99))),
        "share_of": Entry("share_of", one_of("balance_after_payment", "last_payment")),
        "hours": Entry("hours", falling(whole(1, 720))),
        "recipients": Entry("recipients", several(one_of(*CHANNEL_RECIPIENTS))),
        "quiet_from": Entry("quiet_from_min", clock),
        "quiet_to": Entry("quiet_to_min", clock),
        "over_tier": Entry("over_tier", flag),
        "over_tier_days": Entry("over_tier_days", whole(0, 31)),
    },
    "notices": {
        "warning_h": Entry("warning_h", whole(0, 720)),
        "stop_notice_days": Entry("stop_notice_days", whole(0, 60)),
        "stop_notice_days_most": Entry("stop_notice_days_most", whole(0, 90)),
        "final_min": Entry("final_min", whole(30, 7 * 1440)),
        "final_valid_h": Entry("final_valid_h", whole(1, 168)),
        "contact_days": Entry("contact_days", whole(1, 366)),
        "pay": Entry("pay", short(SMS_LIMIT["pay"])),
        "call": Entry("call", short(SMS_LIMIT["call"])),
    },
    "window": {
        "from": Entry("window_from_min", clock),
        "to": Entry("window_to_min", clock),
        "days_off": Entry("days_off", several(one_of(*WEEKDAYS))),
        "special_days": Entry("special_days", several(day)),
        "working_days": Entry("working_days", several(day)),
        "years": Entry("calendar_years", several(whole(2000, 2100))),
    },
    "approval": {
        "mode": Entry("approval", one_of("manual", "automatic")),
        "batch": Entry("batch_k", whole(1, 10_000)),
    },
    "reads": {
        "cycles": Entry("read_cycles", whole(1, 2)),
        "slack_min": Entry("read_slack_min", whole(0, 30)),
        "fresh_min": Entry("fresh_min", whole(1, 15)),
        "no_read_days": Entry("no_read_days", whole(1, 30)),
    },
    "payments": {
        "qualify_percent": Entry("qualify_percent", whole(0, 20)),
        "pause_h": Entry("pause_h", whole(24, 720)),
        "pending_h": Entry("pending_h", whole(24, 720)),
        "bank_working_days": Entry("bank_working_days", whole(3, 30)),
        "bank_channels": Entry("bank_channels", several(text)),
    },
    "commands": {
        "disconnect_valid_min": Entry("disconnect_valid_min", whole(1, 45)),
        "reconnect_valid_days": Entry("reconnect_valid_days", whole(1, 7)),
    },
    "reconnect": {
        "target_s": Entry("reconnect_target_s", whole(1, 120)),
        "p95_s": Entry("reconnect_p95_s", whole(1, 300)),
        "crew_min": Entry("crew_min", whole(1, 15)),
        "limit_min": Entry("reconnect_limit_min", whole(1, 60)),
    },
    "grace": {"migration_days": Entry("migration_days", whole(30, 730))},
    "forecast": {
        "sealed_h": Entry("sealed_h", whole(72, 720)),
        "slack_h": Entry("forecast_slack_h", whole(0, 72)),
    },
}
HEAD: Mapping[str, Entry] = {
    "name": Entry("name", text),
    "version": Entry("version", text),
    "currency": Entry("currency", text),
    "source": Entry("source", text),
}
