"""Due meters of one pipelined Modbus gateway go in, their polls come out, in the order in which they are done.

One coroutine serves all of them: it keeps as many visits under way as there are turns, sleeps until the connection has
heard something, and judges what is over. A meter that does not answer holds its own turn, nobody else's. What wants
more than one exchange (another kind of meter, a value to be read again) is handed back and polled by itself.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Protocol

from ingest.links.connection import Asked, Connection
from ingest.links.turns import Turns
from ingest.links.visit import Visit
from ingest.plan import Due, Urgency
from ingest.records import MeterPoint, Poll
from ingest.wire.modbus import Refusal

Done = tuple[Due, Poll | None]
"""One meter's poll; None: it must be polled by itself."""
Following = Callable[[], Due | None]
Took = Callable[[Sequence[Done]], Awaitable[None]]


SLICE = 16
"""Visits that are judged between two sends: while they are, the gateway answers those that were asked before."""


class Judge(Protocol):
    """What a sweep asks of the link that it belongs to."""

    def visit(self, point: MeterPoint) -> Visit | None: ...
    def judged(self, visit: Visit, slot_end: datetime, answers: Sequence[bytes] | Refusal) -> Poll | None: ...


class Sweep:
    """One sweep; ``deadline_s`` bounds each visit, however often the connection gave it more time."""

    def __init__(self, link: Judge, connection: Connection, turns: Turns, deadline_s: float) -> None:
        """Nothing is asked yet."""
        self._link = link
        self._connection = connection
        self._turns = turns
        self._deadline_s = deadline_s
        self._flying: dict[Asked, tuple[Due, Visit, float]] = {}  # the oldest first
        self._over: list[Asked] = []
        self._found: list[Done] = []
        self._waker: asyncio.Future[None] | None = None
        self._bell: asyncio.TimerHandle | None = None
        self._ended = False

    async def run(self, following: Following, took: Took) -> None:
        """Until ``following`` gives None and all that was asked is over."""
        try:
            while True:
                self._gather()
                await self._fill(following)
                self._connection.flush()
                if self._found:
                    found, self._found = self._found, []
                    await took(found)
                elif self._flying:
                    await self._wait()
                elif self._ended:
                    return
        finally:
            if self._bell is not None:
                self._bell.cancel()
            for asked in self._flying:
                self._connection.abandon(asked)
                self._turns.give_back()

    async def _fill(self, following: Following) -> None:
        """Ask the next meters while turns are free; wait for a turn only when nothing else is left to wait for."""
        while not self._ended:
            if not self._turns.try_take():
                if self._flying or self._found:
                    return
                await self._turns.wait(Urgency.SCHEDULED)
            call, started = None, False
            try:
                call = following()
                started = call is not None and (self._start(call) or await self._opened(call))
            finally:
                if not started:
                    self._turns.give_back()
            self._ended = call is None
            if not started:
                return  # whoever counts must hear of it before the next one is asked

    def _start(self, call: Due) -> bool:
        """Ask one meter on the connection that there is; whether it is under way now."""
        point = call.point
        visit = self._link.visit(point)
        if visit is None:
            return False
        asked = self._connection.begin(point.unit, visit.requests(), visit.timeout_s, self._tell)
        if asked is None:
            return False
        self._flying[asked] = call, visit, asked.ends - visit.timeout_s + self._deadline_s
        return True

    async def _opened(self, call: Due) -> bool:
        """Open the connection for a meter that could not be asked, or say why it cannot be; whether it is under way."""
        visit = self._link.visit(call.point)
        if visit is None:
            self._found.append((call, None))
        elif await self._connection.ready() and self._start(call):
            return True
        else:
            refusal = Refusal("unreachable", f"gateway {visit.gateway} is not connected")
            self._found.append((call, self._link.judged(visit, call.slot_end, refusal)))
        return False

    def _tell(self, asked: Asked) -> None:
        """The connection is through with one: note it, look at it when the chunk was taken in as a whole."""
        self._over.append(asked)
        self._wake()

    def _wake(self) -> None:
        if self._waker is not None and not self._waker.done():
            self._waker.set_result(None)

    async def _wait(self) -> None:
        """Until something is over, or the deadline of the oldest visit has come."""
        if self._over:
            return
        loop = asyncio.get_running_loop()
        oldest, (_, _, ends) = next(iter(self._flying.items()))
        if self._bell is None:  # who is asked later ends later: one timer at a time is enough
            self._bell = loop.call_at(ends, self._ring)
        self._waker = loop.create_future()
        await self._waker
        if not oldest.over and loop.time() >= ends:
            self._connection.abandon(oldest)
            oldest.end(Refusal("deadline", f"no result within {self._deadline_s:g} s: look at the link"))

    def _ring(self) -> None:
        self._bell = None
        self._wake()

    def _gather(self) -> None:
        """Judge some of what is over and give their turns back."""
        over, self._over = self._over[:SLICE], self._over[SLICE:]
        outcome, judged = self._connection.outcome, self._link.judged
        for asked in over:
            call, visit, _ = self._flying.pop(asked)
            self._turns.give_back()
            self._found.append((call, judged(visit, call.slot_end, outcome(asked))))
