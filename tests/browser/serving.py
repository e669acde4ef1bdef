"""A home that has lived and a port go in, its console answers there until the process ends.

``python -m tests.browser.serving HOME PORT`` prints the address; a browser test kills it with -9 and starts it again.
"""

import asyncio
import sys
from datetime import datetime
from pathlib import Path

from prewatt.console.app import serve
from prewatt.founding import private_file
from prewatt.frontdesk import KEY
from prewatt.home import Home
from tests.browser.town import NOW, opened, source_of


async def _serve(home: Path, port: int) -> None:
    at = datetime.fromisoformat((home / NOW).read_text(encoding="utf-8"))
    store, engine, _ = opened(home, at, writer="thread")
    await engine.forecast()
    source = source_of(store, engine)
    key = private_file(Home(home).secrets / KEY)
    async with serve(source, port=port, key=key) as address:
        print(address, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1]), int(sys.argv[2])))
