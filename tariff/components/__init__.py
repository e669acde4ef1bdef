"""The kinds of price component: one file each, found here by its name; two files of one kind are an error.

A kind is a module with ``KIND`` (its name in the book), ``parse(section, context) -> Spec``, and
``price(spec, facts) -> list[Line]``, which turns what a bill is made of into its lines; energy is priced by the kernel
and has no ``price``. Third parties add kinds by the entry point group ``prewatt.components``.
"""

import importlib
import pkgutil
from collections.abc import Iterable
from functools import lru_cache
from importlib.metadata import entry_points
from types import ModuleType

from tariff.errors import TariffError

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
