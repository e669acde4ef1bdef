"""One poll of a meter goes in; its visit, what it proves of the relay, and a clock order if one is due, are kept."""

from datetime import datetime, timedelta

from control import evidence, settings, workorders
from control.records import Evidence, Service, Wanted
from control.settings import Settings
from control.signals import Visit
from ingest.records import Channel, Flag, Poll, RelayState
from storage.records import Install
from storage.unit import Unit

FAULTS = frozenset({"wrong_unit", "rollover", "swap", "stale_clock", "unstable_value", "falling_register", "clock_off"})
SPOILED = Flag.SUSPECT | Flag.CLOCK | Flag.SWAP | Flag.ROLLOVER | Flag.ESTIMATED
OTHER_METER = "other_meter"
CLOCK_BACK = timedelta(minutes=15)  # answers overtake each other by less
DRIFT_S = 600  # a clock this far off is a work order, not only a finding


def keep(unit: Unit, poll: Poll, account: str, limits: Settings) -> Visit:
    """Write visit and evidence of ``poll``; a visit that read nothing replaces nothing."""
    before = unit.get(Visit, poll.meter)
    register = next((read for read in poll.reads if read.channel == Channel.IMPORT), None)
    shown = poll.register_wh if poll.register_wh is not None else register.register_wh if register else None
    monotone = _monotone(before, shown)
    visit = Visit(
        meter=poll.meter,
        at=settings.to_ms(poll.at),
        serial=poll.serial,
        register_wh=shown,
        power_w=poll.power_w,
        offset_s=poll.offset_s,
        monotone=monotone,
        fault=OTHER_METER if _other(unit, poll) else _fault(poll, register.flags if register else 0, limits),
    )
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


def observe(unit: Unit, new: Evidence) -> None:
    """Keep newer evidence; a change of what we know is on the timeline.

    What was known much "later" than now was written under a clock that has been put right since: it must not hide what
    the relay says now.
    """
    known = unit.get(Evidence, new.meter)
    if known is not None and new.at < known.at <= new.at + CLOCK_BACK:
        return
    unit.put(new)
    if known is None or known.state is not new.state:
        before = known.state.value if known else RelayState.UNKNOWN.value
        unit.event("relay", new.at, meter=new.meter, before=before, after=new.state.value, source=new.source)


def fresh(visit: Visit | None, now: datetime, limits: Settings) -> bool:
    """Whether serial, register and load were read in a session young enough to disconnect upon."""
    if visit is None or visit.register_wh is None or visit.power_w is None or not visit.serial:
        return False
    return timedelta(0) <= now - visit.at <= timedelta(seconds=limits.fresh_read_s)


def _monotone(before: Visit | None, register_wh: int | None) -> bool | None:
    """Whether the register went on from the last visit's; one session alone has nothing to compare with."""
    if register_wh is None:
        return None
    if before is None or before.register_wh is None:
        return None
    return register_wh >= before.register_wh


def _other(unit: Unit, poll: Poll) -> bool:
    """Whether another device answered than the one installed: its relay says nothing about this customer's."""
    if not poll.serial:
        return False
    table = unit.tables.of(Install).spec.name
    sql = f'SELECT serial FROM "{table}" WHERE meter = ? AND "end" IS NULL'
    here = {row[0] for row in unit.connection.execute(sql, (poll.meter,))}
    return bool(here) and poll.serial not in here


def _fault(poll: Poll, flags: int, limits: Settings) -> str:
    if poll.offset_s is not None and abs(poll.offset_s) > limits.device_clock_s:
        return "clock"
    for finding in poll.findings:
        if finding.code in FAULTS:
            return finding.code
    spoiled = Flag(flags) & SPOILED
    return (spoiled.name or "flagged").lower() if spoiled else ""
