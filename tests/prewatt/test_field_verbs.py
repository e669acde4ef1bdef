"""The verbs of the field: positions and routes from a file, outages told and answered per account, orders closed."""

import asyncio
from datetime import datetime
from pathlib import Path

import pytest

from control import workorders
from control.fieldbook import Entry
from control.records import Notice
from control.tables import TABLES
from ingest.rawpoll import KeptVisit, pack
from ingest.records import Finding
from prewatt.clock import clock as host_clock
from storage.rawlog import RawLog
from storage.store import Priority, Store
from storage.unit import Unit
from tests.prewatt.conftest import Run

SITES = """meter,latitude,longitude,datum,transformer,feeder,route,stop
M1,30.2741,120.1551,GCJ02,T1,F1,R1,1
M2,30.2750,120.1551,WGS84,T1,F1,R1,2
M3,,,,T2,F1,R1,3
M9,30.2,120.1,,T1,,,
M2,91,120.1,,,,,
M1,30.2,,,,,,
"""


@pytest.fixture
def sites(accounts: Path, run: Run, tmp_path: Path) -> Path:
    file = tmp_path / "sites.csv"
    file.write_text(SITES, encoding="utf-8")
    done = run("routes", "import", file, "-o", "json")
    assert done.code == 0, done.err
    assert (done.json["accepted"], [row["line"] for row in done.json["refused"]]) == (3, [5, 6, 7])
    assert "no meter 'M9'" in done.json["refused"][0]["reason"]
    return file


def write(home: Path, *records: object) -> None:
    with Store.open(home, TABLES, clock=host_clock()) as store:
        store.write(Priority.BATCH, lambda unit: [unit.put(record) for record in records])


def test_outages_are_answered_per_account_and_everybody_is_told(home: Path, sites: Path, run: Run) -> None:
    begun = run(
        "outages", "start", "--cause", "planned", "--transformer", "T1", "--start", "2099-07-01T08:00", "--end",
        "2099-07-01T12:00", "--work", "new cable", "-o", "json",
    )  # fmt: skip
    assert begun.code == 0, begun.err
    assert (begun.json["state"], begun.json["accounts"]) == ("announced", ["A1", "A2"])
    assert begun.json["start"] == "2099-07-01T00:00:00Z", "local time of the site"
    with Store.open(home, TABLES, clock=host_clock(), writer="none") as store:
        told = store.read(lambda reader: reader.find(Notice, code="outage_planned", order="account"))
    assert [(row.account, row.lang) for row in told] == [("A1", "zh"), ("A2", "en")]
    name = begun.json["outage"]
    (mine,) = run("outages", "list", "--account", "A1", "-o", "json").json["outages"]
    assert (mine["outage"], mine["work"]) == (name, "new cable")
    assert run("outages", "list", "--account", "A3", "-o", "json").json["outages"] == []
    shown = run("accounts", "show", "A2", "-o", "json")
    assert shown.code == 0, shown.out + shown.err
    assert shown.json["outages"][0]["outage"] == name
    over = run("outages", "end", name, "--at", "2099-07-01T11:00:00Z", "-o", "json")
    assert (over.json["state"], over.json["ended"]) == ("over", "2099-07-01T11:00:00Z")
    assert run("outages", "list", "-o", "json").json["outages"] == []
    assert len(run("outages", "list", "--all", "-o", "json").json["outages"]) == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("start", "--cause", "storm", "--meter", "M1"), "no cause 'storm'"),
        (("start",), "say where"),
        (("start", "--meter", "M1", "--feeder", "F1"), "say where"),
        (("start", "--meter", "M1", "--start", "soon"), "is no time"),
        (("end", "o-none"), "no outage 'o-none'"),
    ],
)
def test_a_wrong_word_of_an_outage_is_refused(sites: Path, run: Run, words: tuple[str, ...], said: str) -> None:
    done = run("outages", *words)
    assert done.code == 2 and said in done.err


def test_a_route_has_its_reader_its_calls_and_its_punctuality(home: Path, sites: Path, run: Run) -> None:
    assert run("routes", "set", "R1", "--reader", "li", "--day", "40").code == 2
    assert run("routes", "set", "R1", "--reader", "li", "--day", "10", "-o", "json").json["months"] == 1
    assert run("routes", "list", "-o", "json").json["routes"][0]["reader"] == "li"
    span = ("--from", "2026-03-01", "--to", "2026-04-01")
    found = run("routes", "punctuality", *span, "-o", "json").json
    assert (found["routes"][0]["planned"], len(found["days"])) == (3, 3)
    assert run("routes", "due", "--reader", "wang", "-o", "json").json["calls"] == []
    assert run("routes", "punctuality", "--from", "march").code == 2


