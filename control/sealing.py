"""A look ahead over everybody goes in; their forecasts, sealed once a day on the prices of that day, come out."""

from collections.abc import Mapping
from itertools import islice

from control import outlooks, pricebasis
from control.assemble import Outlook, World
from control.credit import Owing
from control.signals import Signal
from storage.store import Store
from storage.unit import Unit
from storage.writer import Priority

SEALED = "forecast.sealed"
AT_ONCE = 1_000  # of one commit: a payment waits for it


def due(store: Store, world: World) -> bool:
    """Whether today's forecasts are not sealed yet."""
    sealed = store.read(lambda reader: reader.get(Signal, SEALED))
    return sealed is None or sealed.value != f"{world.now:%Y-%m-%d}"


async def seal(store: Store, world: World, cases: Mapping[str, Owing], known: Mapping[str, Outlook]) -> None:
    """First whose prices changed since yesterday, in a commit of its own; then everybody's forecast; then the day."""
    code = pricebasis.rating_code()
    await store.commit(Priority.BATCH, lambda unit: pricebasis.mark(unit, world.now, code))
    left = iter(cases.items())
    while part := [outlooks.seal(case, known.get(name), world.now) for name, case in islice(left, AT_ONCE)]:
        await store.commit(Priority.BATCH, lambda unit, part=part: unit.add_all(part))  # type: ignore[misc]
    await store.commit(Priority.BATCH, lambda unit: _done(unit, world))


def _done(unit: Unit, world: World) -> None:
    unit.put(Signal(SEALED, f"{world.now:%Y-%m-%d}", world.now))
