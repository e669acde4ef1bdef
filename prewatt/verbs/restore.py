"""Bring a backup back."""

import shutil
from pathlib import Path
from typing import Annotated

import typer

from prewatt.errors import Usage
from prewatt.options import DryRun, FormOption, HomeOption
from prewatt.output import Result, emit

PANEL = "operate"


def command(
    source: Annotated[Path, typer.Argument(metavar="DIR", help="The folder that backup made.")],
    dry_run: DryRun = False,
    home: HomeOption = None,
    output: FormOption = None,
) -> None:
    """Bring a backup back into a home without a store, and verify it; --dry-run does it in a folder of its own."""
    import tempfile

    from control.tables import TABLES
    from prewatt.clock import clock
    from prewatt.lookup import config_of
    from storage.backup import restore

    config = config_of(home)
    if config.home.state.exists() and not dry_run:
        raise Usage(
            "this home has a store already",
            which=str(config.home.state),
            attempt="move state.db, lake and ballast away first",
        )
    place = Path(tempfile.mkdtemp(prefix="restore-", dir=config.home.root))
    try:
        found = restore(source.absolute(), place / "store", TABLES, clock=clock())
        if not dry_run:
            for item in sorted((place / "store").iterdir()):
                item.rename(config.home.root / item.name)
    finally:
        shutil.rmtree(place)
    emit(Result("restore", {"home": config.home.root, "files": found.files, "ok": found.ok, "dry_run": dry_run}))
