"""An asyncio event loop on virtual time: when nothing is ready it jumps to the next timer instead of waiting.

Everything that runs on it (links, time-outs, the engine) is the product's own code; only time is ours. Two runs with
the same inputs give the same order of callbacks, because no real socket, thread or clock takes part.
"""

import asyncio
import selectors
from collections.abc import Coroutine, Mapping
from datetime import datetime, timedelta
from typing import Any, TypeVar

T = TypeVar("T")


class Deadlock(RuntimeError):
    """Every task waits and no timer is set: virtual time has nowhere to go."""


class _JumpingSelector(selectors.BaseSelector):
    """Says that no file is ready, and lets the loop's time pass instead of waiting."""

    def __init__(self) -> None:
        self.loop: VirtualLoop | None = None
        self._keys: dict[Any, selectors.SelectorKey] = {}

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        key = selectors.SelectorKey(fileobj, 0, events, data)
        self._keys[fileobj] = key
        return key

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._keys.pop(fileobj)

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise Deadlock("every task waits and no timer is set; try: look for an await that nobody completes")
        if timeout > 0 and self.loop is not None:
            self.loop.pass_time(timeout)
        return []

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._keys


class VirtualLoop(asyncio.SelectorEventLoop):
    """The loop; ``time`` is virtual seconds since its start."""

    def __init__(self) -> None:
        """Start at virtual second 0."""
        selector = _JumpingSelector()
        self._virtual = 0.0
        super().__init__(selector)
        selector.loop = self

    def time(self) -> float:
        """Virtual seconds since the start."""
        return self._virtual

    def pass_time(self, seconds: float) -> None:
        """Jump ahead."""
        self._virtual += seconds


class VirtualClock:
    """``ingest.ports.Clock`` on a virtual loop; ``step_s`` is how far the host clock was (wrongly) set off."""

    def __init__(self, loop: VirtualLoop, start: datetime) -> None:
        """Bind to ``loop``; virtual second 0 is ``start`` (naive UTC)."""
        self._loop = loop
        self._start = start
        self.step_s = 0
        self._known = 0.0, start  # the last instant asked for: between two timers it is asked for many times

    def now(self) -> datetime:
        """Naive UTC, with the host's fault if one is set."""
        return self.true_now() + timedelta(seconds=self.step_s) if self.step_s else self.true_now()

    def true_now(self) -> datetime:
        """The time that devices and the outside observer live in."""
        second = self._loop.time()
        if self._known[0] != second:
            self._known = second, self._start + timedelta(microseconds=round(second * 1_000_000))
        return self._known[1]

    def monotonic(self) -> float:
        """Seconds that never jump."""
        return self._loop.time()

    async def sleep(self, seconds: float) -> None:
        """Let virtual time pass."""
        await asyncio.sleep(seconds)


class DeviceClock:
    """``ingest.ports.Clock`` that devices live by: what devices live by: true time, whatever the host's clock says."""

    def __init__(self, clock: VirtualClock) -> None:
        """Follow ``clock``."""
        self._clock = clock

    def now(self) -> datetime:
        """True time, naive UTC."""
        return self._clock.true_now()

    def monotonic(self) -> float:
        """Seconds that never jump."""
        return self._clock.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Let virtual time pass."""
        await self._clock.sleep(seconds)


def run_virtual(loop: VirtualLoop, main: Coroutine[Any, Any, T]) -> T:
    """Run ``main`` to its end on ``loop`` and close the loop."""
    try:
        asyncio.set_event_loop(loop)
        return loop.run_until_complete(main)
    finally:
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        loop.close()
        asyncio.set_event_loop(None)
