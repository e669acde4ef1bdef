"""A payment goes in; postings, kept row, superseded disconnect and started reconnect come out, in ONE transaction.

The rules:

* (channel, external id) counts once. What repeats it changes nothing; what contradicts it is kept as an event.
* A payment's row moves only upwards: pending, failed, unmatched, posted, reversed; the order of arrival never matters.
* Unmatched, failed and pending payments are kept rows without postings.
* A payment that lifts the account out of its reason to be cut supersedes the live disconnect in whatever state. If that
  one had left, or the relay is open or unknown and the account may be on, a reconnect with the next fence starts here,
  and its clock starts at this commit.
* A reversal gives back at most its original. It supersedes a reconnect that has not left if the account may no longer
  be on; what is on stays on, in a new epoch with all its notices before it: never an instant cut.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from control import assemble, credit, debts, guards, incidents, journal, notices, settings, workorders
from control.amounts import RETURNED, PaymentFile, PaymentRefusal
from control.assemble import World
from control.commands import LEFT, Event
from control.policy import Policy
from control.records import SHADOW_ALL, Action, Case, Service
from control.signals import PAYMENTS, Signal, TakenFile
from ingest.records import RelayState
from storage.records import Account, AccountState, Payment, Posting
from storage.unit import Unit

RANK = {"pending": 0, "failed": 1, "unmatched": 2, "posted": 3, "reversed": 4}
EARLY = "reversed_before_payment"
NEVER = "never_posted"


@dataclass(frozen=True, slots=True)
class PaymentResult:
    """What became of one payment: ``status`` is its row's, or duplicate or conflict; ``payment`` is the row as kept."""

    status: str
    payment: Payment
    available_micro: int = 0
    superseded: tuple[str, ...] = ()
    reconnect: str = ""

    def reply(self) -> dict[str, str]:
        """The channel's answer, equal for a replay of the same message."""
        row = self.payment
        status = "conflict" if self.status == "conflict" else row.status
        return {"channel": row.channel, "external_id": row.external_id, "account": row.account, "status": status}


def settle(unit: Unit, payment: Payment, world: World) -> PaymentResult:
    """Take one payment in the caller's transaction; the caller commits before anybody is answered."""
    fresh = replace(payment, received=world.now, at=settings.to_ms(payment.at))
    known = unit.get(Payment, payment.channel, payment.external_id)
    if known is None:
        return _first(unit, fresh, world)
    if _told(known) == _told(fresh) or _settled(known, fresh):
        return PaymentResult("duplicate", known)
    if known.status == "posted" and fresh.status == "reversed":
        return _reverse(unit, known, fresh.amount_micro, world)
    if known.reason == EARLY and fresh.status == "posted":
        return _late(unit, known, fresh, world)
    if known.status != "unmatched" and RANK[fresh.status] > RANK[known.status]:
        return _first(unit, fresh, world)
    if known.status == "unmatched" and fresh.status == "reversed":
        return _keep(unit, replace(known, status="reversed", reason=NEVER), world)
    if RANK[fresh.status] < RANK[known.status]:
        return PaymentResult("duplicate", known)  # an older message that came late
    unit.event(
        "payment_conflict", world.now, known.account, channel=known.channel, external_id=known.external_id,
        kept=str(known.amount_micro), told=str(fresh.amount_micro),
    )  # fmt: skip
    return PaymentResult("conflict", known)


def match(unit: Unit, channel: str, external_id: str, account: str, world: World, *, by: str) -> PaymentResult | None:
    """A person gives an unmatched payment to its account; None when there is no such unmatched row."""
    known = unit.get(Payment, channel, external_id)
    if known is None or known.status != "unmatched":
        return None
    unit.audit(by, "payment.match", f"{channel}/{external_id}", {"account": account}, world.now)
    return _first(unit, replace(known, account=account, status="posted", received=world.now), world)


def settle_file(
    unit: Unit, file: PaymentFile, name: str, channel: str, world: World
) -> Sequence[PaymentResult] | PaymentRefusal:
    """Take a whole bank file in the caller's transaction, once for ever; its arrival reconciles the channel."""
    if unit.get(TakenFile, file.digest) is not None:
        return PaymentRefusal(409, "file_taken", "these bytes were taken before: nothing was posted twice")
    results = [settle(unit, _returned(unit, payment), world) for payment in file.payments]
    unit.add(TakenFile(file.digest, channel, name, world.now, len(results), file.total_micro))
    if file.whole:
        unit.put(Signal(PAYMENTS + channel, "ok", world.now, "file"))
    unit.audit("engine", "payment.file", file.digest, {"name": name, "rows": len(results)}, world.now)
    return results


