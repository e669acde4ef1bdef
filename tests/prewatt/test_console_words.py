"""Both languages know every code that the engine writes, with the same placeholders, and write numbers as people do."""

import ast
import re
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

import pytest

from control import handheld, incidents, ladder, tallies, text, workorders
from control.commands import ENDS
from control.records import Action, CommandState, Credit
from control.tiles import TILES
from ingest.records import RelayState
from prewatt.actions.accounts import HOLD_KINDS
from prewatt.console import render
from prewatt.console.lists import LISTS
from prewatt.console.views import EventLine
from prewatt.console.words import LANGUAGES, Words, table

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("ingest", "storage", "control", "prewatt")
AT = datetime(2026, 3, 18, 6, 5)
# What stands after the fixed part of a code that is put together.
ENDINGS = {
    "payment_": ("posted", "pending", "unmatched", "failed", "reversed"),
    "command_": tuple(sorted(state.value for state in {*ENDS, CommandState.SENT})),
    "handheld_": tuple(sorted(handheld.ORDERS)),
}


def emitted() -> dict[str, set[str]]:
    """Every event code in the product's source with the names of its parameters."""
    found: dict[str, set[str]] = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "event":
                    if len(node.args) < 2:
                        continue  # words.event(line) and the like
                    for code in codes(node.args[0], path):
                        found.setdefault(code, set()).update(k.arg for k in node.keywords if k.arg)
    return found


def codes(node: ast.expr, path: Path) -> list[str]:
    """The codes that an expression may be."""
    if isinstance(node, ast.Constant):
        return [str(node.value)]
    if isinstance(node, ast.IfExp):
        return codes(node.body, path) + codes(node.orelse, path)
    if isinstance(node, ast.JoinedStr) and isinstance(node.values[0], ast.Constant):
        prefix = str(node.values[0].value)
        return [prefix + ending for ending in ENDINGS[prefix]]
    raise AssertionError(f"{path}:{node.lineno}: a test cannot tell this event's code; write it out or extend ENDINGS")


def test_the_scan_finds_what_there_is() -> None:
    assert {"payment", "relay", "notice", "work_order", "incident", "command_requested", "hold_ended"} <= set(emitted())


@pytest.mark.parametrize("lang", LANGUAGES)
def test_every_event_has_its_sentence(lang: str) -> None:
    known = {key.removeprefix("event.") for key in table(lang) if key.startswith("event.")}
    assert known == set(emitted()) | {"rated"}


@pytest.mark.parametrize("lang", LANGUAGES)
def test_a_sentence_uses_only_what_its_event_carries(lang: str) -> None:
    for code, params in emitted().items():
        said = {name.removesuffix("_micro").removesuffix("_wh") for name in params} | {"account"}
        wanted = set(re.findall(r"{(\w+)}", table(lang)[f"event.{code}"]))
        assert wanted <= said, code


def test_both_languages_have_the_same_keys_and_placeholders() -> None:
    english, chinese = (table(lang) for lang in LANGUAGES)
    assert set(english) == set(chinese)
    for key, value in english.items():
        assert set(re.findall(r"{\w+}", value)) == set(re.findall(r"{\w+}", chinese[key])), key
    same = {key for key, value in english.items() if chinese[key] == value}
    assert same == {"unit.kwh"}, "everything else is translated"


@pytest.mark.parametrize("lang", LANGUAGES)
def test_every_word_that_a_page_asks_for_is_there(lang: str) -> None:
    known = table(lang)
    for path in (ROOT / "prewatt/console/templates").glob("*.html"):
        for key in re.findall(r"w\.say\('([a-z]+\.[a-z0-9_]+)'[,)]", path.read_text(encoding="utf-8")):
            assert key in known, (path.name, key)
    menu = [f"nav.{key}" for group, keys in render.MENU for key in (group, *keys)]
    lists = [f"list.{column}" for listing in LISTS.values() for column in listing.columns]
    assert {*menu, *lists} <= set(known)


