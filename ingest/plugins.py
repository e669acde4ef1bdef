"""A package of plug-in files goes in, a mapping from name to the one constant of each file comes out.

A plug-in is one file that holds one constant of a fixed name (``DRIVER``, ``COMPONENT``, ``CHANNEL``); third parties
add theirs by an entry point that names the constant. Two plug-ins of one name are an error that names both places,
never "first wins". Files whose name starts with an underscore are not plug-ins.
"""

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint, entry_points
from typing import Any, TypeVar

from ingest.errors import ProfileError

T = TypeVar("T")


def load(
    package: str,
    constant: str,
    kind: type[T],
    *,
    group: str = "",
    name: Callable[[T], str] | None = None,
    extra: tuple[EntryPoint, ...] | None = None,
) -> dict[str, T]:
    """Return every plug-in of ``package`` by its name, sorted.

    ``kind`` is a class or a ``runtime_checkable`` Protocol that each constant must satisfy. ``group`` is the entry
    point group of third parties; ``name`` says what a plug-in is called (default: its ``name`` attribute); ``extra``
    replaces the installed entry points in tests. Raises ProfileError for a missing constant, a wrong kind or a repeated
    name.
    """
    called: Callable[[T], str] = name if name is not None else lambda plugin: str(getattr(plugin, "name", ""))
    found: dict[str, tuple[str, T]] = {}
    for place, value in _places(package, constant, group, extra):
        plugin = _checked(place, constant, value, kind)
        label = called(plugin)
        if not label:
            raise ProfileError(f"{place}: {constant} has no name; give it one")
        if label in found:
            raise ProfileError(f"{place}: the name {label!r} is taken by {found[label][0]}; rename or remove one")
        found[label] = (place, plugin)
    return {label: found[label][1] for label in sorted(found)}


_ABSENT = object()


def _places(
    package: str, constant: str, group: str, extra: tuple[EntryPoint, ...] | None
) -> Iterator[tuple[str, object]]:
    """Yield (place, value) of each plug-in: files of the package in name order, then entry points in name order."""
    home = importlib.import_module(package)
    for info in sorted(pkgutil.iter_modules(home.__path__), key=lambda item: item.name):
        if not info.name.startswith("_"):
            module = importlib.import_module(f"{package}.{info.name}")
            yield module.__name__, getattr(module, constant, _ABSENT)
    points: Any = extra if extra is not None else (entry_points(group=group) if group else ())
    for point in sorted(points, key=lambda item: (item.name, item.value)):
        yield f"entry point {point.name} = {point.value}", point.load()


def _checked(place: str, constant: str, value: object, kind: type[T]) -> T:
    """Return ``value`` when it is of ``kind``; a file without its constant is refused, not skipped."""
    if value is _ABSENT:
        raise ProfileError(f"{place}: no constant {constant}; a plug-in file holds exactly one")
    if not isinstance(value, kind):
        raise ProfileError(f"{place}: {constant} is a {type(value).__name__}, wanted {kind.__name__}")
    return value
