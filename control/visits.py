"""One poll of a meter goes in; its visit, what it proves of the relay, and a clock order if one is due, are kept."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from control import evidence, settings, workorders
from control.records import Evidence, Service, Wanted
from control.settings import Settings
from control.signals import Visit
from ingest.records import Channel, Flag, Poll, RelayState
from storage.codec import from_ms
from storage.records import Install
from storage.unit import Unit

FAULTS = frozenset({"wrong_unit", "rollover", "swap", "stale_clock", "unstable_value", "falling_register", "clock_off"})
SPOILED = Flag.SUSPECT | Flag.CLOCK | Flag.SWAP | Flag.ROLLOVER | Flag.ESTIMATED
OTHER_METER = "other_meter"
CLOCK_BACK = timedelta(minutes=15)  # answers overtake each other by less
DRIFT_S = 600  # a clock this far off is a work order, not only a finding


def keep_all(unit: Unit, polls: Sequence[tuple[Poll, str]], limits: Settings) -> None:
    """``keep`` each of them with its account; what stands of all their meters is read at once.

    A meter that was visited twice, one whose relay is not where it was, and what calls for an order go the long way.
    """
    meters = [poll.meter for poll, _ in polls]
    visits, evidenced = (unit.tables.of(kind).spec.name for kind in (Visit, Evidence))
    shown = dict(_of(unit, f'SELECT meter, register_wh FROM "{visits}"', meters))
    known = {
        meter: (RelayState(state), from_ms(at))
        for meter, state, at in _of(unit, f'SELECT meter, state, "at" FROM "{evidenced}"', meters)
    }
    serials = _serials(unit, meters)
    plain: list[Visit] = []
    proofs: list[Evidence] = []
    for poll, account in polls:
        visit = _visit(poll, shown.get(poll.meter), serials.get(poll.meter, frozenset()), limits)
        found = evidence.of_poll(poll)
        new = found.evidence if found is not None and visit.fault != OTHER_METER else None
        stood = known.get(poll.meter)
        moved = new is not None and (stood is None or stood[0] is not new.state)
        drifts = poll.offset_s is not None and abs(poll.offset_s) > DRIFT_S
        strange = drifts or (found is not None and found.conflict)
        if moved or strange or meters.count(poll.meter) > 1:
            keep(unit, poll, account, limits)
            continue
        if poll.ok or poll.serial:
            plain.append(visit)
        if new is not None and stood is not None and not _older(new, stood[1]):
            proofs.append(new)
    unit.put_all(plain)
    unit.put_all(proofs)


def keep(unit: Unit, poll: Poll, account: str, limits: Settings) -> Visit:
    """Write visit and evidence of ``poll``; a visit that read nothing replaces nothing."""
    serials = _serials(unit, [poll.meter]).get(poll.meter, frozenset())
    before = unit.get(Visit, poll.meter)
    visit = _visit(poll, before.register_wh if before is not None else None, serials, limits)
    if poll.ok or poll.serial:
        unit.put(visit)
    found = evidence.of_poll(poll)
    if found is not None and visit.fault != OTHER_METER:
        observe(unit, found.evidence)
        _tampered(unit, visit, account, found.conflict)
    if poll.offset_s is not None and abs(poll.offset_s) > DRIFT_S:
        workorders.order(unit, "clock_drift", account, poll.meter, cause=f"{poll.at:%Y-%m-%d}", at=visit.at)
    return visit


def _tampered(unit: Unit, visit: Visit, account: str, conflict: str) -> None:
    """Load behind a relay that says open, on an account that we cut: a bypass or a weld, one order per cut."""
    wanted = unit.get(Wanted, account) if conflict == "open_with_load" else None
    if wanted is not None and wanted.service is Service.DISCONNECTED:
        detail = f"{visit.power_w} W behind a relay that says open, disconnected since {wanted.since.isoformat()}Z"
        cause = f"open_with_load-{wanted.since.isoformat()}"
        workorders.order(unit, "tamper", account, visit.meter, cause=cause, at=visit.at, detail=detail)


def _visit(poll: Poll, before_wh: int | None, serials: frozenset[str], limits: Settings) -> Visit:
    """What a poll says of the visit; ``before_wh`` is the last one's register, ``serials`` those installed there.

    Another device than the one installed says nothing about this customer's relay.
    """
    other = bool(poll.serial) and bool(serials) and poll.serial not in serials
    register = next((read for read in poll.reads if read.channel == Channel.IMPORT), None)
    shown = poll.register_wh if poll.register_wh is not None else register.register_wh if register else None
    return Visit(
        meter=poll.meter,
        at=settings.to_ms(poll.at),
        serial=poll.serial,
        register_wh=shown,
        power_w=poll.power_w,
        offset_s=poll.offset_s,
        monotone=_monotone(before_wh, shown),
        fault=OTHER_METER if other else _fault(poll, register.flags if register else 0, limits),
    )


def observe(unit: Unit, new: Evidence) -> None:
    """Keep newer evidence; a change of what we know is on the timeline.

    What was known much "later" than now was written under a clock that has been put right since: it must not hide what
    the relay says now.
    """
    known = unit.get(Evidence, new.meter)
    if known is not None and _older(new, known.at):
        return
    unit.put(new)
    if known is None or known.state is not new.state:
        before = known.state.value if known else RelayState.UNKNOWN.value
        unit.event("relay", new.at, meter=new.meter, before=before, after=new.state.value, source=new.source)


def _older(new: Evidence, known_at: datetime) -> bool:
    return new.at < known_at <= new.at + CLOCK_BACK


def fresh(visit: Visit | None, now: datetime, limits: Settings) -> bool:
    """Whether serial, register and load were read in a session young enough to disconnect upon."""
    if visit is None or visit.register_wh is None or visit.power_w is None or not visit.serial:
        return False
    return timedelta(0) <= now - visit.at <= timedelta(seconds=limits.fresh_read_s)


def _monotone(before_wh: int | None, register_wh: int | None) -> bool | None:
    """Whether the register went on from the last visit's; one session alone has nothing to compare with."""
    return None if register_wh is None or before_wh is None else register_wh >= before_wh


def _serials(unit: Unit, meters: Sequence[str]) -> dict[str, frozenset[str]]:
    """The serial numbers that stand installed under each meter's number."""
    table = unit.tables.of(Install).spec.name
    found: dict[str, frozenset[str]] = {}
    for meter, serial in _of(unit, f'SELECT meter, serial FROM "{table}"', meters, 'AND "end" IS NULL'):
        found[meter] = found.get(meter, frozenset()) | {serial}
    return found


def _of(unit: Unit, select: str, meters: Sequence[str], more: str = "") -> list[Any]:
    """The rows of some meters."""
    some = ", ".join("?" * len(meters))
    return unit.connection.execute(f"{select} WHERE meter IN ({some}) {more}", tuple(meters)).fetchall()


def _fault(poll: Poll, flags: int, limits: Settings) -> str:
    if poll.offset_s is not None and abs(poll.offset_s) > limits.device_clock_s:
        return "clock"
    for finding in poll.findings:
        if finding.code in FAULTS:
            return finding.code
    spoiled = Flag(flags) & SPOILED
    return (spoiled.name or "flagged").lower() if spoiled else ""
