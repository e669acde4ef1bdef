"""The configuration, books and policies in force go in; what explains old bills and decisions is kept.

Kept by content: what stands there already is not written again.
"""

import hashlib
from collections.abc import Mapping

from control import shadow
from control.policy import CLASSES, Policy, load
from control.signals import Signal
from prewatt import rules
from prewatt.config import Config
from prewatt.errors import ShellError
from storage.records import Account, BookVersion, ConfigAudit
from storage.store import Store
from storage.unit import Reader, Unit
from storage.writer import Priority
from tariff.model import Book


def remember(
    store: Store, config: Config, books: Mapping[str, Book], policies: Mapping[str, Policy], *, actor: str
) -> int:
    """Commit what is in force and not kept yet, with one audit row per change; returns how many there were."""
    now = store.clock.now()
    texts = {policies[klass].id: rules.policy_text(config, klass)[0] for klass in CLASSES}
    texts["config#" + hashlib.sha256(config.text.encode()).hexdigest()] = config.text
    rows: dict[str, ConfigAudit | BookVersion] = {key: ConfigAudit(key, now, text) for key, text in texts.items()}
    for name, book in books.items():
        text = rules.book_text(config, name)[0]
        rows[book.hash] = BookVersion(book.hash, book.name, book.currency, book.zone, text, now)
    known = store.read(lambda r: {c.digest for c in r.find(ConfigAudit)} | {b.book_hash for b in r.find(BookVersion)})
    fresh = sorted(set(rows) - known)

    def work(unit: Unit) -> None:
        for key in fresh:
            unit.add(rows[key])
            unit.audit(actor, "rules", key, {}, now)

    if fresh:
        store.write(Priority.COMMAND, work)
    _watch(store, config.policies.shadow_days)
    return len(fresh)


def _watch(store: Store, days: int) -> None:
    """Start the first month of classes that have accounts and no word on record: of a home older than this rule."""
    here = store.read(lambda reader: [klass for klass in CLASSES if reader.find(Account, klass=klass, limit=1)])
    if days and store.read(lambda reader: any(reader.get(Signal, shadow.SIGNAL + klass) is None for klass in here)):
        store.write(Priority.COMMAND, lambda unit: shadow.begin(unit, here, days, store.clock.now()))


def policy_of(reader: Reader, version: str) -> Policy:
    """The policy that a decision names, from the text kept when it was in force."""
    row = reader.get(ConfigAudit, version)
    if row is None:
        raise ShellError(f"policy {version} was never kept here", attempt="prewatt config show")
    return load(row.text, version, version.split("/")[1])
