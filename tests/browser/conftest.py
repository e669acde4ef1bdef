"""A real headless Chromium driven through playwright-core, and a console in a process of its own."""

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser.town import live

CHROMIUM = Path("/usr/bin/chromium")
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
MODULES = Path(os.environ.get("PREWATT_NODE_MODULES") or CACHE / "prewatt-browser" / "node_modules")
ROOT = Path(__file__).resolve().parents[2]
ACCOUNTS = 24


class Browser:
    """Orders to ``drive.js``."""

    def __init__(self) -> None:
        """Start Chromium."""
        command = ["node", str(Path(__file__).with_name("drive.js")), str(MODULES), str(CHROMIUM)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._line() == {"ready": True}

    def _line(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        found: dict[str, Any] = json.loads(self.process.stdout.readline())
        return found

    def ask(self, do: str, page: str, **order: Any) -> Any:
        """One order on one page; AssertionError for what the browser could not do."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"do": do, "page": page, **order}) + "\n")
        self.process.stdin.flush()
        told = self._line()
        assert "error" not in told, told["error"]
        return told["answer"]

    def close(self) -> None:
        """End it, and Chromium with it."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(timeout=20)


class Serving:
    """A console in its own process, which may be killed and started again on the same port."""

    def __init__(self, home: Path) -> None:
        """Start it on a free port."""
        self.home = home
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.start()

    def start(self) -> None:
        """Start and wait until it answers."""
        command = [sys.executable, "-m", "tests.browser.serving", str(self.home), str(self.port)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
        assert self.process.stdout is not None
        self.address = self.process.stdout.readline().strip()
        assert self.address, "the console did not start"

    def kill(self) -> None:
        """End it with -9."""
        self.process.kill()
        self.process.wait()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium, or a skip that says what is missing."""
    if not CHROMIUM.exists() or shutil.which("node") is None or not (MODULES / "playwright-core").is_dir():
        pytest.skip(f"no chromium with playwright-core: {CHROMIUM}, node and {MODULES} (.ci/run installs them)")
    running = Browser()
    yield running
    running.close()


@pytest.fixture(scope="session")
def lived(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home that has lived for sixteen days."""
    import asyncio

    home = tmp_path_factory.mktemp("town")
    town = asyncio.run(live(home, ACCOUNTS))
    _ = town.source  # makes the configuration
    town.store.close()
    return home


@pytest.fixture(scope="module")
def serving(lived: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """A console on a copy of the home."""
    home = tmp_path_factory.mktemp("home") / "town"
    shutil.copytree(lived, home, ignore=shutil.ignore_patterns("lock"))
    running = Serving(home)
    yield running
    running.kill()
