"""A home, an action and its arguments go in, its answer comes out: by the daemon if it runs, else by this process."""

import asyncio
import getpass
from pathlib import Path
from typing import Any

from prewatt import remote
from prewatt.home import find
from prewatt.output import plain
from prewatt.progress import bar


def actor() -> str:
    """Who is at the terminal, as the audit chain names them."""
    try:
        return f"cli:{getpass.getuser()}"
    except (KeyError, OSError):
        return "cli"


def do(option: Path | None, action: str, **args: Any) -> dict[str, Any]:
    """Do one writing verb on the home that ``option`` names."""
    home = find(option).must_exist()
    given = {key: plain(value) for key, value in args.items()}
    with bar() as progress:
        if remote.alive(home.socket):
            return remote.ask(home.socket, action, given, actor=actor(), progress=progress)
        from prewatt.actions import actions
        from prewatt.config import load
        from prewatt.wiring import opened

        with opened(load(home), actor=actor(), progress=progress) as shell:
            answer: dict[str, Any] = plain(asyncio.run(_run(actions()[action](shell, given), shell)))
            shelve(shell)
            return answer


def shelve(shell: Any) -> None:
    """What the daemon does by and by: put what came into the lake, and show it to analysts."""
    from storage.catalog import publish

    now = shell.clock.now()
    shell.store.lake.seal(now)
    publish(shell.store, now)


async def _run(work: Any, shell: Any) -> Any:
    try:
        return await work
    finally:
        await shell.aclose()
