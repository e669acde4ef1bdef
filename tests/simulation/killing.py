"""A seed, a number and a quiet run's times go in; where and when the daemon dies comes out, and kills it there."""

import random
import threading
import time
from collections import Counter
from dataclasses import dataclass, field

from control.records import Command
from storage.pulse import pulse
from storage.unit import Reader
from tests.simulation import facts
from tests.simulation.day import LIVE, Day, Moment, command_states
from tests.simulation.processes import Died

KINDS = ("cycle", "paid", "flight", "start")
"""Uniformly over the wall time of the day's work; right after a payment's 200; with a command under way; starting."""
STARTUP_S, DEAD_S, GLANCE_S = 2.5, 5.0, 0.0005


@dataclass(frozen=True, slots=True)
class Strike:
    """One kill: its kind, and seconds (cycle, start), the acknowledgement's number (paid) or a state (flight)."""

    kind: str
    after: float = 0.0
    state: str = ""


def shares(kills: int) -> dict[str, int]:
    """How many kills of each kind.

    >>> shares(6), shares(50)
    ({'cycle': 3, 'paid': 1, 'flight': 1, 'start': 1}, {'cycle': 29, 'paid': 7, 'flight': 8, 'start': 6})
    """
    paid, flight, start = max(1, kills // 7), max(1, kills // 6), max(1, kills // 8)
    return {"cycle": max(0, kills - paid - flight - start), "paid": paid, "flight": flight, "start": start}


def draw(seed: int, kills: int, quiet: Day, paying: list[int], busy: list[int]) -> dict[int, list[Strike]]:
    """The strikes of each moment: ``paying`` are moments with payments, ``busy`` those in which a relay moved."""
    rng, plan = random.Random(seed), dict[int, list[Strike]]()
    counts, numbers = shares(kills), sorted(quiet.work)
    for _ in range(counts["cycle"]):
        moment = rng.choices(numbers, [quiet.work[n] for n in numbers])[0]
        plan.setdefault(moment, []).append(Strike("cycle", rng.uniform(0, quiet.work[moment])))
    for _ in range(counts["paid"]):
        plan.setdefault(rng.choice(paying), []).append(Strike("paid"))
    for number in range(counts["flight"]):
        state = ("sent", "queued", "acknowledged")[number % 3]
        plan.setdefault(busy[number % len(busy)], []).append(Strike("flight", state=state))
    for _ in range(counts["start"]):
        moment = rng.choice(sorted(plan))
        plan[moment].append(Strike("start", rng.uniform(0.05, STARTUP_S)))
    return {moment: sorted(strikes, key=lambda s: s.kind == "start") for moment, strikes in plan.items()}


@dataclass
class Killer:
    """Carries a plan out and keeps count of what each death interrupted."""

    plan: dict[int, list[Strike]]
    kills: int = 0
    caught: Counter[str] = field(default_factory=Counter)

    def at(self, moment: Moment, day: Day) -> "Struck":
        """The strikes of one moment, the first of them armed."""
        struck = Struck(self, day, list(self.plan.get(moment.number, ())))
        struck.arm()
        return struck


class Struck:
    """The strikes of one moment, one after the other."""

    def __init__(self, killer: Killer, day: Day, strikes: list[Strike]) -> None:
        """Nothing is armed yet."""
        self._killer, self._day, self._strikes = killer, day, strikes
        self._struck = threading.Event()
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def arm(self) -> None:
        """Let the next strike, if there is one, wait for its time."""
        self._struck.clear()
        self._over.clear()
        self._thread = None
        if self._strikes and self._strikes[0].kind != "paid":
            work = self._flight if self._strikes[0].kind == "flight" else self._later
            self._thread = threading.Thread(target=work, args=(self._strikes[0],), daemon=True)
            self._thread.start()

    def acknowledged(self, number: str) -> None:
        """A payment was answered with 200: now is the time for a strike that waits for that."""
        if self._strikes and self._strikes[0].kind == "paid":
            self._kill()

    def left(self) -> bool:
        """Whether a strike is still to come; it has come when this returns True, in the quiet if need be."""
        if not self._strikes:
            return False
        self._over.set()
        if self._thread is not None:
            self._thread.join()
        if not self._struck.is_set():
            self._killer.caught["nothing under way"] += 1
            self._kill()
        return True

    def restart(self) -> None:
        """Look at what the death left behind, start the daemon again, arm the next strike."""
        daemon = self._day.daemon
        if self._thread is not None:
            self._thread.join(DEAD_S)
        if not self._struck.is_set():
            raise AssertionError(f"the daemon died by itself: {daemon.said().decode()[-4000:]}")
        self._day.field.freeze(False)
        strike = self._strikes.pop(0)
        self._killer.kills += 1
        self._killer.caught[f"kind {strike.kind}"] += 1
        self._killer.caught.update(self._day.store.read(_interrupted))
        self._killer.caught["between turns" if self._day.done else "in a turn"] += 1
        lost = set(self._day.acknowledged) - facts.paid(self._day.home, self._day.host_clock)
        assert not lost, f"acknowledged, and lost by a kill: {sorted(lost)}"
        daemon.spawn()
        self.arm()
        try:
            daemon.wait()
        except Died:
            self.restart()

    def _later(self, strike: Strike) -> None:
        self._over.wait(strike.after) if strike.kind == "cycle" else time.sleep(strike.after)
        self._kill()

    def _flight(self, strike: Strike) -> None:
        """Die with a command in the wanted state; half of the orders then reach the meter after our death."""
        states = command_states(self._day.home)
        while not self._over.is_set():
            if strike.state in states():
                if strike.state == "sent":
                    self._day.field.freeze(True)
                self._kill()
                return
            time.sleep(GLANCE_S)

    def _kill(self) -> None:
        self._struck.set()
        self._day.daemon.kill()


def _interrupted(reader: Reader) -> list[str]:
    """What the death left unfinished."""
    found = pulse(reader)
    words = [f"command {c.state.value}" for c in reader.find(Command, state__in=list(LIVE))]
    words += ["reads not rated"] if found.waiting else []
    words += ["batches not sealed"] if found.unsealed else []
    return words or ["nothing unfinished"]
