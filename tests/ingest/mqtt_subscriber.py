"""A listener in a process of its own that may die at the worst moment: ``python -m tests.ingest.mqtt_subscriber``.

Arguments: port, ledger file, mode. The ledger is a line per commit, fsynced: ``<message id> <seen before: 0 or 1>``.
Modes: ``live``; ``die_before`` and ``die_after`` kill this process with -9 before or after the commit of a message.
"""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from ingest.links.mqtt import BrokerAddress, HandheldListener
from ingest.records import Finding, HandheldMessage, HandheldReply


class StandingClock:
    """Time does not matter here."""

    def now(self) -> datetime:
        return datetime(2026, 7, 1)

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


async def main(port: int, ledger: Path, mode: str) -> None:
    async def sink(message: HandheldMessage) -> HandheldReply:
        known = {line.split()[0] for line in ledger.read_text().splitlines()} if ledger.is_file() else set()
        if mode == "die_before":
            os.kill(os.getpid(), signal.SIGKILL)
        seen = message.message_id in known
        with ledger.open("a") as file:
            file.write(f"{message.message_id} {int(seen)}\n")
            file.flush()
            os.fsync(file.fileno())
        if mode == "die_after":
            os.kill(os.getpid(), signal.SIGKILL)
        return HandheldReply(message.message_id, message.device, "duplicate" if seen else "accepted")

    async def found(findings: Sequence[Finding]) -> None:
        raise AssertionError(findings)

    listener = HandheldListener(StandingClock(), BrokerAddress("127.0.0.1", port), sink, found=found, unsigned=True)
    await listener.start()
    await listener.connected.wait()
    print("connected", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]))
