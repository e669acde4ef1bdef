"""The watchdog's own file goes in, its alarms as incidents (audited) and its heartbeat come out, once each.

The watchdog reads our store and writes only its file; what it saw while we were dead or wrong must stand in our records
too. How far the file was copied is committed with what was copied.
"""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

from control import incidents, settings
from control.signals import HEARTBEAT_WATCHDOG, Signal
from control.watchdog import FILE
from storage.unit import Unit

COPIED = "watchdog.copied"
CHUNK = 1 << 20  # bytes taken at one time


def fresh(path: Path, start: int) -> tuple[list[bytes], int]:
    """Whole lines from byte ``start`` on, and where they end; a file that became shorter is read from its head."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            begin = start if start <= size else 0
            file.seek(begin)
            block = file.read(CHUNK)
    except FileNotFoundError:
        return [], start
    end = block.rfind(b"\n") + 1
    if not end and len(block) == CHUNK:  # one endless line is no line of ours
        end = len(block)
    return block[:end].splitlines(), begin + end


def copy(unit: Unit, home: Path, now: datetime) -> int:
    """Copy what the watchdog wrote since the last time; how many alarms there were."""
    known = unit.get(Signal, COPIED)
    start = int(known.value) if known is not None and known.value.isdigit() else 0
    lines, end = fresh(home / FILE, start)
    if end == start:
        return 0
    count, beat = 0, None
    for line in lines:
        row = _row(line)
        if row is None:
            incidents.file(unit, "watchdog_unreadable", now, cause=f"{now:%Y-%m-%d}", detail=repr(line[:200]))
            continue
        at = settings.to_ms(datetime.fromisoformat(row["at"].removesuffix("Z")))
        if row["kind"] == "beat":
            beat = at
            continue
        account = str(row.get("account", ""))
        incidents.file(
            unit,
            f"watchdog_{row['kind']}",
            at,
            account=account,
            cause=f"{at:%Y-%m-%d}",
            detail=str(row.get("detail", "")),
        )
        count += 1
    if beat is not None:
        unit.put(Signal(HEARTBEAT_WATCHDOG, "ok", beat, "watchdog"))
    unit.put(Signal(COPIED, str(end), now))
    return count


def _row(line: bytes) -> dict[str, Any] | None:
    """One line's object with kind and time; None for anything else."""
    try:
        row = json.loads(line)
        datetime.fromisoformat(row["at"].removesuffix("Z"))
        return row if isinstance(row["kind"], str) and row["kind"] else None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
