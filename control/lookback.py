"""Accounts go in, their relays are read back, and what they say is kept; also those that an old order may still reach.

A plain meter knows no fence: an order to disconnect that timed out may lie in a gateway's buffer and open the relay
after the reconnection was verified. Until its validity is over, and some time longer, such meters are looked at in each
sweep; what is found open is brought back by the ordinary rules, and is an incident.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from control import assemble, evidence, incidents, visits
from control.assemble import World
from control.dispatch import Dispatcher
from control.records import Action, Command, CommandState, Evidence, Service, Wanted
from ingest.ports import Link
from ingest.records import MeterPoint, RelayState
from storage.records import Install
from storage.store import Store
from storage.unit import Reader, Unit
from storage.writer import Priority

LATE = timedelta(minutes=30)  # after its validity: clocks differ, buffers are slow
NOT_DONE = tuple(
    state.value
    for state in (
        CommandState.SUPERSEDED, CommandState.EXPIRED, CommandState.FAILED, CommandState.REFUSED, CommandState.CANCELLED
    )
)  # fmt: skip


def stray(reader: Reader, world: World) -> list[Command]:
    """Disconnections that left, ended without effect, and could still arrive; the newest of each meter."""
    rows = reader.find(
        Command, valid_until__gt=world.now - LATE, action=Action.DISCONNECT, state__in=list(NOT_DONE), order="fence"
    )
    return list({row.meter: row for row in rows if row.attempts}.values())


def arrived(unit: Unit, orders: Sequence[Command], world: World) -> int:
    """File an incident for each stray order whose meter is open though nobody wants it so."""
    count = 0
    for command in orders:
        seen = unit.get(Evidence, command.meter)
        install = next((row for row in unit.find(Install, meter=command.meter, end__null=True)), None)
        wanted = unit.get(Wanted, install.account) if install else None
        on = wanted is None or wanted.service not in (Service.DISCONNECTED, Service.ARMED_FOR_DISCONNECT)
        since = command.sent_at or command.updated
        if seen is None or seen.state is not RelayState.OPEN or seen.at < since or not on or install is None:
            continue
        incidents.file(
            unit, "late_disconnect", world.now, account=install.account, command=command.command,
            detail=f"{command.meter} opened by an order of {since.isoformat()}Z that had ended: {command.outcome}",
        )  # fmt: skip
        count += 1
    return count


@dataclass(frozen=True, slots=True)
class LookBack:
    """Reads relays through the dispatcher's own link calls; silence changes nothing that is known."""

    store: Store
    dispatcher: Dispatcher
    links: Callable[[], Mapping[str, Link]]
    world: Callable[[], World]

    async def accounts(self, names: Sequence[str]) -> None:
        """Read back the relay of each account's meter."""
        now = self.world().now
        found = [self.store.read(lambda reader, name=name: assemble.meter_of(reader, name, now)) for name in names]  # type: ignore[misc]
        await self.meters([install.meter for install in found if install is not None])

    async def strays(self) -> None:
        """Look where an order that ended may still arrive."""
        orders = self.store.read(lambda reader: stray(reader, self.world()))
        if not orders:
            return
        await self.meters([command.meter for command in orders])
        await self.store.commit(Priority.COMMAND, lambda unit: arrived(unit, orders, self.world()))

    async def meters(self, meters: Sequence[str]) -> None:
        """Read back the relay of each meter, so many at a time."""
        turn = asyncio.Semaphore(self.world().settings.concurrency)

        async def one(meter: str) -> None:
            points = self.store.read(lambda reader: reader.find(MeterPoint, meter=meter))
            link = self.links().get(points[0].gateway) if points else None
            if link is None:
                return
            async with turn:
                seen = evidence.seen(await self.dispatcher.read_back(link, points[0]))
            if seen.state is not RelayState.UNKNOWN or seen.conflict:
                await self.store.commit(Priority.COMMAND, lambda unit: visits.observe(unit, seen.evidence))

        await asyncio.gather(*[one(meter) for meter in meters])