def test_the_record_shows_what_is_odd_and_accuracy_who_misread(home: Path, sites: Path, run: Run) -> None:
    at = datetime(2026, 3, 10, 2)
    first = Entry("A7", "m-1", 1, "confirm", at, at, "x", "accepted", "", "A1", "M1", 5, "li", 30.5, 120.1, 5.0)
    mend = Entry(
        "B2", "m-2", 1, "mend", at, at, "y", "accepted", account="A1", meter="M1", person="wang", supersedes="m-1"
    )
    write(home, first, mend, Entry("B2", "m-3", 2, "check", at, at, "z", "held", "differs", "A1", "M1", 7, "wang"))
    with Store.open(home, TABLES, clock=host_clock()) as store:
        store.write(Priority.BATCH, lambda unit: unit.add(Finding("handheld_far", at, "M1", "mqtt", "20 km")))
    span = ("--from", "2026-03-01", "--to", "2026-04-01", "-o", "json")
    rows = run("routes", "record", *span).json["record"]
    assert [(row["message_id"], row["findings"]) for row in rows] == [
        ("m-1", ["far"]), ("m-2", ["no_position"]), ("m-3", ["no_position"]),
    ]  # fmt: skip
    assert run("routes", "record", "--reader", "li", *span).json["record"] == rows[:1]
    found = run("routes", "accuracy", *span).json
    assert found["readers"] == [
        {"reader": "li", "reads": 1, "final": 1, "held": 0, "mended": 1},
    ]
    assert (found["checks"], found["checks_differing"], found["findings"]) == (1, 1, {"handheld_far": 1})


def test_an_order_is_given_closed_and_never_closed_twice(home: Path, sites: Path, run: Run) -> None:
    def work(unit: Unit) -> None:
        at = datetime(2026, 3, 10, 2)
        workorders.order(unit, "spike", "A1", "M1", cause="c", at=at, detail="9000 Wh")

    with Store.open(home, TABLES, clock=host_clock()) as store:
        store.write(Priority.BATCH, work)
    (order,) = run("orders", "list", "--kind", "spike", "-o", "json").json["orders"]
    assert run("orders", "assign", order["order"], "--to", "zhao", "-o", "json").json["state"] == "assigned"
    assert run("orders", "close", order["order"], "--outcome", "fine").code == 2
    done = run("orders", "close", order["order"], "--outcome", "cleared", "--found", "welding", "-o", "json").json
    assert (done["state"], done["outcome"], done["found"], done["owner"]) == ("done", "cleared", "welding", "zhao")
    again = run("orders", "close", order["order"], "--outcome", "cleared")
    assert again.code == 1 and "it is done already" in again.err
    assert run("orders", "assign", "w-none", "--to", "zhao").code == 2
    assert run("orders", "list", "-o", "json").json["orders"] == []


def test_raw_frames_are_listed_and_a_dry_run_stores_nothing(home: Path, sites: Path, run: Run) -> None:
    at = datetime(2026, 3, 10, 2)
    with Store.open(home, TABLES, clock=host_clock()) as store:
        log = RawLog(store)
        log.add(
            "poll:g1:M1",
            at,
            pack(KeptVisit("M1", at, "sdm630", "0", ((b"\x04\x00\x48\x00\x02", bytes(4)),))),
            "sdm630@0",
        )
        log.add("mqtt:A7", at, b"garbage", "not_json")
        asyncio.run(log.flush(at))
    span = ("--from", "2026-03-01", "--to", "2026-04-01", "-o", "json")
    found = run("raw", "list", *span).json
    assert found["total"] == 2
    assert [(row["source"], row.get("registers"), row.get("hex")) for row in found["frames"]] == [
        ("mqtt:A7", None, "67617262616765"), ("poll:g1:M1", {"import": 0}, None),
    ]  # fmt: skip
    assert [row["source"] for row in run("raw", "list", "--meter", "M1", *span).json["frames"]] == ["poll:g1:M1"]
    done = run("raw", "redecode", "--dry-run", *span).json
    assert (done["visits"], done["corrected"]) == (1, 0)
    assert done["refused"] == [{"meter": "M1", "reason": "no such meter, or no driver of its model"}]


def test_devices_and_what_was_refused_of_them_are_listed(home: Path, run: Run) -> None:
    with (home / "prewatt.toml").open("a", encoding="utf-8") as file:
        file.write('\n[broker]\ndevices = {A7 = "a7-new", C1 = "c1"}\nretiring = {A7 = "a7-old"}\n')
    at = datetime(2026, 3, 10, 2)
    write(
        home, Entry("A7", "m-1", 1, "read", at, at, "x", "accepted"), Entry("B2", "m-1", 9, "read", at, at, "x", "held")
    )
    with Store.open(home, TABLES, clock=host_clock()) as store:
        store.write(Priority.BATCH, lambda unit: unit.add(Finding("handheld_bad_signature", at, "", "mqtt", "A7")))
    found = run("handhelds", "list", "--from", "2026-03-01", "--to", "2026-04-01", "-o", "json").json
    assert [(row["device"], row["key"], row["retiring"], row["accepted"], row["held"]) for row in found["devices"]] == [
        ("A7", "signs", True, 1, 0), ("B2", "refused", False, 0, 1), ("C1", "signs", False, 0, 0),
    ]  # fmt: skip
    assert found["findings"] == {"handheld_bad_signature": 1}


def test_the_schema_is_printed_as_it_is_published(run: Run) -> None:
    document = run("handhelds", "schema", "-o", "json").json["document"]
    assert document["asyncapi"] == "3.0.0" and set(document["channels"]) >= {"confirm", "outage", "reply"}
    shown = run("handhelds", "schema")
    assert shown.code == 0 and '"asyncapi": "3.0.0"' in shown.out.replace('":"', '": "')
