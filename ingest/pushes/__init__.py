"""pushes: one file per meter model and its lists goes in, ``profiles()`` gives every PROFILE constant by name."""

import difflib
from collections.abc import Mapping
from functools import lru_cache

from ingest.errors import ProfileError
from ingest.plugins import load
from ingest.pushmodel import PushProfile

GROUP = "prewatt.pushes"


@lru_cache(maxsize=1)
def profiles() -> Mapping[str, PushProfile]:
    """Every push profile by name: the files of this package and the entry points of group ``prewatt.pushes``."""
    return load("ingest.pushes", "PROFILE", PushProfile, group=GROUP)


def profile(name: str) -> PushProfile:
    """The profile called ``name``; ProfileError names the nearest ones when there is none."""
    known = profiles()
    if name not in known:
        near = ", ".join(difflib.get_close_matches(name, known, n=3, cutoff=0.4)) or ", ".join(known)
        raise ProfileError(f"no push profile {name!r}; nearest: {near}")
    return known[name]
