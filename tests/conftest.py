"""Shared fixtures: where the shared test material lies, and that no test is skipped unseen."""

import os
from pathlib import Path

import pytest

SHARED = Path(os.environ.get("PREWATT_SHARED", Path(__file__).resolve().parents[2] / "shared"))
SKIPS = Path(__file__).with_name("skips.txt")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of material that others wrote (PREWATT_SHARED, default ../shared)."""
    return SHARED


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the long modules; skip what needs absent shared material, with a message that says how to get it."""
    items.sort(key=lambda item: "long" not in item.keywords)
    if SHARED.is_dir():
        return
    skip = pytest.mark.skip(reason=f"shared material not found at {SHARED}: set PREWATT_SHARED")
    for item in items:
        if "shared" in item.keywords:
            item.add_marker(skip)


def allowed_skips(text: str) -> tuple[str, ...]:
    """The words of ``skips.txt``: one a line, each a part of a skip's reason; # starts a comment."""
    lines = (line.split("#", 1)[0].strip() for line in text.splitlines())
    return tuple(line for line in lines if line)


def skip_reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    """Why a test was skipped."""
    return report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print every skipped test, and fail the run for a reason that the committed list does not have."""
    allowed = allowed_skips(SKIPS.read_text(encoding="utf-8"))
    unknown = 0
    for report in terminalreporter.stats.get("skipped", []):
        reason = skip_reason(report)
        known = any(words in reason for words in allowed)
        unknown += not known
        terminalreporter.write_line(f"skipped{'' if known else ' (NOT in tests/skips.txt)'}: {report.nodeid}: {reason}")
    if unknown:
        terminalreporter.write_line(f"{unknown} skipped for reasons that tests/skips.txt does not list", red=True)
        session = terminalreporter._session
        if session is not None:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
