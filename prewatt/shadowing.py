"""A home and a class go in; until when it is only watched, and ours beside theirs, come out."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from control import shadow, sidebyside
from control.policy import CLASSES
from control.signals import Signal
from prewatt.errors import Usage
from prewatt.lookup import config_of
from prewatt.strict import suggest
from prewatt.wiring import Shell, reading, settings
from storage.records import Account
from storage.unit import Reader

USUAL = timedelta(days=31)


def classes(home: Path | None) -> list[dict[str, Any]]:
    """Every class that has accounts, with the end of its shadow; None = live."""
    with reading(config_of(home)) as shell:
        return shell.store.read(lambda reader: _classes(reader, shell))


def _classes(reader: Reader, shell: Shell) -> list[dict[str, Any]]:
    facts = {row.name: row for row in reader.find(Signal)}
    limits, now = settings(shell.config), shell.clock.now()
    rows = []
    for klass in CLASSES:
        count = reader.count(Account, klass=klass)
        if not count:
            continue
        end = shadow.until(klass, facts, limits, now)
        word = facts.get(shadow.SIGNAL + klass)
        rows.append({"class": klass, "accounts": count, "until": end, "live": end is None, "by": word and word.by})
    return rows


def compared(home: Path | None, klass: str, start: datetime | None, end: datetime | None) -> dict[str, Any]:
    """What prewatt would have done, and what people did, with counts of each."""
    if klass not in CLASSES:
        raise Usage(f"no customer class {klass!r}", attempt=suggest(klass, CLASSES))
    with reading(config_of(home)) as shell:
        until = end or shell.clock.now()
        since = start or until - USUAL
        if since >= until:
            raise Usage("--to must be later than --from", attempt="prewatt shadow report --help")
        found = shell.store.read(lambda reader: sidebyside.compare(reader, klass, since, until))
    return {
        "class": klass,
        "from": found.start,
        "to": found.end,
        "accounts": found.accounts,
        "disconnects": found.counts("disconnect"),
        "reconnects": found.counts("connect"),
        "pairs": sidebyside.as_rows(found),
    }
