"""Master data, top-ups and protection go in; accounts, payments and holds are committed, each change audited."""

import asyncio
import csv
import secrets
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from control import shadow, shifts
from control.canonical import content_id
from control.policy import CLASSES
from control.records import Hold
from ingest.drivers import drivers
from ingest.records import MeterPoint
from prewatt import registry
from prewatt.errors import ShellError, Usage
from prewatt.listing import money
from prewatt.wiring import Shell
from storage.rater import accounts_changed
from storage.records import Account, Payment
from storage.unit import Unit
from storage.writer import Priority
from tariff import money as exact

SLICE = 500  # rows of one transaction: other writers wait no longer than that
HOLD_KINDS = ("protected", "keep_power", "dispute", "medical", "migration", "weather", "emergency", "manual")


async def take(shell: Shell, args: Mapping[str, Any]) -> Mapping[str, Any]:
    """Import a CSV file of accounts, row by row; a wrong row stops no other."""
    path = Path(args["file"])
    if not path.is_file():
        raise Usage("no such file", which=str(path))
    return await asyncio.to_thread(_take, shell, path)


def _take(shell: Shell, path: Path) -> dict[str, Any]:
    config = shell.config
    known = registry.Known(
        site=config.site,
        book=config.books.default,
        books={name: book.currency for name, book in shell.books.items()},
        classes=CLASSES,
        models=tuple(drivers()),
        gateways={gateway.name: gateway.protocol for gateway in config.gateway},
    )
    counts = {"new": 0, "changed": 0, "unchanged": 0}
    refused: list[dict[str, Any]] = []
    entries: list[tuple[int, registry.Entry]] = []
    rows = 0
    for line, row in _rows(path):
        rows += 1
        try:
            entries.append((line, registry.understand(row, known)))
        except registry.Refusal as reason:
            refused.append({"file": path.name, "line": line, "reason": str(reason)})
    for start in range(0, len(entries), SLICE):
        part = entries[start : start + SLICE]
        told, bad = shell.store.write(Priority.BATCH, lambda unit, part=part: _store(unit, part, shell))  # type: ignore[misc]
        for word in told:
            counts[word] += 1
        refused += [{"file": path.name, "line": line, "reason": reason} for line, reason in bad]
        shell.progress(path.name, start + len(part), len(entries))
    refused.sort(key=lambda item: int(item["line"]))
    return {"file": path.name, "rows": rows, "accepted": sum(counts.values()), **counts, "refused": refused}


def _rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """The rows of a CSV file with their lines; Usage for a header that cannot be right."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        try:
            registry.columns(reader.fieldnames or ())
            for row in reader:
                yield reader.line_num, row
        except registry.Refusal as reason:
            raise ShellError(str(reason), which=f"{path.name}:1", attempt=",".join(registry.CONTRACT)) from None
        except (UnicodeDecodeError, csv.Error) as error:
            raise ShellError(f"not a CSV file in UTF-8: {error}", which=path.name) from None


def _store(
    unit: Unit, entries: list[tuple[int, registry.Entry]], shell: Shell
) -> tuple[list[str], list[tuple[int, str]]]:
    """One transaction of rows."""
    newest = unit.find(MeterPoint, order="-meter_id", limit=1)
    following = newest[0].meter_id + 1 if newest else 1
    told: list[str] = []
    refused: list[tuple[int, str]] = []
    for line, entry in entries:
        try:
            word, following = registry.store(unit, entry, following)
        except registry.Refusal as reason:
            refused.append((line, str(reason)))
            continue
        told.append(word)
        if word != "unchanged":
            unit.audit(shell.actor, f"account.{word}", entry.account.account, {"meter": entry.meter}, shell.clock.now())
    shadow.begin(
        unit, {entry.account.klass for _, entry in entries}, shell.config.policies.shadow_days, shell.clock.now()
    )
    if "changed" in told:
        accounts_changed(unit)
    return told, refused


async def topup(shell: Shell, args: Mapping[str, Any]) -> Mapping[str, Any]:
    """Post one payment taken over the counter; the same reference counts once."""
    try:
        amount = exact.parse(str(args["amount"]))
    except ValueError:
        raise Usage(f"{args['amount']!r} is no amount", attempt="12.50") from None
    if amount <= 0:
        raise Usage(f"{args['amount']} is not above zero", attempt="a reversal comes through the payment's channel")
    account = shell.store.read(lambda reader: reader.get(Account, str(args["account"])))
    if account is None:
        raise Usage(f"no account {args['account']!r}", attempt="prewatt accounts list")
    now = shell.clock.now()
    payment = Payment(
        channel=shifts.CHANNEL,
        external_id=str(args.get("reference") or args.get("id") or secrets.token_hex(8)),
        account=account.account,
        amount_micro=amount,
        currency=account.currency,
        at=now,
        received=now,
        reason=shifts.taken_by(shell.actor),
        body_hash=content_id("t", account.account, amount, account.currency),
    )
    result = await shell.engine.pay(payment)
    return {
        "account": account.account,
        "status": result.status,
        "amount": money(amount),
        "currency": account.currency,
        "reference": payment.external_id,
        "available": money(result.available_micro),
        "superseded": list(result.superseded),
        "reconnect": result.reconnect,
    }


async def protect(shell: Shell, args: Mapping[str, Any]) -> Mapping[str, Any]:
    """Hold an account back from every remote disconnection, or end such a hold; dated, with its authority."""
    name, kind = str(args["account"]), str(args.get("kind") or "protected")
    if kind not in HOLD_KINDS:
        raise Usage(f"no kind of hold {kind!r}", attempt=", ".join(HOLD_KINDS))
    now = shell.clock.now()
    until = _until(args, now)
    hold = Hold(
        content_id("h", name, kind, shell.actor),
        name,
        kind,
        shell.actor,
        now,
        end=now if args.get("end") else until,
        reason=str(args.get("reason") or ""),
    )

    def work(unit: Unit) -> Hold:
        if unit.get(Account, name) is None:
            raise Usage(f"no account {name!r}", attempt="prewatt accounts list")
        known = [h for h in unit.find(Hold, account=name, kind=kind) if h.end is None or h.end > now]
        if args.get("end") and not known:
            raise Usage(f"account {name} has no {kind} hold", attempt=f"prewatt accounts show {name}")
        kept = Hold(known[0].hold, name, kind, known[0].owner, known[0].start, hold.end, hold.reason) if known else hold
        unit.put(kept)
        unit.audit(shell.actor, "hold.end" if args.get("end") else "hold", name, {"kind": kind, "hold": kept.hold}, now)
        unit.event("hold_ended" if args.get("end") else "hold", now, name, kind=kind, hold=kept.hold)
        return kept

    kept = await shell.store.commit(Priority.COMMAND, work)
    return {"hold": kept.hold, "account": name, "kind": kind, "start": kept.start, "end": kept.end}


def _until(args: Mapping[str, Any], now: datetime) -> datetime | None:
    days = args.get("days")
    return now + timedelta(days=int(days)) if days else None


ACTIONS = {"accounts.import": take, "accounts.topup": topup, "accounts.protect": protect}
