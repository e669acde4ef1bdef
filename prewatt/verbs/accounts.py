"""Accounts: who they are, what they have left, what holds their supply; top up, protect, import."""

from pathlib import Path
from typing import Annotated, Any

import typer

from prewatt.options import FormOption, HomeOption
from prewatt.output import Result, emit
from prewatt.verbs import balance

PANEL = "work"
group = typer.Typer(no_args_is_help=True, help=__doc__)

AccountArgument = Annotated[str, typer.Argument(metavar="ACCOUNT")]
COLUMNS = ("account", "name", "class", "available", "currency", "credit", "supply", "relay", "read", "holds")


@group.command("list")
def list_accounts(
    klass: Annotated[str, typer.Option("--class", help="Only this customer class.")] = "",
    home: HomeOption = None,
    output: FormOption = None,
) -> None:
    """List the accounts with what they have left and the state of their supply."""
    from prewatt.lookup import account_rows

    rows = account_rows(home, klass=klass)
    emit(Result("accounts list", {"accounts": rows}, rows="accounts", columns=COLUMNS))


@group.command()
def show(account: AccountArgument, home: HomeOption = None, output: FormOption = None) -> None:
    """Show one account: money, meter, supply, holds, live commands, last payments and events."""
    from prewatt.lookup import account_detail

    emit(Result("accounts show", account_detail(home, account)))


group.command("balance")(balance.command)


@group.command()
def topup(
    account: AccountArgument,
    amount: Annotated[str, typer.Argument(metavar="AMOUNT", help="In the account's currency: 12.50.")],
    reference: Annotated[str, typer.Option(help="Receipt number: the same one counts once. Default: a new one.")] = "",
    home: HomeOption = None,
    output: FormOption = None,
) -> None:
    """Post a payment taken over the counter; supply comes back by itself where it may."""
    import secrets

    from prewatt.doing import do

    given: dict[str, Any] = {"account": account, "amount": amount, "reference": reference or secrets.token_hex(8)}
    answer = do(home, "accounts.topup", **given)
    emit(Result("accounts topup", answer, code=0))


@group.command("import")
def import_accounts(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="CSV: account,meter,book,class,zone,phone,lang,from,...")
    ],
    home: HomeOption = None,
    output: FormOption = None,
) -> None:
    """Import accounts, meters, installations; wrong rows are refused by line, the same file twice changes nothing."""
    from prewatt.doing import do

    answer = do(home, "accounts.import", file=file.absolute())
    emit(Result("accounts import", answer, rows="refused"))
    if answer["rows"] and not answer["accepted"]:
        raise typer.Exit(1)


@group.command()
def protect(
    account: AccountArgument,
    kind: Annotated[
        str, typer.Option(help="protected, keep_power, dispute, medical, migration, manual.")
    ] = "protected",
    reason: Annotated[str, typer.Option(help="The authority for it, or why.")] = "",
    days: Annotated[int, typer.Option(min=0, help="Ends by itself after so many days; 0 = stays.")] = 0,
    end: Annotated[bool, typer.Option("--end", help="End the hold of this kind now.")] = False,
    home: HomeOption = None,
    output: FormOption = None,
) -> None:
    """Hold an account back from every remote disconnection (or end such a hold); audited."""
    from prewatt.doing import do

    emit(
        Result(
            "accounts protect",
            do(home, "accounts.protect", account=account, kind=kind, reason=reason, days=days, end=end),
        )
    )
