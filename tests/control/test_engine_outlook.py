"""Hours left that were worked out before a payment are not told after it."""

import asyncio
from dataclasses import replace
from pathlib import Path

from control.assemble import Outlook
from control.engine import Engine
from control.records import Notice
from tests.control.rig import Rig


def seeing(rig: Rig, outlook: Outlook) -> Engine:
    """An engine that has worked out ``outlook`` for the account."""
    engine = rig.engine()
    engine._outlooks["A1"] = outlook
    engine.world = lambda: replace(rig.world(), outlooks=engine._outlooks)  # type: ignore[method-assign]
    return engine


def test_whoever_has_just_paid_is_not_warned_by_the_forecast_of_before(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    engine = seeing(rig, Outlook(0.0, 0.0, 0, tier=1))

    async def pay_and_decide() -> None:
        rig.facts_now()
        await engine.pay(rig.payment(500))
        await engine.decide()

    before = {row.notice for row in rig.find(Notice)}
    asyncio.run(pay_and_decide())
    told = [row.code for row in rig.find(Notice, account="A1") if row.notice not in before]
    assert [code for code in told if code in ("warning", "stop", "final")] == []
    assert engine._outlooks["A1"].tier == 1


def test_the_same_forecast_without_a_payment_does_warn(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    engine = seeing(rig, Outlook(0.0, 0.0, 0))
    rig.facts_now()
    asyncio.run(engine.decide())
    assert "hours.6" in [row.rung for row in rig.find(Notice, account="A1")]
