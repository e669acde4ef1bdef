"""What the console may ask of the running daemon: store and rules to read, and a person's actions to pass on."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from control.assemble import World
from prewatt.errors import Usage
from storage.keptbooks import Series, no_series
from storage.store import Store
from tariff.model import Book

Do = Callable[[str, Mapping[str, Any], str], Awaitable[Mapping[str, Any]]]
"""One writing action by name with its arguments and who asked: the same actions as the command line's."""


async def look_only(name: str, args: Mapping[str, Any], person: str) -> Mapping[str, Any]:
    """The ``Do`` of a console that only shows."""
    del args, person
    raise Usage(f"{name} cannot be asked for here", attempt="prewatt --help")


@dataclass(frozen=True, slots=True)
class Source:
    """The daemon as the console sees it; ``world`` is the engine's view of the rules now."""

    store: Store
    books: Mapping[str, Book]
    world: Callable[[], World]
    do: Do = look_only
    site: str = "prewatt"
    zone: str = "UTC"
    simulated: bool = False
    series: Series = no_series  # opens the price files of books that are no longer in force
    links: Callable[[], tuple[int, int]] = lambda: (0, 0)

    @property
    def now(self) -> datetime:
        """The daemon's time."""
        return self.store.clock.now()
