"""Reading a meter on demand: what belongs to a slot is stored, what lies between slots is only shown."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from control.settings import Settings
from control.signals import Visit
from control.tables import TABLES
from prewatt.actions.supply import read_now
from prewatt.wiring import Shell
from storage.inbox import ReadInbox
from storage.records import Account, Install
from storage.store import Store
from storage.writer import Priority
from tests.ingest.rig import START, Rig


def test_a_register_between_slots_is_shown_and_never_stored_under_the_slot(tmp_path: Path) -> None:
    rig = Rig()
    point = rig.meter("sdm630")
    account = Account("A1", "", "residential", "demo", "UTC", "CNY")
    with Store.open(tmp_path / "home", TABLES, clock=rig.clock, writer="inline", durable=False) as store:
        store.write(
            Priority.BATCH,
            lambda unit: [unit.put(r) for r in (account, point, Install(1, "M1", "A1", point.serial, START))],
        )
        engine = SimpleNamespace(now=rig.clock.now, links=rig.links, inbox=ReadInbox(store), settings=Settings())
        shell = cast(Shell, SimpleNamespace(store=store, engine=engine))

        async def story() -> tuple[Mapping[str, Any], Mapping[str, Any]]:
            await rig.clock.sleep(60)
            on_time = await read_now(shell, {"account": "A1"})
            await rig.clock.sleep(40 * 60)
            return on_time, await read_now(shell, {"account": "A1"})

        on_time, between = rig.run(story)
        kept = store.reads(START - timedelta(hours=1), rig.clock.now(), None, None).to_pylist()
        visit = store.read(lambda reader: reader.get(Visit, "M1"))
    imported = [read for read in on_time["reads"] if read["channel"] == 1]
    assert [read["end"] for read in imported] == [START]
    assert between["reads"] == []
    assert [finding["code"] for finding in between["findings"]] == ["late_read"]
    assert between["register_wh"] > imported[0]["register_wh"]
    stored = [(row["end"], row["register_wh"]) for row in kept if row["channel"] == 1]
    assert stored == [(START, imported[0]["register_wh"])]
    assert visit is not None
    assert visit.register_wh == between["register_wh"]