def _returned(unit: Unit, payment: Payment) -> Payment:
    """A rejection by a bank's report as what it is: the return of a credit that was posted, or a debit that failed."""
    if payment.status != "failed" or payment.reason.partition(" ")[0] != RETURNED:
        return payment
    known = unit.get(Payment, payment.channel, payment.external_id)
    posted = known is not None and known.status in ("posted", "reversed", "unmatched")
    return replace(payment, status="reversed") if posted else payment


def _told(payment: Payment) -> tuple[str, int, str, str]:
    return payment.account, payment.amount_micro, payment.currency, payment.status


def _settled(known: Payment, fresh: Payment) -> bool:
    """The same posted payment again, whatever we made of it since (unmatched, matched elsewhere, reversed)."""
    if fresh.status == "reversed":
        return known.status == "reversed"
    same = (known.amount_micro, known.currency) == (fresh.amount_micro, fresh.currency)
    return (
        same
        and fresh.status == "posted"
        and known.status in ("unmatched", "posted", "reversed")
        and (known.reason != EARLY)
    )


def _first(unit: Unit, payment: Payment, world: World) -> PaymentResult:
    """A payment, or a state of it, that was not known before."""
    if payment.status == "reversed":
        return _keep(unit, replace(payment, reason=EARLY), world)
    if payment.status == "posted":
        reason = _unmatched(unit, payment)
        if not reason:
            return _post(unit, payment, world)
        return _keep(unit, replace(payment, status="unmatched", reason=reason), world)
    return _keep(unit, payment, world)


def _keep(unit: Unit, payment: Payment, world: World) -> PaymentResult:
    """Keep the row, post nothing."""
    unit.put(payment)
    unit.event(
        f"payment_{payment.status}", world.now, payment.account if unit.get(Account, payment.account) else "",
        channel=payment.channel, external_id=payment.external_id, amount_micro=str(payment.amount_micro),
        reason=payment.reason,
    )  # fmt: skip
    return PaymentResult(payment.status, payment)


def _late(unit: Unit, known: Payment, fresh: Payment, world: World) -> PaymentResult:
    """The payment whose reversal came first: post it, then give back what the reversal said."""
    result = _first(unit, replace(fresh, reason=""), world)
    if result.status != "posted":
        return _keep(unit, replace(result.payment, status="reversed", reason=NEVER), world)
    return _reverse(unit, result.payment, known.amount_micro, world)


def _unmatched(unit: Unit, payment: Payment) -> str:
    account = unit.get(Account, payment.account)
    if account is None:
        return "unknown_account"
    if account.currency != payment.currency:
        return "other_currency"
    return "account_closed" if account.closed is not None and account.closed <= payment.received else ""


def _legs(payment: Payment, amount_micro: int, source: str, now: datetime) -> list[Posting]:
    customer, cash = f"customer:{payment.account}", f"cash:{payment.channel}"
    return [
        Posting(source, payment.external_id, customer, amount_micro, payment.currency, payment.at, now),
        Posting(source, payment.external_id, cash, -amount_micro, payment.currency, payment.at, now),
    ]


def _post(unit: Unit, payment: Payment, world: World) -> PaymentResult:
    """Credit the account, open a new epoch where the payment lifts it to ok, and see to the relay."""
    before = assemble.case(unit, payment.account, world)
    state = unit.get(AccountState, payment.account) or AccountState(payment.account)
    unit.post(_legs(payment, payment.amount_micro, f"payment:{payment.channel}", world.now))
    unit.put(payment)
    taken = debts.take(unit, payment, before, world.policies[before.klass], world.now) if before is not None else None
    available = unit.balance(f"customer:{payment.account}", payment.currency) - state.accrued_micro
    paid = replace(
        state,
        balance_after_payment_micro=available,
        last_payment_micro=payment.amount_micro,
        last_payment_at=world.now,
    )
    unit.put(paid)
    unit.event(
        "payment", world.now, payment.account, channel=payment.channel, external_id=payment.external_id,
        amount_micro=str(payment.amount_micro), available_micro=str(available),
        debt_micro=str(taken.debt_micro + taken.accumulated_micro if taken else 0),
    )  # fmt: skip
    after = assemble.case(unit, payment.account, world)
    if before is None or after is None:
        return PaymentResult("posted", payment, available)
    policy = world.policies[after.klass]
    base = credit.share_base(policy, state.balance_after_payment_micro, state.last_payment_micro)
    if credit.opens_epoch(
        policy, credit.available(before), credit.available(after),
        base_before_micro=base, payment_micro=payment.amount_micro, raised=bool(before.alerts),
    ):  # fmt: skip
        unit.put(replace(paid, epoch=state.epoch + 1))
        notices.all_clear(unit, after, world)
    superseded, reconnect = _relay(unit, after, policy, world)
    return PaymentResult("posted", payment, available, superseded, reconnect)


