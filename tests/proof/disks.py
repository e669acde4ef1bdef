"""What a disk does goes in by name, what became of money and orders comes out: a process of its own, on a small disk.

``python -m tests.proof.disks FOLDER full|readonly|limit``. ``full`` and ``readonly`` want FOLDER on a file system of
its own (a tmpfs of some megabytes, mounted in a namespace); ``limit`` has the kernel refuse to let any file grow.
"""

import asyncio
import json
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from control import tables
from control.records import Action, Command, Incident
from storage.errors import StorageError, StoreFailed
from storage.records import Payment
from storage.store import Store
from storage.verify import verify
from tests.control.rig import Rig
from tests.control.test_dispatch import order
from tests.proof.killing import Lasting

SILENT_S = 3600


def fill(folder: Path) -> Callable[[], None]:
    """Leave not one byte on the disk."""
    rest = folder / "rest"
    with rest.open("wb", buffering=0) as file:
        for size in (1 << 16, 1 << 12, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                continue
    return rest.unlink


def read_only(folder: Path) -> Callable[[], None]:
    """The disk takes nothing any more, as it is mounted after an error: of whoever starts then."""

    def mount(how: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{how}", str(folder)], check=True)

    mount("ro")
    return lambda: mount("rw")


def limit(folder: Path) -> Callable[[], None]:
    """No file of this process may grow."""
    most = resource.getrlimit(resource.RLIMIT_FSIZE)
    largest = max(path.stat().st_size for path in folder.rglob("state.db*"))
    resource.setrlimit(resource.RLIMIT_FSIZE, (min(largest, 4096), most[1]))
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, most)


BREAKS = {"full": fill, "limit": limit}


def refused(rig: Rig, work: Callable[[], object]) -> str:
    """The name of what the store said, "" = it took it."""
    try:
        work()
    except StoreFailed as failure:
        return f"{type(failure).__name__}: {failure}"
    return ""


def story(folder: Path, kind: str) -> dict[str, object]:
    """An order is queued, the disk fails, somebody pays and the order is due; then the disk is mended."""
    rig = Lasting(folder)
    order(rig)
    asyncio.run(rig.engine().reconcile())
    if kind == "readonly":
        return started_read_only(rig, folder)
    mend = BREAKS[kind](folder)
    engine = rig.engine()
    said = [refused(rig, lambda: asyncio.run(engine.pay(rig.payment())))]
    said.append(refused(rig, lambda: rig.dispatch()))
    during = {"drives": len(rig.link.drives), "payments": len(rig.find(Payment)), "failure": str(rig.store.failure)}
    mend()
    rig.store.recover()
    return {"said": said, "during": during, **afterwards(rig)}


def started_read_only(rig: Rig, folder: Path) -> dict[str, object]:
    """The same for a process that is started on a disk that is read-only, and again when it is not."""
    rig.store.close()
    mend = read_only(folder)
    try:
        rig.open()
        said = [""]
    except StorageError as error:
        said = [f"{type(error).__name__}: {error}"]
    seen = Store.open(folder / "h", tables.TABLES, clock=rig.clock, writer="none")
    with seen:
        payments = len(seen.read(lambda reader: reader.find(Payment)))
    mend()
    rig.store = rig.open()
    during = {"drives": len(rig.link.drives), "payments": payments, "failure": said[0]}
    return {"said": said, "during": during, **afterwards(rig)}


def afterwards(rig: Rig) -> dict[str, object]:
    """An hour later the disk is mended: the payment comes again, twice, and time goes on."""
    rig.clock.forward(SILENT_S)
    rig.facts_now()
    again = rig.engine()
    result = asyncio.run(again.pay(rig.payment()))
    twice = asyncio.run(again.pay(rig.payment()))

    async def on() -> None:
        for _ in range(4):
            await again.decide()
            await again.dispatch()
            await again.reconcile()
            rig.clock.forward(30)

    asyncio.run(on())
    cuts = rig.find(Command, action=Action.DISCONNECT)
    found: dict[str, object] = {
        "after": [result.status, twice.status],
        "payments": len(rig.find(Payment)),
        "drives": [drive.action for drive in rig.link.drives],
        "relay": rig.meter.relay.value,
        "cuts": [row.state.value for row in cuts],
        "incidents": [(row.kind, row.detail) for row in rig.find(Incident)],
        "ledger_sum": rig.store.read(lambda reader: reader.ledger_sum()),
    }
    found["sound"] = verify(rig.store).ok
    rig.store.close()
    return found


if __name__ == "__main__":
    print(json.dumps(story(Path(sys.argv[1]), sys.argv[2])))
