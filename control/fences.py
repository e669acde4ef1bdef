"""A meter's name goes in, the last fence that left for it comes out; raising it is durable before anything is sent.

Two memories, each of which drops what is not above it: the engine's own (row ``<meter>``), raised in the commit that
marks a command as sent, and the gateway side's (row ``gateway/<meter>``), which a link raises just before its bytes
leave. A duplicate or late delivery meets the second one even when the engine has long forgotten the command.
"""

from control.commands import ENDS
from control.errors import OutOfDate
from control.records import Action, Command, Fence
from control.signals import KILL_SWITCH, Signal
from storage.store import Store
from storage.unit import Reader, Unit
from storage.writer import Priority

GATEWAY = "gateway/"


def last(reader: Reader, meter: str) -> int:
    """The last fence that the engine let leave for ``meter``; 0 = none yet."""
    row = reader.get(Fence, meter)
    return 0 if row is None else row.fence


def following(reader: Reader, meter: str) -> int:
    """The next free fence: above all that left the engine or a link, and above every command made for it."""
    newest = reader.find(Command, meter=meter, order="-fence", limit=1)
    return 1 + max(last(reader, meter), last(reader, GATEWAY + meter), newest[0].fence if newest else 0)


def lift(unit: Unit, meter: str, fence: int) -> bool:
    """Raise the engine's fence inside a transaction; False (and nothing changes) unless ``fence`` is above the last."""
    if fence <= last(unit, meter):
        return False
    unit.put(Fence(meter, fence))
    return True


class Fences:
    """``ingest.ports.FenceStore`` for links: the gateway side's memory, each raise its own durable commit."""

    def __init__(self, store: Store) -> None:
        """Keep the rows in ``store``."""
        self._store = store

    def last(self, meter: str) -> int:
        """The last fence that a link let leave for ``meter``."""
        return self._store.read(lambda reader: last(reader, GATEWAY + meter))

    async def raise_to(self, meter: str, fence: int) -> None:
        """Return only after ``fence`` is committed; never lowers it. OutOfDate: the order must not leave any more."""
        why = await self._store.commit(Priority.COMMAND, lambda unit: self._raise(unit, meter, fence))
        if why:
            raise OutOfDate(meter, fence, why)

    def _raise(self, unit: Unit, meter: str, fence: int) -> str:
        """The last look before bytes leave: a payment may have ended the command since its send was committed."""
        for command in unit.find(Command, meter=meter, fence=fence):
            if command.state in ENDS:
                return command.state.value
            kill = unit.get(Signal, KILL_SWITCH) if command.action is Action.DISCONNECT else None
            if kill is not None and kill.value == "on":
                return KILL_SWITCH
        lift(unit, GATEWAY + meter, fence)
        return ""
