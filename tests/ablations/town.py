"""Safeguards around many accounts at once, around time, and those who watch."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from control.breaker import Admission
from storage.records import AccountState
from tests.ablations import Safeguard, both, constant, swap, wrap

OUTSIDE = "tests/control/test_engine_outside.py"
ENGINE = "tests/control/test_engine.py"
QUOTA = "tests/control/test_quota.py"
BREAKER = "tests/control/test_breaker.py"
DOG = "tests/control/test_watchdog.py"
SETTLE = "tests/control/test_engine_settle.py"


def _all_admitted(real: Any) -> Any:
    """``breaker.admit`` that lets everybody go."""

    def admit(requests: Any, counts: Any) -> Any:
        return Admission(tuple(row.command for row in requests), (), (), 10**9)

    return admit


def _no_remedy(real: Any) -> Any:
    """Holds that are never of kind remedy: the wrong disconnection is undone, and the account may be cut at once."""

    def hold(*fields: Any, **named: Any) -> Any:
        return real(*fields, **{**named, "end": fields[4]})

    return hold


def _forgetful(real: Any) -> Any:
    """``alerts.due`` that does not know what was told in this epoch."""
    return lambda case, policy: real(replace(case, alerts=()), policy)


def _alone(case: Any) -> Any:
    return replace(case, batch=0)


def _same_epoch(real: Any) -> Any:
    """``settle._reverse`` that opens no new epoch."""

    def reverse(unit: Any, known: Any, amount: int, world: Any) -> Any:
        before = unit.get(AccountState, known.account)
        result = real(unit, known, amount, world)
        unit.put(replace(unit.get(AccountState, known.account), epoch=before.epoch))
        return result

    return reverse


ROWS = (
    Safeguard(
        "breaker when decided", "many at once", "a storm is queued as a whole",
        f"{OUTSIDE}::test_a_storm_trips_the_breaker_before_anything_leaves_and_two_persons_release_it",
        wrap("control.breaker:admit", _all_admitted),
    ),
    Safeguard(
        "breaker when sent", "many at once", "what passes and approvals queued leaves beyond the day's cap",
        f"{QUOTA}::test_no_more_leave_than_the_day_allows_however_they_were_queued",
        swap("control.quota:held_back", constant("")),
    ),
    Safeguard(
        "cap by the sealed forecast", "many at once", "a bug that nobody foresaw cuts as many as it likes",
        f"{BREAKER}::test_a_bug_storm_cuts_nobody_and_a_herd_waits_for_release",
        both(swap("control.breaker:FORESEEN_TENTHS", 10**12), swap("control.breaker:MEDIAN_FACTOR", 10**9),
             swap("control.breaker:DAY_SHARE", 1)),
    ),
    Safeguard(
        "cap by the usual number", "many at once", "a bug that reached the forecasts cuts as many as it likes",
        "tests/control/test_breaker.py::test_the_cap[counts1-1800]",
        both(swap("control.breaker:MEDIAN_FACTOR", 10**9), swap("control.breaker:DAY_SHARE", 1)),
    ),
    Safeguard(
        "prices that two persons confirmed", "many at once", "a wrong tariff that has foreseen itself cuts its victims",
        "tests/control/test_pricebasis.py"
        "::test_a_forecast_on_prices_that_nobody_confirmed_cuts_nobody_and_after_two_persons_it_does",
        both(swap("control.pricebasis:TRUSTED", "1"), swap("control.guards:_on_doubtful_prices", constant(False))),
    ),
    Safeguard(
        "the day that doubt gives", "many at once", "in doubt, somebody is cut a day too early",
        "tests/control/test_pricebasis.py"
        "::test_who_would_have_run_out_on_the_old_prices_may_be_cut_a_day_later[ago0-False]",
        wrap("control.guards:_foreseen", lambda real: lambda case, policy: real(
            replace(case, price_firm_from=case.price_doubt_from and case.now), policy
        )),
    ),
    Safeguard(
        "rings", "many at once", "all leave before the first few were seen to be right",
        f"{QUOTA}::test_a_ring_waits_for_the_one_before_it",
        swap("control.breaker:ring_limit", constant(None)),
    ),
    Safeguard(
        "share of a feeder", "many at once", "a street goes dark within minutes",
        f"{QUOTA}::test_a_feeder_loses_a_tenth_an_hour",
        swap("control.quota:_left_by_feeder", constant({})),
    ),
    Safeguard(
        "two persons for a release", "many at once", "one person lets a storm go",
        f"{OUTSIDE}::test_a_storm_trips_the_breaker_before_anything_leaves_and_two_persons_release_it",
        swap("control.breaker:may_release", constant(True)),
    ),
    Safeguard(
        "two persons for a batch", "many at once", "one person cuts a batch",
        f"{QUOTA}::test_a_batch_over_k_asks_two_different_persons",
        wrap("control.guards:CHECKS", lambda known: {
            **known, "G10": lambda case, policy, at_send: known["G10"](_alone(case), policy, at_send)
        }),
        red=("AssertionError", "Failed", "IndexError"),
    ),
    Safeguard(
        "approver is not the requester", "many at once", "who asks for a cut approves it",
        f"{QUOTA}::test_the_requester_is_no_approver_however_the_name_is_written",
        swap("control.passes:_same", constant(False)),
    ),
    Safeguard(
        "two persons reset the kill switch", "many at once", "who is annoyed by the switch resets it alone",
        f"{BREAKER}::test_the_kill_switch_lets_nothing_leave_and_needs_two_to_reset",
        swap("control.breaker:PERSONS", 1),
    ),
    Safeguard(
        "cold-load pacing", "many at once", "everybody comes back at once and the transformer trips",
        "tests/control/test_pacing.py::test_two_at_a_time_and_the_rest_five_minutes_later",
        swap("control.pacing:held_back", constant("")),
    ),
    Safeguard(
        "host clock", "time", "a clock that jumped opens a window that is shut",
        f"{OUTSIDE}::test_a_host_clock_that_steps_holds_disconnections_for_a_while",
        swap("control.hostclock:HostClock.look", constant(True)),
    ),
    Safeguard(
        "72 hours of a sealed forecast", "time", "a bug of this morning has foreseen itself",
        f"{OUTSIDE}::test_the_newest_forecast_that_may_count_is_taken[ages_h0-80]",
        swap("control.lookups:SEALED_AGO", timedelta(0)),
    ),
    Safeguard(
        "moratorium", "time", "who could not pay is cut",
        "tests/control/test_tallies.py"
        "::test_nobody_is_cut_before_the_channel_is_reconciled_and_without_the_guard_they_are",
        swap("control.assemble:reconciled", constant(True)),
    ),
    Safeguard(
        "holds that have ended", "time", "a hold of last year keeps somebody on for ever",
        "tests/proof/test_expiry.py::test_a_hold_counts_from_its_start_to_its_end[A1-dispute]",
        both(swap("control.assemble:_in_force", lambda rows, now: list(rows)),
             swap("control.guards:active_holds", lambda case: case.holds)),
    ),
    Safeguard(
        "72 hours after a wrong cut", "time", "who was cut by mistake is cut again tomorrow",
        f"{ENGINE}::test_a_wrong_disconnection_is_undone_at_once_and_held_for_72_hours",
        wrap("control.reconcile:Hold", _no_remedy),
    ),
    Safeguard(
        "epoch of a reversal", "time", "a reversed payment cuts at once, on notices of last month",
        f"{SETTLE}::test_a_reversal_after_supply_is_on_opens_a_new_epoch_and_cuts_nobody",
        wrap("control.settle:_reverse", _same_epoch),
    ),
    Safeguard(
        "once per epoch", "time", "the same notice is sent every hour",
        "tests/control/test_alerts.py::test_a_rung_is_raised_once_by_whichever_axis_and_a_later_one_again",
        wrap("control.alerts:due", _forgetful),
    ),
    Safeguard(
        "the meter's alarm is no receipt", "time", "whose meter buzzes in an empty house is cut",
        "tests/control/test_channel_alarm.py::test_an_alarm_in_force_is_no_receipt_of_the_customers",
        wrap("control.assemble:_delivered", lambda real: lambda rows: real(
            [replace(row, recipient="customer") for row in rows]
        )),
    ),
    Safeguard(
        "keep-power in the meter", "watchers", "an order from elsewhere cuts who needs it to live",
        "tests/control/test_channel_alarm.py"
        "::test_a_protected_customers_meter_keeps_power_until_the_last_hold_ends",
        swap("control.keeppower:sweep", constant([])),
    ),
    Safeguard(
        "orders to meters asked again", "watchers", "an order that waited takes keep-power from who needs it to live",
        "tests/control/test_channel_alarm.py"
        "::test_an_order_that_waited_while_the_holds_changed_does_not_undo_a_later_one",
        swap("control.notices:outdated", constant(False)),
    ),
    Safeguard(
        "crew at 15 minutes", "watchers", "who is dark behind a dead link waits for nobody",
        f"{ENGINE}::test_a_crew_is_called_at_15_minutes_and_a_breach_filed_at_60",
        swap("control.reconcile:overdue", constant(0)),
    ),
    Safeguard(
        "watchdog: the reconnect clock", "watchers", "who paid and is dark past the clock is told to nobody",
        f"{DOG}::test_a_paid_account_dark_at_its_clock_is_an_alarm_whatever_the_command_is",
        swap("control.watchdog:_late", constant([])),
    ),
    Safeguard(
        "watchdog: paid and no order", "watchers", "an engine that forgot a reconnect is found by nobody",
        f"{DOG}::test_a_paid_account_without_any_reconnect_is_found_from_money_and_relay_alone",
        swap("control.watchdog:_forgotten", constant([])),
    ),
    Safeguard(
        "watchdog: the engine's heartbeat", "watchers", "a dead engine is found by customers",
        f"{DOG}::test_a_silent_engine_is_an_alarm",
        swap("control.watchdog:SILENT", timedelta(days=3650)),
    ),
    Safeguard(
        "on, and no load", "watchers", "closed by its own word and dark: nobody looks",
        f"{ENGINE}::test_closed_by_its_own_word_without_load_is_looked_at_after_two_hours",
        swap("control.reconcile:unseen", constant(0)),
    ),
)  # fmt: skip
