"""The hash chain: every change, removal or re-ordering of a link is found."""

import hashlib
from dataclasses import replace

from storage import audit
from storage.records import AuditRow
from storage.store import Store
from storage.writer import Priority
from tests.storage.conftest import T0


def chain(store: Store) -> list[AuditRow]:
    for n in range(4):
        store.write(Priority.BATCH, lambda u, n=n: u.audit("op", "approve", f"C{n}", {"n": n, "a": ("x",)}, T0))
    return store.read(lambda r: r.find(AuditRow, order="seq"))


def test_a_sound_chain_has_no_faults(any_store: Store) -> None:
    rows = chain(any_store)
    assert [r.seq for r in rows] == [1, 2, 3, 4]
    assert rows[0].previous == audit.GENESIS
    assert rows[0].body == '{"a":["x"],"n":0}'
    assert audit.check(rows) == []


def test_every_kind_of_tampering_is_found(store: Store) -> None:
    rows = chain(store)
    for name in ("actor", "action", "subject", "body"):
        changed = [rows[0], replace(rows[1], **{name: "other"}), *rows[2:]]
        assert audit.check(changed) == ["audit 2 was changed: its digest differs"]
    resealed = replace(rows[1], actor="other")
    resealed = replace(resealed, digest=audit.digest(resealed))
    assert audit.check([rows[0], resealed, *rows[2:]]) == ["audit 3 does not follow the link before it"]
    assert audit.check([rows[0], *rows[2:]])[0] == "audit 2 is missing"


def test_the_digest_is_golden(store: Store) -> None:
    """A change of the canonical form would break every chain in the field."""
    row = store.write(Priority.BATCH, lambda u: u.audit("op", "approve", "C1", {"n": 1}, T0))
    content = '[1,"2025-01-10T00:00:00.000Z","op","approve","C1","{\\"n\\":1}"]'
    assert row.digest == hashlib.sha256(("0" * 64 + "\n" + content).encode()).hexdigest()
