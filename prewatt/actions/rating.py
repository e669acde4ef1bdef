"""A wish to rate or bill goes in; what it did comes out."""

import asyncio
from collections.abc import Mapping
from typing import Any

from prewatt.billrun import posted
from prewatt.rules import series_of
from prewatt.wiring import Shell
from storage import latefees
from storage.keptbooks import KeptBooks
from storage.rater import RateReport, unrated


async def rate(shell: Shell, args: Mapping[str, Any]) -> Mapping[str, Any]:  # noqa: ARG001
    """Rate everything that is unrated, by the engine's own rater, so that two never run at once."""
    return rate_json(await shell.engine.rate())


def rate_json(report: RateReport) -> dict[str, Any]:
    """The report as scripts read it."""
    return {
        "reads": report.reads,
        "intervals": report.intervals,
        "charges": report.charges,
        "accounts": report.accounts,
        "corrections": report.corrections,
        "findings": [{"code": f.code, "at": f.at, "meter": f.meter, "detail": f.detail} for f in report.findings],
    }


async def bill(shell: Shell, args: Mapping[str, Any]) -> Mapping[str, Any]:
    """Post the bills of a period, what is unrated rated first; then what late fees have changed by.

    With ``rows`` false only the sums of the bills are told.
    """
    if unrated(shell.store):
        await shell.engine.rate()
    account, rows = str(args.get("account") or ""), bool(args.get("rows", True))
    answer = await asyncio.to_thread(posted, shell, str(args["period"]), account, rows=rows)
    kept = KeptBooks(shell.store, shell.books, series_of(shell.config))
    await asyncio.to_thread(latefees.post, shell.store, kept, shell.clock.now(), account)
    return answer


ACTIONS = {"rate": rate, "bill": bill}
