"""Reads go in, nothing is kept: the sink of a dry run (``ingest.ports.ReadSink``)."""

from collections.abc import Sequence
from datetime import datetime

from ingest.records import Finding, Interval, MeterRead, Receipt


class Forgetful:
    """Counts what it is given as accepted and new, and forgets it."""

    async def accept(self, source: str, source_seq: str, reads: Sequence[MeterRead], at: datetime) -> Receipt:
        """Forget registers."""
        del source, source_seq, at
        return Receipt(len(reads), len(reads), 0, 0)

    async def accept_intervals(self, source: str, source_seq: str, rows: Sequence[Interval], at: datetime) -> Receipt:
        """Forget intervals."""
        del source, source_seq, at
        return Receipt(len(rows), len(rows), 0, 0)

    async def found(self, findings: Sequence[Finding]) -> None:
        """Forget findings."""
