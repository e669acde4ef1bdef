"""What relays and payers did goes in beside what the engine wrote down; whatever does not agree comes out.

An auditor stands outside the engine. It keeps its own notebook of payments and reads the metal; of the engine it takes
rows, never a word of how they came about. The rules go by the ids of the safety page: S1 money, S4 orders, S6 who may
never be opened, and E for energy that was counted.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from control import windows
from control.policy import Policy
from control.records import Action, Command, CommandEvent
from control.violations import Violation
from ingest.records import RelayState
from sim.customers import WATTS_MAX
from sim.meters import SimMeter
from sim.town import Town
from storage.records import Posting
from storage.store import Store
from storage.unit import Reader

READ_WITHIN = timedelta(minutes=7)  # a register counts for its slot's end that long: so much energy may stray
REGISTER_STEP_WH = 20
SLACK = timedelta(minutes=1)  # an order that left in an open window arrives


@dataclass(slots=True)
class Auditor:
    """Collects while the world runs; ``meters`` by number, ``policies`` by class."""

    town: Town
    meters: Mapping[str, SimMeter]
    policies: Mapping[str, Policy]
    paid: dict[str, dict[str, int]] = field(default_factory=dict)  # account -> payment id -> micro

    def took(self, account: str, payment: str, amount_micro: int) -> None:
        """The engine took this payment, and said so."""
        self.paid.setdefault(account, {})[payment] = amount_micro

    def look(self, store: Store, now: datetime) -> list[Violation]:
        """Everything that does not agree at ``now``."""
        found = store.read(lambda reader: [*self._money(reader, now), *self._orders(reader, now)])
        return [*found, *self._openings(now), *self._energy(store, now)]

    def _money(self, reader: Reader, now: datetime) -> Iterator[Violation]:
        """Each payment that was taken stands in the ledger once, and nothing else does."""
        for site in self.town.sites:
            name = site.account.account
            rows = reader.find(Posting, ledger_account=f"customer:{name}")
            kept = {row.source_id: row.amount_micro for row in rows if row.source.startswith("payment:")}
            if kept != self.paid.get(name, {}):
                yield Violation("S1", now, name, f"paid {self.paid.get(name, {})}, in the ledger {kept}")

    def _orders(self, reader: Reader, now: datetime) -> Iterator[Violation]:
        """Whatever opened did so for an order that had left and was still valid."""
        for site in self.town.sites:
            meter = site.point.meter
            orders = reader.find(Command, meter=meter, action=Action.DISCONNECT)
            sent = [
                (row.at, order.valid_until)
                for order in orders
                for row in reader.find(CommandEvent, command=order.command, event="send")
            ]
            for at, state, cause in self.meters[meter].relay_changes:
                if state is RelayState.OPEN and not any(left - SLACK <= at < until for left, until in sent):
                    yield Violation("S4", now, site.account.account, f"{meter} opened at {at} ({cause}) for no order")

    def _openings(self, now: datetime) -> Iterator[Violation]:
        """Nobody protected was opened, and nobody outside the window."""
        for site in self.town.sites:
            policy, zone = self.policies[site.account.klass], site.account.zone
            for at, state, _ in self.meters[site.point.meter].relay_changes:
                if state is not RelayState.OPEN:
                    continue
                if site.protected:
                    yield Violation("S6", now, site.account.account, f"protected, and opened at {at}")
                why = windows.shut(policy, at - SLACK, zone)
                if why and windows.shut(policy, at, zone):
                    yield Violation("S6", now, site.account.account, f"opened at {at}: {why}")

    def _energy(self, store: Store, now: datetime) -> Iterator[Violation]:
        """What was counted is what flowed, but for what a late reading may shift over the ends."""
        table = store.intervals(self.town.start, now)
        ends = table.column("end").to_pylist()
        counted: dict[int, tuple[int, datetime, datetime]] = {}
        for meter, end, minutes, wh in zip(
            table.column("meter_id").to_pylist(), ends, table.column("minutes").to_pylist(),
            table.column("energy_wh").to_pylist(), strict=True,
        ):  # fmt: skip
            total, first, last = counted.get(meter, (0, end - timedelta(minutes=minutes), end))
            counted[meter] = (total + wh, min(first, end - timedelta(minutes=minutes)), max(last, end))
        most_wh = int(WATTS_MAX * READ_WITHIN.total_seconds()) // 3600 + REGISTER_STEP_WH
        for site in self.town.sites:
            known = counted.get(site.point.meter_id)
            if known is None:
                continue
            total, first, last = known
            flowed = _register(self.meters[site.point.meter], last) - _register(self.meters[site.point.meter], first)
            if abs(total - flowed) > most_wh:
                yield Violation("E", now, site.account.account, f"{total} Wh counted, {flowed} Wh flowed")


def _register(metal: SimMeter, at: datetime) -> int:
    """The register at a full hour, by the meter's own profile; its first one before that."""
    rows = metal.profile
    return next((wh for end, wh in reversed(rows) if end <= at), metal.first_wh)
