"""One act in, one link of the hash chain out: who did what to what, never changed afterwards."""

import hashlib
import sqlite3
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from storage.codec import canonical
from storage.records import AuditRow

GENESIS = "0" * 64
"""What the first link points to."""


def digest(row: AuditRow) -> str:
    """sha256 over the previous digest and the canonical content of this link."""
    content = [row.seq, row.at, row.actor, row.action, row.subject, row.body]
    return hashlib.sha256(f"{row.previous}\n{canonical(content)}".encode()).hexdigest()


def link(
    connection: sqlite3.Connection, actor: str, action: str, subject: str, body: Mapping[str, Any], at: datetime
) -> AuditRow:
    """The next link of the chain as it stands in this transaction; the caller adds it."""
    last = connection.execute("SELECT seq, digest FROM audit ORDER BY seq DESC LIMIT 1").fetchone()
    seq, previous = (last[0] + 1, last[1]) if last else (1, GENESIS)
    at = at.replace(microsecond=at.microsecond // 1000 * 1000)
    row = AuditRow(seq, at, actor, action, subject, canonical(body), previous, "")
    return AuditRow(seq, at, actor, action, subject, row.body, previous, digest(row))


def check(rows: Iterable[AuditRow], *, whole: bool = True) -> list[str]:
    """Faults of the chain in order: a gap, a changed link, a link that points elsewhere; [] when sound.

    ``whole`` False: the rows are the chain's end, and its first one is believed to follow what is not here.
    """
    faults = []
    previous, seq = GENESIS, 0
    for row in rows:
        if not whole:
            previous, seq, whole = row.previous, row.seq - 1, True
        seq += 1
        if row.seq != seq:
            faults.append(f"audit {seq} is missing")
            seq = row.seq
        if row.previous != previous:
            faults.append(f"audit {row.seq} does not follow the link before it")
        if row.digest != digest(row):
            faults.append(f"audit {row.seq} was changed: its digest differs")
        previous = row.digest
    return faults
