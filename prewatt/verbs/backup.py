"""Copy the store while it runs."""

from pathlib import Path
from typing import Annotated

import typer

from prewatt.options import FormOption, HomeOption
from prewatt.output import Result, emit

PANEL = "operate"


def command(
    target: Annotated[Path, typer.Argument(metavar="DIR", help="An empty or new folder.")],
    home: HomeOption = None,
    output: FormOption = None,
) -> None:
    """Copy state and lake to a folder, beside a running daemon, and check the copy. Secrets do not go along."""
    from prewatt.lookup import config_of
    from prewatt.wiring import open_store
    from storage.backup import backup

    with open_store(config_of(home), writer="none") as store:
        files = backup(store, target.absolute())
    emit(Result("backup", {"target": target.absolute(), "files": files, "ok": True}))
