"""A Case and its Policy go in and thirteen named booleans come out; all must be true when decided and again when sent.

Each guard is one small pure function that says its value and why. A guard that cannot be evaluated is false: what is
not known, too old or in the future is a reason to hold. ``CHECKS`` is the only list of guards; making one of it always
true is what the ablation test does.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from types import MappingProxyType

from control import credit, windows
from control.ladder import FINAL, STOP, WARNING, delivered_at
from control.policy import Policy
from control.reconnect import evaluate as reconnect
from control.records import Case, Credit, Guard, Hold, Service
from ingest.records import Flag

__all__ = ["CHECKS", "active_holds", "evaluate", "reconnect"]
Check = Callable[[Case, Policy, bool], Guard]
CLEAN = Flag.MANUAL | Flag.FINAL | Flag.BACKFILL | Flag.IMPORTED | Flag.CONFIRMED  # flags that take nothing from a read


def evaluate(case: Case, policy: Policy, at_send: bool = False) -> tuple[Guard, ...]:
    """G1 to G13 in order. ``at_send`` adds what only a session with the meter can show."""
    return tuple(check(case, policy, at_send) for check in CHECKS.values())


def g1(case: Case, policy: Policy, at_send: bool) -> Guard:
    """Available is below the threshold at the last ACTUAL read."""
    del at_send
    amount, line = credit.available(case), policy.disconnection_balance_micro
    if case.mode == credit.POSTPAID:
        if case.overdue_micro is None or case.overdue_since is None:
            return Guard("G1", False, "what is overdue is not known")
        days = (case.now - case.overdue_since) // timedelta(days=1)
        if days < policy.overdue_days:
            return Guard("G1", False, f"overdue by {days} days, the policy waits {policy.overdue_days}")
    elif case.accrued_to is None:
        return Guard("G1", False, "nothing has been rated on an actual read")
    if amount >= line:
        return Guard("G1", False, f"available {amount} is not below {line}")
    return Guard("G1", True, f"available {amount} is below {line}")


def g2(case: Case, policy: Policy, at_send: bool) -> Guard:
    """The read is valid, actual and young; at the send a register and load were read within minutes."""
    oldest = _oldest(case)
    if oldest is None:
        return Guard("G2", False, "no actual read")
    limit = timedelta(seconds=policy.read_cycles * case.cycle_s, minutes=policy.read_slack_min)
    if not _young(oldest, case.now, limit):
        return Guard("G2", False, f"last actual read rated {oldest.isoformat()}, older than {limit} or in the future")
    spoiled = Flag(case.read_flags) & ~CLEAN
    if spoiled:
        return Guard("G2", False, f"read flagged {spoiled.name}")
    if case.register_monotone is not True:
        return Guard("G2", False, "register not known to be monotone")
    if case.open_fault:
        return Guard("G2", False, f"open fault: {case.open_fault}")
    if at_send:
        fresh = timedelta(minutes=policy.fresh_min)
        if case.fresh_read_at is None or not _young(case.fresh_read_at, case.now, fresh) or case.load_w is None:
            return Guard("G2", False, f"no register and load read within {policy.fresh_min} min of the send")
    return Guard("G2", True, f"valid actual read {oldest.isoformat()}")


def g3(case: Case, policy: Policy, at_send: bool) -> Guard:
    """No price change in flight, payment channels reconciled, no pending payment that counts."""
    del at_send
    if case.price_change_in_flight is not False:
        return Guard("G3", False, "a price change is in flight, or it is not known")
    if case.channels_reconciled is not True:
        return Guard("G3", False, "payment channels are not reconciled: an outage is a moratorium")
    if case.pending_micro > 0 and not case.pending_spent and (until := _pending_until(case, policy)) is not None:
        return Guard("G3", False, f"a pending payment of {case.pending_micro} blocks until {until.isoformat()}")
    return Guard("G3", True, "prices settled, channels reconciled, no pending payment that counts")


def g4(case: Case, policy: Policy, at_send: bool) -> Guard:
    """The window is open: no night, no special day, not the eve of a day off; the clock is good enough to say so."""
    del at_send
    if case.clock_ok is not True:
        return Guard("G4", False, "the host clock is not synchronised, so the window cannot be told")
    why = windows.shut(policy, case.now, case.zone)
    return Guard("G4", not why, why or "window open")


def g5(case: Case, policy: Policy, at_send: bool) -> Guard:
    """Not protected, not held, no override, and the override feed is fresh."""
    del at_send
    if not policy.remote:
        return Guard("G5", False, f"class {policy.klass} is never disconnected remotely")
    for hold in active_holds(case):
        return Guard("G5", False, f"held: {hold.kind} by {hold.owner}")
    if case.service is Service.HELD:
        return Guard("G5", False, "service is held")
    if case.override_feed_fresh is not True:
        return Guard("G5", False, "the weather and emergency override feed is stale or not known")
    return Guard("G5", True, "not protected, no hold, no override")


def g6(case: Case, policy: Policy, at_send: bool) -> Guard:
    """Every notice delivered in its time, to a confirmed contact; and a forecast sealed in time had seen exhaustion."""
    del at_send
    confirmed = case.contact_confirmed
    if confirmed is None or not _young(confirmed, case.now, timedelta(days=policy.contact_days)):
        return Guard("G6", False, f"contact not confirmed within {policy.contact_days} days")
    for kind, least, most in _notices(policy):
        if not any(least <= case.now - at <= most for at in delivered_at(case, kind)):
            return Guard("G6", False, f"no {kind} notice delivered between {least} and {most} ago")
    return _foreseen(case, policy)


def g7(case: Case, policy: Policy, at_send: bool) -> Guard:
    """No qualifying payment within the last 24 hours."""
    del at_send
    at = case.last_payment_at
    if at is None or case.now - at >= timedelta(hours=policy.pause_h):
        return Guard("G7", True, f"no payment in the last {policy.pause_h} h")
    if _last_counts(case, policy):
        return Guard("G7", False, f"paid {case.last_payment_micro} at {at.isoformat()}")
    return Guard("G7", True, f"{case.last_payment_micro} covered neither the shortfall nor a fifth of the last bill")


def g8(case: Case, policy: Policy, at_send: bool) -> Guard:
    """The load is below what the relay may break."""
    del policy, at_send
    if case.load_w is None or case.relay_limit_w is None:
        return Guard("G8", False, "load or relay limit is not known")
    return Guard("G8", abs(case.load_w) < case.relay_limit_w, f"load {case.load_w} W, limit {case.relay_limit_w} W")


def g9(case: Case, policy: Policy, at_send: bool) -> Guard:
    """The breaker is closed and nobody has pulled the kill switch."""
    del policy, at_send
    if case.kill_switch:
        return Guard("G9", False, "the kill switch is pulled")
    if case.breaker_open is not False:
        return Guard("G9", False, "the breaker has tripped, or its state is not known")
    return Guard("G9", True, "breaker closed")


def g10(case: Case, policy: Policy, at_send: bool) -> Guard:
    """Approved where the class is manual; by two persons for a large batch; the requester never counts."""
    del at_send
    persons = {name for name in case.approvals if name and name != case.requester}
    needed = 2 if case.batch > policy.batch_k else int(policy.approval == "manual" or case.requester != "engine")
    return Guard("G10", len(persons) >= needed, f"{len(persons)} of {needed} approvals")


def g11(case: Case, policy: Policy, at_send: bool) -> Guard:
    """Not in a migration grace."""
    del at_send
    if case.migrated is None or case.now - case.migrated >= timedelta(days=policy.migration_days):
        return Guard("G11", True, "no migration grace")
    return Guard("G11", False, f"migrated {case.migrated.isoformat()}, grace of {policy.migration_days} days")


def g12(case: Case, policy: Policy, at_send: bool) -> Guard:
    """The meter in the session is the account's, its relay was proved on site, and it can be read back."""
    if not case.remote_relay:
        return Guard("G12", False, "the meter has no relay with a verified read-back")
    if not case.serial_seen or case.serial_seen != case.serial_expected:
        return Guard(
            "G12", False, f"serial {case.serial_seen or 'not read'}, expected {case.serial_expected or 'none'}"
        )
    minutes = policy.fresh_min if at_send else policy.read_slack_min
    limit = timedelta(minutes=minutes, seconds=0 if at_send else policy.read_cycles * case.cycle_s)
    if case.serial_seen_at is None or not _young(case.serial_seen_at, case.now, limit):
        return Guard("G12", False, f"serial not read within {limit}")
    if case.installed is None or case.proved is None or not case.installed <= case.proved <= case.now:
        return Guard("G12", False, "no on-site proof since installation that this relay feeds this customer")
    return Guard("G12", True, f"serial {case.serial_seen} read {case.serial_seen_at.isoformat()}, relay proved on site")


