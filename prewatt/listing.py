"""Records go in, the rows that verbs print come out: money as decimal strings, one spelling everywhere."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from control.records import Case, Command, Decision, Guard
from tariff import money as exact

if TYPE_CHECKING:
    from datetime import datetime

    from control.fieldbook import Outage
    from control.policy import Policy
    from ingest.model import Driver
    from storage.asof import Balance
    from storage.records import Account, Payment
    from tariff.records import Bill, MissingSpan

Row = dict[str, Any]


def money(micro: int) -> str:
    """Micro-units as a decimal string with at least two places."""
    return exact.format(micro)


def driver_row(driver: "Driver") -> Row:
    """One meter model."""
    return {
        "model": driver.name,
        "title": driver.title,
        "protocol": driver.protocol,
        "relay": "yes" if driver.switchable else "read-only",
        "load_profile": driver.load_profile,
        "proven": driver.proven,
    }


def account_row(account: "Account", case: Case | None, policies: "Mapping[str, Policy]") -> Row:
    """One account as lists show it; without a case (no policy for its class) only its master data."""
    from control import credit

    row: Row = {"account": account.account, "name": account.name, "class": account.klass, "book": account.book}
    if case is None:
        return row
    return row | {
        "meter": case.meter,
        "balance": money(case.posted_micro),
        "accrued": money(case.accrued_micro),
        "available": money(credit.available(case)),
        "currency": case.currency,
        "credit": credit.status(case, policies[case.klass]).value,
        "supply": case.service.value,
        "relay": case.relay.value,
        "read": case.read_end,
        "holds": sorted({hold.kind for hold in case.holds}),
    }


def balance_row(balance: "Balance") -> Row:
    """What one account had at one time; ``told`` is what the ledger said at that moment."""
    return {
        "account": balance.account,
        "at": balance.at,
        "balance": money(balance.posted_micro),
        "accrued": money(balance.accrued_micro),
        "available": money(balance.available_micro),
        "currency": balance.currency,
        "read": balance.accrued_to,
        "told": money(balance.told_micro),
    }


def command_row(command: Command) -> Row:
    """One relay order."""
    return {
        "command": command.command,
        "account": command.account,
        "meter": command.meter,
        "action": command.action.value,
        "state": command.state.value,
        "reason": command.reason,
        "requested": command.requested,
        "valid_until": command.valid_until,
        "approvals": list(command.approvals),
        "needs_approval": command.needs_approval,
        "attempts": command.attempts,
        "verified": command.verified_at,
        "outcome": command.outcome,
        "decision": command.decision,
    }


def payment_row(payment: "Payment") -> Row:
    """One payment as its channel delivered it."""
    return {
        "channel": payment.channel,
        "external_id": payment.external_id,
        "account": payment.account,
        "amount": money(payment.amount_micro),
        "currency": payment.currency,
        "at": payment.at,
        "status": payment.status,
        "reason": payment.reason,
    }


def bill_row(bill: "Bill") -> Row:
    """One bill with its lines, as scripts read it."""
    return {
        "account": bill.account,
        "book": bill.book,
        "book_hash": bill.book_hash,
        "currency": bill.currency,
        "from": bill.start,
        "to": bill.end,
        "total": money(bill.total_micro),
        "complete": bill.complete,
        "missing": [_span_row(span) for span in bill.missing],
        "estimated": [_span_row(span) for span in bill.estimated],
        "estimated_amount": money(bill.estimated_micro),
        "ended": bill.ended,
        "lines": [
            {
                "id": line.id,
                "version": line.version,
                "period": line.period,
                "tier": line.tier,
                "quantity": line.quantity,
                "unit": line.unit,
                "price": line.price,
                "amount": money(line.amount_micro),
                **({"included": money(line.included_micro)} if line.included_micro else {}),
            }
            for line in bill.lines
        ],
    }


def _span_row(span: "MissingSpan") -> Row:
    return {"start": span.start, "end": span.end, "intervals": span.intervals}


def outage_row(one: "Outage", now: "datetime") -> Row:
    """One outage as people are told of it."""
    from control import outages

    return {
        "outage": one.outage,
        "cause": one.cause,
        "state": "under_way" if outages.live(one, now) else one.state,
        "start": one.start,
        "expected_end": one.expected_end,
        "ended": one.ended,
        "meter": one.meter or None,
        "transformer": one.transformer or None,
        "feeder": one.feeder or None,
        "work": one.work,
        "by": one.by,
    }


def guards_of(guards: Iterable[Guard]) -> dict[str, Row]:
    """Guards by name, each with its verdict and why."""
    return {guard.name: {"value": guard.value, "because": guard.because} for guard in guards}


def decision_row(decision: Decision) -> Row:
    """One decision without its inputs."""
    return {
        "decision": decision.decision,
        "account": decision.account,
        "at": decision.at,
        "verdict": decision.verdict,
        "reason": decision.reason,
        "credit": decision.credit.value,
        "available": money(decision.available_micro),
        "policy_version": decision.policy_version,
    }
