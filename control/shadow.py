"""A customer class and the facts go in; whether prewatt only watches it comes out: it decides, and sends nothing.

A class begins in shadow: for its first month everything is decided and recorded as ever, and no order and no notice
leaves. ``control/sidebyside.py`` then compares what prewatt would have done with what people did.

* Whoever was ever driven by prewatt is brought back by prewatt: in shadow ``cuts`` no disconnection leaves and every
  reconnection does. In shadow ``all`` (never driven by us) people work the relay, and nothing of ours interferes.
* Notices are written as rows of their own (channel ``shadow``). They count as delivered for decisions in shadow only:
  whoever was told nothing has, after the shadow, the whole ladder still before him.
* When a class has no word on record while the house wants a shadow (``shadow_days`` above 0), it is in shadow.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from control.records import SHADOW_ALL, SHADOW_CUTS, Command, Notice, Service, Wanted
from control.settings import Settings
from control.signals import Signal
from storage.records import Account
from storage.unit import Reader, Unit

SIGNAL = "shadow."
OFF = "off"
CHANNEL = "shadow"
STATE = "shadow"
LONGEST_DAYS = 366
OURS = frozenset({Service.ARMED_FOR_DISCONNECT, Service.DISCONNECTED, Service.ARMED_FOR_CONNECTION})


def until(klass: str, facts: Mapping[str, Signal], limits: Settings, now: datetime) -> datetime | None:
    """When the shadow of a class ends; None when it is live. A word that cannot be read is a shadow."""
    row = facts.get(SIGNAL + klass)
    if row is None:
        return now + timedelta(days=limits.shadow_days) if limits.shadow_days > 0 else None
    if row.value == OFF:
        return None
    try:
        end = datetime.fromisoformat(row.value)
    except ValueError:
        return datetime.max
    return end if now < end else None


def states(
    reader: Reader,
    accounts: Sequence[Account],
    *,
    wanted: Mapping[str, Wanted],
    facts: Mapping[str, Signal],
    limits: Settings,
    now: datetime,
) -> dict[str, str]:
    """``all`` or ``cuts`` for each account of a class in shadow; who is missing is live."""
    watched = {klass for klass in {row.klass for row in accounts} if until(klass, facts, limits, now) is not None}
    names = [row.account for row in accounts if row.klass in watched]
    if not names:
        return {}
    driven = {row.account for row in reader.find(Command, account__in=names, attempts__gt=0)}
    driven |= {name for name in names if name in wanted and wanted[name].service in OURS}
    return {name: SHADOW_CUTS if name in driven else SHADOW_ALL for name in names}


def counted(notices: Iterable[Notice], shadow: str) -> list[Notice]:
    """The notices that a decision may rest on: those of the shadow count in shadow only."""
    return [row for row in notices if shadow or row.channel != CHANNEL]


def begin(unit: Unit, klasses: Iterable[str], days: int, now: datetime) -> list[str]:
    """Start the first month of classes that have no word on record yet; returns which."""
    fresh = [name for name in sorted(set(klasses)) if days > 0 and unit.get(Signal, SIGNAL + name) is None]
    for name in fresh:
        put(unit, name, now + timedelta(days=days), now, by="engine", reason="first month")
    return fresh


def put(unit: Unit, klass: str, end: datetime | None, now: datetime, *, by: str, reason: str) -> Signal:
    """Set a class's shadow until ``end``, or end it (None); audited."""
    row = Signal(SIGNAL + klass, OFF if end is None else end.isoformat(), now, by)
    unit.put(row)
    unit.audit(by, "shadow", klass, {"until": row.value, "reason": reason}, now)
    return row
