"""drivers: one file per meter model goes in, ``drivers()`` gives every DRIVER constant by name."""

import difflib
from collections.abc import Mapping
from functools import lru_cache

from ingest.errors import ProfileError
from ingest.model import Driver
from ingest.plugins import load

GROUP = "prewatt.drivers"


@lru_cache(maxsize=1)
def drivers() -> Mapping[str, Driver]:
    """Every driver by name: the files of this package and the entry points of group ``prewatt.drivers``."""
    return load("ingest.drivers", "DRIVER", Driver, group=GROUP)  # type: ignore[type-abstract]


def driver(name: str) -> Driver:
    """The driver called ``name``; ProfileError names the nearest ones when there is none."""
    known = drivers()
    if name not in known:
        near = ", ".join(difflib.get_close_matches(name, known, n=3, cutoff=0.4)) or ", ".join(known)
        raise ProfileError(f"no driver {name!r}; nearest: {near}")
    return known[name]
