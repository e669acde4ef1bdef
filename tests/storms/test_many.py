"""More accounts at once than one query may name: a pass over all of them still decides."""

from pathlib import Path

from control import assemble
from storage.records import Account
from storage.statements import IN_LIMIT
from storage.store import Store
from storage.writer import Priority
from tests.control.rig import Rig


def test_a_pass_takes_more_accounts_than_one_query(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    holder = rig.get(Account, "A1")
    assert isinstance(holder, Account) and isinstance(rig.store, Store)
    rows = [Account(f"Z{n:06}", "", "none", "zj", holder.zone, holder.currency) for n in range(IN_LIMIT)]
    rig.store.write(Priority.BATCH, lambda unit: unit.put_all(rows))
    names = ["A1", *(row.account for row in rows)]
    assert len(names) > IN_LIMIT
    found = rig.store.read(lambda reader: assemble.cases(reader, names, rig.world()))
    assert list(found) == ["A1"], "the others have no policy"
