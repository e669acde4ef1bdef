"""Mosquitto 2 as a peer in tests: the same words as the embedded broker's; it is never imported, shipped or needed."""

import shutil
import socket
import subprocess
import time
from pathlib import Path

PATHS = ("/usr/sbin", "/usr/local/sbin", "/opt/homebrew/sbin")
START_S = 10.0


def program() -> str | None:
    """Where it is installed, None where it is not."""
    return shutil.which("mosquitto") or next((f"{p}/mosquitto" for p in PATHS if Path(p, "mosquitto").is_file()), None)


class Mosquitto:
    """One broker on a port of its own, whose state is written within a second of every change; ``kill`` is -9."""

    settle_s = 1.5
    """What was published longer ago than this survives a kill: it writes behind its answers, unlike JetStream."""

    def __init__(self, folder: Path) -> None:
        """Not started yet."""
        self.host = "127.0.0.1"
        with socket.socket() as probe:
            probe.bind((self.host, 0))
            self.port: int = probe.getsockname()[1]
        folder.mkdir()
        self._config = folder / "mosquitto.conf"
        self._config.write_text(
            f"listener {self.port} {self.host}\nallow_anonymous true\npersistence true\n"
            f"persistence_location {folder}/\nautosave_interval 1\nautosave_on_changes true\nuser root\n",
            encoding="utf-8",
        )
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it listens."""
        found = program()
        assert found is not None
        self._process = subprocess.Popen([found, "-c", str(self._config)], stderr=subprocess.DEVNULL)
        end = time.monotonic() + START_S
        while time.monotonic() < end:
            with socket.socket() as probe:
                if probe.connect_ex((self.host, self.port)) == 0:
                    return
            time.sleep(0.02)
        raise TimeoutError("mosquitto does not listen")

    def kill(self) -> None:
        """SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(START_S)
            self._process = None
