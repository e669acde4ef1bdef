"""One measuring point of a terminal goes in, its registers, load, clock and control states come out: one visit.

Every answer names the terminal and the point; a register carries the time at which the terminal read its meter, and
that time, not ours, says which slot it can close. Refusals are ``WireRefusal`` and stay inside ``links``.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from ingest.errors import WireRefusal
from ingest.links.dialin import Session
from ingest.ports import Clock
from ingest.records import Finding, MeterPoint, RelayReport, RelayState
from ingest.terminalmodel import TerminalDriver
from ingest.wire import qgdw376_items as items
from ingest.wire.modbus import Refusal
from ingest.wire.qgdw376 import Afn, Control, Frame, Tag, address_of, encode, sequence
from ingest.wire.qgdw376_items import Unit
from ingest.wire.qgdw376_orders import unit

MASTER = 1
"""Our address as a master station (MSA)."""
CLOCK, STATE, OUTPUTS = 2, 5, 6


@dataclass(slots=True)
class TerminalVisit:
    """What one visit gathers; ``serial`` is who answered, "" before."""

    session: Session
    clock: Clock
    gateway: str
    point: MeterPoint
    driver: TerminalDriver
    timeout_s: float
    serial: str = ""
    offset_s: int | None = None
    load: items.Load | None = None
    state: items.ControlState | None = None
    outputs: items.Outputs | None = None
    permitted: bool = False
    findings: list[Finding] = field(default_factory=list)
    raw: list[tuple[bytes, bytes]] = field(default_factory=list)

    async def look(self) -> None:
        """Clock, control state and outputs of the terminal, load of the point; WireRefusal ends the visit."""
        expected = f"{self.session.name}-{self.point.unit}"
        if self.point.serial not in ("", expected):
            raise WireRefusal("wrong_unit", f"{expected} answers, {self.point.serial} is expected: correct its serial")
        clock = await self.read(CLOCK, 0)
        self.serial = expected
        local = items.clock_of(clock.data)
        self.offset_s = round((self.utc(local) - self.clock.now()).total_seconds())
        await self.look_at_control()
        if self.driver.load_fn and (shown := await self.optional(self.driver.load_fn)) is not None:
            self.load = items.load(shown)

    async def look_at_control(self) -> None:
        """What the terminal holds in force (F5) and holds tripped (F6), where it tells that."""
        state, outputs = await self.optional(STATE, 0), await self.optional(OUTPUTS, 0)
        self.state = items.control_state(state) if state is not None else None
        self.outputs = items.outputs(outputs) if outputs is not None else None

    async def register(self, fn: int) -> items.Registers | None:
        """Energy of one direction; None for what the terminal does not have."""
        shown = await self.optional(fn)
        return None if shown is None else items.registers(shown)

    async def frozen(self, fn: int, day: datetime) -> items.Registers | None:
        """The daily freeze of ``day`` (local midnight at its beginning)."""
        shown = await self.optional(fn, afn=Afn.CLASS2, data=items.day_bytes(day))
        return None if shown is None else items.registers(shown)

    async def optional(
        self, fn: int, pn: int | None = None, *, afn: Afn = Afn.CLASS1, data: bytes = b""
    ) -> Unit | None:
        """One item, None when the terminal denies it."""
        try:
            return await self.read(fn, pn, afn=afn, data=data)
        except WireRefusal as refusal:
            if refusal.reason not in ("device_denied", "no_data"):
                raise
            return None

    async def read(self, fn: int, pn: int | None = None, *, afn: Afn = Afn.CLASS1, data: bytes = b"") -> Unit:
        """One item of this point (or of ``pn``); WireRefusal instead of an answer that cannot be trusted."""
        pn = self.point.unit if pn is None else pn
        answer = await self.ask(Control.ASK_2, afn, unit(pn, fn, data))
        found = items.units(answer)
        if not found:
            raise WireRefusal("no_data", f"AFN {afn:02X} F{fn} p{pn}")
        if answer.afn != afn or len(found) != 1 or (found[0].pn, found[0].fn) != (pn, fn):
            raise WireRefusal("wrong_unit", f"F{found[0].fn} p{found[0].pn} answers F{fn} p{pn}")
        self.raw.append((unit(pn, fn, data), encode(answer)))
        return found[0]

    async def ask(self, control: int, afn: Afn, body: bytes, *, password: bytes = b"", tag: Tag | None = None) -> Frame:
        """One exchange; a denial is the WireRefusal ``device_denied``."""
        seq = sequence(0, confirm=afn == Afn.CONTROL)
        frame = Frame(control, address_of(self.session.name, MASTER), afn, seq, body, password=password, tag=tag)
        answer = await self.session.ask(frame, timeout_s=self.timeout_s)
        if isinstance(answer, Refusal):
            raise WireRefusal(answer.reason, answer.detail)
        if answer.afn == Afn.CONFIRM:
            _confirmed(answer)
        return answer

    def report(self) -> RelayReport:
        """The relay as the terminal's outputs say: what it holds tripped is open, the rest is closed.

        After a permission a breaker without load is ``ready``: a person closes it.
        """
        state = RelayState.UNKNOWN
        power_w = self.load.power_w if self.load is not None else None
        if self.outputs is not None:
            waits = self.permitted and self.driver.closes == "permit" and not power_w
            free = RelayState.READY if waits else RelayState.CLOSED
            state = RelayState.OPEN if self.outputs.tripped(self.driver.control_round) else free
        return RelayReport(self.point.meter, self.clock.now(), state, power_w=power_w, source="read_back")

    def found(self, code: str, detail: str) -> None:
        """Note one finding of this visit."""
        self.findings.append(Finding(code, self.clock.now(), self.point.meter, self.gateway, detail))

    def local(self, at: datetime) -> datetime:
        """A UTC time on the wall where the terminal hangs."""
        return at.replace(tzinfo=UTC).astimezone(ZoneInfo(self.point.zone)).replace(tzinfo=None)

    def utc(self, at: datetime) -> datetime:
        """A time on that wall in UTC."""
        return at.replace(tzinfo=ZoneInfo(self.point.zone)).astimezone(UTC).replace(tzinfo=None)

    def read_at(self, at: datetime) -> datetime:
        """When the terminal read a meter, by our clock: its own clock's error taken off."""
        return self.utc(at) - timedelta(seconds=self.offset_s or 0)


def _confirmed(answer: Frame) -> None:
    """Raise WireRefusal unless everything was taken."""
    for one in items.units(answer):
        errors = items.denials(one) if one.fn == 3 else {}
        if one.fn not in (1, 3) or any(errors.values()):
            raise WireRefusal("device_denied", f"errors {sorted(filter(None, errors.values()))}" if errors else "")
