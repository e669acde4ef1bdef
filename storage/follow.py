"""A dataset's inbox in, what came since the last look out: the way an index in memory stays true to what is stored."""

import sqlite3

import pyarrow as pa

from storage.batches import unpack


class Follower:
    """Remembers the last batch seen by number and content, so that a rolled back commit or a seal is noticed."""

    def __init__(self, dataset: str) -> None:
        """Start knowing nothing."""
        self._dataset = dataset
        self._mark: tuple[int, str] | None = None

    def news(self, connection: sqlite3.Connection) -> list[pa.Table] | None:
        """Tables of the batches since the last look, oldest first; None: load everything again, then ``restart``."""
        if self._mark is None:
            return None
        seq, digest = self._mark
        if seq:
            row = connection.execute("SELECT digest FROM inbox WHERE seq = ?", (seq,)).fetchone()
            if row is None or row[0] != digest:
                return None
        sql = "SELECT seq, digest, payload, size FROM inbox WHERE seq > ? AND dataset = ? ORDER BY seq"
        rows = connection.execute(sql, (seq, self._dataset)).fetchall()
        if any(payload is None for _, _, payload, _ in rows):
            return None
        if rows:
            self._mark = (rows[-1][0], rows[-1][1])
        return [unpack(payload, size) for _, _, payload, size in rows]

    def saw(self, seq: int, digest: str) -> None:
        """Count one more batch as seen, the first after the last look."""
        self._mark = (seq, digest)

    def restart(self, connection: sqlite3.Connection) -> None:
        """Count everything that this connection sees as seen."""
        sql = "SELECT seq, digest FROM inbox WHERE dataset = ? ORDER BY seq DESC LIMIT 1"
        row = connection.execute(sql, (self._dataset,)).fetchone()
        self._mark = (row[0], row[1]) if row else (0, "")
