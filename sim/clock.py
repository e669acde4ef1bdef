"""A test clock that several processes share through one file: it stands, jumps forward, or runs at a rate.

The file holds one JSON line ``{"at": ISO, "mono_s": float, "rate": float}``: the time now is ``at`` plus ``rate`` times
the monotonic seconds since ``mono_s`` (CLOCK_MONOTONIC is one for all processes of a host). It never runs backwards.
"""

import asyncio
import json
import time
from datetime import datetime, timedelta
from pathlib import Path

POLL_S = 0.02


class ClockBackwards(ValueError):
    """Somebody tried to set the test clock back."""


class TestClock:
    """``ingest.ports.Clock`` over the shared file; ``monotonic`` and link time-outs stay real."""

    __test__ = False  # not a pytest class

    def __init__(self, path: Path) -> None:
        """Follow ``path``, which ``start`` must have written."""
        self._path = path
        self._stamp = (0, 0)
        self._at = datetime(2000, 1, 1)
        self._mono = 0.0
        self._rate = 0.0
        self._load()

    @classmethod
    def start(cls, path: Path, at: datetime, *, rate: float = 0.0) -> "TestClock":
        """Write the file and follow it."""
        _write(path, at, rate)
        return cls(path)

    def now(self) -> datetime:
        """Naive UTC."""
        self._load()
        if not self._rate:
            return self._at
        return self._at + timedelta(seconds=self._rate * (time.monotonic() - self._mono))

    def monotonic(self) -> float:
        """Real seconds: time-outs on real sockets do not jump."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait until the test clock has moved by ``seconds``, however it got there."""
        until = self.now() + timedelta(seconds=seconds)
        while (left := (until - self.now()).total_seconds()) > 0:
            await asyncio.sleep(min(POLL_S, left / self._rate) if self._rate else POLL_S)

    def jump(self, to: datetime, *, rate: float | None = None) -> None:
        """Set the clock forward (and its rate, when given)."""
        now = self.now()
        if to < now:
            raise ClockBackwards(f"the test clock stands at {now.isoformat()}Z and cannot go back to {to.isoformat()}Z")
        _write(self._path, to, self._rate if rate is None else rate)
        self._stamp = (0, 0)

    def set_rate(self, rate: float) -> None:
        """Let the clock stand (0), run (1) or race (more)."""
        _write(self._path, self.now(), rate)
        self._stamp = (0, 0)

    def _load(self) -> None:
        stat = self._path.stat()
        stamp = (stat.st_mtime_ns, stat.st_ino)
        if stamp == self._stamp:
            return
        found = json.loads(self._path.read_text(encoding="utf-8"))
        self._at = datetime.fromisoformat(found["at"])
        self._mono, self._rate = float(found["mono_s"]), float(found["rate"])
        self._stamp = stamp


def _write(path: Path, at: datetime, rate: float) -> None:
    text = json.dumps({"at": at.isoformat(), "mono_s": time.monotonic(), "rate": rate})
    fresh = path.with_suffix(".new")
    fresh.write_text(text + "\n", encoding="utf-8")
    fresh.replace(path)
