"""A home goes in; whether its audit chain, ledger, lake and posted bills still agree with themselves comes out."""

from pathlib import Path
from typing import Any

from prewatt.listing import money
from prewatt.lookup import config_of
from prewatt.output import plain
from prewatt.rules import read_kept
from prewatt.wiring import Shell, reading
from storage.records import BookVersion, StoredBill
from storage.rerate import Difference, rerate
from storage.verify import verify

MOST = 100
"""Differences that are listed; all are counted."""


def verified(option: Path | None, *, bills: bool = True) -> dict[str, Any]:
    """Check everything; ``ok`` is false when one thing is wrong."""
    with reading(config_of(option)) as shell:
        found = verify(shell.store)
        checked, differences = _bills(shell) if bills else (0, [])
    return {
        "chain": not found.chain,
        "ledger": not found.ledger,
        "lake": not found.lake,
        "state": not found.state,
        "bills": {"checked": checked, "differences": differences[:MOST]},
        "faults": [*found.state, *found.chain, *found.ledger, *found.lake][:MOST],
        "ok": found.ok and not differences,
    }


def _bills(shell: Shell) -> tuple[int, list[dict[str, str]]]:
    """Every posted bill beside the same bill made again from stored reads, on the text of its own book."""
    stored, kept = shell.store.read(lambda r: (r.find(StoredBill, order=("start", "account")), r.find(BookVersion)))
    texts = {row.book_hash: row for row in kept}
    current = {book.hash: book for book in shell.books.values()}
    differences: list[dict[str, str]] = []
    for book_hash in sorted({bill.book_hash for bill in stored}):
        mine = {(bill.account, bill.start) for bill in stored if bill.book_hash == book_hash}
        book = current.get(book_hash) or (read_kept(shell.config, texts[book_hash]) if book_hash in texts else None)
        found = rerate(shell.store, {} if book is None else {book.name: book}).differences
        differences += [_told(one) for one in found if (one.account, one.start) in mine]
    return len(stored), differences


def _told(one: Difference) -> dict[str, str]:
    now = "" if one.now_micro is None else money(one.now_micro)
    return {
        "account": one.account,
        "from": plain(one.start),
        "posted": money(one.stored_micro),
        "now": now,
        "reason": one.reason,
    }
