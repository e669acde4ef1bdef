"""A pytest plugin: named checks go in, each runs as it is and then once without each of its safeguards.

``pytest -p tests.ablations.removing NODE...`` writes one JSON line per run to the file that ``ABLATIONS`` names: the
check, the safeguard taken away ("" = none), and how it ended.
"""

import json
import os
import time
from pathlib import Path

import pytest
from _pytest.runner import runtestprotocol

from tests.ablations.registry import by_check

CHECKS = by_check()


def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool:
    """Run ``item`` plain, then under each removal; fixtures are made anew for every run."""
    del nextitem
    _tell(item, "", _run(item))
    for safeguard in CHECKS.get(item.nodeid, []):
        with pytest.MonkeyPatch.context() as patch:
            try:
                safeguard.remove(patch)
            except (AttributeError, ImportError, AssertionError) as error:  # a row whose name is gone spoils no other
                _tell(item, safeguard.name, ("broken", "removal", str(error)))
                continue
            _tell(item, safeguard.name, _run(item))
    return True


def _run(item: pytest.Item) -> tuple[str, str, str]:
    """passed, failed or broken (not in the check's own call), the kind of failure, and its first line."""
    item._initrequest()  # type: ignore[attr-defined]
    for report in runtestprotocol(item, log=False, nextitem=None):
        if report.failed:
            crash = getattr(report.longrepr, "reprcrash", None)
            said = crash.message if crash is not None else str(report.longrepr)
            kind = said.partition(":")[0].rpartition(".")[2].strip() if report.when == "call" else report.when or ""
            kind = "AssertionError" if said.startswith("assert ") else kind
            return ("failed" if report.when == "call" else "broken"), kind, " ".join(said.split())[:300]
        if report.skipped:
            return "skipped", "", str(report.longrepr)[:300]
    return "passed", "", ""


def _tell(item: pytest.Item, safeguard: str, run: tuple[str, str, str]) -> None:
    outcome, kind, said = run
    line: dict[str, str | float] = {
        "check": item.nodeid,
        "safeguard": safeguard,
        "outcome": outcome,
        "kind": kind,
        "said": said,
    }
    line["cpu_s"] = round(time.process_time(), 2)
    with Path(os.environ["ABLATIONS"]).open("a", encoding="utf-8") as file:
        file.write(json.dumps(line, ensure_ascii=False) + "\n")
