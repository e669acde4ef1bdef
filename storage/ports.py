"""What the parts of a store ask of the whole: transactions and snapshots in, named crash steps and file numbers out."""

from collections.abc import Callable
from typing import Protocol, TypeVar

import pyarrow as pa

from storage.unit import Reader, Unit
from storage.writer import Priority

T = TypeVar("T")


class Home(Protocol):
    """The open home that a part belongs to (``storage.store.Store``)."""

    durable: bool

    def read(self, work: Callable[[Reader], T]) -> T:
        """Run ``work`` on a snapshot of what is committed."""
        ...

    def write(self, priority: Priority, work: Callable[[Unit], T]) -> T:
        """Run ``work`` in one transaction of the one writer."""
        ...

    def tail(self, name: str, reader: Reader) -> pa.Table:
        """The open batches of a dataset as ``reader`` sees them."""
        ...

    def crash(self, name: str) -> None:
        """Pass a named step."""
        ...

    def next_file(self) -> int:
        """A number that no lake file of this home has."""
        ...
