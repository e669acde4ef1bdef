"""A home and a seed go in, running processes come out: the field that serves meters, the daemon that may be killed."""

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prewatt.clock import TEST_CLOCK

START_S = 60.0
_RUNNING = re.compile(rb'"message": "running", "address": "([^"]+):(\d+)"')


class Died(Exception):
    """The daemon is gone; the message holds the end of its log."""


class FieldProcess:
    """``python -m sim.field``: the town's meters on loopback, and orders to them."""

    def __init__(self, seed: int, accounts: int, clock: Path) -> None:
        """Start it; ``addresses`` says where each gateway listens."""
        words = [sys.executable, "-m", "sim.field", "--seed", str(seed), "--accounts", str(accounts)]
        self.process = subprocess.Popen(
            [*words, "--clock", str(clock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.addresses: dict[str, tuple[str, int]] = {n: (h, p) for n, (h, p) in self._line()["ready"].items()}

    def order(self, **order: Any) -> dict[str, Any]:
        """One order and its answer."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        answer = self._line()
        assert "error" not in answer, answer
        return answer

    def freeze(self, on: bool) -> None:
        """Stop the meters in mid-word, or let them go on: what was sent to them meanwhile still arrives."""
        self.process.send_signal(signal.SIGSTOP if on else signal.SIGCONT)

    def close(self) -> None:
        """End it."""
        self.process.send_signal(signal.SIGCONT)
        self.process.kill()
        self.process.communicate()

    def _line(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        found: dict[str, Any] = json.loads(self.process.stdout.readline())
        return found


class DaemonProcess:
    """``prewatt run`` on a home, started again after every death."""

    def __init__(self, home: Path, clock: Path | None) -> None:
        """Not started yet; without ``clock`` it lives on the host's time."""
        self.home = home
        self.log = home / "daemon.log"
        self.port = 0
        self.host = ""
        self.starts = 0
        self._environment = {**os.environ, **({} if clock is None else {TEST_CLOCK: str(clock)})}
        self._from = 0
        self.process: subprocess.Popen[bytes] | None = None

    def spawn(self) -> "subprocess.Popen[bytes]":
        """Start the process and return at once."""
        self.starts += 1
        with self.log.open("ab") as log:
            self._from = log.tell()
            words = [sys.executable, "-m", "prewatt", "run", "--home", str(self.home)]
            self.process = subprocess.Popen(words, stderr=log, env=self._environment)
        return self.process

    def wait(self) -> None:
        """Until it listens; Died when it ended before."""
        until = time.monotonic() + START_S
        while not (found := _RUNNING.search(self.said())):
            if not self.alive or time.monotonic() > until:
                raise Died(self.said().decode()[-4000:])
            time.sleep(0.01)
        self.host, self.port = found.group(1).decode(), int(found.group(2))

    def start(self) -> "DaemonProcess":
        """Spawn and wait."""
        self.spawn()
        self.wait()
        return self

    def said(self) -> bytes:
        """What the process of now has logged."""
        with self.log.open("rb") as log:
            log.seek(self._from)
            return log.read()

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self.process is not None and self.process.poll() is None

    def kill(self) -> None:
        """kill -9."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def stop(self, number: int = signal.SIGTERM, limit_s: float = 30) -> tuple[int, float]:
        """Send a signal; the exit code and how long the end took."""
        assert self.process is not None
        start = time.monotonic()
        self.process.send_signal(number)
        return self.process.wait(timeout=limit_s), time.monotonic() - start

    def ask(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> tuple[int, bytes]:
        """One HTTP request; Died when there is nobody to answer any more."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=60)
        try:
            connection.request(method, path, body=body, headers=dict(headers or {}))
            answer = connection.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException) as error:
            deadline = time.monotonic() + 2
            while self.alive and time.monotonic() < deadline:
                time.sleep(0.005)
            if self.alive:
                raise
            raise Died(f"{type(error).__name__} while asking") from error
        finally:
            connection.close()

    def metrics(self) -> dict[str, float]:
        """Every sample of /metrics by its name with labels."""
        text = self.ask("GET", "/metrics")[1].decode()
        pairs = (line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
        return {name: float(value) for name, value in pairs}
