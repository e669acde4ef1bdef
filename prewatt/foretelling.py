"""A policy file goes in; what it would have done to whom over the last month, beside the policy in force, comes out.

Both are replayed by the whole engine over the stored reads, with the balances of then and the payments that came. The
difference is what the policy changes: who would have been cut, or not any more, how long, and how often told.
"""

import asyncio
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from control.policy import Policy
from control.replay import history
from control.replay.history import History
from control.replay.rule import CHANNEL, Paying
from control.replay.run import Rules, replay
from prewatt.errors import Usage
from prewatt.output import plain
from prewatt.wiring import Shell
from storage.records import Account, Payment, Posting
from storage.unit import Reader

MONTH = timedelta(days=31)
SAMPLE = 200
MOST = 500
HOUR = timedelta(hours=1)


@dataclass(slots=True)
class Told:
    """What a replay did to one account."""

    cut: list[datetime] = field(default_factory=list)
    back: list[datetime] = field(default_factory=list)
    notices: int = 0
    held: dict[str, int] = field(default_factory=dict)

    def dark_h(self, end: datetime) -> float:
        """Hours without supply up to ``end``."""
        hours = 0.0
        for number, at in enumerate(self.cut):
            later = [back for back in self.back if back >= at]
            until = min(later, default=end)
            following = self.cut[number + 1] if number + 1 < len(self.cut) else end
            hours += (min(until, following) - at) / HOUR
        return hours


def foretold(
    shell: Shell, wanted: Mapping[str, Policy], klasses: Iterable[str], start: datetime, end: datetime, sample: int
) -> dict[str, Any]:
    """Both policies over [start, end) on at most ``sample`` accounts of ``klasses``, evenly taken."""
    chosen = frozenset(klasses)
    names, known = shell.store.read(lambda reader: _sampled(reader, chosen, sample))
    if not names:
        raise Usage(f"no account of {', '.join(sorted(chosen))}", attempt="prewatt accounts import FILE")
    found = history.load(shell.store, start, end, names)
    if not found.series:
        raise Usage("no reads of these accounts are stored", attempt="prewatt reads import FILE, or --from and --to")
    paying = shell.store.read(lambda reader: paid(reader, names, start, end))
    then = {**shell.policies, **{klass: wanted[klass] for klass in chosen}}
    now_told = _lived(found, Rules(shell.books, shell.policies), paying, start, end)
    then_told = _lived(found, Rules(shell.books, then), paying, start, end)
    rows = [_row(name, now_told.get(name, Told()), then_told.get(name, Told()), end) for name in names]
    changed = [row for row in rows if row["now"] != row["then"]]
    return {
        "from": start,
        "to": end,
        "classes": sorted(chosen),
        "policies": {klass: {"now": shell.policies[klass].id, "then": then[klass].id} for klass in sorted(chosen)},
        "accounts": len(names),
        "of": known,
        "totals": {"now": _totals(rows, "now"), "then": _totals(rows, "then")},
        "newly_cut": [row["account"] for row in rows if row["then"]["cuts"] and not row["now"]["cuts"]][:MOST],
        "cut_no_more": [row["account"] for row in rows if row["now"]["cuts"] and not row["then"]["cuts"]][:MOST],
        "changed": changed[:MOST],
        "changed_accounts": len(changed),
    }


def _sampled(reader: Reader, klasses: frozenset[str], sample: int) -> tuple[tuple[str, ...], int]:
    names = [row.account for row in reader.find(Account, klass__in=sorted(klasses), order="account")]
    step = max(1, -(-len(names) // max(1, sample)))
    return tuple(names[::step]), len(names)


def paid(reader: Reader, names: tuple[str, ...], start: datetime, end: datetime) -> Paying:
    """What was posted to each account by ``start``, and the payments that came by ``end``."""
    balances = {}
    for name in names:
        legs = reader.find(Posting, ledger_account=f"customer:{name}", at__lt=start)
        balances[name] = sum(leg.amount_micro for leg in legs)
    came = reader.find(Payment, account__in=list(names), status="posted", at__ge=start, at__lt=end, order="at")
    rows = [replace(row, channel=CHANNEL, external_id=f"{row.channel}/{row.external_id}") for row in came]
    return Paying(payments=tuple(rows), balances=balances)


def _lived(found: History, rules: Rules, paying: Paying, start: datetime, end: datetime) -> dict[str, Told]:
    """One replay, by account."""

    async def live(folder: str) -> dict[str, Told]:
        told: dict[str, Told] = {}
        async for row in replay(found, rules, paying, start, end, home=Path(folder)):
            if row["event"] == "summary":
                continue
            _take(told.setdefault(row["account"], Told()), row)
        return told

    with tempfile.TemporaryDirectory(prefix="prewatt-policy-") as folder:
        return asyncio.run(live(folder))


def _take(told: Told, row: Mapping[str, Any]) -> None:
    if row["event"] == "disconnect":
        told.cut.append(row["at"])
    elif row["event"] == "reconnect":
        told.back.append(row["at"])
    elif row["event"] == "notice":
        told.notices += 1
    elif row["event"] == "held":
        told.held[row["reason"]] = told.held.get(row["reason"], 0) + 1


def _row(account: str, now: Told, then: Told, end: datetime) -> dict[str, Any]:
    return {"account": account, "now": _side(now, end), "then": _side(then, end)}


def _side(told: Told, end: datetime) -> dict[str, Any]:
    return {
        "cuts": len(told.cut),
        "first_cut": plain(told.cut[0]) if told.cut else None,
        "dark_h": f"{told.dark_h(end):.1f}",
        "notices": told.notices,
        "held": dict(sorted(told.held.items())),
    }


def _totals(rows: list[dict[str, Any]], side: str) -> dict[str, Any]:
    return {
        "accounts_cut": sum(bool(row[side]["cuts"]) for row in rows),
        "cuts": sum(row[side]["cuts"] for row in rows),
        "dark_h": f"{sum(float(row[side]['dark_h']) for row in rows):.1f}",
        "notices": sum(row[side]["notices"] for row in rows),
    }
