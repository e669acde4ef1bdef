"""A home, a span, a policy and payments go in, the events of a replay come out one by one; the home is only read."""

import asyncio
import tempfile
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from control.errors import PaymentsError
from control.policy import classes
from control.replay import history, rule
from control.replay.run import Rules, replay
from prewatt.errors import Usage
from prewatt.lookup import config_of
from prewatt.progress import bar
from prewatt.wiring import reading


def rows(
    home: Path | None,
    start: datetime,
    end: datetime,
    *,
    policy: Path | None,
    payments: Path | None,
    accounts: tuple[str, ...],
) -> Iterator[Mapping[str, Any]]:
    """Events in order of time, at last the summary; the engine's own store lies in a temporary folder."""
    try:
        paying = rule.read(payments.read_bytes(), payments.name) if payments else rule.Paying()
    except (OSError, PaymentsError) as wrong:
        raise Usage(str(wrong), attempt='opening = "20.00"') from None
    own = classes(_text(policy), policy.name) if policy else None
    with reading(config_of(home)) as shell:
        found = history.load(shell.store, start, end, accounts)
        if not found.accounts or not found.series:
            raise Usage("no reads of these accounts are stored up to --to", attempt="prewatt reads import FILE")
        rules = Rules(shell.books, own or shell.policies)
    with tempfile.TemporaryDirectory(prefix="prewatt-replay-") as folder, asyncio.Runner() as runner, bar() as progress:
        told = replay(found, rules, paying, start, end, home=Path(folder))
        total = (end - start) // history.DAY
        while (row := runner.run(anext(told, None))) is not None:
            if "at" in row:
                progress("days", min((row["at"] - start) // history.DAY, total), total)
            yield row


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as wrong:
        raise Usage(str(wrong), attempt="--policy FILE") from None
