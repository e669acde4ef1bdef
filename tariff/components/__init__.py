"""The kinds of price component: one file each, found here by its name; two files of one kind are an error.

A kind is a module with ``KIND`` (its name in the book), ``parse(section, context) -> Spec``, and
``price(spec, facts) -> list[Line]``, which turns what a bill is made of into its lines; energy is priced by the kernel
and has no ``price``. It may have ``needs_slots(spec)``, whether it looks at the bill's intervals, ``lookback(spec)``,
how many months of earlier bills it rests on, and ``inputs(spec, facts)``, what its lines were made of, for those who
ask why. An account's attributes are named in the spec. Third parties add kinds by the entry point group
``prewatt.components``.
"""

import importlib
import pkgutil
from collections.abc import Iterable
from functools import lru_cache
from importlib.metadata import entry_points
from types import ModuleType

from tariff.errors import TariffError
from tariff.model import Book, Spec

GROUP = "prewatt.components"


def index(modules: Iterable[ModuleType]) -> dict[str, ModuleType]:
    """The modules by their KIND; TariffError when two claim the same."""
    found: dict[str, ModuleType] = {}
    for module in modules:
        kind = str(module.KIND)
        if kind in found:
            raise TariffError(f"component kind {kind!r} is in both {found[kind].__name__} and {module.__name__}")
        found[kind] = module
    return found


@lru_cache(maxsize=1)
def kinds() -> dict[str, ModuleType]:
    """Every kind of component that this installation knows."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    own = [importlib.import_module(f"{__name__}.{name}") for name in names]
    others = [point.load() for point in sorted(entry_points(group=GROUP), key=lambda point: point.name)]
    return index([*own, *others])


def slots_needed(book: Book) -> bool:
    """Whether a component of the book looks at the intervals of a bill, not only at their sums."""
    return any(_asked("needs_slots", spec, False) for version in book.versions for spec in version.components)


def lookback(book: Book) -> int:
    """How many months of earlier bills a bill of the book rests on: a ratchet's, or a bank's."""
    return max((_asked("lookback", spec, 0) for version in book.versions for spec in version.components), default=0)


def _asked(question: str, spec: Spec, default: int) -> int:
    answer = getattr(kinds()[spec.kind], question, None)
    return int(answer(spec)) if answer is not None else default
