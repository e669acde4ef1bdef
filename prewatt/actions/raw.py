"""A span of kept visits goes in; what the drivers of today make otherwise is committed as corrected reads and rated."""

import asyncio
import hashlib
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from control import settings
from control.fieldbook import ReadCorrection
from ingest.drivers import drivers
from prewatt.errors import ShellError
from prewatt.wiring import Shell
from storage.redecode import Corrected, redecode
from storage.unit import Unit
from storage.writer import Priority

SHOWN = 200  # corrections that an answer lists; all of them are counted


async def again(shell: Shell, args: Mapping[str, Any]) -> Mapping[str, Any]:
    """Decode kept visits of [since, until) again; with ``dry_run`` nothing is stored."""
    since, until = (datetime.fromisoformat(str(args[name])).replace(tzinfo=None) for name in ("since", "until"))
    name = str(args.get("meter") or "")
    found = await asyncio.to_thread(redecode, shell.store, drivers(), since, until, name)
    rows = [_row(one) for one in found.corrections[:SHOWN]]
    answer: dict[str, Any] = {"visits": found.visits, "corrected": len(found.corrections), "corrections": rows}
    answer["refused"] = [{"meter": meter, "reason": why} for meter, why in sorted(found.refused.items())]
    if args.get("dry_run") or not found.corrections:
        return {**answer, "dry_run": bool(args.get("dry_run")), "rated": 0, "bills_corrected": 0}
    await _commit(shell, found.corrections)
    report = await shell.engine.rate()
    wrong = [finding.detail for finding in report.findings if finding.code == "uncorrected"]
    if wrong:
        raise ShellError(f"{len(wrong)} bills could not be made again: {wrong[0]}", attempt="prewatt verify")
    return {**answer, "dry_run": False, "rated": report.reads, "bills_corrected": report.corrections}


async def _commit(shell: Shell, corrections: Iterable[Corrected]) -> None:
    """First where each correction comes from, then the reads, which outrank those that they correct."""
    now = settings.to_ms(shell.clock.now())
    by_meter: dict[str, list[Corrected]] = {}
    for one in corrections:
        by_meter.setdefault(one.meter, []).append(one)
    for meter, rows in sorted(by_meter.items()):
        body = {"reads": str(len(rows)), "profile": rows[0].profile_now}

        def work(unit: Unit, meter: str = meter, rows: list[Corrected] = rows, body: dict[str, str] = body) -> None:
            for row in rows:
                key = (row.meter, int(row.read.channel), row.read.end, row.profile_now)
                if unit.get(ReadCorrection, *key) is None:
                    unit.add(
                        ReadCorrection(
                            *key, row.before_wh, row.read.register_wh, row.model, row.profile_before, row.heard, now,
                            shell.actor,
                        )
                    )  # fmt: skip
            unit.audit(shell.actor, "reads.redecode", meter, body, now)

        await shell.store.commit(Priority.BATCH, work)
        number = hashlib.sha256(repr([row.read for row in rows]).encode()).hexdigest()[:32]
        source = f"redecode:{rows[0].model}@{rows[0].profile_now}"
        await shell.engine.inbox.accept(source, number, [row.read for row in rows], now)


def _row(one: Corrected) -> dict[str, Any]:
    return {
        "meter": one.meter,
        "channel": int(one.read.channel),
        "end": one.read.end,
        "before_wh": one.before_wh,
        "after_wh": one.read.register_wh,
        "model": one.model,
        "profile_before": one.profile_before,
        "profile_now": one.profile_now,
        "heard": one.heard,
    }


ACTIONS = {"raw.redecode": again}