@pytest.mark.parametrize("lang", LANGUAGES)
def test_every_stored_code_has_its_word(lang: str) -> None:
    sections: dict[str, Iterable[str]] = {
        "state": TILES,
        "relay": RelayState,
        "action": Action,
        "command_state": CommandState,
        "credit": Credit,
        "hold": HOLD_KINDS,
        "work_order": {*workorders.DUE, *handheld.ORDERS.values()},
        "says": text.TEXTS,
        "rung": {*ladder.AXES, *text.TEXTS} - {"warning"},
        "guard": [f"G{n}" for n in range(1, 14)] + [f"RG{n}" for n in range(1, 5)],
        "notice_state": ("queued", "sent", "delivered", "failed"),
        "payment_state": ("posted", "pending", "unmatched", "failed", "reversed"),
    }
    for section, values in sections.items():
        for value in values:
            assert f"{section}.{value}" in table(lang), f"{section}.{value}"


@pytest.mark.parametrize("lang", LANGUAGES)
def test_every_incident_and_order_that_is_filed_has_its_word(lang: str) -> None:
    source = "\n".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "control").rglob("*.py")))
    filed = set(re.findall(r"incidents\.file\(\s*unit, \"(\w+)\"", source))
    ordered = set(re.findall(r"workorders\.order\(\s*unit, \"(\w+)\"", source))
    watchdog = (ROOT / "control" / "watchdog.py").read_text(encoding="utf-8")
    alarms = re.findall(r"(\w+)", re.findall(r"kind: str  # ([\w| ]+)", watchdog)[0])
    filed |= {f"watchdog_{alarm}" for alarm in alarms} | {tallies.KIND}  # kinds that stand in a variable
    assert len(alarms) == 4
    assert len(filed) >= 4
    assert len(ordered) >= 4
    assert {f"incident.{kind}" for kind in filed} | {f"work_order.{kind}" for kind in ordered} <= set(table(lang))
    assert incidents.file.__doc__


def line(code: str, currency: str = "CNY", **params: str) -> EventLine:
    return EventLine(AT, code, "A1", "Li Wei", tuple(params.items()), currency)


def test_events_read_as_sentences() -> None:
    en, zh = (Words(lang, "Asia/Shanghai") for lang in LANGUAGES)
    paid = line("payment", channel="wallet", external_id="88-1042", amount_micro="12450000000", available_micro="1")
    assert en.event(paid) == "payment ¥12,450.00 by wallet, 88-1042"
    assert zh.event(paid) == "缴费 ¥12,450.00，渠道 wallet，88-1042"
    told = line("notice", notice="n", rung="hours.24", recipient="collector", says="warning")
    assert en.event(told) == "low-balance warning to collector: 24 h left"
    assert zh.event(told) == "余额不足预警发给收费员：剩余 24 小时"
    assert en.event(line("notice", rung="stop.1", recipient="customer", says="stop")) == "stop notice to customer"
    relay = line("relay", meter="M1", before="closed", after="open", source="read_back")
    assert en.event(relay) == "relay open, was closed (read back)"
    assert en.event(line("command_cancelled", command="c", action="disconnect", detail="")) == "disconnection cancelled"
    assert zh.event(line("command_verified", action="connect", detail="")) == "复电已核实"
    assert en.event(line("rated", "GBP", energy_wh="91540", amount_micro="56040000")) == (
        "hourly read 91.5 kWh, rated £56.04"
    )
    assert en.event(line("brand_new", size="3")) == "brand_new size=3", "nothing is hidden"
    assert en.event(line("work_order", kind="polish")) == "work order: polish"


def test_numbers_are_written_for_people() -> None:
    words = Words("en", "Asia/Shanghai")
    assert words.money(-1_109_200_000, "CNY") == "−¥1,109.20"
    assert words.money(-4_000, "CNY") == "¥0.00", "no minus before nothing"
    assert words.money(5_000, "KES") == "KSh 0.01"
    assert words.money(1_000_000, "TZS") == "TZS 1.00"
    assert [words.left(hours) for hours in (None, 0.4, -0.4, -19.9, 41.0, 2400.0)] == [
        "—", "0 h", "0 h", "−19 h", "41 h", "100 d",
    ]  # fmt: skip
    assert [words.age(s) for s in (None, 0, 719, 172_799, 172_800)] == ["—", "0 min", "11 min", "2879 min", "2 d"]
    assert words.kwh(26_138_949) == "26,138.9 kWh"
    assert words.clock(AT) == "03-18 14:05", "times are local"
    assert words.local("2026-03-18T06:05:00Z") == "2026-03-18 14:05:00"
    assert Words("xx", "UTC").lang == "en"
