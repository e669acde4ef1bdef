"""Shared fixtures: where the shared test material lies, and the marker that skips visibly without it."""

import os
from pathlib import Path

import pytest

SHARED = Path(os.environ.get("PREWATT_SHARED", Path(__file__).resolve().parents[2] / "shared"))


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of material that others wrote (PREWATT_SHARED, default ../shared)."""
    return SHARED


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs the shared material where it is absent, with a message that says how to get it."""
    if SHARED.is_dir():
        return
    skip = pytest.mark.skip(reason=f"shared material not found at {SHARED}: set PREWATT_SHARED")
    for item in items:
        if "shared" in item.keywords:
            item.add_marker(skip)
