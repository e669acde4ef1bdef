"""The host's time comes out: the shell's one place that asks for it. A test clock stands in when its file is named."""

import asyncio
import os
import time
from datetime import UTC, datetime
from pathlib import Path

from ingest.ports import Clock

TEST_CLOCK = "PREWATT_TEST_CLOCK"
"""Environment variable that names the file of a test clock (``sim.clock``); never set it where real relays hang."""


class HostClock:
    """``ingest.ports.Clock`` of this host."""

    def now(self) -> datetime:
        """Naive UTC, in milliseconds, as tables hold it."""
        at = datetime.now(UTC).replace(tzinfo=None)
        return at.replace(microsecond=at.microsecond // 1000 * 1000)

    def monotonic(self) -> float:
        """Seconds that never jump."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)


def declared() -> bool:
    """Whether a test clock stands in: its jumps are nobody's fault, so they hold nothing."""
    return bool(os.environ.get(TEST_CLOCK))


def clock() -> Clock:
    """The clock of this process."""
    named = os.environ.get(TEST_CLOCK)
    if not named:
        return HostClock()
    from sim.clock import TestClock

    return TestClock(Path(named))
