"""Virtual time: jumps instead of waiting, same order every time, time-outs included."""

import asyncio
import time
from datetime import datetime, timedelta

import pytest

from sim.loop import Deadlock, VirtualClock, VirtualLoop, run_virtual

START = datetime(2026, 1, 1)


def test_a_day_passes_in_no_time() -> None:
    loop = VirtualLoop()
    clock = VirtualClock(loop, START)

    async def day() -> datetime:
        for _ in range(24):
            await clock.sleep(3600)
        return clock.now()

    began = time.monotonic()
    assert run_virtual(loop, day()) == START + timedelta(days=1)
    assert time.monotonic() - began < 5


def test_timeouts_run_on_virtual_time() -> None:
    loop = VirtualLoop()

    async def late() -> float:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(5):
                await asyncio.sleep(50)
        return loop.time()

    assert run_virtual(loop, late()) == pytest.approx(5)


def test_nobody_left_to_wake_is_an_error_not_a_hang() -> None:
    loop = VirtualLoop()

    async def never() -> None:
        await loop.create_future()

    with pytest.raises(Deadlock, match="no timer"):
        run_virtual(loop, never())


def test_order_of_many_tasks_is_the_same_in_every_run() -> None:
    def one_run() -> list[int]:
        loop = VirtualLoop()
        seen: list[int] = []

        async def worker(number: int) -> None:
            for step in range(5):
                await asyncio.sleep((number * 7 + step) % 3)
                seen.append(number)

        async def all_of_them() -> None:
            await asyncio.gather(*(worker(n) for n in range(20)))

        run_virtual(loop, all_of_them())
        return seen

    assert one_run() == one_run()


def test_a_host_clock_that_steps_does_not_move_the_devices() -> None:
    clock = VirtualClock(VirtualLoop(), START)
    clock.step_s = 7200
    assert clock.now() == START + timedelta(hours=2)
    assert clock.true_now() == START
    assert clock.monotonic() == 0
