"""A Case goes in and the four reconnect guards come out: all that may keep the supply of a paid account off.

They are few on purpose. Unlike the disconnect guards, one that cannot be told before a session is true here and is told
again at the send: an unknown must never keep a paid customer in the dark longer than the next session.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from control.records import Case, Guard

Check = Callable[[Case, bool], Guard]
BACKFEED_V = 30  # volts on the load side of an open relay that are no stray pick-up


def rg1(case: Case, at_send: bool) -> Guard:
    """No safety lock: crew at work, fire, flood, inspection, over-current trip."""
    del at_send
    for lock in case.locks:
        if lock.account in ("", case.account) and lock.start <= case.now and (lock.end is None or case.now < lock.end):
            return Guard("RG1", False, f"safety lock {lock.lock}: {lock.kind}, set by {lock.owner}")
    return Guard("RG1", True, "no safety lock")


def rg2(case: Case, at_send: bool) -> Guard:
    """The account is current, not vacant or closed."""
    del at_send
    if case.closed is not None and case.closed <= case.now:
        return Guard("RG2", False, f"account closed on {case.closed.isoformat()}")
    return Guard("RG2", True, "account current")


def rg3(case: Case, at_send: bool) -> Guard:
    """Identity matched: the meter in the session is the account's; before the session only a mismatch stops."""
    if case.serial_seen and case.serial_expected and case.serial_seen != case.serial_expected:
        return Guard("RG3", False, f"meter says {case.serial_seen}, the account's is {case.serial_expected}")
    if at_send and not (case.serial_seen and case.serial_expected):
        return Guard("RG3", False, "serial number not read, or not on file")
    return Guard("RG3", True, f"serial {case.serial_seen or 'to be read in the session'}")


def rg4(case: Case, at_send: bool) -> Guard:
    """No backfeed: an open relay with voltage on the load side feeds from elsewhere."""
    del at_send
    if case.relay != "closed" and case.voltage_load_v is not None and case.voltage_load_v > BACKFEED_V:
        return Guard("RG4", False, f"{case.voltage_load_v} V on the load side of a relay that is {case.relay.value}")
    return Guard("RG4", True, "no voltage seen on the load side")


CHECKS: Mapping[str, Check] = MappingProxyType({"RG1": rg1, "RG2": rg2, "RG3": rg3, "RG4": rg4})


def evaluate(case: Case, at_send: bool = False) -> tuple[Guard, ...]:
    """RG1 to RG4; all must be true to reconnect."""
    return tuple(check(case, at_send) for check in CHECKS.values())