def g13(case: Case, policy: Policy, at_send: bool) -> Guard:
    """A signed fee-control agreement is in force, and the account with it."""
    del policy, at_send
    start, end = case.agreement_from, case.agreement_to
    if case.closed is not None and case.closed <= case.now:
        return Guard("G13", False, "the account is closed: its debt cuts nobody")
    if start is None or case.now < start or (end is not None and case.now >= end):
        return Guard("G13", False, "no signed agreement in force")
    return Guard("G13", True, f"agreement in force since {start.isoformat()}")


CHECKS: Mapping[str, Check] = MappingProxyType(
    {f"G{number}": check for number, check in enumerate((g1, g2, g3, g4, g5, g6, g7, g8, g9, g10, g11, g12, g13), 1)}
)


def active_holds(case: Case) -> tuple[Hold, ...]:
    """Holds on this account or on everybody that are in force now."""
    return tuple(
        hold
        for hold in case.holds
        if hold.account in ("", case.account) and hold.start <= case.now and (hold.end is None or case.now < hold.end)
    )


def _young(at: datetime, now: datetime, limit: timedelta) -> bool:
    """Whether ``at`` is at most ``limit`` ago and not in the future."""
    return timedelta(0) <= now - at <= limit


def _oldest(case: Case) -> datetime | None:
    """The older of last actual read and last rated slot (post-paid: the read); None if one is not known."""
    if case.read_end is None or case.mode == credit.POSTPAID:
        return case.read_end
    return None if case.accrued_to is None else min(case.read_end, case.accrued_to)


