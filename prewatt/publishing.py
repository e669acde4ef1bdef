"""The policies of the files and the store go in; those that may be in force come out: nothing unsimulated is published.

A changed policy of a class that is live (it has accounts, and is not in shadow) comes into force only after it was
simulated over the last month (``prewatt policy simulate``), or after somebody took it upon themselves with a reason
(``prewatt policy clear``). Until then the policy that was published last stays in force, and the log says so.
"""

import logging
from collections.abc import Mapping
from datetime import datetime

from control import shadow
from control.policy import CLASSES, Policy
from control.settings import Settings
from control.signals import Signal
from prewatt.remembering import policy_of
from storage.records import Account
from storage.store import Store
from storage.unit import Reader, Unit
from storage.writer import Priority

IN_FORCE, CLEARED = "policy.in_force.", "policy.cleared."
log = logging.getLogger("prewatt.publishing")


def chosen(
    reader: Reader, policies: Mapping[str, Policy], limits: Settings, now: datetime
) -> tuple[dict[str, Policy], dict[str, str]]:
    """The policy in force of each class, and for classes whose file waits: the id of what waits."""
    facts = {row.name: row for row in reader.find(Signal)}
    found: dict[str, Policy] = {}
    waiting: dict[str, str] = {}
    for klass, policy in policies.items():
        known = facts.get(IN_FORCE + klass)
        free = known is None or known.value == policy.id or CLEARED + policy.id in facts
        if free or not live(reader, klass, facts, limits, now):
            found[klass] = policy
        else:
            assert known is not None
            found[klass], waiting[klass] = policy_of(reader, known.value), policy.id
    return found, waiting


def live(reader: Reader, klass: str, facts: Mapping[str, Signal], limits: Settings, now: datetime) -> bool:
    """Whether a class has accounts that are switched."""
    return shadow.until(klass, facts, limits, now) is None and bool(reader.find(Account, klass=klass, limit=1))


def publish(store: Store, policies: Mapping[str, Policy], limits: Settings, *, actor: str) -> dict[str, Policy]:
    """The policies in force from now on, recorded; the files' own that wait are named in the log."""
    now = store.clock.now()
    found, waiting = store.read(lambda reader: chosen(reader, policies, limits, now))
    for klass, name in sorted(waiting.items()):
        log.warning(
            "policy waits: it was not simulated",
            extra={"class": klass, "policy": name, "try": "prewatt policy simulate FILE, then reload"},
        )
    facts = store.read(lambda reader: {row.name: row.value for row in reader.find(Signal)})
    fresh = [klass for klass in CLASSES if klass in found and facts.get(IN_FORCE + klass) != found[klass].id]

    def work(unit: Unit) -> None:
        for klass in fresh:
            unit.put(Signal(IN_FORCE + klass, found[klass].id, now, actor))
            unit.audit(actor, "policy.publish", klass, {"policy": found[klass].id}, now)

    if fresh:
        store.write(Priority.COMMAND, work)
    return found


def clear(unit: Unit, policy: Policy, now: datetime, *, by: str, why: str, simulated: Mapping[str, str]) -> None:
    """Let a policy be published: it was simulated (with what came out), or somebody answers for it (why)."""
    unit.put(Signal(CLEARED + policy.id, why, now, by))
    unit.audit(by, "policy.clear", policy.id, {"why": why, **simulated}, now)
