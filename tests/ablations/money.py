"""Safeguards of money, records and messages: replay table, ledger, audit, disk, lock, signatures."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from tests.ablations import Safeguard, constant, swap, wrap

SETTLE = "tests/control/test_engine_settle.py"
PRICES = "tests/prewatt/test_prices_verbs.py"
WEBHOOK = "tests/control/test_payments_webhook.py"
SWITCHES = "tests/control/test_switches.py"


def _always_first(real: Any) -> Any:
    """``settle`` without its table of what was taken."""

    def settle(unit: Any, payment: Any, world: Any) -> Any:
        from control import settle as own

        return own._first(unit, replace(payment, received=world.now), world)

    return settle


ROWS = (
    Safeguard(
        "replay table of payments", "money and records", "a repeated message starts a new epoch and a new clock",
        f"{SETTLE}::test_a_payment_is_posted_once_whatever_is_repeated",
        wrap("control.settle:settle", _always_first),
    ),
    Safeguard(
        "contradicting messages", "money and records", "another amount under the same id is taken",
        f"{SETTLE}::test_the_same_id_with_another_body_is_a_conflict_and_changes_nothing",
        wrap("control.settle:settle", _always_first),
        red=("AssertionError", "Failed", "Conflict", "DuplicateSource"),
    ),
    Safeguard(
        "bills made again", "money and records", "a read that was rated while a bill was made is never billed",
        "tests/storage/test_posting.py::test_bills_made_before_the_last_reads_were_rated_are_refused_whole",
        wrap("storage.billing:post", lambda real: lambda *words, seen=None: real(*words)),
    ),
    Safeguard(
        "signature of a payment", "money and records", "anybody credits any account",
        f"{WEBHOOK}::test_a_second_live_key_serves_the_rotation_and_a_dead_one_does_not",
        swap("control.payments.webhook:_unsigned", constant(None)),
    ),
    Safeguard(
        "age of a payment message", "money and records", "a recorded message is played back",
        f"{WEBHOOK}::test_five_minutes_and_not_one_second_more[301-False]",
        swap("control.payments.webhook:TOLERANCE", timedelta(days=3650)),
    ),
    Safeguard(
        "policies are simulated before they are published", "money and records", "a slip in a policy file cuts a class",
        "tests/prewatt/test_policy_verbs.py::test_an_unsimulated_policy_waits_and_a_simulated_one_is_published",
        swap("prewatt.publishing:live", constant(False)),
    ),
    Safeguard(
        "two persons for new prices", "money and records", "who made the slip in a book vouches for it",
        f"{PRICES}::test_a_change_is_seen_and_then_confirmed_by_two_persons",
        swap("control.breaker:may_release", constant(True)),
    ),
    Safeguard(
        "prices as they were shown", "money and records", "who is moved to a wrong book meanwhile is confirmed too",
        f"{PRICES}::test_who_changed_after_the_showing_waits_on",
        wrap("control.pricebasis:confirm", lambda real: lambda unit, change, now, persons: real(
            unit, replace(change, until=now), now, persons
        )),
    ),
    Safeguard(
        "ledger sums to zero", "money and records", "money appears or vanishes",
        "tests/storage/test_ledger.py::test_a_commit_that_unbalances_the_ledger_is_refused[inline]",
        swap("storage.ledger:assert_zero", constant(None)),
    ),
    Safeguard(
        "full disk", "money and records", "what never reached the disk is acknowledged",
        "tests/storage/test_writer.py::test_a_full_disk_stops_acknowledgement_until_recovery[inline]",
        swap("storage.writer:disk_fault", constant(None)),
        red=("AssertionError", "Failed", "OperationalError"),
    ),
    Safeguard(
        "audit chain", "money and records", "a changed record of who did what is not found",
        "tests/storage/test_audit.py::test_every_kind_of_tampering_is_found",
        swap("storage.audit:check", constant([])),
    ),
    Safeguard(
        "second person at the kill switch", "orders", "one person lets a faulty command go on",
        f"{SWITCHES}::test_one_pulls_and_two_other_names_reset",
        swap("control.breaker:PERSONS", 1),
    ),
    Safeguard(
        "a drop lasts the day", "orders", "what two persons stopped leaves with the next hour's pass",
        f"{SWITCHES}::test_what_two_persons_drop_never_leaves_today_and_is_planned_anew_tomorrow",
        swap("control.signals:breaker_word", constant("")),
    ),
)  # fmt: skip
