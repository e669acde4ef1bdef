"""The name of a key and a number go in, invocation counters that nobody was ever given come out, durable before use.

A counter that is used twice under one key breaks AES-GCM, so what a crash leaves unused stays unused.
"""

from storage.records import InvocationCounter
from storage.store import Store
from storage.unit import Unit
from storage.writer import Priority


class Counters:
    """``ingest.ports.KeyStore`` on the home's store."""

    def __init__(self, store: Store) -> None:
        """Keep the rows in ``store``."""
        self._store = store

    def used(self, key: str) -> int:
        """The first counter of ``key`` that is still free."""
        row = self._store.read(lambda reader: reader.get(InvocationCounter, key))
        return 0 if row is None else row.used

    async def reserve(self, key: str, count: int) -> int:
        """The first of ``count`` counters that are the caller's alone; returns after the commit."""

        def take(unit: Unit) -> int:
            row = unit.get(InvocationCounter, key)
            first = 0 if row is None else row.used
            unit.put(InvocationCounter(key, first + count))
            return first

        return await self._store.commit(Priority.COMMAND, take)
