"""A run's bills go in, what was posted of them comes out: made again where reads were rated in between."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from storage.billing import SLICE, Look, looks, post
from storage.customers import Run
from storage.errors import Outdated
from storage.store import Store
from tariff.records import Bill

TRIES = 5  # times that the same bills are made


def post_look(store: Store, run: Run, look: Look, now: datetime) -> tuple[int, tuple[Bill, ...]]:
    """Post the bills of one look; how many were new, and the bills as they were posted.

    Raises Outdated when reads are rated faster than bills are made, ``TRIES`` times over.
    """
    new = 0
    posted: list[Bill] = []
    for at in range(0, len(look.bills), SLICE):
        fresh, part = _post(store, run, replace(look, bills=look.bills[at : at + SLICE]), now)
        new, posted = new + fresh, [*posted, *part]
    return new, tuple(posted)


def _post(store: Store, run: Run, look: Look, now: datetime) -> tuple[int, Sequence[Bill]]:
    names = {bill.account for bill in look.bills}
    some = replace(run, customers=tuple(one for one in run.customers if one.account in names))
    for _ in range(TRIES - 1):
        try:
            return post(store, look.bills, now, seen=look.seen), look.bills
        except Outdated:
            made = list(looks(store, some))
            look = Look(tuple(bill for one in made for bill in one.bills), look.reads, look.done, made[0].seen)
    return post(store, look.bills, now, seen=look.seen), look.bills
