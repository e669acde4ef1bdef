"""ablations: every safeguard by name, how to take it away, and the test that turns red without it.

A row is one ``Safeguard``; the folder's modules hold the rows by subject, ``registry`` joins them, ``test_ablations``
takes each away in turn and runs just its check, ``page`` writes docs/reference/ablations.md from the same rows.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from types import MappingProxyType
from typing import Any

import pytest

Removal = Callable[[pytest.MonkeyPatch], None]


@dataclass(frozen=True, slots=True)
class Safeguard:
    """One safeguard: ``check`` is the pytest node that must turn red once ``remove`` was applied."""

    name: str
    group: str
    stops: str  # what would happen without it
    check: str
    remove: Removal
    red: tuple[str, ...] = ("AssertionError", "Failed")  # kinds of failure that are this check's own word


def swap(target: str, value: Any) -> Removal:
    """Put ``value`` in the place of ``module:name`` or ``module:Class.name``."""

    def remove(patch: pytest.MonkeyPatch) -> None:
        owner, name = _place(target)
        getattr(owner, name)  # a name that is gone must not pass for one that is taken away
        patch.setattr(owner, name, value)

    return remove


def wrap(target: str, around: Callable[[Any], Any]) -> Removal:
    """Put ``around(what stands there)`` in the place of ``module:name``."""

    def remove(patch: pytest.MonkeyPatch) -> None:
        owner, name = _place(target)
        patch.setattr(owner, name, around(getattr(owner, name)))

    return remove


def entry(target: str, key: str, value: Any) -> Removal:
    """The mapping at ``module:name`` with ``value`` under ``key``."""

    def replaced(known: Mapping[str, Any]) -> Mapping[str, Any]:
        assert key in known, f"{target} has no {key}"
        return MappingProxyType({**known, key: value})

    return wrap(target, replaced)


def both(*removals: Removal) -> Removal:
    """Several removals that only together take the safeguard away."""

    def remove(patch: pytest.MonkeyPatch) -> None:
        for one in removals:
            one(patch)

    return remove


def constant(value: Any) -> Callable[..., Any]:
    """A function that always gives ``value``."""

    def always(*_: Any, **__: Any) -> Any:
        return value

    return always


def _place(target: str) -> tuple[Any, str]:
    module, _, path = target.partition(":")
    owner: Any = import_module(module)
    *inner, name = path.split(".")
    for part in inner:
        owner = getattr(owner, part)
    return owner, name
