"""Make a home folder: configuration, folders, the store, and a fresh key for payment webhooks."""

from pathlib import Path
from typing import Annotated

import typer

from prewatt.options import FormOption, HomeOption
from prewatt.output import Result, emit

PANEL = "start"


def command(
    directory: Annotated[
        Path | None, typer.Argument(metavar="[DIR]", help="The new home; else as --home says.")
    ] = None,
    name: Annotated[str, typer.Option(help="What this installation is called.")] = "prewatt",
    zone: Annotated[str, typer.Option(help="IANA zone of its accounts.")] = "UTC",
    currency: Annotated[str, typer.Option(help="ISO 4217 code of its accounts.")] = "CNY",
    book: Annotated[str, typer.Option(help="Book of accounts that name none.")] = "",
    template: Annotated[str, typer.Option(help="Control policy of every class.")] = "cn-remote",
    home: HomeOption = None,
    output: FormOption = None,
) -> None:
    """Make a home folder: configuration, folders, the store, and a fresh key for payment webhooks."""
    from prewatt import founding, rules
    from prewatt.config import check
    from prewatt.home import find
    from prewatt.wiring import open_store
    from storage.catalog import publish

    place = find(directory or home)
    words = {"name": name, "zone": zone, "currency": currency, "book": book, "template": template}
    config = check(founding.TEMPLATE.format(**words), place, "the new prewatt.toml")
    rules.books(config)
    rules.policies(config)
    made = founding.found(place, **words)
    with open_store(config) as store:
        publish(store, store.clock.now())
    emit(
        Result(
            "init",
            {"home": place.root, "made": made, "config": place.config},
            notes=(
                f"next: prewatt doctor --home {place.root}",
                f"console: user admin, first password in {place.secrets / founding.FIRST_PASSWORD}",
            ),
        )
    )
