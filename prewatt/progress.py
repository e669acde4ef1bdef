"""How far a long piece of work is goes in; a bar on a terminal's stderr comes out, on a pipe a line now and then."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is (0 = not known)."""


EVERY_S = 10.0


def silent(label: str, done: int, total: int) -> None:
    """Progress that nobody watches."""


def _lines(monotonic: Callable[[], float]) -> Progress:
    """Progress as lines, at most one every ``EVERY_S``: short work says nothing."""
    last = monotonic()

    def show(label: str, done: int, total: int) -> None:
        nonlocal last
        if monotonic() - last >= EVERY_S:
            last = monotonic()
            sys.stderr.write(f"{label}: {done}{f' of {total}' if total else ''}\n")
            sys.stderr.flush()

    return show


@contextmanager
def bar() -> Iterator[Progress]:
    """A progress bar on stderr while the block runs; on a pipe a line every ``EVERY_S``."""
    if not sys.stderr.isatty():
        yield _lines(time.monotonic)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
        tasks: dict[str, TaskID] = {}

        def show(label: str, done: int, total: int) -> None:
            if label not in tasks:
                tasks[label] = bars.add_task(label)
            bars.update(tasks[label], completed=done, total=total or None)

        yield show