def _last_counts(case: Case, policy: Policy) -> bool:
    """Whether the last payment qualified, judged by the balance as it stood just before it."""
    before = case.balance_after_payment_micro - case.last_payment_micro + case.last_debt_micro
    short = max(policy.disconnection_balance_micro - before, 0)
    return credit.qualifies(
        case.last_payment_micro, policy, shortfall_micro=short, last_bill_micro=case.last_bill_micro
    )


def _lifted(case: Case, policy: Policy) -> bool:
    """Whether the last payment left the status ok: then a forecast sealed before it belongs to another epoch."""
    after = case.balance_after_payment_micro
    return credit.grade(after, policy, after, case.last_payment_micro) is Credit.OK


def _pending_until(case: Case, policy: Policy) -> datetime | None:
    """Until when the pending payment blocks; None if it does not count or is dead."""
    short = credit.shortfall(case, policy)
    if not credit.qualifies(case.pending_micro, policy, shortfall_micro=short, last_bill_micro=case.last_bill_micro):
        return None
    since = case.pending_since
    if since is None:
        return case.now + timedelta(hours=policy.pending_h)
    until = since + timedelta(hours=policy.pending_h)
    if case.pending_channel in policy.bank_channels:
        until = max(until, windows.after_working_days(policy, since, policy.bank_working_days, case.zone))
    return until if case.now < until else None


def _notices(policy: Policy) -> list[tuple[str, timedelta, timedelta]]:
    """The notices that must have been delivered: kind, at least so long ago, at most so long ago."""
    ever = timedelta(days=3650)
    wanted = [(WARNING, timedelta(hours=policy.warning_h), ever)]
    if policy.stop_notice_days:
        least, most = timedelta(days=policy.stop_notice_days), timedelta(days=policy.stop_notice_days_most)
        wanted.append((STOP, least, most))
    wanted.append((FINAL, timedelta(minutes=policy.final_min), timedelta(hours=policy.final_valid_h)))
    return wanted


def _on_doubtful_prices(case: Case) -> bool:
    """Whether the forecast was sealed after the prices changed, and not since two persons confirmed the change."""
    at, doubt, firm = case.forecast_sealed_at, case.price_doubt_from, case.price_firm_from
    return at is not None and doubt is not None and at >= doubt and (firm is None or at < firm)


def _foreseen(case: Case, policy: Policy) -> Guard:
    """The forecast half of G6; post-paid: the debt itself is old enough, there is nothing to forecast."""
    sealed = timedelta(hours=policy.sealed_h)
    doubt = case.price_doubt_from if case.price_firm_from is None else None  # nobody confirmed the change yet
    if case.mode == credit.POSTPAID:
        since = case.overdue_since
        if doubt is not None and (since is None or since >= doubt):
            return Guard("G6", False, f"billed on prices that changed {doubt.isoformat()} and nobody has confirmed")
        return Guard("G6", since is not None and case.now - since >= sealed, "notices delivered; overdue long enough")
    if case.forecast_sealed_at is None or case.now - case.forecast_sealed_at < sealed:
        return Guard("G6", False, f"no forecast sealed {policy.sealed_h} h ago or earlier")
    paid = case.last_payment_at
    if paid is not None and case.forecast_sealed_at < paid and _lifted(case, policy):
        return Guard("G6", False, "the forecast was sealed before a payment that lifted the status to ok")
    if _on_doubtful_prices(case):
        return Guard("G6", False, "the forecast was sealed on prices that changed and nobody has confirmed")
    slack = timedelta(hours=policy.forecast_slack_h)
    latest = case.now + slack if doubt is None else case.now - slack  # in doubt it is the customer's
    if case.forecast_exhausts_at is None or case.forecast_exhausts_at > latest:
        return Guard("G6", False, f"the forecast sealed {case.forecast_sealed_at.isoformat()} had not seen exhaustion")
    return Guard("G6", True, f"notices delivered; foreseen by the forecast of {case.forecast_sealed_at.isoformat()}")
