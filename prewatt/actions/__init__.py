"""The name of a writing verb and its arguments go in, what it did comes out, in the daemon and the command line alike.

Each file holds one constant ``ACTIONS``: name -> coroutine function of (Shell, arguments). Arguments and answers are
plain JSON values, because they may cross the daemon's socket.
"""

import importlib
import pkgutil
from collections.abc import Awaitable, Callable, Mapping
from functools import lru_cache
from typing import Any

from prewatt.wiring import Shell

Action = Callable[[Shell, Mapping[str, Any]], Awaitable[Mapping[str, Any]]]


@lru_cache(maxsize=1)
def actions() -> Mapping[str, Action]:
    """Every action by name; two of one name are an error."""
    found: dict[str, Action] = {}
    for info in sorted(pkgutil.iter_modules(__path__), key=lambda item: item.name):
        module = importlib.import_module(f"{__name__}.{info.name}")
        for name, action in module.ACTIONS.items():
            if name in found:
                raise TypeError(f"two actions are called {name!r}; one is in prewatt/actions/{info.name}.py")
            found[name] = action
    return found
