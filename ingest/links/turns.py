"""Callers with an urgency wait here, the most urgent goes first: one link's line as a queue with priorities.

A read that is under way is never interrupted; a command waits for at most that one, whatever stands in the queue.
"""

import asyncio
import heapq

from ingest.plan import Urgency


class Turns:
    """Lets ``depth`` callers in at a time; equals go in the order in which they came."""

    def __init__(self, depth: int = 1) -> None:
        """``depth`` 1 is a serial line."""
        self._free = depth
        self._came = 0
        self._queue: list[tuple[int, int, asyncio.Future[None]]] = []

    def take(self, urgency: Urgency) -> "Turn":
        """Wait for a turn, hold it for the ``async with`` block."""
        return Turn(self, urgency)

    def try_take(self) -> bool:
        """Take a turn if one is free now; ``give_back`` must follow."""
        if not self._free:
            return False
        self._free -= 1
        return True

    async def wait(self, urgency: Urgency) -> None:
        """Take a turn; ``give_back`` must follow."""
        if self._free:
            self._free -= 1
        else:
            await self._wait(urgency)

    def give_back(self) -> None:
        """Let the next one in."""
        self._next()

    async def _wait(self, urgency: Urgency) -> None:
        self._came += 1
        mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._queue, (int(urgency), self._came, mine))
        try:
            await mine
        except asyncio.CancelledError:
            if mine.done() and not mine.cancelled():
                self._next()  # the turn had just been given to a caller who gave up
            raise

    def _next(self) -> None:
        """Hand the turn to the most urgent who still waits."""
        while self._queue:
            _, _, waiter = heapq.heappop(self._queue)
            if not waiter.done():
                waiter.set_result(None)
                return
        self._free += 1


class Turn:
    """One caller's turn, as an asynchronous context manager."""

    __slots__ = ("_turns", "_urgency")

    def __init__(self, turns: Turns, urgency: Urgency) -> None:
        """Nothing is waited for yet."""
        self._turns = turns
        self._urgency = urgency

    async def __aenter__(self) -> None:
        """Wait for the turn."""
        await self._turns.wait(self._urgency)

    async def __aexit__(self, *_: object) -> None:
        """Give it back."""
        self._turns.give_back()
