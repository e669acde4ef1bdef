"""One snapshot goes in; how much was read, how fresh it is, and how long the oldest unrated batch waits come out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from storage.codec import from_ms
from storage.records import Cursor
from storage.unit import Reader

READ_SETS = ("reads", "intervals")


@dataclass(frozen=True, slots=True)
class Pulse:
    """Whether the home lives: ``reads`` ever accepted, when the newest came and which slot it closes, what waits."""

    reads: int
    newest_at: datetime | None
    newest_end: datetime | None
    waiting: int  # batches that the rater has not done
    waiting_since: datetime | None
    unsealed: int  # batches that are not in the lake yet
    findings: Mapping[str, int] = field(default_factory=dict)  # code -> how many, ever


def pulse(reader: Reader, consumer: str = "rater") -> Pulse:
    """Feel it on one snapshot; ``consumer`` names the cursor of the rater."""
    done = {row.dataset: row.seq for row in reader.find(Cursor, name=consumer)}
    sums = "SELECT coalesce(sum(rows), 0), max(at), max(high) FROM inbox WHERE dataset = ?"
    late = (  # what the rater itself wrote waits for nobody
        "SELECT count(*), min(at) FROM inbox WHERE dataset = ? AND seq > ? AND payload IS NOT NULL AND source <> ?"
    )
    totals = [reader.connection.execute(sums, (name,)).fetchone() for name in READ_SETS]
    waits = [reader.connection.execute(late, (name, done.get(name, 0), consumer)).fetchone() for name in READ_SETS]
    newest_at = max((row[1] for row in totals if row[1] is not None), default=None)
    newest_end = max((row[2] for row in totals if row[1] is not None), default=None)
    since = min((row[1] for row in waits if row[1] is not None), default=None)
    return Pulse(
        reads=sum(int(row[0]) for row in totals),
        newest_at=None if newest_at is None else from_ms(newest_at),
        newest_end=None if newest_end is None else from_ms(newest_end),
        waiting=sum(int(row[0]) for row in waits),
        waiting_since=None if since is None else from_ms(since),
        unsealed=int(reader.connection.execute("SELECT count(*) FROM inbox WHERE sealed = 0").fetchone()[0]),
        findings=dict(reader.connection.execute("SELECT code, count(*) FROM finding GROUP BY code ORDER BY code")),
    )
