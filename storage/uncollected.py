"""A stretch of bulk work goes in; it runs to its end without the search for reference cycles.

Rows by the hundred thousand make the collector walk the whole heap over and over, and hold no cycles: half of the time
in which a town is read went there.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """No collection starts inside, in any thread; for work of some seconds that makes rows and arrays, not cycles."""
    running = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if running:
            gc.enable()