def _reverse(unit: Unit, known: Payment, amount_micro: int, world: World) -> PaymentResult:
    """Give back at most the original; what is on stays on, with every notice of a new epoch before any cut."""
    amount = min(amount_micro, known.amount_micro)
    unit.post(_legs(known, -amount, f"reversal:{known.channel}", world.now))
    debts.undo(unit, known, amount, world.now)
    row = replace(known, status="reversed", reason=f"reversed_micro={amount}")
    unit.put(row)
    state = unit.get(AccountState, known.account) or AccountState(known.account)
    available = unit.balance(f"customer:{known.account}", known.currency) - state.accrued_micro
    unit.put(replace(state, balance_after_payment_micro=available, epoch=state.epoch + 1))
    unit.event(
        "payment_reversed", world.now, known.account, channel=known.channel, external_id=known.external_id,
        amount_micro=str(amount), available_micro=str(available),
    )  # fmt: skip
    case = assemble.case(unit, known.account, world)
    if case is None or may_return(case, world.policies[case.klass]):
        return PaymentResult("reversed", row, available)
    ended = []
    for command in journal.live(unit, account=known.account):
        if command.action is Action.CONNECT and command.reason == "payment" and command.state not in LEFT:
            journal.advance(unit, command, Event.SUPERSEDE, world.now, detail="reversal", outcome="reversal")
            ended.append(command.command)
    if ended and case.relay is RelayState.OPEN:
        journal.want(unit, known.account, Service.DISCONNECTED, world.now, "reversal")
    return PaymentResult("reversed", row, available, tuple(ended))


def may_return(case: Case, policy: Policy) -> bool:
    """Whether supply is paid for: to the connection balance after a disconnection, else to the line of G1."""
    if case.mode == credit.POSTPAID:
        return not case.overdue_micro
    was_off = case.service in (Service.DISCONNECTED, Service.ARMED_FOR_CONNECTION)
    line = policy.connection_balance_micro if was_off else policy.disconnection_balance_micro
    return credit.available(case) >= line


def lifted(case: Case, policy: Policy) -> bool:
    """Whether a disconnection has lost its reason: above the threshold again (G1), or a qualifying payment (G7)."""
    return any(guard.name in ("G1", "G7") and not guard.value for guard in guards.evaluate(case, policy))


def _relay(unit: Unit, case: Case, policy: Policy, world: World) -> tuple[tuple[str, ...], str]:
    """Supersede the live disconnect that the payment made void, and start the reconnect where supply may be off."""
    live = [command for command in journal.live(unit, account=case.account) if command.action is Action.DISCONNECT]
    if case.shadow == SHADOW_ALL:  # the next decision records what would have been sent
        return (), ""
    if live and not lifted(case, policy):
        return (), ""
    for command in live:
        journal.advance(unit, command, Event.SUPERSEDE, world.now, detail="payment", outcome="payment")
        if command.attempts:
            incidents.file(
                unit, "disconnect_raced_payment", world.now, account=case.account, command=command.command,
                detail="it had left before the payment was committed; a reconnect follows at once",
            )  # fmt: skip
    ended = tuple(command.command for command in live)
    dark = case.remote_relay and _off(case) and may_return(case, policy)
    if dark or any(command.attempts for command in live):  # even one read back as not moved: its copy may be late
        command = journal.reconnect(
            unit, case.account, case.meter, world.now, reason="payment", policy_version=policy.id, clock=world.now
        )
        return ended, command.command
    if ended:
        journal.want(unit, case.account, Service.CONNECTED, world.now, "payment")
    elif case.relay is RelayState.OPEN and case.meter and may_return(case, policy):
        workorders.order(unit, "reconnect", case.account, case.meter, cause=f"epoch-{case.epoch}", at=world.now)
    return ended, ""


def _off(case: Case) -> bool:
    """Whether supply is off, or may be: an unknown relay counts as open, but for one that nobody ever saw or drove."""
    if case.relay is RelayState.UNKNOWN:
        return case.relay_at is not None or case.service is not Service.CONNECTED
    return case.relay is RelayState.OPEN or case.service is Service.DISCONNECTED
