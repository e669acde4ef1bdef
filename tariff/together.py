"""Energies of many accounts on the slots of one bill go in, their bills come out: as one by one, but priced at once.

Only accounts that have every slot of the bill, of import and nothing else, are priced together; ``may`` says of which
books and attributes. What one bill costs beside its arithmetic (parts of a component, words of its lines) is shared.
"""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tariff import components, gas
from tariff import plan as plans
from tariff.evaluation import facts_of, totals
from tariff.history import demanded, ladders_at, open_span
from tariff.model import Book
from tariff.records import Bill
from tariff.slots import Slots
from tariff.statement import ENGINE, printed, rounding
from tariff.step import settle

Ints = NDArray[Any]
Attributes = Mapping[str, str]


def may(book: Book, attributes: Attributes) -> bool:
    """Whether bills on this book rest on nothing but imports, attributes and the ladders' open spans."""
    return not (gas.is_gas(book) or components.lookback(book) or demanded(book, attributes))


def bills(
    book: Book,
    accounts: Sequence[str],
    span: tuple[datetime, datetime],
    wh: Ints,
    before: Ints,
    *,
    minutes: int,
    attributes: Attributes,
) -> list[Bill]:
    """The bills of ``span`` in UTC, as ``statement.bill`` gives each; the book is one that ``may`` be billed so.

    ``wh`` [n, slots] is what each account took in every slot of ``minutes``, ``before`` [n, k] in every slot since
    ``ladder_start``; the ladders' positions are those it leads to.
    """
    start, end = span
    plan = plans.compile(book, start, end, minutes, attributes)
    state = settle(plan, plan.zero(len(wh), _carried(book, span, before, minutes, attributes)), 0, wh)
    found = facts_of(plan, state, slots=Slots(plan.calendar, wh, None, None)).lines
    total = np.broadcast_to(totals(book, found), len(wh)).tolist() if found else [0] * len(wh)
    begun = _hashed(plan)
    result = []
    for row, account in enumerate(accounts):
        lines = tuple(line for line in (printed(one, row) for one in found) if line is not None)
        digest = begun.copy()
        digest.update(np.ascontiguousarray(wh[row]).tobytes())
        result.append(
            Bill(
                account=account,
                book=book.name,
                book_hash=book.hash,
                currency=book.currency,
                start=start,
                end=end,
                lines=lines + rounding(found, total[row], row),
                total_micro=total[row],
                complete=True,
                reads_hash=digest.hexdigest(),
                engine=ENGINE,
            )
        )
    return result


def _hashed(plan: plans.Plan) -> Any:
    """``usage.reads_hash`` up to the energies, for an account that has every slot."""
    calendar = plan.calendar
    digest = hashlib.sha256(str(calendar.slot_min).encode())
    first = np.datetime64(calendar.start, "m").astype(np.int64)
    digest.update((first + np.arange(1, calendar.slots + 1, dtype=np.int64) * calendar.slot_min).tobytes())
    return digest


def _carried(
    book: Book, span: tuple[datetime, datetime], before: Ints, minutes: int, attributes: Attributes
) -> dict[str, Ints]:
    """[n] Wh that each ladder has gone since it restarted, by stream."""
    start, end = span
    opened = open_span(book, start, end)
    if opened is None:
        return {}
    plan = plans.compile(book, *opened, minutes, attributes)
    past = (start - opened[0]) // timedelta(minutes=minutes)
    state = settle(plan, plan.zero(len(before)), 0, before[:, before.shape[1] - past :])
    return ladders_at(plan, state)
