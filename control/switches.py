"""A person's word on the kill switch or on a tripped breaker goes in; what it changes, audited, comes out.

One person pulls the kill switch and two reset it. Two persons release what the breaker keeps back, or drop it: then
none of it leaves today, and tomorrow is planned anew. Each gives their word alone, from their own login; a word counts
once however the name is written, and one that was given before the breaker tripped counts for nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from control import breaker, carry, incidents, journal, passes, signals
from control.assemble import World
from control.breaker import KillSwitch
from control.commands import LEFT
from control.records import Action, Command, Decision, Incident
from control.signals import Signal
from storage.unit import Reader, Unit

RESETS = "kill_switch.resets"
RELEASE, DROP = "release", "drop"
WORDS = {RELEASE: "breaker.releasing", DROP: "breaker.dropping"}
KEPT_LIMIT = 1000  # quarantined accounts that are named


@dataclass(frozen=True, slots=True)
class Standing:
    """Kill switch and breaker as they stand: since when, why, who has said what, and whom the breaker keeps back."""

    kill: KillSwitch
    pulled_at: datetime | None
    tripped_at: datetime | None
    dropped: bool
    reason: str
    releasing: tuple[str, ...]
    dropping: tuple[str, ...]
    kept: tuple[str, ...]

    @property
    def tripped(self) -> bool:
        """Whether the breaker waits for two persons."""
        return self.tripped_at is not None and not self.dropped


def standing(reader: Reader, now: datetime) -> Standing:
    """Both switches, and the accounts whose last decision today was held by the breaker alone."""
    state = reader.get(Signal, signals.BREAKER)
    word = signals.breaker_word(state, now)
    at = state.at if state is not None and word else None
    incident = reader.get(Incident, _trip(at)) if at is not None else None
    said = {what: _said(reader, name, at) for what, name in WORDS.items()}
    pulled = reader.get(Signal, signals.KILL_SWITCH)
    return Standing(
        kill=_kill(reader),
        pulled_at=pulled.at if pulled is not None and pulled.value == "on" else None,
        tripped_at=at,
        dropped=word == signals.DROPPED,
        reason=incident.detail if incident is not None else "",
        releasing=said[RELEASE],
        dropping=said[DROP],
        kept=_kept(reader, at) if at is not None else (),
    )


def pull(unit: Unit, person: str, reason: str, world: World) -> KillSwitch:
    """Stop disconnections and limits at once; pulled again, the resets agreed so far are forgotten."""
    before = _kill(unit)
    after = breaker.pull(before, passes.plain_name(person))
    unit.audit(person, "kill_switch.pull", "kill_switch", {"reason": reason}, world.now)
    unit.put(Signal(RESETS, "", world.now, person))
    if not before.pulled:
        unit.put(Signal(signals.KILL_SWITCH, "on", world.now, after.pulled_by))
        incidents.file(unit, "kill_switch", world.now, cause=f"{world.now}", detail=f"{after.pulled_by}: {reason}")
    return after


def reset(unit: Unit, person: str, world: World) -> KillSwitch:
    """One more person agrees to let disconnections go again; the second, another one, does it."""
    known, pulled = _kill(unit), unit.get(Signal, signals.KILL_SWITCH)
    if not known.pulled or pulled is None:
        return known
    after = breaker.reset(known, passes.plain_name(person))
    unit.audit(person, "kill_switch.reset", "kill_switch", {"done": not after.pulled}, world.now)
    unit.put(Signal(RESETS, ",".join(after.resets), world.now, person))
    if not after.pulled:
        unit.put(Signal(signals.KILL_SWITCH, "off", world.now, person))
        incidents.close(unit, incidents.identity("kill_switch", "", f"{pulled.at}"), world.now, by=person)
    return after


def say(unit: Unit, what: str, person: str, world: World) -> tuple[str, ...]:
    """One more person's word to release or to drop what the breaker keeps back; who has said it, all together.

    The second one, another person, does it. () when the breaker has not tripped.
    """
    now = standing(unit, world.now)
    if not now.tripped or now.tripped_at is None:
        return ()
    before = now.releasing if what == RELEASE else now.dropping
    persons = tuple(sorted({*before, passes.plain_name(person)}))
    unit.put(Signal(WORDS[what], ",".join(persons), world.now, person))
    unit.audit(person, f"breaker.{what}.word", "breaker", {"persons": list(persons)}, world.now)
    if what == RELEASE:
        done = passes.release(unit, persons, "engine", world)
    else:
        done = _drop(unit, persons, world)
    if done:
        incidents.close(unit, _trip(now.tripped_at), world.now, by=",".join(persons))
    return persons


def unsent(reader: Reader) -> list[Command]:
    """Disconnections that have not left: what a drop cancels."""
    return [row for row in journal.live(reader, action=Action.DISCONNECT) if row.state not in LEFT and not row.attempts]


def _drop(unit: Unit, persons: Sequence[str], world: World) -> bool:
    """Nothing of it leaves today: what is queued ends, and the breaker stays open until the day is over."""
    if not breaker.may_release(persons, "engine"):
        return False
    by = ",".join(persons)
    for command in unsent(unit):
        carry.cancel(unit, command.command, world, by=by, reason="dropped")
    unit.put(Signal(signals.BREAKER, signals.dropped_on(world.now), world.now, by))
    unit.audit(persons[0], "breaker.drop", "breaker", {"persons": list(persons)}, world.now)
    return True


def _trip(at: datetime) -> str:
    """The incident that the breaker filed when it tripped."""
    return incidents.identity("breaker_tripped", "", f"{at:%Y-%m-%d}")


def _kill(reader: Reader) -> KillSwitch:
    pulled, resets = reader.get(Signal, signals.KILL_SWITCH), reader.get(Signal, RESETS)
    if pulled is None or pulled.value != "on":
        return KillSwitch()
    agreed = resets.value.split(",") if resets is not None and resets.value and resets.at >= pulled.at else ()
    return KillSwitch(pulled.by, tuple(agreed))


def _said(reader: Reader, name: str, since: datetime | None) -> tuple[str, ...]:
    row = reader.get(Signal, name)
    if row is None or since is None or row.at < since or not row.value:
        return ()
    return tuple(row.value.split(","))


def _kept(reader: Reader, since: datetime) -> tuple[str, ...]:
    """Accounts whose last word since then is that the breaker, and nothing else, holds them back."""
    table = reader.tables.of(Decision).spec.name
    rows = reader.find(Decision, at__ge=since, reason="G9", order="at", limit=KEPT_LIMIT)
    found = []
    for account in dict.fromkeys(row.account for row in rows):
        sql = f'SELECT reason FROM "{table}" WHERE account = ? ORDER BY "at" DESC, decision LIMIT 1'
        if reader.connection.execute(sql, (account,)).fetchone() == ("G9",):
            found.append(account)
    return tuple(found)
