"""Options go in; the demo runs, its figures come out; nothing is left running or lying about afterwards."""

import asyncio
import contextlib
import sys
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

from prewatt.demo import show, story
from prewatt.demo.stage import DemoFailed, Stage, stage
from prewatt.demo.story import Step, Told
from sim import towns
from tariff import book

RUN_OUT = timedelta(days=1, hours=18)  # to the Thursday evening; the stop notice runs over the weekend
REFRESH_S = 0.3
IDLE_RATE = 60.0


async def demo(*, stay: bool, screen: bool, port: int = 0, kill: str = "") -> dict[str, Any]:
    """Run the story once; with ``stay`` the town lives on until Ctrl-C. Returns the figures of the contract."""
    began = time.monotonic()
    shipped = book.load(book.shipped_text("demo"), "demo")
    town = towns.fund(towns.demo(), towns.STAR, shipped, towns.demo().start + RUN_OUT)
    failure = ""
    async with stage(town, port=port) as on:
        told = Told(_say if not screen else _quiet, kill=kill)
        async with _screen(on, told, screen):
            try:
                await story.tell(on, told)
            except DemoFailed as error:
                failure = str(error)
                told.steps.append(Step("failed", on.clock.now(), False, failure))
                told.tell(told.steps[-1])
            figures = await _figures(on, told, time.monotonic() - began)
            if stay and not failure and not on.daemon.stop.is_set():
                on.clock.set_rate(IDLE_RATE)
                await on.daemon.stop.wait()
    return figures


def _quiet(step: Step) -> None:
    """The screen shows it."""
    del step


def _say(step: Step) -> None:
    mark = "✔" if step.ok else "✘"
    print(f"{mark} {step.at:%Y-%m-%d %H:%M}Z {step.name}: {step.seen}", file=sys.stderr, flush=True)


@contextlib.asynccontextmanager
async def _screen(on: Stage, told: Told, wanted: bool) -> AsyncIterator[None]:
    """The board on a terminal while the block runs."""
    if not wanted:
        yield
        return
    with show.live() as region:

        async def refresh() -> None:
            while True:
                region.update(await asyncio.to_thread(show.drawn, on, told.steps), refresh=True)
                await asyncio.sleep(REFRESH_S)

        task = asyncio.create_task(refresh())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            region.update(show.drawn(on, told.steps), refresh=True)


async def _figures(on: Stage, told: Told, wall_s: float) -> dict[str, Any]:
    """What was measured, under the contract's names."""
    with contextlib.suppress(DemoFailed):
        wrong: int | None = await story.wrong_disconnections(on)
    virtual = (on.clock.now() - on.town.start).total_seconds()
    total = on.store.read(lambda reader: reader.ledger_sum())
    return {
        "paid_to_power_s": told.paid_to_power_s,
        "wrong_disconnections": wrong,
        "ledger_sum": str(total),
        "reads": on.reads,
        "reads_rated_per_s": round(on.reads / on.rating_s) if on.rating_s else 0,
        "virtual_s": round(virtual, 3),
        "wall_s": round(wall_s, 3),
        "clock_rate": round(virtual / wall_s, 1),
        "console": on.address,
        "steps": [{"name": s.name, "at": s.at, "ok": s.ok, "seen": s.seen} for s in told.steps],
    }
