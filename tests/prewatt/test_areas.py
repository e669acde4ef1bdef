"""The balance of transformer areas from the command line, on reads that came in a file."""

import random
from datetime import datetime, timedelta
from pathlib import Path

from tests.prewatt.conftest import Run

HOURS = 72


def test_a_customer_of_another_transformer_is_named(home: Path, run: Run, tmp_path: Path) -> None:
    rng = random.Random(1)
    use = {
        meter: [rng.randint(200, 900) * (4 if 6 + n <= hour % 24 < 12 + n else 1) for hour in range(HOURS)]
        for n, meter in enumerate(("C1", "C2", "C3", "C4"))
    }
    hangs = {"MT1": ("C1",), "MT2": ("C2", "C3", "C4")}  # C2 is booked to T1
    gives = {name: [round(sum(use[c][h] for c in on) / 0.97) for h in range(HOURS)] for name, on in hangs.items()}
    rows = [
        f"{meter},{(datetime(2026, 7, 1) + timedelta(hours=hour)).isoformat()}Z,{wh / 1000}"
        for meter, series in (use | gives).items()
        for hour, wh in enumerate(series)
    ]
    (tmp_path / "reads.csv").write_text("\n".join(["meter,start,kwh", *rows]) + "\n", encoding="utf-8")
    accounts = "\n".join(f"A{meter},{meter},demo,UTC" for meter in use | gives)
    (tmp_path / "accounts.csv").write_text(f"account,meter,book,zone\n{accounts}\n", encoding="utf-8")
    sites = "C1,T1,\nC2,T1,\nC3,T2,\nC4,T2,\nMT1,T1,sum\nMT2,T2,sum\n"
    (tmp_path / "sites.csv").write_text(f"meter,transformer,role\n{sites}C9,T1,boss\n", encoding="utf-8")
    assert run("areas", "balance", "-o", "json").code == 2  # no area has a register
    assert run("accounts", "import", tmp_path / "accounts.csv", "-o", "json").code == 0
    shape = ("--format", "csv", "--zone", "UTC", "--stamp", "start", "--meter-col", "meter")
    assert run("reads", "import", tmp_path / "reads.csv", *shape, "-o", "json").code == 0
    assert run("routes", "import", tmp_path / "sites.csv", "-o", "json").json["accepted"] == 6
    assert run("rate", "-o", "json").code == 0
    found = run("areas", "balance", "--from", "2026-06-30", "--to", "2026-07-05", "-o", "json").json
    assert [area["suspicious"] for area in found["areas"]] == [True, True]
    assert found["areas"][0]["residual_wh"] < 0 < found["areas"][1]["residual_wh"]
    first = found["suspects"][0]
    assert (first["kind"], first["meter"], first["belongs"]) == ("wrong_transformer", "C2", "T2")
