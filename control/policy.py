"""A policy file goes in and one frozen Policy per class comes out, or an error with file, line and what to write.

A file has a head (name, version, currency, source), sections that hold for every class, and ``[class.NAME.SECTION]``
tables that change them for one class (residential, non_residential, large, protected). An unknown key is an error,
never ignored: a misspelt safety limit must not silently be the default.
"""

import difflib
import hashlib
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any

from control.canonical import dumps
from control.errors import PolicyError
from control.policy_fields import FIELDS, HEAD, Entry

CLASSES = ("residential", "non_residential", "large", "protected")
TEMPLATES = ("cn-remote", "in-uppcl", "us-tx", "gb-smets-like", "minigrid")
EARLIEST_CUT_MIN, LATEST_CUT_MIN = 6 * 60, 20 * 60  # no night (G4)


@dataclass(frozen=True, slots=True)
class Policy:
    """The rules for one class of customers; money in micro-units of ``currency``, energy in Wh, time of day in minutes.

    Below ``disconnection_balance_micro`` (which already contains the emergency credit) supply may be cut; from
    ``connection_balance_micro`` on it comes back.
    """

    name: str
    klass: str
    version: str
    currency: str
    source: str = ""
    # credit
    disconnection_balance_micro: int = 0
    connection_balance_micro: int = 1_000_000
    emergency_credit_micro: int = 0
    hysteresis_percent: int = 5
    overdue_days: int = 30
    remote: bool = True  # false: this class is never disconnected remotely, a field order is left instead
    # alerts
    money_micro: tuple[int, ...] = ()
    kwh_wh: tuple[int, ...] = ()
    share_percent: tuple[int, ...] = ()
    share_of: str = "balance_after_payment"
    hours: tuple[int, ...] = ()
    recipients: tuple[str, ...] = ("customer", "collector")
    quiet_from_min: int = 22 * 60
    quiet_to_min: int = 7 * 60
    over_tier: bool = True
    over_tier_days: int = 3  # ahead of the next tier, at the usual use; 0: told only when it is reached
    # notices
    warning_h: int = 24
    stop_notice_days: int = 0
    stop_notice_days_most: int = 0
    final_min: int = 30
    final_valid_h: int = 24
    contact_days: int = 365
    pay: str = ""
    call: str = ""
    # window
    window_from_min: int = 9 * 60
    window_to_min: int = 16 * 60
    days_off: tuple[str, ...] = ("sat", "sun")
    special_days: tuple[str, ...] = ()
    working_days: tuple[str, ...] = ()
    calendar_years: tuple[int, ...] = ()
    # approval
    approval: str = "manual"
    batch_k: int = 20
    # reads
    read_cycles: int = 2
    read_slack_min: int = 30
    fresh_min: int = 15
    no_read_days: int = 3
    # payments
    qualify_percent: int = 20
    pause_h: int = 24
    pending_h: int = 24
    bank_working_days: int = 3
    bank_channels: tuple[str, ...] = ("bank", "csv")
    # commands and clocks
    disconnect_valid_min: int = 45
    reconnect_valid_days: int = 7
    reconnect_target_s: int = 120
    reconnect_p95_s: int = 300
    crew_min: int = 15
    reconnect_limit_min: int = 60
    migration_days: int = 30
    sealed_h: int = 72
    forecast_slack_h: int = 24

    @property
    def id(self) -> str:
        """Name, class, version and content: ``cn-remote/residential/2026.1#1a2b3c4d``, as decisions record it."""
        return f"{self.name}/{self.klass}/{self.version}#{_digest(self)}"


def load(text: str, file: str, klass: str = "residential") -> Policy:
    """The policy of one class; PolicyError with file:line and a hint for anything that is not understood."""
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as wrong:
        found = re.search(r"line (\d+)", str(wrong))
        raise PolicyError(file, int(found.group(1)) if found else 1, f"not TOML: {wrong}") from None
    source = _Source(text, file)
    values: dict[str, Any] = {"klass": klass}
    values |= source.read((), raw, HEAD, aside=("class", *FIELDS))
    for missing in ("name", "version", "currency"):
        if missing not in values:
            raise source.error((), f"{missing} is missing", f'{missing} = "..."')
    values |= source.sections((), raw)
    classes = raw.get("class", {})
    if not isinstance(classes, dict):
        raise source.error(("class",), "class must be a table", "[class.residential.alerts]")
    for name, tables in classes.items():
        if name not in CLASSES:
            raise source.error(("class", name), f"unknown class {name!r}", _near(name, CLASSES))
        changed = source.sections(("class", name), tables)
        if name == klass:
            values |= changed
    policy = Policy(**values)
    for place, problem in _contradictions(policy):
        raise source.error(place, problem, "")
    return policy


def classes(text: str, file: str) -> dict[str, Policy]:
    """The policy of every class of one file."""
    return {klass: load(text, file, klass) for klass in CLASSES}


