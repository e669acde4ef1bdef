"""A home and a number in, work on it out that kills its own process with -9 at the n-th crash point.

Each round accepts a batch, posts a payment, and at times seals, compacts and publishes. What was acknowledged goes to
``acknowledged`` (one line each, written after the commit returned), the names of the steps passed to ``steps``.
"""

import os
import signal
from datetime import timedelta
from pathlib import Path

from storage.catalog import publish
from storage.records import Posting
from storage.schemas import reads_table
from storage.store import Store
from storage.writer import Priority
from tests.storage.conftest import T0, StillClock, read

METERS = (1, 2, 70_000)


def batch_rows(number: int) -> list[tuple[int, int, int]]:
    """(meter, hour, value) of batch ``number``; every fifth is late by 40 days."""
    hour = number + 1 - (960 if number % 5 == 4 else 0)
    return [(m, hour, 1000 * m + number) for m in METERS]


def one_round(store: Store, number: int, acknowledge: int) -> None:
    """Accept, pay, and do what falls due."""
    table = reads_table([read(h, v, meter=m) for m, h, v in batch_rows(number)])
    store.write(Priority.INBOX, lambda u: u.append_batch("reads", "g", str(number), table, T0))
    os.write(acknowledge, f"b{number}\n".encode())
    leg = Posting("payment", f"p{number}", f"customer:A{number % 3}", number + 1, "CNY", T0, T0)
    back = Posting("payment", f"p{number}", "cash:x", -number - 1, "CNY", T0, T0)
    store.write(Priority.MONEY, lambda u: u.post([leg, back]))
    os.write(acknowledge, f"p{number}\n".encode())
    if number % 3 == 2:
        store.lake.seal(T0)
    if number % 6 == 5:
        store.lake.compact(T0 + timedelta(days=40 if number % 12 == 5 else 1))
        publish(store, T0)


def main(home: Path, kill_at: int, rounds: int) -> None:
    """Go on after the last acknowledged round; repeat it, because its end is not known."""
    acknowledge = os.open(home / "acknowledged", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    steps = os.open(home / "steps", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    passed = 0

    def crash(name: str) -> None:
        nonlocal passed
        passed += 1
        if passed == kill_at:
            os.write(steps, f"{name}\n".encode())
            os.kill(os.getpid(), signal.SIGKILL)

    done = [int(line[1:]) for line in (home / "acknowledged").read_text().split() if line[0] == "p"]
    with Store.open(home / "h", clock=StillClock()) as store:
        store.crash_points = crash
        for number in range(max(done, default=0), rounds):
            one_round(store, number, acknowledge)


def stop_at(home: Path, step: str) -> None:
    """Twenty batches, then seal, compact and publish, until the step of that name: the process ends there."""
    with Store.open(home, clock=StillClock()) as store:
        for n in range(20):
            table = reads_table([read(n, n, meter=m) for m in METERS])
            store.write(Priority.INBOX, lambda u: u.append_batch("reads", "g", str(n), table, T0))  # noqa: B023
        store.crash_points = lambda name: os._exit(9) if name == step else None
        store.lake.seal(T0)
        store.lake.compact(T0 + timedelta(days=90))
        publish(store, T0)
