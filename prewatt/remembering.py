"""The configuration and policies in force go in; rows that explain old decisions come out of the store later.

Kept by content: what stands there already is not written again.
"""

import hashlib
from collections.abc import Mapping

from control.policy import CLASSES, Policy, load
from prewatt import rules
from prewatt.config import Config
from prewatt.errors import ShellError
from storage.records import ConfigAudit
from storage.store import Store
from storage.unit import Reader, Unit
from storage.writer import Priority


def remember(store: Store, config: Config, policies: Mapping[str, Policy], *, actor: str) -> int:
    """Commit what is in force and not kept yet, with one audit row per change; returns how many there were."""
    now = store.clock.now()
    texts = {policies[klass].id: rules.policy_text(config, klass)[0] for klass in CLASSES}
    texts["config#" + hashlib.sha256(config.text.encode()).hexdigest()] = config.text
    known = store.read(lambda reader: {row.digest for row in reader.find(ConfigAudit, digest__in=sorted(texts))})
    fresh = sorted(set(texts) - known)

    def work(unit: Unit) -> None:
        for digest in fresh:
            unit.add(ConfigAudit(digest, now, texts[digest]))
            unit.audit(actor, "config", digest, {}, now)

    if fresh:
        store.write(Priority.COMMAND, work)
    return len(fresh)


def policy_of(reader: Reader, version: str) -> Policy:
    """The policy that a decision names, from the text kept when it was in force."""
    row = reader.get(ConfigAudit, version)
    if row is None:
        raise ShellError(f"policy {version} was never kept here", attempt="prewatt config show")
    return load(row.text, version, version.split("/")[1])
