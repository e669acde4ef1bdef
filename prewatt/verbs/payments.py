"""Payments: take a bank's file, list what came."""

from pathlib import Path
from typing import Annotated

import typer

from prewatt.options import FormOption, HomeOption
from prewatt.output import Result, emit

PANEL = "work"
group = typer.Typer(no_args_is_help=True, help=__doc__)

COLUMNS = ("at", "channel", "external_id", "account", "amount", "currency", "status", "reason")


@group.command("import")
def import_payments(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="CSV (id,account,amount,paid_at, or as [payments.csv] names), camt.053/054, pain.002.",
        ),
    ],
    channel: Annotated[str, typer.Option(help="Channel that the file came from; else csv or camt.")] = "",
    home: HomeOption = None,
    output: FormOption = None,
) -> None:
    """Take a payment file whole, or refuse it whole with its line; the same bytes are refused for ever."""
    from prewatt.doing import do

    answer = do(home, "payments.import", file=file.absolute(), channel=channel)
    emit(Result("payments import", answer, rows="payments", columns=COLUMNS))


@group.command("reconciled")
def reconciled(
    channel: Annotated[str, typer.Argument(metavar="CHANNEL", help="The payment channel: webhook, csv ...")],
    by: Annotated[str, typer.Option(help="Who compared the lists.")] = "",
    home: HomeOption = None,
    output: FormOption = None,
) -> None:
    """Vouch that nothing of a payment channel is missing; without it, or the channel's own count, nobody is cut."""
    from prewatt.doing import do

    emit(Result("payments reconciled", do(home, "payments.reconciled", channel=channel, by=by)))


@group.command("match")
def match(
    channel: Annotated[str, typer.Argument(metavar="CHANNEL")],
    ident: Annotated[str, typer.Argument(metavar="ID", help="The payment's id there.")],
    account: Annotated[str, typer.Argument(metavar="ACCOUNT")],
    home: HomeOption = None,
    output: FormOption = None,
) -> None:
    """Give an unmatched payment to its account; supply comes back where that lifts it."""
    from prewatt.doing import do

    emit(Result("payments match", do(home, "payments.match", channel=channel, id=ident, account=account)))


@group.command("reverse")
def reverse(
    channel: Annotated[str, typer.Argument(metavar="CHANNEL")],
    ident: Annotated[str, typer.Argument(metavar="ID", help="The payment's id there.")],
    reason: Annotated[str, typer.Option(help="Why; the audit chain keeps it.")],
    amount: Annotated[str, typer.Option(help="Only so much of it; else all.")] = "",
    home: HomeOption = None,
    output: FormOption = None,
) -> None:
    """Give a posted payment back; what is on stays on, with every notice before it could be cut."""
    from prewatt.doing import do

    emit(
        Result(
            "payments reverse", do(home, "payments.reverse", channel=channel, id=ident, amount=amount, reason=reason)
        )
    )


@group.command("void")
def void(
    ident: Annotated[str, typer.Argument(metavar="ID", help="The receipt number.")],
    reason: Annotated[str, typer.Option(help="Why; the audit chain keeps it.")],
    home: HomeOption = None,
    output: FormOption = None,
) -> None:
    """Void a payment taken over the counter today, before its shift is closed; later ones are reversed."""
    from prewatt.doing import do

    emit(Result("payments void", do(home, "payments.void", id=ident, reason=reason)))


@group.command("shift")
def shift(
    counted: Annotated[str, typer.Option(help="What was counted in the drawer: 120.00.")],
    by: Annotated[str, typer.Option(help="Whose shift; default: the person logged in.")] = "",
    home: HomeOption = None,
    output: FormOption = None,
) -> None:
    """Close a cashier's shift: the drawer against what was taken since the last close; a difference is an incident."""
    from prewatt.doing import do

    answer = do(home, "payments.shift", counted=counted, by=by)
    emit(Result("payments shift", answer))
    if not answer["agreed"]:
        raise typer.Exit(1)


@group.command("list")
def list_payments(
    status: Annotated[str, typer.Option(help="posted, pending, unmatched, failed or reversed.")] = "",
    account: Annotated[str, typer.Option(help="Only this account.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="Most rows.")] = 100,
    home: HomeOption = None,
    output: FormOption = None,
) -> None:
    """List the newest payments; unmatched and failed ones are kept too."""
    from prewatt.lookup import payment_rows

    rows = payment_rows(home, status=status, account=account, limit=limit)
    emit(Result("payments list", {"payments": rows}, rows="payments", columns=COLUMNS))
