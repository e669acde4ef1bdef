"""The engine's store, read only, goes in; alarms come out by a process of their own, and a heartbeat leaves the house.

It decides nothing and shares no state with the engine: whoever paid and is dark past the clock is found from payments,
relay evidence and commands alone, and reported even when the engine is dead, stuck or wrong. Its own file is
append-only; the daemon copies it in.
"""

import argparse
import json
import os
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from control import signals, tables
from control.records import Action, Command, CommandState, Evidence
from control.signals import Signal
from ingest.records import RelayState
from storage.records import AccountState, Install
from storage.store import Store
from storage.unit import Reader

FILE = "watchdog.ndjson"
CLOCK = timedelta(minutes=15)  # alarm: a paid account is dark so long after its payment
NO_COMMAND = timedelta(minutes=5)  # paid, open, and no reconnect exists
SILENT = timedelta(minutes=15)  # the engine's own heartbeat
AGAIN = timedelta(hours=1)  # an alarm that stands is repeated
TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Alarm:
    """One thing that a person must look at now."""

    at: datetime
    kind: str  # paid_dark | paid_no_command | engine_silent | store_unreadable
    account: str
    detail: str


def alarms(reader: Reader, now: datetime, connection_balance_micro: int = 0) -> list[Alarm]:
    """Every alarm that stands at ``now``."""
    found = _late(reader, now) + _forgotten(reader, now, connection_balance_micro)
    beat = reader.get(Signal, signals.HEARTBEAT)
    if beat is None or now - beat.at > SILENT:
        found.append(Alarm(now, "engine_silent", "", f"last heartbeat {beat.at.isoformat() if beat else 'never'}"))
    return found


def _late(reader: Reader, now: datetime) -> list[Alarm]:
    """Reconnections whose clock has run out, whatever became of them."""
    newest: dict[str, Command] = {}
    for row in reader.find(Command, requested__ge=now - timedelta(days=30), order=("requested", "fence")):
        newest[row.account] = row
    found = []
    for account, row in sorted(newest.items()):
        started = row.clock_started
        if row.action is not Action.CONNECT or row.state is CommandState.VERIFIED or started is None:
            continue
        if now - started >= CLOCK and row.state is not CommandState.SUPERSEDED:
            why = row.outcome or row.state.value
            found.append(Alarm(now, "paid_dark", account, f"paid {started.isoformat()}Z, {row.state.value}: {why}"))
    return found


def _forgotten(reader: Reader, now: datetime, line_micro: int) -> list[Alarm]:
    """Open relays of accounts that have the money, with no live reconnect."""
    busy = {row.account for row in reader.find(Command, action=Action.CONNECT, state__in=_LIVE)}
    found = []
    for known in reader.find(Evidence, state__in=[RelayState.OPEN.value], at__le=now - NO_COMMAND, order="meter"):
        for install in reader.find(Install, meter=known.meter, end__null=True):
            state = reader.get(AccountState, install.account)
            paid = state is not None and state.last_payment_at is not None and now - state.last_payment_at > NO_COMMAND
            left = reader.balance(f"customer:{install.account}") - (state.accrued_micro if state else 0)
            if paid and left > line_micro and install.account not in busy:
                found.append(Alarm(now, "paid_no_command", install.account, f"{known.meter} open, {left} micro left"))
    return found


_LIVE = ["requested", "authorised", "queued", "sent", "acknowledged", "unknown"]


class Watchdog:
    """Looks at one home again and again; ``raise_alarm`` reaches people, ``beat`` reaches another house."""

    def __init__(
        self, home: Path, raise_alarm: Callable[[Alarm], None], beat: Callable[[], None], *, line_micro: int = 0
    ) -> None:
        """``line_micro`` is the lowest connection balance of the policies in force."""
        self._home, self._raise, self._beat = home, raise_alarm, beat
        self._line = line_micro
        self._told: dict[tuple[str, str], datetime] = {}

    def look(self, now: datetime) -> list[Alarm]:
        """One look: new alarms, and standing ones each hour; written to the watchdog's file, raised, then the beat."""
        try:
            store = Store.open(self._home, tables.TABLES, clock=_Still(now), writer="none")
            with store:
                found = store.read(lambda reader: alarms(reader, now, self._line))
        except Exception as error:  # whatever breaks the store must not silence who watches it
            found = [Alarm(now, "store_unreadable", "", f"{type(error).__name__}: {error}")]
        fresh = [alarm for alarm in found if self._new(alarm)]
        for alarm in fresh:
            self._raise(alarm)
        try:
            self._write(now, fresh)
        except OSError as error:
            self._raise(Alarm(now, "file_unwritable", "", f"{type(error).__name__}: {error}"))
        self._beat()
        return fresh

    def _new(self, alarm: Alarm) -> bool:
        key = (alarm.kind, alarm.account)
        last = self._told.get(key)
        if last is not None and alarm.at - last < AGAIN:
            return False
        self._told[key] = alarm.at
        return True

    def _write(self, now: datetime, fresh: Sequence[Alarm]) -> None:
        lines = [{"kind": "beat", "at": now.isoformat() + "Z"}]
        lines += [{**asdict(alarm), "at": alarm.at.isoformat() + "Z"} for alarm in fresh]
        with (self._home / FILE).open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(line, sort_keys=True) + "\n" for line in lines)
            file.flush()
            os.fsync(file.fileno())


@dataclass(frozen=True, slots=True)
class _Still:
    """A clock that stands: reading needs no more."""

    at: datetime

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        del seconds


def main(arguments: Sequence[str] | None = None) -> int:
    """``python -m control.watchdog HOME [--every S] [--beat URL] [--alarm URL] [--once]``; alarms go to stderr too."""
    parser = argparse.ArgumentParser(prog="prewatt-watchdog", description=__doc__)
    parser.add_argument("home", type=Path)
    parser.add_argument("--every", type=float, default=30.0, help="seconds between two looks")
    parser.add_argument("--beat", default="", help="URL that is fetched after each look; its silence alarms elsewhere")
    parser.add_argument("--alarm", default="", help="URL that each alarm is posted to as JSON")
    parser.add_argument("--line", type=int, default=0, help="lowest connection balance in micro-units")
    parser.add_argument("--once", action="store_true")
    given = parser.parse_args(arguments)

    def tell(alarm: Alarm) -> None:
        body = json.dumps({**asdict(alarm), "at": alarm.at.isoformat() + "Z"}, sort_keys=True)
        print(body, file=sys.stderr, flush=True)
        if given.alarm:
            _post(given.alarm, body.encode())

    dog = Watchdog(given.home, tell, lambda: _post(given.beat, None) if given.beat else None, line_micro=given.line)
    while True:
        found = dog.look(datetime.now(UTC).replace(tzinfo=None))
        if given.once:
            return 1 if found else 0
        time.sleep(given.every)


def _post(url: str, body: bytes | None) -> None:
    """Send; a peer that does not answer is on stderr and stops nothing."""
    try:
        request = urllib.request.Request(url, data=body, headers={"content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=TIMEOUT_S):
            pass
    except (urllib.error.URLError, OSError, ValueError) as error:
        print(json.dumps({"kind": "beat_failed", "detail": str(error)}), file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
