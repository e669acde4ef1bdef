"""Work orders: what somebody must look at or do on site, by when, and what was found."""

from typing import Annotated

import typer

from prewatt.options import FormOption, HomeOption
from prewatt.output import Result, emit

PANEL = "field"
group = typer.Typer(no_args_is_help=True, help=__doc__)

OrderArgument = Annotated[str, typer.Argument(metavar="ORDER")]
COLUMNS = ("order", "kind", "account", "meter", "state", "due", "owner", "detail", "outcome")


@group.command("list")
def list_orders(
    account: Annotated[str, typer.Option(help="Only this account.")] = "",
    kind: Annotated[str, typer.Option(help="Only this kind, such as spike or meter_swap.")] = "",
    everything: Annotated[bool, typer.Option("--all", help="Ended ones too.")] = False,
    home: HomeOption = None,
    output: FormOption = None,
) -> None:
    """List the work orders that are open, the first due first."""
    from prewatt.fieldwork import order_rows

    rows = order_rows(home, account=account, kind=kind, everything=everything)
    emit(Result("orders list", {"orders": rows}, rows="orders", columns=COLUMNS))


@group.command()
def assign(
    order: OrderArgument,
    to: Annotated[str, typer.Option("--to", help="Who does it.")],
    home: HomeOption = None,
    output: FormOption = None,
) -> None:
    """Give an order to somebody."""
    from prewatt.doing import do

    emit(Result("orders assign", do(home, "orders.assign", order=order, owner=to)))


@group.command()
def close(
    order: OrderArgument,
    outcome: Annotated[str, typer.Option(help="confirmed (as suspected), cleared (all is well) or mended.")],
    found: Annotated[str, typer.Option(help="What was found, in plain words.")] = "",
    by: Annotated[str, typer.Option(help="Who was there; default: the person logged in.")] = "",
    home: HomeOption = None,
    output: FormOption = None,
) -> None:
    """End an order with what was found on site; a crew's handheld does the same with `resolve`."""
    from prewatt.doing import do

    emit(Result("orders close", do(home, "orders.close", order=order, outcome=outcome, found=found, by=by)))
