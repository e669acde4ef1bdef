"""A random tariff and accounts' reads go through the engine and the naive reference; whatever differs is an error."""

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from functools import cached_property
from random import Random
from typing import Any

import numpy as np

from tariff import book as books
from tariff import evaluation, money, rating, statement
from tariff.facts import Facts
from tariff.model import Book
from tariff.records import Bill as EngineBill
from tariff.slots import Slots
from tariff.usage import placed
from tests.exact.energy import UNITS
from tests.exact.frame import Frame
from tests.exact.numbers import rounded
from tests.exact.reference import Bill as Naive
from tests.exact.reference import Key, Result, Row
from tests.properties.loads import Load
from tests.properties.tariffs import Tariff

Lines = dict[Key, Fraction]
Array = np.ndarray[Any, np.dtype[Any]]


class Rules:
    """One tariff, read by both: once, however many accounts it has."""

    def __init__(self, tariff: Tariff) -> None:
        """Parse the text."""
        self.tariff, self.table = tariff, tomllib.loads(tariff.text)
        self.book: Book = books.load(tariff.text, "random", series=tariff.files)


@dataclass(frozen=True)
class Case:
    """One tariff and the reads of some accounts with the same attributes, in one span."""

    rules: Rules
    load: Load

    @cached_property
    def span(self) -> tuple[Any, Any]:
        """The bill's span in UTC."""
        return self.load.span(self.rules.book.zone)

    @cached_property
    def counts(self) -> Array:
        """[accounts, 3, slots] Wh, export Wh and varh."""
        found = np.zeros((len(self.load.accounts), 3, self.load.slots), np.int64)
        for account, rows in enumerate(self.load.accounts):
            for slot, *counted in rows:
                found[account, :, slot] = counted
        return found

    @cached_property
    def ends(self) -> Array:
        """Ends of all slots."""
        step = np.timedelta64(self.load.minutes, "m")
        return np.datetime64(self.span[0], "m") + step * np.arange(1, self.load.slots + 1)

    def usage(self, account: int = 0, order: Array | None = None) -> statement.Usage:
        """One account's intervals, in some order, some of them left out."""
        chosen = np.arange(self.load.slots) if order is None else order
        wh, export, varh = self.counts[account][:, chosen]
        return statement.Usage(self.ends[chosen], wh, self.load.minutes, export, varh)

    @cached_property
    def attributes(self) -> dict[str, str]:
        """The accounts' attributes; a ladder per kW needs the first account's largest."""
        usage, given = self.usage(), dict(self.load.attributes)
        found = statement.with_demand(self.rules.book, usage, self.span, given)
        return dict(found or {})

    @cached_property
    def plan(self) -> rating.Plan:
        """The compiled plan, one for all accounts."""
        return rating.compile(self.rules.book, *self.span, self.load.minutes, self.attributes)

    @cached_property
    def frame(self) -> Frame:
        """What the reference knows of the slots, once for all accounts."""
        return Frame(self.rules.table, self.span, self.load.minutes, self.attributes, self.rules.tariff.series)

    def naive(self, account: int = 0, *, rows: dict[int, Row] | None = None) -> Naive:
        """The reference of one account; ``rows`` by slot instead of the load's."""
        if rows is None:
            rows = {slot: Row(self.frame.starts[slot], *counted) for slot, *counted in self.load.accounts[account]}
        return Naive.of(self.frame, list(rows.values()))

    def bill(self, account: int = 0, order: Array | None = None) -> EngineBill:
        """The engine's bill, from intervals in some order."""
        usage = self.usage(account, order)
        return statement.bill(
            self.rules.book,
            "A",
            *self.span,
            usage.ends,
            usage.wh,
            minutes=usage.minutes,
            attributes=self.attributes,
            export_wh=usage.export_wh,
            reactive_varh=usage.reactive_varh,
        )

    def accrued(self, usage: statement.Usage, slots: int) -> Fraction:
        """The engine's amount so far after some slots, from what is known of them."""
        micro = statement.accrued(
            self.rules.book,
            self.span[0],
            self.span[0] + timedelta(minutes=self.load.minutes * slots),
            self.span[1],
            usage.ends,
            usage.wh,
            minutes=usage.minutes,
            attributes=self.attributes,
            export_wh=usage.export_wh,
            reactive_varh=usage.reactive_varh,
        )
        return Fraction(micro, 10**6)

    def energies(self) -> tuple[Array, Array]:
        """[accounts, slots] what the kernel is given: Wh (of gas converted) and export."""
        wh = np.concatenate([statement_wh(self, account) for account in range(len(self.load.accounts))])
        return wh, self.counts[:, 1]

    def batch(self, cuts: list[int]) -> tuple[Facts, Array]:
        """All accounts' lines at once, their slots taken in pieces; and F(t) where the plan has it slot by slot."""
        wh, export = self.energies()
        plan, state = self.plan, self.plan.zero(len(wh))
        pieces: list[Array] = []
        room = rating.Room()
        for low, high in zip([0, *cuts], [*cuts, plan.slots], strict=True):
            part = slice(low, high)
            if plan.whole:
                state = rating.settle(plan, state, low, wh[:, part], export[:, part])
                continue
            state, running = rating.advance(plan, state, low, wh[:, part], export[:, part], spent=True, room=room)
            pieces.append(running.copy())
        slots = Slots(plan.calendar, wh, export, self.counts[:, 2])
        reactive = self.counts[:, 2].sum(axis=1)
        facts = evaluation.facts_of(plan, state, slots=slots, reactive_varh=reactive)
        return facts, np.concatenate(pieces, axis=1) if pieces else np.zeros((len(wh), 0), object)


