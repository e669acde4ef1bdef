"""A home that has lived and a port go in, its console answers there until the process ends.

``python -m tests.browser.serving HOME PORT`` prints the address; a browser test kills it with -9 and starts it again.
"""

import asyncio
import sys
from datetime import datetime
from pathlib import Path

from prewatt.console.app import serve
from tests.browser.town import NOW, opened, source_of


async def _serve(home: Path, port: int) -> None:
    at = datetime.fromisoformat((home / NOW).read_text(encoding="utf-8"))
    store, engine, _ = opened(home, at, writer="thread")
    await engine.forecast()
    async with serve(source_of(store, engine), port=port) as address:
        print(address, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1]), int(sys.argv[2])))
