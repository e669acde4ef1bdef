"""The scene that tests start from: an account that all thirteen guards let be cut, and ways to change one thing."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from control.policy import Policy, template
from control.records import Case, Guard, Hold, SafetyLock, Service
from ingest.records import RelayState

NOW = datetime(2026, 3, 10, 2, 0)  # Tuesday 10:00 in Shanghai; the day after is a working day
CNY = 1_000_000
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
POLICY = template("cn-remote")["residential"]
MANUAL = template("cn-remote")["large"]
PROTECTED = template("cn-remote")["protected"]
ALL_GUARDS = tuple(f"G{number}" for number in range(1, 14))


READY = Case(
    account="A1",
    meter="M1",
    klass="residential",
    mode="prepaid",
    now=NOW,
    zone="Asia/Shanghai",
    currency="CNY",
    lang="zh",
    posted_micro=100 * CNY,
    accrued_micro=103 * CNY,
    accrued_to=NOW - HOUR,
    estimate_micro=0,
    balance_after_payment_micro=100 * CNY,
    last_payment_micro=100 * CNY,
    last_payment_at=NOW - 20 * DAY,
    pending_micro=0,
    pending_since=None,
    pending_channel="",
    last_bill_micro=80 * CNY,
    epoch=3,
    read_end=NOW - HOUR,
    read_flags=0,
    cycle_s=3600,
    fresh_read_at=NOW - timedelta(minutes=2),
    register_monotone=True,
    open_fault="",
    load_w=500,
    relay_limit_w=60_000,
    serial_seen="S1",
    serial_expected="S1",
    serial_seen_at=NOW - timedelta(minutes=2),
    installed=NOW - 400 * DAY,
    proved=NOW - 399 * DAY,
    remote_relay=True,
    relay=RelayState.CLOSED,
    relay_at=NOW - timedelta(minutes=2),
    service=Service.CONNECTED,
    live_command="",
    live_action="",
    holds=(),
    locks=(),
    agreement_from=NOW - 400 * DAY,
    agreement_to=None,
    migrated=None,
    closed=None,
    contact_confirmed=NOW - 100 * DAY,
    alerts=("money.1", "share.0", "hours.6", "stop.1", "final.1"),
    delivered={
        "money.1": (NOW - 8 * DAY).isoformat(),
        "stop.1": (NOW - 4 * DAY).isoformat(),
        "final.1": (NOW - HOUR).isoformat(),
    },
    forecast_sealed_at=NOW - 4 * DAY,
    forecast_exhausts_at=NOW - 5 * HOUR,
    hours_left=0.0,
    hours_left_p50=0.0,
    kwh_left=0,
    approvals=(),
    price_change_in_flight=False,
    channels_reconciled=True,
    override_feed_fresh=True,
    clock_ok=True,
    breaker_open=False,
    kill_switch=False,
    policy_version=POLICY.id,
    book_hash="b1",
)


def ready_to_cut(**changes: Any) -> Case:
    """A case in which every guard is true, at the decision and at the send, with ``changes``."""
    return replace(READY, **changes)


def well_off(**changes: Any) -> Case:
    """A case in which all is well: money for weeks, nothing raised, supply on."""
    rich: dict[str, Any] = {
        "accrued_micro": 10 * CNY,
        "alerts": (),
        "delivered": {},
        "hours_left": 700.0,
        "hours_left_p50": 720.0,
        "kwh_left": 200_000,
        "forecast_sealed_at": None,
        "forecast_exhausts_at": None,
    }
    return ready_to_cut(**(rich | changes))


def paid_and_dark(**changes: Any) -> Case:
    """A case in which a cut account has just paid."""
    paid: dict[str, Any] = {
        "posted_micro": 150 * CNY,
        "balance_after_payment_micro": 47 * CNY,
        "last_payment_micro": 50 * CNY,
        "last_payment_at": NOW,
        "relay": RelayState.OPEN,
        "service": Service.DISCONNECTED,
    }
    return ready_to_cut(**(paid | changes))


def hold(kind: str, **changes: Any) -> Hold:
    """A hold on the account that is in force."""
    return replace(Hold(f"h-{kind}", "A1", kind, "office", NOW - DAY), **changes)


def lock(kind: str = "crew", **changes: Any) -> SafetyLock:
    """A safety lock on the account that is in force."""
    return replace(SafetyLock(f"l-{kind}", "A1", kind, "crew 7", NOW - HOUR), **changes)


def false_of(guards: tuple[Guard, ...]) -> list[str]:
    """The names of the false guards."""
    return [guard.name for guard in guards if not guard.value]


def with_policy(**changes: Any) -> Policy:
    """The scene's policy with some fields changed."""
    return replace(POLICY, **changes)