def statement_wh(case: Case, account: int) -> Array:
    """[1, slots] Wh of one account as a bill places them."""
    return placed(case.plan, case.usage(account), case.span[1])[0]


def expected(result: Result) -> Lines:
    """The reference's lines that are not empty."""
    return {key: amount for key, amount in result.lines.items() if amount}


def printed(bill: EngineBill) -> Lines:
    """The engine's lines by key, without the printed rounding and without empty ones."""
    found: Lines = {}
    for line in bill.lines:
        if line.id == "rounding":
            continue
        key = (line.id, line.version, line.period, line.tier)
        assert key not in found, f"two lines {key}"
        found[key] = Fraction(line.amount_micro, 10**6)
    return {key: amount for key, amount in found.items() if amount}


def of_batch(facts: Facts, row: int) -> tuple[Lines, Lines, Lines]:
    """One account's amounts, taxes inside them, and quantities of kWh, kvarh and kW by key."""
    found: tuple[Lines, Lines, Lines] = ({}, {}, {})
    for line in facts.lines:
        key = (line.id, line.version, line.period, line.tier)
        amount = Fraction(int(line.amount_micro[row]), 10**6)
        assert key not in found[0], f"two lines {key}"
        if amount:
            found[0][key] = amount
        if line.included_micro is not None and line.included_micro[row]:
            found[1][key] = Fraction(int(line.included_micro[row]), 10**6)
        if line.unit in ("kWh", "kvarh", "kW"):
            found[2][key] = Fraction(line.quantity[row]) / 10**line.quantity_scale
    return found


def check_batch(case: Case, pick: Random) -> Iterator[Result]:
    """Every account's lines, taxes, quantities, total and charge after every slot are the reference's."""
    cuts = sorted(pick.sample(range(1, case.load.slots), min(pick.randint(0, 4), case.load.slots - 1)))
    facts, running = case.batch(cuts)
    totals = evaluation.totals(case.rules.book, facts.lines)
    for row in range(len(case.load.accounts)):
        result = case.naive(row).run()
        lines, included, quantity = of_batch(facts, row)
        assert lines == expected(result)
        assert included == {key: amount for key, amount in result.included.items() if amount}
        for key, wanted in result.quantity.items():
            assert quantity.get(key, wanted) == wanted, key
        assert Fraction(int(totals[row]), 10**6) == Fraction(result.total)
        if not case.plan.whole:
            scale = UNITS // 10**case.plan.scale
            assert [int(one) * scale for one in running[row]] == result.units
        yield result


def check_bill(case: Case, order: Array | None = None, account: int = 0) -> tuple[EngineBill, Naive, Result]:
    """One printed bill, from intervals in any order: lines and total are equal."""
    bill, naive = case.bill(account, order), case.naive(account)
    result = naive.run()
    assert printed(bill) == expected(result)
    assert Decimal(money.format(bill.total_micro, 0)) == result.total
    rounding = [line.amount_micro for line in bill.lines if line.id == "rounding"]
    assert sum(line.amount_micro for line in bill.lines) == bill.total_micro
    assert len(rounding) == (sum(expected(result).values(), Fraction(0)) != Fraction(result.total))
    return bill, naive, result


def check_rows(case: Case, result: Result, account: int = 0) -> None:
    """Rows of charges add up to the energy lines, and F of ladders that look at a whole span is right at the end."""
    wh, export = case.energies()
    own, given = wh[account : account + 1], export[account : account + 1]
    half = case.load.slots // 2
    first = rating.rate(case.plan, own[:, :half], export=given[:, :half])
    rated = rating.rate(case.plan, own[:, half:], export=given[:, half:], state=first.state)
    energy = sum((result.lines[key] for key in result.energy), Fraction(0))
    assert Fraction(int(first.amount_micro.sum() + rated.amount_micro.sum()), 10**6) == energy
    if case.plan.whole and case.rules.book.round_lines != "total":
        naive = case.naive(account)
        naive.run()
        exact = [naive.exact(ident, case.load.slots) for ident in naive.energies()]
        wanted = sum((Fraction(amount, UNITS) for one in exact for amount in one.amount.values()), Fraction(0))
        assert Fraction(int(rated.exact[0, -1]), 10**rated.scale) == rounded(wanted, rated.scale)
