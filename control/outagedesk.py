"""Word of an outage goes in, the outage as all words together say comes out, and every customer it touches is told.

Messages of one outage may come in any order, twice, or late: its end before its start ends it all the same, and what a
later word leaves empty stays as it was. Customers are told once per state: of planned works ahead, of supply that went,
of supply that is back; in slices, so that a whole feeder does not keep payments waiting.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from control import notices, outages, windows, workorders
from control.alerts import AlertDue
from control.assemble import World
from control.canonical import dumps
from control.fieldbook import ANNOUNCED, CANCELLED, OVER, STANDING, UNDER_WAY, Outage
from ingest.records import HandheldMessage
from storage.records import Account
from storage.unit import Unit

SLICE = 200  # accounts told in one transaction
OVERDUE = timedelta(hours=2)  # past the expected end without a word: somebody asks the crew
CODES = {ANNOUNCED: "outage_planned", UNDER_WAY: "outage_now", OVER: "outage_over", CANCELLED: "outage_cancelled"}
KEPT = ("expected_end", "meter", "transformer", "feeder", "work")


@dataclass(frozen=True, slots=True)
class Word:
    """One word of an outage: what it changes; "" and None change nothing."""

    outage: str
    by: str
    state: str = ""  # announced, over or cancelled; "" = by its start
    cause: str = ""
    start: datetime | None = None
    expected_end: datetime | None = None
    ended: datetime | None = None
    meter: str = ""
    transformer: str = ""
    feeder: str = ""
    work: str = ""


def of_message(message: HandheldMessage) -> Word:
    """A crew's message as a word."""
    name, by = message.outage or message.message_id, message.person or message.device
    if message.kind == "restored":
        return Word(name, by, OVER, ended=message.start or message.at, work=message.detail)
    return Word(
        name, by, "", message.cause or "fault", message.start or message.at, message.expected_end, None, message.meter,
        message.transformer, message.feeder, message.detail,
    )  # fmt: skip


def take(unit: Unit, word: Word, now: datetime) -> Outage:
    """Put one word to what is known of its outage, and write what changed to the timeline and the audit chain."""
    before = unit.get(Outage, word.outage)
    after = fold(before, word, now)
    if after != before:
        unit.put(after)
        unit.audit(word.by, f"outage.{after.state}", after.outage, {"word": dumps(word)}, now)
        _tell_timeline(unit, before, after, now)
    if after.state in (OVER, CANCELLED):
        overdue = workorders.identity("outage_overdue", "", after.outage)
        workorders.close(unit, overdue, now, by=word.by, state="cancelled")
    return after


def fold(before: Outage | None, word: Word, now: datetime) -> Outage:
    """What is known of an outage with one more word; the same for any order of its start and its end."""
    known = before or Outage(
        word.outage, word.cause or "fault", "", word.start or word.ended or now, now, word.by, work=""
    )
    changes = {name: value for name in KEPT if (value := getattr(word, name))}
    after = replace(known, **changes)
    if word.cause:
        after = replace(after, cause=word.cause)
    if word.start is not None:
        after = replace(after, start=word.start, by=word.by)
    if word.ended is not None:
        ended = word.ended if known.ended is None else min(word.ended, known.ended)
        after = replace(after, ended=ended)
    if word.state in (OVER, CANCELLED) or known.state in (OVER, CANCELLED):
        return replace(after, state=known.state if known.state in (OVER, CANCELLED) else word.state)
    return replace(after, state=ANNOUNCED if after.start > now else UNDER_WAY)


def _tell_timeline(unit: Unit, before: Outage | None, after: Outage, now: datetime) -> None:
    if before is not None and before.state == after.state:
        return
    where = after.meter or after.transformer or after.feeder or "-"
    if after.state == OVER:
        unit.event("outage_over", now, outage=after.outage, cause=after.cause, where=where, by=after.by)
    elif after.state == CANCELLED:
        unit.event("outage_cancelled", now, outage=after.outage, cause=after.cause, where=where, by=after.by)
    else:
        unit.event("outage", now, outage=after.outage, cause=after.cause, where=where, by=after.by, work=after.work)


def sweep(unit: Unit, world: World) -> int:
    """Let announced outages begin, ask for those that are overdue, tell the next slice of customers; how many."""
    told = 0
    for row in unit.find(Outage, state__in=list(STANDING), order="outage"):
        if row.state == ANNOUNCED and row.start <= world.now:
            row = replace(row, state=UNDER_WAY)
            unit.put(row)
            _tell_timeline(unit, None, row, world.now)
        if row.expected_end is not None and world.now - row.expected_end > OVERDUE:
            workorders.order(
                unit, "outage_overdue", "", row.meter or row.transformer or row.feeder, cause=row.outage, at=world.now,
                detail=f"expected end {row.expected_end.isoformat()}Z, {row.by} has not said that supply is back",
            )  # fmt: skip
    recent = world.now - timedelta(seconds=world.settings.notice_age_s)
    rows = unit.find(Outage, state__in=list(STANDING), order="outage")
    rows += unit.find(Outage, state__in=[OVER, CANCELLED], reported__ge=recent, order="outage")
    for row in rows:
        if told < SLICE and row.told_state != row.state:
            told += _tell(unit, row, world, SLICE - told)
    return told


def _tell(unit: Unit, row: Outage, world: World, most: int) -> int:
    """Tell the next customers of one outage; when all are told, its state is marked as told."""
    quiet = row.state == OVER and not row.told_state  # it was over before anybody was told: nothing to say
    left = [] if quiet else [name for name in outages.affected(unit, row, world.now) if name > row.told_to]
    for name in left[:most]:
        _notice(unit, row, name, world)
    if len(left) <= most:
        unit.put(replace(row, told_state=row.state, told_to=""))
    else:
        unit.put(replace(row, told_to=left[most - 1]))
    return min(len(left), most)


def _notice(unit: Unit, row: Outage, name: str, world: World) -> None:
    """One customer's notice, at the end of quiet hours; supply that is off now or back is told at once."""
    holder = unit.get(Account, name)
    policy = world.policies.get(holder.klass) if holder is not None else None
    if holder is None or policy is None:
        return
    shown = {
        "earliest": f"{windows.local(row.start, holder.zone):%m-%d %H:%M}",
        "until": f"{windows.local(row.expected_end, holder.zone):%m-%d %H:%M}" if row.expected_end else "",
        "call": policy.call,
    }
    later = None
    if row.state in (ANNOUNCED, CANCELLED) and row.start - world.now > timedelta(hours=12):
        later = windows.in_quiet(world.now, holder.zone, policy.quiet_from_min, policy.quiet_to_min)
    code = CODES[row.state]
    notices.announce(unit, name, AlertDue(f"{code}.{row.outage}", "customer", code, shown, later), world)
