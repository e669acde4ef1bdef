"""A job and its rhythm go in; it is started in each slot of its clock, never twice at a time."""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import datetime, timedelta
from typing import Any

_EPOCH = datetime(1970, 1, 1)


class Every:
    """One job of the loop: started when its time has come and the last one is over; a failure ends the engine."""

    def __init__(self, every_s: float, work: Callable[[], Coroutine[Any, Any, Any]], *, after_s: float = 0) -> None:
        self._every, self._after = timedelta(seconds=every_s), timedelta(seconds=after_s)
        self._work = work
        self._slot: datetime | None = None
        self._task: asyncio.Task[Any] | None = None
        self.ended: datetime | None = None
        """When the last turn that came to its end was started; None before the first."""

    def turn(self, now: datetime) -> None:
        """Start the job for this slot, unless it was, or the last one still runs."""
        if self._task is not None:
            if not self._task.done():
                return
            self._task.result()
        slot = _EPOCH + (now - self._after - _EPOCH) // self._every * self._every
        if slot == self._slot:
            return
        self._slot = slot
        self._task = asyncio.ensure_future(self._turn(now))

    def next_at(self, now: datetime) -> datetime:
        """When the next slot begins; a turn that is still under way ends by waking nobody, and is looked at then."""
        slot = _EPOCH + (now - self._after - _EPOCH) // self._every * self._every
        return slot + self._every + self._after

    async def _turn(self, now: datetime) -> None:
        await self._work()
        self.ended = now

    def abort(self) -> None:
        """Stop the job at its next await; what it committed stands."""
        if self._task is not None:
            self._task.cancel()

    async def cancel(self) -> None:
        """Stop the job and wait for its end."""
        if self._task is not None and not self._task.done():
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