def template_text(name: str) -> str:
    """The TOML of a shipped template, to start an own policy from; PolicyError for a name that is not shipped."""
    if name not in TEMPLATES:
        raise PolicyError(name, 1, "no such template", _near(name, TEMPLATES))
    return (files("control") / "templates" / f"{name}.toml").read_text(encoding="utf-8")


@lru_cache(maxsize=8)
def template(name: str) -> Mapping[str, Policy]:
    """Every class of a shipped template."""
    return classes(template_text(name), f"{name}.toml")


def builtin() -> dict[str, Policy]:
    """The residential policy of each shipped template, by template name."""
    return {name: template(name)["residential"] for name in TEMPLATES}


class _Source:
    """One policy file while it is read: knows the line of each key, for messages."""

    def __init__(self, text: str, file: str) -> None:
        """Keep text and name."""
        self.text, self.file = text, file

    def error(self, place: tuple[str, ...], problem: str, hint: str) -> PolicyError:
        """The error at the line of ``place``."""
        return PolicyError(self.file, line_of(self.text, place), problem, hint)

    def sections(self, above: tuple[str, ...], tables: object) -> dict[str, Any]:
        """The values of every section under ``above``."""
        if not isinstance(tables, dict):
            raise self.error(above, f"{'.'.join(above)} must be a table", "")
        values: dict[str, Any] = {}
        for name, table in tables.items():
            if name in FIELDS:
                values |= self.read((*above, name), table, FIELDS[name])
            elif above:
                raise self.error((*above, name), f"unknown section {name!r}", _near(name, tuple(FIELDS)))
        return values

    def read(
        self, place: tuple[str, ...], table: object, entries: Mapping[str, Entry], aside: tuple[str, ...] = ()
    ) -> dict[str, Any]:
        """The fields of one table; ``aside`` are names that others read."""
        if not isinstance(table, dict):
            raise self.error(place, f"{'.'.join(place)} must be a table", f"[{'.'.join(place)}]")
        values: dict[str, Any] = {}
        for key, value in table.items():
            if key in aside:
                continue
            if key not in entries:
                raise self.error((*place, key), f"unknown key {key!r}", _near(key, (*entries, *aside)))
            try:
                values[entries[key].field] = entries[key].parse(value)
            except ValueError as wrong:
                raise self.error((*place, key), f"{key}: {wrong}", "") from None
        return values


def line_of(text: str, place: tuple[str, ...]) -> int:
    """The line (from 1) of a key or table in TOML text; 1 if it is not found."""
    header: tuple[str, ...] = ()
    for number, line in enumerate(text.splitlines(), 1):
        bare = line.strip()
        if bare.startswith("["):
            header = tuple(part.strip(" \"'") for part in bare.strip("[] \t").split("]")[0].split("."))
            if header[: len(place)] == place and place:
                return number
        elif "=" in bare and not bare.startswith("#"):
            key = tuple(part.strip(" \"'") for part in bare.split("=", 1)[0].split("."))
            if (header + key)[: len(place)] == place and place:
                return number
    return 1


def _contradictions(policy: Policy) -> Iterator[tuple[tuple[str, ...], str]]:
    """Each way in which the values contradict each other, with its place."""
    if policy.disconnection_balance_micro >= policy.connection_balance_micro:
        yield ("credit",), "disconnection_balance must be lower than connection_balance"
    if policy.emergency_credit_micro < 0:
        yield ("credit", "emergency_credit"), "emergency_credit must not be negative"
    if policy.disconnection_balance_micro + policy.emergency_credit_micro > policy.connection_balance_micro:
        yield ("credit",), "disconnection_balance already contains the emergency credit: lower it by as much"
    if not EARLIEST_CUT_MIN <= policy.window_from_min < policy.window_to_min <= LATEST_CUT_MIN:
        yield ("window",), "the window must lie between 06:00 and 20:00 (no night) and begin before it ends"
    if policy.stop_notice_days and policy.stop_notice_days_most <= policy.stop_notice_days:
        yield ("notices",), "stop_notice_days_most must be more than stop_notice_days"
    if policy.final_valid_h * 60 <= policy.final_min:
        yield ("notices",), "final_valid_h must be longer than final_min"
    if not any((policy.money_micro, policy.kwh_wh, policy.share_percent, policy.hours)):
        yield ("alerts",), "no rung on any axis: nobody would be warned"
    if "customer" not in policy.recipients:
        yield ("alerts", "recipients"), "recipients must contain customer: delivery to the customer guards the cut"


@lru_cache(maxsize=256)
def _digest(policy: Policy) -> str:
    """Eight hex digits of the policy's content."""
    return hashlib.sha256(dumps(policy).encode()).hexdigest()[:8]


def _near(word: str, words: tuple[str, ...]) -> str:
    """The closest of ``words``, or all of them."""
    close = difflib.get_close_matches(word, words, 1)
    return close[0] if close else "one of " + ", ".join(words)
